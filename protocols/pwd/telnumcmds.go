package pwd

import (
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
)

// modifyTelnums carries out {op=add|del|pop; telnum=number;}. pop answers the number that was taken.
func modifyTelnums(c *call) (dataformat.Value, error) {
	acct, d := c.name("acct"), c.args.dict("parameters")
	answer, number := dataformat.Dict{}, d.String("telnum")
	var err error
	switch op := strings.ToLower(d.String("op")); {
	case op == "pop" && number == "":
		if number, err = c.actor.PopTelnum(c, acct); number != "" {
			answer["telnum"] = dataformat.String(number)
		}
	case op == "add" && number != "":
		err = c.actor.AddTelnum(c, acct, number)
	case op == "del" && number != "":
		err = c.actor.RemoveTelnum(c, acct, number)
	default:
		err = syntaxError("{op=add;telnum=number;}, {op=del;telnum=number;} or {op=pop;} is expected")
	}
	return dictOf(answer, err)
}

// telnumsOf answers {number=account; ""=total;}.
func telnumsOf(list *accounts.TelnumList, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	d := dataformat.Dict{"": dataformat.Number(list.Total)}
	for number, account := range list.Accounts {
		d[number] = dataformat.String(account)
	}
	return d, nil
}

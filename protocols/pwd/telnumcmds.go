package pwd

import (
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
)

// modifyTelnums carries out {op=add|del|pop; telnum=number;}. pop answers the number that was taken.
func modifyTelnums(c *call) (dataformat.Value, error) {
	d := c.args.dict("parameters")
	popped, err := c.actor.ModifyAccountTelnums(c, c.name("acct"), strings.ToLower(d.String("op")), d.String("telnum"))
	answer := dataformat.Dict{}
	if popped != "" {
		answer["telnum"] = dataformat.String(popped)
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

package pwd

import (
	"context"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var ruleCommands = []command{
	{"GETSERVERMAILRULES", "", func(c *call) (dataformat.Value, error) { return rulesOf(c.actor.ServerMailRules(c)) }},
	{"SETSERVERMAILRULES", "<rules>", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetServerMailRules(c, c.args.values["rules"])
	}},
	{"GETSERVERSIGNALRULES", "", func(c *call) (dataformat.Value, error) { return rulesOf(c.actor.ServerSignalRules(c)) }},
	{"SETSERVERSIGNALRULES", "<rules>", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetServerSignalRules(c, c.args.values["rules"])
	}},
	{"GETDOMAINMAILRULES", "[domain]", func(c *call) (dataformat.Value, error) {
		return rulesOf(c.actor.DomainMailRules(c, c.args.word("domain")))
	}},
	{"SETDOMAINMAILRULES", "domain <rules>", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetDomainMailRules(c, c.args.word("domain"), c.args.values["rules"])
	}},
	{"GETDOMAINSIGNALRULES", "[domain]", func(c *call) (dataformat.Value, error) {
		return rulesOf(c.actor.DomainSignalRules(c, c.args.word("domain")))
	}},
	{"SETDOMAINSIGNALRULES", "domain <rules>", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetDomainSignalRules(c, c.args.word("domain"), c.args.values["rules"])
	}},
	{"GETACCOUNTMAILRULES", "acct", func(c *call) (dataformat.Value, error) {
		return rulesOf(c.actor.AccountMailRules(c, c.name("acct")))
	}},
	{"SETACCOUNTMAILRULES", "acct <rules>", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetAccountMailRules(c, c.name("acct"), c.args.values["rules"])
	}},
	{"UPDATEACCOUNTMAILRULE", "acct [DELETE name] [(rule)]", updateAccountMailRule},
	{"GETACCOUNTSIGNALRULES", "acct", func(c *call) (dataformat.Value, error) {
		return rulesOf(c.actor.AccountSignalRules(c, c.name("acct")))
	}},
	{"SETACCOUNTSIGNALRULES", "acct <rules>", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetAccountSignalRules(c, c.name("acct"), c.args.values["rules"])
	}},
	{"UPDATEACCOUNTSIGNALRULE", "acct [DELETE name] [(rule)]", updateAccountSignalRule},
	{"REMOVEACCOUNTSUBSET", "acct SUBSET name", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RemoveDataset(c, c.name("acct"), c.args.word("name"))
	}},
	{"DATASET", "acct {request}", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.Dataset(c, c.name("acct"), c.args.dict("request")))
	}},
}

// rulesOf answers rules; none are an empty array.
func rulesOf(list dataformat.Array, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = dataformat.Array{}
	}
	return list, nil
}

func updateAccountMailRule(c *call) (dataformat.Value, error) {
	return c.updateRule(c.actor.UpdateAccountMailRule)
}

func updateAccountSignalRule(c *call) (dataformat.Value, error) {
	return c.updateRule(c.actor.UpdateAccountSignalRule)
}

func (c *call) updateRule(update func(context.Context, admin.Name, string, dataformat.Value) error) (dataformat.Value, error) {
	rule, given := c.args.values["rule"]
	if remove := c.args.word("name"); given == (remove != "") {
		return nil, fault.New("pwd.Rule", fault.Invalid, "a rule is expected, or DELETE and the name of one")
	}
	return nil, update(c, c.name("acct"), c.args.word("name"), rule)
}

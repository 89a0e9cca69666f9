package pwd

import (
	"strconv"

	"gatepost/accounts/mailbox"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var mailboxCommands = []command{
	{"LISTMAILBOXES", "acct [FILTER filter] [AUTH auth]", listMailboxes},
	{"CREATEMAILBOX", "acct MAILBOX box [AUTH auth] [CLASS class]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateMailbox(c, c.name("acct"), c.auth(), c.args.word("box"), c.args.word("class"))
	}},
	{"DELETEMAILBOX", "acct MAILBOX|MAILBOXES box [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.DeleteMailbox(c, c.name("acct"), c.auth(), c.args.word("box"), c.args.by["box"] == "MAILBOXES")
	}},
	{"RENAMEMAILBOX", "acct MAILBOX|MAILBOXES box INTO new [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RenameMailbox(c, c.name("acct"), c.auth(), c.args.word("box"), c.args.word("new"), c.args.by["box"] == "MAILBOXES")
	}},
	{"GETMAILBOXINFO", "acct MAILBOX box [AUTH auth]", getMailboxInfo},
	{"SETMAILBOXCLASS", "acct MAILBOX box [AUTH auth] CLASS class", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetMailboxClass(c, c.name("acct"), c.auth(), c.args.word("box"), c.args.word("class"))
	}},
	{"GETMAILBOXACL", "acct MAILBOX box [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.MailboxACL(c, c.name("acct"), c.auth(), c.args.word("box")))
	}},
	{"SETMAILBOXACL", "acct MAILBOX box [AUTH auth] {acl}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetMailboxACL(c, c.name("acct"), c.auth(), c.args.word("box"), c.args.dict("acl"))
	}},
	{"GETMAILBOXRIGHTS", "acct MAILBOX box AUTH auth", func(c *call) (dataformat.Value, error) {
		return stringOf(c.actor.MailboxRights(c, c.name("acct"), c.auth(), c.args.word("box")))
	}},
	{"GETACCOUNTACL", "acct [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.AccountACL(c, c.name("acct"), c.auth()))
	}},
	{"SETACCOUNTACL", "acct [AUTH auth] {acl}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetAccountACL(c, c.name("acct"), c.auth(), c.args.dict("acl"))
	}},
	{"GETACCOUNTACLRIGHTS", "acct AUTH auth", func(c *call) (dataformat.Value, error) {
		return stringOf(c.actor.AccountACLRights(c, c.name("acct"), c.auth()))
	}},
	{"GETCALENDARLINKS", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.CalendarLinks(c, c.name("acct"))) }},
	{"CREATECALENDARLINK", "acct MAILBOX box", func(c *call) (dataformat.Value, error) {
		return stringOf(c.actor.CreateCalendarLink(c, c.name("acct"), c.args.word("box")))
	}},
	{"DELETECALENDARLINK", "acct MAILBOX box", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.DeleteCalendarLink(c, c.name("acct"), c.args.word("box"))
	}},
	{"GETCALENDARSUBSCRIPTIONS", "acct", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.CalendarSubscriptions(c, c.name("acct")))
	}},
	{"CREATECALENDARSUBSCRIPTION", "acct MAILBOX box URL url", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateCalendarSubscription(c, c.name("acct"), c.args.word("box"), c.args.word("url"))
	}},
	{"DELETECALENDARSUBSCRIPTION", "acct MAILBOX box", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.DeleteCalendarSubscription(c, c.name("acct"), c.args.word("box"))
	}},
	{"GETMAILBOXALIASES", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.MailboxAliases(c, c.name("acct"))) }},
	{"SETMAILBOXALIASES", "acct {aliases}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetMailboxAliases(c, c.name("acct"), c.args.dict("aliases"))
	}},
	{"GETSEARCHINDEX", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.SearchIndex(c, c.name("acct"))) }},
	{"REINDEX", "acct", func(c *call) (dataformat.Value, error) { return nil, c.actor.Reindex(c, c.name("acct")) }},
	{"GETMAILBOXSUBSCRIPTION", "acct", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.Subscriptions(c, c.name("acct"))) }},
	{"SETMAILBOXSUBSCRIPTION", "acct (names)", func(c *call) (dataformat.Value, error) {
		return c.setList("names", func(list []string) error { return c.actor.SetSubscriptions(c, c.name("acct"), list) })
	}},
}

// auth is the account with whose rights to act.
func (c *call) auth() admin.Name {
	if !c.args.has("auth") {
		return admin.Name{}
	}
	return c.name("auth")
}

// listMailboxes answers name → information; () for a name that is only a
// directory, and the information in an array for one that is both.
func listMailboxes(c *call) (dataformat.Value, error) {
	filter := c.args.word("filter")
	if !c.args.has("filter") {
		filter = "*"
	}
	match, err := compileFilter(filter)
	if err != nil {
		return nil, err
	}
	list, err := c.actor.Mailboxes(c, c.name("acct"), c.auth())
	if err != nil {
		return nil, err
	}
	out := dataformat.Dict{}
	for _, box := range list {
		if err := c.Err(); err != nil {
			return nil, fault.Wrap("pwd.ListMailboxes", fault.Canceled, err)
		}
		if !match.fits(box.Name) {
			continue
		}
		switch info := mailboxInfo(box); {
		case !box.Selectable:
			out[box.Name] = dataformat.Array{}
		case box.HasFolder:
			out[box.Name] = dataformat.Array{info}
		default:
			out[box.Name] = info
		}
	}
	return out, nil
}

// mailboxInfo prints what is known of a mailbox; numbers are strings.
func mailboxInfo(box mailbox.Info) dataformat.Dict {
	number := func(n uint64) dataformat.Value { return dataformat.String(strconv.FormatUint(n, 10)) }
	d := dataformat.Dict{
		"Messages": number(uint64(box.Messages)), "Unseen": number(uint64(box.Unseen)), "Size": number(uint64(box.Size)),
		"UIDNext": number(uint64(box.UIDNext)), "UIDValidity": number(uint64(box.UIDValidity)),
	}
	if box.Class != "" {
		d["Class"] = dataformat.String(box.Class)
	}
	return d
}

func getMailboxInfo(c *call) (dataformat.Value, error) {
	box, err := c.actor.Mailbox(c, c.name("acct"), c.auth(), c.args.word("box"))
	if err != nil {
		return nil, err
	}
	return mailboxInfo(box), nil
}

package pwd

import (
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var mailboxCommands = []command{
	{"LISTMAILBOXES", "acct [FILTER filter] [AUTH auth]", "own D:CanImpersonate", listMailboxes},
	{"CREATEMAILBOX", "acct MAILBOX box [AUTH auth] [CLASS class]", "own D:CanImpersonate", createMailbox},
	{"DELETEMAILBOX", "acct MAILBOX|MAILBOXES box [AUTH auth]", "own D:CanImpersonate", deleteMailbox},
	{"RENAMEMAILBOX", "acct MAILBOX|MAILBOXES box INTO new [AUTH auth]", "own D:CanImpersonate", renameMailbox},
	{"GETMAILBOXINFO", "acct MAILBOX box [AUTH auth]", "own D:CanImpersonate", getMailboxInfo},
	{"GETMAILBOXSUBSCRIPTION", "acct", "own D:CanImpersonate", getMailboxSubscription},
	{"SETMAILBOXSUBSCRIPTION", "acct (names)", "own D:CanImpersonate", setMailboxSubscription},
}

// mail opens the mailboxes of the target, as owner says.
func (c *call) mail() (*mailbox.Account, error) {
	a, err := c.owner()
	if err != nil {
		return nil, err
	}
	return a.Mail(), nil
}

// owner returns the target as the owner of mailboxes. AUTH names the account with whose
// rights to act; only the owner has rights so far.
func (c *call) owner() (*accounts.Account, error) {
	a, err := c.acc.Account(c, c.target.domain, c.target.name)
	if err != nil {
		return nil, err
	}
	if c.args.has("auth") {
		as, err := c.account(c.args.word("auth"))
		if err == nil && as == c.target {
			return a, nil
		}
		if err == nil || !c.rights.Server(accounts.RightUsers) {
			err = errDenied() // also for a domain that does not exist
		}
		return nil, err
	}
	return a, nil
}

// listMailboxes answers name → information; () for a name that is only a
// directory, and the information in an array for one that is both.
func listMailboxes(c *call) (dataformat.Value, error) {
	m, err := c.mail()
	if err != nil {
		return nil, err
	}
	list, err := m.List(c)
	if err != nil {
		return nil, err
	}
	filter := c.args.word("filter")
	if !c.args.has("filter") {
		filter = "*"
	}
	match, err := compileFilter(filter)
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

func createMailbox(c *call) (dataformat.Value, error) {
	m, err := c.mail()
	if err != nil {
		return nil, err
	}
	_, err = m.CreateMailbox(c, c.args.word("box"), mailbox.CreateOptions{Class: c.args.word("class")})
	return nil, err
}

// nested lists the mailboxes below a name, deepest first.
func nested(c *call, m *mailbox.Account, name string) ([]string, error) {
	name = strings.TrimSuffix(name, "/")
	list, err := m.List(c)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, box := range list {
		if strings.HasPrefix(box.Name, name+"/") {
			out = append(out, box.Name)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

func deleteMailbox(c *call) (dataformat.Value, error) {
	m, err := c.mail()
	if err != nil {
		return nil, err
	}
	name := c.args.word("box")
	if c.args.by["box"] == "MAILBOXES" {
		below, err := nested(c, m, name)
		if err != nil {
			return nil, err
		}
		for _, box := range below {
			if err := m.DeleteMailbox(c, box); err != nil && !fault.Is(err, fault.NoMailbox) {
				return nil, err
			}
		}
	}
	return nil, m.DeleteMailbox(c, name)
}

func renameMailbox(c *call) (dataformat.Value, error) {
	a, err := c.owner()
	if err != nil {
		return nil, err
	}
	name := c.args.word("box")
	if c.args.by["box"] == "MAILBOX" {
		box, err := a.Mail().Status(c, name)
		switch {
		case err == nil:
			name = box.Name
		case !fault.Is(err, fault.NoMailbox): // which a directory is too
			return nil, err
		}
		below, err := nested(c, a.Mail(), name)
		if err != nil {
			return nil, err
		}
		if len(below) > 0 {
			return nil, fault.New("pwd.RenameMailbox", fault.NotEmpty, "the mailbox has submailboxes, use MAILBOXES")
		}
	}
	return nil, c.acc.RenameMailbox(c, a, name, c.args.word("new"))
}

func getMailboxInfo(c *call) (dataformat.Value, error) {
	m, err := c.mail()
	if err != nil {
		return nil, err
	}
	box, err := m.Status(c, c.args.word("box"))
	if err != nil {
		return nil, err
	}
	return mailboxInfo(box), nil
}

func getMailboxSubscription(c *call) (dataformat.Value, error) {
	m, err := c.mail()
	if err != nil {
		return nil, err
	}
	return arrayOf(m.Subscriptions(c))
}

func setMailboxSubscription(c *call) (dataformat.Value, error) {
	m, err := c.mail()
	if err != nil {
		return nil, err
	}
	want, err := c.args.strings("names")
	if err != nil {
		return nil, err
	}
	have, err := m.Subscriptions(c)
	if err != nil {
		return nil, err
	}
	for _, name := range have {
		if !slices.Contains(want, name) {
			if err := m.Subscribe(c, name, false); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range want {
		if !slices.Contains(have, name) {
			if err := m.Subscribe(c, name, true); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

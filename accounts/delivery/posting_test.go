package delivery

import (
	"context"
	"testing"
	"testing/synctest"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// allow gives rights to a mailbox of the Main Domain.
func (o *office) allow(account, box, identifier, rights string) {
	o.t.Helper()
	acc, err := o.acc.Account(context.Background(), "company.com", account)
	if err != nil {
		o.t.Fatal(err)
	}
	err = acc.Mail().ChangeACL(context.Background(), box, func(acl mailbox.ACL) (mailbox.ACL, error) { return access.Change(acl, identifier, rights) })
	if err != nil {
		o.t.Fatal(err)
	}
}

// TestWhoMayPostIntoAMailbox: mail that may not go into the mailbox that its address names is in INBOX.
func TestWhoMayPostIntoAMailbox(t *testing.T) {
	smtp := func(account string) envelope.Source {
		return envelope.Source{Tag: "SMTP", Account: account, Trusted: account != ""}
	}
	const box, boxName = "Lists#ann@company.com", "Lists"
	for name, c := range map[string]struct {
		source  envelope.Source
		to      envelope.Recipient
		acl     [2]string
		allowed bool
	}{
		"the owner":                             {source: smtp("ann@company.com"), allowed: true},
		"a user without rights":                 {source: smtp("joe@company.com")},
		"a user who may insert":                 {source: smtp("joe@company.com"), acl: [2]string{"joe", "lrswi"}},
		"a user who may post":                   {source: smtp("joe@company.com"), acl: [2]string{"joe", "p"}, allowed: true},
		"a user, where anyone may post":         {source: smtp("joe@company.com"), acl: [2]string{"anyone", "lp"}, allowed: true},
		"another user than the one who may":     {source: smtp("bob@company.com"), acl: [2]string{"joe", "p"}},
		"a user who is not there any more":      {source: smtp("gone@company.com"), acl: [2]string{"anyone@", "p"}},
		"a stranger":                            {source: smtp("")},
		"a stranger, where anyone may post":     {source: smtp(""), acl: [2]string{"anyone", "p"}, allowed: true},
		"a stranger, where users may post":      {source: smtp(""), acl: [2]string{"anyone@", "p"}},
		"a rule of an account":                  {source: envelope.Source{Tag: "RULE", Domain: "company.com", Trusted: true}},
		"a rule of the server":                  {source: envelope.Source{Tag: "SRULE", Trusted: true}, allowed: true},
		"a member of a group":                   {source: envelope.Source{Tag: "GROUP", Account: "joe@company.com"}, allowed: true},
		"mail that the owner has polled":        {source: envelope.Source{Tag: "RPOP"}, allowed: true},
		"the archive of a list":                 {source: envelope.Source{Tag: "LIST", Trusted: true}, allowed: true},
		"a subscriber of a list":                {source: envelope.Source{Tag: "LIST", Trusted: true}, to: envelope.Recipient{Token: "T1"}},
		"a subscriber, where anyone may post":   {source: envelope.Source{Tag: "LIST", Trusted: true}, to: envelope.Recipient{Token: "T1"}, acl: [2]string{"anyone", "p"}, allowed: true},
		"a stranger, to a forwarder to the box": {source: smtp(""), to: envelope.Recipient{Address: address.Address{Local: "news", Domain: "company.com"}}, allowed: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, t.TempDir())
				for _, name := range []string{"ann", "bob", "joe"} {
					o.account(name, nil)
				}
				if err := o.acc.Forwarders().Create(t.Context(), "company.com", "news", box); err != nil {
					t.Fatal(err)
				}
				o.mailbox("ann", boxName)
				if c.acl[0] != "" {
					o.allow("ann", boxName, c.acl[0], c.acl[1])
				}
				to := c.to
				if to.Address.IsNull() {
					to.Address = o.addr(box)
				}
				env := &envelope.Envelope{Source: c.source, ReturnPath: o.addr("joe@company.com"), Recipients: []envelope.Recipient{to}}
				if _, err := o.submit(env, text); err != nil {
					t.Fatal(err)
				}
				o.settled()
				in, other := len(o.box("ann", boxName)), len(o.box("ann", "INBOX"))
				if in+other != 1 || (in == 1) != c.allowed {
					t.Errorf("%d in the mailbox, %d in INBOX", in, other)
				}
			})
		})
	}
}

// An address may name a mailbox alias: the account whose alias it is needs the right to insert, the sender that to post.
func TestMailToAMailboxAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		for _, name := range []string{"ann", "bob", "joe"} {
			o.account(name, nil)
		}
		o.mailbox("bob", "Team")
		if err := o.acc.SetMailboxAliases(t.Context(), "company.com", "ann", dataformat.Dict{"shared": dataformat.String("~bob/Team"), "lost": dataformat.String("~bob/None")}); err != nil {
			t.Fatal(err)
		}
		if err := o.acc.Forwarders().Create(t.Context(), "company.com", "news", "shared#ann@company.com"); err != nil {
			t.Fatal(err)
		}
		send := func(account, to string) {
			t.Helper()
			env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Account: account, Trusted: account != ""}, ReturnPath: o.addr("joe@company.com"), Recipients: []envelope.Recipient{{Address: o.addr(to)}}}
			if _, err := o.submit(env, text); err != nil {
				t.Fatal(err)
			}
			o.settled()
		}
		count := 0
		for _, c := range []struct {
			ann, joe, from, to string
			there              bool
		}{
			{"lr", "p", "joe@company.com", "shared#ann@company.com", false}, // ann may not insert
			{"i", "lr", "joe@company.com", "shared#ann@company.com", false}, // joe may not post
			{"i", "p", "joe@company.com", "shared#ann@company.com", true},
			{"i", "p", "", "shared#ann@company.com", false},
			{"i", "", "", "news@company.com", true},
			{"", "", "", "news@company.com", false},
			{"i", "p", "joe@company.com", "lost#ann@company.com", false},
		} {
			o.allow("bob", "Team", "ann", c.ann)
			o.allow("bob", "Team", "joe", c.joe)
			send(c.from, c.to)
			if c.there {
				count++
			}
			if got := len(o.box("bob", "Team")); got != count {
				t.Errorf("%+v: %d messages there, want %d", c, got, count)
			}
		}
		if in := len(o.box("ann", "INBOX")); in != 5 {
			t.Errorf("%d messages in INBOX", in)
		}
	})
}

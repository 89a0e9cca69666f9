package mailrules

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var matrixRights = []string{"", "l", "r", "s", "w", "i", "p", "c", "d", "a", "lr", "li", "lri", "lrp", "lrswipcda"}

// matrixActions are those by which a rule of ann reaches a mailbox of archive.
var matrixActions = []struct{ level, actions string }{
	{"account", `("Store in", "~archive/All")`}, {"account", `("Store in", "~archive@corp.com/All"), (Discard)`}, {"account", `("Store in", "shared")`},
	{"account", `(Mark, Flagged), ("Store in", "~archive/All")`}, {"account", `("Store in", "~archive/All/none")`},
	{"domain", `("Store in", "~archive/All")`}, {"server", `("Store in", "~archive/All")`},
	{"account", `("Redirect To", "All#archive@corp.com"), (Discard)`}, {"account", `("Mirror to", "All#archive@corp.com"), (Discard)`},
	{"account", `("Forward to", "All#archive@corp.com"), (Discard)`},
}

// Every action that can reach a mailbox of another account is tried with every right to it. What comes of it is in testdata/access.golden.
func TestAccessMatrix(t *testing.T) {
	var out strings.Builder
	out.WriteString("# Made by go test ./accounts/mailrules -run AccessMatrix -update: where a message of a stranger to ann is after a rule with this action, by ann's rights to the mailbox All of archive.\n")
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		o.must(o.acc.SetMailboxAliases(context.Background(), "corp.com", "ann", dataformat.Dict{"shared": dataformat.String("~archive/All")}))
		n := 0
		for _, c := range matrixActions {
			fmt.Fprintf(&out, "%s rule: %s\n", c.level, c.actions)
			answers := map[string][]string{}
			var order []string
			for _, rights := range matrixRights {
				n++
				a := o.matrixAnswer(c.level, c.actions, rights, fmt.Sprintf("matrix %d.", n))
				if answers[a] == nil {
					order = append(order, a)
				}
				if rights == "" {
					rights = "none"
				}
				answers[a] = append(answers[a], rights)
			}
			for _, a := range order {
				fmt.Fprintf(&out, "  %-24s %s\n", a, strings.Join(answers[a], " "))
			}
		}
	})
	out.WriteString(attachmentMatrix(t))
	path := "testdata/access.golden"
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != out.String() {
		t.Errorf("%s differs (%v) from\n%s", path, err, out.String())
	}
}

// attachmentMatrix has Copy Attachments into, for which the rights to a directory of archive count.
func attachmentMatrix(t *testing.T) string {
	var out strings.Builder
	out.WriteString("account rule: (\"Copy Attachments into\", \"~archive/private/in\"), (Discard)\n")
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		area, err := o.files.Open(o.find("archive"))
		o.must(err)
		defer area.Close()
		o.must(area.MakeDir("private", nil))
		o.must(area.MakeDir("private/in", nil))
		o.account("ann", `((5, x, (), (("Copy Attachments into", "~archive/private/in"), (Discard))))`)
		answers := map[string][]string{}
		var order []string
		for i, rights := range []string{"", "l", "r", "w", "d", "a", "lr", "lrw", "lrwda"} {
			o.must(area.ChangeACL("private/in", func(mailbox.ACL) (mailbox.ACL, error) { return access.Change(nil, "ann", rights) }))
			name := fmt.Sprintf("%d.bin", i)
			o.must(o.send("eve@far.net", withAttachments("matrix", [2]string{named(name), name}), "ann@corp.com"))
			answer := "ann/INBOX"
			if strings.Contains(strings.Join(o.stored("archive", "private/in"), "\n"), name) {
				answer = "archive private/in"
			}
			if answers[answer] == nil {
				order = append(order, answer)
			}
			if rights == "" {
				rights = "none"
			}
			answers[answer] = append(answers[answer], rights)
		}
		if n := len(o.texts("ann", "INBOX")); n != len(answers["ann/INBOX"]) {
			t.Errorf("%d messages in INBOX", n)
		}
		for _, a := range order {
			fmt.Fprintf(&out, "  %-24s %s\n", a, strings.Join(answers[a], " "))
		}
	})
	return out.String()
}

// matrixAnswer says where a message is after a rule.
func (o *office) matrixAnswer(level, actions, rights, subject string) string {
	o.t.Helper()
	ctx := context.Background()
	o.mailbox("archive", "All")
	o.must(o.find("archive").Mail().ChangeACL(ctx, "All", func(mailbox.ACL) (mailbox.ACL, error) {
		if rights == "" {
			return nil, nil
		}
		r, err := access.ParseRights(rights)
		return mailbox.ACL{{Identifier: "ann", Rights: uint32(r)}}, err
	}))
	rule := "((5, x, ((Subject, is, \"*matrix*\")), (" + actions + ")))"
	o.server("()")
	o.domain("()")
	o.account("ann", "()")
	switch level {
	case "server":
		o.server(rule)
	case "domain":
		o.domain(rule)
	default:
		o.account("ann", rule)
	}
	o.must(o.send("eve@far.net", mailOf("From: eve@far.net", "Subject: "+subject), "ann@corp.com"))
	var where []string
	for _, at := range [][2]string{{"archive", "All"}, {"archive", "INBOX"}, {"ann", "INBOX"}} {
		for _, m := range o.box(at[0], at[1]) {
			if !strings.Contains(m.text, subject) {
				continue
			}
			where = append(where, strings.TrimSpace(at[0]+"/"+at[1]+" "+m.flags))
		}
	}
	if n := len(o.far.take()); n > 0 {
		where = append(where, "refused to its sender")
	}
	if len(where) == 0 {
		return "nowhere"
	}
	return strings.Join(where, ", ")
}

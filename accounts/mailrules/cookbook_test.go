package mailrules

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue"
	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// cookbooks are the pages with recipes: a heading, and the commands below it.
var cookbooks = []string{"../../docs/admin/rules.md", "../../docs/user/rules.md"}

// recipes reads the commands of the recipes, by their titles.
func recipes(t *testing.T) map[string][]string {
	all := map[string][]string{}
	for _, path := range cookbooks {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, book, _ := strings.Cut(string(text), "\n## Cookbook\n")
		title := ""
		for line := range strings.SplitSeq(book, "\n") {
			if name, ok := strings.CutPrefix(line, "### "); ok {
				title = name
				all[title] = nil
			} else if command, ok := strings.CutPrefix(line, "    "); ok {
				all[title] = append(all[title], command)
			}
		}
	}
	return all
}

// do carries out a command of a recipe.
func (o *office) do(command string) {
	o.t.Helper()
	verb, rest, _ := strings.Cut(command, " ")
	switch verb {
	case "SETSERVERMAILRULES":
		o.server(rest)
	case "SETDOMAINMAILRULES":
		_, rest, _ = strings.Cut(rest, " ")
		o.domain(rest)
	case "UPDATEACCOUNTMAILRULE":
		name, rest, _ := strings.Cut(rest, " ")
		v, err := dataformat.Parse([]byte(rest))
		o.must(err)
		o.must(o.acc.ChangeAccountMailRules(context.Background(), "corp.com", name, func(old *rules.Set) (*rules.Set, error) {
			return old.Update(v, rules.Account)
		}))
	default:
		o.t.Fatalf("the recipe has the command %s", command)
	}
}

// Each recipe does what its title says.
func TestCookbook(t *testing.T) {
	const from, to = "From: eve@far.net", "To: ann@corp.com"
	in := func(o *office, account, box string, want ...string) {
		o.t.Helper()
		equal(o.t.(*testing.T), account+"/"+box, subjects(o.texts(account, box)), want...)
	}
	plain := func(o *office, fields ...string) {
		o.t.Helper()
		o.must(o.send("eve@far.net", mailOf(append([]string{from, to}, fields...)...), "ann@corp.com"))
	}
	tests := map[string]func(o *office){
		"Attachments of invoices become files": func(o *office) {
			o.must(o.send("bill@shop.net", strings.Replace(withAttachments("your invoice", [2]string{named("i.pdf"), "pdf"}), "eve@far.net", "bill@shop.net", 1), "ann@corp.com"))
			o.must(o.send("eve@far.net", withAttachments("an invoice", [2]string{named("virus.exe"), "x"}), "ann@corp.com"))
			equal(o.t.(*testing.T), "files", o.stored("ann", "private/invoices"), "i.pdf: pdf")
			in(o, "ann", "INBOX", "your invoice", "an invoice")
		},
		"Spam goes into a folder of each account": func(o *office) {
			plain(o, "Subject: spam", "X-Junk-Score: 92 [XXXXXXXXXX]")
			plain(o, "Subject: ham")
			in(o, "ann", "Junk", "spam")
			in(o, "ann", "INBOX", "ham")
		},
		"A filter marks, a rule moves": func(o *office) {
			o.filters.answer["ClamSpam"] = func(*queue.Message) FilterAnswer {
				return FilterAnswer{Fields: fields("X-Junk-Score: 11 [XXXXXXXXXXX]")}
			}
			plain(o, "Subject: spam")
			in(o, "postmaster", "Spam", "spam")
			in(o, "ann", "INBOX")
		},
		"The subject of a group's mail gets a tag": func(o *office) {
			plain(o, "Cc: group1@corp.com", "Subject: x")
			plain(o, "Subject: y")
			in(o, "ann", "INBOX", "[group1] x", "y")
		},
		"Replies to a group's mail go to the group": func(o *office) {
			plain(o, "Cc: group1@corp.com", "Subject: x")
			plain(o, "Cc: group1@corp.com", "Subject: y", "Reply-To: z@far.net")
			got := o.texts("ann", "INBOX")
			if len(got) != 2 || !strings.Contains(got[0], "\r\nReply-To: group1@corp.com\r\n") || strings.Contains(got[1], "Reply-To: group1") {
				o.t.Errorf("%q", got)
			}
		},
		"All outgoing mail is kept for an auditor": func(o *office) {
			o.must(o.sendAs("ann", mailOf("Subject: out"), "x@far.net"))
			o.must(o.sendAs("ann", mailOf("Subject: within"), "bob@corp.com"))
			in(o, "archive", "Sent", "out")
		},
		"Mail that is too large is refused at once": func(o *office) {
			if err := o.send("eve@far.net", mailOf("X: "+strings.Repeat("x ", 4000)), "ann@corp.com"); !strings.Contains(fault.Text(err), "too large") {
				o.t.Error(err)
			}
			plain(o, "Subject: small")
			in(o, "ann", "INBOX", "small")
		},
		"Nobody outside writes to an internal address": func(o *office) {
			if err := o.send("eve@far.net", mailOf(from), "staff@corp.com"); !strings.Contains(fault.Text(err), "for colleagues") {
				o.t.Error(err)
			}
			o.must(o.sendAs("ann", mailOf("Subject: x"), "staff@corp.com"))
			in(o, "staff", "INBOX", "x")
		},
		"A copy of one account's mail goes to another": func(o *office) {
			o.must(o.send("eve@far.net", mailOf("Subject: x"), "bob@corp.com", "ann@corp.com"))
			in(o, "archive", "Bob", "x")
			in(o, "bob", "INBOX", "x")
		},
		"A vacation message": func(o *office) {
			plain(o, "Subject: one")
			plain(o, "Subject: two")
			if got := o.far.take(); len(got) != 1 || !strings.Contains(got[0], "I am back on Monday.\r\nYour message one waits.") {
				o.t.Errorf("%q", got)
			}
		},
		"A vacation message between two dates": func(o *office) { // the time of tests begins on 1 January 2000
			time.Sleep(time.Hour)
			plain(o, "Subject: one")
			if got := o.far.take(); len(got) != 1 {
				o.t.Errorf("%q", got)
			}
			o.must(o.find("ann").Mail().RemoveDataset(context.Background(), rules.RepliedAddresses))
			time.Sleep(14 * 24 * time.Hour)
			plain(o, "Subject: two")
			if got := o.far.take(); len(got) != 0 {
				o.t.Errorf("after it: %q", got)
			}
		},
		"All mail goes on, and a copy stays": func(o *office) {
			plain(o, "Subject: x")
			in(o, "ann", "INBOX", "x")
			if got := o.far.take(); len(got) != 1 || !strings.HasPrefix(got[0], "me@home.net from <eve@far.net>") {
				o.t.Errorf("%q", got)
			}
		},
		"All mail goes on, and none stays": func(o *office) {
			plain(o, "Subject: x")
			in(o, "ann", "INBOX")
			if got := o.far.take(); len(got) != 1 {
				o.t.Errorf("%q", got)
			}
		},
		"Mail of a list goes into its mailbox": func(o *office) {
			plain(o, "Subject: x", "List-Id: <golang-nuts.googlegroups.com>")
			in(o, "ann", "Lists/Go", "x")
			in(o, "ann", "INBOX")
		},
		"Mail of the boss is flagged": func(o *office) {
			o.must(o.send("boss@corp.com", mailOf("From: The Boss <boss@corp.com>", "Subject: now"), "ann@corp.com"))
			plain(o, "Subject: later")
			if got := o.box("ann", "INBOX"); len(got) != 2 || got[0].flags != "Flagged" || got[1].flags != "" {
				o.t.Errorf("%v", got)
			}
		},
		"Nobody of one domain gets through": func(o *office) {
			o.must(o.sendAs("bob", mailOf("From: x@enemy.net", "Subject: x"), "ann@corp.com"))
			in(o, "ann", "INBOX")
			if got := o.texts("bob", "INBOX"); len(got) != 1 || !strings.Contains(got[0], "I do not read mail from you.") {
				o.t.Errorf("%q", got)
			}
		},
	}
	book := recipes(t)
	if len(book) < 15 {
		t.Errorf("the cookbooks have %d recipes", len(book))
	}
	for title, commands := range book {
		test := tests[title]
		if test == nil || len(commands) == 0 {
			t.Errorf("the recipe %q has no test or no command", title)
			continue
		}
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, t.TempDir())
				defer o.stop()
				o.must(o.acc.CreateAccount(context.Background(), "corp.com", "staff", nil))
				for _, box := range []struct{ account, name string }{{"postmaster", "Spam"}, {"archive", "Sent"}, {"archive", "Bob"}, {"ann", "Lists/Go"}, {"ann", "Junk"}} {
					o.mailbox(box.account, box.name)
				}
				for _, command := range commands {
					o.do(command)
				}
				test(o)
			})
		})
	}
	for title := range tests {
		if _, ok := book[title]; !ok {
			t.Errorf("no cookbook has the recipe %q", title)
		}
	}
}

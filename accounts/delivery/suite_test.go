package delivery

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/queue/transporttest"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

func TestTransport(t *testing.T) { suite(t, nil, "INBOX") }

// With rules nothing is delivered twice or lost either, wherever they have it put or sent.
func TestTransportWithRules(t *testing.T) {
	for name, c := range map[string]struct {
		actions func(account string) []Action
		where   string
	}{
		"that change and store": {func(string) []Action {
			return []Action{SetHeader{Text: []byte("X-Changed: yes\r\n")}}
		}, "INBOX"},
		"that send": {func(name string) []Action {
			to := address.Address{Local: "archive", Domain: "company.com"}
			return []Action{Send{To: []address.Address{to}, Fields: []byte("X-For: " + name + "\r\n")}, Discard{}}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) { suite(t, c.actions, c.where) })
	}
}

// suite runs the tests of all transports. actions, if not nil, are those of each account's rules; where is
// the mailbox in which messages arrive then, "" for INBOX of the account archive.
func suite(t *testing.T, actions func(account string) []Action, where string) {
	accountNames := []string{"good", "other", "bad", "later"}
	var rules Rules
	if actions != nil {
		book := &ruleBook{actions: map[string][]Action{}}
		for _, name := range accountNames {
			book.actions[name] = actions(name)
		}
		rules = book
	}
	transporttest.Run(t, func(t *testing.T, dir string) *transporttest.Subject {
		var acc *accounts.Store
		made, relented := false, false
		update := func(name string, set dataformat.Dict) {
			if err := acc.AccountSettings("company.com", name).Update(context.Background(), set); err != nil {
				t.Fatal(err)
			}
		}
		open := func(q *queue.Queue, c *queue.Counter) (queue.Transport, func()) {
			log := slog.New(slog.DiscardHandler)
			var err error
			acc, err = accounts.Open(dir, accounts.Options{Log: log, MainDomain: "company.com", Shards: 1,
				NextID: func() (uint64, error) {
					id, err := c.NextID()
					return uint64(id), err
				},
				Raise: func(used uint64) error { return c.Raise(envelope.QueueID(used)) }})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range append(accountNames, "archive") {
				if made {
					break
				}
				if err := acc.CreateAccount(context.Background(), "company.com", name, nil); err != nil {
					t.Fatal(err)
				}
			}
			if !made {
				made = true
				update("bad", dataformat.Dict{"MaxMessageSize": dataformat.String("10")})
				update("later", dataformat.Dict{"AccessModes": dataformat.String("None")})
			}
			if relented {
				update("later", dataformat.Dict{"AccessModes": dataformat.String("All")})
			}
			tr := New(acc, q, nil, rules, load[Settings](t, nil), log)
			if err := tr.ForgetBut(context.Background(), q.Has); err != nil {
				t.Fatal(err)
			}
			return tr, func() {
				mailboxtest.Check(t, acc.Mail())
				if err := acc.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		return &transporttest.Subject{
			Module: router.LOCAL, Open: open, OwnDisk: true,
			Route: func(a address.Address) router.Route {
				return router.Route{Module: router.LOCAL, Queue: a.String(), Name: a.Local, Domain: a.Domain, Address: a}
			},
			Good: [2]string{"good@company.com", "other@company.com"}, Bad: "bad@company.com", Later: "later@company.com",
			Relent: func() { relented = true },
			Met: func(rcpt, subject string) int {
				o := &office{t: t, acc: acc}
				name, _, _ := strings.Cut(rcpt, "@")
				box, mark := where, ""
				if where == "" {
					name, box, mark = "archive", "INBOX", "X-For: "+name+"\r\n"
				}
				n := 0
				for _, text := range o.box(name, box) {
					if strings.Contains(text, "\r\nSubject: "+subject+"\r\n") && strings.Contains(text, mark) {
						n++
					}
				}
				return n
			},
		}
	})
}

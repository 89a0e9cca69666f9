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

func TestTransport(t *testing.T) {
	transporttest.Run(t, func(t *testing.T, dir string) *transporttest.Subject {
		var acc *accounts.Store
		made, relented := false, false
		update := func(name string, set dataformat.Dict) {
			if err := acc.UpdateAccountSettings(context.Background(), "company.com", name, set); err != nil {
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
			for _, name := range []string{"good", "other", "bad", "later"} {
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
			tr := New(acc, q, load[Settings](t, nil), log)
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
				n := 0
				for _, text := range o.box(name, "INBOX") {
					if strings.Contains(text, "\r\nSubject: "+subject+"\r\n") {
						n++
					}
				}
				return n
			},
		}
	})
}

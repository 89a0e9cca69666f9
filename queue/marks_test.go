package queue

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
)

// A mark that reaches the disk before the link of the delivery would make the
// next start skip an account that has no message.
func TestLocalDeliveryIsMarkedOnlyAfterItsLinkIsDurable(t *testing.T) {
	for _, notify := range []envelope.Notify{envelope.NotifyDefault, envelope.NotifySuccess} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, t.TempDir())
			marked := func() bool {
				data, err := os.ReadFile(filepath.Join(b.dir, "Queue", "1.msg"))
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(string(data), "R D ")
			}
			broken, syncs := true, 0
			b.local.onSync = func() error {
				syncs++
				if marked() {
					t.Error("marked before the sync")
				}
				if broken {
					return errors.New("the disk is broken")
				}
				return nil
			}
			b.remote.decide = func(*Item, int) envelope.Status { return hostDown("down") }
			b.run()
			defer b.halt()
			env := b.env("joe@far.org", "ann@company.com", "bob@far.net")
			env.Recipients[0].Notify = notify
			b.mustSubmit(env, testMessage)
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if syncs == 0 || marked() {
				t.Errorf("after %d syncs that failed: marked %v", syncs, marked())
			}
			broken = false
			env = b.env("joe@far.org", "ann@company.com", "bob@far.net")
			id := b.mustSubmit(env, testMessage)
			time.Sleep(20 * time.Second)
			data, err := os.ReadFile(filepath.Join(b.dir, "Queue", id.String()+".msg"))
			if err != nil || !strings.Contains(string(data), "R D ") {
				t.Errorf("not marked after a sync: %v %s", err, data)
			}
		})
	}
}

// A program or another server is not asked again about what it has reported, whatever
// happens while it works for the next recipient.
func TestFinalResultIsInTheFileWhenReportReturns(t *testing.T) {
	delivered := envelope.Status{Action: envelope.ActionDelivered}
	relayed := envelope.Status{Action: envelope.ActionRelayed}
	for name, c := range map[string]struct {
		status  envelope.Status
		notify  envelope.Notify
		letters string // the second once it was reported
	}{
		"delivered":                   {delivered, envelope.NotifyDefault, "D"},
		"delivered, to be reported":   {delivered, envelope.NotifySuccess, "CD"},
		"relayed":                     {relayed, envelope.NotifyDefault, "D"},
		"relayed, to be reported":     {relayed, envelope.NotifySuccess, "SD"},
		"failed":                      {refused("no"), envelope.NotifyNever, "F"},
		"failed, to be reported":      {refused("no"), envelope.NotifyDefault, "B"},
		"delayed, to be asked again":  {deferred("later"), envelope.NotifyDefault, "W"},
		"relayed, the next hop tells": {envelope.Status{Action: envelope.ActionRelayed, Passed: true}, envelope.NotifySuccess, "D"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				var while string
				b.remote.setDecide(func(it *Item, rcpt int) envelope.Status {
					if rcpt == 0 {
						return c.status
					}
					if while == "" {
						data, err := os.ReadFile(it.File)
						if err != nil {
							t.Error(err)
						}
						while = string(data[it.head.layout.StateAt(0)])
					}
					return deferred("later")
				})
				b.run()
				defer b.halt()
				e := b.env("joe@company.com", "first@far.net", "second@far.net")
				e.Recipients[0].Notify = c.notify
				b.mustSubmit(e, testMessage)
				synctest.Wait()
				if while == "" || !strings.Contains(c.letters, while) {
					t.Errorf("state %q while the second is tried, want one of %q", while, c.letters)
				}
			})
		})
	}
}

func TestResultsThatWereNotReportedAreReportedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		all := envelope.NotifySuccess | envelope.NotifyFailure
		e := b.env("joe@company.com", "sent@far.net", "made@far.net", "failed@far.net", "nobody@far.net")
		for i, st := range []envelope.State{envelope.RelayedUnreported, envelope.DeliveredUnreported, envelope.FailedUnreported, envelope.Delivered} {
			e.Recipients[i].State, e.Recipients[i].Notify = st, all
		}
		b.mustSubmit(e, testMessage)
		b.reopen(nil)
		b.run()
		synctest.Wait()
		time.Sleep(time.Minute)
		b.halt()
		if n := len(b.remote.attempts()); n != 0 {
			t.Errorf("asked %d times", n)
		}
		got := strings.Join(b.local.messages("joe@company.com"), "")
		for _, want := range []string{
			"Delivered to 'sent@far.net'\r\nSMTP module(domain far.net) reports:\r\n was relayed to another server\r\n",
			"Action: relayed\r\nStatus: 2.0.0\r\n",
			"Delivered to 'made@far.net'\r\nSMTP module(domain far.net) reports:\r\n was delivered\r\n",
			"Failed to deliver to 'failed@far.net'\r\nSMTP module(domain far.net) reports:\r\n delivery failed; the reason is in the log of this server\r\n",
			"Action: failed\r\nStatus: 5.0.0\r\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		if strings.Contains(got, "nobody@far.net") || b.files() != "" {
			t.Errorf("left %q, reports\n%s", b.files(), got)
		}
	})
}

package queue

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
)

// A report that cannot be stored is tried every minute. That is one report.
func TestReportThatIsMadeAgainCountsOnceForAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.set = testSettings(t, dataformat.Dict{"ReportsToStrangers": dataformat.Array{dataformat.Number(5), dataformat.String("1h")}})
		full := true
		b.reopen(func(d disk) disk {
			return &frail{disk: d, dir: b.q.dir, unsaved: map[string]bool{}, fail: func(step string) error {
				if full && step == "create" {
					return os.ErrPermission
				}
				return nil
			}}
		})
		b.local.setDecide(func(it *Item, _ int) envelope.Status {
			if it.Envelope.Source.Tag == tagDSN {
				return envelope.Status{Action: envelope.ActionDelivered}
			}
			return refused("no")
		})
		env := b.env("joe@far.org", "ann@company.com")
		env.Source.Trusted = false
		full = false
		if _, err := b.submit(env, testMessage); err != nil {
			t.Fatal(err)
		}
		full = true
		b.run()
		time.Sleep(30*time.Minute + time.Second)
		synctest.Wait()
		full = false
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		b.halt()
		if got := b.remote.messages("joe@far.org"); len(got) != 1 {
			t.Errorf("joe got %d reports", len(got))
		}
	})
}

package queue

import (
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/server/dataformat"
)

// A report that cannot be stored is tried every minute. That is one report.
func TestReportThatIsMadeAgainCountsOnceForAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.set = testSettings(t, dataformat.Dict{"ReportsToStrangers": dataformat.Array{dataformat.Number(5), dataformat.String("1h")}})
		var full atomic.Bool
		full.Store(true)
		b.reopen(func(d disk.Disk) disk.Disk {
			return failing(d, b.dir, func(step string) error {
				if full.Load() && step == "create" {
					return os.ErrPermission
				}
				return nil
			})
		})
		b.local.setDecide(func(it *Item, _ int) envelope.Status {
			if it.Envelope.Source.Tag == TagDSN {
				return envelope.Status{Action: envelope.ActionDelivered}
			}
			return refused("no")
		})
		env := b.env("joe@far.org", "ann@company.com")
		env.Source.Trusted = false
		full.Store(false)
		if _, err := b.submit(env, testMessage); err != nil {
			t.Fatal(err)
		}
		full.Store(true)
		b.run()
		time.Sleep(30*time.Minute + time.Second)
		synctest.Wait()
		full.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		b.halt()
		if got := b.remote.messages("joe@far.org"); len(got) != 1 {
			t.Errorf("joe got %d reports", len(got))
		}
	})
}

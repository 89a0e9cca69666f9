package queue

import (
	"context"
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
			b.q.OnFinish(func(context.Context) error {
				syncs++
				if marked() {
					t.Error("marked before the sync")
				}
				if broken {
					return errors.New("the disk is broken")
				}
				return nil
			}, nil)
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

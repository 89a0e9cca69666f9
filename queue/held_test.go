package queue

import (
	"errors"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/queue/internal/disk/disktest"
	"gatepost/server/fault"
)

// hold makes a held message to bob.
func (b *bench) hold() (envelope.QueueID, error) {
	s, err := b.q.BeginHeld(b.t.Context(), b.env("ann@company.com", "bob@company.com"))
	if err != nil {
		return 0, err
	}
	defer s.Abort()
	if _, err := io.WriteString(s, testMessage); err != nil {
		return 0, err
	}
	return s.ID(), s.Hold(b.t.Context())
}

func TestHeldMessageIsDeliveredOncePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		defer b.halt()
		id, err := b.hold()
		must(t, err)
		time.Sleep(time.Hour)
		if n := len(b.local.messages("bob@company.com")); n != 0 || b.q.Len() != 0 || b.files() != id.String()+".held" {
			t.Errorf("%d messages arrived, %d are in the queue, files: %s", n, b.q.Len(), b.files())
		}
		must(t, b.q.Publish(id))
		must(t, b.q.Publish(id)) // again, after a delivery that was repeated
		synctest.Wait()
		time.Sleep(time.Minute)
		if n := len(b.local.messages("bob@company.com")); n != 1 || b.files() != "" || len(b.q.Held()) > 0 {
			t.Errorf("%d messages arrived, files: %s, held: %v", n, b.files(), b.q.Held())
		}
	})
}

func TestHeldMessageThatIsDroppedIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		defer b.halt()
		id, err := b.hold()
		must(t, err)
		must(t, b.q.Drop(id))
		must(t, b.q.Drop(id))
		must(t, b.q.Publish(id))
		time.Sleep(time.Hour)
		if n := len(b.local.messages("bob@company.com")); n != 0 || b.files() != "" {
			t.Errorf("%d messages arrived, files: %s", n, b.files())
		}
	})
}

func TestHeldMessageIsRefusedAsOthersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		defer b.halt()
		s, err := b.q.BeginHeld(t.Context(), b.env("ann@company.com", "unknown@company.com"))
		must(t, err)
		if err := s.Hold(t.Context()); !fault.Is(err, fault.NotFound) || b.files() != "" {
			t.Errorf("%v, files: %s", err, b.files())
		}
	})
}

// A crash at any step of Hold and Publish: what Hold has returned is held or published after it, and
// never both; what it has not returned is held at most, and goes when it is dropped.
func TestCrashesAroundHeldMessages(t *testing.T) {
	for stop := 1; ; stop++ {
		over := true
		for _, lost := range disktest.Losses {
			done := false
			synctest.Test(t, func(t *testing.T) {
				var f *disktest.Disk
				b := open(t, t.TempDir())
				b.reopen(func(d disk.Disk) disk.Disk {
					f = disktest.New(d, filepath.Join(b.dir, "Queue"), stop)
					return f
				})
				id, held := b.hold()
				published := errors.New("not tried")
				if held == nil {
					published = b.q.Publish(id)
				}
				done = held == nil && published == nil
				f.Lose(t, lost)
				b.reopen(nil)
				list := b.q.Held()
				switch {
				case held == nil && len(list)+b.q.Len() != 1:
					t.Errorf("step %d: after Hold %v are held, %d in the queue", stop, list, b.q.Len())
				case held != nil && len(list)+b.q.Len() > 1:
					t.Errorf("step %d: %v are held, %d in the queue", stop, list, b.q.Len())
				case published == nil && b.q.Len() != 1:
					t.Errorf("step %d: after Publish %v are held, %d in the queue", stop, list, b.q.Len())
				}
				for _, id := range list { // nobody has a record of it
					if held == nil {
						must(t, b.q.Publish(id))
					} else {
						must(t, b.q.Drop(id))
					}
				}
				b.run()
				time.Sleep(time.Hour)
				b.halt()
				want := 0
				if held == nil {
					want = 1
				}
				if n := len(b.local.messages("bob@company.com")); n != want || b.files() != "" {
					t.Errorf("step %d: %d messages arrived, want %d, files: %s", stop, n, want, b.files())
				}
			})
			over = over && done
		}
		if over {
			if stop < 6 {
				t.Errorf("only %d steps", stop)
			}
			return
		}
	}
}

package mailbox

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

func TestTheQuotaHoldsForEveryWayIn(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.limits = Limits{MaxSize: int64(3*len(text(1))) + 10}
	w.append(a, "INBOX", 1)
	m := w.view(a, "INBOX")
	if _, err := m.Copy(bg, []imap.UID{1}, "Trash"); err != nil {
		t.Fatal(err)
	}
	w.append(a, "INBOX", 2)
	m.Sync(true)
	_, err := a.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader(text(3))})
	wantKind(t, err, fault.OverQuota)
	_, err = m.Copy(bg, []imap.UID{1}, "Trash")
	wantKind(t, err, fault.OverQuota)
	_, err = m.CopyTo(bg, []imap.UID{1}, a, "INBOX")
	wantKind(t, err, fault.OverQuota)
	if err := a.Fits(bg, 10); err != nil {
		t.Error(err)
	}
	wantKind(t, a.Fits(bg, 11), fault.OverQuota)
	wantKind(t, a.Fits(bg, math.MaxInt64), fault.OverQuota)
	d := w.queued(4)
	wantKind(t, a.Deliver(bg, []Delivery{d})[0], fault.OverQuota)
	if _, err := m.Move(bg, []imap.UID{1}, "Trash"); err != nil { // takes no space
		t.Error(err)
	}
	u, err := a.Usage(bg)
	if err != nil || u.Bytes != int64(3*len(text(1))) || u.Messages != 3 {
		t.Errorf("usage %+v, %v", u, err)
	}
	expunge(t, m, 2)
	w.limits.MaxSize += 100
	w.deliver(a, d)
	w.settle()
}

func TestDeliveriesStopAtTheSuspendLevel(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.limits = Limits{MaxSize: 1000, SuspendPercent: 20}
	ds := []Delivery{w.queued(1), w.queued(2), w.queued(3)}
	errs := a.Deliver(bg, ds)
	if errs[0] != nil || errs[1] != nil && !fault.Is(errs[1], fault.OverQuota) || !fault.Is(errs[2], fault.OverQuota) {
		t.Errorf("got %v", errs)
	}
	w.append(a, "INBOX", 1) // the user still may
	w.settle()
}

func TestRacingChangesCannotPassTheQuota(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	size := int64(len(text(1)))
	w.limits = Limits{MaxSize: 5*size + size/2}
	var wg sync.WaitGroup
	var stored atomic.Int64
	for range 4 {
		wg.Go(func() {
			for range 5 {
				_, err := a.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader(text(1))})
				if err == nil {
					stored.Add(1)
				} else if !fault.Is(err, fault.OverQuota) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if stored.Load() != 5 {
		t.Errorf("%d messages fit", stored.Load())
	}
	w.settle()
}

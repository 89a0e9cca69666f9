package mailbox

import (
	"runtime"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

func TestTheCacheKeepsTheBoxesThatWereUsedLast(t *testing.T) {
	var c viewCache
	boxes := make([]*box, maxCachedBoxes+2)
	for i := range boxes {
		boxes[i] = &box{uids: make([]imap.UID, 10)}
	}
	for _, b := range boxes[:maxCachedBoxes] {
		if out := c.add(b); len(out) > 0 {
			t.Fatal("a box went too early")
		}
	}
	c.add(boxes[0]) // used again
	c.remove(boxes[2])
	if out := c.add(boxes[maxCachedBoxes]); len(out) > 0 {
		t.Error("there was room for one")
	}
	if out := c.add(boxes[maxCachedBoxes+1]); len(out) != 1 || out[0] != boxes[1] {
		t.Error("not the oldest box went")
	}
	big := &box{uids: make([]imap.UID, maxCachedMessages+1)}
	if out := c.add(big); len(out) != maxCachedBoxes+1 || c.messages != 0 || c.list.Len() != 0 {
		t.Errorf("%d boxes went for one that is too large", len(out))
	}
}

func TestAMailboxThatIsOpenedAgainIsNotLoadedAgain(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	m := w.view(a, "INBOX")
	m.Close()
	w.deliver(a, w.queued(2)) // boxes in the cache hear of changes too
	again := w.view(a, "INBOX")
	if again.box != m.box {
		t.Error("it was loaded again")
	}
	wantView(t, again, "1:- 2:Recent")
	again.Close()
	w.store.views.remove(again.box)
	a.evict(again.box)
	third := w.view(a, "INBOX")
	if third.box == m.box {
		t.Error("it was not forgotten")
	}
	wantView(t, third, "1:- 2:-")
}

func TestHandlesOfAccountsThatNobodyHoldsGo(t *testing.T) {
	w := newWorld(t)
	for id := range uint64(20) {
		w.account(id + 1)
	}
	for range 1000 {
		runtime.GC()
		w.store.mu.Lock()
		n := len(w.store.accounts)
		w.store.mu.Unlock()
		if n == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Error("handles stay")
}

func TestSyncLinksCoversManyDirectoriesAndMissingOnes(t *testing.T) {
	w := newWorld(t)
	for id := range uint64(3 * fewDirs) {
		w.deliver(w.account(id+1), w.queued(1))
	}
	w.store.links.touch(messageDir{w.account(1), 7}) // is not there
	if err := w.store.SyncLinks(bg); err != nil {
		t.Error(err)
	}
	if len(w.store.links.touched) > 0 {
		t.Error("something is left to sync")
	}
	w.store.links.broken = fault.New("test", fault.Internal, "")
	wantKind(t, w.store.SyncLinks(bg), fault.Unavailable)
}

package mailbox

import (
	"testing"
)

func TestNumbersRiseAboveThoseOfTheStoreWhenTheCounterIsLost(t *testing.T) {
	w := newWorld(t)
	for n := range 3 {
		for id := range uint64(2) { // in each shard
			w.append(w.account(id+1), "INBOX", n)
		}
	}
	used := w.ids.Load()
	w.close()
	w.ids.Store(0)
	raised := uint64(0)
	s, err := Open(w.base, Options{NextID: func() (uint64, error) { return w.ids.Add(1), nil }, Owners: w.visit,
		Raise: func(n uint64) error { raised = n; w.ids.Store(n); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	w.store, w.closed = s, false
	if raised != used {
		t.Errorf("raised to %d, want %d", raised, used)
	}
	w.append(w.account(1), "INBOX", 9)
}

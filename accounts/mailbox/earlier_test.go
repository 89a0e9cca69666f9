package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// earlier is a world with an account whose queue holds a message that an earlier
// run has accepted.
func earlier(t *testing.T) (w *world, d Delivery) {
	w = newWorld(t)
	w.append(w.account(1), "INBOX", 1)
	d = w.queued(2)
	w.close()
	w.open()
	w.append(w.account(1), "INBOX", 3) // the index reaches beyond the queue ID
	return w, d
}

// linked makes the link of a delivery, and no record.
func (w *world) linked(a *Account, d Delivery) {
	w.t.Helper()
	if err := a.link(&delivery{Delivery: &d}); err != nil {
		w.t.Fatal(err)
	}
}

// wantFiles compares the names in the account's first message directory with those
// of INBOX's messages.
func (w *world) wantFiles(a *Account) {
	w.t.Helper()
	var names []string
	err := a.shard.View(func(tx index.Tx) error {
		return eachSummary(tx, a.id, func(_ uint32, _ imap.UID, s *summary) bool {
			names = append(names, "0/"+strconv.FormatUint(s.id, 10))
			return true
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	files := w.files(a)
	slices.Sort(names)
	slices.Sort(files)
	if !slices.Equal(files, names) {
		w.t.Errorf("the files are %v, the messages' %v", files, names)
	}
}

// What becomes of a link that a killed run has made for a message of an earlier run.
func TestLinkOfAnEarlierMessageThatAKillLeaves(t *testing.T) {
	again := func(w *world, a *Account, d Delivery) { w.deliver(a, d) }
	full := func(w *world, a *Account, d Delivery) {
		w.limits = Limits{MaxSize: 1}
		wantKind(w.t, a.Deliver(bg, []Delivery{d})[0], fault.OverQuota)
	}
	gone := func(w *world, a *Account, d Delivery) {
		if err := os.Remove(d.File); err != nil {
			w.t.Fatal(err)
		}
		w.store.Forget([]uint64{d.QueueID})
	}
	sweep := func(w *world, _ *Account, _ Delivery) { w.settleSweeps() }
	kill := func(w *world, _ *Account, _ Delivery) { w.crash(); w.open() }
	retaken := func(w *world, a *Account, d Delivery) { w.linked(a, d) }
	for name, steps := range map[string][]func(*world, *Account, Delivery){
		"it waits, and nobody uses the account":     {},
		"it waits":                                  {sweep},
		"it is delivered":                           {again},
		"it is delivered after a look":              {sweep, again},
		"it does not fit":                           {full},
		"it does not fit, and expires":              {full, sweep, gone},
		"it is gone when the account is used":       {gone, sweep},
		"it is gone after a look":                   {sweep, gone},
		"the next run is killed too":                {retaken, sweep, kill, sweep},
		"the next run is killed too, it is gone":    {retaken, sweep, kill, gone, sweep},
		"the next run is killed too, it comes":      {retaken, sweep, kill, again},
		"the next run is killed, nobody is looking": {kill, gone, sweep},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := earlier(t)
			w.linked(w.account(1), d)
			w.crash()
			w.open()
			w.check()
			for _, step := range steps {
				step(w, w.account(1), d)
				w.check()
			}
			w.close()
			w.open()
			w.check()
			w.settleSweeps()
			w.account(1)
			w.settleSweeps()
			w.check()
			w.wantFiles(w.account(1))
		})
	}
}

// The same, where the run that was killed had accepted the message itself.
func TestLinkThatTwoKilledRunsHaveTaken(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d := w.queued(1)
	w.append(a, "INBOX", 2)
	w.linked(a, d)
	w.crash()
	w.open()
	w.linked(w.account(1), d) // and is in use while the account is looked through
	w.settleSweeps()
	w.crash()
	w.open()
	w.check()
	w.account(1)
	w.settleSweeps()
	w.check()
	w.wantFiles(w.account(1))
}

func TestKillAfterTheRecordOfAnEarlierMessageKeepsIt(t *testing.T) {
	w, d := earlier(t)
	a := w.account(1)
	w.deliver(a, d)
	// The kill came before the sign of the delivery was taken away.
	if err := os.WriteFile(a.path(fileRef{d.QueueID, 0})+underWaySuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.crash()
	w.open()
	w.check()
	a = w.account(1)
	w.settleSweeps()
	w.check()
	w.wantFiles(a)
	m := w.view(a, "INBOX")
	if got := read(t, m, 3); !strings.HasSuffix(got, text(2)) {
		t.Errorf("the message is %q", got)
	}
}

// A queue file that was put back is delivered again: the first message has the link.
func TestRefusedDeliveryKeepsTheFileOfAMessage(t *testing.T) {
	w, d := earlier(t)
	a := w.account(1)
	w.deliver(a, d)
	w.store.Forget([]uint64{d.QueueID})
	w.settle()
	w.limits = Limits{MaxSize: 1}
	wantKind(t, a.Deliver(bg, []Delivery{d})[0], fault.OverQuota)
	w.check()
	w.wantFiles(a)
}

// Mail of this run pays nothing: its numbers tell whose it is.
func TestOnlyDeliveriesOfEarlierMessagesLeaveASign(t *testing.T) {
	w, d := earlier(t)
	a := w.account(1)
	young := w.queued(4)
	for _, c := range []struct {
		d    Delivery
		sign bool
	}{{d, true}, {young, false}} {
		w.linked(a, c.d)
		_, err := os.Stat(filepath.Join(a.dirPath(0), strconv.FormatUint(c.d.QueueID, 10)+underWaySuffix))
		if there := err == nil; there != c.sign {
			t.Errorf("%d: %v", c.d.QueueID, err)
		}
		a.files.end(c.d.QueueID)
	}
	w.deliver(a, d, young)
	w.wantFiles(a)
}

// Somebody expunges a message while its sign is being taken away.
func TestExpungeOfAMessageThatIsLookedAtRemovesItsFile(t *testing.T) {
	w, d := earlier(t)
	a := w.account(1)
	w.deliver(a, d)
	if err := os.WriteFile(a.path(fileRef{d.QueueID, 0})+underWaySuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a.looking.Lock()
	strays, err := a.strays(bg)
	if err != nil || len(strays) != 1 {
		t.Fatalf("found %v, %v", strays, err)
	}
	m := w.view(a, "INBOX")
	expunge(t, m, 3)
	m.Sync(true)
	os.Remove(a.show(strays[0]))
	a.letGo(strays)
	a.looking.Unlock()
	w.settle()
	w.wantFiles(a)
}

// firstQueued is the queue ID of the first message that is to be delivered.
const firstQueued = 1000

// A process is killed while it delivers what earlier runs have accepted, and expunges
// what they have delivered. Half of the queue is delivered then, the other half has
// left it before somebody looks.
func TestAKilledServerLeavesNoFilesOfEarlierMessages(t *testing.T) {
	if base := os.Getenv(victimVariable); base != "" {
		deliverUntilKilled(t, base)
		return
	}
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	left, removed := 0, 0
	for round := range rounds {
		w := newWorld(t)
		for id := range uint64(3) {
			var ds []Delivery
			for n := range 100 {
				ds = append(ds, w.queued(n))
			}
			w.deliver(w.account(id+1), ds...)
			for _, d := range ds {
				if err := os.Remove(d.File); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.ids.Store(firstQueued - 1)
		var ds []Delivery
		for n := range 300 {
			ds = append(ds, w.queued(n))
		}
		w.close()
		killVictim(t, w, time.Duration(5+15*round)*time.Millisecond)
		signs, err := filepath.Glob(filepath.Join(w.base, "Accounts", "*", messagesDir, "0", "*"+underWaySuffix))
		if err != nil {
			t.Fatal(err)
		}
		left += len(signs)
		w.ids.Store(1 << 32) // a counter never goes back
		w.open()
		for id := range w.owners {
			removed += w.removals(w.store.Account(w.owners[id]))
		}
		w.check()
		for i, d := range ds {
			a := w.account(uint64(i%3 + 1))
			if i/3%2 == 0 {
				w.deliver(a, d)
			} else if err := os.Remove(d.File); err != nil {
				t.Fatal(err)
			}
		}
		w.check()
		w.settleSweeps()
		w.settle()
		w.check()
		for id := range w.owners {
			w.wantFiles(w.account(id))
			if n := w.removals(w.account(id)); n != 0 {
				t.Errorf("%d files are still noted as removed", n)
			}
		}
		w.close()
	}
	t.Logf("the kills came in %d deliveries, and when %d files were noted as removed", left, removed)
}

// deliverUntilKilled delivers the messages of the test that started this process.
func deliverUntilKilled(t *testing.T, base string) {
	w := &world{t: t, base: base, ids: &atomic.Uint64{}, limits: Limits{MaxSize: -1}, owners: make(map[uint64]Owner)}
	w.ids.Store(1 << 20)
	w.open()
	list, err := filepath.Glob(filepath.Join(base, "Queue", "*.msg"))
	if err != nil {
		t.Fatal(err)
	}
	ds := make([]Delivery, len(list))
	for _, path := range list {
		var id uint64
		fmt.Sscanf(filepath.Base(path), "%d.msg", &id)
		n := int(id) - firstQueued
		ds[n] = Delivery{QueueID: id, File: path, Offset: int64(len(queueHead)), Size: int64(len(text(n)))}
	}
	fmt.Println("ready")
	var wg sync.WaitGroup
	for worker := range 6 {
		account := worker%3 + 1
		a := w.store.Account(Owner{ID: uint64(account), Dir: filepath.Join(base, "Accounts", fmt.Sprintf("user%d.macnt", account))})
		wg.Go(func() {
			for n := worker; n < len(ds); n += 6 {
				w.deliver(a, ds[n])
				if worker < 3 && n%2 == 0 {
					w.expungeSome(a)
				}
			}
		})
	}
	wg.Wait()
	select {} // until it is killed
}

// expungeSome removes the first messages of INBOX.
func (w *world) expungeSome(a *Account) {
	m, err := a.Open(bg, "INBOX", false)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer m.Close()
	expunge(w.t, m, m.UIDs()[:min(5, m.Len())]...)
}

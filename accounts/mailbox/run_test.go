package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// restored is a world whose index was put back to how it was before its second
// message came.
func restored(t *testing.T, end func(w *world)) (w *world, young string) {
	w = newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	w.close()
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(w.base, "Index"))); err != nil {
		t.Fatal(err)
	}
	w.open()
	a = w.account(1)
	w.append(a, "INBOX", 2)
	young = w.files(a)[1]
	end(w)
	index := filepath.Join(w.base, "Index")
	list, err := filepath.Glob(filepath.Join(index, "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		b, err := os.ReadFile(filepath.Join(backup, filepath.Base(f)))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.open()
	return w, young
}

func TestCheckReportsMailThatARestoredIndexDoesNotNameAndKeepsIt(t *testing.T) {
	w, young := restored(t, (*world).close)
	a := w.account(1)
	var got []string
	if err := w.store.Check(bg, func(f Finding) { got = append(got, f.String()) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || !strings.Contains(got[0], "no message has the file") {
		t.Errorf("found %q", got)
	}
	if _, err := os.Stat(filepath.Join(a.owner.Load().Dir, messagesDir, young)); err != nil {
		t.Error(err)
	}
	w.close()
}

func TestMailThatARestoredIndexDoesNotNameOutlivesTheSweepAfterACrash(t *testing.T) {
	w, young := restored(t, (*world).crash)
	a := w.account(1)
	w.settleSweeps()
	b, err := os.ReadFile(filepath.Join(a.owner.Load().Dir, leftoversDir, filepath.Base(young)))
	if err != nil || string(b) != text(2) {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSweepLeavesFilesOfEarlierRunsAlone(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	old := fmt.Sprint("0/", w.ids.Add(1))
	w.write(a, old)
	w.close()
	w.open()
	w.append(w.account(1), "INBOX", 2) // the index reaches beyond the file
	w.crash()
	w.open()
	a = w.account(1)
	w.settleSweeps()
	if files := strings.Join(w.files(a), " "); !strings.Contains(files, old) {
		t.Errorf("%s is gone: %s", old, files)
	}
	w.close()
}

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

func TestSweepTakesWhatTwoCrashesInARowHaveLeft(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	left := fmt.Sprint("0/", w.ids.Add(1))
	w.write(a, left)
	w.append(a, "INBOX", 1) // the index reaches beyond the file
	w.crash()
	w.open()
	w.crash() // before anything was swept
	w.open()
	a = w.account(1)
	w.settleSweeps()
	if files := strings.Join(w.files(a), " "); strings.Contains(files, left) {
		t.Errorf("%s is still there: %s", left, files)
	}
	w.close()
}

func TestStopBeforeTheSweepLeavesItToTheNextRun(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	left := fmt.Sprint("0/", w.ids.Add(1))
	w.write(a, left)
	w.append(a, "INBOX", 1) // the index reaches beyond the file
	w.crash()
	w.open()
	w.store.upkeep.pause()
	w.store.upkeep.meet(w.account(1))
	w.close()
	w.open()
	a = w.account(1)
	w.settleSweeps()
	if files := strings.Join(w.files(a), " "); strings.Contains(files, left) {
		t.Errorf("%s is still there: %s", left, files)
	}
	w.close()
}

// The delivery that is repeated after a crash takes the file of the first over, also
// when somebody just looks whether that is a leftover: it does not stay behind.
func TestRepeatedDeliveryWaitsForWhoLooksAtItsFile(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1) // makes the directory
	d := w.queued(2)
	path := a.path(fileRef{d.QueueID, 0})
	if err := os.Link(d.File, path); err != nil {
		t.Fatal(err)
	}
	a.looking.Lock()
	a.files.take(d.QueueID)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.deliver(a, d)
	}()
	for range 100_000 { // the delivery ends, or comes to where it waits
		select {
		case <-done:
		default:
			runtime.Gosched()
		}
	}
	a.files.unlinked(d.QueueID)
	a.looking.Unlock()
	<-done
	if files := w.files(a); len(files) != 2 || !slices.Contains(files, fmt.Sprint("0/", d.QueueID)) {
		t.Errorf("the files are %v", files)
	}
}

// An account that nobody uses between a crash and later orderly stops keeps its
// leftovers until it is used; nobody is alarmed in between.
func TestLeftoversOfAnUnusedAccountWaitForItsNextUse(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	older := fmt.Sprint("0/", w.ids.Add(1))
	w.write(a, older)
	w.append(a, "INBOX", 1) // the index reaches beyond the file
	younger := fmt.Sprint("0/", w.ids.Add(1))
	w.write(a, younger)
	w.crash()
	for range 3 {
		w.open()
		w.check()
		w.close()
	}
	w.open()
	other := w.account(3) // of the same shard: now the index reaches beyond both
	w.append(other, "INBOX", 1)
	w.settleSweeps()
	w.close()
	w.open()
	a = w.account(1)
	w.settleSweeps()
	if files := w.files(a); len(files) != 1 || files[0] == older || files[0] == younger {
		t.Errorf("the files are %v", files)
	}
	dir := filepath.Join(a.owner.Load().Dir, leftoversDir)
	if _, err := os.Stat(filepath.Join(dir, filepath.Base(younger))); err != nil {
		t.Error("what the index could not know at the crash was not set aside:", err)
	}
	var notes []string
	if err := w.store.Check(bg, func(f Finding) { notes = append(notes, f.String()) }); err != nil {
		t.Fatal(err)
	}
	if want := "note: " + a.owner.Load().Dir + ": 1 files without a record were set aside in its directory Leftovers"; len(notes) != 1 || notes[0] != want {
		t.Errorf("check says %q, want %q", notes, want)
	}
}

func TestSweepIsDoneOnceAfterACrash(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	left := fmt.Sprint("0/", w.ids.Add(1))
	w.append(a, "INBOX", 1)
	w.crash()
	for range 2 {
		w.open()
		a = w.account(1)
		w.settleSweeps()
		w.close()
	}
	w.write(a, left) // has a number of the crashed run and is none of its leftovers
	w.open()
	a = w.account(1)
	w.settleSweeps()
	if files := strings.Join(w.files(a), " "); !strings.Contains(files, left) {
		t.Errorf("%s is gone: %s", left, files)
	}
	w.close()
}

func TestWhatIsRememberedOfCrashesIsBounded(t *testing.T) {
	w := newWorld(t)
	w.account(1)
	for range maxCrashes + 5 {
		w.crash()
		w.open()
	}
	for _, list := range w.store.crashes {
		if len(list) != maxCrashes || list[len(list)-1].end != w.store.firstID {
			t.Errorf("%d crashes, the last is %v", len(list), list[len(list)-1])
		}
	}
}

// A start that fails after the shards were told tells them again.
func TestACrashIsRememberedOnce(t *testing.T) {
	w := newWorld(t)
	w.account(1)
	w.crash()
	marker := filepath.Join(w.base, "Index", "open")
	before, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	w.open()
	w.crash()
	if err := os.WriteFile(marker, before, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	for _, list := range w.store.crashes {
		if len(list) != 1 || list[0].end != w.store.firstID {
			t.Errorf("crashes %v", list)
		}
	}
}

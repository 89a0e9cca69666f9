package mailbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

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
	names = slices.Compact(names) // copies have one
	slices.Sort(files)
	if !slices.Equal(files, names) {
		w.t.Errorf("the files are %v, the messages' %v", files, names)
	}
}

// moved lists what is in the account's Leftovers, without the times.
func (w *world) moved(a *Account) (names []string) {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(a.owner.Load().Dir, leftoversDir, "*", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range list {
		names = append(names, filepath.Base(path))
	}
	return names
}

func (w *world) wantMoved(a *Account, want ...string) {
	w.t.Helper()
	if got := w.moved(a); !slices.Equal(got, want) {
		w.t.Errorf("in Leftovers is %v, want %v", got, want)
	}
}

func TestWhatACrashLeavesIsMovedBeforeTheNextFileIsMade(t *testing.T) {
	for name, before := range map[string]func(w *world, a *Account) (left []string){
		"nothing": func(*world, *Account) []string { return nil },
		"a file without a record": func(w *world, a *Account) []string {
			w.write(a, "0/77")
			return []string{"0-77"}
		},
		"half a file": func(w *world, a *Account) []string {
			w.write(a, "0/77"+msgfile.TmpSuffix)
			return []string{"0-77" + msgfile.TmpSuffix}
		},
		"the link of a delivery": func(w *world, a *Account) []string {
			d := w.queued(5)
			if err := a.link(&delivery{Delivery: &d}); err != nil {
				w.t.Fatal(err)
			}
			return []string{fmt.Sprint("0-", d.QueueID)}
		},
		"second names of files": func(w *world, a *Account) []string {
			if err := os.Mkdir(filepath.Join(a.owner.Load().Dir, msgfile.Directory, "7"), 0o700); err != nil {
				w.t.Fatal(err)
			}
			var left []string
			for _, f := range w.files(a) {
				w.write(a, strings.Replace(f, "0/", "7/", 1))
				left = append(left, strings.Replace(f, "0/", "7-", 1))
			}
			return left
		},
		"an expunge without its unlink": func(w *world, a *Account) []string {
			left := strings.ReplaceAll(w.files(a)[0], "/", "-")
			expunge(w.t, w.view(a, "INBOX"), 1)
			return []string{left}
		},
		"an expunge that a session still shows": func(w *world, a *Account) []string {
			left := strings.ReplaceAll(w.files(a)[0], "/", "-")
			w.view(a, "INBOX")
			expunge(w.t, w.view(a, "INBOX"), 1)
			return []string{left}
		},
		"a deleted mailbox": func(w *world, a *Account) []string {
			left := strings.ReplaceAll(w.files(a)[0], "/", "-")
			if _, err := w.view(a, "INBOX").Move(bg, []imap.UID{1}, "Trash"); err != nil {
				w.t.Fatal(err)
			}
			if err := a.DeleteMailbox(bg, "Trash"); err != nil {
				w.t.Fatal(err)
			}
			return []string{left}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.account(1)
			w.append(a, "INBOX", 1)
			w.deliver(a, w.queued(2))
			w.store.upkeep.pause()
			left := before(w, a)
			w.crash()
			w.open()
			w.check() // nobody is alarmed
			a = w.account(1)
			w.append(a, "INBOX", 3)
			w.wantFiles(a)
			w.wantMoved(a, left...)
			if n, kept := records(a), contents(a); n != kept {
				t.Errorf("%d records and %d contents", n, kept)
			}
			w.check()
			w.reopen()
			w.append(w.account(1), "INBOX", 4)
			w.wantMoved(a, left...)
		})
	}
}

// A session looks at messages before the account gets a file after a crash, and removes one.
func TestLeftoversAreToldFromFilesThatAreInUse(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	w.append(a, "INBOX", 2)
	w.write(a, "0/77")
	w.crash()
	w.open()
	a = w.account(1)
	m := w.view(a, "INBOX")
	w.store.upkeep.pause()
	expunge(t, m, 1)
	w.deliver(a, w.queued(3))
	w.wantMoved(a, "0-77")
	if got := read(t, m, 1); got != text(1) {
		t.Errorf("read %q", got)
	}
	m.Sync(true)
	w.store.upkeep.closing, w.store.upkeep.done = false, make(chan struct{})
	go w.store.upkeep.run()
	w.settle()
	w.wantFiles(a)
}

// A mailbox is deleted before the account gets a file after a crash, while a session still shows it.
func TestFilesOfADeletedMailboxGoWithItsLastView(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	if _, err := a.CreateMailbox(bg, "Box", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.append(a, "Box", 1)
	w.crash()
	w.open()
	a = w.account(1)
	m := w.view(a, "Box")
	w.store.upkeep.pause()
	if err := a.DeleteMailbox(bg, "Box"); err != nil {
		t.Fatal(err)
	}
	w.deliver(a, w.queued(3))
	if got := read(t, m, 1); got != text(1) {
		t.Errorf("read %q", got)
	}
	w.store.upkeep.closing, w.store.upkeep.done = false, make(chan struct{})
	go w.store.upkeep.run()
	m.Close()
	w.settle()
	w.wantFiles(a)
}

func TestADeliveryThatIsRepeatedAfterACrashIsMadeOnce(t *testing.T) {
	for name, before := range map[string]func(w *world, a *Account, d *Delivery){
		"with its link": func(w *world, a *Account, d *Delivery) {
			if err := a.link(&delivery{Delivery: d}); err != nil {
				w.t.Fatal(err)
			}
		},
		"with its record": func(w *world, a *Account, d *Delivery) { w.deliver(a, *d) },
		"with its record and without its link": func(w *world, a *Account, d *Delivery) {
			w.deliver(a, *d)
			if err := os.Remove(a.path(msgfile.Ref{ID: d.QueueID, Dir: 0})); err != nil {
				w.t.Fatal(err)
			}
		},
		"after it was removed": func(w *world, a *Account, d *Delivery) {
			w.deliver(a, *d)
			expunge(w.t, w.view(a, "INBOX"), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.queued(1)
			w.reopen() // an earlier run has accepted it
			a := w.account(1)
			before(w, a, &d)
			want := 1
			if name == "after it was removed" {
				want = 0
			}
			for range 2 {
				w.crash()
				w.open()
				a = w.account(1)
				w.deliver(a, d)
				w.wantFiles(a)
				if n := w.view(a, "INBOX").Len(); n != want {
					t.Errorf("%d messages", n)
				}
			}
		})
	}
}

// A queue file that was put back is delivered again: the first message has the link.
func TestRefusedDeliveryKeepsTheFileOfAMessage(t *testing.T) {
	w := newWorld(t)
	d := w.queued(1)
	a := w.account(1)
	w.deliver(a, d)
	w.store.Forget([]uint64{d.QueueID})
	w.settle()
	w.limits = Limits{MaxSize: 1}
	wantKind(t, a.Deliver(bg, []Delivery{d})[0], fault.OverQuota)
	w.check()
	w.wantFiles(a)
}

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
	if _, err := os.Stat(filepath.Join(a.owner.Load().Dir, msgfile.Directory, young)); err != nil {
		t.Error(err)
	}
	w.close()
}

func TestMailThatARestoredIndexDoesNotNameIsKeptAfterACrash(t *testing.T) {
	w, young := restored(t, (*world).crash)
	a := w.account(1)
	w.ids.Store(0) // the counter is as old
	w.append(a, "INBOX", 3)
	w.wantMoved(a, strings.ReplaceAll(young, "/", "-"))
	list, err := filepath.Glob(filepath.Join(a.owner.Load().Dir, leftoversDir, "*", "*"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if b, err := os.ReadFile(list[0]); err != nil || string(b) != text(2) {
		t.Errorf("%q, %v", b, err)
	}
	w.wantFiles(a)
}

// A counter that is older than the files gives numbers that are taken.
func TestNumbersOfFilesThatAreThereArePassedOver(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for n := range 3 {
		w.append(a, "INBOX", n)
	}
	w.ids.Store(0)
	w.append(a, "INBOX", 3)
	b := w.account(2)
	w.append(b, "INBOX", 1)
	w.ids.Store(0)
	if _, err := w.view(a, "INBOX").CopyTo(bg, []imap.UID{1, 2, 3, 4}, b, "Trash"); err != nil {
		t.Error(err)
	}
	w.wantFiles(a)
	w.wantFiles(b)
}

// An account that nobody uses keeps its leftovers through crashes and orderly stops.
func TestLeftoversOfAnUnusedAccountWaitForItsNextUse(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	w.write(a, "0/77")
	w.crash()
	for range 3 {
		w.open()
		w.check()
		w.close()
	}
	w.open()
	w.write(a, "0/78")
	w.crash()
	w.open()
	w.append(w.account(3), "INBOX", 1) // of the same shard
	w.close()
	w.open()
	a = w.account(1)
	w.append(a, "INBOX", 2)
	w.wantMoved(a, "0-77", "0-78")
	var notes []string
	if err := w.store.Check(bg, func(f Finding) { notes = append(notes, f.String()) }); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("note: %s: 2 files without a record (%d bytes, the oldest of %s) are in its directory Leftovers",
		a.owner.Load().Dir, 2*len(text(1)), time.Now().UTC().Format(time.DateOnly))
	if len(notes) != 1 || notes[0] != want {
		t.Errorf("check says %q, want %q", notes, want)
	}
}

func TestFilesAreMovedOnceAfterACrash(t *testing.T) {
	w := newWorld(t)
	w.append(w.account(1), "INBOX", 1)
	w.crash()
	w.open()
	a := w.account(1)
	w.append(a, "INBOX", 2)
	w.write(a, "0/77") // by nobody that the server knows
	w.close()
	w.open()
	a = w.account(1)
	w.append(a, "INBOX", 3)
	w.wantMoved(a)
	var got []string
	if err := w.store.Check(bg, func(f Finding) { got = append(got, f.String()) }); err != nil || len(got) != 1 ||
		!strings.HasSuffix(got[0], "no message has the file Messages/0/77") {
		t.Errorf("found %q, %v", got, err)
	}
	w.close()
}

// What cannot be removed, or may have got its record, is looked for after an orderly stop too.
func TestARunThatLeavesFilesDoesNotCountAsStoppedInOrder(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	m := w.view(a, "INBOX")
	path := m.file(1)
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700)); err != nil { // cannot be unlinked
		t.Fatal(err)
	}
	expunge(t, m, 1)
	m.Close()
	w.close()
	w.open()
	w.check()
	a = w.account(1)
	w.append(a, "INBOX", 2)
	w.wantFiles(a)
	if len(w.moved(a)) != 1 {
		t.Errorf("in Leftovers is %v", w.moved(a))
	}
}

func TestAnAccountWhoseFilesCannotBeToldApartStillGetsMail(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	w.write(a, "0/77")
	w.damage(a, func(tx index.Tx) error {
		var k keyBuffer
		return tx.Put(index.Mail, k.block(1, kindSummary, 99, 0), []byte{1, 200})
	})
	w.crash()
	w.open()
	a = w.account(1)
	w.append(a, "INBOX", 2)
	w.wantMoved(a)
	w.close()
}

func TestOldLeftoversAreRemovedByTheirAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.account(1)
		dir := a.owner.Load().Dir
		began := time.Now()
		for n := range 2 {
			w.write(a, fmt.Sprint("0/7", n))
			w.crash()
			time.Sleep(24 * time.Hour)
			w.open()
			a = w.account(1)
			w.append(a, "INBOX", n)
		}
		if err := os.WriteFile(filepath.Join(dir, leftoversDir, "notes"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.wantMoved(a, "0-70", "0-71")
		removed, err := RemoveLeftovers(dir, began.Add(36*time.Hour))
		if err != nil || removed.Files != 1 || removed.Bytes != int64(len(text(1))) || !removed.Oldest.Equal(began.Add(24*time.Hour)) {
			t.Errorf("removed %+v, %v", removed, err)
		}
		w.wantMoved(a, "0-71")
		if removed, err := RemoveLeftovers(dir, began.Add(time.Hour*1000)); err != nil || removed.Files != 1 {
			t.Errorf("removed %+v, %v", removed, err)
		}
		if _, err := os.Stat(filepath.Join(dir, leftoversDir, "notes")); err != nil {
			t.Error("what somebody else has put there is gone:", err)
		}
		if err := os.Remove(filepath.Join(dir, leftoversDir, "notes")); err != nil {
			t.Fatal(err)
		}
		w.write(a, "0/72")
		w.crash()
		w.open()
		w.append(w.account(1), "INBOX", 9)
		if _, err := RemoveLeftovers(dir, began.Add(time.Hour*1000)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, leftoversDir)); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the empty directory stays")
		}
		w.check()
		w.close()
	})
}

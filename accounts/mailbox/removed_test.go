package mailbox

import (
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// old is a world with three messages of an earlier run in an account's INBOX.
func old(t *testing.T) (w *world, a *Account) {
	w = newWorld(t)
	for n := range 3 {
		w.append(w.account(1), "INBOX", n+1)
	}
	w.close()
	w.open()
	a = w.account(1)
	w.append(a, "INBOX", 4)
	return w, a
}

// removals counts the files that are noted as removed.
func (w *world) removals(a *Account) (n int) {
	w.t.Helper()
	err := a.shard.View(func(tx index.Tx) error {
		n = len(removedFiles(tx, a.id))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// A message may be years old when it is removed: the number of its file does not tell that a crash has left it.
func TestFileOfAnOldMessageThatWasRemovedBeforeAKillGoes(t *testing.T) {
	for name, remove := range map[string]func(w *world, a *Account){
		"an expunge without its unlink": func(w *world, a *Account) {
			w.store.upkeep.pause()
			m := w.view(a, "INBOX")
			expunge(t, m, 1, 2)
			m.Sync(true)
		},
		"half of the unlinks": func(w *world, a *Account) {
			w.store.upkeep.pause()
			m := w.view(a, "INBOX")
			expunge(t, m, 1, 2)
			m.Sync(true)
			w.store.upkeep.unlinkAll(w.store.upkeep.files[:1])
		},
		"an expunge that a session still shows": func(w *world, a *Account) {
			w.view(a, "INBOX")
			expunge(t, w.view(a, "INBOX"), 1, 2)
			w.store.upkeep.pause()
		},
		"a step of the removal of a mailbox": func(w *world, a *Account) {
			m := w.view(a, "INBOX")
			if _, err := m.Move(bg, []imap.UID{1, 2}, "Trash"); err != nil {
				t.Fatal(err)
			}
			m.Sync(true)
			w.store.upkeep.pause()
			if err := a.DeleteMailbox(bg, "Trash"); err != nil {
				t.Fatal(err)
			}
			files, _, err := w.store.upkeep.purgeStep(w.store.upkeep.drops[0])
			if err != nil || len(files) != 2 {
				t.Fatal(files, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, a := old(t)
			remove(w, a)
			w.crash()
			w.open()
			w.check()
			a = w.account(1)
			w.settleSweeps()
			w.check()
			w.wantFiles(a)
			w.settle()
			if n := w.removals(a); n != 0 {
				t.Errorf("%d files are still noted", n)
			}
			w.close()
			w.open()
			w.check()
		})
	}
}

func TestRemovedFilesAreNotedUntilTheyAreGone(t *testing.T) {
	w, a := old(t)
	m := w.view(a, "INBOX")
	other := w.view(a, "INBOX")
	expunge(t, m, 1, 2, 4) // 4 is of this run
	if n := w.removals(a); n != 2 {
		t.Errorf("%d files are noted", n)
	}
	m.Sync(true)
	other.Sync(true)
	w.settle()
	if n := w.removals(a); n != 0 {
		t.Errorf("%d files are noted when they are gone", n)
	}
	w.wantFiles(a)
}

func TestMovedFilesAreNotNoted(t *testing.T) {
	w, a := old(t)
	if _, err := w.view(a, "INBOX").Move(bg, []imap.UID{1, 2}, "Trash"); err != nil {
		t.Fatal(err)
	}
	w.store.upkeep.pause()
	if n := w.removals(a); n != 0 {
		t.Errorf("%d files are noted", n)
	}
	w.crash()
	w.open()
	w.account(1)
	w.settleSweeps()
	w.check()
}

func TestAccountThatIsRemovedLeavesNoNotes(t *testing.T) {
	w, a := old(t)
	w.view(a, "INBOX")
	expunge(t, w.view(a, "INBOX"), 1)
	o := w.owners[1]
	delete(w.owners, 1)
	if err := w.store.Remove(bg, o); err != nil {
		t.Fatal(err)
	}
	if n := w.removals(a); n != 0 {
		t.Errorf("%d files are noted", n)
	}
	w.settle()
	if n := w.removals(a); n != 0 {
		t.Errorf("%d files are noted after the removal of the messages", n)
	}
}

package mailbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// moveTo gives the account's directory another name.
func (w *world) moveTo(a *Account, name string) {
	w.t.Helper()
	from, to := a.owner.Load().Dir, filepath.Join(w.base, "Accounts", name)
	if err := w.store.Move(from, to, &w.lookups, func() error { return os.Rename(from, to) }); err != nil {
		w.t.Fatal(err)
	}
	w.owners[a.id] = *a.owner.Load()
}

// takeOver gives the first account's directory another name and makes an account of its name.
func (w *world) takeOver(id, heir uint64) {
	w.t.Helper()
	a := w.account(id)
	dir := a.owner.Load().Dir
	w.moveTo(a, "moved.macnt")
	w.owners[heir] = Owner{ID: heir, Dir: dir}
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Create(bg, w.owners[heir], nil); err != nil {
		w.t.Fatal(err)
	}
}

func TestAppendToAnAccountWhoseDirectoryMovesMeanwhile(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	moving := io.MultiReader(strings.NewReader(text(1)[:20]), readerFunc(func([]byte) (int, error) {
		w.takeOver(1, 2)
		return 0, io.EOF
	}), strings.NewReader(text(1)[20:]))
	if _, err := a.Append(bg, "INBOX", AppendMessage{Body: moving}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, w.view(a, "INBOX"), 1); got != text(1) {
		t.Errorf("read %q", got)
	}
	broken := readerFunc(func([]byte) (int, error) {
		w.takeOver(2, 3)
		return 0, errors.New("the connection is broken")
	})
	w.moveTo(a, "elsewhere.macnt")
	b := w.account(2)
	if _, err := b.Append(bg, "INBOX", AppendMessage{Body: broken}); err == nil {
		t.Error("no error")
	}
	for _, a := range []*Account{a, b, w.account(3)} {
		w.wantFiles(a)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestMoveThatFailsLeavesTheAccountWhereItIs(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	dir := a.owner.Load().Dir
	if err := w.store.Move(dir, dir+"2", &w.lookups, func() error { return os.ErrPermission }); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
	w.append(a, "INBOX", 1)
	w.wantFiles(a)
}

// An account gets another name just after Check was told of it.
func TestCheckDoesNotBringAnOldDirectoryBack(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	old := w.owners[1]
	w.takeOver(1, 2)
	w.owners[1] = old
	if err := w.store.Check(bg, func(Finding) {}); err != nil {
		t.Error(err)
	}
	w.append(a, "INBOX", 1)
	w.wantFiles(a)
	w.wantFiles(w.account(2))
	w.owners[1] = *a.owner.Load()
}

// Look-ups of other accounts go on while a large message is copied into a directory that
// is to be moved.
func TestMoveWaitsWithoutStoppingLookUps(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	a.moving.RLock()
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		w.moveTo(a, "moved.macnt")
	}()
	for a.moving.TryRLock() { // until the move waits
		a.moving.RUnlock()
		runtime.Gosched()
	}
	w.lookups.Lock()
	w.account(1)
	w.lookups.Unlock()
	a.moving.RUnlock()
	<-moved
}

func TestMoveOfADirectoryWithAccounts(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(11)
	w.append(a, "INBOX", 1)
	from, to := filepath.Join(w.base, "Accounts"), filepath.Join(w.base, "Domains")
	if err := w.store.Move(from, to, &w.lookups, func() error { return os.Rename(from, to) }); err != nil {
		t.Fatal(err)
	}
	w.append(a, "INBOX", 2)
	w.append(b, "INBOX", 3)
	for _, a := range []*Account{a, b} {
		w.owners[a.id] = *a.owner.Load()
		w.wantFiles(a)
	}
	// user1.macnt is not in user11.macnt.
	w.store.Move(filepath.Join(to, "user1"), to+"/x", &w.lookups, func() error { return nil })
	w.append(b, "INBOX", 4)
	w.wantFiles(b)
}

func TestLinksOfAMovedAccountAreSyncedWhereTheyAre(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.deliver(a, w.queued(1))
	w.takeOver(1, 2)
	for dir := range w.store.links.touched {
		d, err := dir.open()
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if names, err := d.Readdirnames(-1); err != nil || len(names) != 1 {
			t.Errorf("would sync a directory with %v, %v", names, err)
		}
	}
	if err := w.store.SyncLinks(bg); err != nil {
		t.Error(err)
	}
}

// Two accounts swap directories all the time while mail comes to both and goes.
func TestAccountsThatChangePlacesKeepTheirMail(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	const each = 40
	var workers, mover sync.WaitGroup
	var done atomic.Bool
	var queued [2][]Delivery
	for n := range each {
		for i := range queued {
			d := w.queued(n)
			d.Copy = uint32(n % 2)
			queued[i] = append(queued[i], d)
		}
	}
	for i, acc := range []*Account{a, b} {
		other := []*Account{b, a}[i]
		workers.Go(func() {
			for n := range each {
				if errs := acc.Deliver(bg, queued[i][n:n+1]); errs[0] != nil {
					t.Error(errs[0])
				}
				if n%4 == 3 {
					if err := w.store.SyncLinks(bg); err != nil {
						t.Error(err)
					}
				}
			}
		})
		workers.Go(func() {
			for n := range each {
				if _, err := acc.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader(text(n))}); err != nil {
					t.Error(err)
				}
			}
		})
		workers.Go(func() {
			for range each {
				m, err := acc.Open(bg, "INBOX", false)
				if err != nil {
					t.Error(err)
					continue
				}
				if err := copyAround(m, other); err != nil {
					t.Error(err)
				}
				m.Close()
			}
		})
	}
	mover.Go(func() {
		for !done.Load() {
			dirs := []string{a.owner.Load().Dir, b.owner.Load().Dir}
			for _, s := range []struct {
				a        *Account
				from, to string
			}{{a, dirs[0], w.base + "/third"}, {b, dirs[1], dirs[0]}, {a, w.base + "/third", dirs[1]}} {
				if err := w.store.Move(s.from, s.to, &w.lookups, func() error { return os.Rename(s.from, s.to) }); err != nil {
					t.Error(err)
				}
			}
		}
	})
	workers.Wait()
	done.Store(true)
	mover.Wait()
	for _, a := range []*Account{a, b} {
		w.owners[a.id] = *a.owner.Load()
		w.settle()
		w.wantFiles(a)
		m := w.view(a, "INBOX")
		for _, uid := range m.UIDs() {
			read(t, m, uid)
		}
	}
}

// copyAround copies two messages to another account and another mailbox, and expunges one.
func copyAround(m *Mailbox, other *Account) error {
	uids := m.UIDs()
	if len(uids) < 2 {
		return nil
	}
	uids = uids[:2]
	if _, err := m.CopyTo(bg, uids, other, "Trash"); err != nil {
		return fmt.Errorf("copy to another account: %w", err)
	}
	if _, err := m.Copy(bg, uids, "Trash"); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	b, err := m.OpenBody(uids[1])
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := b.Close(); err != nil {
		return err
	}
	if _, err := m.SetFlags(bg, uids[:1], Add, []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
		return err
	}
	_, err = m.Expunge(bg, nil)
	m.Sync(true)
	if fault.Is(err, fault.NoMessage) {
		err = nil
	}
	return err
}

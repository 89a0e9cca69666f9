package mailbox

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// pause lets things to do pile up until the world is crashed.
func (u *upkeep) pause() {
	u.mu.Lock()
	u.closing = true
	u.mu.Unlock()
	u.signal()
	<-u.done
}

func (w *world) write(a *Account, file string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(a.owner.Load().Dir, msgfile.Directory, file), []byte(text(1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func TestALargeDeletedMailboxGoesInSteps(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.view(a, "INBOX")
	var ds []Delivery
	for i := range 700 {
		ds = append(ds, w.queued(i))
	}
	w.deliver(a, ds...)
	m.Sync(true)
	set(t, m, Add, "work", m.UIDs()...)
	expunge(t, m, m.UIDs()[:5]...)
	m.Sync(true)
	if _, err := m.Copy(bg, m.UIDs(), "Trash"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Move(bg, m.UIDs()[:300], "Trash"); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if err := a.DeleteMailbox(bg, "Trash"); err != nil {
		t.Fatal(err)
	}
	w.check() // while it goes
	w.settle()
	if files := w.files(a); len(files) != 395 {
		t.Errorf("%d files are left", len(files))
	}
}

// The environment variable that makes the test binary a server to be killed.
const victimVariable = "GATEPOST_TEST_VICTIM"

// TestAKilledServerLosesNothingThatWasAcknowledged kills a process that
// delivers, appends and moves, and looks at what it left.
func TestAKilledServerLosesNothingThatWasAcknowledged(t *testing.T) {
	if base := os.Getenv(victimVariable); base != "" {
		victim(t, base)
		return
	}
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		w := newWorld(t)
		for id := range uint64(3) {
			w.account(id + 1)
		}
		w.close()
		r := rand.New(rand.NewPCG(uint64(round), 3))
		acked := killVictim(t, w, time.Duration(20+r.IntN(150))*time.Millisecond)
		w.ids.Store(1 << 32) // a counter never goes back
		w.open()
		redeliver(t, w)
		w.check()
		got := make(map[string]int)
		for id := range w.owners {
			for _, box := range []string{"INBOX", "Trash"} {
				m := w.view(w.account(id), box)
				for _, uid := range m.UIDs() {
					body := read(t, m, uid)
					got[strings.TrimPrefix(body, "Return-Path: <me@example.com>\r\n")]++
				}
			}
		}
		for _, body := range acked {
			if got[body] != 1 {
				t.Errorf("round %d: an acknowledged message is there %d times: %q", round, got[body], body)
			}
		}
		for body, n := range got {
			if n > 1 {
				t.Errorf("round %d: a message is there %d times: %q", round, n, body)
			}
		}
		t.Logf("round %d: %d acknowledged, %d there", round, len(acked), len(got))
		w.check()
		w.close()
	}
}

// killVictim runs the victim for a while and returns the messages that it has
// acknowledged.
func killVictim(t *testing.T, w *world, after time.Duration) (acked []string) {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), victimVariable+"="+w.base)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		var n int
		if timer == nil { // it is ready
			timer = time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		if _, err := fmt.Sscanf(lines.Text(), "acked %d\n", &n); err == nil {
			acked = append(acked, text(n))
		}
	}
	cmd.Wait()
	return acked
}

// victim delivers, appends, moves and expunges until it is killed.
func victim(t *testing.T, base string) {
	w := &world{t: t, base: base, ids: &atomic.Uint64{}, limits: Limits{MaxSize: -1}, owners: make(map[uint64]Owner)}
	w.ids.Store(1 << 20)
	w.open()
	fmt.Println("ready")
	var out sync.Mutex
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			a := w.store.Account(Owner{ID: uint64(i%3 + 1), Dir: filepath.Join(base, "Accounts", fmt.Sprintf("user%d.macnt", i%3+1))})
			for n := i * 1000000; ; n++ {
				w.work(a, n, i)
				out.Lock()
				fmt.Println("acked", n)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

func (w *world) work(a *Account, n, worker int) {
	switch {
	case worker == 5:
		w.append(a, "INBOX", n)
	default:
		d := w.queued(n)
		w.deliver(a, d)
		if n%3 == 0 { // as the queue does
			if err := w.store.SyncLinks(bg); err != nil {
				w.t.Error(err)
			}
			os.Remove(d.File)
			w.store.Forget([]uint64{d.QueueID})
		}
	}
	if n%5 != 0 {
		return
	}
	m, err := a.Open(bg, "INBOX", false)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer m.Close()
	var uids []imap.UID
	for _, uid := range m.UIDs() {
		if uid%4 == imap.UID(worker)%4 {
			uids = append(uids, uid)
		}
	}
	if _, err := m.Move(bg, uids, "Trash"); err != nil {
		w.t.Error(err)
	}
}

// redeliver delivers all queue files again, as the queue does after a start.
func redeliver(t *testing.T, w *world) {
	list, err := filepath.Glob(filepath.Join(w.base, "Queue", "*.msg"))
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(map[uint64]bool)
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var id uint64
		var n int
		fmt.Sscanf(filepath.Base(path), "%d.msg", &id)
		waiting[id] = true
		body, whole := strings.CutPrefix(string(b), queueHead)
		if !whole {
			continue
		}
		if _, err := fmt.Sscanf(body, "From: a@example.com\r\nSubject: message %d\r\n", &n); err != nil || body != text(n) {
			continue // was not finished
		}
		a := w.account(uint64(n/1000000%3 + 1))
		w.deliver(a, Delivery{QueueID: id, File: path, Offset: int64(len(queueHead)), Size: int64(len(body)),
			Prefix: []byte("Return-Path: <me@example.com>\r\n")})
	}
	if err := w.store.ForgetBut(bg, func(id uint64) bool { return waiting[id] }); err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskRefusesMailAndRecovers(t *testing.T) {
	w := newWorld(t)
	w.close()
	if err := syscall.Mount("tmpfs", w.base, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	t.Cleanup(func() {
		if !w.closed {
			w.close()
		}
		syscall.Unmount(w.base, syscall.MNT_DETACH)
	})
	if err := os.MkdirAll(filepath.Join(w.base, "Queue"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.open()
	a := w.account(1)
	big := strings.Repeat("A line of text that fills the disk.\r\n", 2000)
	stored := 0
	for {
		_, err := a.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader(text(stored) + big)})
		if fault.Is(err, fault.NoSpace) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	if stored < 20 {
		t.Errorf("full after %d messages", stored)
	}
	m := w.view(a, "INBOX")
	for i, uid := range m.UIDs() {
		if got := read(t, m, uid); got != text(i)+big {
			t.Errorf("message %d is damaged", i)
		}
	}
	if m.Len() != stored {
		t.Errorf("%d of %d messages", m.Len(), stored)
	}
	w.check()
	expunge(t, m, m.UIDs()[:10]...)
	m.Sync(true)
	w.settle()
	for range 5 {
		if _, err := a.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader(big)}); err != nil {
			t.Errorf("after making room: %v", err)
		}
	}
	m.Close()
	w.check()
}

func TestManyScatteredMessagesAreExpungedOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	w.close()
	if err := syscall.Mount("tmpfs", w.base, "tmpfs", 0, "size=48m"); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	t.Cleanup(func() {
		if !w.closed {
			w.close()
		}
		syscall.Unmount(w.base, syscall.MNT_DETACH)
	})
	if err := os.MkdirAll(filepath.Join(w.base, "Queue"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.open()
	a := w.account(1)
	for n := range 200 {
		w.append(a, "INBOX", n)
	}
	m := w.view(a, "INBOX")
	for m.Len() < 50_000 {
		if _, err := m.Copy(bg, m.UIDs(), "INBOX"); err != nil {
			t.Fatal(err)
		}
		m.Sync(true)
	}
	var out []imap.UID
	for uid := imap.UID(1); int(uid) < m.Len(); uid += 12 {
		out = append(out, uid)
	}
	if _, err := m.SetFlags(bg, out, Add, []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
		t.Fatal(err)
	}
	ballast, err := os.Create(filepath.Join(w.base, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	err = nil
	for n := 0; !fault.Is(err, fault.NoSpace); n++ {
		err = a.shard.Update(bg, func(tx index.Tx) error {
			return tx.Put(index.Server, fmt.Appendf(nil, "ballast %d", n), make([]byte, 2000))
		}, nil)
	}
	gone, err := m.Expunge(bg, nil)
	if err != nil || len(gone) != len(out) {
		t.Errorf("%d of %d messages were expunged: %v", len(gone), len(out), err)
	}
	if left := len(m.marked(nil)); left > 0 {
		t.Errorf("%d are left", left)
	}
	m.Close()
	w.settle()
	w.check()
}

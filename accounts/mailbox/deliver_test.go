package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// files lists the message files of an account as dir/name, without those that wait for a message.
func (w *world) files(a *Account) (all []string) {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(a.owner.Load().Dir, msgfile.Directory, "*", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range slices.DeleteFunc(list, isEmpty) {
		all = append(all, filepath.Base(filepath.Dir(f))+"/"+filepath.Base(f))
	}
	return all
}

func isEmpty(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

func TestADeliveryIsALinkToTheQueueFile(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	d := w.queued(1)
	w.deliver(a, d)
	w.deliver(b, d)
	if err := w.store.SyncLinks(bg); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(d.File)
	if err != nil || info.Sys().(*syscall.Stat_t).Nlink != 3 {
		t.Errorf("the queue file has %d names", info.Sys().(*syscall.Stat_t).Nlink)
	}
	if err := os.Remove(d.File); err != nil {
		t.Fatal(err)
	}
	for _, a := range []*Account{a, b} {
		if got := read(t, w.view(a, "INBOX"), 1); got != string(d.Prefix)+text(1) {
			t.Errorf("read %q", got)
		}
	}
}

func TestDeliveriesGoToTheMailboxAskedForOrINBOX(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	if _, err := a.CreateMailbox(bg, "lists/go", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var ds []Delivery
	for i, box := range []string{"", "INBOX", "lists/go", "lists", "missing", "bad*name", "inbox"} {
		d := w.queued(i)
		d.Mailbox = box
		d.Flags = []imap.Flag{imap.FlagFlagged}
		ds = append(ds, d)
	}
	w.deliver(a, ds...)
	wantView(t, w.view(a, "lists/go"), "1:Flagged,Recent")
	wantView(t, w.view(a, "INBOX"), "1:Flagged,Recent 2:Flagged,Recent 3:Flagged,Recent 4:Flagged,Recent 5:Flagged,Recent 6:Flagged,Recent")
}

func TestOneQueuedMessageCanHaveSeveralCopiesInAnAccount(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d := w.queued(1)
	second := d
	second.Copy, second.Mailbox = 1, "Trash"
	for range 2 {
		w.deliver(a, d, second)
	}
	w.deliver(a, second, d)
	wantView(t, w.view(a, "INBOX"), "1:Recent")
	wantView(t, w.view(a, "Trash"), "1:Recent")
	if files := w.files(a); len(files) != 2 {
		t.Errorf("files %v", files)
	}
}

func TestARepeatedDeliveryAddsNothingAndRepairsItsLink(t *testing.T) {
	for name, between := range map[string]func(w *world, a *Account){
		"at once":          func(w *world, a *Account) {},
		"after a restart":  func(w *world, a *Account) { w.reopen() },
		"after a crash":    func(w *world, a *Account) { w.crash(); w.open() },
		"link lost":        func(w *world, a *Account) { w.loseFiles(a) },
		"moved, link lost": func(w *world, a *Account) { w.move(a); w.loseFiles(a) },
		"in another directory": func(w *world, a *Account) {
			a.mu.Lock()
			a.dirFiles = msgfile.PerDirectory
			a.mu.Unlock()
			w.append(a, "INBOX", 9)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.account(1)
			d := w.queued(1)
			w.deliver(a, d)
			before := w.files(a)
			between(w, a)
			a = w.account(1)
			for range 2 {
				w.deliver(a, d)
			}
			got := w.files(a)
			if name != "in another directory" && fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("the files are %v, were %v", got, before)
			}
			in, moved := w.view(a, "INBOX"), w.view(a, "Trash")
			if n := in.Len() + moved.Len(); n != 1 && name != "in another directory" || n > 2 {
				t.Errorf("there are %d messages", n)
			}
			for _, m := range []*Mailbox{in, moved} {
				for _, uid := range m.UIDs() {
					read(t, m, uid)
				}
			}
			if err := w.store.SyncLinks(bg); err != nil {
				t.Error(err)
			}
		})
	}
}

func (w *world) loseFiles(a *Account) {
	for _, f := range w.files(a) {
		if err := os.Remove(filepath.Join(a.owner.Load().Dir, msgfile.Directory, f)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) move(a *Account) {
	m := w.view(a, "INBOX")
	if _, err := m.Move(bg, m.UIDs(), "Trash"); err != nil {
		w.t.Fatal(err)
	}
	m.Close()
}

func TestARepeatedDeliveryOfADeletedMessageDoesNotBringItBack(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d := w.queued(1)
	w.deliver(a, d)
	m := w.view(a, "INBOX")
	expunge(t, m, 1)
	m.Sync(true)
	w.settle()
	w.deliver(a, d)
	w.settle()
	wantUpdate(t, m, true, "")
	if files := w.files(a); len(files) != 0 {
		t.Errorf("files %v", files)
	}
	w.store.Forget([]uint64{d.QueueID})
	w.settle()
	w.deliver(a, d) // nobody does that; it shows that the record is gone
	wantUpdate(t, m, true, "exists 1")
}

func TestAfterARestartOnlyWaitingDeliveriesAreRemembered(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d, gone := w.queued(1), w.queued(2)
	w.deliver(a, d, gone)
	w.reopen()
	a = w.account(1)
	if err := w.store.ForgetBut(bg, func(id uint64) bool { return id == d.QueueID }); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.deliver(a, d, gone)
	if n := w.view(a, "INBOX").Len(); n != 3 {
		t.Errorf("%d messages", n)
	}
}

func TestCopiesReplaceLinksWhereTheQueueIsOnAnotherFileSystem(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	queue := filepath.Join(w.base, "Queue")
	if err := syscall.Mount("tmpfs", queue, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(queue, syscall.MNT_DETACH) })
	d := w.queued(1)
	w.deliver(a, d)
	w.deliver(a, d)
	if err := errors.Join(w.store.SyncLinks(bg), os.Remove(d.File)); err != nil {
		t.Error(err)
	}
	m := w.view(a, "INBOX")
	if got := read(t, m, 1); m.Len() != 1 || got != string(d.Prefix)+text(1) {
		t.Errorf("read %q", got)
	}
}

func TestANameThatIsTakenByAnotherMessageIsNotTakenOver(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	d := w.queued(2)
	w.write(a, fmt.Sprint("0/", d.QueueID)) // as if numbers had been used twice
	w.deliver(a, d)
	if got := read(t, w.view(a, "INBOX"), 2); got != string(d.Prefix)+text(2) {
		t.Errorf("read %q", got)
	}
	if err := os.Remove(filepath.Join(a.owner.Load().Dir, msgfile.Directory, "0", fmt.Sprint(d.QueueID))); err != nil {
		t.Error(err)
	}
}

func TestAfterAFailureOfTheIndexTheFileStaysForTheNextStart(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	d := w.queued(2)
	w.crash()
	wantKind(t, a.Deliver(bg, []Delivery{d})[0], fault.Unavailable)
	if files := w.files(a); len(files) != 2 {
		t.Errorf("files %v", files)
	}
	w.open()
	w.deliver(w.account(1), d)
	if files := w.files(a); len(files) != 2 {
		t.Errorf("files %v", files)
	}
}

func TestAFailedDeliveryLeavesNoFile(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.limits = Limits{MaxSize: 10}
	d := w.queued(1)
	for _, c := range []struct {
		change func(d *Delivery)
		want   fault.Kind
	}{
		{func(d *Delivery) {}, fault.OverQuota},
		{func(d *Delivery) { d.Offset = -1 }, fault.Invalid},
		{func(d *Delivery) { d.Flags = []imap.Flag{"a b"} }, fault.Invalid},
		{func(d *Delivery) { d.File += ".missing" }, fault.Internal},
	} {
		x := d
		c.change(&x)
		wantKind(t, a.Deliver(bg, []Delivery{x})[0], c.want)
	}
	if files := w.files(a); len(files) != 0 {
		t.Errorf("files %v", files)
	}
}

func TestFilesFillOneDirectoryAfterTheOther(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for i := range 4 {
		if i == 3 { // the three names that were made ahead are taken
			a.mu.Lock()
			a.dirFiles = msgfile.PerDirectory
			a.mu.Unlock()
		}
		w.append(a, "INBOX", i)
	}
	w.reopen()
	a = w.account(1)
	w.append(a, "INBOX", 5)
	var dirs string
	for _, f := range w.files(a) {
		dirs += f[:2]
	}
	if dirs != "0/0/0/1/1/" {
		t.Errorf("files %v", w.files(a))
	}
	if a.dirFiles != 5 { // with three that nobody took
		t.Errorf("%d files are counted", a.dirFiles)
	}
}

func TestAnAccountCanBeRenamedWhileItIsOpen(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	m := w.view(a, "INBOX")
	o := w.owners[1]
	old := o.Dir
	o.Dir = filepath.Join(w.base, "Accounts", "other.macnt")
	if err := os.Rename(old, o.Dir); err != nil {
		t.Fatal(err)
	}
	w.owners[1] = o
	if w.store.Account(o) != a {
		t.Fatal("the account has two handles")
	}
	read(t, m, 1)
	w.append(a, "INBOX", 2)
	w.deliver(a, w.queued(3))
	if err := w.store.SyncLinks(bg); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old directory is back")
	}
}

func TestAppendKeepsAllOrNothing(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	broken := errors.New("connection lost")
	_, err := a.Append(bg, "INBOX", AppendMessage{Body: &failing{strings.NewReader(text(1)), broken}})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	_, err = a.AppendAll(bg, "INBOX", func(yield func(AppendMessage) bool) {
		if yield(AppendMessage{Body: strings.NewReader(text(1))}) {
			yield(AppendMessage{Body: &failing{strings.NewReader(text(2)), broken}})
		}
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if files := w.files(a); len(files) != 0 {
		t.Errorf("files %v", files)
	}
	done, err := a.AppendAll(bg, "INBOX", func(yield func(AppendMessage) bool) {
		for i := range 3 {
			if !yield(AppendMessage{Body: strings.NewReader(text(i)), Flags: []imap.Flag{imap.FlagSeen}}) {
				return
			}
		}
	})
	if err != nil || len(done) != 3 || done[2].UID != 3 {
		t.Errorf("got %+v, %v", done, err)
	}
	if _, err := a.Append(bg, "none", AppendMessage{Body: strings.NewReader(text(1))}); !fault.Is(err, fault.NoMailbox) {
		t.Errorf("got %v", err)
	}
}

type failing struct {
	r   *strings.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.r.Len() == 0 {
		return 0, f.err
	}
	return f.r.Read(p)
}

func TestCheckKnowsThatTheLostLinkOfACopyIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d := w.queued(1)
	d.Copy, d.Mailbox = 2, "Trash"
	w.deliver(a, d)
	w.loseFiles(a)
	w.check() // the queue file is there
	w.deliver(a, d)
	m := w.view(a, "Trash")
	read(t, m, m.UID(1))
}

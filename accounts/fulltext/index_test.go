package fulltext

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/server/settings"
)

// world is a message store with an index.
type world struct {
	t     *testing.T
	base  string
	ids   uint64
	store *mailbox.Store
	index *Index
	set   *settings.Live[Settings]
	log   strings.Builder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var set Settings
	if err := settings.Load(&set, nil); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, base: t.TempDir(), set: settings.NewLive(&set)}
	w.open()
	t.Cleanup(func() {
		if err := w.index.Check(context.Background(), func(line string) { t.Error(line) }); err != nil {
			t.Error(err)
		}
		mailboxtest.Check(t, w.store)
		w.close()
	})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	var err error
	w.store, err = mailbox.Open(w.base, mailbox.Options{Shards: 1, NextID: func() (uint64, error) { w.ids++; return w.ids, nil }})
	w.must(err)
	w.index, err = Open(w.base, w.store, w.set, log)
	w.must(err)
}

func (w *world) close() {
	w.t.Helper()
	w.must(w.index.Close())
	w.must(w.store.Close())
}

func (w *world) owner(id uint64) mailbox.Owner {
	return mailbox.Owner{ID: id, Dir: filepath.Join(w.base, fmt.Sprintf("user%d.macnt", id))}
}

func (w *world) account(id uint64) *mailbox.Account {
	w.t.Helper()
	o := w.owner(id)
	if _, err := os.Stat(o.Dir); err != nil {
		w.must(os.Mkdir(o.Dir, 0o700))
		w.must(w.store.Create(w.t.Context(), o, nil))
	}
	return w.store.Account(o)
}

func (w *world) append(a *mailbox.Account, bodies ...string) {
	w.t.Helper()
	for _, b := range bodies {
		_, err := a.Append(w.t.Context(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader("Subject: a title\r\n\r\n" + b + "\r\n")})
		w.must(err)
	}
}

func (w *world) work() {
	w.t.Helper()
	w.must(w.index.Work(w.t.Context()))
}

// answers asks for a text in the bodies of all messages, in the order of their UIDs: y, n, or ? for those that have to be read.
func (w *world) answers(a *mailbox.Account, text string) string {
	w.t.Helper()
	m, err := a.Open(w.t.Context(), "INBOX", true)
	w.must(err)
	defer m.Close()
	q := w.index.Query(a, func(int) error { return nil })
	defer q.End()
	n := q.Text([]byte(text), []byte(text), InBody, false)
	var out strings.Builder
	for _, uid := range m.UIDs() {
		file, mark, err := m.File(w.t.Context(), uid)
		w.must(err)
		out.WriteByte("?ny"[q.Look(file, mark, n)])
	}
	return out.String()
}

func (w *world) want(a *mailbox.Account, text, answers string) {
	w.t.Helper()
	if got := w.answers(a, text); got != answers {
		w.t.Errorf("%q: %s, want %s", text, got, answers)
	}
}

func TestTheIndexAnswersForWhatItHas(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "one needle", "two", "Needles three")
	w.want(a, "needle", "???")
	w.work()
	w.want(a, "needle", "yny")
	w.want(a, "eedl", "yny")
	w.want(a, "one needle", "?nn")
	w.want(a, "title", "nnn") // the header is not in the body
	w.append(a, "needle four")
	w.want(a, "needle", "yny?")
	w.work()
	w.want(a, "needle", "ynyy")
	if st, err := w.index.State(1); err != nil || st.Files != 4 || st.Segments != 2 || st.Waiting != 0 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestManySegmentsAreMerged(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for i := range 200 {
		w.append(a, fmt.Sprintf("common number%d.", i))
		w.work()
	}
	st, err := w.index.State(1)
	if w.must(err); st.Files != 200 || st.Segments > 3*mergeFrom {
		t.Errorf("%+v", st)
	}
	w.want(a, "common", strings.Repeat("y", 200))
	w.want(a, "number77", strings.Repeat("n", 77)+"y"+strings.Repeat("n", 122))
}

// TestASegmentThatIsMergedDuringASearch: the search has seen the old ones, which are not there any more, and reads the messages.
func TestASegmentThatIsMergedDuringASearch(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "needle")
	w.work()
	m, err := a.Open(t.Context(), "INBOX", true)
	w.must(err)
	defer m.Close()
	file, mark, err := m.File(t.Context(), m.UID(1))
	w.must(err)
	q := w.index.Query(a, func(int) error { return nil })
	q.load()
	for range mergeFrom {
		w.append(a, "needle")
		w.work()
	}
	n := q.Text([]byte("needle"), []byte("needle"), InBody, false)
	like := q.Like(NewLikeness([]byte("needle")), InBody, false)
	if a := q.Look(file, mark, n); a != Unknown {
		t.Errorf("the answer is %d", a)
	}
	if _, a := q.LookLike(file, mark, like); a != Unknown {
		t.Errorf("the answer to FUZZY is %d", a)
	}
	q.End()
	w.want(a, "needle", strings.Repeat("y", mergeFrom+1))
}

func TestWhatIsExpungedLeavesTheIndex(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for range 20 {
		w.append(a, "secret needle")
	}
	w.append(a, "another")
	w.work()
	m, err := a.Open(t.Context(), "INBOX", false)
	w.must(err)
	uids := m.UIDs()
	copied, err := m.Copy(t.Context(), uids[:1], "INBOX") // has the same file
	w.must(err)
	if copied.UIDValidity == 0 {
		t.Fatal("it was not copied")
	}
	_, err = m.SetFlags(t.Context(), uids[:20], mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition)
	w.must(err)
	_, err = m.Expunge(t.Context(), nil)
	w.must(err)
	m.Sync(true)
	m.Close()
	w.must(w.store.Close()) // which removes the files, and tells
	w.work()
	w.must(w.index.Close())
	w.open()
	a = w.account(1)
	w.want(a, "needle", "ny")
	if st, err := w.index.State(1); err != nil || st.Files != 2 || st.Size > 300 {
		t.Errorf("%+v %v", st, err)
	}
}

// TestACrashBeforeIndexing: what was not indexed is read, and indexed when the account gets the next message or is searched.
func TestACrashBeforeIndexing(t *testing.T) {
	for _, by := range []string{"a message", "a search"} {
		w := newWorld(t)
		a := w.account(1)
		w.append(a, "needle one")
		w.work()
		w.append(a, "needle two", "three")
		w.close()
		w.open()
		a = w.account(1)
		want := "yyn"
		if by == "a search" {
			w.want(a, "needle", "y??")
		} else {
			w.append(a, "needle four")
			want = "yyny"
		}
		w.work()
		w.want(a, "needle", want)
	}
}

func TestALostOrDamagedIndexIsMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(w *world){
		"lost":        func(w *world) { w.must(os.RemoveAll(filepath.Join(w.base, Directory))) },
		"a file lost": func(w *world) { w.must(os.Remove(filepath.Join(w.base, Directory, "00.db"))) },
		"cut":         func(w *world) { w.must(os.Truncate(filepath.Join(w.base, Directory, "00.db"), 5000)) },
		"of another version": func(w *world) {
			w.must(os.WriteFile(filepath.Join(w.base, Directory, "format"), []byte("gatepost index 999\nshards 1\n"), 0o600))
		},
		"a bad head":  func(w *world) { w.spoil(index.Mail, func(v []byte) []byte { return v[:len(v)-1] }) },
		"a bad value": func(w *world) { w.spoil(index.Content, func(v []byte) []byte { return v[:len(v)-1] }) },
		"a bad number": func(w *world) {
			w.spoil(index.Content, func(v []byte) []byte { v[0] = 0xff; return v })
		},
	} {
		w := newWorld(t)
		a := w.account(1)
		w.append(a, "needle one", "two")
		w.work()
		w.want(a, "needle", "yn")
		w.close()
		damage(w)
		w.open()
		a = w.account(1)
		w.want(a, "needle", "??")
		w.work()
		w.want(a, "needle", "yn")
		if w.t.Failed() {
			t.Fatal(name)
		}
	}
}

// spoil changes all values of a bucket.
func (w *world) spoil(b index.Bucket, change func([]byte) []byte) {
	store, err := index.Open(filepath.Join(w.base, Directory), index.Options{})
	w.must(err)
	sh := store.Shards()[0]
	w.must(sh.Update(w.t.Context(), func(tx index.Tx) error {
		values := map[string][]byte{}
		tx.Range(b, nil, nil, func(k, v []byte) bool {
			values[string(k)] = change(append([]byte(nil), v...))
			return true
		})
		for k, v := range values {
			if err := tx.Put(b, []byte(k), v); err != nil {
				return err
			}
		}
		return nil
	}, nil))
	w.must(store.Close())
}

func TestAMessageWithTooMuchTextIsRead(t *testing.T) {
	w := newWorld(t)
	w.set.Set(&Settings{Index: true, MaxText: 1 << 10})
	a := w.account(1)
	w.append(a, "needle "+strings.Repeat("x ", 2000)+" last", "short")
	w.work()
	w.want(a, "last", "?n")
	if st, _ := w.index.State(1); st.Partial != 1 {
		t.Errorf("%+v", st)
	}
}

func TestAMessageThatCannotBeReadIsNotTriedAgain(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "needle", "lost")
	files, err := filepath.Glob(filepath.Join(w.base, "user1.macnt", "Messages", "0", "*"))
	w.must(err)
	w.must(os.Rename(files[1], files[1]+"x"))
	w.work()
	w.want(a, "needle", "y?")
	if n := w.index.queue.of(1); n != 0 {
		t.Errorf("%d messages wait", n)
	}
	w.must(os.Rename(files[1]+"x", files[1]))
}

func TestAnAccountThatIsRemovedLeavesTheIndex(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "needle")
	w.work()
	w.append(a, "more")
	w.must(w.store.Remove(t.Context(), w.owner(1)))
	w.must(w.store.Close())
	w.work()
	w.must(w.index.Close())
	w.open()
	if st, err := w.index.State(1); err != nil || st.Segments != 0 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestAMessageWithTheNumberOfAnotherIsRead(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "needle")
	w.work()
	list, err := w.index.segments(1)
	w.must(err)
	q := w.index.Query(a, func(int) error { return nil })
	n := q.Text([]byte("needle"), []byte("needle"), InBody, false)
	file, mark := list[0].base, list[0].marks[0]
	if q.Look(file, mark, n) != Yes || q.Look(file, mark+1, n) != Unknown {
		t.Error("the mark is not looked at")
	}
	// It has been indexed since, too.
	c := newCollector(1 << 10)
	c.begin(mailbox.StoredFile{ID: file, Mark: mark + 1}, 0)
	c.add(bodyField, []byte("other"))
	s := c.segment(w.index.number.Add(1))
	w.must(w.index.store.Shard(1).Update(t.Context(), func(tx index.Tx) error { return put(tx, 1, s) }, nil))
	q = w.index.Query(a, func(int) error { return nil })
	n = q.Text([]byte("needle"), []byte("needle"), InBody, false)
	if q.Look(file, mark, n) != Yes || q.Look(file, mark+1, n) != No || q.Look(file, mark, n) != Yes {
		t.Error("one of two files with a number hides the other")
	}
}

func TestTheIndexCanBeOff(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.set.Set(&Settings{MaxText: 1 << 20})
	w.append(a, "needle")
	w.work()
	if st, err := w.index.State(1); err != nil || st.Segments != 0 || w.index.Query(a, nil) != nil {
		t.Errorf("%+v %v", st, err)
	}
}

func TestTheIndexCanBeOffForAnAccount(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "needle")
	w.work()
	o := w.owner(1)
	o.Unindexed = true
	a = w.store.Account(o)
	if w.index.Query(a, nil) != nil {
		t.Error("the index is asked")
	}
	w.append(a, "needle")
	w.work()
	if st, err := w.index.State(1); err != nil || st.Segments != 0 {
		t.Errorf("%+v %v", st, err)
	}
	a = w.store.Account(w.owner(1))
	w.append(a, "needle")
	w.work()
	w.want(a, "needle", "yyy")
}

func TestMessagesAreIndexedSoonAfterTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.index.Run(ctx) }()
		a := w.account(1)
		for range 50 {
			w.append(a, "needle")
		}
		if n, since := w.index.Waiting(); n != 50 || since.IsZero() {
			t.Errorf("%d wait since %v", n, since)
		}
		time.Sleep(2 * time.Second)
		w.want(a, "needle", strings.Repeat("y", 50))
		if n, since := w.index.Waiting(); n != 0 || !since.IsZero() {
			t.Errorf("%d wait since %v", n, since)
		}
		stop()
		w.must(<-done)
	})
}

func TestTooManyWaitingMessagesAreFoundAgain(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "needle")
	w.index.queue.files = maxWaiting
	w.append(a, "needle")
	if tsk := w.index.queue.tasks[1]; !tsk.scan || len(tsk.files) > 0 {
		t.Errorf("%+v", tsk)
	}
	w.work()
	w.want(a, "needle", "yy")
}

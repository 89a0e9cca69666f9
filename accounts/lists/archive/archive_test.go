package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
)

// A shelf is a store with the list news of ann, and its archive.
type shelf struct {
	t     *testing.T
	store *accounts.Store
	mail  *mailbox.Account
	a     *Archive
	when  time.Time
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	var ids atomic.Uint64
	store, err := accounts.Open(t.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	must(t, store.CreateAccount(t.Context(), "company.com", "ann", nil))
	must(t, store.Lists().Create(t.Context(), "company.com", "news", "ann", nil))
	ann, err := store.Account(t.Context(), "company.com", "ann")
	must(t, err)
	s := &shelf{t: t, store: store, mail: ann.Mail(), a: New(store), when: time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)}
	s.box("news")
	return s
}

func (s *shelf) box(name string) {
	s.t.Helper()
	_, err := s.mail.CreateMailbox(s.t.Context(), name, mailbox.CreateOptions{})
	must(s.t, err)
}

// post stores a posting an hour after the last one.
func (s *shelf) post(box, id, header string) {
	s.t.Helper()
	s.when = s.when.Add(time.Hour)
	when := s.when
	_, err := s.mail.Append(s.t.Context(), box, mailbox.AppendMessage{InternalDate: &when,
		Body: strings.NewReader("From: Bob <bob@b.example>\r\nMessage-ID: <list-" + id + "@company.com>\r\n" + header + "\r\ntext of " + id + "\r\n")})
	must(s.t, err)
}

func (s *shelf) open(ctx context.Context) (*View, error) {
	l, err := s.store.Lists().Get(s.t.Context(), "company.com", "news")
	must(s.t, err)
	return s.a.Open(ctx, l)
}

func (s *shelf) view() *View {
	s.t.Helper()
	v, err := s.open(s.t.Context())
	must(s.t, err)
	return v
}

// remove removes the first n messages of a mailbox.
func (s *shelf) remove(box string, n int) {
	s.t.Helper()
	b, err := s.mail.Open(s.t.Context(), box, false)
	must(s.t, err)
	defer b.Close()
	uids := b.UIDs()[:n]
	_, err = b.SetFlags(s.t.Context(), uids, mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition)
	must(s.t, err)
	set := imap.UIDSetNum(uids...)
	_, err = b.Expunge(s.t.Context(), &set)
	must(s.t, err)
}

// month is the month as lines of depth and subject.
func month(t *testing.T, v *View, m time.Month) string {
	t.Helper()
	rows, _, err := v.Month(t.Context(), 2026, m, 0, 100)
	must(t, err)
	var all []string
	for _, r := range rows {
		all = append(all, fmt.Sprint(r.Depth, " ", r.Subject))
	}
	return strings.Join(all, ", ")
}

func TestThreads(t *testing.T) {
	s := newShelf(t)
	s.post("news", "1", "Subject: Plans\r\n") // the last hour of January
	s.post("news", "2", "Subject: [news] Other\r\n")
	s.post("news", "3", "Subject: Re: Plans\r\nIn-Reply-To: <list-1@company.com>\r\n")
	s.post("news", "4", "Subject: AW: Re: plans\r\nReferences: <list-1@company.com>\r\n <list-3@company.com>\r\n <unknown@x>\r\n")
	s.post("news", "5", "Subject: Re: [news] Re: other\r\n")
	s.post("news", "6-noarchive", "Subject: Secret\r\n")
	s.post("news", "7", "Subject: other\r\n") // no answer, and so a new thread
	s.post("news", "8", "Subject: Re: Self\r\nIn-Reply-To: <list-8@company.com>\r\n")
	v := s.view()
	if got, want := month(t, v, 2), "0 Re: Self, 0 other, 0 [news] Other, 1 Re: [news] Re: other, 0 Plans, 1 Re: Plans, 2 AW: Re: plans"; got != want {
		t.Errorf("February is %s\nwant %s", got, want)
	}
	if months := v.Months(); len(months) != 1 || months[0] != (Month{2026, 2, 7}) {
		t.Errorf("months %v", months)
	}
	place, ok := v.Find(Key("<list-4@company.com>"))
	if !ok {
		t.Fatal("a posting is not found")
	}
	rows, before, after, err := v.Thread(t.Context(), place, 2)
	must(t, err)
	if len(rows) != 2 || before != 1 || after != 0 || rows[1].Key != Key("<list-4@company.com>") {
		t.Errorf("the thread is %v, %d before and %d after", rows, before, after)
	}

	// What comes later is added; what is removed goes, and its children stay in the thread.
	s.when = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s.post("news", "9", "Subject: Re: plans\r\nIn-Reply-To: <list-4@company.com>\r\n")
	s.remove("news", 3)
	old := month(t, v, 2)
	v = s.view()
	if got, want := month(t, v, 2)+"; "+month(t, v, 3), "0 Re: Self, 0 other, 0 Re: [news] Re: other, 0 AW: Re: plans; 0 Re: plans"; got != want {
		t.Errorf("the months are %s\nwant %s", got, want)
	}
	if strings.Contains(old, "0 Plans") {
		t.Error("an old view shows what was removed:", old)
	}
}

func TestArchiveOfSeveralMailboxes(t *testing.T) {
	s := newShelf(t)
	s.post("news", "1", "Subject: First\r\n")
	s.view()
	s.box("news/2026-02-01")
	s.box("news/approval")
	s.post("news/approval", "x", "Subject: Waits\r\n")
	s.post("news", "2", "Subject: Re: First\r\nIn-Reply-To: <list-1@company.com>\r\n")
	b, err := s.mail.Open(t.Context(), "news", false)
	must(t, err)
	_, err = b.Move(t.Context(), b.UIDs()[:1], "news/2026-02-01")
	must(t, err)
	b.Close()
	if got, want := month(t, s.view(), 2), "0 First, 1 Re: First"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	v := s.view()
	place, _ := v.Find(Key("<list-1@company.com>"))
	p, err := v.Posting(t.Context(), place)
	must(t, err)
	defer p.Close()
	if p.Text != "text of 1" || p.Subject != "First" || p.Address != "bob@b.example" {
		t.Errorf("%+v", p)
	}
}

// TestIndexGoesOn: who gives up while the index is made leaves what there is of it to the next.
func TestIndexGoesOn(t *testing.T) {
	s := newShelf(t)
	for i := range 30 {
		s.post("news", fmt.Sprint(i), "Subject: S\r\n")
	}
	for left, partly := 1, 0; partly == 0; left++ {
		if _, err := s.open(&late{Context: t.Context(), left: left}); err == nil {
			t.Fatal("nobody gave up in the middle")
		}
		for _, slot := range s.a.lists {
			if slot.index != nil {
				partly = len(slot.index.entries)
			}
		}
		if partly == 30 {
			t.Fatal("all are in the index")
		}
	}
	if v := s.view(); v.Len() != 30 {
		t.Errorf("%d postings", v.Len())
	}
}

// late is done after it was asked so often.
type late struct {
	context.Context
	left int
}

func (l *late) Err() error {
	if l.left--; l.left < 0 {
		return errors.New("late")
	}
	return nil
}

func TestForgetsIndexes(t *testing.T) {
	a := New(nil)
	for i := range uint64(5) {
		a.keep(a.slot(i), maxAll/3)
	}
	if len(a.lists) != 2 {
		t.Errorf("%d indexes are kept", len(a.lists))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

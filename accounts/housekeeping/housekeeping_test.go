package housekeeping

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/server/dataformat"
)

// house is a server's accounts with a Housekeeper at work.
type house struct {
	t     *testing.T
	store *accounts.Store
	*Housekeeper
}

func newHouse(t *testing.T) *house {
	var ids atomic.Uint64
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "company.com", Shards: 1, Log: log, NextID: func() (uint64, error) { return ids.Add(1), nil },
	})
	h := &house{t, store, New(store, log)}
	h.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.must(h.Run(ctx)) }()
	t.Cleanup(func() {
		cancel()
		<-done
		mailboxtest.Check(t, store.Mail())
		h.must(store.Close())
	})
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Error(err)
	}
}

func (h *house) set(name, settings string) {
	h.t.Helper()
	d, err := dataformat.Parse([]byte(settings))
	h.must(err)
	h.must(h.store.AccountSettings("company.com", name).Update(h.t.Context(), d.(dataformat.Dict)))
}

func (h *house) prefs(name, prefs string) {
	h.t.Helper()
	d, err := dataformat.Parse([]byte(prefs))
	h.must(err)
	h.must(h.store.AccountPrefs("company.com", name).Update(h.t.Context(), d.(dataformat.Dict)))
}

func (h *house) account(name string) *accounts.Account {
	h.t.Helper()
	a, err := h.store.Account(h.t.Context(), "company.com", name)
	h.must(err)
	return a
}

func (h *house) create(name string) *accounts.Account {
	h.t.Helper()
	h.must(h.store.CreateAccount(h.t.Context(), "company.com", name, nil))
	return h.account(name)
}

// put stores a message that was received a year ago.
func (h *house) put(a *accounts.Account, box string) {
	h.t.Helper()
	date := time.Now().Add(-365 * 24 * time.Hour)
	_, err := a.Mail().Append(h.t.Context(), box, mailbox.AppendMessage{Body: strings.NewReader("Subject: x\r\n\r\n" + strings.Repeat("text\r\n", 100)), InternalDate: &date})
	h.must(err)
}

// has compares the number of messages in mailboxes: "INBOX=1 Trash=0".
func (h *house) has(a *accounts.Account, want string) {
	h.t.Helper()
	var got []string
	for _, w := range strings.Fields(want) {
		name, _, _ := strings.Cut(w, "=")
		box, err := a.Mail().Status(h.t.Context(), name)
		n := "none"
		if err == nil {
			n = strconv.Itoa(int(box.Messages))
		}
		got = append(got, name+"="+n)
	}
	if g := strings.Join(got, " "); g != want {
		h.t.Errorf("%s has %s, want %s", a.Name, g, want)
	}
}

const day = 24 * time.Hour

func TestOldMessagesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		plain, never, received, inbox, odd := h.create("plain"), h.create("never"), h.create("received"), h.create("inbox"), h.create("odd")
		h.prefs("never", "{EmptyTrash=never;EmptyJunk=0;}")
		h.prefs("received", "{KeepTimeInTrash=YES;}")
		h.prefs("odd", "{TrashBox=INBOX;JunkBox=Archive;}")
		h.set("inbox", "{ArchiveMessagesAfter=30d;}")
		h.must(inbox.Mail().DeleteMailbox(t.Context(), "Archive"))
		for _, a := range []*accounts.Account{plain, never, received, inbox, odd} {
			for _, box := range []string{"INBOX", "Trash", "Junk", "Archive"} {
				if a != inbox || box != "Archive" {
					h.put(a, box)
				}
			}
		}
		time.Sleep(2 * time.Hour)
		h.has(plain, "INBOX=1 Trash=1 Junk=1 Archive=1")
		h.has(received, "INBOX=1 Trash=0 Junk=0 Archive=1")
		time.Sleep(7 * day)
		h.has(plain, "INBOX=1 Trash=1 Junk=0 Archive=1")
		time.Sleep(8 * day)
		h.has(plain, "INBOX=1 Trash=0 Junk=0 Archive=1")
		h.has(inbox, "INBOX=1 Archive=none")
		time.Sleep(20 * day)
		h.has(plain, "INBOX=1 Trash=0 Junk=0 Archive=1")
		h.has(never, "INBOX=1 Trash=1 Junk=1 Archive=1")
		h.has(odd, "INBOX=1 Trash=1 Junk=1 Archive=1")
		h.has(inbox, "INBOX=0 Archive=1")

		h.put(plain, "INBOX")
		h.set("plain", "{DeleteMessagesAfter=34d;}")
		time.Sleep(2 * time.Hour)
		h.has(plain, "INBOX=1 Archive=1")
		if n := h.Counts().Messages.Of("deleted from INBOX").Value(); n != 1 {
			t.Errorf("%d are counted", n)
		}
	})
}

// More messages than one step takes go in one round.
func TestManyOldMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a := h.create("many")
		h.put(a, "Trash")
		for range 13 { // 8192 messages
			m, err := a.Mail().Open(t.Context(), "Trash", false)
			h.must(err)
			h.must(m.Load(t.Context()))
			_, err = m.Copy(t.Context(), m.UIDs(), "Trash")
			h.must(err)
			m.Close()
		}
		time.Sleep(15*day - time.Hour)
		h.has(a, "Trash=8192")
		time.Sleep(3 * time.Hour)
		h.has(a, "Trash=0")
	})
}

func TestNoticeOncePerCrossing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a := h.create("full")
		h.set("full", "{MaxAccountSize=5K;QuotaNotice=50;}")
		h.prefs("full", "{Language=Russian;}")
		for range 4 {
			h.put(a, "Archive")
		}
		h.has(a, "INBOX=0")
		time.Sleep(5 * time.Hour)
		h.has(a, "INBOX=0") // 49 %
		h.put(a, "Archive")
		time.Sleep(5 * time.Hour)
		h.has(a, "INBOX=1")
		h.must(a.Mail().DeleteMailbox(t.Context(), "Archive"))
		time.Sleep(2 * time.Hour)
		_, err := a.Mail().CreateMailbox(t.Context(), "Archive", mailbox.CreateOptions{})
		h.must(err)
		for range 4 {
			h.put(a, "Archive")
		}
		time.Sleep(5 * time.Hour)
		h.has(a, "INBOX=2")
		h.set("full", "{QuotaNotice=0;}")
		time.Sleep(2 * time.Hour)
		b, err := a.Mail().OpenMessage(t.Context(), "INBOX", 1)
		h.must(err)
		text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		h.must(err)
		h.must(b.Close())
		for _, want := range []string{"Auto-Submitted: auto-generated\r\n", "To: <full@company.com>\r\n", "Subject: =?utf-8?q?"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the notice lacks %q:\n%s", want, text)
			}
		}
	})
}

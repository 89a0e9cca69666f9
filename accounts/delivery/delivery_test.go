package delivery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	imap "github.com/emersion/go-imap/v2"
	"golang.org/x/sys/unix"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// office is a server without wires: accounts, router, queue and LOCAL.
type office struct {
	t     testing.TB
	acc   *accounts.Store
	q     *queue.Queue
	local *Transport
	set   *settings.Live[Settings]
	stop  func()
}

func shards() int {
	n, _ := strconv.Atoi(os.Getenv("BENCHSHARDS"))
	return n
}

func load[T any](t testing.TB, d dataformat.Dict) *settings.Live[T] {
	t.Helper()
	v := new(T)
	if err := settings.Load(v, d); err != nil {
		t.Fatal(err)
	}
	return settings.NewLive(v)
}

func newOffice(t testing.TB, dir string) *office {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	queueDir := filepath.Join(dir, "Queue")
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), queueDir, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, set: load[Settings](t, nil)}
	if o.acc, err = accounts.Open(dir, accounts.Options{Log: log, MainDomain: "company.com", Shards: shards(),
		NextID: func() (uint64, error) {
			id, err := counter.NextID()
			return uint64(id), err
		},
		Raise: func(used uint64) error { return counter.Raise(envelope.QueueID(used)) }}); err != nil {
		t.Fatal(err)
	}
	r, err := router.New(load[router.Settings](t, nil), o.acc, log)
	if err != nil {
		t.Fatal(err)
	}
	o.q, err = queue.Open(queueDir, queue.Options{Settings: load[queue.Settings](t, nil), Router: r, Counter: counter,
		MainDomain: o.acc.MainDomain, AllAccounts: AllAccounts(o.acc), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	o.local = New(o.acc, o.q, o.set, log)
	o.q.Handle(router.LOCAL, o.local)
	o.q.OnFinish(o.local.Sync, o.local.Forget)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.q.Run(ctx)
	}()
	o.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(func() {
		o.stop()
		mailboxtest.Check(t, o.acc.Mail())
		if err := o.acc.Close(); err != nil {
			t.Error(err)
		}
		o.q.Close()
		counter.Close()
	})
	return o
}

func (o *office) account(name string, set dataformat.Dict) {
	o.t.Helper()
	if err := o.acc.CreateAccount(context.Background(), "company.com", name, set); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) box(account, name string) []string {
	o.t.Helper()
	acc, err := o.acc.Account(context.Background(), "company.com", account)
	if err != nil {
		o.t.Fatal(err)
	}
	m, err := acc.Mail().Open(context.Background(), name, true)
	if err != nil {
		o.t.Fatal(err)
	}
	defer m.Close()
	var out []string
	for _, uid := range m.UIDs() {
		body, err := m.OpenBody(uid)
		if err != nil {
			o.t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		if err != nil {
			o.t.Fatal(err)
		}
		body.Close()
		out = append(out, string(text))
	}
	return out
}

// empty expunges the messages in an account's INBOX.
func (o *office) empty(account string) {
	o.t.Helper()
	acc, err := o.acc.Account(context.Background(), "company.com", account)
	if err != nil {
		o.t.Fatal(err)
	}
	m, err := acc.Mail().Open(context.Background(), "INBOX", false)
	if err != nil {
		o.t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.SetFlags(context.Background(), m.UIDs(), mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition); err != nil {
		o.t.Fatal(err)
	}
	if _, err := m.Expunge(context.Background(), nil); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) addr(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		o.t.Fatalf("%q: %v", s, err)
	}
	return a
}

func (o *office) send(from, text string, to ...string) envelope.QueueID {
	o.t.Helper()
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Account: "joe@company.com", Trusted: true}}
	if from != "" {
		env.ReturnPath = o.addr(from)
	}
	for _, r := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: o.addr(r), Notify: envelope.NotifyDefault})
	}
	id, err := o.submit(env, text)
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

func (o *office) submit(env *envelope.Envelope, text string) (envelope.QueueID, error) {
	s, err := o.q.Begin(context.Background(), env)
	if err != nil {
		return 0, err
	}
	defer s.Abort()
	if _, err := io.WriteString(s, text); err != nil {
		return 0, err
	}
	return s.ID(), s.Commit(context.Background())
}

// settled waits until every message is delivered or delayed, and every report
// about them too.
func (o *office) settled() { synctest.Wait() }

func (o *office) list() string {
	var b strings.Builder
	o.q.List(context.Background(), func(e queue.Entry) bool {
		fmt.Fprintf(&b, "%s %s(%s) %s\n", e.Recipient, e.Module, e.Queue, e.LastError)
		return true
	})
	return b.String()
}

const text = "From: x@far.org\r\nSubject: hello\r\n\r\nbody\r\n"

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q\nwant %q", what, got, want)
	}
}

func TestMessageGetsItsTraceFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		o.send("joe@far.org", text, "Ann@Company.COM")
		o.settled()
		equal(t, "INBOX", o.box("ann", "INBOX"),
			"Return-Path: <joe@far.org>\r\nX-Real-To: <Ann@company.com>\r\nDelivered-To: ann@company.com\r\n"+text)
	})
}

func TestNullReturnPathIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		o.send("", text, "ann@company.com")
		o.settled()
		if got := o.box("ann", "INBOX"); len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <>\r\n") {
			t.Errorf("%q", got)
		}
	})
}

func TestSeveralNamesOfOneAccountGetOneCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		if err := o.acc.SetAccountAliases(context.Background(), "company.com", "ann", []string{"anna"}); err != nil {
			t.Fatal(err)
		}
		o.send("joe@far.org", text, "ann@company.com", "anna@company.com", "ann+news@company.com")
		o.settled()
		got := o.box("ann", "INBOX")
		if len(got) != 1 || strings.Count(got[0], "X-Real-To: ") != 3 || strings.Count(got[0], "Delivered-To: ") != 1 {
			t.Errorf("%q", got)
		}
	})
}

func TestDirectMailboxAddressing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		acc, err := o.acc.Account(context.Background(), "company.com", "ann")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := acc.Mail().CreateMailbox(context.Background(), "Lists/Go", mailbox.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		o.send("joe@far.org", text, "Lists/Go#ann@company.com", "ann@company.com", "missing#ann@company.com")
		o.settled()
		if n := len(o.box("ann", "Lists/Go")); n != 1 {
			t.Errorf("%d in Lists/Go", n)
		}
		if n := len(o.box("ann", "INBOX")); n != 2 { // its own, and that of the mailbox that is not there
			t.Errorf("%d in INBOX", n)
		}
		o.set.Set(load[Settings](t, dataformat.Dict{"DirectMailboxAddressing": dataformat.String("NO")}).Get())
		o.send("joe@far.org", text, "Lists/Go#ann@company.com")
		o.settled()
		if n := len(o.box("ann", "Lists/Go")); n != 1 {
			t.Errorf("%d in Lists/Go although it may not be addressed", n)
		}
	})
}

func TestLoopIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		o.account("joe", nil)
		o.send("joe@company.com", "Received: x\r\ndelivered-to: <ANN@company.com>\r\n"+text, "ann@company.com")
		o.settled()
		equal(t, "INBOX", o.box("ann", "INBOX"))
		if got := o.box("joe", "INBOX"); len(got) != 1 || !strings.Contains(got[0], "mail loop") || !strings.Contains(got[0], "Status: 5.4.6") {
			t.Errorf("report %q", got)
		}
		o.send("joe@company.com", text+"Delivered-To: ann@company.com\r\n", "ann@company.com") // in the body
		o.settled()
		if n := len(o.box("ann", "INBOX")); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestFullAccountWaitsAndFreedSpaceWakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("1K")})
		o.account("joe", nil)
		half := text + strings.Repeat("x", 700) + "\r\n"
		o.send("joe@company.com", half, "ann@company.com")
		o.settled()
		o.send("joe@company.com", half, "ann@company.com")
		o.settled()
		if got := o.list(); got != "ann@company.com LOCAL(ann@company.com) account is full (quota exceeded)\n" {
			t.Errorf("list %q", got)
		}
		info, _ := o.q.Info(router.LOCAL, "ann@company.com")
		if wait := time.Until(info.DelayedTill); wait < 29*time.Minute || wait > 30*time.Minute {
			t.Errorf("delayed for %v", wait)
		}
		o.empty("ann")
		o.settled()
		if got := o.list(); got != "" {
			t.Errorf("after there is space: %q", got)
		}
		if n := len(o.box("ann", "INBOX")); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestMessageThatWaitsAloneIsWokenByFreedSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.set.Set(load[Settings](t, dataformat.Dict{"Suspend": dataformat.String("Message")}).Get())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("2K")})
		for range 2 {
			o.send("joe@far.org", text+strings.Repeat("x", 1500)+"\r\n", "ann@company.com")
			o.settled()
		}
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		acc, err := o.acc.Account(context.Background(), "company.com", "ann")
		if err != nil {
			t.Fatal(err)
		}
		m, err := acc.Mail().Open(context.Background(), "INBOX", false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if _, err := m.Move(context.Background(), m.UIDs(), "Trash"); err != nil { // frees nothing
			t.Fatal(err)
		}
		o.settled()
		if n := strings.Count(o.list(), "account is full"); n != 1 {
			t.Errorf("%d wait", n)
		}
		if err := acc.Mail().DeleteMailbox(context.Background(), "Trash"); err != nil {
			t.Fatal(err)
		}
		o.settled()
		if got := o.list(); got != "" {
			t.Errorf("after there is space: %q", got)
		}
	})
}

func TestChangedSettingsWakeWhatWaits(t *testing.T) {
	full := dataformat.Dict{"MaxAccountSize": dataformat.String("1K")}
	off := dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("IMAP")}}
	unset := dataformat.Dict{"MaxAccountSize": dataformat.String("default"), "AccessModes": dataformat.String("default")}
	for name, c := range map[string]struct {
		account, domain dataformat.Dict
		change          func(o *office) error
	}{
		"quota of the account":   {full, nil, func(o *office) error { return o.acc.UpdateAccountSettings(t.Context(), "company.com", "ann", unset) }},
		"quota of the domain":    {nil, full, func(o *office) error { return o.acc.UpdateAccountDefaults(t.Context(), "company.com", unset) }},
		"service of the account": {off, nil, func(o *office) error { return o.acc.UpdateAccountSettings(t.Context(), "company.com", "ann", unset) }},
		"service of the domain":  {nil, off, func(o *office) error { return o.acc.UpdateAccountDefaults(t.Context(), "company.com", unset) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, t.TempDir())
				if err := o.acc.UpdateAccountDefaults(context.Background(), "company.com", c.domain); err != nil {
					t.Fatal(err)
				}
				o.account("ann", c.account)
				half := text + strings.Repeat("x", 700) + "\r\n"
				for range 2 {
					o.send("joe@far.org", half, "ann@company.com")
					o.settled()
				}
				if o.list() == "" {
					t.Fatal("nothing waits")
				}
				if err := c.change(o); err != nil {
					t.Fatal(err)
				}
				o.settled()
				if got := o.list(); got != "" {
					t.Errorf("still waiting: %q", got)
				}
			})
		})
	}
}

func TestSpaceFreedBeforeTheWatchBeginsIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("1K")})
		watch := o.local.waiting.watch
		o.local.waiting.watch = func(acc *accounts.Account, freed func()) func() {
			o.empty("ann")
			return watch(acc, freed)
		}
		half := text + strings.Repeat("x", 700) + "\r\n"
		for range 2 {
			o.send("joe@far.org", half, "ann@company.com")
			o.settled()
		}
		if got := o.list(); got != "" {
			t.Errorf("still waiting: %q", got)
		}
	})
}

// Space is freed again and again while the account is being delivered to: no
// message may wait for the retry.
func TestSpaceFreedDuringADeliveryIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("1K")})
		half := text + strings.Repeat("x", 700) + "\r\n"
		for range 30 {
			for range 3 {
				o.send("joe@far.org", half, "ann@company.com")
			}
			for o.list() != "" {
				if len(o.box("ann", "INBOX")) > 0 {
					o.empty("ann")
					continue
				}
				o.settled()
				if len(o.box("ann", "INBOX")) == 0 && o.list() != "" {
					t.Fatalf("the account is empty and mail waits: %s", o.list())
				}
			}
		}
	})
}

func TestSuspendMessageLetsSmallerOnesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.set.Set(load[Settings](t, dataformat.Dict{"Suspend": dataformat.String("Message")}).Get())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("2K")})
		o.send("joe@far.org", text+strings.Repeat("x", 1500)+"\r\n", "ann@company.com")
		o.settled()
		o.send("joe@far.org", text+strings.Repeat("x", 1500)+"\r\n", "ann@company.com")
		o.settled()
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		if n := len(o.box("ann", "INBOX")); n != 2 {
			t.Errorf("%d messages; waiting %q", n, o.list())
		}
	})
}

func TestMessagesThatNeverFitFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("1K")})
		o.account("bob", dataformat.Dict{"MaxMessageSize": dataformat.String("1K")})
		o.account("joe", nil)
		o.send("joe@company.com", text+strings.Repeat("x", 2000)+"\r\n", "ann@company.com", "bob@company.com")
		o.settled()
		if got := o.list(); got != "" {
			t.Errorf("waiting: %q", got)
		}
		all := strings.Join(o.box("joe", "INBOX"), "")
		for _, want := range []string{
			"Failed to deliver to '<ann@company.com>'\r\nLOCAL module(account ann) reports:\r\n account is full (quota exceeded)\r\n",
			"Failed to deliver to '<bob@company.com>'\r\nLOCAL module(account bob) reports:\r\n message is too large for the account\r\n",
		} {
			if !strings.Contains(all, want) {
				t.Errorf("no %q in\n%s", want, all)
			}
		}
	})
}

func TestMailServiceOffWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("IMAP"), dataformat.String("POP")}})
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		if got := o.list(); got != "ann@company.com LOCAL(ann@company.com) mail receiving disabled\n" {
			t.Errorf("list %q", got)
		}
	})
}

func TestFlowLimitSuspendsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MailInpFlow": dataformat.Array{dataformat.String("3"), dataformat.String("1h")}})
		for range 5 {
			o.send("joe@far.org", text, "ann@company.com")
		}
		o.settled()
		if n := len(o.box("ann", "INBOX")); n != 3 {
			t.Errorf("%d messages", n)
		}
		if got := o.list(); strings.Count(got, "too many messages") != 2 {
			t.Errorf("list %q", got)
		}
		info, _ := o.q.Info(router.LOCAL, "ann@company.com")
		if wait := time.Until(info.DelayedTill); wait < 59*time.Minute || wait > time.Hour {
			t.Errorf("delayed for %v", wait)
		}
	})
}

func TestAccountDeletedMeanwhileFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("joe", nil)
		o.account("ann", dataformat.Dict{"AccessModes": dataformat.String("None")})
		o.send("joe@company.com", text, "ann@company.com")
		o.settled()
		if err := o.acc.DeleteAccount(context.Background(), "company.com", "ann"); err != nil {
			t.Fatal(err)
		}
		o.q.Wake(router.LOCAL, "ann@company.com")
		o.settled()
		if got := o.box("joe", "INBOX"); len(got) != 1 || !strings.Contains(got[0], "unknown user account") {
			t.Errorf("report %q", got)
		}
	})
}

func TestMailToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("joe", nil)
		o.account("ann", nil)
		o.account("bob", dataformat.Dict{"MailToAll": dataformat.String("NO")})
		o.send("joe@company.com", text, "all@company.com")
		o.settled()
		for name, want := range map[string]int{"joe": 1, "ann": 1, "bob": 0, "postmaster": 1} {
			if n := len(o.box(name, "INBOX")); n != want {
				t.Errorf("%s has %d messages, want %d", name, n, want)
			}
		}
		env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, ReturnPath: o.addr("joe@company.com"),
			Recipients: []envelope.Recipient{{Address: o.addr("all@company.com"), Notify: envelope.NotifyDefault}}}
		if _, err := o.submit(env, text); err == nil { // the receiver refuses a stranger earlier; this is the last line
			o.settled()
			if got := o.box("joe", "INBOX"); len(got) != 2 || !strings.Contains(got[1], "you may not write to all accounts") {
				t.Errorf("joe has %q", got)
			}
		}
		if n := len(o.box("ann", "INBOX")); n != 1 {
			t.Errorf("ann has %d messages", n)
		}
	})
}

func TestQueueFilesGoAndBodiesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := newOffice(t, dir)
		o.account("ann", nil)
		o.account("bob", nil)
		o.send("joe@far.org", text, "ann@company.com", "bob@company.com")
		o.settled()
		o.stop() // the remover ends its work
		files, err := os.ReadDir(filepath.Join(dir, "Queue"))
		if err != nil || len(files) != 0 {
			t.Errorf("%v, %v", files, err)
		}
		if got := o.box("bob", "INBOX"); len(got) != 1 || !strings.HasSuffix(got[0], text) {
			t.Errorf("%q", got)
		}
	})
}

func TestDeliveryIsExactlyOnceAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := newOffice(t, dir)
		o.account("ann", nil)
		id := o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		// The queue file as it was before the removal: what a kill would leave.
		head := "V 1\nS SMTP [0.0.0.0]\nO L\nP I 24-11-2026 09:00:00 0000 ____ ____ <joe@far.org>\n" +
			"R W 24-11-2026 09:00:00 0000 ____ _FY_ <ann@company.com>\n\n"
		it := &queue.Item{ID: id, File: filepath.Join(dir, "again.msg"), Offset: int64(len(head)), Size: int64(len(text)),
			Envelope:   &envelope.Envelope{Recipients: []envelope.Recipient{{Address: o.addr("ann@company.com")}}},
			Recipients: []int{0}, Routes: []router.Route{{Module: router.LOCAL, Queue: "ann@company.com", Address: o.addr("ann@company.com")}}}
		if err := os.WriteFile(it.File, []byte(head+text), 0o600); err != nil {
			t.Fatal(err)
		}
		acc, err := o.acc.Account(context.Background(), "company.com", "ann")
		if err != nil {
			t.Fatal(err)
		}
		sum, err := o.local.messages.get(it)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range o.local.copies(acc, it) {
			if err := acc.Mail().Deliver(context.Background(), []mailbox.Delivery{c.delivery(it, acc, sum)})[0]; err != nil {
				t.Error(err)
			}
		}
		if n := len(o.box("ann", "INBOX")); n != 1 {
			t.Errorf("%d copies", n)
		}
	})
}

func TestSummaryIsReadOncePerMessage(t *testing.T) {
	s := newSummaries()
	file := filepath.Join(t.TempDir(), "1.msg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	it := &queue.Item{ID: 1, File: file, Size: int64(len(text)), Recipients: []int{0},
		Envelope: &envelope.Envelope{Recipients: make([]envelope.Recipient, 2)}}
	first, err := s.get(it)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := s.get(it); second != first {
		t.Error("read twice")
	}
	missing := &queue.Item{ID: 2, File: file + "x", Size: it.Size, Recipients: []int{0}, Envelope: it.Envelope}
	if _, err := s.get(missing); err == nil {
		t.Error("a missing file has a summary")
	}
	if len(s.order) != 1 || len(s.kept) != 1 {
		t.Errorf("a failure is kept: %v", s.order)
	}
	for id := range envelope.QueueID(1000) {
		next := &queue.Item{ID: id + 10, File: file, Size: int64(len(text)), Recipients: []int{0}, Envelope: it.Envelope}
		if _, err := s.get(next); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.order) > keptSummaries || len(s.kept) > keptSummaries {
		t.Errorf("%d summaries are kept", len(s.kept))
	}
}

func TestSettingsAreDeclaredProperly(t *testing.T) {
	if err := settings.Check(new(Settings)); err != nil {
		t.Error(err)
	}
}

func FuzzWatcher(f *testing.F) {
	f.Add("Delivered-To: a@b\r\n\r\n", 3)
	f.Fuzz(func(t *testing.T, s string, cut int) {
		cut = max(1, min(cut, len(s)))
		var whole, parts watcher
		whole.watch([]byte(s))
		for i := 0; i < len(s); i += cut {
			parts.watch([]byte(s[i:min(i+cut, len(s))]))
		}
		if !slices.Equal(whole.found, parts.found) || len(whole.line) > watchedLine || len(whole.found) > watchedFields {
			t.Fatalf("%q: %q, in pieces %q", s, whole.found, parts.found)
		}
	})
}

// BenchmarkDelivery is Begin to the mailbox, 4 KB messages, 20 sessions, 100 accounts.
func BenchmarkDelivery(b *testing.B) {
	dir, err := os.MkdirTemp(os.Getenv("BENCHDIR"), "bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	o := newOffice(b, dir)
	for i := range 100 {
		o.account(fmt.Sprintf("u%d", i), nil)
	}
	message := "From: a@b.c\r\nTo: u@company.com\r\nSubject: bench\r\nMessage-ID: <x@y>\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\n" +
		strings.Repeat(strings.Repeat("x", 70)+"\r\n", 55)
	b.SetParallelism(10)
	b.ReportAllocs()
	b.ResetTimer()
	var n atomic.Int64
	start, cpu := time.Now(), cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			o.send("joe@far.org", message, fmt.Sprintf("u%d@company.com", n.Add(1)%100))
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "accepted/s")
	for o.list() != "" {
		time.Sleep(20 * time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "readable/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
	b.StopTimer()
	o.stop()
}

// cpuTime is what the process has used so far: on a busy machine it tells more
// than the clock.
func cpuTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

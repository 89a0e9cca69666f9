package delivery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gatepost/accounts/mailbox"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

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

func TestRecipientWithATokenHasFieldsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		_, err := o.submit(&envelope.Envelope{
			Source: envelope.Source{Tag: "LIST", Trusted: true}, ReturnPath: o.addr("news-report@company.com"),
			Personal:   "List-Unsubscribe: <https://company.com/off/" + envelope.TokenMark + ">\r\n",
			Recipients: []envelope.Recipient{{Address: o.addr("ann@company.com"), Token: "T1"}},
		}, text)
		if err != nil {
			t.Fatal(err)
		}
		o.settled()
		equal(t, "INBOX", o.box("ann", "INBOX"), "Return-Path: <news-report+T1@company.com>\r\nX-Real-To: <ann@company.com>\r\n"+
			"Delivered-To: ann@company.com\r\nList-Unsubscribe: <https://company.com/off/T1>\r\n"+text)
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

// TestJunkGoesIntoTheJunkMailbox: that of the preferences, after a restart of the queue too; without one into
// INBOX. A mailbox that the address names comes first.
func TestJunkGoesIntoTheJunkMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		o.account("bob", nil)
		acc, err := o.acc.Account(context.Background(), "company.com", "bob")
		if err != nil {
			t.Fatal(err)
		}
		if err := acc.Mail().DeleteMailbox(context.Background(), "Junk"); err != nil {
			t.Fatal(err)
		}
		o.allow("ann", "Drafts", "anyone", "p")
		env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, ReturnPath: o.addr("joe@far.org"), Junk: true}
		for _, r := range []string{"ann@company.com", "bob@company.com", "Drafts#ann@company.com"} {
			env.Recipients = append(env.Recipients, envelope.Recipient{Address: o.addr(r), Notify: envelope.NotifyDefault})
		}
		if _, err := o.submit(env, text); err != nil {
			t.Fatal(err)
		}
		o.settled()
		for box, want := range map[string]int{"ann INBOX": 0, "ann Junk": 1, "ann Drafts": 1, "bob INBOX": 1} {
			name, mailbox, _ := strings.Cut(box, " ")
			if got := len(o.box(name, mailbox)); got != want {
				t.Errorf("%s has %d messages, want %d", box, got, want)
			}
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
		o.allow("ann", "Lists/Go", "anyone", "p")
		o.send("joe@far.org", text, "Lists/Go#ann@company.com", "ann@company.com", "missing#ann@company.com")
		o.settled()
		if n := len(o.box("ann", "Lists/Go")); n != 1 {
			t.Errorf("%d in Lists/Go", n)
		}
		if n := len(o.box("ann", "INBOX")); n != 1 { // its own, which is also that of the mailbox that is not there
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

// A Delivered-To field that came with the message was written by anybody: by a
// stranger who wants a report sent to his victim, or by the server from which an
// account of the same name moved here.
func TestDeliveredToOfOthersIsNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		o.account("joe", nil)
		moved := "Received: x\r\ndelivered-to: <ANN@company.com>\r\n" + text
		o.send("joe@company.com", moved, "ann@company.com")
		o.settled()
		equal(t, "INBOX", o.box("ann", "INBOX"),
			"Return-Path: <joe@company.com>\r\nX-Real-To: <ann@company.com>\r\nDelivered-To: ann@company.com\r\n"+moved)
		equal(t, "reports", o.box("joe", "INBOX"))
	})
}

// What really comes back again and again has one more Received field each time,
// and its end before anything is accepted.
func TestLoopEndsByItsReceivedFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		env := func() *envelope.Envelope {
			return &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, ReturnPath: o.addr("joe@far.org"),
				Recipients: []envelope.Recipient{{Address: o.addr("ann@company.com"), Notify: envelope.NotifyDefault}}}
		}
		message, turns := text, 0
		for ; turns < 100; turns++ {
			message = "Received: by a\r\nReceived: by b\r\n" + message
			if _, err := o.submit(env(), message); err != nil {
				if !fault.Is(err, fault.Loop) {
					t.Error(err)
				}
				break
			}
			o.settled()
			message = o.box("ann", "INBOX")[turns]
		}
		if n := len(o.box("ann", "INBOX")); turns != 15 || n != turns {
			t.Errorf("%d turns, %d messages", turns, n)
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
			Recipients: []int{0}, Routes: []router.Route{{Module: router.LOCAL, Queue: "ann@company.com", Name: "ann", Domain: "company.com", Address: o.addr("ann@company.com")}}}
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
		copies, err := o.local.copies(t.Context(), acc, it)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range copies {
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

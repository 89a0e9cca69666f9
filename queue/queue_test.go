package queue

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestAcceptedMessageIsDeliveredAndItsFileRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		defer b.halt()
		id := b.mustSubmit(b.env("joe@far.org", "ann@company.com", "bob@far.net"), testMessage)
		if id != 1 {
			t.Errorf("first ID is %d", id)
		}
		synctest.Wait()
		if got := b.local.messages("ann@company.com"); len(got) != 1 || got[0] != testMessage {
			t.Errorf("ann got %q", got)
		}
		if got := b.remote.messages("bob@far.net"); len(got) != 1 || got[0] != testMessage {
			t.Errorf("bob got %q", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if f := b.files(); f != "" {
			t.Errorf("left: %s", f)
		}
		if n := b.q.Len(); n != 0 {
			t.Errorf("%d messages in the queue", n)
		}
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	b := open(t, t.TempDir())
	s, err := b.q.Begin(context.Background(), b.env("joe@far.org", "ann@company.com"))
	if err != nil {
		t.Fatal(err)
	}
	if f := b.files(); f != "1.tmp" {
		t.Errorf("while receiving: %q", f)
	}
	s.Abort()
	if f := b.files(); f != "" {
		t.Errorf("left: %s", f)
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("Write after Abort")
	}
	if err := s.Commit(context.Background()); err == nil {
		t.Error("Commit after Abort")
	}
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("Received: from a by b\r\n", 31) + testMessage
	for name, c := range map[string]struct {
		to   []string
		text string
		kind fault.Kind
	}{
		"loop":                     {[]string{"ann@company.com"}, long, fault.Loop},
		"nobody known":             {[]string{"unknown1@company.com", "unknown2@company.com"}, testMessage, fault.NotFound},
		"router out of order":      {[]string{"later@company.com"}, testMessage, fault.Unavailable},
		"module without transport": {[]string{"list@company.com"}, testMessage, fault.Unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, t.TempDir())
			b.routes.set("later@company.com", fault.New("table", fault.Unavailable, "helper failed"))
			b.routes.to = map[string]router.Route{"list@company.com": {Module: router.LIST, Queue: "list"}}
			if _, err := b.submit(b.env("joe@far.org", c.to...), c.text); !fault.Is(err, c.kind) {
				t.Errorf("%v, want %v", err, c.kind)
			}
			if f := b.files(); f != "" {
				t.Errorf("left: %s", f)
			}
			if b.q.Len() != 0 {
				t.Error("still in the queue")
			}
		})
	}
}

func TestThirtyHopsAreAllowed(t *testing.T) {
	b := open(t, t.TempDir())
	text := strings.Repeat("received: from a by b\r\n\tfor us\r\n", 30) + "Subject: x\r\n\r\n" + strings.Repeat("Received: quoted\r\n", 40)
	b.mustSubmit(b.env("joe@far.org", "ann@company.com"), text)
}

func TestQueueLimitIsBusy(t *testing.T) {
	b := open(t, t.TempDir())
	b.set.Set(testSettings(t, dataformat.Dict{"QueueLimit": dataformat.String("2")}).Get())
	b.mustSubmit(b.env("joe@far.org", "ann@company.com"), testMessage)
	s, err := b.q.Begin(context.Background(), b.env("joe@far.org", "ann@company.com"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.submit(b.env("joe@far.org", "ann@company.com"), testMessage); !fault.Is(err, fault.Busy) {
		t.Errorf("third: %v", err)
	}
	s.Abort()
	b.mustSubmit(b.env("joe@far.org", "ann@company.com"), testMessage)
}

func TestRestartTakesUpWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.mustSubmit(b.env("joe@far.org", "ann@company.com"), testMessage)
		s, err := b.q.Begin(context.Background(), b.env("joe@far.org", "ann@company.com"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(s, testMessage)
		if f := b.files(); f != "1.msg 2.tmp" {
			t.Errorf("before the crash: %q", f)
		}
		b.reopen(nil)
		if f := b.files(); f != "1.msg" {
			t.Errorf("after the crash: %q", f)
		}
		if id := nextID(t, b.ctr); id < 3 {
			t.Errorf("ID %d comes again", id)
		}
		b.run()
		synctest.Wait()
		b.halt()
		if got := b.local.messages("ann@company.com"); len(got) != 1 || got[0] != testMessage {
			t.Errorf("ann got %q", got)
		}
		if f := b.files(); f != "" {
			t.Errorf("left: %s", f)
		}
	})
}

func TestRecoverySkipsRecipientsThatAreDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(it *Item, _ int) envelope.Status { return hostDown("down") }
		b.run()
		b.mustSubmit(b.env("joe@far.org", "ann@company.com", "bob@far.net"), testMessage)
		time.Sleep(2 * removeGather) // what LOCAL has is marked after a sync
		synctest.Wait()
		data, _ := os.ReadFile(filepath.Join(b.dir, "Queue", "1.msg"))
		if !strings.Contains(string(data), "R D ") || !strings.Contains(string(data), "R W ") {
			t.Errorf("states not in the file:\n%s", data)
		}
		b.halt()
		b.local, b.remote = newSink(), newSink() // the mailbox forgets: a second delivery would show
		b.reopen(nil)
		b.run()
		synctest.Wait()
		b.halt()
		if got := b.local.messages("ann@company.com"); len(got) != 0 {
			t.Errorf("ann got it again: %q", got)
		}
		if got := b.remote.messages("bob@far.net"); len(got) != 1 {
			t.Errorf("bob got %q", got)
		}
	})
}

func TestOldAndDamagedFilesAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		os.MkdirAll(filepath.Join(dir, "Queue"), 0o700)
		head := "S SMTP [199.199.199.199]\nO T\nP I 26-04-2019 15:57:14 0000 ____ ____ <joe@far.org>\n"
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, "Queue", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("7.msg", head+"R W 26-04-2019 15:57:14 0000 ____ _FY_ <ann@company.com>\n\nSubject: old\n\nline\r\nbare\n")
		write("8.msg", "V 1\n"+head)
		write("9.msg", "V 99\n"+head+"R W 26-04-2019 15:57:14 0000 ____ _FY_ <ann@company.com>\n\n")
		write("10.msg", head+"R Q 26-04-2019 15:57:14 0000 ____ _FY_ <ann@company.com>\n\nSubject: other state\n")
		write("11.msg", head+"R D 26-04-2019 15:57:14 0000 ____ _FY_ <ann@company.com>\n\nSubject: done\n")
		write("readme.txt", "")
		b := open(t, dir)
		b.run()
		synctest.Wait()
		b.halt()
		if got := b.local.messages("ann@company.com"); len(got) != 1 || got[0] != "Subject: old\r\n\r\nline\r\nbare\r\n" {
			t.Errorf("ann got %q", got)
		}
		if f := b.files(); f != "10.bad 8.bad 9.bad readme.txt" {
			t.Errorf("left: %s", f)
		}
		if id := b.ctr.next.Load(); id <= 11 {
			t.Errorf("the next ID %d was used", id)
		}
	})
}

func TestPartlyKnownRecipientsGetAReportForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("joe@company.com", "ann@company.com", "unknown@company.com", "bounced@company.com", "nobody@company.com"), testMessage)
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.local.messages("ann@company.com"); len(got) != 1 {
			t.Errorf("ann got %q", got)
		}
		got := b.local.messages("joe@company.com")
		if len(got) != 1 {
			t.Fatalf("joe got %q", got)
		}
		want := "Failed to deliver to '<unknown@company.com>'\r\n unknown user account\r\n\r\nFailed to deliver to '<bounced@company.com>'\r\n unknown user account\r\n"
		if !strings.Contains(got[0], want) {
			t.Errorf("report:\n%s", got[0])
		}
		if copies := b.local.messages("postmaster"); len(copies) != 1 {
			t.Errorf("postmaster got %q", copies)
		}
	})
}

func TestTemporaryRoutingErrorIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		defer b.halt()
		b.routes.set("later@company.com", fault.New("table", fault.Unavailable, "helper failed"))
		b.mustSubmit(b.env("joe@company.com", "ann@company.com", "later@company.com"), testMessage)
		synctest.Wait()
		if l := b.list(); !strings.Contains(l, "<later@company.com> ENQUEUER() in 1m0s: helper failed") {
			t.Errorf("list: %q", l)
		}
		b.routes.set("later@company.com", nil)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got := b.local.messages("later@company.com"); len(got) != 1 {
			t.Errorf("later got %q", got)
		}
	})
}

func TestDeliveryPanicIsATemporaryFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		first := true
		b.local.decide = func(*Item, int) envelope.Status {
			if first {
				first = false
				panic("bug")
			}
			return envelope.Status{Action: envelope.ActionDelivered}
		}
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := b.local.messages("ann@company.com"); len(got) != 1 {
			t.Errorf("ann got %q", got)
		}
	})
}

func TestStopReturnsUntriedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.local.block = make(chan struct{})
		b.run()
		b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
		synctest.Wait()
		b.halt()
		if f := b.files(); f != "1.msg" {
			t.Errorf("after the stop: %q", f)
		}
		b.local.block = nil
		b.reopen(nil)
		b.run()
		synctest.Wait()
		b.halt()
		if got := b.local.messages("ann@company.com"); len(got) != 1 {
			t.Errorf("ann got %q", got)
		}
	})
}

func TestEnqueuerOverloadAcceptsAndRoutesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		n := b.set.Get().processors()
		for range n {
			if !b.q.enqueuers.enter(context.Background(), n, 0) {
				t.Fatal("no place")
			}
		}
		b.run()
		defer b.halt()
		start := time.Now()
		b.mustSubmit(b.env("joe@company.com", "unknown@company.com"), testMessage)
		if d := time.Since(start); d != time.Minute {
			t.Errorf("waited %v", d)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.local.messages("joe@company.com"); len(got) != 1 || !strings.Contains(got[0], "unknown user account") {
			t.Errorf("joe got %q", got)
		}
	})
}

func TestRejectEndsWhatWaits(t *testing.T) {
	for _, report := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, t.TempDir())
			b.remote.decide = func(it *Item, rcpt int) envelope.Status {
				if it.Envelope.Recipients[rcpt].Address.Local == "bob" {
					return hostDown("down")
				}
				return deferred("later")
			}
			b.run()
			defer b.halt()
			id := b.mustSubmit(b.env("joe@company.com", "ann@company.com", "bob@far.net", "eve@far.org"), testMessage)
			synctest.Wait()
			if err := b.q.Reject(context.Background(), id, "spam run", report); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			got := b.local.messages("joe@company.com")
			if !report && len(got) != 0 || report && (len(got) != 1 || !strings.Contains(got[0], "Failed to deliver to '<bob@far.net>'\r\n spam run")) {
				t.Errorf("report %v: joe got %q", report, got)
			}
			if err := b.q.Reject(context.Background(), id, "", true); !fault.Is(err, fault.NoMessage) {
				t.Errorf("second time: %v", err)
			}
			if f := b.files(); f != "" {
				t.Errorf("left: %s", f)
			}
		})
	}
}

func TestInfoAndList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status { return hostDown("connection refused") }
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("", "bob@far.net", "eve@far.net"), testMessage)
		synctest.Wait()
		info, ok := b.q.Info(router.SMTP, "far.net")
		if !ok || info.Messages != 1 || info.Size != int64(len(testMessage)) || time.Until(info.DelayedTill) != time.Minute || info.LastError != "connection refused" {
			t.Errorf("info %+v, %v", info, ok)
		}
		if _, ok := b.q.Info(router.SMTP, "other"); ok {
			t.Error("info of a queue that is not there")
		}
		want := "1 43 <> <bob@far.net> SMTP(far.net) in 1m0s: connection refused\n1 43 <> <eve@far.net> SMTP(far.net) in 1m0s: connection refused\n"
		if got := b.list(); got != want {
			t.Errorf("list\n%swant\n%s", got, want)
		}
	})
}

func TestListHasTheOthersBesideAFileThatCannotBeRead(t *testing.T) {
	b := open(t, t.TempDir())
	defer func() { b.ctr.Close() }()
	b.mustSubmit(b.env("joe@far.org", "bob@far.net"), testMessage)
	if err := os.Mkdir(filepath.Join(b.dir, "Queue", "7.msg"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.mustSubmit(b.env("joe@far.org", "tom@slow.net"), testMessage)
	b.reopen(nil)
	got := b.list()
	for _, want := range []string{"<bob@far.net>", "<tom@slow.net>", "7 0 <> <> ENQUEUER() in 0s: the queue file cannot be read: read "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the list\n%s", want, got)
		}
	}
}

// After a start nothing is routed yet. Who has the message, or has been given up,
// does not wait for it all the same.
func TestListAfterAStartHasOnlyWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(it *Item, i int) envelope.Status {
			switch it.Envelope.Recipients[i].Address.Local {
			case "bob":
				return envelope.Status{Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}, Text: "relayed"}
			case "eve":
				return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 1, 1}, Text: "no such user"}
			}
			return hostDown("connection refused")
		}
		b.run()
		e := b.env("", "all@company.com", "bob@far.net", "eve@far.net", "tom@slow.net")
		e.Recipients[1].Notify = envelope.NotifySuccess
		b.mustSubmit(e, testMessage)
		time.Sleep(time.Hour)
		b.halt()
		b.reopen(nil)
		defer b.halt()
		want := "1 74 <> <tom@slow.net> ENQUEUER() in 0s: \n"
		if got := b.list(); got != want {
			t.Errorf("list\n%swant\n%s", got, want)
		}
		b.run()
		synctest.Wait()
		if got := b.list(); !strings.HasPrefix(got, "1 74 <> <tom@slow.net> SMTP(slow.net)") || strings.Count(got, "\n") != 1 {
			t.Errorf("once it is routed: %s", got)
		}
	})
}

// What another server has taken does not wait, although its sender is still to be told.
func TestListHasNobodyWhomAnotherServerServes(t *testing.T) {
	b := open(t, t.TempDir())
	defer b.ctr.Close()
	e := b.env("joe@far.org", "bob@far.net", "tom@slow.net")
	e.Recipients[0].State = envelope.RelayedUnreported
	b.mustSubmit(e, testMessage)
	b.reopen(nil)
	if got, want := b.list(), "1 43 <joe@far.org> <tom@slow.net> ENQUEUER() in 0s: \n"; got != want {
		t.Errorf("list\n%swant\n%s", got, want)
	}
}

func TestBeginAfterCounterFailure(t *testing.T) {
	b := open(t, t.TempDir())
	b.ctr.file.Close()
	var err error
	for range 3 * counterBlock {
		var s *Submission
		if s, err = b.q.Begin(context.Background(), b.env("joe@far.org", "ann@company.com")); err != nil {
			break
		}
		s.Abort()
	}
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, os.ErrClosed) {
		t.Errorf("IDs that are not reserved are given out: %v", err)
	}
}

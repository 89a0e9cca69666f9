package queue

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// restart stops the queue and opens it again; crash leaves out what a stop still does.
func (b *bench) restart() {
	b.halt()
	b.reopen(nil)
	b.run()
}

func TestMessageOnHoldWaitsForItsRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status { return deferred("later") }
		b.run()
		defer func() { b.halt() }()
		id := b.mustSubmit(b.env("joe@company.com", "eve@far.org", "mallory@far.net"), testMessage)
		synctest.Wait()
		must(t, b.q.Hold(context.Background(), id))
		must(t, b.q.Hold(context.Background(), id))
		tries := len(b.remote.attempts())
		time.Sleep(10 * 24 * time.Hour) // it does not expire
		if len(b.remote.attempts()) != tries || b.q.Len() != 1 {
			t.Errorf("%d tries on hold, %d messages", len(b.remote.attempts())-tries, b.q.Len())
		}
		var on []string
		must(t, b.q.List(context.Background(), func(e Entry) bool {
			on = append(on, string(e.Module)+"("+e.Queue+") "+e.LastError)
			return e.OnHold
		}))
		if !slices.Equal(on, []string{"SMTP(far.org) later", "SMTP(far.net) later"}) {
			t.Errorf("on hold: %q", on)
		}
		b.restart()
		time.Sleep(time.Hour)
		if len(b.remote.attempts()) != tries || b.q.Len() != 1 {
			t.Errorf("after a restart %d tries, %d messages", len(b.remote.attempts())-tries, b.q.Len())
		}
		b.remote.setDecide(nil)
		must(t, b.q.Release(context.Background(), id))
		time.Sleep(time.Minute)
		if n := len(b.remote.messages("eve@far.org")) + len(b.remote.messages("mallory@far.net")); n != 2 || b.files() != "" {
			t.Errorf("%d recipients got it, files %q", n, b.files())
		}
		if err := b.q.Hold(context.Background(), id); !fault.Is(err, fault.NoMessage) {
			t.Errorf("hold of what is gone: %v", err)
		}
	})
}

// What is being delivered is put on hold after the attempt.
func TestHoldDuringAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.block = make(chan struct{})
		b.remote.decide = func(*Item, int) envelope.Status { return deferred("later") }
		b.run()
		defer func() { b.halt() }()
		id := b.mustSubmit(b.env("joe@company.com", "eve@far.org"), testMessage)
		synctest.Wait()
		must(t, b.q.Hold(context.Background(), id))
		close(b.remote.block)
		time.Sleep(time.Hour)
		if n := len(b.remote.attempts()); n != 1 {
			t.Errorf("%d tries", n)
		}
		must(t, b.q.Release(context.Background(), id))
		synctest.Wait()
		if n := len(b.remote.attempts()); n != 2 {
			t.Errorf("%d tries after the release", n)
		}
	})
}

// A message that has not come to the rules is judged after its release.
func TestHoldBeforeTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		id := b.mustSubmit(b.env("joe@company.com", "bob@company.com"), testMessage)
		must(t, b.q.Hold(context.Background(), id))
		b.run()
		defer func() { b.halt() }()
		time.Sleep(time.Hour)
		if n := len(b.local.messages("bob@company.com")); n != 0 {
			t.Errorf("%d messages", n)
		}
		must(t, b.q.Release(context.Background(), id))
		time.Sleep(time.Minute)
		if n := len(b.local.messages("bob@company.com")); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// Release of a message that waits for its own time has it tried now.
func TestReleaseTriesNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status { return deferred("later") }
		b.run()
		defer func() { b.halt() }()
		id := b.mustSubmit(b.env("joe@company.com", "eve@far.org"), testMessage)
		synctest.Wait()
		must(t, b.q.Release(context.Background(), id))
		synctest.Wait()
		if n := len(b.remote.attempts()); n != 2 {
			t.Errorf("%d tries", n)
		}
	})
}

// A message that is rejected and not yet reported stays so over a stop: it is not delivered by the next run, and
// its sender hears of it.
func TestRejectOutlivesAStop(t *testing.T) {
	for _, report := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, t.TempDir())
			b.remote.decide = func(*Item, int) envelope.Status { return deferred("later") }
			b.run()
			id := b.mustSubmit(b.env("joe@company.com", "eve@far.org", "bob@far.net"), testMessage)
			synctest.Wait()
			b.stop() // no worker and no reporter runs when the call comes
			must(t, b.q.Reject(context.Background(), id, "spam run", report))
			must(t, b.ctr.Close())
			b.remote.setDecide(nil)
			b.reopen(nil)
			b.run()
			defer func() { b.halt() }()
			time.Sleep(time.Minute)
			if n := len(b.remote.messages("eve@far.org")); n != 0 {
				t.Errorf("report %v: %d messages were sent", report, n)
			}
			got := b.local.messages("joe@company.com")
			if !report && len(got) != 0 || report && (len(got) != 1 || !strings.Contains(got[0], textRejected)) {
				t.Errorf("report %v: joe got %q", report, got)
			}
			if f := b.files(); f != "" {
				t.Errorf("left: %s", f)
			}
		})
	}
}

func TestRerouteSendsToAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status { return deferred("later") }
		b.run()
		defer func() { b.halt() }()
		id := b.mustSubmit(b.env("joe@company.com", "eve@far.org", "ann@far.org"), testMessage)
		synctest.Wait()
		ctx := context.Background()
		if _, err := b.q.Reroute(ctx, id, b.addr("eve@far.org"), b.addr("unknown@company.com")); !fault.Is(err, fault.NotFound) {
			t.Errorf("to nobody: %v", err)
		}
		if _, err := b.q.Reroute(ctx, id, b.addr("bob@far.org"), b.addr("bob@company.com")); !fault.Is(err, fault.NotFound) {
			t.Errorf("from nobody: %v", err)
		}
		again, err := b.q.Reroute(ctx, id, b.addr("eve@far.org"), b.addr("bob@company.com"))
		must(t, err)
		time.Sleep(10 * time.Second)
		if got := b.local.messages("bob@company.com"); len(got) != 1 || got[0] != testMessage || again == id {
			t.Errorf("bob got %q as %s", got, again)
		}
		if list := b.list(); strings.Contains(list, "eve") || !strings.Contains(list, "<ann@far.org>") || strings.Count(list, "\n") != 1 {
			t.Errorf("waiting:\n%s", list)
		}
		b.remote.setDecide(nil)
		b.restart()
		time.Sleep(time.Minute)
		if len(b.remote.messages("eve@far.org")) != 0 || len(b.remote.messages("ann@far.org")) != 1 || len(b.local.messages("joe@company.com")) != 0 {
			t.Error("after a restart the message goes elsewhere")
		}
	})
}

// What the rules have not seen is not sent elsewhere: it would pass by them, and the rest of the message comes before
// them with all of its recipients.
func TestRerouteWaitsForRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := true
		b := withRules(t, &ruleFunc{judge: func(context.Context, *Message) (*Verdict, error) {
			if later {
				return &Verdict{Later: time.Hour, Hold: true, Reason: "the filter is away"}, nil
			}
			return nil, nil
		}})
		defer func() { b.halt() }()
		ctx := context.Background()
		id := b.mustSubmit(b.env("joe@company.com", "eve@far.org", "ann@far.net"), testMessage)
		synctest.Wait()
		reroute := func() error {
			_, err := b.q.Reroute(ctx, id, b.addr("eve@far.org"), b.addr("bob@company.com"))
			return err
		}
		if err := reroute(); !fault.Is(err, fault.Busy) {
			t.Errorf("before the rules: %v", err)
		}
		must(t, b.q.Hold(ctx, id))
		if err := reroute(); !fault.Is(err, fault.Busy) {
			t.Errorf("on hold, before the rules: %v", err)
		}
		later = false
		must(t, b.q.Release(ctx, id))
		time.Sleep(time.Minute)
		if e, a := b.remote.messages("eve@far.org"), b.remote.messages("ann@far.net"); len(e) != 1 || len(a) != 1 || len(b.local.messages("bob@company.com")) != 0 {
			t.Errorf("eve has %d, ann %d", len(e), len(a))
		}
	})
}

func TestShowTellsTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status {
			st := deferred("recipient put off by mx.far.org")
			st.Remote, st.Reply = "mx.far.org", "450 4.2.0 greylisted"
			return st
		}
		b.run()
		defer func() { b.halt() }()
		id := b.mustSubmit(b.env("joe@company.com", "eve@far.org", "bob@company.com"), testMessage)
		synctest.Wait()
		d, err := b.q.Show(context.Background(), id)
		must(t, err)
		if len(d.Tried) != 1 || d.Tried[0].Status.Reply != "450 4.2.0 greylisted" || d.Tried[0].Rcpt != 0 || time.Since(d.Tried[0].At) > time.Second {
			t.Errorf("tried: %+v", d.Tried)
		}
		if d.Header != "From: joe@far.org\nSubject: hello\n" || len(d.Waiting) != 1 || d.Envelope.Recipients[1].State != envelope.Delivered || d.OnHold {
			t.Errorf("%+v", d)
		}
		text, err := os.ReadFile(d.File)
		if err != nil || string(text[d.Offset:d.Offset+d.Size]) != testMessage || filepath.Base(d.File) != id.String()+".msg" {
			t.Errorf("%s: %q, %v", d.File, text, err)
		}
		if b.q.tried != 1 {
			t.Errorf("%d messages with attempts", b.q.tried)
		}
		// More attempts: some are kept.
		for range 2 {
			time.Sleep(2 * 24 * time.Hour)
		}
		d, err = b.q.Show(context.Background(), id)
		must(t, err)
		if len(d.Tried[0].Earlier) != maxEarlier || !d.Tried[0].Earlier[0].At.Before(d.Tried[0].At) || !d.Tried[0].Earlier[1].At.Before(d.Tried[0].Earlier[0].At) ||
			d.Tried[0].Earlier[0].Status.Remote != "mx.far.org" {
			t.Errorf("tried: %+v", d.Tried)
		}
		b.remote.setDecide(nil)
		must(t, b.q.Release(context.Background(), id))
		time.Sleep(time.Minute)
		if _, err := b.q.Show(context.Background(), id); !fault.Is(err, fault.NoMessage) || b.q.tried != 0 {
			t.Errorf("%v, %d", err, b.q.tried)
		}
	})
}

func TestFilter(t *testing.T) {
	now := time.Now()
	b := &bench{t: t}
	e := Entry{ID: 7, Submitted: now.Add(-time.Hour), Size: 1000, ReturnPath: b.addr("Joe@company.com"), Recipient: b.addr("eve@mail.far.org"),
		Account: "joe@company.com", Module: "SMTP", Queue: "mail.far.org", LastError: "Connection refused"}
	for _, c := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true},
		{Filter{Sender: "joe@company.com"}, true}, {Filter{Sender: "*@COMPANY.*"}, true}, {Filter{Sender: "<>"}, false}, {Filter{Sender: "ann@*"}, false},
		{Filter{Recipient: "*@*far*"}, true}, {Filter{Recipient: "eve"}, false}, {Filter{Account: "joe@company.com"}, true}, {Filter{Account: "eve@company.com"}, false},
		{Filter{Domain: "mail.far.org"}, true}, {Filter{Domain: "*.far.org"}, true}, {Filter{Domain: "far.org"}, false}, {Filter{Queue: "mail.far.org"}, true},
		{Filter{OlderThan: time.Minute}, true}, {Filter{OlderThan: time.Hour}, false}, {Filter{YoungerThan: 2 * time.Hour}, true}, {Filter{YoungerThan: time.Hour}, false},
		{Filter{Larger: 999}, true}, {Filter{Larger: 1000}, false}, {Filter{Smaller: 1001}, true}, {Filter{Smaller: 1000}, false},
		{Filter{OnHold: true}, false}, {Filter{Error: "refused"}, true}, {Filter{Error: "timeout"}, false},
		{Filter{IDs: []envelope.QueueID{7}}, true}, {Filter{IDs: []envelope.QueueID{8}}, false},
	} {
		if got := c.f.Match(&e, now); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
}

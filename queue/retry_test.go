package queue

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

func TestScheduleFollowsFromTheAge(t *testing.T) {
	s := Schedule{First: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
		Every: 30 * time.Minute, EveryFor: 4 * time.Hour, Then: 2 * time.Hour, Expire: 5 * 24 * time.Hour}
	for _, c := range []struct{ age, want time.Duration }{
		{0, time.Minute},
		{59 * time.Second, time.Minute},
		{time.Minute, 5 * time.Minute},
		{6 * time.Minute, 15 * time.Minute},
		{21 * time.Minute, 30 * time.Minute},
		{3*time.Hour + 59*time.Minute, 30 * time.Minute},
		{4 * time.Hour, 2 * time.Hour},
		{4 * 24 * time.Hour, 2 * time.Hour},
		{5*24*time.Hour - time.Minute, time.Minute}, // the last attempt is at the end, not after it
		{5*24*time.Hour - time.Millisecond, time.Second},
		{6 * 24 * time.Hour, 2 * time.Hour},
	} {
		if got := s.interval(lifetime{c.age, c.age}); got != c.want {
			t.Errorf("at %v: %v, want %v", c.age, got, c.want)
		}
	}
	if (Schedule{}).interval(lifetime{}) < minInterval {
		t.Error("an empty schedule tries without a pause")
	}
	own := s.with(envelope.Status{Retry: 10 * time.Minute, Expire: time.Hour})
	if got := own.interval(lifetime{}); got != 10*time.Minute {
		t.Errorf("own interval: %v", got)
	}
	for _, c := range []struct {
		own              envelope.Schedule
		young, old, aged time.Duration
	}{
		{envelope.Schedule{Every: 10 * time.Minute}, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		{envelope.Schedule{First: []time.Duration{time.Second}}, time.Second, 30 * time.Minute, 2 * time.Hour},
		{envelope.Schedule{Every: 10 * time.Minute, First: []time.Duration{time.Second}, Then: time.Hour}, time.Second, 10 * time.Minute, time.Hour},
		{envelope.Schedule{EveryFor: 30 * time.Minute}, time.Minute, 2 * time.Hour, 2 * time.Hour},
	} {
		with := s.with(envelope.Status{Schedule: &c.own})
		for i, want := range []time.Duration{c.young, c.old, c.aged} {
			age := []time.Duration{0, time.Hour, 24 * time.Hour}[i]
			if got := with.interval(lifetime{age, age}); got != want {
				t.Errorf("%+v at %v: %v, want %v", c.own, age, got, want)
			}
		}
	}
	if !own.expired(lifetime{time.Hour, time.Hour}) || s.expired(lifetime{time.Hour, time.Hour}) {
		t.Error("own end is not used")
	}
}

// ages returns when attempts were made for a queue, counted from a start.
func ages(tries []try, queue string, start time.Time) []time.Duration {
	var out []time.Duration
	for _, tr := range tries {
		if tr.queue == queue {
			out = append(out, tr.at.Sub(start).Round(time.Second))
		}
	}
	return out
}

func TestHostThatNeverAnswersIsTriedFiveDays(t *testing.T) {
	for _, c := range []struct{ whole, fair bool }{{true, false}, {false, false}, {true, true}, {false, true}} {
		whole := c.whole
		t.Run(fmt.Sprintf("queue-wide=%v,reserve=%v", whole, c.fair), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				if c.fair {
					b.remote.policy.Silent = 10
				}
				b.remote.decide = func(*Item, int) envelope.Status {
					st := deferred("connection refused")
					st.Queue = whole
					return st
				}
				b.run()
				defer b.halt()
				start := time.Now()
				b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
				time.Sleep(6 * 24 * time.Hour)
				synctest.Wait()
				got := ages(b.remote.attempts(), "far.net", start)
				want := []time.Duration{0, time.Minute, 6 * time.Minute, 21 * time.Minute}
				for a := 51 * time.Minute; a <= 4*time.Hour+21*time.Minute; a += 30 * time.Minute {
					want = append(want, a)
				}
				for a := want[len(want)-1] + 2*time.Hour; a < 5*24*time.Hour; a += 2 * time.Hour {
					want = append(want, a)
				}
				want = append(want, 5*24*time.Hour)
				if !slices.Equal(got, want) {
					t.Errorf("attempts at\n%v\nwant\n%v", got, want)
				}
				mails := b.local.messages("joe@company.com")
				var subjects []string
				for _, m := range mails {
					_, s, _ := strings.Cut(m, "Subject: ")
					s, _, _ = strings.Cut(s, "\r\n")
					subjects = append(subjects, s)
				}
				if !slices.Equal(subjects, []string{"Message Delayed", "Message Delayed", "Undeliverable mail"}) {
					t.Errorf("joe was told %q", subjects)
				}
				if b.q.Len() != 0 || b.files() != "" {
					t.Errorf("left: %d messages, %s", b.q.Len(), b.files())
				}
			})
		})
	}
}

func TestRestartChangesNeitherWarningsNorEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status { return hostDown("connection refused") }
		b.run()
		b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		for day := range 5 {
			time.Sleep(24*time.Hour - time.Minute)
			b.halt()
			time.Sleep(time.Minute)
			if n := len(b.local.messages("joe@company.com")); day < 4 && n > 2 {
				t.Errorf("day %d: %d reports", day, n)
			}
			b.reopen(nil)
			b.run()
			synctest.Wait()
		}
		time.Sleep(time.Hour + time.Minute) // a new process tries for an hour
		synctest.Wait()
		b.halt()
		if n := len(b.local.messages("joe@company.com")); n != 3 {
			t.Errorf("%d reports: %q", n, b.local.messages("joe@company.com"))
		}
		if f := b.files(); f != "" {
			t.Errorf("left: %s", f)
		}
	})
}

func TestWaitingMessagesOfADeadHostExpireToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.policy.BatchSize = 2
		b.remote.decide = func(*Item, int) envelope.Status { return hostDown("connection refused") }
		b.run()
		defer b.halt()
		for range 10 {
			b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if n := len(b.local.messages("joe@company.com")); n != 10 {
			t.Errorf("%d warnings after 5 hours, want 10", n)
		}
		time.Sleep(5 * 24 * time.Hour)
		synctest.Wait()
		if n := len(b.local.messages("joe@company.com")); n != 30 {
			t.Errorf("%d reports at the end, want 30", n)
		}
		if b.q.Len() != 0 {
			t.Errorf("left: %s", b.list())
		}
		for _, a := range b.remote.attempts() {
			if len(a.ids) > 2 {
				t.Errorf("a batch of %d", len(a.ids))
			}
		}
	})
}

func TestNewMailDoesNotWakeADelayedQueueAndReleaseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status { return hostDown("connection refused") }
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		synctest.Wait()
		b.mustSubmit(b.env("joe@company.com", "eve@far.net"), testMessage)
		synctest.Wait()
		if n := len(b.remote.attempts()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
		b.remote.setDecide(nil)
		if !b.q.Wake(router.SMTP, "far.net") {
			t.Error("no such queue")
		}
		synctest.Wait()
		if n := len(b.remote.attempts()); n != 2 {
			t.Errorf("%d attempts after the release, want 2", n)
		}
		if len(b.remote.messages("bob@far.net")) != 1 || len(b.remote.messages("eve@far.net")) != 1 {
			t.Error("not delivered after the release")
		}
		if b.q.Wake(router.SMTP, "far.net") {
			t.Error("an empty queue is still there")
		}
	})
}

func TestOneDelayedMessageDoesNotHoldUpItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(it *Item, rcpt int) envelope.Status {
			if it.Envelope.Recipients[rcpt].Address.Local == "slow" {
				return deferred("greylisted")
			}
			return envelope.Status{Action: envelope.ActionRelayed}
		}
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("joe@company.com", "slow@far.net", "fast@far.net"), testMessage)
		b.mustSubmit(b.env("joe@company.com", "other@far.net"), testMessage)
		synctest.Wait()
		if len(b.remote.messages("fast@far.net")) != 1 || len(b.remote.messages("other@far.net")) != 1 {
			t.Error("others wait")
		}
		if got, want := b.list(), "1 43 <joe@company.com> <slow@far.net> SMTP(far.net) in 1m0s: greylisted\n"; got != want {
			t.Errorf("list %q, want %q", got, want)
		}
		b.remote.setDecide(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(b.remote.messages("slow@far.net")) != 1 {
			t.Error("not tried again")
		}
	})
}

func TestDelayWithRulesOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.local.decide = func(it *Item, rcpt int) envelope.Status {
			if it.Envelope.Source.Tag == TagDSN {
				return envelope.Status{Action: envelope.ActionDelivered}
			}
			return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 2, 2}, Text: "account is full (quota exceeded)",
				Queue: true, Retry: 30 * time.Minute, Expire: 2 * time.Hour}
		}
		b.run()
		defer b.halt()
		start := time.Now()
		b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		want := []time.Duration{0, 30 * time.Minute, time.Hour, 90 * time.Minute, 2 * time.Hour}
		if got := ages(b.local.attempts(), "ann@company.com", start); !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
		if got := b.local.messages("joe@company.com"); len(got) != 1 || !strings.Contains(got[0],
			"Failed to deliver to '<ann@company.com>'\r\nLOCAL module(account ann) reports:\r\n account is full (quota exceeded)\r\n") {
			t.Errorf("joe got %q", got)
		}
	})
}

func TestFreedSpaceWakesTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.local.decide = func(*Item, int) envelope.Status { return hostDown("account is full (quota exceeded)") }
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
		synctest.Wait()
		b.local.setDecide(nil)
		b.q.Wake(router.LOCAL, "ann@company.com")
		synctest.Wait()
		if len(b.local.messages("ann@company.com")) != 1 {
			t.Error("not delivered")
		}
	})
}

func TestQueuesTakeTurnsAndWorkersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.policy.Workers, b.remote.policy.BatchSize = 1, 5
		for range 50 {
			b.mustSubmit(b.env("joe@company.com", "x@big.net"), testMessage)
		}
		b.mustSubmit(b.env("joe@company.com", "x@small.net"), testMessage)
		b.run()
		synctest.Wait()
		b.halt()
		for i, a := range b.remote.attempts() {
			if a.queue == "small.net" && i > 2 {
				t.Errorf("the small queue had to wait for %d batches of the big one", i)
			}
		}
		if b.remote.most != 1 {
			t.Errorf("%d workers", b.remote.most)
		}
	})
}

func TestLongQueueGetsMoreConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.policy = Policy{Workers: 10, PerQueue: 3, Backlog: 10, BatchSize: 5, Retry: remoteSchedule}
		b.remote.block = make(chan struct{})
		b.run()
		submit := func(n int) {
			for range n {
				b.mustSubmit(b.env("joe@company.com", "x@big.net"), testMessage)
			}
			synctest.Wait()
		}
		running := func() int {
			b.remote.mu.Lock()
			defer b.remote.mu.Unlock()
			return b.remote.running
		}
		for _, step := range []struct{ more, want int }{{1, 1}, {9, 1}, {2, 2}, {40, 3}} {
			submit(step.more)
			if got := running(); got != step.want {
				t.Errorf("after %d more messages: %d connections, want %d", step.more, got, step.want)
			}
		}
		close(b.remote.block)
		synctest.Wait()
		b.halt()
		if n := len(b.remote.messages("x@big.net")); n != 52 {
			t.Errorf("%d delivered", n)
		}
	})
}

func TestColdMessageFollowsAChangedRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(*Item, int) envelope.Status { return hostDown("down") }
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("joe@company.com", "bob@far.net", "eve@far.net"), testMessage)
		synctest.Wait()
		b.routes.mu.Lock()
		b.routes.to = map[string]router.Route{"bob@far.net": {Module: router.LOCAL, Queue: "bob@company.com", Address: b.addr("bob@company.com")}}
		b.routes.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(b.local.messages("bob@company.com")) != 1 {
			t.Error("bob's mail did not move")
		}
		if got := b.list(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "eve@far.net") {
			t.Errorf("list %q", got)
		}
	})
}

func TestSettingsAreDeclaredProperly(t *testing.T) {
	if err := settings.Check(new(Settings)); err != nil {
		t.Error(err)
	}
	var d Delays
	if err := d.SetValue(dataformat.String("1m, 5m 15m")); err != nil || len(d) != 3 || d[2] != 15*time.Minute {
		t.Errorf("%v, %v", d, err)
	}
	if got, _ := dataformat.Text(d.DataValue()); got != "1m, 5m, 15m" {
		t.Errorf("prints as %q", got)
	}
	for _, bad := range []string{"x", "0", "1m, never"} {
		if err := d.SetValue(dataformat.String(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for key, bad := range map[string]string{"HopLimit": "5", "DequeuerProcessors": "0", "EnqueuerProcessors": "-1"} {
		if err := settings.Load(new(Settings), dataformat.Dict{key: dataformat.String(bad)}); err == nil {
			t.Errorf("%s = %s is accepted", key, bad)
		}
	}
}

// Whatever wakes a queue may have come after the failure that is being reported.
func TestWakeDuringAnAttemptMeansAnother(t *testing.T) {
	for name, failure := range map[string]envelope.Status{"queue": hostDown("full"), "message": deferred("full")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.local.setDecide(func(it *Item, _ int) envelope.Status {
					if len(b.local.attempts()) > 1 {
						return envelope.Status{Action: envelope.ActionDelivered}
					}
					b.q.Wake(router.LOCAL, "ann@company.com")
					return failure
				})
				b.run()
				b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
				synctest.Wait()
				if n := len(b.local.messages("ann@company.com")); n != 1 {
					t.Errorf("ann has %d messages: %s", n, b.list())
				}
				b.halt()
			})
		})
	}
}

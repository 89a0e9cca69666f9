package queue

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
)

// failures counts the failure reports in a mailbox.
func failures(mails []string) (n int) {
	for _, m := range mails {
		if strings.Contains(m, "Subject: Undeliverable mail") {
			n++
		}
	}
	return n
}

func TestClockThatIsSetForwardEndsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		jump := 10 * 365 * 24 * time.Hour
		b.q.clock = func() time.Time { return time.Now().Add(jump) }
		b.remote.setDecide(func(*Item, int) envelope.Status { return hostDown("connection refused") })
		env := b.env("joe@company.com", "bob@far.net")
		env.Submitted = time.Now().Add(jump) // the clock is still right
		b.mustSubmit(env, testMessage)
		jump *= 2
		b.run()
		time.Sleep(5*24*time.Hour - time.Minute)
		synctest.Wait()
		if n := failures(b.local.messages("joe@company.com")); n != 0 {
			t.Errorf("%d failures before the end", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		b.halt()
		if n := failures(b.local.messages("joe@company.com")); n != 1 {
			t.Errorf("%d failures after five days", n)
		}
	})
}

// A machine starts with a clock that is years ahead, and sets it minutes later.
func TestStartWithAWrongClockEndsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.setDecide(func(*Item, int) envelope.Status { return hostDown("connection refused") })
		for range 300 { // more than a batch
			b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		}
		b.reopen(nil)
		ahead := 10 * 365 * 24 * time.Hour
		b.q.clock = func() time.Time { return time.Now().Add(ahead) }
		b.run()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		ahead = 0
		if n := len(b.remote.attempts()); n < 4 {
			t.Errorf("%d attempts in half an hour", n)
		}
		time.Sleep(4 * 24 * time.Hour)
		synctest.Wait()
		if n := failures(b.local.messages("joe@company.com")); n != 0 {
			t.Errorf("%d failures", n)
		}
		b.remote.setDecide(nil)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		b.halt()
		if n := len(b.remote.messages("bob@far.net")); n != 300 {
			t.Errorf("bob has %d messages", n)
		}
	})
}

// A message whose time is over by a clock that stays as it is gets its hour.
func TestOldMessageIsTriedForAnHourAfterAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.setDecide(func(*Item, int) envelope.Status { return deferred("connection refused") })
		b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		time.Sleep(20 * 24 * time.Hour)
		b.reopen(nil)
		start := time.Now()
		b.run()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		b.halt()
		got := ages(b.remote.attempts(), "far.net", start)
		if len(got) != 6 || got[0] != 0 || got[5] != time.Hour {
			t.Errorf("attempts at %v", got)
		}
		if n := failures(b.local.messages("joe@company.com")); n != 1 {
			t.Errorf("%d failures", n)
		}
	})
}

// The clock was ahead when the message came, and was set right.
func TestMessageFromTheFutureEndsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.setDecide(func(*Item, int) envelope.Status { return hostDown("connection refused") })
		env := b.env("joe@company.com", "bob@far.net")
		env.Submitted = time.Now().Add(10 * 365 * 24 * time.Hour)
		b.mustSubmit(env, testMessage)
		for range 2 {
			b.run()
			time.Sleep(5*24*time.Hour - time.Minute)
			synctest.Wait()
			if n := failures(b.local.messages("joe@company.com")); n != 0 {
				t.Errorf("%d failures before the end", n)
			}
			b.halt()
			b.reopen(nil)
		}
		b.run()
		time.Sleep(5*24*time.Hour + time.Minute)
		synctest.Wait()
		b.halt()
		if n := failures(b.local.messages("joe@company.com")); n != 1 {
			t.Errorf("%d failures after the end", n)
		}
	})
}

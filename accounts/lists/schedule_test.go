package lists

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts/subscribers"
)

// A list is looked at when something is due or has changed, and every quarter of an hour; not every minute.
func TestScheduleOfLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.listNamed("calm", "{}")
		busy := o.listNamed("busy", "{}")
		names := func() []string {
			var all []string
			for _, k := range o.m.schedule.due(time.Now()) {
				all = append(all, k.name)
			}
			slices.Sort(all)
			return all
		}
		must(t, o.m.upkeepDue(t.Context(), time.Now()))
		if got := names(); len(got) > 0 {
			t.Errorf("due once more: %v", got)
		}
		o.m.touch(busy)
		for minute := range 5 {
			want := "[busy]"
			if minute > 3 {
				want = "[]"
			}
			if got := fmt.Sprint(names()); got != want {
				t.Errorf("minute %d: %s", minute, got)
			}
			time.Sleep(time.Minute)
		}
		must(t, o.store.Lists().Delete(t.Context(), "", "calm"))
		o.listNamed("new", "{}")
		time.Sleep(upkeepAll)
		must(t, o.m.upkeepDue(t.Context(), time.Now()))
		if n := len(o.m.schedule.lists); n != 2 || o.m.schedule.lists[listName{"company.com", "new"}] == nil {
			t.Errorf("%v", o.m.schedule.lists)
		}
	})
}

// Digests are sent within a minute of their time, by the clock and by the number of postings.
func TestDigestsByTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		l := o.list("{DigestPeriod=1d; DigestTimeOfDay=365m; DigestMessageLimit=3;}")
		tr := New(o.store.Groups(), o.m, nil, load(t, nil), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tr.Run(ctx) }()
		defer func() {
			cancel()
			must(t, <-done)
		}()
		time.Sleep(2 * time.Minute)
		must(t, o.m.Operate(t.Context(), l, "digest", "sub@y.com", true, false))
		time.Sleep(2 * time.Minute)
		for n := range 3 {
			o.from("sub@y.com", "news@company.com", fmt.Sprintf("Subject: %d\r\n", n))
		}
		time.Sleep(2 * time.Minute)
		if n := len(o.texts("y.com")); n != 1 {
			t.Errorf("%d digests after the limit", n)
		}
		o.from("sub@y.com", "news@company.com", "Subject: one more\r\n")
		time.Sleep(10 * time.Minute)
		if n := len(o.texts("y.com")); n != 0 {
			t.Errorf("%d digests before the time", n)
		}
		at := nextDigest(l.Settings(), time.Now())
		time.Sleep(time.Until(at) + 2*time.Minute)
		if n := len(o.texts("y.com")); n != 1 {
			t.Errorf("%d digests at the time", n)
		}
		if o.mode("sub@y.com") != subscribers.Digest.String() {
			t.Error("the subscriber is gone")
		}
	})
}

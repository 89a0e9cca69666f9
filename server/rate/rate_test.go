package rate

import (
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/settings"
)

func limit(n int, p time.Duration) settings.Rate {
	return settings.Rate{Count: n, Period: settings.Period(p)}
}

func TestAWindowAllowsItsCountAndEndsWithItsPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, three := New[string](10), limit(3, time.Minute)
		for i := range 3 {
			if table.Count("a") != i || table.Wait("a", three) != 0 || table.Take("a", three) != 0 {
				t.Errorf("event %d is refused", i)
			}
			time.Sleep(10 * time.Second)
		}
		if w := table.Take("a", three); w != 30*time.Second {
			t.Errorf("the fourth waits for %v", w)
		}
		if w := table.Wait("a", three); w != 30*time.Second || table.Count("a") != 3 {
			t.Errorf("wait %v, count %d", w, table.Count("a"))
		}
		if table.Take("b", three) != 0 {
			t.Error("another key is refused")
		}
		table.GiveBack("a")
		if table.Take("a", three) != 0 || table.Take("a", three) == 0 {
			t.Error("what was given back can be taken once")
		}
		time.Sleep(30 * time.Second)
		if table.Count("a") != 0 || table.Take("a", three) != 0 {
			t.Error("the window has not ended")
		}
		table.Reset("a")
		if table.Count("a") != 0 {
			t.Error("the window is not reset")
		}
		table.GiveBack("a")
		if table.Count("a") != 0 {
			t.Error("below nothing")
		}
	})
}

func TestLimitsOfNoneAndOfNothing(t *testing.T) {
	table := New[int](10)
	none, nothing, ever := limit(-1, time.Minute), limit(0, time.Minute), settings.Rate{Count: 1, Period: settings.Never}
	for range 100 {
		if table.Take(1, none) != 0 || table.Wait(1, none) != 0 {
			t.Fatal("no limit refuses")
		}
	}
	if table.Wait(2, nothing) == 0 || table.Take(2, nothing) == 0 {
		t.Error("a limit of 0 lets through")
	}
	if table.Take(3, ever) != 0 || table.Take(3, ever) == 0 {
		t.Error("a window without end")
	}
}

func TestATableIsBoundedAndForgetsWhatWasLongUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, two := New[int](100), limit(2, time.Minute)
		for i := range 1000 {
			table.Take(i, two)
			table.Take(7, two)
		}
		if n := table.Len(); n != 100 {
			t.Errorf("%d keys", n)
		}
		if table.Wait(7, two) == 0 {
			t.Error("a key that is asked for all the time was forgotten")
		}
		time.Sleep(time.Minute)
		table.Take(1, two)
		if n := table.Len(); n != 1 {
			t.Errorf("%d keys after the end of their windows", n)
		}
	})
}

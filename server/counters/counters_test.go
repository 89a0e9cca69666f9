package counters

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func key(h History) (sum float64, last float64) {
	for _, v := range h.Values {
		sum += v
	}
	return sum, h.Values[len(h.Values)-1]
}

// registry has one metric of each form.
func registry() (*Registry, *Counter, *Labelled, *atomic.Int64) {
	r := New(time.Now())
	c, l, x := new(Counter), new(Labelled), new(atomic.Int64)
	r.Add(
		Metric{Name: "gatepost_a_total", Help: "a", Labels: []string{"module", "SMTP"}, Counter: c, Element: "aTotal", OID: "2.1"},
		Metric{Name: "gatepost_b_total", Help: "b", Label: "reason", Labelled: l, Element: "bTotal", OID: "2.2"},
		Metric{Name: "gatepost_x_bytes", Help: "x", State: func() float64 { return float64(x.Load()) }, Element: "x", OID: "10.1"},
	)
	return r, c, l, x
}

func TestHistoryByTheMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c, _, x := registry()
		var saved Counter
		go r.Run(t.Context(), saved.Inc)
		for i := range 12 {
			c.Add(int64(i))
			x.Store(int64(i))
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		h := r.History(`gatepost_a_total{module="SMTP"}`)
		if sum, last := key(h); sum != 66 || last != 11 {
			t.Errorf("sum %v, last %v", sum, last)
		}
		if _, last := key(r.History("gatepost_x_bytes")); last != 11 {
			t.Errorf("state %v", last)
		}
		if n := saved.Value(); n != 2 {
			t.Errorf("saved %d times in 12 minutes", n)
		}
		ran := 0
		for _, on := range h.Ran {
			if on {
				ran++
			}
		}
		if ran != 12 {
			t.Errorf("ran in %d minutes", ran)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if sum, _ := key(r.History(`gatepost_a_total{module="SMTP"}`)); sum != 0 {
			t.Errorf("more than a day is kept: %v", sum)
		}
	})
}

func TestHistoryOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c, l, _ := registry()
		c.Add(5)
		l.Inc("no \"such\" user")
		r.Sample()
		time.Sleep(3 * time.Minute)
		c.Add(2)
		if !r.Set(Base+".1000.7", 4, true) {
			t.Error("custom element")
		}
		file := r.Save()

		time.Sleep(10 * time.Minute)
		again, c2, l2, _ := registry()
		if err := again.Load(file); err != nil {
			t.Fatal(err)
		}
		c2.Add(10)
		l2.Inc("no \"such\" user")
		again.Sample()
		h := again.History(`gatepost_a_total{module="SMTP"}`)
		if sum, last := key(h); sum != 17 || last != 10 {
			t.Errorf("sum %v, last %v", sum, last)
		}
		if h.Ran[Minutes-2] || !h.Ran[Minutes-1] {
			t.Error("a minute without the server is not known as such")
		}
		for _, v := range again.Values() {
			switch v.Metric.Name {
			case "gatepost_a_total":
				if v.Total != 17 || v.Now != 10 {
					t.Errorf("total %v, now %v", v.Total, v.Now)
				}
			case "gatepost_b_total":
				if v.Total != 2 {
					t.Errorf("%s: %v", v.Key, v.Total)
				}
			}
		}
		if e, ok := again.Find("1.3.6.1.4.1.5678.2.1.1000.7"); !ok || e.Value != 4 {
			t.Errorf("custom element %v", e)
		}
		// The same file, once more: nothing is counted twice.
		if !bytes.Equal(again.Save(), again.Save()) {
			t.Error("saving changes what is saved")
		}
	})
}

// A crash between two samples, and a start in the same minute.
func TestARestartWithinAMinuteAddsToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Second)
		r, c, _, _ := registry()
		c.Add(3)
		file := r.Save()
		again, c2, _, _ := registry()
		if err := again.Load(file); err != nil {
			t.Fatal(err)
		}
		c2.Add(4)
		again.Sample()
		if sum, last := key(again.History(`gatepost_a_total{module="SMTP"}`)); sum != 7 || last != 7 {
			t.Errorf("sum %v, last %v", sum, last)
		}
	})
}

func TestTheClockGoesBack(t *testing.T) {
	r, c, _, _ := registry()
	now := time.Unix(1_800_000_030, 0)
	r.now = func() time.Time { return now }
	for range 100 {
		c.Inc()
		r.Sample()
		now = now.Add(time.Minute)
	}
	now = now.Add(-50 * time.Minute)
	c.Inc()
	r.Sample()
	h := r.History(`gatepost_a_total{module="SMTP"}`)
	if sum, last := key(h); sum != 52 || last != 2 {
		t.Errorf("sum %v, last %v", sum, last)
	}
	if !h.End.After(now) || h.End.Sub(now) > time.Minute {
		t.Errorf("ends at %s, now %s", h.End, now)
	}
	now = now.Add(1000 * time.Hour)
	r.Sample()
	if sum, _ := key(r.History(`gatepost_a_total{module="SMTP"}`)); sum != 0 {
		t.Errorf("sum %v", sum)
	}
}

func TestDamagedFilesAreRefusedWhole(t *testing.T) {
	r, c, _, _ := registry()
	c.Add(9)
	good := string(r.Save())
	for name, file := range map[string]string{
		"empty": "", "another": "gatepost counters 2\n", "cut": good[:len(good)-4], "more": good + "x\n",
		"no minute":      fileHead + "\nend\n",
		"minutes before": strings.Replace(good, "minute ", "minute -", 1),
		"short":          fileHead + "\nminute 5\ncount \"a\" 1 3*0\nend\n",
		"long":           fileHead + "\nminute 5\ncount \"a\" 1 99999999*0\nend\n",
		"not a number":   fileHead + "\nminute 5\ncount \"a\" 1 1440*NaN\nend\n",
		"infinite":       fileHead + "\nminute 5\ncount \"a\" Inf\nend\n",
		"twice":          fileHead + "\nminute 5\ncount \"a\" 1\ncount \"a\" 1\nend\n",
		"no quotes":      fileHead + "\nminute 5\ncount a 1\nend\n",
		"word":           fileHead + "\nminute 5\nrun 1440*0\nend\n",
		"custom":         fileHead + "\nminute 5\ncustom x 1\nend\n",
	} {
		before := string(r.Save())
		if err := r.Load([]byte(file)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if string(r.Save()) != before {
			t.Errorf("%s: something has changed", name)
		}
	}
	if err := r.Load([]byte(good)); err != nil {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	r, c, _, _ := registry()
	c.Add(9)
	f.Add(r.Save())
	f.Add([]byte(fileHead + "\nminute 5\nstate \"gatepost_x_bytes\" 0 1440*3.5e7\ncustom 4 -9\nend\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, _, _, _ := registry()
		if r.Load(file) != nil {
			return
		}
		saved := r.Save()
		again, _, _, _ := registry()
		if err := again.Load(saved); err != nil {
			t.Fatalf("%v: what was read and saved is not read again\n%s", err, saved)
		}
	})
}

func TestLabelsAreBounded(t *testing.T) {
	var l Labelled
	for i := range 1000 {
		l.Inc(fmt.Sprint(i))
	}
	l.Inc(strings.Repeat("x", 100))
	n, sum := 0, uint64(0)
	l.Each(func(v string, x uint64) { n++; sum += x })
	if n > MaxValues+1 || sum != 1001 || l.Of(Other).Value() < 900 {
		t.Errorf("%d values, sum %d", n, sum)
	}
	r := New(time.Now())
	r.Add(Metric{Name: "gatepost_many", Help: "m", Label: "n", States: func(yield func(string, float64)) {
		for i := range 2000 {
			yield(fmt.Sprint(i), 1)
		}
	}})
	if n := len(r.Values()); n > MaxValues {
		t.Errorf("%d states", n)
	}
}

func TestCounterIsForMany(t *testing.T) {
	var c Counter
	var l Labelled
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				c.Inc()
				l.Inc(fmt.Sprint(i % 60))
			}
		})
	}
	wg.Wait()
	sum := uint64(0)
	l.Each(func(_ string, n uint64) { sum += n })
	if c.Value() != 8000 || sum != 8000 {
		t.Error(c.Value(), sum)
	}
	c.Add(-5)
	if c.Value() != 8000 {
		t.Error("a counter falls")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var c Counter
	var l Labelled
	h := Sizes()
	l.Inc("a")
	if n := testing.AllocsPerRun(100, func() { c.Inc(); c.Add(7); l.Inc("a"); h.Observe(5000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestExpose(t *testing.T) {
	r, c, l, x := registry()
	h := Times()
	h.Took(30 * time.Millisecond)
	h.Took(48 * time.Hour)
	h.Observe(math.NaN())
	other := new(Counter)
	r.Add(
		Metric{Name: "gatepost_d_seconds", Help: "d", Histogram: h},
		Metric{Name: "gatepost_a_total", Help: "a", Labels: []string{"module", "IMAP"}, Counter: other},
	)
	c.Add(3)
	l.Inc("a\"b\\c\nd")
	x.Store(1.5e12)
	text := string(r.Expose())
	for _, want := range []string{
		"# HELP gatepost_a_total a\n# TYPE gatepost_a_total counter\ngatepost_a_total{module=\"SMTP\"} 3\ngatepost_a_total{module=\"IMAP\"} 0\n",
		"gatepost_b_total{reason=\"a\\\"b\\\\c\\nd\"} 1\n",
		"# TYPE gatepost_x_bytes gauge\ngatepost_x_bytes 1.5e+12\n",
		"# TYPE gatepost_d_seconds histogram\ngatepost_d_seconds_bucket{le=\"0.01\"} 0\ngatepost_d_seconds_bucket{le=\"0.05\"} 1\n",
		"gatepost_d_seconds_bucket{le=\"86400\"} 1\ngatepost_d_seconds_bucket{le=\"+Inf\"} 2\ngatepost_d_seconds_sum 172800.03\ngatepost_d_seconds_count 2\n",
		"# TYPE gatepost_start_time_seconds gauge\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing:\n%s", want)
		}
	}
	if strings.Count(text, "# TYPE gatepost_a_total") != 1 {
		t.Error("a name has two types")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestElements(t *testing.T) {
	r, c, l, x := registry()
	c.Add(3)
	l.Inc("a")
	l.Inc("b")
	x.Store(8)
	if !r.Set(Base+".1000.12", 5, false) || !r.Set("1.3.6.1.4.1.5678.2.1.1000.12", 2, true) {
		t.Error("custom elements are not set")
	}
	for _, bad := range []string{"", Base + ".2.1", Base + ".1000", Base + ".1000.0", Base + ".1000.1.2", Base + ".1000.01", "aTotal"} {
		if r.Set(bad, 1, false) {
			t.Errorf("%q was set", bad)
		}
	}
	var got []string
	for oid := ""; ; {
		e, ok := r.Next(oid)
		if !ok {
			break
		}
		got = append(got, fmt.Sprint(strings.TrimPrefix(e.OID, Base+"."), " ", e.Name, " ", e.Value, " ", e.Count))
		oid = e.OID
	}
	want := "2.1 aTotal 3 true|2.2 bTotal 2 true|10.1 x 8 false|1000.12 custom12 7 false"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s", strings.Join(got, "|"))
	}
	if e, ok := r.Find("ATOTAL"); !ok || e.Value != 3 {
		t.Error("not found by name")
	}
	if _, ok := r.Find(Base + ".2.9"); ok {
		t.Error("found what is not there")
	}
	for i := range 2 * maxCustom {
		r.Set(fmt.Sprintf("%s.1000.%d", Base, i+1), 1, false)
	}
	if n := len(r.Elements()); n > maxCustom+3 {
		t.Errorf("%d elements", n)
	}
}

func TestWrongMetrics(t *testing.T) {
	c := new(Counter)
	for name, m := range map[string]Metric{
		"no source": {Name: "gatepost_z_total"}, "name": {Name: "z_total", Counter: c}, "odd labels": {Name: "gatepost_z_total", Counter: c, Labels: []string{"a"}},
		"no total": {Name: "gatepost_z", Counter: c}, "total": {Name: "gatepost_z_total", State: func() float64 { return 0 }},
		"twice": {Name: "gatepost_b_total", Help: "b", Counter: c}, "no number": {Name: "gatepost_z_total", Counter: c, Element: "z"},
		"no label": {Name: "gatepost_z_total", Labelled: new(Labelled)},
		"number":   {Name: "gatepost_z_total", Counter: c, Element: "z", OID: "2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, _, _ := registry()
			r.Add(Metric{Name: "gatepost_b_total", Help: "b", Counter: c, Labels: []string{"reason", "fixed"}})
			defer func() {
				if recover() == nil {
					t.Error("it was added")
				}
			}()
			if name == "twice" {
				r.Add(Metric{Name: "gatepost_b_total", Help: "b", Counter: c, Labels: []string{"reason", "fixed"}})
			}
			r.Add(m)
		})
	}
}

func BenchmarkCounter(b *testing.B) {
	var c Counter
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Inc()
		}
	})
}

func BenchmarkLabelled(b *testing.B) {
	var l Labelled
	l.Inc("no such user")
	b.ReportAllocs()
	for b.Loop() {
		l.Inc("no such user")
	}
}

// A sample of 300 series, as it is taken each minute.
func BenchmarkSample(b *testing.B) {
	r := New(time.Now())
	for i := range 300 {
		c := new(Counter)
		c.Inc()
		r.Add(Metric{Name: fmt.Sprintf("gatepost_n%d_total", i), Help: "n", Counter: c})
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Sample()
	}
}

// A state that has no value now keeps its history.
func TestHistoryOfAStateThatIsGone(t *testing.T) {
	metric := func(list ...string) Metric {
		return Metric{Name: "gatepost_w", Help: "w", Label: "module", States: func(yield func(string, float64)) {
			for _, m := range list {
				yield(m, 3)
			}
		}}
	}
	r := New(time.Now())
	r.Add(metric("SMTP"))
	file := r.Save()
	again := New(time.Now())
	again.Add(metric())
	if err := again.Load(file); err != nil {
		t.Fatal(err)
	}
	list := again.Values()
	if len(list) != 1 || list[0].Label != "SMTP" || list[0].Now != 0 {
		t.Fatalf("%+v", list)
	}
	if sum, _ := key(again.History(list[0].Key)); sum != 3 {
		t.Errorf("sum %v", sum)
	}
}

package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

func TestEverybodyWhoWaitsSharesOneSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		syncs := 0
		d := dirSync{sync: func() error {
			syncs++
			time.Sleep(time.Second)
			return nil
		}}
		start := time.Now()
		var wg sync.WaitGroup
		var took [20]time.Duration
		for i := range took {
			wg.Go(func() {
				if err := d.Wait(); err != nil {
					t.Error(err)
				}
				took[i] = time.Since(start)
			})
			if i == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		wg.Wait()
		if syncs != 2 {
			t.Errorf("%d syncs, want 2: the first, and one for all who came while it ran", syncs)
		}
		if took[0] != time.Second || slices.Max(took[:]) != 2*time.Second {
			t.Errorf("took %v", took)
		}
		// The next one starts anew.
		if err := d.Wait(); err != nil || syncs != 3 {
			t.Errorf("%v, %d syncs", err, syncs)
		}
	})
}

func TestFailedSyncIsTheFailureOfThoseWhoWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		bad := errors.New("EIO")
		d := dirSync{sync: func() error {
			n++
			time.Sleep(time.Second)
			if n == 2 {
				return bad
			}
			return nil
		}}
		var failed atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
				if d.Wait() != nil {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		if f := failed.Load(); f < 2 || f > 4 {
			t.Errorf("%d failures", f)
		}
	})
}

func TestCounter(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "counter")
	open := func(floor envelope.QueueID) *Counter {
		t.Helper()
		c, err := OpenCounter(file, filepath.Join(dir, "Queue"), floor)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open(0)
	for want := envelope.QueueID(1); want <= 3; want++ {
		if got := nextID(t, c); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(0)
	if got := nextID(t, c); got != 4 {
		t.Errorf("after an orderly stop: %d, want 4", got)
	}
	var last envelope.QueueID
	for range 5 * counterBlock {
		last = nextID(t, c)
	}
	c = open(0) // without Close: a crash
	if got := nextID(t, c); got <= last || got > last+2*counterBlock {
		t.Errorf("after a crash: %d, the last was %d", got, last)
	}
	c.Close()
	if c = open(1e6); nextID(t, c) != 1e6 {
		t.Error("goes below the floor")
	}
	c.Close()
	os.Mkdir(filepath.Join(dir, "Queue"), 0o700)
	for _, name := range []string{"2000000.msg", "2000001.tmp", "2000002.bad", "x.msg", "-5.msg", "03000000.msg", "0.msg"} {
		os.WriteFile(filepath.Join(dir, "Queue", name), nil, 0o600)
	}
	if c = open(0); nextID(t, c) != 2000003 {
		t.Error("goes below a file of the queue")
	}
	c.Close()
	os.WriteFile(file, []byte("9000000\n"), 0o600)
	if c = open(0); nextID(t, c) != 9000000 {
		t.Error("does not read what an administrator wrote")
	}
	c.Close()

	data, _ := os.ReadFile(file)
	data[3] ^= 1 // one record damaged
	os.WriteFile(file, data, 0o600)
	if c = open(0); nextID(t, c) != 9000001 {
		t.Error("one damaged record is not survived")
	}
	c.Close()
	os.WriteFile(file, []byte("rubbish that is long enough to hold a record, but does not"), 0o600)
	if _, err := OpenCounter(file, dir, 0); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a damaged counter: %v", err)
	}
}

func TestCounterGivesEachIDOnce(t *testing.T) {
	c, err := OpenCounter(filepath.Join(t.TempDir(), "counter"), t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const workers, each = 8, 3000
	var all [workers][]envelope.QueueID
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				all[w] = append(all[w], nextID(t, c))
			}
		})
	}
	wg.Wait()
	seen := map[envelope.QueueID]bool{}
	for _, ids := range all {
		if !slices.IsSorted(ids) {
			t.Error("not rising")
		}
		for _, id := range ids {
			if seen[id] {
				t.Fatalf("%d twice", id)
			}
			seen[id] = true
		}
	}
	if c.next.Load() > c.mark.Load() {
		t.Error("IDs were given out beyond the mark")
	}
}

func TestGateLetsInAsManyAsItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		ctx := t.Context()
		for range 2 {
			if !g.enter(ctx, 2, 0) {
				t.Fatal("no place")
			}
		}
		if start := time.Now(); g.enter(ctx, 2, time.Minute) || time.Since(start) != time.Minute {
			t.Error("three are in")
		}
		entered := make(chan string, 2)
		go func() {
			if g.enter(ctx, 2, time.Hour) {
				entered <- "first"
			}
		}()
		synctest.Wait()
		go func() {
			if g.enter(ctx, 2, time.Hour) {
				entered <- "second"
			}
		}()
		synctest.Wait()
		g.leave()
		if got := <-entered; got != "first" {
			t.Errorf("%s came in first", got)
		}
		g.leave()
		<-entered
		g.leave()
		g.leave()
		if g.busy != 0 || len(g.waiting) != 0 {
			t.Errorf("busy %d, waiting %d", g.busy, len(g.waiting))
		}
	})
}

func TestHeaderScannerAnyCut(t *testing.T) {
	text := "Received: a\r\n\tb\r\nFrom: x\r\n y\r\nreceived: c\r\nX: Received: no\r\nSubject: s\r\n\r\nReceived: body\r\n"
	for cut := 1; cut < len(text); cut++ {
		h := headerScanner{echo: true}
		for i := 0; i < len(text); i += cut {
			h.scan([]byte(text[i:min(i+cut, len(text))]))
		}
		want := []string{"Received: a b", "From: x y", "received: c", "Subject: s"}
		if h.received != 2 || !h.done || !slices.Equal(h.fields, want) {
			t.Errorf("cut %d: %d received, done %v, %q", cut, h.received, h.done, h.fields)
		}
	}
}

func TestHeaderScannerFindsTheMessageID(t *testing.T) {
	for text, want := range map[string]string{
		"From: x\r\nmessage-id:  <a@b> \r\nMessage-ID: <second>\r\n\r\n": "<a@b>",
		"Message-ID:\r\n <folded@b>\r\n y\r\n\r\n":                       "<folded@b>",
		"Message-ID:\r\nFrom: x\r\n y\r\n\r\n":                           "",
		"Subject: x\r\n\r\nMessage-ID: <body>\r\n":                       "",
	} {
		var h headerScanner
		h.scan([]byte(text))
		if h.messageID != want {
			t.Errorf("%q has %q, want %q", text, h.messageID, want)
		}
	}
}

// RFC 5322 section 4.5 has blanks before the colon; a loop does not hide behind them.
func TestFieldsWithBlanksBeforeTheColon(t *testing.T) {
	h := headerScanner{echo: true, all: []string{"all@company.com"}}
	h.scan([]byte("Received : a\r\nRECEIVED\t: b\r\nReceived no field\r\nReceived-By: c\r\nSubject : s\r\nMessage-ID :\r\n <1@x>\r\nDelivered-To :all@company.com\r\n\r\n"))
	if want := []string{"Received : a", "RECEIVED\t: b", "Subject : s"}; h.received != 2 || h.messageID != "<1@x>" || !h.looped || !slices.Equal(h.fields, want) {
		t.Errorf("%d received, %q, looped %v, %q", h.received, h.messageID, h.looped, h.fields)
	}
}

func FuzzHeaderScanner(f *testing.F) {
	f.Add("Received: a\r\n\tb\r\n\r\nx", 3)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		cut = max(1, min(cut, len(text)))
		var whole, parts headerScanner
		whole.echo, parts.echo = true, true
		whole.scan([]byte(text))
		for i := 0; i < len(text); i += cut {
			parts.scan([]byte(text[i:min(i+cut, len(text))]))
		}
		if fmt.Sprint(whole.received, whole.done, whole.fields) != fmt.Sprint(parts.received, parts.done, parts.fields) {
			t.Fatalf("%q in pieces of %d: %+v, whole %+v", text, cut, parts, whole)
		}
		if len(whole.line) > maxEchoLine || len(whole.fields) > maxEchoFields {
			t.Fatalf("not bounded: %d, %d", len(whole.line), len(whole.fields))
		}
	})
}

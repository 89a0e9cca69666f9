package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/message"
)

// benchMessage is a message of 4 KB as clients send them.
var benchMessage = "Received: from client.example.com ([192.0.2.1]) by mail.example.net with ESMTPS id 12345;\r\n\tMon, 5 Oct 2026 10:42:11 +0000\r\n" +
	"From: =?UTF-8?Q?J=C3=B6rg?= <sender@example.com>\r\nTo: recipient@example.net\r\nCc: other@example.org, third@example.org\r\n" +
	"Subject: A message of ordinary size\r\nDate: Mon, 5 Oct 2026 10:42:10 +0000\r\nMessage-ID: <0123456789@example.com>\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
	strings.Repeat("The quick brown fox jumps over the lazy dog, again and again, all day.\r\n", 50)

func benchSummary(b *testing.B) *message.Summary {
	sum, err := message.Scan(strings.NewReader(benchMessage), message.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}

// BenchmarkDeliver is the index work of local delivery: 100 accounts from 20
// goroutines, a link and a record each, durable when Deliver returns.
func BenchmarkDeliver(b *testing.B) {
	for _, shards := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			w := newBenchWorld(b, shards)
			accounts := make([]*Account, 100)
			for i := range accounts {
				accounts[i] = w.account(uint64(i + 1))
			}
			sum := benchSummary(b)
			var files [64]string
			for i := range files {
				files[i] = filepath.Join(w.base, "Queue", fmt.Sprint(i, ".msg"))
				if err := os.WriteFile(files[i], []byte(queueHead+benchMessage), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			var n atomic.Uint64
			b.SetParallelism(20 / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					d := Delivery{QueueID: w.ids.Add(1), File: files[i%64], Offset: int64(len(queueHead)), Size: int64(len(benchMessage)),
						Prefix: []byte("Return-Path: <sender@example.com>\r\nX-Real-To: <recipient@example.net>\r\n"), Summary: sum}
					if errs := accounts[i%100].Deliver(bg, []Delivery{d}); errs[0] != nil {
						b.Error(errs[0])
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

func newBenchWorld(b *testing.B, shards int) *world {
	w := newWorld(b)
	w.close()
	if err := os.RemoveAll(filepath.Join(w.base, "Index")); err != nil {
		b.Fatal(err)
	}
	var err error
	w.store, err = Open(w.base, Options{Shards: shards, NextID: func() (uint64, error) { return w.ids.Add(1), nil }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { w.store.Close() })
	return w
}

// fill puts n messages into INBOX of an account.
func (w *world) fill(b *testing.B, a *Account, n int) {
	sum := benchSummary(b)
	file := filepath.Join(w.base, "Queue", "fill.msg")
	if err := os.WriteFile(file, []byte(queueHead+benchMessage), 0o600); err != nil {
		b.Fatal(err)
	}
	for n > 0 {
		var ds []Delivery
		for range min(n, 500) {
			ds = append(ds, Delivery{QueueID: w.ids.Add(1), File: file, Offset: int64(len(queueHead)), Size: int64(len(benchMessage)), Summary: sum})
		}
		w.deliver(a, ds...)
		n -= len(ds)
	}
}

func BenchmarkSyncLinksOf100Accounts(b *testing.B) {
	w := newBenchWorld(b, 2)
	var accounts []*Account
	for i := range 100 {
		accounts = append(accounts, w.account(uint64(i+1)))
	}
	for b.Loop() {
		b.StopTimer()
		for _, a := range accounts {
			w.deliver(a, w.queued(1))
		}
		b.StartTimer()
		if err := w.store.SyncLinks(bg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen5000(b *testing.B) {
	w := newBenchWorld(b, 2)
	a := w.account(1)
	w.fill(b, a, 5000)
	b.ReportAllocs()
	for b.Loop() {
		m, err := a.Open(bg, "INBOX", true)
		if err != nil || m.Len() != 5000 {
			b.Fatal(err)
		}
		m.Close()
		w.store.views.remove(m.box)
		a.evict(m.box)
	}
}

func BenchmarkFetchFlags5000(b *testing.B) {
	w := newBenchWorld(b, 2)
	a := w.account(1)
	w.fill(b, a, 5000)
	m := w.view(a, "INBOX")
	if _, err := m.SetFlags(bg, m.UIDs(), Add, []imap.Flag{imap.FlagSeen, "$Label1"}, NoCondition); err != nil {
		b.Fatal(err)
	}
	m.Sync(true)
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		for seq := 1; seq <= m.Len(); seq++ {
			st, _ := m.StateAt(seq)
			buf = m.AppendFlags(buf[:0], st)
		}
	}
}

func BenchmarkStoreOneFlag(b *testing.B) {
	w := newBenchWorld(b, 2)
	a := w.account(1)
	w.fill(b, a, 5000)
	m := w.view(a, "INBOX")
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		uid := m.UIDs()[i%5000]
		op := Add
		if i/5000%2 == 1 {
			op = Remove
		}
		if _, err := m.SetFlags(bg, []imap.UID{uid}, op, []imap.Flag{imap.FlagSeen}, NoCondition); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkStoreAll5000(b *testing.B) {
	w := newBenchWorld(b, 2)
	a := w.account(1)
	w.fill(b, a, 5000)
	m := w.view(a, "INBOX")
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.SetFlags(bg, m.UIDs(), Op(1+i%2), []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkAppend4Writers(b *testing.B) {
	w := newBenchWorld(b, 2)
	var n atomic.Uint64
	for i := range 4 {
		w.account(uint64(i + 1))
	}
	b.SetParallelism(2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		a := w.store.Account(w.owners[n.Add(1)%4+1])
		for pb.Next() {
			_, err := a.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader(benchMessage)})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkStatus(b *testing.B) {
	w := newBenchWorld(b, 2)
	a := w.account(1)
	w.fill(b, a, 5000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Status(bg, "INBOX"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleView measures the memory of an open INBOX with 50 messages and
// its session.
func BenchmarkIdleView(b *testing.B) {
	w := newBenchWorld(b, 2)
	const n = 200
	for i := range uint64(n) {
		w.fill(b, w.account(i+1), 50)
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		views := make([]*Mailbox, n)
		for i := range views {
			m, err := w.store.Account(w.owners[uint64(i+1)]).Open(bg, "INBOX", false)
			if err != nil {
				b.Fatal(err)
			}
			views[i] = m
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/view")
		for _, m := range views {
			m.Close()
			w.store.views.remove(m.box)
			m.box.account.evict(m.box)
		}
	}
}

// BenchmarkCopy8000 copies a large mailbox with one session and with four at once, while
// six other accounts of the shard change a flag every 20 ms: how long the slowest of
// those changes takes, and by how much the heap grows at most.
func BenchmarkCopy8000(b *testing.B) {
	for _, sessions := range []int{1, 4} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			w := newBenchWorld(b, 1)
			a := w.account(1)
			w.fill(b, a, 8_000)
			for b.Loop() {
				end := make(chan struct{})
				worst := w.storeEvery20ms(b, end)
				peak := heapGrowth(end)
				var copies sync.WaitGroup
				for range sessions {
					m := w.view(a, "INBOX")
					copies.Go(func() {
						if _, err := m.Copy(bg, m.UIDs(), "Trash"); err != nil {
							b.Error(err)
						}
					})
				}
				copies.Wait()
				close(end)
				b.ReportMetric(float64((<-worst).Milliseconds()), "ms-worst-store")
				b.ReportMetric(float64(<-peak)/1e6, "MB-heap")
			}
		})
	}
}

// storeEvery20ms changes flags in six accounts until the end and tells what the slowest
// change took.
func (w *world) storeEvery20ms(b *testing.B, end <-chan struct{}) <-chan time.Duration {
	slowest := make(chan time.Duration, 1)
	var worst atomic.Int64
	var all sync.WaitGroup
	for i := range 6 {
		a := w.account(uint64(100 + i))
		w.append(a, "INBOX", 1)
		m := w.view(a, "INBOX")
		all.Go(func() {
			for op := Add; ; op = Add + Remove - op {
				start := time.Now()
				if _, err := m.SetFlags(bg, m.UIDs()[:1], op, []imap.Flag{imap.FlagFlagged}, NoCondition); err != nil {
					b.Error(err)
				}
				worst.Store(max(worst.Load(), int64(time.Since(start))))
				select {
				case <-end:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	go func() {
		all.Wait()
		slowest <- time.Duration(worst.Load())
	}()
	return slowest
}

// heapGrowth tells by how much the heap has grown at most until the end.
func heapGrowth(end <-chan struct{}) <-chan uint64 {
	grown := make(chan uint64, 1)
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() {
		peak := uint64(0)
		for {
			select {
			case <-end:
				grown <- peak
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapInuse-min(before.HeapInuse, now.HeapInuse))
			}
		}
	}()
	return grown
}

// BenchmarkLargeChanges changes all messages of a large mailbox, and tells what others of the shard wait at most.
func BenchmarkLargeChanges(b *testing.B) {
	const n = 50_000
	for name, change := range map[string]func(m *Mailbox) error{
		"store": func(m *Mailbox) error {
			_, err := m.SetFlags(bg, m.UIDs(), Add, []imap.Flag{imap.FlagDeleted}, NoCondition)
			return err
		},
		"copy": func(m *Mailbox) error { _, err := m.Copy(bg, m.UIDs(), "Trash"); return err },
		"move": func(m *Mailbox) error { _, err := m.Move(bg, m.UIDs(), "Trash"); return err },
		"expunge": func(m *Mailbox) error {
			_, err := m.Expunge(bg, nil)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			w := newBenchWorld(b, 1)
			a := w.account(1)
			w.fill(b, a, 1000)
			m := w.view(a, "INBOX")
			for m.Len() < n {
				if _, err := m.Copy(bg, m.UIDs(), "INBOX"); err != nil {
					b.Fatal(err)
				}
				m.Sync(true)
			}
			if name == "expunge" {
				if _, err := m.SetFlags(bg, m.UIDs(), Add, []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
					b.Fatal(err)
				}
			}
			end := make(chan struct{})
			worst := w.storeEvery20ms(b, end)
			start := time.Now()
			if err := change(m); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms")
			close(end)
			b.ReportMetric(float64((<-worst).Microseconds())/1000, "ms-worst-store")
		})
	}
}

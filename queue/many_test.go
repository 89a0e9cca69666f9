package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatepost/queue/envelope"
)

// BenchmarkStart opens a queue of many files whose host does not answer: how
// long until the first attempt, until all are in their queues, and how much
// memory they hold then.
func BenchmarkStart(b *testing.B) {
	const files = 100_000
	dir := benchDir(b)
	os.MkdirAll(filepath.Join(dir, "Queue"), 0o700)
	text := "V 1\nS SMTP [192.0.2.1]\nA company.com [192.0.2.2]\nO T\nP I " + time.Now().UTC().Format("02-01-2006 15:04:05") + " 0000 ____ ____ <joe@far.org>\n" +
		"R W " + time.Now().UTC().Format("02-01-2006 15:04:05") + " 0000 ____ _FY_ <somebody@%s>\n\n" + testMessage + strings.Repeat("x", 1000)
	for i := 1; i <= files; i++ {
		if err := os.WriteFile(filepath.Join(dir, "Queue", fmt.Sprintf("%d.msg", i)), fmt.Appendf(nil, text, fmt.Sprintf("host%d.net", i%5000)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		x := open(b, dir)
		x.remote.decide = func(*Item, int) envelope.Status { return hostDown("down") }
		x.run()
		for len(x.remote.attempts()) == 0 {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-to-first-try")
		for {
			info, ok := x.q.Info(enqueuer, "")
			if !ok || info.Messages == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-to-all")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/files, "B/message")
		x.halt()
	}
}

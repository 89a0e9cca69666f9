package queue

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
)

// stamp is a transport that delivers at once, by a link in a directory.
type stamp struct {
	n   atomic.Int64
	dir string
}

func (s *stamp) Policy() Policy { return Policy{Workers: 32, Retry: remoteSchedule} }

func (s *stamp) Deliver(_ context.Context, b *Batch) {
	for _, it := range b.Items {
		for _, r := range it.Recipients {
			if err := os.Link(it.File, filepath.Join(s.dir, it.ID.String())); err != nil {
				panic(err)
			}
			it.Report(r, envelope.Status{Action: envelope.ActionDelivered, Text: "Delivered to the user mailbox"})
			s.n.Add(1)
		}
	}
}

func benchDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("BENCHDIR"), "bench-") // not in memory, as /tmp often is
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// BenchmarkAccept is Begin, Write, Commit and removal of 4 KB messages to one
// recipient each, by 20 sessions.
func BenchmarkAccept(b *testing.B) {
	for _, sessions := range []int{1, 20} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			x := open(b, benchDir(b))
			sink := &stamp{dir: benchDir(b)}
			x.q.Handle(router.LOCAL, sink)
			x.run()
			text := "From: a@b.c\r\nSubject: bench\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 56)
			b.SetParallelism((sessions + 1) / 2) // times GOMAXPROCS
			if sessions == 1 {
				b.SetParallelism(1)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					x.mustSubmit(x.env("joe@far.org", fmt.Sprintf("u%d@company.com", n.Add(1)%100)), text)
				}
			})
			for x.q.Len() > 0 {
				time.Sleep(time.Millisecond)
			}
			b.StopTimer()
			x.halt()
		})
	}
}

package index

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkUpdate writes records of 400 bytes, appended per account, from many
// goroutines; every one is on the disk when its Update returns.
func BenchmarkUpdate(b *testing.B) {
	for _, shards := range []int{1, 2, 4, 8} {
		for _, writers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("shards=%d/writers=%d", shards, writers), func(b *testing.B) {
				s := open(b, b.TempDir(), shards)
				var next atomic.Uint64
				value := make([]byte, 400)
				b.SetParallelism((writers + 1) / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						n := next.Add(1)
						account := n % 100
						key := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, account), n)
						err := s.Shard(account).Update(context.Background(), func(tx Tx) error { return tx.Put(Mail, key, value) }, nil)
						if err != nil {
							b.Fatal(err)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			})
		}
	}
}

// BenchmarkStartAfterACrash opens a file of GATEPOST_INDEX_GB gigabytes, of which a fifth is free and not listed,
// and of which nothing is in the page cache; then it waits for the compaction.
func BenchmarkStartAfterACrash(b *testing.B) {
	size, err := strconv.ParseFloat(os.Getenv("GATEPOST_INDEX_GB"), 64)
	if err != nil {
		b.Skip("GATEPOST_INDEX_GB is not set")
	}
	dir := b.TempDir()
	s := open(b, dir, 1)
	sh := s.Shard(0)
	n, value := int(size*1e6), make([]byte, 950)
	write := func(from, to int, do func(tx Tx, key []byte) error) {
		for ; from < to; from += 20_000 {
			err := sh.Update(context.Background(), func(tx Tx) error {
				for i := from; i < min(from+20_000, to); i++ {
					if err := do(tx, binary.BigEndian.AppendUint64(nil, uint64(i))); err != nil {
						return err
					}
				}
				return nil
			}, nil)
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	write(0, n, func(tx Tx, key []byte) error { return tx.Put(Content, key, value) })
	write(0, n/5, func(tx Tx, key []byte) error { return tx.Delete(Content, key) })
	write(n, n+3, func(tx Tx, key []byte) error { return tx.Put(Content, key, value) })
	// It ends as after a kill: without the list of free pages.
	sh.mu.Lock()
	sh.closed = true
	sh.mu.Unlock()
	sh.signal()
	<-sh.done
	if err := sh.db().Close(); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "00.db"))
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
	before := sh.Size()
	start := time.Now()
	s, err = Open(dir, Options{Existing: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-open")
	sh = s.Shard(0)
	start = time.Now()
	sh.compacting.Wait()
	b.ReportMetric(time.Since(start).Seconds(), "s-compaction")
	b.ReportMetric(float64(before)/1e9, "GB-before")
	b.ReportMetric(float64(sh.Size())/1e9, "GB-after")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

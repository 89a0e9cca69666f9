package index

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
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

package index

import (
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestCloseEndsAfterAPanicInACommit(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	sh := s.Shard(1)
	sh.commit = func(*bolt.Tx) error { panic("spill") }
	if err := put(t, sh, "k", "v"); err == nil {
		t.Error("the update worked")
	}
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Close hangs")
	}
}

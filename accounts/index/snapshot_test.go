package index

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// A snapshot has what was committed before it and nothing that came after, whatever happens meanwhile; a compaction neither disturbs it nor is
// begun before its end.
func TestSnapshotWhileTheStoreIsInUse(t *testing.T) {
	s := open(t, t.TempDir(), 3)
	want := map[string]string{}
	for i, sh := range s.Shards() {
		for n := range 50 {
			k := fmt.Sprintf("key %d %d", i, n)
			if err := put(t, sh, k, "before"); err != nil {
				t.Fatal(err)
			}
			want[k] = "before"
		}
	}
	n, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for i, sh := range s.Shards() {
		work.Go(func() {
			for k := range 100 {
				if err := put(t, sh, fmt.Sprintf("key %d %d", i, k), fmt.Sprint("after ", k)); err != nil {
					t.Error(err)
				}
			}
		})
		if err := sh.betweenCommits(func() error {
			if !sh.tired {
				t.Error("a compaction may begin")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "copy")
	if err := n.Write(dir); err != nil {
		t.Fatal(err)
	}
	work.Wait()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for _, sh := range s.Shards() {
		if err := sh.betweenCommits(func() error {
			if sh.tired {
				t.Error("no compaction can begin any more")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, dir, 3)
	found := 0
	for i, sh := range c.Shards() {
		wantSound(t, sh)
		for n := range 50 {
			if k := fmt.Sprintf("key %d %d", i, n); get(t, sh, k) == want[k] {
				found++
			}
		}
		if v := get(t, sh, fmt.Sprintf("key %d 99", i)); v != "" {
			t.Errorf("the snapshot has %q", v)
		}
	}
	if found != len(want) {
		t.Errorf("%d of %d records are as they were", found, len(want))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Snapshot(context.Background()); err == nil {
		t.Error("a snapshot of a closed store")
	}
}

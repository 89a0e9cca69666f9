package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"gatepost/server/fault"
)

// all returns the records of Content.
func all(t *testing.T, sh *Shard) map[string]string {
	t.Helper()
	got := make(map[string]string)
	err := sh.View(func(tx Tx) error {
		tx.Range(Content, nil, nil, func(k, v []byte) bool { got[string(k)] = string(v); return true })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantSame(t *testing.T, got, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Fatalf("%q is %.20q, want %.20q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
}

func wantSound(t *testing.T, sh *Shard) {
	t.Helper()
	err := sh.db().View(func(tx *bolt.Tx) error {
		var errs []error
		for err := range tx.Check() {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Error(err)
	}
}

func fillShard(t *testing.T, sh *Shard, n int) map[string]string {
	t.Helper()
	want := make(map[string]string)
	err := sh.Update(context.Background(), func(tx Tx) error {
		for i := range n {
			k, v := fmt.Sprintf("key %06d", i), fmt.Sprintf("value %d %01000d", i, 0)
			if err := tx.Put(Content, []byte(k), []byte(v)); err != nil {
				return err
			}
			want[k] = v
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func TestAShardIsCompactedWhileItIsInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	sh := s.Shard(0)
	want := fillShard(t, sh, 8000)
	update := func(i int) error { // of two keys, a removal and a new value
		k, v := fmt.Sprintf("key %06d", i), fmt.Sprint("new ", i)
		gone := fmt.Sprintf("key %06d", 7999-i)
		return sh.Update(context.Background(), func(tx Tx) error {
			return errors.Join(tx.Put(Content, []byte(k), []byte(v)), tx.Delete(Content, []byte(gone)))
		}, func() {
			want[k] = v
			delete(want, gone)
		})
	}
	for i := range 2000 {
		if err := update(i); err != nil {
			t.Fatal(err)
		}
	}
	before := sh.Size()
	var users sync.WaitGroup
	done := make(chan struct{})
	users.Go(func() {
		for i := 2000; ; i = 2000 + (i+1)%1900 {
			select {
			case <-done:
				return
			default:
			}
			if err := update(i); err != nil {
				t.Error(err)
				return
			}
		}
	})
	users.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			err := sh.View(func(tx Tx) error {
				if v := tx.Get(Content, []byte("key 000001")); string(v) != "new 1" {
					return fmt.Errorf("read %q", v)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	if err := sh.compact(); err != nil {
		t.Fatal(err)
	}
	close(done)
	users.Wait()
	wantSame(t, all(t, sh), want)
	wantSound(t, sh)
	if after := sh.Size(); after > before*3/4 {
		t.Errorf("the file had %d bytes and has %d", before, after)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{Existing: true}); err != nil {
		t.Fatal(err)
	}
	wantSame(t, all(t, s.Shard(0)), want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestACompactionThatIsStoppedLeavesTheFile(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := fillShard(t, s.Shard(0), 3000)
	s.Shard(0).startCompaction()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves of one.
	if err := os.WriteFile(filepath.Join(dir, "00.db.new"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{Existing: true}); err != nil {
		t.Fatal(err)
	}
	wantSame(t, all(t, s.Shard(0)), want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(files) > 0 {
		t.Errorf("%v is left", files)
	}
}

func TestACompactionBeginsWithAnEmptyFile(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sh := s.Shard(0)
	want := fillShard(t, sh, 100)
	// What a killed server has left that still had its files open when this one began.
	old, err := os.ReadFile(sh.path)
	if err == nil {
		err = os.WriteFile(sh.copy(), old, 0o600)
	}
	if err == nil {
		err = sh.Update(context.Background(), func(tx Tx) error { return tx.Delete(Content, []byte("key 000001")) }, nil)
		delete(want, "key 000001")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := sh.compact(); err != nil {
		t.Fatal(err)
	}
	wantSame(t, all(t, sh), want)
}

func TestACompactionDoesNotFillTheDisk(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sh := s.Shard(0)
	want := fillShard(t, sh, 100)
	sh.space = func(string) int64 { return keepSpace }
	if err := sh.compact(); !fault.Is(err, fault.NoSpace) {
		t.Errorf("%v", err)
	}
	wantSame(t, all(t, sh), want)
	sh.space = freeSpace
	if err := sh.compact(); err != nil {
		t.Error(err)
	}
}

// After a crash a file with many free pages has no list of them. It gets an empty one, and what is not
// in it comes back with a compaction.
func TestAFileWithoutAListOfFreePagesGetsAnEmptyOne(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	sh := s.Shard(0)
	want := fillShard(t, sh, 8000)
	err = sh.Update(context.Background(), func(tx Tx) error {
		for i := range 7000 {
			k := fmt.Sprintf("key %06d", i)
			if err := tx.Delete(Content, []byte(k)); err != nil {
				return err
			}
			delete(want, k)
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second commit knows how many pages are free
		want["z"] = "x"
		if err := sh.Update(context.Background(), func(tx Tx) error { return tx.Put(Content, []byte("z"), []byte("x")) }, nil); err != nil {
			t.Fatal(err)
		}
	}
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(crashed, "00.db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := currentMeta(f)
	if !ok || m.freelist != noFreelist {
		t.Fatalf("%+v", m)
	}
	if err := errors.Join(writeEmptyFreelist(f, m), f.Close(), os.WriteFile(filepath.Join(crashed, "00.db.leaked"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(crashed, Options{Existing: true}); err != nil {
		t.Fatal(err)
	}
	sh = s.Shard(0)
	before := int64(m.high) * m.pageSize
	wantSame(t, all(t, sh), want)
	sh.compacting.Wait()
	wantSame(t, all(t, sh), want)
	wantSound(t, sh)
	if after := sh.Size(); after > before/2 {
		t.Errorf("the file had %d bytes and has %d", before, after)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(crashed, "00.db.leaked")); err == nil {
		t.Error("the file still counts as leaking")
	}
}

func TestACompactionEndsWhenTooMuchIsChangedMeanwhile(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(0)
	want := fillShard(t, sh, 10)
	to := &openFile{}
	var err error
	if to.db, err = openDB(sh.copy(), false, &to.file); err != nil {
		t.Fatal(err)
	}
	defer to.db.Close()
	err = sh.betweenCommits(func() error {
		sh.changed = make(map[change]struct{})
		sh.noteChanges(make([]change, maxChanges+1))
		sh.noteChanges(make([]change, 1))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sh.copyTo(to); !fault.Is(err, fault.TooMany) {
		t.Errorf("got %v", err)
	}
	if err := put(t, sh, "later", "v"); err != nil {
		t.Error(err)
	}
	wantSame(t, all(t, sh), want)
}

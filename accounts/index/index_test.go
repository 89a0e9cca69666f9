package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"gatepost/server/fault"
)

func open(t testing.TB, dir string, shards int) *Store {
	t.Helper()
	s, err := Open(dir, Options{Shards: shards})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, sh *Shard, key, value string) error {
	t.Helper()
	return sh.Update(context.Background(), func(tx Tx) error { return tx.Put(Mail, []byte(key), []byte(value)) }, nil)
}

func get(t testing.TB, sh *Shard, key string) (value string) {
	t.Helper()
	err := sh.View(func(tx Tx) error {
		value = string(tx.Get(Mail, []byte(key)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestWhatWasUpdatedIsThereAfterReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Index")
	s := open(t, dir, 3)
	for account := range uint64(7) {
		if err := put(t, s.Shard(account), fmt.Sprint("key", account), fmt.Sprint("value", account)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 0) // the number of shards is the one of the creation
	if len(s.Shards()) != 3 {
		t.Fatalf("%d shards", len(s.Shards()))
	}
	for account := range uint64(7) {
		if got := get(t, s.Shard(account), fmt.Sprint("key", account)); got != fmt.Sprint("value", account) {
			t.Errorf("account %d: %q", account, got)
		}
	}
}

func TestRangeGivesKeysInOrderAndStopsWhenAsked(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(1)
	for _, k := range []string{"b2", "a", "b1", "c", "b3"} {
		if err := put(t, sh, k, "v"+k); err != nil {
			t.Fatal(err)
		}
	}
	collect := func(from, to string, limit int) (got string) {
		var end []byte
		if to != "" {
			end = []byte(to)
		}
		err := sh.View(func(tx Tx) error {
			tx.Range(Mail, []byte(from), end, func(k, v []byte) bool {
				got += string(k) + "=" + string(v) + " "
				limit--
				return limit > 0
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		from, to string
		limit    int
		want     string
	}{
		{"b", "c", 9, "b1=vb1 b2=vb2 b3=vb3 "},
		{"b2", "", 9, "b2=vb2 b3=vb3 c=vc "},
		{"b", "c", 2, "b1=vb1 b2=vb2 "},
		{"d", "", 9, ""},
	} {
		if got := collect(c.from, c.to, c.limit); got != c.want {
			t.Errorf("%q to %q: got %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

func TestAFunctionThatFailsHarmsNobodyElse(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(1)
	release := block(t, sh)
	boom := errors.New("boom")
	kinds := []func(Tx) error{
		func(tx Tx) error { return boom },
		func(tx Tx) error { return errors.Join(tx.Put(Mail, []byte("half"), []byte("x")), boom) },
		func(tx Tx) error { return errors.Join(tx.Delete(Mail, []byte("k0")), boom) },
		func(tx Tx) error { _ = tx.Put(Mail, []byte("half"), []byte("x")); panic("a bug") },
	}
	var wg sync.WaitGroup
	var announced atomic.Int64
	for i := range 40 {
		wg.Go(func() {
			if i%4 == 3 {
				err := sh.Update(context.Background(), kinds[i/4%4], func() { t.Error("announced a failure") })
				if err == nil || (i/4%4 < 3 && !errors.Is(err, boom)) {
					t.Errorf("request %d: %v", i, err)
				}
				return
			}
			err := sh.Update(context.Background(), func(tx Tx) error {
				return tx.Put(Mail, fmt.Appendf(nil, "k%d", i), []byte("v"))
			}, func() { announced.Add(1) })
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	waitQueued(sh, 40)
	release()
	wg.Wait()
	if announced.Load() != 30 {
		t.Errorf("%d announcements for 30 changes", announced.Load())
	}
	for i := range 40 {
		if want := i%4 != 3; (get(t, sh, fmt.Sprint("k", i)) == "v") != want {
			t.Errorf("k%d is there: %v", i, !want)
		}
	}
	if get(t, sh, "half") != "" {
		t.Error("a failed function has left something")
	}
}

// block occupies the writer, so that requests pile up, until release is called.
func block(t testing.TB, sh *Shard) (release func()) {
	t.Helper()
	in, out, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		err := sh.Update(context.Background(), func(tx Tx) error { close(in); <-out; return nil }, nil)
		if err != nil {
			t.Error(err)
		}
	}()
	<-in
	return func() { close(out); <-ended }
}

// waitQueued waits until n requests wait for the writer.
func waitQueued(sh *Shard, n int) {
	for {
		sh.mu.Lock()
		have := len(sh.waiting)
		sh.mu.Unlock()
		if have == n {
			return
		}
	}
}

func TestWaitingRequestsShareOneCommitAndAreAnnouncedInOrder(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(1)
	var commits int
	commit := sh.commit
	sh.commit = func(tx *bolt.Tx) error { commits++; return commit(tx) }
	release := block(t, sh)
	var applied, announced []int // by the writer alone
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			err := sh.Update(context.Background(), func(tx Tx) error {
				applied = append(applied, i)
				return tx.Put(Mail, fmt.Appendf(nil, "%d", i), []byte("v"))
			}, func() { announced = append(announced, i) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(sh, 100)
	release()
	wg.Wait()
	if commits != 1 {
		t.Errorf("%d commits for 100 waiting requests", commits)
	}
	if fmt.Sprint(applied) != fmt.Sprint(announced) {
		t.Errorf("applied %v\nannounced %v", applied, announced)
	}
}

func TestAnUpdateThatWritesNothingCommitsNothing(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(1)
	sh.commit = func(tx *bolt.Tx) error { t.Error("committed"); return tx.Commit() }
	announced := false
	err := sh.Update(context.Background(), func(tx Tx) error { tx.Get(Mail, []byte("x")); return nil }, func() { announced = true })
	if err != nil || !announced {
		t.Error(err, announced)
	}
}

func TestACanceledRequestLeavesTheQueue(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(1)
	release := block(t, sh)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error)
	go func() {
		got <- sh.Update(ctx, func(tx Tx) error { return tx.Put(Mail, []byte("k"), []byte("v")) }, nil)
	}()
	waitQueued(sh, 1)
	cancel()
	if err := <-got; !fault.Is(err, fault.Canceled) {
		t.Errorf("got %v", err)
	}
	release()
	if get(t, sh, "k") != "" {
		t.Error("a canceled request was carried out")
	}
}

func TestAfterAFailedSyncTheShardWritesNoMore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1)
	sh := s.Shard(1)
	if err := put(t, sh, "before", "v"); err != nil {
		t.Fatal(err)
	}
	commit := sh.commit
	sh.commit = func(tx *bolt.Tx) error { return errors.Join(syscall.EIO, tx.Rollback()) }
	if err := put(t, sh, "during", "v"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("failed sync: %v", err)
	}
	sh.commit = commit
	if err := put(t, sh, "after", "v"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after a failed sync: %v", err)
	}
	if get(t, sh, "before") != "v" {
		t.Error("reading does not go on")
	}
	s.Close()
	sh = open(t, dir, 1).Shard(1)
	if err := put(t, sh, "later", "v"); err != nil || get(t, sh, "before") != "v" {
		t.Errorf("after reopening: %v", err)
	}
}

func TestAFullDiskLosesNothingAndRecoversByItself(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(1)
	if err := put(t, sh, "before", "v"); err != nil {
		t.Fatal(err)
	}
	grow := sh.grow
	sh.grow = func(*os.File, int64, int64) error { return syscall.ENOSPC }
	full := func(tx Tx) error { return tx.Put(Mail, []byte("big"), make([]byte, 4<<20)) }
	if err := sh.Update(context.Background(), full, nil); !fault.Is(err, fault.NoSpace) {
		t.Errorf("full disk: %v", err)
	}
	release := block(t, sh) // a mixed batch: what frees goes through, what grows does not
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := sh.Update(context.Background(), full, nil); !fault.Is(err, fault.NoSpace) {
			t.Errorf("full disk: %v", err)
		}
	})
	wg.Go(func() {
		err := sh.UpdateFreeing(context.Background(), func(tx Tx) error { return tx.Delete(Mail, []byte("before")) }, nil)
		if err != nil {
			t.Errorf("delete on a full disk: %v", err)
		}
	})
	waitQueued(sh, 2)
	release()
	wg.Wait()
	if get(t, sh, "before") != "" {
		t.Error("not deleted")
	}
	sh.grow = grow
	if err := sh.Update(context.Background(), full, nil); err != nil {
		t.Errorf("after space came back: %v", err)
	}
}

func TestADiskThatFillsDuringACommitIsNoSpaceOnly(t *testing.T) {
	sh := open(t, t.TempDir(), 1).Shard(1)
	commit := sh.commit
	for _, cause := range []error{&fs.PathError{Op: "write", Err: syscall.ENOSPC}, errors.New("file resize error: too large")} {
		sh.commit = func(tx *bolt.Tx) error { return errors.Join(tx.Rollback(), cause) }
		if err := put(t, sh, "k", "v"); !fault.Is(err, fault.NoSpace) {
			t.Errorf("%v: %v", cause, err)
		}
	}
	sh.commit = commit
	if err := put(t, sh, "k", "v"); err != nil {
		t.Error(err)
	}
}

func TestASmallFileSystemFillsAndRecovers(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	s, err := Open(dir, Options{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sh := s.Shard(1)
	value := bytes.Repeat([]byte("x"), 20000)
	var kept int
	for ; ; kept++ {
		err := sh.Update(context.Background(), func(tx Tx) error {
			return tx.Put(Mail, binary.BigEndian.AppendUint32(nil, uint32(kept)), value)
		}, nil)
		if fault.Is(err, fault.NoSpace) {
			break
		}
		if err != nil {
			t.Fatalf("message %d: %v", kept, err)
		}
	}
	if kept < 100 {
		t.Errorf("full after %d records", kept)
	}
	for i := range kept { // every one can be read, and be removed
		err := sh.UpdateFreeing(context.Background(), func(tx Tx) error {
			key := binary.BigEndian.AppendUint32(nil, uint32(i))
			if !bytes.Equal(tx.Get(Mail, key), value) {
				t.Errorf("record %d is lost", i)
			}
			return tx.Delete(Mail, key)
		}, nil)
		if err != nil {
			t.Fatalf("remove %d of %d on a full disk: %v", i, kept, err)
		}
	}
	if err := put(t, sh, "again", string(value)); err != nil {
		t.Errorf("after making room: %v", err)
	}
}

func TestOpenRefusesWhatItCannotServe(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(dir string) error
		want    fault.Kind
	}{
		"a newer format":       {write("format", "gatepost index 6\nshards 4\nmore\n"), fault.Unsupported},
		"a damaged format":     {write("format", "gatepost"), fault.Corrupt},
		"an older format":      {write("format", "gatepost index 4\nshards 1\n"), fault.Unsupported},
		"no number of shards":  {write("format", "gatepost index 5\n"), fault.Corrupt},
		"files without format": {write("00.db", ""), fault.Corrupt},
		"an open store": {func(dir string) error {
			s, err := Open(dir, Options{Shards: 1})
			t.Cleanup(func() { s.Close() })
			return err
		}, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, Options{})
			if err == nil {
				s.Close()
			}
			if fault.KindOf(err) != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func write(name, text string) func(dir string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
}

func TestUpdateAfterCloseIsUnavailable(t *testing.T) {
	s := open(t, t.TempDir(), 1)
	s.Close()
	if err := put(t, s.Shard(1), "k", "v"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if err := s.Shard(1).View(func(Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

// listsFreePages reports whether the newest meta page of a file names a list
// of free pages.
func listsFreePages(t testing.TB, path string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var txid, list uint64
	for meta := range 2 {
		m := b[meta*os.Getpagesize():]
		if id := binary.NativeEndian.Uint64(m[64:]); id >= txid {
			txid, list = id, binary.NativeEndian.Uint64(m[48:])
		}
	}
	return list != ^uint64(0)
}

func TestAStartNeedsNoScanAfterACrashUnlessMuchWasJustRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "00.db")
	s := open(t, dir, 1)
	sh := s.Shard(1)
	for i := range 20 {
		if err := put(t, sh, fmt.Sprint(i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	if !listsFreePages(t, path) {
		t.Error("the list is not in the file")
	}
	big := func(tx Tx) error { return tx.Put(Mail, []byte("big"), make([]byte, 5000*os.Getpagesize())) }
	remove := func(tx Tx) error { return tx.Delete(Mail, []byte("big")) }
	for _, fn := range []func(Tx) error{big, remove} {
		if err := sh.Update(context.Background(), fn, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := put(t, sh, "x", "v"); err != nil {
			t.Fatal(err)
		}
	}
	if listsFreePages(t, path) {
		t.Error("a long list is in the file")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !listsFreePages(t, path) {
		t.Error("the list is not in the file after closing")
	}
	s = open(t, dir, 1)
	if !listsFreePages(t, path) {
		t.Error("opening has taken the list out of the file")
	}
	if get(t, s.Shard(1), "19") != "v" {
		t.Error("a value is lost")
	}
}

func TestADamagedFileIsAnError(t *testing.T) {
	for name, damage := range map[string]func(b []byte){
		"no meta page": func(b []byte) { clear(b[:2*os.Getpagesize()]) },
		"no tree":      func(b []byte) { clear(b[2*os.Getpagesize():]) },
		"random pages": func(b []byte) {
			for i := 2 * os.Getpagesize(); i < len(b); i++ {
				b[i] ^= byte(i)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 1)
			if err := put(t, s.Shard(1), "k", "v"); err != nil {
				t.Fatal(err)
			}
			s.Close()
			path := filepath.Join(dir, "00.db")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damage(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err := Open(dir, Options{}); err == nil {
				s.Close()
				t.Error("opened")
			}
		})
	}
}

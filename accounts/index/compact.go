package index

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A shard's file does not shrink when records are removed: its pages become free, and are used again. When most
// of a file is free, it is compacted while the shard is in use: its records are copied to a new file, a few at a
// time and in order, which also fills the pages; what is committed meanwhile is noted and copied again; at last, between
// two commits, the new file takes the place of the old one. A crash leaves the one or the other.
//
// After a crash with many free pages the file has no list of them (maxFreelist), and making one would read
// all of the file. Instead the server starts with an empty list, which takes one page to write. The pages
// that it does not know as free any more are leaked: the file NN.db.leaked tells so until a compaction, which begins at once.

const (
	// compactFrom is how many free pages a file has at least when it is compacted.
	compactFrom = 64 << 20 / 4096
	// scanUpTo is up to how many pages bbolt looks for free ones at the start.
	scanUpTo = 64 << 20 / 4096
	// copyBytes is how much one step of a compaction copies, and copyPause how long it rests then.
	copyBytes = 1 << 20
	copyPause = 5 * time.Millisecond
	// keepSpace is how much free space a compaction leaves on the disk at least, so that mail is not refused because of it.
	keepSpace = 256 << 20
	// maxChanges is how many changes are noted at most; with more at a time the compaction is given up.
	maxChanges = 1_000_000
	// lastChanges is how many changes are copied at most while commits wait.
	lastChanges = 500
)

// change is a record that was changed.
type change struct {
	bucket Bucket
	key    string
}

func (sh *Shard) leaked() string { return sh.path + ".leaked" }
func (sh *Shard) copy() string   { return sh.path + ".new" }

// prepare makes a file ready to be opened: it removes what a crash has left of a compaction, and gives a large file that has no
// list of free pages an empty one.
func (sh *Shard) prepare() error {
	f, err := os.OpenFile(sh.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // what was written is synced
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // a process has it open, which openDB tells
	}
	if err := os.Remove(sh.copy()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m, ok := currentMeta(f)
	if !ok || m.freelist != noFreelist || m.high <= scanUpTo {
		return nil
	}
	sh.log.Log(context.Background(), logs.LevelMajor, "the index file has no list of free pages after a crash, it will be compacted")
	if err := durable.ReplaceFile(sh.leaked(), nil, 0o600); err != nil {
		return err
	}
	return writeEmptyFreelist(f, m)
}

// The layout of what writeEmptyFreelist writes, beyond what damage.go tells.
const (
	noFreelist   = 1<<64 - 1
	metaPage     = 4
	freelistPage = 16
	// Offsets in a meta page.
	atFreelist = 48
	atHigh     = 56
	atTx       = 64
)

// writeEmptyFreelist does what a commit does that changes nothing and writes a list of free pages with none in it.
func writeEmptyFreelist(f *os.File, m meta) error {
	order := binary.NativeEndian
	page := make([]byte, m.pageSize)
	order.PutUint64(page, m.high)
	order.PutUint16(page[8:], freelistPage)
	if _, err := f.WriteAt(page, int64(m.high)*m.pageSize); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := f.ReadAt(page, int64(m.tx%2)*m.pageSize); err != nil {
		return err
	}
	tx := m.tx + 1
	order.PutUint64(page, tx%2)
	order.PutUint64(page[atFreelist:], m.high)
	order.PutUint64(page[atHigh:], m.high+1)
	order.PutUint64(page[atTx:], tx)
	sum := fnv.New64a()
	sum.Write(page[headerSize : metaSize-8])
	order.PutUint64(page[metaSize-8:], sum.Sum64())
	if _, err := f.WriteAt(page, int64(tx%2)*m.pageSize); err != nil {
		return err
	}
	return f.Sync()
}

// compactIfDue begins a compaction when most of the file is free. It runs in the writer.
func (sh *Shard) compactIfDue() {
	if sh.commits++; sh.commits%64 != 0 || sh.tired || sh.stopped.Err() != nil {
		return
	}
	if free := sh.db().Stats().FreePageN; free >= compactFrom && int64(2*free) > sh.Size()/int64(sh.db().Info().PageSize) {
		sh.startCompaction()
	}
}

// startCompaction begins a compaction. It runs in the writer, or before it does.
func (sh *Shard) startCompaction() {
	sh.tired = true
	sh.compacting.Go(func() {
		before := sh.Size()
		err := sh.compact()
		switch {
		case err == nil:
			sh.log.Log(context.Background(), logs.LevelMajor, "the index file was compacted", slog.Int64("before", before), slog.Int64("size", sh.Size()))
		case !fault.Is(err, fault.Canceled):
			sh.log.Log(context.Background(), logs.LevelFailure, "compaction of the index", slog.Any(logs.AttrError, err))
		}
	})
}

// compact copies the records of the shard to a new file, which takes the place of the old one.
func (sh *Shard) compact() (err error) {
	defer func() {
		err = errors.Join(err, sh.betweenCommits(func() error {
			sh.changed, sh.tired = nil, err != nil
			return nil
		}))
	}()
	if err := sh.betweenCommits(func() error { sh.changed = make(map[change]struct{}); return nil }); err != nil {
		return err
	}
	// What an earlier one has left, should it be there still, has records that were removed since.
	if err := os.Remove(sh.copy()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if need := sh.Size() + keepSpace; sh.space(filepath.Dir(sh.path)) < need {
		return fault.Newf("index.compact", fault.NoSpace, "the disk needs %d bytes of free space for it", need)
	}
	to := &openFile{}
	if to.db, err = openDB(sh.copy(), false, &to.file); err != nil {
		return err
	}
	old := sh.opened.Load()
	if err = sh.copyTo(to); err != nil && sh.opened.Load() == old {
		return errors.Join(err, to.db.Close(), os.Remove(sh.copy()))
	}
	// Readers that have begun still read the old file; Close waits for them.
	return errors.Join(err, old.db.Close())
}

// copyTo fills a new file and puts it in the place of the shard's.
func (sh *Shard) copyTo(to *openFile) error {
	to.db.NoSync, to.db.NoFreelistSync = true, false
	to.db.AllocSize = copyBytes
	if err := createBuckets(to.db); err != nil {
		return err
	}
	for b := range bucketCount {
		if err := sh.copyBucket(to, b); err != nil {
			return err
		}
	}
	for {
		// What is synced here need not be while commits wait.
		if err := to.file.Sync(); err != nil {
			return err
		}
		n := 0
		var changed map[change]struct{}
		err := sh.betweenCommits(func() error {
			if sh.changed == nil {
				return fault.Newf("index.compact", fault.TooMany, "more than %d records were changed meanwhile", maxChanges)
			}
			if n = len(sh.changed); n > lastChanges {
				changed, sh.changed = sh.changed, make(map[change]struct{})
				return nil
			}
			return sh.replace(to)
		})
		if err != nil || n <= lastChanges {
			return err
		}
		if err := sh.copyChanges(to, changed); err != nil {
			return err
		}
	}
}

// copyBucket copies all records of a bucket, in steps.
func (sh *Shard) copyBucket(to *openFile, b Bucket) error {
	var next []byte
	var ahead ReadAhead
	for more, copied := true, 0; more; copied++ {
		if err := sh.stopped.Err(); err != nil {
			return fault.Wrap("index.compact", fault.Canceled, err)
		}
		var keys, values [][]byte
		err := sh.View(func(tx Tx) error {
			n := 0
			more = false
			tx.Range(b, next, nil, func(k, v []byte) bool {
				if n >= copyBytes {
					next, more = append(next[:0], k...), true
					return false
				}
				ahead.Saw(tx, v)
				keys, values = append(keys, append([]byte(nil), k...)), append(values, append([]byte(nil), v...))
				n += len(k) + len(v)
				return true
			})
			return nil
		})
		if err == nil {
			err = to.db.Update(func(tx *bolt.Tx) error {
				bucket := tx.Bucket([]byte(bucketNames[b]))
				bucket.FillPercent = fills[b]
				for i, k := range keys {
					if err := bucket.Put(k, values[i]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
		if copied%64 == 63 { // so that no sync has much to do
			if err := to.file.Sync(); err != nil {
				return err
			}
		}
		select {
		case <-sh.stopped.Done():
		case <-time.After(copyPause):
		}
	}
	return nil
}

// noteChanges notes what was committed during a compaction, unless that becomes too much. It runs in the writer.
func (sh *Shard) noteChanges(changed []change) {
	if len(sh.changed)+len(changed) > maxChanges {
		sh.changed = nil // which ends the compaction
	}
	if sh.changed == nil {
		return
	}
	for _, c := range changed {
		sh.changed[c] = struct{}{}
	}
}

// copyChanges copies records that have changed, as they are now.
func (sh *Shard) copyChanges(to *openFile, changed map[change]struct{}) error {
	return sh.View(func(from Tx) error {
		return to.db.Update(func(tx *bolt.Tx) (err error) {
			for c := range changed {
				bucket, key := tx.Bucket([]byte(bucketNames[c.bucket])), []byte(c.key)
				if v := from.Get(c.bucket, key); v != nil {
					err = bucket.Put(key, append([]byte(nil), v...))
				} else {
					err = bucket.Delete(key)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// replace puts the new file in the place of the shard's. It runs between two commits.
func (sh *Shard) replace(to *openFile) error {
	if err := sh.copyChanges(to, sh.changed); err != nil {
		return err
	}
	info, err := to.file.Stat()
	if err == nil { // see grow.go
		to.blocks = info.Size()
		err = sh.grow(to.file, 0, to.blocks)
	}
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if err := to.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(sh.copy(), sh.path); err != nil {
		return err
	}
	// From here on the new file is the shard's, whatever happens.
	to.db.NoSync, to.db.AllocSize = false, os.Getpagesize()
	sh.opened.Store(to)
	sh.changed = nil
	if err := durable.SyncDir(filepath.Dir(sh.path)); err != nil {
		return sh.fail(err)
	}
	if err := os.Remove(sh.leaked()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sh.fail(err)
	}
	return nil
}

// freeSpace is how many bytes the file system of a directory has for us; a great number if it does not tell.
func freeSpace(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return math.MaxInt64
	}
	return int64(min(st.Bavail, math.MaxInt64/uint64(st.Bsize))) * st.Bsize
}

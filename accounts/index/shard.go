package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Shard holds the records of some accounts.
type Shard struct {
	path     string
	readOnly bool
	damage   error                    // why a shard that is read-only could not be opened
	opened   atomic.Pointer[openFile] // the writer replaces it, see compact.go
	log      *slog.Logger

	// commit is (*bolt.Tx).Commit; tests put failing ones in its place.
	commit func(*bolt.Tx) error
	// grow makes room in the file; see grow.go.
	grow func(f *os.File, from, to int64) error
	// space is freeSpace; tests put a full disk in its place.
	space func(dir string) int64

	// requests holds requests for their next use. They have channels, which must
	// not leave the synctest bubble that a shard was opened in: so each shard has its own.
	requests sync.Pool

	// mu guards the queue. It is never held while the writer works.
	mu      sync.Mutex
	waiting []*request
	closed  bool
	wake    chan struct{} // capacity 1: waiting or closed has changed
	done    chan struct{} // closed when the writer has ended

	// compacting is there from the beginning of a compaction to its end.
	compacting sync.WaitGroup
	stop       context.CancelFunc // ends it
	stopped    context.Context

	// What follows belongs to the writer.
	broken  error               // a sync has failed: nothing is written any more
	stuck   bool                // its last transaction cannot be ended, so the file cannot be closed
	changed map[change]struct{} // what was committed since a compaction began, or nil
	tired   bool                // a compaction has failed, or is under way: none is begun
	commits int
}

// openFile is a shard's file.
type openFile struct {
	db   *bolt.DB
	file *os.File // bbolt's, to grow it
	// blocks is up to where the file has blocks on the disk. It may be longer: a commit that found no space has left it so.
	blocks int64
}

func (sh *Shard) db() *bolt.DB   { return sh.opened.Load().db }
func (sh *Shard) file() *os.File { return sh.opened.Load().file }

// mapSize is how much of a file is mapped from the start. Reading transactions
// would have to end before the mapping can grow, so it is far above what most
// shards ever hold; it costs address space, no memory.
const mapSize = 1 << 30 << (^uint(0) >> 63 * 2) // 4 GB, 1 GB where pointers have 32 bits

// maxFreelist is up to how many free pages are listed in the file with every
// commit. The list makes a start after a crash fast: without it every page of
// the file is read. A longer one, after much was removed, would cost each
// commit too much, and is written when the shard is closed.
const maxFreelist = 1000

func openShard(path string, o Options) (sh *Shard, err error) {
	const op = "index.Open"
	sh = &Shard{
		path:     path,
		readOnly: o.ReadOnly,
		log:      o.Log.With(slog.String(logs.AttrObject, filepath.Base(path))),
		commit:   (*bolt.Tx).Commit,
		grow:     allocate,
		space:    freeSpace,
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	sh.stopped, sh.stop = context.WithCancel(context.Background())
	file := (*os.File)(nil)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if !o.ReadOnly {
		if err := sh.prepare(); err != nil {
			return nil, fault.Wrap(op, fault.Internal, err)
		}
	}
	defer func() {
		// bbolt panics when it finds pages that cannot be while it looks for free ones.
		if p := recover(); p != nil {
			sh, err = nil, errors.Join(lost(path, "is damaged: %v", p), file.Close())
		}
	}()
	db, err := openDB(path, o.ReadOnly, &file)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fault.Newf(op, fault.Unavailable, "another process has %s open", path)
	}
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		return nil, lost(path, "is damaged: %v", err)
	}
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, fmt.Errorf("open %s: %w", path, err))
	}
	open := &openFile{db: db, file: file}
	sh.opened.Store(open)
	if o.ReadOnly {
		return sh, nil
	}
	open.blocks = sh.Size()
	db.NoFreelistSync = false // from here on the writer decides, see manyFree
	if err := createBuckets(db); err != nil {
		return nil, errors.Join(fault.Wrap(op, fault.Internal, err), db.Close())
	}
	go sh.run()
	if _, err := os.Stat(sh.leaked()); err == nil {
		sh.startCompaction()
	}
	return sh, nil
}

// openDB opens a file of bbolt's, and says which file that is as soon as it has opened it.
func openDB(path string, readOnly bool, file **os.File) (*bolt.DB, error) {
	mapped := mapSize
	if readOnly {
		mapped = 0
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         time.Second, // for the lock of another process that is just ending
		FreelistType:    bolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: mapped,
		ReadOnly:        readOnly,
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			*file, err = os.OpenFile(name, flag, mode)
			return *file, err
		},
	})
	if err == nil && !readOnly {
		db.AllocSize = os.Getpagesize() // makeRoom grows the file, with blocks that exist
	}
	return db, err
}

// createBuckets creates the buckets that are missing. A file that has them all
// is not written to.
func createBuckets(db *bolt.DB) error {
	missing := false
	err := db.View(func(tx *bolt.Tx) error {
		for _, name := range bucketNames {
			missing = missing || tx.Bucket([]byte(name)) == nil
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range bucketNames {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (sh *Shard) close() error {
	switch {
	case sh.damage != nil:
		return nil
	case sh.readOnly:
		return sh.db().Close()
	}
	sh.stop()
	sh.compacting.Wait()
	sh.mu.Lock()
	sh.closed = true
	sh.mu.Unlock()
	sh.signal()
	<-sh.done
	sh.compacting.Wait() // for one that the writer was just about to begin
	if sh.stuck {
		return fault.Wrap("index.Close", fault.Unavailable, sh.broken) // the end of the process closes it
	}
	err := sh.saveFreelist()
	return errors.Join(err, sh.db().Close())
}

// manyFree reports whether the list of free pages is too long for every commit.
func (sh *Shard) manyFree() bool {
	s := sh.db().Stats()
	return s.FreePageN+s.PendingPageN > maxFreelist
}

// saveFreelist writes the list of free pages if the last commit has not.
func (sh *Shard) saveFreelist() error {
	if sh.broken != nil || !sh.db().NoFreelistSync {
		return nil
	}
	btx, err := sh.db().Begin(true)
	if err != nil {
		return err
	}
	sh.db().NoFreelistSync = false
	if err := sh.safeCommit(btx); err != nil && !harmless(err) {
		return err
	}
	return nil // without room for the list the next start takes longer
}

// signal wakes the writer.
func (sh *Shard) signal() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

// View calls fn with a snapshot of the last commit. fn must be short and wait
// for nothing: a snapshot that stays open keeps the file from reusing space.
// The error is fn's, or Corrupt when the file is damaged where fn reads it.
func (sh *Shard) View(fn func(Tx) error) (err error) {
	if sh.damage != nil {
		return sh.damage
	}
	open := sh.opened.Load()
	btx, err := open.db.Begin(false)
	for errors.Is(err, bolterrors.ErrDatabaseNotOpen) && sh.opened.Load() != open { // a compaction has replaced it
		open = sh.opened.Load()
		btx, err = open.db.Begin(false)
	}
	if err != nil {
		return fault.Wrap("index.View", fault.Unavailable, err)
	}
	defer btx.Rollback()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if err = sh.damaged(p); err == nil {
				panic(p)
			}
		}
	}()
	return fn(&tx{tx: btx, mapping: mapping{open: open}})
}

// damaged returns the error for a panic over what is in the file, or nil for another one.
func (sh *Shard) damaged(p any) error {
	if !ofDamage(p) {
		return nil
	}
	err := lost(sh.path, "is damaged: %v", p)
	sh.log.Log(context.Background(), logs.LevelFailure, "the index is damaged", slog.Any(logs.AttrError, err))
	return err
}

// Settle returns when View shows what was committed before the call.
func (sh *Shard) Settle(ctx context.Context) error {
	if sh.readOnly {
		return sh.damage
	}
	return sh.Update(ctx, func(Tx) error { return nil }, nil)
}

// Size returns the size of the shard's file in bytes.
func (sh *Shard) Size() int64 {
	if sh.damage != nil {
		return 0
	}
	info, err := os.Stat(sh.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

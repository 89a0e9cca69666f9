package index

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Shard holds the records of some accounts.
type Shard struct {
	db   *bolt.DB
	file *os.File // bbolt's, to grow it
	log  *slog.Logger

	// commit is (*bolt.Tx).Commit; tests put failing ones in its place.
	commit func(*bolt.Tx) error
	// grow makes room in the file; see grow.go.
	grow func(f *os.File, from, to int64) error

	// requests holds requests for their next use. They have channels, which must
	// not leave the synctest bubble that a shard was opened in: so each shard has its own.
	requests sync.Pool

	// mu guards the queue. It is never held while the writer works.
	mu      sync.Mutex
	waiting []*request
	closed  bool
	wake    chan struct{} // capacity 1: waiting or closed has changed
	done    chan struct{} // closed when the writer has ended

	// What follows belongs to the writer.
	broken error // a sync has failed: nothing is written any more
	stuck  bool  // its last transaction cannot be ended, so the file cannot be closed
}

// mapSize is how much of a file is mapped from the start. Reading transactions
// would have to end before the mapping can grow, so it is far above what most
// shards ever hold; it costs address space, no memory.
const mapSize = 1 << 30 << (^uint(0) >> 63 * 2) // 4 GB, 1 GB where pointers have 32 bits

// maxFreelist is up to how many free pages are listed in the file with every
// commit. The list makes a start after a crash fast: without it every page of
// the file is read. A longer one, after much was removed, would cost each
// commit too much, and is written when the shard is closed.
const maxFreelist = 1000

func openShard(path string, log *slog.Logger) (sh *Shard, err error) {
	const op = "index.Open"
	defer func() {
		// bbolt panics when it finds pages that cannot be while it looks for free ones.
		if p := recover(); p != nil {
			err = fault.Wrap(op, fault.Corrupt, fmt.Errorf("open %s: %v", path, p))
			sh, err = nil, errors.Join(err, sh.file.Close())
		}
	}()
	sh = &Shard{
		log:    log.With(slog.String(logs.AttrObject, filepath.Base(path))),
		commit: (*bolt.Tx).Commit,
		grow:   allocate,
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         time.Second, // for the lock of another process that is just ending
		FreelistType:    bolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: mapSize,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			sh.file = f
			return f, err
		},
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fault.Newf(op, fault.Unavailable, "another process has %s open", path)
	}
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, fmt.Errorf("open %s: %w", path, err))
	}
	db.AllocSize = os.Getpagesize() // makeRoom grows the file, with blocks that exist
	db.NoFreelistSync = false       // from here on the writer decides, see manyFree
	if err := createBuckets(db); err != nil {
		return nil, errors.Join(fault.Wrap(op, fault.Internal, err), db.Close())
	}
	sh.db = db
	go sh.run()
	return sh, nil
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
	sh.mu.Lock()
	sh.closed = true
	sh.mu.Unlock()
	sh.signal()
	<-sh.done
	if sh.stuck {
		return fault.Wrap("index.Close", fault.Unavailable, sh.broken) // the end of the process closes it
	}
	err := sh.saveFreelist()
	return errors.Join(err, sh.db.Close())
}

// manyFree reports whether the list of free pages is too long for every commit.
func (sh *Shard) manyFree() bool {
	s := sh.db.Stats()
	return s.FreePageN+s.PendingPageN > maxFreelist
}

// saveFreelist writes the list of free pages if the last commit has not.
func (sh *Shard) saveFreelist() error {
	if sh.broken != nil || !sh.db.NoFreelistSync {
		return nil
	}
	btx, err := sh.db.Begin(true)
	if err != nil {
		return err
	}
	sh.db.NoFreelistSync = false
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
// The error is fn's.
func (sh *Shard) View(fn func(Tx) error) error {
	btx, err := sh.db.Begin(false)
	if err != nil {
		return fault.Wrap("index.View", fault.Unavailable, err)
	}
	defer btx.Rollback()
	return fn(&tx{tx: btx})
}

// Size returns the size of the shard's file in bytes.
func (sh *Shard) Size() int64 {
	info, err := sh.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

package fulltext

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox"
	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Directory is where the index is, below the base directory.
const Directory = "Search"

// Index is the full-text index of one server. Its methods may be called by many goroutines at once.
type Index struct {
	mail     *mailbox.Store
	settings *settings.Live[Settings]
	log      *slog.Logger
	dir      string
	store    *index.Store
	number   atomic.Uint64 // of the last segment
	counts   Counts
	queue    waiting

	// writing is held while segments are made and written: by the worker, and by Reindex.
	writing sync.Mutex
}

// Counts is what was done since the start.
type Counts struct {
	// Indexed are messages that were indexed, Unreadable those of them that could not be read in whole.
	Indexed, Unreadable counters.Counter
	// Narrowed are messages that a search did not read because of the index, Read those that it did read.
	Narrowed, Read counters.Counter
}

// Open opens the index of a base directory. One that is missing, damaged or of another version is made anew: everything in it can be had from the
// messages. The index is told of the messages of a store from then on; Run does the work.
func Open(base string, mail *mailbox.Store, set *settings.Live[Settings], log *slog.Logger) (*Index, error) {
	dir := filepath.Join(base, Directory)
	x := &Index{mail: mail, settings: set, log: logs.Component(log, Tag), dir: dir}
	var err error
	x.store, err = index.Open(dir, index.Options{Log: x.log})
	if fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Unsupported) {
		x.log.Log(context.Background(), logs.LevelMajor, "the search index cannot be read and is made anew", slog.Any(logs.AttrError, err))
		if err = os.RemoveAll(dir); err == nil {
			x.store, err = index.Open(dir, index.Options{Log: x.log})
		}
	}
	if err != nil {
		return nil, fault.Wrap("fulltext.Open", fault.Internal, err)
	}
	x.number.Store(uint64(time.Now().UnixNano()))
	x.queue.init()
	mail.UseTextIndex(x)
	return x, nil
}

// Close closes the files. Run has to have ended.
func (x *Index) Close() error { return x.store.Close() }

// Counts are the counters, for the metrics.
func (x *Index) Counts() *Counts { return &x.counts }

// segments reads the segments of an account. What is damaged is as good as none.
func (x *Index) segments(account uint64) (list []*segment, err error) {
	err = x.store.Shard(account).View(func(tx index.Tx) (err error) {
		list, err = segments(tx, account)
		return err
	})
	return list, err
}

// State is what the index has of an account.
type State struct {
	// Files are message files, Partial those of which it does not have every word.
	Files, Partial int
	Segments       int
	// Size is in bytes.
	Size int64
	// Waiting are messages that are not indexed yet.
	Waiting int
}

// State returns what the index has of an account.
func (x *Index) State(account uint64) (st State, err error) {
	list, err := x.segments(account)
	for _, s := range list {
		st.Segments++
		st.Size += int64(s.size())
		for _, f := range s.flags {
			if f&goneFile == 0 {
				st.Files++
			}
			if f&(goneFile|partFile) == partFile {
				st.Partial++
			}
		}
	}
	st.Waiting = x.queue.of(account)
	return st, err
}

// Size is how long the files of the index are, in bytes.
func (x *Index) Size() (n int64) {
	for _, sh := range x.store.Shards() {
		n += sh.Size()
	}
	return n
}

// Waiting tells how many messages wait to be indexed, and since when the first of them does.
func (x *Index) Waiting() (messages int, since time.Time) { return x.queue.state() }

// removeAccount removes all that the index has of an account.
func (x *Index) removeAccount(ctx context.Context, account uint64) error {
	sh := x.store.Shard(account)
	var numbers []uint64
	err := sh.View(func(tx index.Tx) error {
		numbers = segmentNumbers(tx, account)
		return nil
	})
	for _, n := range numbers {
		if err == nil {
			err = sh.UpdateFreeing(ctx, func(tx index.Tx) error { return remove(tx, account, n) }, nil)
		}
	}
	return err
}

// Check looks through the whole index, or through the one of a base directory that no server runs on, and reports what is damaged. It reads
// the words of every segment.
func (x *Index) Check(ctx context.Context, report func(string)) error {
	return check(ctx, x.store, report)
}

// CheckStopped is Check for a base directory that no server runs on. There may be no index.
func CheckStopped(ctx context.Context, base string, report func(string)) error {
	dir := filepath.Join(base, Directory)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	store, err := index.Open(dir, index.Options{ReadOnly: true})
	if fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Unsupported) {
		report("the search index cannot be read and is made anew at the next start: " + fault.Explain(err))
		return nil
	}
	if err != nil {
		return err
	}
	for _, sh := range store.Shards() {
		if err == nil {
			err = sh.Verify(func(err error) { report(fault.Explain(err)) })
		}
	}
	if err == nil {
		err = check(ctx, store, report)
	}
	return errors.Join(err, store.Close())
}

// Package index keeps small records in order and on the disk: a key-value
// store in a few files, each with one writer that commits for many.
//
// # Words
//
// A store is a directory of shards. A shard is one file with the records of
// some accounts: those whose number has the same rest when divided by the
// number of shards. A bucket is one ordered space of keys in a shard. What the
// records mean is the business of the packages that write them; all their keys
// begin with the account, so that what belongs together lies together and new
// records of a mailbox are appended to its range.
//
// # Commit for many
//
// Each shard has one goroutine that owns its write transaction. Requests that
// arrive while it commits wait and share the next commit; there is no timer,
// so a lone request waits for nothing. A commit is two disk syncs however many
// requests it carries, which makes this the place where a busy server saves
// its time.
//
// Update runs its function in that goroutine, commits, calls committed, and
// then returns: commit, then announce, then answer. The committed functions of
// one shard run in the order of their functions.
//
// A function that fails harms nobody else. If it has written nothing, it is
// left out. If it has, the transaction is rolled back and the other functions
// of the batch run again, so a function may run more than once and its results
// are those of its last run: it must set them anew each time and touch nothing
// else. It should check first and write after.
//
// # Trouble
//
// The file is grown ahead of need with blocks that are really there, so a full
// disk shows before a commit and not in its midst: the requests get
// fault.NoSpace, nothing is lost, and the next request tries again. The last
// part of what was allocated is kept for UpdateFreeing, so that messages can
// be deleted on a full disk.
//
// When the disk fails to sync, nobody knows what it holds. The shard then
// writes no more: every later Update is fault.Unavailable until the server is
// started again, and the log says so. Reading goes on.
//
// A file that is missing, empty or cut short is refused when the store is opened: it is never taken
// for a new one. Damage within a file shows when its pages are read, and is
// fault.Corrupt.
//
// # On disk
//
// The file format holds a line "gatepost index 5" (the version of this layout)
// and a line "shards N". NN.db are bbolt files, numbered from 00. A store is as
// new as its newest record format: packages that change one raise formatVersion.
// A store with another version is refused.
package index

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"

	"gatepost/server/durable"
	"gatepost/server/fault"
)

// Bucket is one ordered space of keys.
type Bucket uint8

// The buckets.
const (
	// Mail holds accounts, mailboxes, and the states and summaries of messages.
	Mail Bucket = iota
	// Content holds what is kept of each message for clients that list them.
	Content
	// Delivered holds which queued messages are in a mailbox already.
	Delivered
	// Dropped holds what is no longer reachable and waits to be removed.
	Dropped
	// Server holds what concerns no account but the whole store.
	Server

	bucketCount
)

// bucketNames are the names in the files.
var bucketNames = [bucketCount]string{Mail: "mail", Content: "content", Delivered: "delivered", Dropped: "dropped", Server: "server"}

// Tx reads and, inside Update, writes one shard. Byte slices that it returns
// are valid until the function that got the Tx returns and must not be changed.
type Tx interface {
	// Get returns the value of a key, or nil.
	Get(b Bucket, key []byte) []byte
	// Put sets a key. The Tx keeps value: the caller must not change it
	// afterwards. It copies the key.
	Put(b Bucket, key, value []byte) error
	// Delete removes a key, if it is there.
	Delete(b Bucket, key []byte) error
	// Range calls fn for the keys from <= key < to in order until fn returns
	// false; a nil to means the end. fn must not write.
	Range(b Bucket, from, to []byte, fn func(key, value []byte) bool)
}

// Options are for Open.
type Options struct {
	// Shards is the number of files of a new store; 0 means DefaultShards(). It
	// is fixed when the store is created.
	Shards int
	// Existing says that there is a store: one that is missing is fault.Corrupt.
	Existing bool
	// ReadOnly opens the store to be looked at: nothing is written, and a shard that
	// cannot be opened fails when it is read.
	ReadOnly bool
	Log      *slog.Logger
}

// DefaultShards returns the number of shards of a new store. More shards are
// more processors for the writers, but fewer requests share a commit: on 2
// processors, 20 writers made 7,000 deliveries a second with one shard, 5,800
// with two, 2,700 with four and 2,500 with eight.
func DefaultShards() int { return max(1, min(runtime.NumCPU()/2, 8)) }

// Store is the set of shards below one directory.
type Store struct {
	shards []*Shard
}

// Open opens the store in dir, which it creates if there is none. A store that
// another process has open is fault.Unavailable; one of another version is
// fault.Unsupported; one that has lost a file is fault.Corrupt.
func Open(dir string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f, err := openFormat(dir, o)
	if err != nil {
		return nil, err
	}
	s := &Store{}
	for i := range f.shards {
		path := filepath.Join(dir, fmt.Sprintf("%02d.db", i))
		var err error
		if !f.new || o.ReadOnly {
			err = lookAt(path)
		}
		var sh *Shard
		if err == nil {
			sh, err = openShard(path, o)
		}
		if fault.Is(err, fault.Corrupt) && o.ReadOnly {
			sh, err = &Shard{path: path, damage: err, readOnly: true}, nil
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.shards = append(s.shards, sh)
	}
	if o.ReadOnly || !f.new {
		return s, nil
	}
	// The names of new files have to last as long as what is written to them.
	f.new = false
	if err := errors.Join(durable.SyncDir(dir), writeFormat(dir, f)); err != nil {
		return nil, errors.Join(fault.Wrap("index.Open", fault.Internal, err), s.Close())
	}
	return s, nil
}

// Close lets the writers finish what they were asked and closes the files.
func (s *Store) Close() error {
	var errs []error
	for _, sh := range s.shards {
		errs = append(errs, sh.close())
	}
	return errors.Join(errs...)
}

// Shard returns the shard of an account.
func (s *Store) Shard(account uint64) *Shard {
	return s.shards[account%uint64(len(s.shards))]
}

// Shards returns all shards.
func (s *Store) Shards() []*Shard { return s.shards }

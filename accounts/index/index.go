// Package index keeps small records in order and on the disk: a key-value
// store in a few files, each with one writer that commits for many.
package index

import (
	"context"
	"log/slog"

	"gatepost/server/fault"
)

// Bucket is one ordered space of keys.
type Bucket uint8

// Tx reads and, inside Update, writes one shard. Byte slices that it returns
// are valid until the function that got the Tx returns and must not be changed.
type Tx interface {
	// Get returns the value of a key, or nil.
	Get(b Bucket, key []byte) []byte
	// Put sets a key. The Tx keeps value: the caller must not change it afterwards.
	Put(b Bucket, key, value []byte) error
	// Delete removes a key, if it is there.
	Delete(b Bucket, key []byte) error
	// Range calls fn for the keys from <= key < to in order until fn returns
	// false; a nil to means the end. fn must not write.
	Range(b Bucket, from, to []byte, fn func(key, value []byte) bool)
}

// Options are for Open.
type Options struct {
	// Shards is the number of files of a new store; 0 means the default. It is
	// fixed when the store is created.
	Shards int
	Log    *slog.Logger
}

// Store is the set of shards below one directory.
type Store struct{}

// Shard holds the records of some accounts.
type Shard struct{}

// Open opens or creates the store in dir.
func Open(dir string, o Options) (*Store, error) {
	return nil, fault.New("index.Open", fault.Unsupported, "")
}

// Close ends the writers and closes the files.
func (s *Store) Close() error { return nil }

// Shard returns the shard of an account.
func (s *Store) Shard(account uint64) *Shard { return nil }

// Shards returns all shards.
func (s *Store) Shards() []*Shard { return nil }

// View calls fn with a snapshot of the last commit. fn must be short: a
// snapshot that stays open keeps the file from reusing space.
func (sh *Shard) View(fn func(Tx) error) error {
	return fault.New("index.View", fault.Unsupported, "")
}

// Update calls fn in the shard's writer, commits what it wrote together with
// other requests, then calls committed (may be nil), then returns.
func (sh *Shard) Update(ctx context.Context, fn func(Tx) error, committed func()) error {
	return fault.New("index.Update", fault.Unsupported, "")
}

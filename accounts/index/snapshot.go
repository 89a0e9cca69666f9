package index

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"gatepost/server/fault"
)

// Snapshot is the state of all shards at one moment. Writers go on; files grow while it is held, as no page of it is used again, and no
// file is compacted.
type Snapshot struct {
	dir    string
	shards []*snapshotShard
}

type snapshotShard struct {
	shard *Shard
	tx    *bolt.Tx
	tired bool // as it was before
}

// Snapshot takes a snapshot of the store, which the caller closes before it takes another one. A compaction that is under way is waited for.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	const op = "index.Snapshot"
	n := &Snapshot{}
	for _, sh := range s.shards {
		if sh.readOnly {
			return nil, errors.Join(fault.New(op, fault.ReadOnly, ""), n.Close())
		}
		n.dir = filepath.Dir(sh.path)
		one := &snapshotShard{shard: sh}
		// bbolt opens the file by its name to copy it, so that it must not be replaced meanwhile.
		for {
			var busy bool
			err := fault.Wrap(op, fault.Canceled, ctx.Err())
			if err == nil {
				err = sh.betweenCommits(func() error {
					if busy = sh.changed != nil; !busy {
						one.tired, sh.tired = sh.tired, true
					}
					return nil
				})
			}
			if err != nil {
				return nil, errors.Join(err, n.Close())
			}
			if !busy {
				break
			}
			sh.compacting.Wait()
		}
		n.shards = append(n.shards, one)
	}
	for _, one := range n.shards { // all at one moment, as near as may be
		tx, err := one.shard.db().Begin(false)
		if err != nil {
			return nil, errors.Join(fault.Wrap(op, fault.Internal, err), n.Close())
		}
		one.tx = tx
	}
	return n, nil
}

// Write writes the snapshot into a directory, which it makes: a store that can be opened. It syncs nothing.
func (n *Snapshot) Write(dir string) error {
	const op = "index.Snapshot"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	format, err := os.ReadFile(filepath.Join(n.dir, formatName))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, formatName), format, 0o600)
	}
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	for _, one := range n.shards {
		if err := one.write(filepath.Join(dir, filepath.Base(one.shard.path))); err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	return nil
}

func (one *snapshotShard) write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = one.tx.WriteTo(f)
	return errors.Join(err, f.Close())
}

// Close ends the snapshot.
func (n *Snapshot) Close() error {
	var errs []error
	for _, one := range n.shards {
		if one.tx != nil {
			errs = append(errs, one.tx.Rollback())
		}
		err := one.shard.betweenCommits(func() error { one.shard.tired = one.tired; return nil })
		if !fault.Is(err, fault.Unavailable) { // the shard is closed
			errs = append(errs, err)
		}
	}
	n.shards = nil
	return errors.Join(errs...)
}

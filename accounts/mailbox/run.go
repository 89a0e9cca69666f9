package mailbox

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"

	"gatepost/accounts/index"
	"gatepost/server/durable"
	"gatepost/server/fault"
)

// The file Index/open is there from Open to Close. When a start finds it, the run before did
// not stop in order, and may have left files without records. The start counts that in each
// shard. An account keeps in its record the count at which its files were last compared with
// its records (leftovers.go), so an account that is not used keeps its leftovers until it is,
// however many runs later.

// crashesKey is the key of a shard's count in index.Server, highestKey that of the highest number of
// a file that the shard ever named: 8 bytes each, big-endian.
var (
	crashesKey = []byte("crashes")
	highestKey = []byte("highest")
)

func serverNumber(tx index.Tx, key []byte) uint64 {
	if v := tx.Get(index.Server, key); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func putServerNumber(tx index.Tx, key []byte, n uint64) error {
	return tx.Put(index.Server, key, binary.BigEndian.AppendUint64(nil, n))
}

// noteHighest records that a shard names a file, for a start without the counter.
func noteHighest(tx index.Tx, id uint64) error {
	if id <= serverNumber(tx, highestKey) {
		return nil
	}
	return putServerNumber(tx, highestKey, id)
}

// begin starts a run.
func (s *Store) begin() error {
	used := uint64(0)
	if err := s.readShards(func(tx index.Tx) { used = max(used, serverNumber(tx, highestKey)) }); err != nil {
		return err
	}
	if s.o.Raise != nil && used > 0 {
		if err := s.o.Raise(used); err != nil {
			return err
		}
	}
	crashed, err := s.isMarked()
	if err != nil || !crashed {
		return errors.Join(err, s.mark())
	}
	for sh := range s.crashes {
		s.crashes[sh]++
		err := sh.UpdateFreeing(context.Background(), func(tx index.Tx) error {
			return putServerNumber(tx, crashesKey, s.crashes[sh])
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// lookBack is begin for a store that is read only.
func (s *Store) lookBack() error {
	crashed, err := s.isMarked()
	err = errors.Join(err, s.readShards(func(index.Tx) {}))
	if crashed {
		for sh := range s.crashes {
			s.crashes[sh]++
		}
	}
	return err
}

// readShards reads the counts of crashes. What of a store that is read only is damaged is left to Check.
func (s *Store) readShards(visit func(index.Tx)) error {
	s.crashes = make(map[*index.Shard]uint64)
	for _, sh := range s.index.Shards() {
		err := sh.View(func(tx index.Tx) error {
			s.crashes[sh] = serverNumber(tx, crashesKey)
			visit(tx)
			return nil
		})
		if err != nil && !(s.o.ReadOnly && fault.Is(err, fault.Corrupt)) {
			return err
		}
	}
	return nil
}

// isMarked reports whether the last run was not closed.
func (s *Store) isMarked() (bool, error) {
	_, err := os.Stat(s.marker)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// mark makes the file that says that a run has begun.
func (s *Store) mark() error { return durable.ReplaceFile(s.marker, nil, 0o600) }

// unmark removes it, unless the run leaves something to be looked for.
func (s *Store) unmark() error {
	if s.unclean.Load() {
		return nil
	}
	return os.Remove(s.marker)
}

package mailbox

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"gatepost/accounts/index"
)

// A run is the time from Open to Close. The file Index/open is there during a
// run and holds its first number; when a start finds it, the run before it
// crashed, and left files without records. Runs that crash one after the other
// count as one.
//
// Which files these are is told with care, because the index may be older than
// the files: one that was restored from a backup does not name younger mail,
// which looks as if a crash had left it. So each shard records its reach, the
// highest number of a file that it ever named, in the commit that names it.

// reachKey is the key of a shard's reach in index.Server: 8 bytes, big-endian.
var reachKey = []byte("reach")

// crashedRun is what is known of the run that did not end.
type crashedRun struct {
	first uint64 // its first number; 0: no run crashed, or that is not known
	reach map[*index.Shard]uint64
}

// extendReach records that a shard names a file.
func extendReach(tx index.Tx, id uint64) error {
	if id <= reachOf(tx) {
		return nil
	}
	return tx.Put(index.Server, reachKey, binary.BigEndian.AppendUint64(nil, id))
}

func reachOf(tx index.Tx) uint64 {
	if v := tx.Get(index.Server, reachKey); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// begin starts a run and reports whether the one before it crashed.
func (s *Store) begin() (unclean bool, err error) {
	s.crashed.reach = make(map[*index.Shard]uint64)
	used := uint64(0)
	for _, sh := range s.index.Shards() {
		err := sh.View(func(tx index.Tx) error {
			s.crashed.reach[sh] = reachOf(tx)
			return nil
		})
		if err != nil {
			return false, err
		}
		used = max(used, s.crashed.reach[sh])
	}
	if s.o.Raise != nil && used > 0 {
		if err := s.o.Raise(used); err != nil {
			return false, err
		}
	}
	s.firstID = s.o.NextID()
	text, err := os.ReadFile(s.marker)
	switch {
	case err == nil:
		unclean = true
		if first, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
			s.crashed.first = first
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	first := s.firstID
	if s.crashed.first > 0 {
		// What the crashed run left may not be swept yet when this one crashes too.
		first = min(first, s.crashed.first)
	}
	next := s.marker + ".new"
	if err := os.WriteFile(next, strconv.AppendUint(nil, first, 10), 0o600); err != nil {
		return false, err
	}
	return unclean, os.Rename(next, s.marker)
}

// left reports whether the crashed run can have left a file without a record.
func (s *Store) left(id uint64) bool {
	return s.crashed.first > 0 && id >= s.crashed.first && id < s.firstID
}

// beyond reports whether a file is younger than all that the shard knew of when
// it was opened. Most probably a crash came between the file and its record,
// but the index may as well be an older one.
func (s *Store) beyond(sh *index.Shard, id uint64) bool { return id > s.crashed.reach[sh] }

package mailbox

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts/index"
	"gatepost/server/durable"
	"gatepost/server/fault"
)

// A run is the time from Open to Close. The file Index/open is there during a
// run and holds its first number; when a start finds it, the run before it
// crashed, and left files without records.
//
// Which files these are is told with care, because the index may be older than
// the files: one that was restored from a backup does not name younger mail,
// which looks as if a crash had left it. So each shard records its reach, the
// highest number of a file that it ever named, in the commit that names it.
//
// Each shard remembers the runs that crashed, and each account in its record up
// to which number its files were looked through: so an account that nobody uses
// is looked through whenever it is, however many runs later.

// reachKey is the key of a shard's reach in index.Server: 8 bytes, big-endian.
// crashesKey is that of its crashed runs, oldest first.
var (
	reachKey   = []byte("reach")
	crashesKey = []byte("crashes")
)

// crash is a run that did not end: it gave out the numbers from first to before
// end. reach is that of the shard when the next run began.
type crash struct{ first, end, reach uint64 }

// maxCrashes bounds what a shard remembers. Leftovers of older crashes are
// reported by Check.
const maxCrashes = 100

func marshalCrashes(list []crash) (b []byte) {
	for _, c := range list {
		for _, n := range [...]uint64{c.first, c.end, c.reach} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
	}
	return b
}

func crashesOf(tx index.Tx) (list []crash) {
	for v := tx.Get(index.Server, crashesKey); len(v) >= 24; v = v[24:] {
		list = append(list, crash{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]), binary.BigEndian.Uint64(v[16:])})
	}
	return list
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

// begin starts a run. When the one before it crashed, the shards remember it
// before the new run does anything.
func (s *Store) begin() error {
	reach := make(map[*index.Shard]uint64)
	s.crashes = make(map[*index.Shard][]crash)
	used := uint64(0)
	for _, sh := range s.index.Shards() {
		err := sh.View(func(tx index.Tx) error {
			reach[sh], s.crashes[sh] = reachOf(tx), crashesOf(tx)
			return nil
		})
		if err != nil {
			return err
		}
		used = max(used, reach[sh])
	}
	if s.o.Raise != nil && used > 0 {
		if err := s.o.Raise(used); err != nil {
			return err
		}
	}
	var err error
	if s.firstID, err = s.o.NextID(); err != nil {
		return err
	}
	text, err := os.ReadFile(s.marker)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if first, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && first > 0 {
		for sh := range s.crashes {
			if err := s.addCrash(sh, crash{first, s.firstID, reach[sh]}); err != nil {
				return err
			}
		}
	}
	return s.mark()
}

// lookBack finds what crashes have left in a store that is read only.
func (s *Store) lookBack() error {
	s.crashes = make(map[*index.Shard][]crash)
	text, err := os.ReadFile(s.marker)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	first, open := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	for _, sh := range s.index.Shards() {
		err := sh.View(func(tx index.Tx) error {
			s.crashes[sh] = crashesOf(tx)
			if open == nil {
				s.crashes[sh] = append(s.crashes[sh], crash{first, math.MaxUint64, reachOf(tx)})
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.Corrupt) {
			return err
		}
	}
	return nil
}

// addCrash remembers a crashed run in a shard. It may have been remembered
// before, by a start that came no further.
func (s *Store) addCrash(sh *index.Shard, c crash) error {
	list := slices.DeleteFunc(s.crashes[sh], func(o crash) bool { return o.first == c.first })
	list = append(list, c)
	list = list[max(0, len(list)-maxCrashes):]
	s.crashes[sh] = list
	return sh.UpdateFreeing(context.Background(), func(tx index.Tx) error {
		return tx.Put(index.Server, crashesKey, marshalCrashes(list))
	}, nil)
}

// mark writes the file that says that a run has begun.
func (s *Store) mark() error {
	return durable.ReplaceFile(s.marker, strconv.AppendUint(nil, s.firstID, 10), 0o600)
}

// crashOf returns the crashed run that can have left a file without a record, if
// there is one that the account was not looked through after.
func (a *Account) crashOf(id, swept uint64) (crash, bool) {
	for _, c := range a.store.crashes[a.shard] {
		if c.end > swept && id >= c.first && id < c.end {
			return c, true
		}
	}
	return crash{}, false
}

// sweptOf returns up to which number the account's files were looked through,
// and whether a crash came since. Whoever makes a new account knows its files.
func (a *Account) sweptOf() (swept uint64, due bool, err error) {
	rec, err := a.record()
	for _, c := range a.store.crashes[a.shard] {
		due = due || c.end > rec.swept
	}
	return rec.swept, due, err
}

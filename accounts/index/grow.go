package index

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
	"gatepost/server/logs"
)

// The file grows by an eighth of its size within these bounds.
const (
	minGrowth = 1 << 20
	maxGrowth = 64 << 20
	// reserve is the part at the end of the file that only freeing changes may use.
	reserve = 512 << 10
)

// makeRoom sees to it that the pages that the commit of t may add to the file
// have blocks on the disk.
func (sh *Shard) makeRoom(t *tx, freeing bool) error {
	open := sh.opened.Load()
	have, used := open.blocks, t.tx.Size()
	// Each change dirties a leaf, and the way to it is shared; values are
	// copied to new pages that are half full at worst. An estimate that is too
	// low costs no safety: then bbolt grows the file itself.
	need := int64(2*t.bytes) + int64(t.writes)*4096
	if freeing {
		need = min(need, reserve)
	} else {
		need += reserve
	}
	if used+need <= have {
		return nil
	}
	to := used + max(need, min(max(have/8, minGrowth), maxGrowth))
	to = (to + 4095) &^ 4095
	err := sh.grow(open.file, have, to)
	switch {
	case err == nil:
		// bbolt writes into the file with fdatasync alone, and relies on its size.
		if err := open.file.Sync(); err != nil {
			return sh.fail(err)
		}
		open.blocks = to
		return nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return nil // this file system cannot; bbolt grows the file
	case fault.Is(err, fault.NoSpace) && (freeing || sh.freeBytes() >= need):
		return nil // what is left in the file does
	case fault.Is(err, fault.NoSpace):
		sh.log.Log(context.Background(), logs.LevelFailure, "the disk is full, the index cannot grow", slog.Any(logs.AttrError, err))
	}
	return fault.Wrap("index.Update", fault.Internal, err)
}

// freeBytes is the size of the pages within the file that nothing uses.
func (sh *Shard) freeBytes() int64 {
	return int64(sh.db().Stats().FreePageN) * int64(sh.db().Info().PageSize)
}

// allocate gives the file blocks up to a size.
func allocate(f *os.File, from, to int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, from, to-from)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err
	}
}

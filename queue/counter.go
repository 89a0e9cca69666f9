package queue

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"gatepost/queue/envelope"
	"gatepost/server/durable"
	"gatepost/server/fault"
)

// counterBlock is how many IDs are reserved at once: what a crash may skip, and
// the number of IDs that share one write.
const counterBlock = 1000

// Counter gives out the IDs of the whole server: of queue files, and of message
// files that come in without the queue. They grow by one and never repeat.
//
// Its file holds two records of one line each, a number with its CRC-32. The
// higher one that reads back is the mark below which IDs may have been used. They
// are overwritten in turn and in place, so that neither a crash in the middle of a
// write nor a full disk loses the mark. A file that holds just a number, written
// by an administrator, is taken as it is.
type Counter struct {
	next atomic.Uint64 // the ID to give out next
	mark atomic.Uint64 // IDs below it are reserved on disk

	mu   sync.Mutex // held while the mark is written
	file *os.File
	slot int64
}

const counterRecord = len("00000000000000000000 00000000\n")

// OpenCounter opens the counter in a file, which is created if it is missing.
// It never goes below the IDs of the files in queueDir, nor below floor.
func OpenCounter(file, queueDir string, floor envelope.QueueID) (*Counter, error) {
	const op = "queue.OpenCounter"
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	c := &Counter{file: f}
	mark, err := readMark(f)
	if err != nil {
		f.Close()
		return nil, fault.Wrap(op, fault.Corrupt, fmt.Errorf("%s: %w", file, err))
	}
	largest, err := largestID(queueDir)
	if err != nil {
		f.Close()
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	start := max(mark, uint64(largest)+1, uint64(floor), 1)
	c.next.Store(start)
	// Both records are written so that a file of another form is replaced whole.
	for range 2 {
		if err := c.write(start + counterBlock); err != nil {
			f.Close()
			return nil, fault.Wrap(op, fault.Internal, err)
		}
	}
	if err := durable.SyncDir(filepath.Dir(file)); err != nil {
		f.Close()
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	return c, nil
}

// Raise makes the next IDs higher than one that has been used: the file of the
// counter may be lost or come from an old backup.
func (c *Counter) Raise(used envelope.QueueID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := uint64(used) + 1
	if c.next.Load() >= next {
		return nil
	}
	if err := c.write(next + counterBlock); err != nil {
		return fault.Wrap("queue.Counter", fault.Internal, err)
	}
	c.next.Store(next)
	return nil
}

// NextID returns an ID that was never returned before, and is reserved on disk: it
// is not returned after a crash either. Its error says why none can be reserved
// now; the next call tries again.
func (c *Counter) NextID() (envelope.QueueID, error) {
	n := c.next.Add(1) - 1
	// The mark is moved on when half a block is left: the caller that does it
	// pays for the write, the others go on.
	if mark := c.mark.Load(); n >= mark {
		c.mu.Lock()
		defer c.mu.Unlock()
		if err := c.reserve(n); n >= c.mark.Load() {
			return 0, fault.Wrap("queue.Counter", fault.Internal, err)
		}
	} else if n+counterBlock/2 >= mark && c.mu.TryLock() {
		defer c.mu.Unlock()
		// After a failure there is half a block left; who comes behind it is told.
		_ = c.reserve(n)
	}
	return envelope.QueueID(n), nil
}

// reserve moves the mark so that it stands a block above the next ID, if n, or
// the next, is near it. c.mu is held.
func (c *Counter) reserve(n uint64) error {
	n = max(n, c.next.Load())
	if n+counterBlock/2 < c.mark.Load() {
		return nil // somebody else did it
	}
	return c.write(n + counterBlock)
}

func (c *Counter) write(mark uint64) error {
	digits := fmt.Sprintf("%020d", mark)
	rec := fmt.Sprintf("%s %08x\n", digits, crc32.ChecksumIEEE([]byte(digits)))
	if _, err := c.file.WriteAt([]byte(rec), c.slot*int64(counterRecord)); err != nil {
		return err
	}
	if err := c.file.Sync(); err != nil {
		return err
	}
	c.slot = 1 - c.slot
	c.mark.Store(mark)
	return nil
}

// Close writes the exact next ID, so that an orderly stop skips none.
func (c *Counter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.next.Load()
	var err error
	for range 2 {
		err = errors.Join(err, c.write(next))
	}
	return errors.Join(err, c.file.Close())
}

func readMark(f *os.File) (uint64, error) {
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil || len(text) == 0 {
		return 0, err
	}
	if n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil {
		return n, nil
	}
	var best uint64
	for len(text) >= counterRecord {
		rec := text[:counterRecord]
		text = text[counterRecord:]
		n, err1 := strconv.ParseUint(string(rec[:20]), 10, 64)
		sum, err2 := strconv.ParseUint(string(rec[21:29]), 16, 32)
		if err1 == nil && err2 == nil && uint32(sum) == crc32.ChecksumIEEE(rec[:20]) {
			best = max(best, n)
		}
	}
	if best == 0 {
		return 0, errors.New("the counter does not read back; write a number into the file that is higher than that of any message")
	}
	return best, nil
}

// largestID returns the highest ID that names a file in the queue, whatever its extension.
func largestID(dir string) (envelope.QueueID, error) {
	var largest envelope.QueueID
	err := scanDir(dir, func(name string) {
		if id, _, ok := parseName(name); ok {
			largest = max(largest, id)
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return largest, err
}

// scanDir calls fn for each name in a directory, without holding all of them.
func scanDir(dir string, fn func(name string)) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			fn(name)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// parseName reads the name of a queue file: an ID and an extension.
func parseName(name string) (id envelope.QueueID, ext string, ok bool) {
	ext = filepath.Ext(name)
	digits := name[:len(name)-len(ext)]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n == 0 || digits[0] == '0' || digits[0] == '+' {
		return 0, "", false
	}
	return envelope.QueueID(n), ext, true
}

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"gatepost/server/fault"
)

// bbolt trusts its file: a file that is cut short ends the process with SIGBUS, an empty one
// is taken for a new one, and a page of rubbish makes it panic. So a file is looked at
// before bbolt opens it, and panics over its pages are errors.

// The layout of bbolt's files: the first two pages are meta pages, of which the valid one with the
// highest transaction counts. All numbers are in the order of the machine.
const (
	metaMagic   = 0xED0CDAED
	metaSize    = 80 // with the header of the page
	headerSize  = 16
	elementSize = 16

	branchPage = 1
	leafPage   = 2
)

// meta is what is needed of a meta page.
type meta struct {
	pageSize int64
	root     uint64 // page of the root bucket
	freelist uint64 // page of the list of free pages, or noFreelist
	high     uint64 // all pages are below
	tx       uint64
}

// readMeta reads the meta page at an offset.
func readMeta(f io.ReaderAt, at int64) (m meta, ok bool) {
	var b [metaSize]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return m, false
	}
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	sum := fnv.New64a()
	sum.Write(b[headerSize : metaSize-8])
	if binary.NativeEndian.Uint32(b[headerSize:]) != metaMagic || sum.Sum64() != u64(metaSize-8) {
		return m, false
	}
	return meta{int64(binary.NativeEndian.Uint32(b[24:])), u64(32), u64(atFreelist), u64(atHigh), u64(atTx)}, true
}

// currentMeta returns the meta page that counts.
func currentMeta(f io.ReaderAt) (meta, bool) {
	first, ok := readMeta(f, 0)
	size := int64(os.Getpagesize())
	if ok {
		size = first.pageSize
	}
	if second, ok2 := readMeta(f, size); ok2 && (!ok || second.tx > first.tx) {
		return second, true
	}
	return first, ok
}

// lookAt checks that a shard's file is there and as long as its meta page says.
func lookAt(path string) error {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return lost(path, "is missing")
	case err != nil:
		return fault.Wrap("index.Open", fault.Internal, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fault.Wrap("index.Open", fault.Internal, err)
	}
	if info.Size() == 0 {
		return lost(path, "is empty")
	}
	m, ok := currentMeta(f)
	if !ok {
		return lost(path, "is damaged: it has no valid meta page")
	}
	if need := int64(m.high) * m.pageSize; info.Size() < need {
		return lost(path, "is cut short: it has %d bytes and should have %d", info.Size(), need)
	}
	return nil
}

// lost is the error for a file whose records are out of reach.
func lost(path, format string, args ...any) error {
	return fault.Wrap("index.Open", fault.Corrupt,
		fmt.Errorf("the index file %s %s; stop the server and restore the file from a backup", path, fmt.Sprintf(format, args...)))
}

// ofDamage reports whether a panic, which the caller of the caller has recovered, comes from what is in the file: it
// was raised by bbolt, or by reading memory that maps the file.
func ofDamage(p any) bool {
	if _, is := p.(interface{ Addr() uintptr }); is {
		return true
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for panicking := false; ; {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime {
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		panicking = panicking || inRuntime
		if !more {
			return false
		}
	}
}

// Verify reads every page that the shard's records lie in and calls report for each that is
// damaged. It is for a store that nobody writes.
func (sh *Shard) Verify(report func(error)) error {
	if sh.damage != nil {
		report(sh.damage)
		return nil
	}
	m, ok := currentMeta(sh.file())
	if !ok {
		report(lost(sh.path, "is damaged: it has no valid meta page"))
		return nil
	}
	v := &verifier{file: sh.file(), meta: m, seen: make([]bool, m.high), report: func(page uint64, format string, args ...any) {
		report(lost(sh.path, "is damaged: page %d %s", page, fmt.Sprintf(format, args...)))
	}}
	return v.tree(m.root)
}

// verifier walks over the pages of a file without mapping it.
type verifier struct {
	file   io.ReaderAt
	meta   meta
	seen   []bool
	report func(page uint64, format string, args ...any)
}

// tree looks at a page and those below it. It returns an error only when the file cannot be read.
func (v *verifier) tree(id uint64) error {
	if id < 2 || id >= v.meta.high {
		v.report(id, "does not exist")
		return nil
	}
	header := make([]byte, headerSize)
	if _, err := v.file.ReadAt(header, int64(id)*v.meta.pageSize); err != nil {
		return err
	}
	pages := uint64(binary.NativeEndian.Uint32(header[12:])) + 1
	if binary.NativeEndian.Uint64(header) != id || id+pages > v.meta.high {
		v.report(id, "is not what it should be")
		return nil
	}
	for n := id; n < id+pages; n++ {
		if v.seen[n] {
			v.report(n, "is used twice")
			return nil
		}
		v.seen[n] = true
	}
	b := make([]byte, int64(pages)*v.meta.pageSize)
	if _, err := v.file.ReadAt(b, int64(id)*v.meta.pageSize); err != nil {
		return err
	}
	return v.page(id, b)
}

// page looks at the elements of a page, which may be one within a value.
func (v *verifier) page(id uint64, b []byte) error {
	if len(b) < headerSize {
		v.report(id, "holds a bucket that is cut short")
		return nil
	}
	flags, count := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	if flags != branchPage && flags != leafPage || headerSize+count*elementSize > len(b) {
		v.report(id, "is not what it should be")
		return nil
	}
	last := []byte(nil)
	for n := range count {
		at := headerSize + n*elementSize
		u32 := func(i int) int64 { return int64(binary.NativeEndian.Uint32(b[at+i:])) }
		start, keySize, valueSize := u32(0), u32(4), int64(0)
		if flags == leafPage {
			start, keySize, valueSize = u32(4), u32(8), u32(12)
		}
		start += int64(at)
		if start < int64(headerSize+count*elementSize) || start+keySize+valueSize > int64(len(b)) {
			v.report(id, "has a record that is not in it")
			return nil
		}
		key, value := b[start:start+keySize], b[start+keySize:start+keySize+valueSize]
		if n > 0 && string(key) <= string(last) {
			v.report(id, "has records that are not in order")
			return nil
		}
		last = key
		var err error
		switch {
		case flags == branchPage:
			err = v.tree(binary.NativeEndian.Uint64(b[at+8:]))
		case u32(0)&1 == 0: // a record
		case len(value) < headerSize:
			v.report(id, "holds a bucket that is cut short")
		case binary.NativeEndian.Uint64(value) == 0:
			err = v.page(id, value[headerSize:])
		default:
			err = v.tree(binary.NativeEndian.Uint64(value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

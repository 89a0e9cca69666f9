package index

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// window is how much of a file is read ahead at a time.
const window = 1 << 20

// ReadAhead has the system read a shard's file ahead of somebody who reads many records in the order of their keys, as
// the file is mapped for reads in any order. Records that were written one after the other lie near each
// other in the file, if not in order. The zero value is ready; it belongs to one goroutine.
type ReadAhead struct {
	from, until int64 // what was asked for
	near        int   // how many records lay near the ones before
}

// enough is after how many records near each other the next ones are expected there.
const enough = 16

// Saw says that a value was read, which has to come from a snapshot.
func (r *ReadAhead) Saw(snapshot Tx, value []byte) {
	t, ok := snapshot.(*tx)
	if !ok || t.open == nil || len(value) == 0 {
		return
	}
	if t.mapped == 0 {
		t.mapped = t.open.db.Info().Data
	}
	at := int64(uintptr(unsafe.Pointer(unsafe.SliceData(value))) - t.mapped)
	if at < r.from-window || at > r.until+window {
		*r = ReadAhead{from: at, until: at}
		return
	}
	if r.near++; r.near < enough || at+window/2 < r.until {
		return
	}
	r.from, r.until = at, max(at, r.until)
	// What fails costs time only.
	_ = unix.Fadvise(int(t.open.file.Fd()), r.until, window, unix.FADV_WILLNEED)
	r.until += window
}

// mapping is where in memory a file is.
type mapping struct {
	open   *openFile // nil for a transaction that writes
	mapped uintptr   // 0 until somebody asks
}

package deflate

import (
	"compress/flate"
	"io"
	"sync"
)

var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // only for a level that does not exist
	}
	return w
}}

// Writer compresses what is written to it. Each Write is flushed. It belongs to one goroutine.
type Writer struct {
	dst io.Writer
	z   *flate.Writer
}

// NewWriter returns a Writer to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write compresses and flushes p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.z == nil {
		w.z = compressors.Get().(*flate.Writer)
		w.z.Reset(w.dst)
	}
	n, err := w.z.Write(p)
	if err == nil {
		err = w.z.Flush()
	}
	return n, err
}

// Release gives the compressor back until the next Write.
func (w *Writer) Release() {
	if w.z == nil {
		return
	}
	w.z.Reset(io.Discard)
	compressors.Put(w.z)
	w.z = nil
}

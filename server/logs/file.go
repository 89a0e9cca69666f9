package logs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Files writes lines to one file a day, SystemLogs/YYYY-MM-DD.log, and removes
// old ones. A day's further files, started when one has grown too large, carry
// the time: YYYY-MM-DD_hh-mm-ss.log.
//
// Lines are gathered for at most flushEvery before they are written; urgent
// ones (failures and crashes) are written at once. A log that cannot be
// written goes to Fallback, so that the reason is seen somewhere.
type Files struct {
	dir  string
	opts func() *FileOptions
	// Fallback, usually standard error, gets urgent lines too.
	fallback io.Writer

	mu      sync.Mutex // guards all below; held across writes to the local disk only
	file    *os.File
	name    string
	size    int64
	day     string
	buf     []byte
	pending *time.Timer
	failed  bool
	closed  bool
}

// FileOptions are the settings of the log files.
type FileOptions struct {
	// MaxSize starts a new file when one is larger; 0 means no limit, in bytes.
	MaxSize int64
	// Keep removes files older than this; 0 keeps all.
	Keep time.Duration
}

const (
	flushEvery = 200 * time.Millisecond
	flushAt    = 32 << 10 // bytes
)

// OpenFiles makes the directory, if need be, and returns its sink.
func OpenFiles(dir string, opts func() *FileOptions, fallback io.Writer) (*Files, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	return &Files{dir: dir, opts: opts, fallback: fallback}, nil
}

// Line implements Sink.
func (f *Files) Line(line []byte, urgent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf = append(f.buf, line...)
	if urgent {
		_, _ = f.fallback.Write(line) // the last resort has no other place to report to
	}
	switch {
	case f.closed || urgent || len(f.buf) >= flushAt:
		f.flush()
	case f.pending == nil:
		f.pending = time.AfterFunc(flushEvery, f.Flush)
	}
}

// Flush writes what has been gathered.
func (f *Files) Flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flush()
}

// Close flushes and closes the file. Lines that come later are still written.
func (f *Files) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flush()
	f.closed = true
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// flush runs with mu held.
func (f *Files) flush() {
	if f.pending != nil {
		f.pending.Stop()
		f.pending = nil
	}
	if len(f.buf) == 0 {
		return
	}
	err := f.rotate()
	if err == nil {
		var n int
		n, err = f.file.Write(f.buf)
		f.size += int64(n)
	}
	if err != nil {
		if !f.failed {
			fmt.Fprintf(f.fallback, "gatepost: the log cannot be written: %v\n", err)
		}
		_, _ = f.fallback.Write(f.buf)
	}
	f.failed = err != nil
	f.buf = f.buf[:0]
	if cap(f.buf) > 4*flushAt {
		f.buf = nil
	}
}

// rotate opens the file of today, or a further one when today's is too large.
func (f *Files) rotate() error {
	now := time.Now()
	day := now.Format(time.DateOnly)
	opts := f.opts()
	large := opts.MaxSize > 0 && f.size >= opts.MaxSize
	if f.file != nil && day == f.day && !large {
		return nil
	}
	name := day + ".log"
	if f.file != nil && day == f.day {
		name = now.Format("2006-01-02_15-04-05.000") + ".log"
	}
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.name, f.size, f.day = file, name, info.Size(), day
	if opts.Keep > 0 {
		f.removeBefore(now.Add(-opts.Keep).Format(time.DateOnly))
	}
	return nil
}

// removeBefore removes the files of days before the given one.
func (f *Files) removeBefore(day string) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		fmt.Fprintf(f.fallback, "gatepost: old logs are not removed: %v\n", err)
		return
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".log") || len(name) < len(day) || name[:len(day)] >= day {
			continue
		}
		if _, err := time.Parse(time.DateOnly, name[:len(day)]); err != nil {
			continue
		}
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
			fmt.Fprintf(f.fallback, "gatepost: an old log is not removed: %v\n", err)
		}
	}
}

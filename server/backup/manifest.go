package backup

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatepost/server/fault"
)

const (
	// Manifest is the name of the list of files.
	Manifest = "MANIFEST"

	manifestHeader = "gatepost backup 1"
	manifestEnd    = "end"
	sumSize        = 32
	maxLine        = 16 << 10
)

// entry is a file of a backup.
type entry struct {
	sum      [sumSize]byte
	size     int64
	modified time.Time
	name     string // below the backup, with slashes
}

// Head is what the manifest says of a backup as a whole.
type Head struct {
	Time    time.Time
	Version string // of the server
	Files   int64
	Bytes   int64
}

// manifestWriter writes a manifest. Names come in the order of compareNames.
type manifestWriter struct {
	f    *os.File
	w    *bufio.Writer
	head Head
}

func newManifest(dir string, h Head) (*manifestWriter, error) {
	f, err := os.OpenFile(filepath.Join(dir, Manifest), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	m := &manifestWriter{f: f, w: bufio.NewWriterSize(f, 64<<10), head: h}
	_, err = fmt.Fprintf(m.w, "%s\ntime %s\nversion %s\n", manifestHeader, h.Time.UTC().Format(time.RFC3339), h.Version)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return m, nil
}

func (m *manifestWriter) add(e *entry) error {
	m.head.Files++
	m.head.Bytes += e.size
	_, err := fmt.Fprintf(m.w, "%x %d %d %s\n", e.sum, e.size, e.modified.UnixNano(), strconv.Quote(e.name))
	return err
}

// end writes the last line and makes the file durable.
func (m *manifestWriter) end() error {
	_, err := fmt.Fprintf(m.w, "%s %d %d\n", manifestEnd, m.head.Files, m.head.Bytes)
	return errors.Join(err, m.w.Flush(), m.f.Sync(), m.f.Close())
}

// manifestReader reads a manifest line by line.
type manifestReader struct {
	Head
	f    *os.File
	r    *bufio.Scanner
	next *entry // read ahead by find
	over bool
}

func damaged(format string, args ...any) error {
	return fault.Newf("backup.Manifest", fault.Corrupt, format, args...)
}

// openManifest reads the head of a manifest, and that it has its last line. Errors: Corrupt when the backup is not whole.
func openManifest(dir string) (*manifestReader, error) {
	f, err := os.Open(filepath.Join(dir, Manifest))
	if errors.Is(err, os.ErrNotExist) {
		return nil, damaged("%s is not a whole backup: it has no %s", dir, Manifest)
	}
	if err != nil {
		return nil, err
	}
	m := &manifestReader{f: f, r: bufio.NewScanner(f)}
	m.r.Buffer(nil, maxLine)
	if err := m.readHead(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return m, nil
}

func (m *manifestReader) readHead() error {
	if !m.r.Scan() || m.r.Text() != manifestHeader {
		return damaged("%s is of another form, or damaged", m.f.Name())
	}
	for _, key := range []string{"time ", "version "} {
		value, ok := "", m.r.Scan()
		if ok {
			value, ok = strings.CutPrefix(m.r.Text(), key)
		}
		if !ok {
			return damaged("%s is damaged", m.f.Name())
		}
		switch key {
		case "time ":
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return damaged("%s is damaged", m.f.Name())
			}
			m.Time = t
		default:
			m.Version = value
		}
	}
	// The last line.
	tail := make([]byte, 100)
	info, err := m.f.Stat()
	if err != nil {
		return err
	}
	n, err := m.f.ReadAt(tail, max(0, info.Size()-int64(len(tail))))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(tail[:n]), "\n"), "\n")
	if k, err := fmt.Sscanf(lines[len(lines)-1], manifestEnd+" %d %d", &m.Files, &m.Bytes); k != 2 || err != nil {
		return damaged("%s is not whole: it has no end", m.f.Name())
	}
	return nil
}

// read returns the next entry, or nil at the end.
func (m *manifestReader) read() (*entry, error) {
	if e := m.next; e != nil {
		m.next = nil
		return e, nil
	}
	if m.over {
		return nil, nil
	}
	if !m.r.Scan() {
		if err := m.r.Err(); err != nil {
			return nil, err
		}
		return nil, damaged("%s is not whole: it has no end", m.f.Name())
	}
	line := m.r.Text()
	if strings.HasPrefix(line, manifestEnd+" ") {
		m.over = true
		return nil, nil
	}
	parts := strings.SplitN(line, " ", 4)
	if len(parts) != 4 {
		return nil, damaged("%s has a damaged line", m.f.Name())
	}
	e := new(entry)
	sum, err := hex.DecodeString(parts[0])
	size, err2 := strconv.ParseInt(parts[1], 10, 64)
	nanos, err3 := strconv.ParseInt(parts[2], 10, 64)
	name, err4 := strconv.Unquote(parts[3])
	if err != nil || err2 != nil || err3 != nil || err4 != nil || len(sum) != sumSize || size < 0 || !filepath.IsLocal(name) {
		return nil, damaged("%s has a damaged line", m.f.Name())
	}
	e.size, e.modified, e.name = size, time.Unix(0, nanos), name
	copy(e.sum[:], sum)
	return e, nil
}

// find returns the entry of a name, or nil; names are asked for in their order.
func (m *manifestReader) find(name string) (*entry, error) {
	for {
		e, err := m.read()
		if e == nil || err != nil {
			return nil, err
		}
		switch c := compareNames(e.name, name); {
		case c == 0:
			return e, nil
		case c > 0:
			m.next = e
			return nil, nil
		}
	}
}

func (m *manifestReader) close() error { return m.f.Close() }

// compareNames is the order in which directories are walked through: by the parts of names.
func compareNames(a, b string) int {
	for {
		x, restA, moreA := strings.Cut(a, "/")
		y, restB, moreB := strings.Cut(b, "/")
		switch c := strings.Compare(x, y); {
		case c != 0:
			return c
		case !moreA && !moreB:
			return 0
		case !moreA:
			return -1
		case !moreB:
			return 1
		}
		a, b = restA, restB
	}
}

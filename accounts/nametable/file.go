package nametable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
)

// tableFile is what the two files of a table say.
type tableFile struct {
	entries dataformat.Dict
	exists  bool  // X.changes
	size    int64 // of its whole lines, or edited
	lines   int   // of it, without the first
}

func changesOf(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) + changesExt }

// sizeOf is the size of a file, 0 if there is none, and -1 if nobody can say.
func sizeOf(path string) int64 {
	i, err := os.Stat(path)
	switch {
	case err == nil:
		return i.Size()
	case errors.Is(err, fs.ErrNotExist):
		return 0
	}
	return -1
}

// readTable reads X.data and X.changes as they are at one time, though a writer
// may be at work (Table.rewrite).
func readTable(path string) (tableFile, error) {
	for {
		f, whole, err := tryTable(path, dataformat.ReadDict)
		if whole || err != nil {
			return f, err
		}
	}
}

// tryTable reads X.changes first. Where it was, it has to be there still when
// X.data is read: else its lines may be older than what is in X.data. Where it was
// not, X.data alone is the table of some moment since. readData reads X.data.
func tryTable(path string, readData func(string) (dataformat.Dict, error)) (f tableFile, whole bool, err error) {
	changes, err := os.Open(changesOf(path))
	var text []byte
	switch {
	case err == nil:
		defer changes.Close()
		if text, err = io.ReadAll(changes); err != nil {
			return f, false, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return f, false, err
	}
	entries, err := readData(path)
	if err != nil {
		return f, false, err
	}
	if changes != nil {
		var st unix.Stat_t
		if err := unix.Fstat(int(changes.Fd()), &st); err != nil {
			return f, false, err
		}
		if st.Nlink == 0 {
			return f, false, nil // removed meanwhile
		}
	}
	f = tableFile{entries: folded(entries), exists: changes != nil}
	err = f.read(path, text)
	return f, true, err
}

// edited is the size of an X.changes that nothing may be added to: the next change
// goes into X.data.
const edited = -2

// read applies the lines of X.changes.
func (f *tableFile) read(path string, text []byte) error {
	headed := false
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) == 0 {
			f.size += int64(len(line))
			continue
		}
		v, err := dataformat.Parse(line)
		d, ok := v.(dataformat.Dict)
		whole := bytes.HasSuffix(line, []byte("\n"))
		if !whole && (err != nil || !ok) {
			break // cut by a crash before it was a change
		}
		f.size += int64(len(line))
		switch {
		case err != nil || !ok:
			return fmt.Errorf("%s: %q is not a change", changesOf(path), bytes.TrimSpace(line))
		case !headed && d.String(keyFormat) != tableFormat:
			return fmt.Errorf("%s: format %q is not known to this version", changesOf(path), d.String(keyFormat))
		case headed:
			f.lines++
			f.apply(folded(d))
		}
		headed = true
		if !whole {
			f.size = edited // somebody left the line end out
		}
	}
	if !headed && f.size > 0 {
		f.size = edited
	}
	return nil
}

// folded puts entries under the folded forms of their names.
func folded(entries dataformat.Dict) dataformat.Dict {
	for name, v := range entries {
		if n := Fold(name); n != name {
			delete(entries, name)
			entries[n] = v
		}
	}
	return entries
}

// apply sets and removes names.
func (f tableFile) apply(update dataformat.Dict) {
	maps.Copy(f.entries, update)
	for name, v := range update {
		if v == (dataformat.Null{}) {
			delete(f.entries, name)
		}
	}
}

// appendFile adds to a file of that size, durably. What was refused is not to be
// read later.
func appendFile(path string, b []byte, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(size))
	}
	if err = errors.Join(err, f.Close()); err != nil || size > 0 {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

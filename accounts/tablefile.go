package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"gatepost/server/dataformat"
)

// tableFile is what the two files of a table say.
type tableFile struct {
	entries dataformat.Dict
	exists  bool  // X.changes
	size    int64 // of its whole lines
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

// readTable reads X.data and X.changes.
func readTable(path string) (tableFile, error) {
	entries, err := readDict(path)
	if err != nil {
		return tableFile{}, err
	}
	f := tableFile{entries: folded(entries)}
	text, err := os.ReadFile(changesOf(path))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.exists = true
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // cut by a crash before it was a change
		}
		v, err := dataformat.Parse(line)
		d, ok := v.(dataformat.Dict)
		first := f.size == 0
		f.size += int64(len(line))
		switch {
		case err != nil || !ok:
			return f, fmt.Errorf("%s: %q is not a change", changesOf(path), bytes.TrimSpace(line))
		case first && d.String(keyFormat) != tableFormat:
			return f, fmt.Errorf("%s: format %q is not known to this version", changesOf(path), d.String(keyFormat))
		case !first:
			f.lines++
			f.apply(folded(d))
		}
	}
	return f, nil
}

// folded puts entries under the folded forms of their names.
func folded(entries dataformat.Dict) dataformat.Dict {
	for name, v := range entries {
		if n := fold(name); n != name {
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

// appendFile adds to a file, durably.
func appendFile(path string, b []byte, fresh bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil || !fresh {
		return err
	}
	return syncDir(filepath.Dir(path))
}

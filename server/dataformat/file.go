package dataformat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gatepost/server/fault"
)

// maxFile bounds what ReadFile reads into memory.
const maxFile = 256 << 20

// ReadFile reads the object of a file. A missing file is (nil, nil): an empty
// dictionary, array or string, as its reader sees it. A file that breaks the
// syntax gives a *SyntaxError, with the path before it.
func ReadFile(path string) (Value, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fault.Wrap("dataformat.ReadFile", fault.TooLarge, fmt.Errorf("%s is larger than %d bytes", path, maxFile))
	}
	v, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// WriteFile replaces the file at path by one that holds v: after a crash there
// is the old file or the new one, never a part. When it returns, the new file is
// on the disk. A crash may leave a file .name.*.tmp beside it, which nobody reads.
func WriteFile(path string, v Value, style Style) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+name+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(append(render(v, style), '\n')); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func render(v Value, style Style) []byte {
	switch style {
	case StyleOld:
		return []byte(PrettyOld(v))
	case StyleCompact:
		return AppendCompact(nil, v)
	}
	return appendPretty(nil, v, 0, 0)
}

// syncDir makes the entry of a renamed file durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

package dataformat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gatepost/server/durable"
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

// ReadDict reads the dictionary of a file; a missing file is an empty one.
func ReadDict(path string) (Dict, error) {
	v, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch d := v.(type) {
	case nil:
		return Dict{}, nil
	case Dict:
		return d, nil
	}
	return nil, fmt.Errorf("%s: not a dictionary", path)
}

// Unreadable classifies why a file could not be read: what the system refuses, for want
// of descriptors or of rights, is no damage of the file.
func Unreadable(op string, err error) error {
	kind := fault.Corrupt
	if sys := new(fs.PathError); errors.As(err, &sys) {
		kind = fault.Internal
	}
	return fault.Wrap(op, kind, err)
}

// WriteFile replaces the file at path by one that holds v: after a crash there
// is the old file or the new one, never a part. When it returns, the new file is
// on the disk. A crash may leave a file .name.*.tmp beside it, which nobody reads.
func WriteFile(path string, v Value, style Style) error {
	return durable.ReplaceFile(path, append(render(v, style), '\n'), 0o600)
}

// WriteNewFile makes a file that is not there yet. When it returns, its content is on the disk; its name is when the
// directory has been synced.
func WriteNewFile(path string, v Value, style Style) error {
	return durable.WriteNewFile(path, append(render(v, style), '\n'), 0o600)
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

package index

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatepost/server/durable"
	"gatepost/server/fault"
)

const (
	// formatVersion is raised by every change of what the records say.
	formatVersion = 5
	formatName    = "format"
	// maxShards is what two digits in the file names can number.
	maxShards = 99
)

// format is what the format file says. While a store is being made its last line is "new":
// then nothing was stored yet, and shards that are missing are made. Afterwards a missing one
// was lost.
type format struct {
	shards int
	new    bool
}

// openFormat reads the format file of dir, or creates both for a new store.
func openFormat(dir string, o Options) (format, error) {
	const op = "index.Open"
	path := filepath.Join(dir, formatName)
	text, err := os.ReadFile(path)
	if err == nil {
		f, err := parseFormat(text)
		if fault.Is(err, fault.Corrupt) {
			err = fault.Wrap(op, fault.Corrupt, fmt.Errorf("the file %s is damaged: restore it from a backup, or write two lines into it, %q and %q with the number of index files (00.db and so on)",
				path, fmt.Sprintf("gatepost index %d", formatVersion), "shards N"))
		}
		return f, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return format{}, fault.Wrap(op, fault.Internal, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.db")); len(files) > 0 || o.Existing || o.ReadOnly {
		return format{}, fault.Wrap(op, fault.Corrupt, fmt.Errorf("the file %s is missing: restore the directory %s from a backup", path, dir))
	}
	f := format{shards: o.Shards, new: true}
	if f.shards == 0 {
		f.shards = DefaultShards()
	}
	if f.shards < 1 || f.shards > maxShards {
		return f, fault.Newf(op, fault.Invalid, "an index has 1 to %d shards, not %d", maxShards, f.shards)
	}
	return f, fault.Wrap(op, fault.Internal, writeFormat(dir, f))
}

func (f format) String() string {
	s := fmt.Sprintf("gatepost index %d\nshards %d\n", formatVersion, f.shards)
	if f.new {
		s += "new\n"
	}
	return s
}

func writeFormat(dir string, format format) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := durable.ReplaceFile(filepath.Join(dir, formatName), []byte(format.String()), 0o600); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

func parseFormat(text []byte) (f format, err error) {
	const op = "index.Open"
	version := 0
	if _, err := fmt.Fscanf(bytes.NewReader(text), "gatepost index %d\n", &version); err != nil {
		return f, fault.New(op, fault.Corrupt, "")
	}
	if version != formatVersion {
		return f, fault.Newf(op, fault.Unsupported, "the index has format %d and this server knows %d: start the server that wrote it", version, formatVersion)
	}
	_, err = fmt.Fscanf(bytes.NewReader(text), "gatepost index %d\nshards %d\n", &version, &f.shards)
	if err != nil || f.shards < 1 || f.shards > maxShards {
		return f, fault.New(op, fault.Corrupt, "")
	}
	f.new = strings.HasSuffix(string(text), "\nnew\n")
	return f, nil
}

package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"gatepost/server/fault"
	"gatepost/server/logs"
)

const (
	// formatVersion is 2 since records in the bucket Dropped say more than in 1 (package
	// mailbox). A store of format 1 is one of format 2 that does not use that.
	formatVersion = 2
	formatName    = "format"
	// maxShards is what two digits in the file names can number.
	maxShards = 99
)

// openFormat reads the format file of dir, or creates dir and the file for a
// store with the wanted number of shards, and returns the number of shards. The file of
// an older format gets this version before anything of it can be written: an older
// server would take it for something else.
func openFormat(dir string, shards int, log *slog.Logger) (int, error) {
	const op = "index.Open"
	path := filepath.Join(dir, formatName)
	text, err := os.ReadFile(path)
	if err == nil {
		version, shards, err := parseFormat(text)
		if err != nil || version == formatVersion {
			return shards, err
		}
		log.Log(context.Background(), logs.LevelMajor, "the index is upgraded", slog.Int("from", version), slog.Int("to", formatVersion))
		return shards, fault.Wrap(op, fault.Internal, createFormat(dir, path, shards))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, fault.Wrap(op, fault.Internal, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.db")); len(files) > 0 {
		return 0, fault.Newf(op, fault.Corrupt, "the index has files but no %q: restore it from a backup", formatName)
	}
	if shards == 0 {
		shards = DefaultShards()
	}
	if shards < 1 || shards > maxShards {
		return 0, fault.Newf(op, fault.Invalid, "an index has 1 to %d shards, not %d", maxShards, shards)
	}
	return shards, fault.Wrap(op, fault.Internal, createFormat(dir, path, shards))
}

func createFormat(dir, path string, shards int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "gatepost index %d\nshards %d\n", formatVersion, shards)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// parseFormat returns the version and the number of shards that a format file names.
func parseFormat(text []byte) (version, shards int, err error) {
	const op = "index.Open"
	if _, err := fmt.Fscanf(bytes.NewReader(text), "gatepost index %d\n", &version); err != nil {
		return 0, 0, fault.New(op, fault.Corrupt, "the index's format file is damaged")
	}
	if version > formatVersion {
		return 0, 0, fault.Newf(op, fault.Unsupported,
			"the index has format %d and this server knows %d: start the newer server that wrote it", version, formatVersion)
	}
	_, err = fmt.Fscanf(bytes.NewReader(text), "gatepost index %d\nshards %d\n", &version, &shards)
	if err != nil || version < 1 || shards < 1 || shards > maxShards {
		return 0, 0, fault.New(op, fault.Corrupt, "the index's format file is damaged")
	}
	return version, shards, nil
}

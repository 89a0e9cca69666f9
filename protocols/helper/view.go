package helper

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"gatepost/server/fault"
	"gatepost/server/program"
)

// viewDir has the views of messages that filters look at, one file each, for as long as they do.
const viewDir = "Filter"

// Other programs that filters ask, such as clamd, read the view as members of the server's group.
const (
	viewDirMode  = 0o750
	viewFileMode = 0o640
)

// clearViews makes the directory, and removes what a crash has left there.
func clearViews(base string) error {
	dir := filepath.Join(base, viewDir)
	if err := os.Mkdir(dir, viewDirMode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, viewDirMode); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// makeView makes the view of a queue file, and returns its name relative to the base directory. The envelope
// lines end in LF already; the message begins at offset.
func makeView(base, file string, offset int64, name string) (string, error) {
	const op = "helper.View"
	src, err := os.Open(file)
	if err != nil {
		return "", fault.Wrap(op, fault.Internal, err)
	}
	defer src.Close()
	relative := viewDir + "/" + name
	path := filepath.Join(base, relative)
	dst, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, viewFileMode)
	if err != nil {
		return "", fault.Wrap(op, fault.Internal, err)
	}
	err = dst.Chmod(viewFileMode)
	if err == nil {
		_, err = io.Copy(dst, io.NewSectionReader(src, 0, offset))
	}
	if err == nil {
		if _, err = src.Seek(offset, io.SeekStart); err == nil {
			_, err = io.Copy(dst, program.LF(src))
		}
	}
	if e := dst.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(path)
		return "", fault.Wrap(op, fault.Internal, err)
	}
	return relative, nil
}

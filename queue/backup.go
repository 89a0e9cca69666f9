package queue

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// BackupNames lists the files of a queue directory that a backup keeps: messages that were accepted, and those that were set aside. What is
// being received was promised to nobody; what a delivery sends on is made again by the message that it is made of.
func BackupNames(dir string) (names []string, err error) {
	err = scanDir(dir, func(name string) {
		if _, ext, ok := parseName(name); ok && (ext == extMsg || ext == extBad) {
			names = append(names, name)
		}
	})
	return names, err
}

// BackupNames is BackupNames for the directory of the queue, without messages that only wait to be removed: what has become of them is in the
// accounts, or in files that are listed.
func (q *Queue) BackupNames() ([]string, error) {
	q.mu.Lock()
	gone := make(map[string]bool, len(q.finished))
	for id, m := range q.messages {
		if m.finished && !m.untold {
			gone[fileName(id, extMsg)] = true
		}
	}
	q.mu.Unlock()
	// What a finished message has led to, a report or a copy, was there before it was finished.
	names, err := BackupNames(q.dir)
	return slices.DeleteFunc(names, func(name string) bool { return gone[name] }), err
}

// HoldAll puts all messages of a queue directory that no server uses on hold, durably: they come from a backup, and may have been delivered
// since. damaged gets the names of files that cannot be read; these are set aside (N.bad).
func HoldAll(ctx context.Context, dir string, damaged func(name string, err error)) (held int, err error) {
	const op = "queue.HoldAll"
	names, err := BackupNames(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fault.Wrap(op, fault.Internal, err)
	}
	for _, name := range names {
		id, ext, _ := parseName(name)
		if ext != extMsg {
			continue
		}
		if err := ctx.Err(); err != nil {
			return held, fault.Wrap(op, fault.Canceled, err)
		}
		path := filepath.Join(dir, name)
		h, err := readHead(path)
		if err == nil && h.layout.Version == 0 {
			err = errors.New("it is of another version")
		}
		if err != nil {
			damaged(name, err)
			if err := os.Rename(path, filepath.Join(dir, fileName(id, extBad))); err != nil {
				return held, fault.Wrap(op, fault.Internal, err)
			}
			continue
		}
		if err := writeHold(path, h); err != nil {
			return held, fault.Wrap(op, fault.Internal, err)
		}
		held++
	}
	return held, nil
}

func writeHold(path string, h *head) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(envelope.HoldLetter(true)), h.layout.HoldAt())
	return errors.Join(err, f.Sync(), f.Close())
}

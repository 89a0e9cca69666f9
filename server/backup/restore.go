package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/queue"
	"gatepost/server/durable"
	"gatepost/server/fault"
)

// Look returns what the manifest of a backup says. Errors: Corrupt unless it is a whole backup.
func Look(path string) (Head, error) {
	m, err := openManifest(path)
	if err != nil {
		return Head{}, fault.Wrap("backup.Look", fault.Internal, err)
	}
	return m.Head, m.close()
}

// Verified is what came of a comparison of a backup with its manifest.
type Verified struct {
	Head
	Damaged int64
}

// Verify reads all files of a backup and passes what is wrong with them to report. Errors: Corrupt when it is no whole backup.
func Verify(ctx context.Context, path string, report func(name, text string)) (*Verified, error) {
	const op = "backup.Verify"
	m, err := openManifest(path)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	defer m.close()
	v := &Verified{Head: m.Head}
	files := int64(0)
	for {
		e, err := m.read()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fault.Wrap(op, fault.Internal, err)
		}
		if e == nil {
			break
		}
		files++
		if text := compare(path, e); text != "" {
			v.Damaged++
			report(e.name, text)
		}
	}
	if files != m.Files {
		return nil, damaged("%s is damaged: it names %d files instead of %d", m.f.Name(), files, m.Files)
	}
	return v, nil
}

// compare says what is wrong with a file of a backup, or "".
func compare(path string, e *entry) string {
	sum := sha256.New()
	switch err := addFile(sum, filepath.Join(path, filepath.FromSlash(e.name))); {
	case errors.Is(err, fs.ErrNotExist):
		return "it is missing"
	case err != nil:
		return err.Error()
	case [sumSize]byte(sum.Sum(nil)) != e.sum:
		return "it is not what was backed up: its sum is another one"
	}
	return ""
}

// Restored is what came of a restore.
type Restored struct {
	Head
	// Damaged are files that are not what was backed up, and were left out; Held the messages of the queue, which are on hold.
	Damaged int64
	Held    int
}

// Marker is a file of a base directory that is not whole: a restore is under way, or was cut short. No server runs on it.
const Marker = "Restoring"

// Restore copies a backup into a base directory that is empty or missing, and makes it ready for a server. What is left out is passed to report. A
// restore that is cut short leaves a directory that no server takes (Marker), and is begun anew with an empty one. open opens the accounts of the new base directory.
func Restore(ctx context.Context, path, base string, report func(name, text string), open func(base string) (*accounts.Store, error)) (*Restored, error) {
	const op = "backup.Restore"
	if err := checkEmpty(base); err != nil {
		return nil, err
	}
	m, err := openManifest(path)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	defer m.close()
	if err := errors.Join(os.WriteFile(filepath.Join(base, Marker), nil, 0o600), durable.SyncDir(base)); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	r := &Restored{Head: m.Head}
	if err := r.files(ctx, m, path, base, report); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	r.Held, err = queue.HoldAll(ctx, filepath.Join(base, queueDir), func(name string, err error) {
		r.Damaged++
		report(queueDir+"/"+name, "it cannot be read, and is set aside: "+fault.Explain(err))
	})
	if err != nil {
		return nil, err
	}
	// The index is as after a crash: files without a record are looked for.
	if err := durable.ReplaceFile(filepath.Join(base, indexDir, openMarker), nil, 0o600); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	if err := r.renew(ctx, base, report, open); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	if err := errors.Join(syncAll(base), os.Remove(filepath.Join(base, Marker)), durable.SyncDir(base)); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	return r, nil
}

func checkEmpty(base string) error {
	entries, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(base, 0o700)
	}
	if err != nil {
		return fault.Wrap("backup.Restore", fault.Internal, err)
	}
	if len(entries) > 0 {
		return fault.Newf("backup.Restore", fault.Exists, "%s is not empty: everything is restored into an empty or a new directory only", base)
	}
	return nil
}

// files copies all files.
func (r *Restored) files(ctx context.Context, m *manifestReader, path, base string, report func(name, text string)) error {
	for {
		e, err := m.read()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if e == nil {
			return syncAll(base)
		}
		name := filepath.FromSlash(e.name)
		to := filepath.Join(base, name)
		if err := makeDirectories(path, base, filepath.Dir(name)); err != nil {
			return err
		}
		sum := sha256.New()
		_, err = copyFile(filepath.Join(path, name), to, sum)
		text := ""
		switch {
		case errors.Is(err, fs.ErrNotExist):
			text = "it is missing in the backup"
		case err != nil:
			return err
		case [sumSize]byte(sum.Sum(nil)) != e.sum:
			text = "it is damaged in the backup"
			if err := os.Remove(to); err != nil {
				return err
			}
		}
		if text == "" {
			continue
		}
		if dir := filepath.Dir(name); name == filepath.Join("Settings", "Main.settings") || dir == indexDir || dir == subscribersDir {
			return fault.Newf("backup.Restore", fault.Corrupt, "%s: %s; without it there is nothing to restore: take another backup", e.name, text)
		}
		r.Damaged++
		report(e.name, text)
	}
}

// makeDirectories makes a directory and those above it, below base, as they are in the backup.
func makeDirectories(path, base, rel string) error {
	if rel == "." {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(base, rel)); err == nil {
		return nil
	}
	if err := makeDirectories(path, base, filepath.Dir(rel)); err != nil {
		return err
	}
	err := os.Mkdir(filepath.Join(base, rel), 0o700)
	if err == nil {
		err = copyAttributes(filepath.Join(path, rel), filepath.Join(base, rel))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // the files say what is missing
		}
	}
	return err
}

// renew makes the accounts good for clients that have seen them after the backup.
func (r *Restored) renew(ctx context.Context, base string, report func(name, text string), open func(base string) (*accounts.Store, error)) error {
	store, err := open(base)
	if err != nil {
		return err
	}
	err = store.Mail().RenewAll(ctx, func(o mailbox.Owner, err error) {
		r.Damaged++
		report(o.Dir, "its mailboxes cannot be made ready: "+fault.Explain(err))
	})
	return errors.Join(err, store.Close())
}

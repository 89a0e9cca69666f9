package server

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"gatepost/server/backup"
	"gatepost/server/control"
	"gatepost/server/fault"
)

// lockFile is locked by the server that runs on the directory.
const lockFile = "ProcessID"

// base is the base directory: where everything is that the server keeps.
//
// The file ProcessID is locked (flock) as long as a server runs on the
// directory, and holds its number. The lock is the exclusion, not the file: a
// ProcessID left by a killed server never blocks a start.
type base struct {
	dir  string
	lock *os.File
	// openMode is the mode that the directory had when others could write to it, else 0.
	openMode fs.FileMode
}

// subdirectories are made at the first start.
var subdirectories = []string{"Settings", "Accounts", "Domains", "Queue", "Index", "SystemLogs", "Certificates", "Spool", "Submitted"}

// openBase locks the base directory and makes it if there is none. It refuses a directory
// that holds something else: with a mistyped name the server would start without its accounts.
func openBase(dir string) (*base, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if len(dir) > control.MaxPath {
		return nil, badBase("%s is too long a path: the name of %s in it has room for %d bytes; give a shorter one, such as a symbolic link",
			dir, control.Socket, control.MaxPath)
	}
	if err := checkOwner(dir); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, backup.Marker)); err == nil {
		return nil, badBase("%s is not whole: a restore of a backup is under way, or was cut short; restore it again into an empty directory", dir)
	}
	if !Exists(dir) {
		if err := cmp.Or(checkMainSettings(dir), checkEmpty(dir), checkMode(dir)); err != nil {
			return nil, err
		}
	}
	openMode, err := removeOthersWrite(dir)
	if err != nil {
		return nil, err
	}
	// Mail is private: nothing below is readable for others.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the base directory: %w", err)
	}
	for _, sub := range subdirectories {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make the base directory: %w", err)
		}
	}
	path := filepath.Join(dir, lockFile)
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open ProcessID: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another server (process %s) runs on %s; stop it first, or give another --base", readPID(path), dir)
		}
		return nil, fmt.Errorf("lock ProcessID: %w", err)
	}
	if err := lock.Truncate(0); err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			lock.Close()
			return nil, fmt.Errorf("write ProcessID: %w", err)
		}
	}
	return &base{dir: dir, lock: lock, openMode: openMode}, nil
}

// badBase refuses a base directory. The same command fails again until the cause is mended.
func badBase(format string, args ...any) error {
	return fault.Newf("server.OpenBase", fault.Invalid, format, args...)
}

// checkOwner refuses a directory of another user, who could not change the files that
// this one would leave in it. Only the directory itself is examined: its contents are private.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return wrongUser(dir, owner)
	}
	return nil
}

// othersMayWrite are the bits of a mode with which others than the owner could change
// settings and mail.
const othersMayWrite fs.FileMode = 0o022

// checkMode refuses a directory that others may write for a new server: what they have put
// there, or where its links lead, is not known.
func checkMode(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && info.Mode()&othersMayWrite != 0 {
		return badBase("others than its owner may write to %s, which has mode %04o: type 'chmod 700 %s'", dir, info.Mode().Perm(), dir)
	}
	return nil // a missing directory is made
}

// removeOthersWrite removes the permission of others to write to the base directory. It
// returns the mode that the directory had, or 0 if others could not write. The server starts all
// the same; the administrator decides what that permission may have led to.
func removeOthersWrite(dir string) (was fs.FileMode, err error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&othersMayWrite == 0 {
		return 0, nil
	}
	if err == nil {
		err = os.Chmod(dir, info.Mode().Perm()&^othersMayWrite)
	}
	if err != nil {
		return 0, fmt.Errorf("remove others' permission to write to %s: %w", dir, err)
	}
	return info.Mode().Perm(), nil
}

func wrongUser(dir string, owner uint32) error {
	name := userName(owner)
	return badBase("%s belongs to the user %s, and this runs as %s: run it as %s, such as with 'sudo -u %s gatepost ...'",
		dir, name, userName(uint32(os.Geteuid())), name, name)
}

func userName(id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return "#" + number // as sudo takes a number
}

// checkEmpty refuses a directory that holds anything but what a first start that was
// cut short has made. A file system of its own has lost+found.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != "lost+found" && name != lockFile && name != "Pending" && !slices.Contains(subdirectories, name) {
			return badBase("%s is no base directory and is not empty; give a new or an empty directory", dir)
		}
	}
	return nil
}

// checkMainSettings refuses a base directory that has accounts, domains or mail and no
// Main.settings: a start would give the Main Domain a new name.
func checkMainSettings(dir string) error {
	for _, sub := range []string{"Accounts", "Accounts/Settings", "Domains", "Queue"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// A first start that was cut short has made Accounts/Settings.
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != "Settings" }) {
			return badBase("%s has lost Settings/Main.settings, which names the Main Domain: put it back", dir)
		}
	}
	return nil
}

func readPID(path string) string {
	text, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(text)) == "" {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func (b *base) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir}, elem...)...)
}

// close gives the directory free. The file is emptied, not removed: removing
// it would let two servers lock two files of that name.
func (b *base) close() error {
	return errors.Join(b.lock.Truncate(0), b.lock.Close())
}

// Package msgfile is the life of a message file: where it is, how it is made and opened, and
// when it may be removed.
//
// A message file is never changed once it has its name. It is a hard link to a queue file or
// to another message file, a copy where a link cannot be made, or written by an append. It is
// below the directory Messages of its account, in directories that are numbered and filled
// one after the other. So the files of most accounts share one directory, and one sync makes
// all links of a delivery or copy durable; a hash of the file's number would spread a few
// messages over as many directories. A message's summary says which directory it is.
//
// A message ends where its file does. A file of another length is not what was stored, and is
// not read.
//
// A file is removed when no record names it and no view shows it (Uses). The index, and who
// makes files and syncs directories, is the business of package mailbox.
package msgfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"gatepost/server/durable"
)

const (
	// Directory holds the message files of an account, in the account's directory.
	Directory = "Messages"
	// PerDirectory is how many files go to one directory in it.
	PerDirectory = 4096
)

// Ref names a message file of an account.
type Ref struct {
	ID  uint64 // from the server-wide counter
	Dir uint32
}

// String returns the path of the file below the directory of messages.
func (f Ref) String() string {
	return filepath.Join(strconv.FormatUint(uint64(f.Dir), 10), strconv.FormatUint(f.ID, 10))
}

// Path returns where the file is below the directory of its account.
func (f Ref) Path(account string) string { return filepath.Join(account, Directory, f.String()) }

// DirectoryPath returns the path of a directory of message files.
func DirectoryPath(account string, dir uint32) string {
	return filepath.Join(account, Directory, strconv.FormatUint(uint64(dir), 10))
}

// MakeDirectory makes a directory for messages, if it is not there, and makes
// its name durable. The account's own directory has to exist.
func MakeDirectory(account string, dir uint32) error {
	messages := filepath.Join(account, Directory)
	for _, d := range []string{messages, DirectoryPath(account, dir)} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return errors.Join(durable.SyncDir(messages), durable.SyncDir(account))
}

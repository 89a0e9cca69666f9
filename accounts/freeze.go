package accounts

import (
	"context"
	"errors"
)

// Snapshot is the state of an index at one moment.
type Snapshot interface {
	// Write writes it into a directory, as an index that can be opened. It syncs nothing.
	Write(dir string) error
	Close() error
}

// Frozen is the directory while a backup is taken of it.
type Frozen struct {
	// Mail and Subscribers are snapshots of what is not in files of its own; their names are those of the directories.
	Mail, Subscribers Snapshot
}

// Freeze calls fn while the directories of accounts and domains stay where they are, and message files of a snapshot stay on the disk: who makes,
// renames or deletes an account waits until fn returns. first is called before the snapshots are taken. The caller closes them.
func (s *Store) Freeze(ctx context.Context, first func() error, fn func(*Frozen) error) error {
	s.still.Lock()
	defer s.still.Unlock()
	defer s.mail.KeepFiles()()
	if err := first(); err != nil {
		return err
	}
	mail, err := s.mail.Snapshot(ctx)
	if err != nil {
		return err
	}
	subscribers, err := s.subscribers.Snapshot(ctx)
	if err != nil {
		return errors.Join(err, mail.Close())
	}
	return fn(&Frozen{mail, subscribers})
}

// Close closes the snapshots.
func (f *Frozen) Close() error { return errors.Join(f.Mail.Close(), f.Subscribers.Close()) }

package accounts

import (
	"context"
	"errors"

	"gatepost/accounts/index"
)

// Frozen is the directory while a backup is taken of it.
type Frozen struct {
	// Mail and Subscribers are snapshots of what is not in files of its own; their names are those of the directories.
	Mail, Subscribers *index.Snapshot
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
	f := &Frozen{}
	var err error
	if f.Mail, err = s.mail.Snapshot(ctx); err != nil {
		return err
	}
	if f.Subscribers, err = s.subscribers.Snapshot(ctx); err != nil {
		return errors.Join(err, f.Mail.Close())
	}
	return fn(f)
}

// Close closes the snapshots.
func (f *Frozen) Close() error { return errors.Join(f.Mail.Close(), f.Subscribers.Close()) }

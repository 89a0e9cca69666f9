package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/server/backup"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Backup makes a backup of the base directory, see package backup. One is made at a time.
func (s *Server) Backup(ctx context.Context, directory string, keep int) (dataformat.Dict, error) {
	if !filepath.IsAbs(directory) {
		return nil, fault.New("server.Backup", fault.Invalid, "the path of a directory, from the root, is expected")
	}
	if !s.backing.TryLock() {
		return nil, fault.New("server.Backup", fault.Busy, "another backup is being made")
	}
	defer s.backing.Unlock()
	made, err := backup.Make(ctx, backup.Options{Base: s.base.dir, Store: s.accounts, Queue: s.queue.BackupNames, Directory: directory, Keep: keep, Version: Version})
	if err != nil {
		s.log.Log(ctx, logs.LevelFailure, "no backup was made", "directory", directory, logs.AttrError, err)
		return nil, err
	}
	s.log.Log(ctx, logs.LevelMajor, "backup made", "path", made.Path, "files", made.Files, "bytes", made.Bytes)
	if made.NotRemoved != nil {
		s.log.Log(ctx, logs.LevelFailure, "an older backup cannot be removed", "directory", directory, logs.AttrError, made.NotRemoved)
	}
	return describeBackup(made), nil
}

// splitAccount splits the name of an account; one without a domain is of the Main Domain.
func (s *Server) splitAccount(text string) (domain, name string) {
	name, domain, ok := strings.Cut(text, "@")
	if !ok {
		domain = s.accounts.MainDomain()
	}
	return domain, name
}

func describeBackup(m *backup.Made) dataformat.Dict {
	number := func(n int64) dataformat.Value { return dataformat.Number(n) }
	d := dataformat.Dict{"Path": dataformat.String(m.Path), "Files": number(m.Files), "Bytes": number(m.Bytes), "Linked": number(m.Linked)}
	removed := dataformat.Array{}
	for _, name := range m.Removed {
		removed = append(removed, dataformat.String(name))
	}
	d["Removed"] = removed
	return d
}

// told has what is wrong with a backup, or a request, reach the administrator in its own words.
func told(err error) error {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.NoMailbox, fault.Exists, fault.Corrupt:
		return fault.New("server.Restore", fault.Invalid, fault.Text(err))
	}
	return err
}

// RestoreOne restores an account or a mailbox of it from a backup, see backup.Into. A request has Path, Account, and AsAccount, Mailbox, AsMailbox
// where they are wanted. The answer has Accounts, Mailboxes, Messages, Damaged, and Report, a list of lines.
func (s *Server) RestoreOne(ctx context.Context, request dataformat.Dict) (dataformat.Dict, error) {
	o := backup.One{Path: request.String("Path"), Mailbox: request.String("Mailbox"), AsMailbox: request.String("AsMailbox")}
	account := request.String("Account")
	o.Domain, o.Name = s.splitAccount(account)
	o.AsDomain, o.AsName = s.splitAccount(cmp.Or(request.String("AsAccount"), account))
	if o.Name == "" || o.AsMailbox != "" && o.Mailbox == "" {
		return nil, fault.New("server.Restore", fault.Invalid, "Account is expected, and AsMailbox only with Mailbox")
	}
	if !filepath.IsAbs(o.Path) {
		return nil, fault.New("server.Restore", fault.Invalid, "the path of a backup, from the root, is expected")
	}
	if !s.backing.TryLock() {
		return nil, fault.New("server.Restore", fault.Busy, "a backup or a restore is under way")
	}
	defer s.backing.Unlock()
	if _, err := backup.Look(o.Path); err != nil {
		return nil, told(err)
	}
	kept, err := accounts.OpenReadOnly(o.Path, slog.New(slog.DiscardHandler))
	if err != nil {
		if kept != nil {
			err = errors.Join(err, kept.Close())
		}
		return nil, err
	}
	lines := dataformat.Array{}
	counts, err := backup.Into(ctx, s.accounts, kept, o, func(name, text string) {
		if len(lines) < findingLimit {
			lines = append(lines, dataformat.String(name+": "+text))
		}
	})
	if closing := kept.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, told(err)
	}
	s.log.Log(ctx, logs.LevelMajor, "restored from a backup", "path", o.Path, logs.AttrAccount, o.AsName+"@"+o.AsDomain, "mailbox", o.AsMailbox,
		"messages", counts.Messages, "damaged", counts.Damaged)
	return dataformat.Dict{"Accounts": dataformat.Number(counts.Accounts), "Mailboxes": dataformat.Number(counts.Mailboxes), "Messages": dataformat.Number(counts.Messages),
		"Damaged": dataformat.Number(counts.Damaged), "Report": lines}, nil
}

// lostNumbers is how many numbers of messages are skipped after a restore: more than the lost server can have given away since the backup.
const lostNumbers = 1 << 30

// RestoreBase restores a whole backup into an empty base directory, see backup.Restore.
func RestoreBase(ctx context.Context, path, dir string, report func(name, text string)) (*backup.Restored, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var counter *queue.Counter
	r, err := backup.Restore(ctx, path, dir, report, func(base string) (*accounts.Store, error) {
		if counter, err = queue.OpenCounter(filepath.Join(base, "Settings", counterFile), filepath.Join(base, "Queue"), 0); err != nil {
			return nil, err
		}
		n, err := counter.NextID()
		if err == nil {
			err = counter.Raise(n + lostNumbers)
		}
		if err != nil {
			return nil, err
		}
		return accounts.Open(base, accounts.Options{NextID: nextNumber(counter), Raise: raiseTo(counter)})
	})
	if counter != nil {
		err = errors.Join(err, counter.Close())
	}
	return r, err
}

package server

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"gatepost/server/backup"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// BackupSettings are those of the backups that the server makes by itself, in Settings/Backup.settings.
type BackupSettings struct {
	Directory string `key:"Directory" level:"basic" since:"0.2" help:"where the server makes a backup every day, as gatepost backup make does: a path from the root, best on another disk; empty for none"`
	Time      string `key:"Time" default:"03:00" level:"basic" since:"0.2" help:"when, by the clock of this machine"`
	Keep      int    `key:"Keep" default:"14" unit:"backups" level:"basic" since:"0.2" help:"so many are kept in the directory, older ones are removed; 0 keeps all"`
}

// Validate checks the values.
func (s *BackupSettings) Validate() error {
	_, err := time.Parse("15:04", s.Time)
	switch {
	case s.Directory != "" && !filepath.IsAbs(s.Directory):
		return settings.BadValue("Directory", "a path from the root is expected")
	case err != nil:
		return settings.BadValue("Time", "a time of day such as 03:00 is expected")
	case s.Keep < 0:
		return settings.BadValue("Keep", "must not be below 0")
	}
	return nil
}

const (
	backupLook  = time.Minute
	backupAgain = time.Hour // after a failure
)

// schedule is what is known of the daily backups.
type schedule struct {
	settings *settings.Live[BackupSettings]

	mu     sync.Mutex
	reason string // why the last one has failed; "" if it has not
	at     time.Time
}

func (b *schedule) note(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reason == "" || b.reason == "" {
		b.at = time.Now()
	}
	b.reason = reason
}

// failing says why there is no backup of the day, and since when.
func (b *schedule) failing() (reason string, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reason, b.at
}

// backupPart makes a backup every day.
func (s *Server) backupPart() *module {
	s.backups.settings = live[BackupSettings]()
	m := newModule("Backup", s.backups.settings)
	m.run = func(ctx context.Context) error {
		wait := time.NewTimer(backupLook)
		defer wait.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-wait.C:
				wait.Reset(s.backupIfDue(ctx))
			}
		}
	}
	return m
}

// backupIfDue makes the backup of the day, unless there is one, and returns when to look again. What a server that did not run has missed is made up for.
func (s *Server) backupIfDue(ctx context.Context) time.Duration {
	set := s.backups.settings.Get()
	if set.Directory == "" {
		s.backups.note("")
		return backupLook
	}
	last, err := backup.Newest(set.Directory)
	if err == nil && !last.Before(dueAt(set.Time, time.Now())) {
		s.backups.note("")
		return backupLook
	}
	if _, err := s.Backup(ctx, set.Directory, set.Keep); err != nil && ctx.Err() == nil {
		s.backups.note(fault.Explain(err))
		return backupAgain
	}
	s.backups.note("")
	return backupLook
}

// dueAt is when a time of day was last.
func dueAt(text string, now time.Time) time.Time {
	t, err := time.Parse("15:04", text)
	if err != nil { // it was validated
		return time.Time{}
	}
	due := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
	if due.After(now) {
		due = time.Date(now.Year(), now.Month(), now.Day()-1, t.Hour(), t.Minute(), 0, 0, now.Location())
	}
	return due
}

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatepost/accounts"
	"gatepost/accounts/fulltext"
	"gatepost/accounts/mailbox"
	"gatepost/queue"
	"gatepost/server/control"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// notePrefix begins the findings after which the base directory is clean all the same.
const notePrefix = "note: "

// IsNote reports whether a finding of Check is only to be known.
func IsNote(finding string) bool { return strings.HasPrefix(finding, notePrefix) }

// Check checks a base directory and returns a line per finding. It asks the server that runs
// there; if there is none it reads the files, of which it changes none: they may be a snapshot that is
// mounted read-only. With tidy it first removes what crashes have left in the directories of accounts.
func Check(ctx context.Context, dir string, tidy bool) ([]string, error) {
	client, err := control.Dial(dir)
	if err == nil {
		return askCheck(client, tidy)
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return nil, err
	}
	if !Exists(dir) {
		return nil, cmp.Or(checkMainSettings(dir), badBase("%s is not a base directory", dir))
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if tidy {
		if err := checkOwner(dir); err != nil {
			return nil, err
		}
	}
	unlock, err := shareBase(dir)
	if err != nil {
		return nil, err
	}
	lines, err := checkStopped(ctx, dir, tidy)
	return lines, errors.Join(err, unlock())
}

func askCheck(client *control.Client, tidy bool) ([]string, error) {
	command := "GATEPOST CHECK"
	if tidy {
		command += " TIDY"
	}
	return askLines(client, command)
}

// askLines gives a command whose answer is an array of lines, and closes the client.
func askLines(client *control.Client, command string) ([]string, error) {
	a, err := client.Do(command)
	if err = errors.Join(err, client.Close()); err != nil {
		return nil, err
	}
	list, ok := a.Data.(dataformat.Array)
	if !ok {
		return nil, errors.New(a.Text)
	}
	lines := make([]string, len(list))
	for i, v := range list {
		lines[i], _ = dataformat.Text(v)
	}
	return lines, nil
}

// shareBase keeps a server from being started on a base directory, which must not be written.
func shareBase(dir string) (unlock func() error, err error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("the server (process %s) on %s does not answer at %s; stop it first", readPID(f.Name()), dir, control.Socket)
		}
		return nil, fmt.Errorf("lock ProcessID: %w", err)
	}
	return f.Close, nil
}

// checkStopped checks a base directory that no server runs on.
func checkStopped(ctx context.Context, dir string, tidy bool) ([]string, error) {
	f := findings{base: dir}
	store, err := accounts.OpenReadOnly(dir, slog.New(slog.DiscardHandler))
	switch {
	case fault.Is(err, fault.Corrupt): // the index is damaged
		f.add(fault.Explain(err))
	case err != nil:
		return nil, err
	default:
		err = f.accounts(ctx, store, tidy)
		if err = errors.Join(err, store.Close()); err != nil {
			return f.lines(), err
		}
	}
	if err := fulltext.CheckStopped(ctx, dir, f.search); err != nil {
		return f.lines(), err
	}
	err = queue.Check(ctx, filepath.Join(dir, "Queue"), f.queue)
	return f.lines(), err
}

// Check checks accounts, index, message files and the queue, and returns a line per finding.
// With tidy it first removes what crashes have left.
func (s *Server) Check(ctx context.Context, tidy bool) ([]string, error) {
	f := findings{base: s.base.dir}
	err := f.accounts(ctx, s.accounts, tidy)
	if err == nil {
		err = s.texts.Check(ctx, f.search)
	}
	if err == nil {
		err = queue.Check(ctx, s.base.path("Queue"), f.queue)
	}
	return f.lines(), err
}

// findingLimit bounds what Check answers; the rest is counted.
const findingLimit = 1000

// findings gathers lines.
type findings struct {
	base  string
	list  []string
	total int
}

func (f *findings) add(line string) {
	f.total++
	if f.total <= findingLimit {
		f.list = append(f.list, line)
	}
}

func (f *findings) accounts(ctx context.Context, store *accounts.Store, tidy bool) error {
	if tidy {
		removed, err := store.RemoveLeftovers(ctx, time.Now())
		if err != nil {
			return err
		}
		if removed.Files > 0 {
			f.add(fmt.Sprintf("%sremoved %d files (%d bytes) that crashes have left", notePrefix, removed.Files, removed.Bytes))
		}
	}
	if err := store.Mail().Check(ctx, f.mailbox); err != nil {
		return err
	}
	return store.CheckLists(ctx, f.add)
}

func (f *findings) mailbox(m mailbox.Finding) {
	m.Dir = strings.TrimPrefix(m.Dir, f.base+string(filepath.Separator))
	f.add(m.String())
}

// search adds what is wrong with the search index, which is made anew by itself.
func (f *findings) search(line string) { f.add(notePrefix + line) }

func (f *findings) queue(d queue.Damage) {
	line := filepath.Join("Queue", d.Name) + ": " + d.Text
	if d.SetAside {
		line = notePrefix + line
	}
	f.add(line)
}

func (f *findings) lines() []string {
	if f.total > findingLimit {
		return append(f.list, fmt.Sprintf("and %d more", f.total-findingLimit))
	}
	return f.list
}

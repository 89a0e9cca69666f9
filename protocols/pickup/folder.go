package pickup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Queue takes the messages.
type Queue interface {
	Begin(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	// HeldTag is the submit tag of a message that is held; "" if it is not.
	HeldTag(id envelope.QueueID) (string, error)
	// Publish lets a message be delivered that is held; of one that is not it says nothing.
	Publish(id envelope.QueueID) error
	Drop(id envelope.QueueID) error
}

// The extensions of files in the folder.
const (
	extWritten = ".tmp"   // by a program, not complete
	extSub     = ".sub"   // complete
	extTaken   = ".taken" // copied to the queue; the name is the queue ID
	extBad     = ".bad"   // no message can be made of it
)

const (
	partOfScan = 200            // names that are read at once
	copiers    = 4              // files that are copied at once
	staleAfter = 24 * time.Hour // a file that is being written so long was given up
	sayAgain   = time.Hour      // how often the log says that files wait
)

// Folder is the folder Submitted.
type Folder struct {
	dir        string
	queue      Queue
	set        *settings.Live[Settings]
	mainDomain func() string
	log        *slog.Logger

	waits   string    // why files wait; owned by Run
	waitLog time.Time // when the log said so
}

// Open opens the folder, which is made if it is missing, for the server's user alone. What was taken
// when an earlier run ended is published: the call comes before anybody else settles what the queue holds.
func Open(dir string, q Queue, set *settings.Live[Settings], mainDomain func() string, log *slog.Logger) (*Folder, error) {
	f := &Folder{dir: dir, queue: q, set: set, mainDomain: mainDomain, log: logs.Component(log, tagPIPE)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return f, f.parts(func(names []string) error {
		ids := map[string]envelope.QueueID{}
		for _, name := range names {
			if id, ok := takenID(name); ok {
				ids[name] = id
			}
		}
		return f.publish(ids)
	})
}

func (f *Folder) path(name string) string { return filepath.Join(f.dir, name) }

// parts calls fn with the names in the folder, some at a time.
func (f *Folder) parts(fn func(names []string) error) error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(partOfScan)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(names); err != nil {
			return err
		}
	}
}

// takenID returns the queue ID in the name of a file that was taken.
func takenID(name string) (envelope.QueueID, bool) {
	text, ok := strings.CutSuffix(name, extTaken)
	id, err := strconv.ParseUint(text, 10, 64)
	return envelope.QueueID(id), ok && err == nil
}

// Run takes files until ctx ends: when the system tells of a new one, and every SubmittedScanPeriod.
func (f *Folder) Run(ctx context.Context) error {
	events, stop := f.watch(ctx)
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-events:
		}
		f.scan(ctx)
		timer.Reset(f.set.Get().ScanPeriod.Duration())
	}
}

// watch tells of changes in the folder. Without it files are found by the clock alone.
func (f *Folder) watch(ctx context.Context) (events <-chan struct{}, stop func()) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(f.dir); err != nil {
			w.Close()
		}
	}
	if err != nil {
		f.log.Log(ctx, logs.LevelProblem, "the system does not tell of new files in Submitted; they are looked for from time to time", logs.AttrError, err)
		return nil, func() {}
	}
	woken := make(chan struct{}, 1)
	wake := func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case e, open := <-w.Events:
				if !open {
					return
				}
				if e.Has(fsnotify.Create) && strings.HasSuffix(e.Name, extSub) {
					wake()
				}
			case _, open := <-w.Errors:
				if !open {
					return
				}
				wake() // an overflow, most likely
			}
		}
	})
	return woken, func() {
		w.Close()
		reader.Wait()
	}
}

// scan takes what is in the folder now.
func (f *Folder) scan(ctx context.Context) {
	waits := ""
	err := f.parts(func(names []string) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var subs []string
		ids := map[string]envelope.QueueID{}
		for _, name := range names {
			if id, ok := takenID(name); ok {
				ids[name] = id
			}
			switch filepath.Ext(name) {
			case extSub:
				subs = append(subs, name)
			case extWritten:
				f.removeStale(ctx, name)
			}
		}
		why, err := f.takeAll(ctx, subs, ids)
		if why != "" {
			waits = why
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		waits = fault.Explain(err)
	}
	f.sayWaits(ctx, waits)
}

// sayWaits logs why files wait: when that begins or changes, and from time to time.
func (f *Folder) sayWaits(ctx context.Context, why string) {
	if why == f.waits && (why == "" || time.Since(f.waitLog) < sayAgain) {
		return
	}
	f.waits, f.waitLog = why, time.Now()
	if why != "" {
		f.log.Log(ctx, logs.LevelProblem, "submitted files wait: "+why)
	}
}

// removeStale removes a file whose program has given it up.
func (f *Folder) removeStale(ctx context.Context, name string) {
	info, err := os.Lstat(f.path(name))
	if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < staleAfter {
		return
	}
	if err := os.Remove(f.path(name)); err == nil {
		f.log.Log(ctx, logs.LevelProblem, "a submitted file that was never complete was removed", "file", name)
	}
}

// takeAll takes files, and publishes them with those that were taken before. waits is why some
// files have to wait.
func (f *Folder) takeAll(ctx context.Context, subs []string, ids map[string]envelope.QueueID) (waits string, err error) {
	var mu sync.Mutex
	var all []taken
	f.each(len(subs), func(i int) {
		t, err := f.take(ctx, subs[i])
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, t)
			return
		}
		switch kind := fault.KindOf(err); {
		case errors.Is(err, fs.ErrNotExist), ctx.Err() != nil:
		case kind.Temporary():
			mu.Lock()
			defer mu.Unlock()
			waits = fault.Explain(err)
		default:
			f.setAside(ctx, subs[i], err)
		}
	})
	renamed := all[:0]
	for _, t := range all {
		name := t.id.String() + extTaken
		if err := os.Rename(f.path(t.name), f.path(name)); err != nil {
			// Its program has removed it, most likely.
			waits = fault.Explain(errors.Join(err, f.queue.Drop(t.id)))
			continue
		}
		ids[name] = t.id
		renamed = append(renamed, t)
	}
	for _, t := range renamed {
		f.logTaken(ctx, t)
	}
	return waits, f.publish(ids)
}

// each calls fn with the numbers below n, some at a time.
func (f *Folder) each(n int, fn func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, copiers) {
		workers.Go(func() {
			for i := range next {
				fn(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// publish lets messages be delivered once the names of their files are durable, and removes these. After
// an error the next pass does it.
func (f *Folder) publish(ids map[string]envelope.QueueID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := durable.SyncDir(f.dir); err != nil {
		return err
	}
	names := make([]string, 0, len(ids))
	for name := range ids {
		names = append(names, name)
	}
	var mu sync.Mutex
	var failed error
	f.each(len(names), func(i int) {
		// Others may write there. What is no file of ours is set aside: a directory could not be removed.
		if info, err := os.Lstat(f.path(names[i])); err == nil && !info.Mode().IsRegular() {
			f.setAside(context.Background(), names[i], fault.New("pickup.Publish", fault.Invalid, "it is no regular file"))
			return
		}
		tag, err := f.queue.HeldTag(ids[names[i]])
		if err == nil && (tag == "" || tag == tagPIPE) { // a user may have made up the name
			err = f.queue.Publish(ids[names[i]])
		}
		if err == nil {
			if err = os.Remove(f.path(names[i])); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = err
		}
	})
	return failed
}

func (f *Folder) logTaken(ctx context.Context, t taken) {
	to := make([]string, len(t.env.Recipients))
	for i := range to {
		to[i] = t.env.Recipients[i].Address.String()
	}
	f.log.LogAttrs(ctx, logs.LevelMajor, "received", slog.Uint64(logs.AttrQueueID, uint64(t.id)), slog.Int64(logs.AttrSize, t.size),
		slog.String(logs.AttrReturnPath, t.env.ReturnPath.String()), slog.String(logs.AttrRecipient, strings.Join(to[:min(len(to), 20)], ",")),
		slog.String("user", t.by.name), slog.Int("uid", t.by.uid), slog.String("file", t.name))
}

// setAside renames a file of which no message can be made, so that it is kept and not tried again.
func (f *Folder) setAside(ctx context.Context, name string, cause error) {
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	bad := stem + extBad
	if _, err := os.Lstat(f.path(bad)); err == nil {
		bad = stem + "." + strconv.FormatInt(time.Now().UnixNano(), 36) + extBad
	}
	if err := os.Rename(f.path(name), f.path(bad)); err != nil {
		f.log.Log(ctx, logs.LevelFailure, "a submitted file that is no message could not be renamed", "file", name, logs.AttrError, errors.Join(cause, err))
		return
	}
	f.log.Log(ctx, logs.LevelFailure, "a submitted file is no message and was set aside: "+fault.Text(cause), "file", bad)
}

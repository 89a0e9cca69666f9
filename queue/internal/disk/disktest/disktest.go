// Package disktest has a disk that stops at a chosen step, as the machine does when its
// power goes, and loses then what was not synced.
package disktest

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gatepost/queue/internal/disk"
)

// ErrCrash is what every step fails with after the crash.
var ErrCrash = errors.New("crashed")

// Disk is a disk that stops. What was not synced until then can be lost: contents of
// files, new, renamed and removed names.
type Disk struct {
	disk.Disk
	dir string
	// Fail, if set, is asked before each step that happens: its error is the step's.
	Fail func(step string) error

	mu      sync.Mutex
	steps   int
	stopAt  int // the number of the step that does not happen; 0: none
	undo    []undo
	patched []patched
	unsaved map[string]bool // files whose content was not synced
}

// undo takes back a change of names that was not synced.
type undo struct {
	old, new string // rename new back to old; old empty: remove new
	saved    string // where the content of a removed or replaced file is kept
}

// patched is bytes that were overwritten and not synced.
type patched struct {
	name string
	at   int64
	old  []byte
}

// New returns the disk d over the directory dir that stops at the given step; 0: never.
func New(d disk.Disk, dir string, stopAt int) *Disk {
	return &Disk{Disk: d, dir: dir, stopAt: stopAt, unsaved: map[string]bool{}}
}

// Step is a step of the disk, or of whoever stops with it.
func (d *Disk) Step(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps++
	if d.stopAt > 0 && d.steps >= d.stopAt {
		return ErrCrash
	}
	if d.Fail != nil {
		return d.Fail(name)
	}
	return nil
}

// Steps is how many steps were tried.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// Crashed reports whether the disk has stopped.
func (d *Disk) Crashed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopAt > 0 && d.steps >= d.stopAt
}

func (d *Disk) path(name string) string { return filepath.Join(d.dir, name) }

// Create makes a new file.
func (d *Disk) Create(name string) (disk.File, error) {
	if err := d.Step("create"); err != nil {
		return nil, err
	}
	df, err := d.Disk.Create(name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.undo = append(d.undo, undo{new: name})
	d.unsaved[name] = true
	d.mu.Unlock()
	return &file{File: df, d: d, name: name, unsaved: true}, nil
}

// Rename gives a file another name.
func (d *Disk) Rename(from, to string) error {
	if err := d.Step("rename"); err != nil {
		return err
	}
	saved := filepath.Join(d.dir, "..", "replaced-"+to)
	if err := os.Link(d.path(to), saved); err != nil {
		saved = ""
	}
	if err := d.Disk.Rename(from, to); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.undo = append(d.undo, undo{old: from, new: to, saved: saved})
	d.unsaved[to] = d.unsaved[from]
	delete(d.unsaved, from)
	return nil
}

// Remove removes a file.
func (d *Disk) Remove(name string) error {
	if err := d.Step("remove"); err != nil {
		return err
	}
	saved := filepath.Join(d.dir, "..", "removed-"+name)
	if err := os.Link(d.path(name), saved); err != nil {
		return err
	}
	d.mu.Lock()
	d.undo = append(d.undo, undo{old: name, saved: saved})
	d.mu.Unlock()
	return d.Disk.Remove(name)
}

// Patch overwrites bytes. A crash can come between that and its sync.
func (d *Disk) Patch(name string, patches []disk.Patch, sync bool) error {
	if err := d.Step("patch"); err != nil {
		return err
	}
	if err := d.remember(name, patches); err != nil {
		return err
	}
	if err := d.Disk.Patch(name, patches, false); err != nil || !sync {
		return err
	}
	if err := d.Step("sync patch"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.patched[:0]
	for _, p := range d.patched {
		if p.name != name {
			kept = append(kept, p)
		}
	}
	d.patched = kept
	return nil
}

// remember keeps the bytes that a patch overwrites.
func (d *Disk) remember(name string, patches []disk.Patch) error {
	f, err := os.Open(d.path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range patches {
		old := make([]byte, len(p.Text))
		if _, err := f.ReadAt(old, p.At); err != nil {
			return err
		}
		d.patched = append(d.patched, patched{name, p.At, old})
	}
	return nil
}

// SyncDir makes the names durable.
func (d *Disk) SyncDir() error {
	if err := d.Step("sync names"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.undo = nil
	return d.Disk.SyncDir()
}

// Loss is what is gone after the crash of what was not synced. A journal may have
// written the names by itself, and not the content of the files that they name.
type Loss int

// The losses.
const (
	Nothing Loss = iota
	Everything
	AllButNames
)

// Losses are all of them.
var Losses = []Loss{Nothing, Everything, AllButNames}

// Lose takes back what was not synced.
func (d *Disk) Lose(t testing.TB, what Loss) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if what == Nothing {
		return
	}
	for i := len(d.patched) - 1; i >= 0; i-- {
		d.unpatch(t, d.patched[i])
	}
	for i := len(d.undo) - 1; i >= 0 && what == Everything; i-- {
		if err := d.takeBack(d.undo[i]); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for name, unsaved := range d.unsaved {
		if unsaved {
			if err := os.Truncate(d.path(name), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

func (d *Disk) unpatch(t testing.TB, p patched) {
	t.Helper()
	for _, path := range []string{d.path(p.name), filepath.Join(d.dir, "..", "removed-"+p.name)} {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt(p.old, p.at)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		return
	}
}

func (d *Disk) takeBack(u undo) error {
	switch {
	case u.new == "":
		return os.Rename(u.saved, d.path(u.old))
	case u.old == "":
		return os.Remove(d.path(u.new))
	}
	err := os.Rename(d.path(u.new), d.path(u.old))
	d.unsaved[u.old] = d.unsaved[u.new]
	if u.saved != "" && err == nil {
		d.unsaved[u.new] = false
		err = os.Rename(u.saved, d.path(u.new))
	}
	return err
}

type file struct {
	disk.File
	d       *Disk
	name    string
	unsaved bool
}

func (f *file) Write(p []byte) (int, error) {
	if err := f.d.Step("write"); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	if err := f.d.Step("write"); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f *file) Sync() error {
	if err := f.d.Step("sync file"); err != nil {
		return err
	}
	f.unsaved = false
	f.d.mu.Lock()
	f.d.unsaved[f.name] = false
	f.d.mu.Unlock()
	return f.File.Sync()
}

func (f *file) Publish(name string) error {
	if err := f.d.Step("publish"); err != nil {
		return err
	}
	if err := f.File.Publish(name); err != nil {
		return err
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.name != name {
		f.d.undo = append(f.d.undo, undo{old: f.name, new: name})
		delete(f.d.unsaved, f.name)
	}
	f.d.unsaved[name] = f.unsaved
	f.name = name
	return nil
}

// Close after the crash leaves the file where it is, as the crash does.
func (f *file) Close() error {
	switch err := f.d.Step("close"); {
	case errors.Is(err, ErrCrash):
		return errors.Join(err, disk.Abandon(f.File))
	case err != nil:
		return errors.Join(err, f.File.Close())
	}
	return f.File.Close()
}

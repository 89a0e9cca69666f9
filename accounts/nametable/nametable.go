// Package nametable keeps names and what they stand for in a file: the domain aliases of the
// server, or the aliases and forwarders of a domain. There may be a hundred thousand of
// them, made one by one by a script, so a change must not cost as much as there is.
//
// # On disk
//
// A small table is one file X.data, {name = value;}, replaced at every change. Beside a
// large one lies X.changes: a dictionary per line, the names that one change has set,
// or with #NULL# removed. It holds on top of X.data, a line whole or not at all, and
// goes into X.data when it has grown to a part of it. Its first line is the version of
// the format, {"#Format"=1;}; a last line that a crash has cut is no change. An
// administrator may read, edit and compare both; X.data alone is a table.
//
// # In memory
//
// A table is not a snapshot: changes are made in it, after they are on the disk. Names are
// told apart without regard to case, and are kept folded (Fold). Whoever asks for a name or
// makes a change folds it first.
package nametable

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
)

// Table is the names of one file. Any number of goroutines may read it.
type Table[V any] struct {
	path  string // of X.data
	read  func(name string, v dataformat.Value) (V, bool)
	owner func(V) string

	mu     sync.RWMutex
	values map[string]V
	owned  map[string][]string // owner → names

	// Of X.changes as it was left here; Change owns them.
	size  int64
	lines int
}

const (
	smallTable   = 1000 // names; up to here X.data alone is written
	smallChange  = 100  // names; a larger change is worth writing X.data
	changesPart  = 8    // X.changes goes into X.data when it has this part of the names
	changesExt   = ".changes"
	keyFormat    = "#Format"
	tableFormat  = "1"
	formatHeader = `{"` + keyFormat + `"=` + tableFormat + `;}` + "\n"
)

// Load reads the table of a file X.data; missing files are an empty one. read takes an entry
// of the file, and returns false for one that is not valid. owner is who asks for the names
// of a value, as an account does for its aliases; "" for nobody.
func Load[V any](path string, read func(name string, v dataformat.Value) (V, bool), owner func(V) string) (*Table[V], error) {
	t := &Table[V]{path: path, read: read, owner: owner}
	f, err := readTable(path)
	if err != nil {
		return nil, err
	}
	t.fill(f)
	return t, nil
}

// Get returns what a name stands for.
func (t *Table[V]) Get(name string) (V, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.values[name]
	return v, ok
}

// Of lists the names that an owner has, sorted.
func (t *Table[V]) Of(owner string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Sorted(slices.Values(t.owned[owner]))
}

// Len is the number of names.
func (t *Table[V]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.values)
}

// All visits the names in no order. Whoever visits must not change the table.
func (t *Table[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		t.mu.RLock()
		defer t.mu.RUnlock()
		for name, v := range t.values {
			if !yield(name, v) {
				return
			}
		}
	}
}

// Change sets names to values, or removes those whose value is dataformat.Null, in
// one step that is durable when it returns. The caller makes sure that nobody
// changes the same file through another table meanwhile.
func (t *Table[V]) Change(update dataformat.Dict) error {
	if len(update) == 0 {
		return nil
	}
	appended, err := t.append(update)
	if err != nil || appended {
		return err
	}
	f, err := t.rewrite(update)
	if err != nil {
		return err
	}
	t.fill(f)
	return nil
}

// append adds a change to X.changes; false when X.data is to be written instead:
// the table is small, the change large, X.changes long, or somebody has edited it.
func (t *Table[V]) append(update dataformat.Dict) (bool, error) {
	names := t.Len()
	if names < smallTable || len(update) > smallChange || t.lines > names/changesPart || t.size != sizeOf(changesOf(t.path)) {
		return false, nil
	}
	line := append(dataformat.AppendCompact(nil, update), '\n')
	if t.size == 0 {
		line = append([]byte(formatHeader), line...)
	}
	if err := appendFile(changesOf(t.path), line, t.size); err != nil {
		return false, err
	}
	t.size += int64(len(line))
	t.lines++
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, v := range update {
		t.set(name, v)
	}
	return true, nil
}

// rewrite makes a change in X.data. X.changes goes first, with X.data as the two of
// them are: its lines must not hold on top of later changes.
func (t *Table[V]) rewrite(update dataformat.Dict) (tableFile, error) {
	f, err := readTable(t.path)
	if err != nil {
		return f, dataformat.Unreadable("nametable.Change", err)
	}
	if f.exists {
		if err := dataformat.WriteFile(t.path, f.entries, dataformat.StyleOld); err != nil {
			return f, err
		}
		if err := errors.Join(os.Remove(changesOf(t.path)), durable.SyncDir(filepath.Dir(t.path))); err != nil {
			return f, err
		}
	}
	f = tableFile{entries: f.entries}
	f.apply(update)
	return f, dataformat.WriteFile(t.path, f.entries, dataformat.StyleOld)
}

// fill takes over what was read or written.
func (t *Table[V]) fill(f tableFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.values, t.owned = make(map[string]V, len(f.entries)), map[string][]string{}
	for name, v := range f.entries {
		t.set(name, v)
	}
	t.size, t.lines = f.size, f.lines
}

// set sets or removes one name in memory; the caller holds the lock.
func (t *Table[V]) set(name string, value dataformat.Value) {
	if old, ok := t.values[name]; ok {
		delete(t.values, name)
		if owner := t.owner(old); owner != "" {
			rest := slices.DeleteFunc(t.owned[owner], func(n string) bool { return n == name })
			if t.owned[owner] = rest; len(rest) == 0 {
				delete(t.owned, owner)
			}
		}
	}
	if value == (dataformat.Null{}) {
		return
	}
	v, ok := t.read(name, value)
	if !ok {
		return
	}
	t.values[name] = v
	if owner := t.owner(v); owner != "" {
		t.owned[owner] = append(t.owned[owner], name)
	}
}

// Fold returns the one spelling of a name.
func Fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// Replaced is the change that gives an owner exactly the names of a list, each with
// a value.
func Replaced(old, now []string, value dataformat.Value) dataformat.Dict {
	update := dataformat.Dict{}
	for _, name := range old {
		update[name] = dataformat.Null{}
	}
	for _, name := range now {
		update[name] = value
	}
	for _, name := range old {
		if update[name] != (dataformat.Null{}) {
			delete(update, name) // it stays
		}
	}
	return update
}

package accounts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gatepost/server/dataformat"
)

// largeDomain makes a domain with so many accounts that the list of their names is kept, as one
// is an hour after the last change.
func largeDomain(t *testing.T, s *Store, name string) (dir string, have []string) {
	t.Helper()
	must(t, s.CreateDomain(ctx, name, nil))
	d, err := s.domain(name)
	must(t, err)
	for i := range minNamesKept {
		have = append(have, fmt.Sprintf("u%04d", i))
		must(t, os.Mkdir(filepath.Join(d.dir, have[i]+accountSuffix), 0o700))
	}
	s.lists.now = func() time.Time { return time.Now().Add(time.Hour) }
	return d.dir, have
}

func TestNamesOfLargeDomainFollowChanges(t *testing.T) {
	s := newBase(t).open(t)
	dir, want := largeDomain(t, s, "d.com")
	must(t, s.CreateDomain(ctx, "e.com", nil))
	var groups []string
	check := func(step string) {
		t.Helper()
		for range 2 { // read, and from what is kept
			have, err := s.Accounts(ctx, "d.com")
			must(t, err)
			if !slices.Equal(have, want) {
				t.Fatalf("%s: %d accounts instead of %d", step, len(have), len(want))
			}
			have[0] = "the caller's own"
			list, err := s.Groups().List(ctx, "d.com")
			must(t, err)
			if !slices.Equal(list, groups) {
				t.Fatalf("%s: groups %q instead of %q", step, list, groups)
			}
			if _, kept := s.lists.kept.Peek(dir); !kept {
				t.Fatalf("%s: the list is not kept", step)
			}
		}
	}
	add := func(name string) { want = slices.Sorted(slices.Values(append(want, name))) }
	remove := func(name string) { want = slices.DeleteFunc(want, func(n string) bool { return n == name }) }
	byHand := func(err error) {
		t.Helper()
		must(t, err)
		// A file system may count its times so coarsely that this change would have those of the one before.
		must(t, os.Chtimes(dir, time.Time{}, time.Now().Add(-time.Duration(len(want))*time.Minute)))
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"create", func() { must(t, s.CreateAccount(ctx, "d.com", "new", nil)); add("new") }},
		{"rename", func() {
			must(t, s.RenameAccount(ctx, "d.com", "new", "d.com", "a-first"))
			remove("new")
			add("a-first")
		}},
		{"order of names, not of files", func() { must(t, s.CreateAccount(ctx, "d.com", "a", nil)); add("a") }},
		{"leave", func() { must(t, s.RenameAccount(ctx, "d.com", "a-first", "e.com", "b")); remove("a-first") }},
		{"come", func() { must(t, s.RenameAccount(ctx, "e.com", "b", "d.com", "b")); add("b") }},
		{"delete", func() { must(t, s.DeleteAccount(ctx, "d.com", "b")); remove("b") }},
		{"group", func() { must(t, s.Groups().Create(ctx, "d.com", "g", nil)); groups = []string{"g"} }},
		{"group renamed", func() { must(t, s.Groups().Rename(ctx, "d.com", "g", "h")); groups = []string{"h"} }},
		{"group deleted", func() { must(t, s.Groups().Delete(ctx, "d.com", "h")); groups = nil }},
		{"made by hand", func() { byHand(os.Mkdir(filepath.Join(dir, "hand"+accountSuffix), 0o700)); add("hand") }},
		{"removed by hand", func() { byHand(os.Remove(filepath.Join(dir, "hand"+accountSuffix))); remove("hand") }},
	} {
		step.do()
		check(step.name)
	}
	must(t, s.DeleteDomain(ctx, "d.com", true))
	if _, err := s.Accounts(ctx, "d.com"); err == nil {
		t.Error("the domain has accounts after it was deleted")
	}
	must(t, s.CreateDomain(ctx, "d.com", nil))
	have, err := s.Accounts(ctx, "d.com")
	wantList(t, have, err)
}

// A list is not kept right after a change, when the next one may have the same time, nor that
// of a small domain, nor one that is too large.
func TestNameListsThatAreNotKept(t *testing.T) {
	s := newBase(t).open(t)
	dir, want := largeDomain(t, s, "d.com")
	kept := func() bool {
		_, err := s.Accounts(ctx, "d.com")
		must(t, err)
		_, ok := s.lists.kept.Peek(dir)
		return ok
	}
	changed, err := stateOf(dir)
	must(t, err)
	s.lists.now = func() time.Time { return time.Unix(0, changed.changed).Add(changed.rest() - 1) }
	if kept() {
		t.Error("kept right after a change")
	}
	s.lists.now = func() time.Time { return time.Unix(0, changed.changed).Add(changed.rest()) }
	if !kept() {
		t.Error("not kept after a rest")
	}
	whole := directoryState{modified: 5e9, changed: 6e9}
	if changed.rest() != fineRest || whole.rest() != coarseRest {
		t.Error("how long a directory has to rest does not follow from its times")
	}
	must(t, os.Remove(filepath.Join(dir, want[0]+accountSuffix)))
	s.lists.drop(dir)
	s.lists.now = func() time.Time { return time.Now().Add(time.Hour) }
	if kept() {
		t.Error("a small list is kept")
	}
	if s.lists.keeps(&nameList{accounts: make([]string, maxNameListSize/16)}) {
		t.Error("a list is kept that is too large")
	}
}

// Whoever lists the names after a change sees it, whoever reads at the same time.
func TestNamesOfLargeDomainAtTheSameTime(t *testing.T) {
	s := newBase(t).open(t)
	_, _ = largeDomain(t, s, "d.com")
	var readers sync.WaitGroup
	end := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					if _, err := s.Accounts(ctx, "d.com"); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for i := range 10 {
		name := fmt.Sprintf("new%d", i)
		must(t, s.CreateAccount(ctx, "d.com", name, nil))
		have, err := s.Accounts(ctx, "d.com")
		must(t, err)
		if !slices.Contains(have, name) {
			t.Errorf("%s is not listed", name)
		}
	}
	close(end)
	readers.Wait()
}

// The pages of a domain, one after the other, are all that it has.
func TestListObjectsByPages(t *testing.T) {
	s := newBase(t).open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	for _, name := range []string{"m", "m-1", "c", "x"} {
		must(t, s.CreateAccount(ctx, "d.com", name, nil))
	}
	must(t, s.SetAccountAliases(ctx, "d.com", "c", []string{"m.2", "a", "z"}))
	must(t, s.Forwarders().Create(ctx, "d.com", "m3", "x@y.com"))
	must(t, s.Groups().Create(ctx, "d.com", "b", dataformat.Dict{}))
	must(t, s.Groups().Create(ctx, "d.com", "mm", dataformat.Dict{}))
	all := ListOptions{Accounts: true, Aliases: true, Forwarders: true, Groups: true}
	for filter, want := range map[string][]string{
		"":  {"a", "b", "c", "m", "m-1", "m.2", "m3", "mm", "x", "z"},
		"m": {"m", "m-1", "m.2", "m3", "mm"},
	} {
		for limit := 1; limit <= len(want)+1; limit++ {
			o := all
			o.Filter, o.Limit = filter, limit
			var have []string
			for more := true; more; {
				list, err := s.ListObjects(ctx, "d.com", o)
				must(t, err)
				if list.Accounts != 4 || list.Groups != 2 || list.Aliases != 3 || list.Forwarders != 1 || len(list.Names) > limit || len(list.Objects) != len(list.Names) {
					t.Fatalf("%+v", list)
				}
				have, more, o.After = append(have, list.Names...), list.More, list.Names[len(list.Names)-1]
			}
			wantList(t, have, nil, want...)
		}
		o := all
		o.Filter, o.Limit = filter, -1
		list, err := s.ListObjects(ctx, "d.com", o)
		must(t, err)
		wantList(t, list.Names, nil, want...)
		o.Limit = 0
		if list, err := s.ListObjects(ctx, "d.com", o); err != nil || !list.More || len(list.Names) != 0 {
			t.Errorf("%+v %v", list, err)
		}
	}
}

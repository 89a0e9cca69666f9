package accounts

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatepost/accounts/cache"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// This file lists the names that the directory of a domain holds. To read those of a
// hundred thousand accounts takes a tenth of a second or more, so the lists of a few large
// domains are kept. A kept list counts as long as the directory is as it was before the list was
// read. Whoever moves an account or changes a group drops it too.

const (
	// maxNameLists lists of maxNameListSize bytes at most are kept.
	maxNameLists    = 4
	maxNameListSize = 16 << 20
	// minNamesKept is the number of names of a list that is worth keeping.
	minNamesKept = 1000
	// A directory has not changed for so long when its list is kept: a change has other times than the one
	// before it then. coarseRest is for a file system that counts by seconds, fineRest for one whose times have
	// fractions: these are those of the kernel's clock, which ticks at least every 10 ms.
	coarseRest = 3 * time.Second
	fineRest   = 100 * time.Millisecond
)

// nameList is what the directory of a domain holds: an immutable snapshot.
type nameList struct {
	accounts, groups []string // sorted
	of               directoryState
}

// directoryState tells whether a directory is the same one and has changed. Times of
// changes cannot be set back by hand, as those of modifications can.
type directoryState struct {
	device, inode     uint64
	modified, changed int64 // nanoseconds since 1970
}

func stateOf(dir string) (directoryState, error) {
	i, err := os.Stat(dir)
	if err != nil {
		return directoryState{}, err
	}
	st := i.Sys().(*syscall.Stat_t)
	return directoryState{uint64(st.Dev), st.Ino, st.Mtim.Nano(), st.Ctim.Nano()}, nil
}

// rest is how long the directory has to stay as it is before its list is kept.
func (d directoryState) rest() time.Duration {
	if d.modified%int64(time.Second) != 0 || d.changed%int64(time.Second) != 0 {
		return fineRest
	}
	return coarseRest
}

// nameLists are the lists of names of domains, by their directories.
type nameLists struct {
	kept *cache.Cache[string, *nameList]
	now  func() time.Time
}

func newNameLists() nameLists {
	return nameLists{cache.New[string, *nameList](maxNameLists), time.Now}
}

// errNotKept keeps a list out of the cache.
var errNotKept = errors.New("the list is not kept")

// get returns the names in a directory as they are now.
func (l *nameLists) get(dir string) (*nameList, error) {
	for {
		var read *nameList
		list, err := l.kept.Get(dir, func() (*nameList, error) {
			var err error
			if read, err = readNames(dir); err == nil && !l.keeps(read) {
				err = errNotKept
			}
			return read, err
		})
		if read != nil {
			return read, nil
		}
		if err != nil {
			return nil, err
		}
		if state, err := stateOf(dir); err == nil && state == list.of {
			return list, nil
		}
		l.kept.Drop(dir)
	}
}

// keeps reports whether a list that was just read is kept.
func (l *nameLists) keeps(list *nameList) bool {
	if len(list.accounts)+len(list.groups) < minNamesKept {
		return false
	}
	const header = 16 // of a string
	size := header * (cap(list.accounts) + cap(list.groups))
	for _, names := range [][]string{list.accounts, list.groups} {
		for _, name := range names {
			size += len(name) + len(accountSuffix)
		}
	}
	return size <= maxNameListSize && max(list.of.modified, list.of.changed) <= l.now().Add(-list.of.rest()).UnixNano()
}

// drop forgets the list of a directory after a change in it.
func (l *nameLists) drop(dir string) { l.kept.Drop(dir) }

// readNames reads a directory.
func readNames(dir string) (*nameList, error) {
	state, err := stateOf(dir) // first: a change from here on makes another one
	if err != nil {
		return nil, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	files, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	list := &nameList{of: state}
	accounts := make([]string, 0, len(files))
	for _, file := range files {
		name, isAccount := strings.CutSuffix(file, accountSuffix)
		isGroup := false
		if !isAccount {
			name, isGroup = strings.CutSuffix(file, groupSuffix)
		}
		switch {
		case !isAccount && !isGroup, !address.ValidName(name), name != strings.ToLower(name): // as validObject and fold, and quicker
		case isAccount:
			accounts = append(accounts, name)
		default:
			list.groups = append(list.groups, name)
		}
	}
	list.accounts = accounts
	slices.Sort(list.accounts)
	slices.Sort(list.groups)
	return list, nil
}

// objectNames lists the accounts and groups of a domain by its real name. The lists are
// shared and must not be changed. Errors: NoDomain.
func (s *directory) objectNames(domain string) (*nameList, error) {
	const op = "accounts.Objects"
	d, err := s.domain(domain)
	if err != nil {
		return nil, err
	}
	list, err := s.lists.get(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(op, fault.NoDomain, "")
	}
	return list, fault.Wrap(op, fault.Internal, err)
}

// accountNames lists the accounts of a domain by its real name, sorted. The list is
// shared and must not be changed.
func (s *directory) accountNames(domain string) ([]string, error) {
	list, err := s.objectNames(domain)
	if err != nil {
		return nil, err
	}
	return list.accounts, nil
}

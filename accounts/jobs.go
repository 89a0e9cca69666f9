package accounts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A rename takes several steps. Its job is written down before the first and struck off
// after the last, and the next start does it again. So a job must not stay when it was not
// begun, and what comes after one that has failed half way must not come before its end:
// the names may be those of others then.

// job is a rename in the making.
type job struct {
	do       string // renameAccount, renameDomain or renameMain
	from, to accountKey
}

const (
	renameAccount = "RenameAccount"
	renameDomain  = "RenameDomain"
	renameMain    = "RenameMainDomain"
)

// dict is the job as its file keeps it.
func (j job) dict() dataformat.Dict {
	return dataformat.Dict{
		"Do":   dataformat.String(j.do),
		"From": dataformat.Array{dataformat.String(j.from.domain), dataformat.String(j.from.name)},
		"To":   dataformat.Array{dataformat.String(j.to.domain), dataformat.String(j.to.name)},
	}
}

func readJob(path string) (job, error) {
	const op = "accounts.Rename"
	d, err := readDict(path)
	if err != nil {
		return job{}, unread(op, err)
	}
	from, to := d.Strings("From"), d.Strings("To")
	if len(from) != 2 || len(to) != 2 {
		return job{}, fault.New(op, fault.Corrupt, "")
	}
	return job{d.String("Do"), accountKey{from[0], from[1]}, accountKey{to[0], to[1]}}, nil
}

// unfinished are the jobs of this run that failed, by the paths of their files.
type unfinished struct {
	mu   sync.Mutex
	jobs map[string]job
}

func (u *unfinished) add(path string, j job) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.jobs == nil {
		u.jobs = map[string]job{}
	}
	u.jobs[path] = j
}

func (u *unfinished) remove(path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.jobs, path)
}

// find returns the paths of the jobs that match, oldest first, and their domains.
func (u *unfinished) find(match func(job) bool) (paths, domains []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for path, j := range u.jobs {
		if match(j) {
			paths, domains = append(paths, path), append(domains, j.from.domain, j.to.domain)
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return paths, domains
}

func (u *unfinished) get(path string) (job, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	j, ok := u.jobs[path]
	return j, ok
}

// run writes the job down, carries it out and strikes it off.
func (s *Store) run(j job) error {
	const op = "accounts.Rename"
	id, err := s.nextID()
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	path := s.pending(id, jobFile)
	if err := dataformat.WriteFile(path, j.dict(), dataformat.StyleOld); err != nil {
		// It may be there all the same.
		return fault.Wrap(op, fault.Internal, errors.Join(err, s.strike(path)))
	}
	err = s.redo(path, j)
	if err == nil {
		return nil
	}
	if !s.begun(j) {
		err2 := s.strike(path)
		if err2 == nil {
			return err
		}
		err = errors.Join(err, err2)
	}
	s.unfinished.add(path, j)
	s.log.Log(s.life, logs.LevelFailure, "rename not finished; to be finished before the next change of these names",
		"from", j.from.String(), "to", j.to.String(), logs.AttrError, err)
	return err
}

// begun reports whether the first step of a job may have been done.
func (s *Store) begun(j job) bool {
	var source string
	switch j.do {
	case renameMain:
		d, err := readDict(filepath.Join(s.base, settingsDirectory, mainFile))
		return err != nil || d.String(keyDomainName) == j.to.domain
	case renameDomain:
		source = filepath.Join(s.base, domainsDirectory, j.from.domain)
	default:
		source = filepath.Join(s.base, s.state.Load().domainDir(j.from.domain), j.from.name+accountSuffix)
	}
	_, err := os.Lstat(source)
	return err != nil
}

// redo carries a job out and strikes it off.
func (s *Store) redo(path string, j job) (err error) {
	switch j.do {
	case renameAccount:
		err = s.moveAccount(j.from, j.to)
	case renameDomain, renameMain:
		err = s.moveDomain(j.do, j.from.domain, j.to.domain)
	default:
		err = fault.New("accounts.Rename", fault.Corrupt, "")
	}
	if err != nil {
		return err
	}
	return s.strike(path)
}

// strike removes the file of a job.
func (s *Store) strike(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return fault.Wrap("accounts.Rename", fault.Internal, errors.Join(err, syncDir(filepath.Dir(path))))
}

// finish ends what has failed before.
func (s *Store) finish(paths []string) error {
	for _, path := range paths {
		j, still := s.unfinished.get(path)
		if !still {
			continue
		}
		var err error
		if s.begun(j) {
			err = s.redo(path, j)
		} else {
			err = s.strike(path)
		}
		if err != nil {
			return fmt.Errorf("the rename of %s to %s is not finished: %w", j.from, j.to, err)
		}
		s.unfinished.remove(path)
	}
	return nil
}

// lockNames holds the name space of domains: nobody else makes, renames or
// deletes objects in them meanwhile.
func (s *Store) lockNames(op string, domains ...string) (unlock func(), err error) {
	jobs, more := s.unfinished.find(func(j job) bool {
		return j.do == renameAccount && (slices.Contains(domains, j.from.domain) || slices.Contains(domains, j.to.domain))
	})
	unlock = s.lockAll(append(more, domains...))
	if err := s.finish(jobs); err != nil {
		unlock()
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	return unlock, nil
}

func (s *Store) lockAll(domains []string) (unlock func()) {
	slices.Sort(domains)
	var release []func()
	for _, d := range slices.Compact(domains) {
		release = append(release, s.locks.lock("names "+d))
	}
	return func() {
		for _, r := range release {
			r()
		}
	}
}

// lockRealms holds the set of domains and their aliases: nobody else changes it meanwhile.
func (s *Store) lockRealms(op string) (unlock func(), err error) {
	s.realms.Lock()
	jobs, domains := s.unfinished.find(func(j job) bool { return j.do != renameAccount })
	if len(jobs) > 0 {
		unlockNames := s.lockAll(domains)
		err = s.finish(jobs)
		unlockNames()
	}
	if err != nil {
		s.realms.Unlock()
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	return s.realms.Unlock, nil
}

// shareNames keeps the objects of a domain where they are while one of them is changed.
func (s *Store) shareNames(domain string) (unlock func()) { return s.locks.share("names " + domain) }

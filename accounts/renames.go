package accounts

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A rename takes several steps. Its job is written down before the first and struck off
// after the last, and the next start ends it. So a job must not stay when it was not
// begun and has failed, and one that has failed half way ends before the next change of
// its names, which may be those of others then. It is tried again every minute, too.

// job is a rename in the making.
type job struct {
	do       string // renameAccount, renameDomain or renameMain
	from, to accountKey
}

// badJobFile is the suffix of a job that cannot be read.
const badJobFile = ".badjob"

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
	d, err := dataformat.ReadDict(path)
	if err != nil {
		return job{}, dataformat.Unreadable(op, err)
	}
	from, to := d.Strings("From"), d.Strings("To")
	if len(from) != 2 || len(to) != 2 {
		return job{}, fault.New(op, fault.Corrupt, "")
	}
	return job{d.String("Do"), accountKey{from[0], from[1]}, accountKey{to[0], to[1]}}, nil
}

// renames carries jobs out, and holds the names that they change.
type renames struct {
	store  *Store
	realms sync.Mutex // held while the set of domains and their aliases changes; before Store.stateMu
	names  keyLocks   // of domains

	mu         sync.Mutex
	unfinished map[string]job // that have failed in this run, by the paths of their files
}

func (r *renames) add(path string, j job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unfinished == nil {
		r.unfinished = map[string]job{}
	}
	r.unfinished[path] = j
}

func (r *renames) remove(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.unfinished, path)
}

// find returns the paths of the jobs that match, oldest first, and their domains.
func (r *renames) find(match func(job) bool) (paths, domains []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for path, j := range r.unfinished {
		if match(j) {
			paths, domains = append(paths, path), append(domains, j.from.domain, j.to.domain)
		}
	}
	sortJobs(paths)
	return paths, domains
}

// sortJobs puts the paths of jobs into the order of their numbers.
func sortJobs(paths []string) {
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
}

func (r *renames) get(path string) (job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j, ok := r.unfinished[path]
	return j, ok
}

// run writes the job down, carries it out and strikes it off.
func (r *renames) run(j job) error {
	const op = "accounts.Rename"
	id, err := r.store.nextID()
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	path := r.store.pending(id, jobFile)
	if err := dataformat.WriteFile(path, j.dict(), dataformat.StyleOld); err != nil {
		// It may be there all the same.
		err2 := r.strike(path)
		if err2 != nil {
			r.leave(path, j, err2)
		}
		return fault.Wrap(op, fault.Internal, errors.Join(err, err2))
	}
	if err = r.redo(path, j); err == nil {
		return nil
	}
	if r.progress(j) == notBegun {
		err2 := r.strike(path)
		if err2 == nil {
			return err
		}
		err = errors.Join(err, err2)
	}
	r.leave(path, j, err)
	return err
}

// leave keeps a job for later.
func (r *renames) leave(path string, j job, err error) {
	r.add(path, j)
	r.store.log.Log(r.store.life, logs.LevelFailure, "rename not finished; to be tried again",
		"from", j.from.String(), "to", j.to.String(), logs.AttrError, err)
}

// progress is how far a job has come.
type progress int

const (
	notBegun progress = iota
	begun             // the first step was done
	gone              // there is nothing to be renamed any more
)

func (r *renames) progress(j job) progress {
	var from, to string
	switch j.do {
	case renameMain:
		d, err := dataformat.ReadDict(filepath.Join(r.store.base, settingsDirectory, mainFile))
		if err != nil || d.String(keyDomainName) == j.to.domain {
			return begun
		}
		return notBegun
	case renameDomain:
		from, to = filepath.Join(r.store.base, domainsDirectory, j.from.domain), filepath.Join(r.store.base, domainsDirectory, j.to.domain)
	default:
		from, to = r.store.accountDir(j.from), r.store.accountDir(j.to)
	}
	// When the job was made, nothing had the new name.
	if isDir(to) {
		return begun
	}
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return gone
	}
	return notBegun
}

func isDir(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.IsDir()
}

// redo carries a job out, from where it stands, and strikes it off.
func (r *renames) redo(path string, j job) error {
	state := r.progress(j)
	var err error
	switch {
	case state == gone:
		r.store.log.Log(r.store.life, logs.LevelProblem, "what was to be renamed is not there any more", "from", j.from.String(), "to", j.to.String())
	case j.do == renameAccount:
		err = r.store.moveAccount(j.from, j.to, state == begun)
	case j.do == renameDomain, j.do == renameMain:
		err = r.store.moveDomain(j.do, j.from.domain, j.to.domain, state == begun)
	default:
		err = fault.New("accounts.Rename", fault.Corrupt, "")
	}
	if err != nil {
		return err
	}
	if j.do == renameDomain && state != gone {
		r.store.removals.Go(func() { r.store.ids.noteDirectories(j.to.domain) })
	}
	return r.strike(path)
}

// strike removes the file of a job.
func (r *renames) strike(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return fault.Wrap("accounts.Rename", fault.Internal, errors.Join(err, durable.SyncDir(filepath.Dir(path))))
}

// recover carries out what the last run has left. One that cannot be carried out does
// not keep the server from starting, and a damaged one is set aside: nobody can say later
// whose names it is about.
func (r *renames) recover(path string) error {
	j, err := readJob(path)
	if fault.Is(err, fault.Corrupt) {
		aside := strings.TrimSuffix(path, jobFile) + badJobFile
		r.store.log.Log(r.store.life, logs.LevelFailure, "damaged file of a rename set aside", "file", aside, logs.AttrError, err)
		return os.Rename(path, aside)
	}
	if err != nil {
		return err
	}
	if err := r.redo(path, j); err != nil {
		r.leave(path, j, err)
	}
	return nil
}

// finish ends what has failed before.
func (r *renames) finish(op string, paths []string) error {
	for _, path := range paths {
		j, still := r.get(path)
		if !still {
			continue
		}
		var err error
		if r.progress(j) == notBegun {
			err = r.strike(path)
		} else {
			err = r.redo(path, j)
		}
		if err != nil {
			return fault.Newf(op, fault.Unavailable, "the rename of %s to %s is not finished: %s", j.from, j.to, fault.Explain(err))
		}
		r.remove(path)
	}
	return nil
}

// retry tries to end what has failed before.
func (r *renames) retry() {
	_, domains := r.find(func(j job) bool { return j.do == renameAccount })
	if len(domains) > 0 {
		if unlock, err := r.lockNames("accounts.Rename", domains...); err == nil {
			unlock()
		}
	}
	if jobs, _ := r.find(func(j job) bool { return j.do != renameAccount }); len(jobs) > 0 {
		if unlock, err := r.lockRealms("accounts.Rename"); err == nil {
			unlock()
		}
	}
}

// lockNames holds the name space of domains: nobody else makes, renames or
// deletes objects in them meanwhile.
func (r *renames) lockNames(op string, domains ...string) (unlock func(), err error) {
	for {
		unlock = r.lockAll(domains)
		jobs, theirs := r.find(func(j job) bool {
			return j.do == renameAccount && (slices.Contains(domains, j.from.domain) || slices.Contains(domains, j.to.domain))
		})
		others := slices.DeleteFunc(theirs, func(d string) bool { return slices.Contains(domains, d) })
		if len(others) == 0 {
			err = r.finish(op, jobs)
		}
		if len(others) == 0 && err == nil {
			return unlock, nil
		}
		unlock()
		if err != nil {
			return nil, err
		}
		domains = append(slices.Clone(domains), others...)
	}
}

func (r *renames) lockAll(domains []string) (unlock func()) {
	var release []func()
	for _, d := range slices.Compact(slices.Sorted(slices.Values(domains))) {
		release = append(release, r.names.lock(d))
	}
	return func() {
		for _, unlock := range release {
			unlock()
		}
	}
}

// lockRealms holds the set of domains and their aliases: nobody else changes it meanwhile.
func (r *renames) lockRealms(op string) (unlock func(), err error) {
	r.realms.Lock()
	jobs, domains := r.find(func(j job) bool { return j.do != renameAccount })
	if len(jobs) > 0 {
		unlockNames := r.lockAll(domains)
		err = r.finish(op, jobs)
		unlockNames()
	}
	if err != nil {
		r.realms.Unlock()
		return nil, err
	}
	return r.realms.Unlock, nil
}

// share keeps the objects of a domain where they are while one of them is changed.
func (r *renames) share(domain string) (unlock func()) { return r.names.share(domain) }

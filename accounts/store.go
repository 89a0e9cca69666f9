package accounts

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/nametable"
	"gatepost/accounts/password"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Options are for Open.
type Options struct {
	Log *slog.Logger
	// NextID returns numbers that this server has never used and never will
	// again, also after a crash, or says why it cannot. It is needed.
	NextID func() (uint64, error)
	// Raise, if set, is called with the highest number of a message in the store,
	// before the first NextID, which then returns higher ones only.
	Raise func(used uint64) error
	// MainDomain names the Main Domain of a base directory that has none yet;
	// empty means the name of this machine.
	MainDomain string
	// Shards is the number of index files of a new message store; 0 means the default.
	Shards int
	// DeleteLeftoversIn, if set, tells after what time to remove what crashes have left in
	// the directories of accounts, if that is wanted.
	DeleteLeftoversIn func() (age time.Duration, wanted bool)
	// CachedAccounts and CachedDomains bound the snapshots in memory; 0 means
	// 20,000 and 5,000.
	CachedAccounts, CachedDomains int
}

// Store is the directory of one server. Its methods may be called by many
// goroutines at once.
type Store struct {
	base     string
	log      *slog.Logger
	readOnly bool // see OpenReadOnly
	nextID   func() (uint64, error)
	mail     *mailbox.Store
	keys     password.Keys

	state      atomic.Pointer[serverState]
	stateMu    sync.Mutex // held while a server-wide file changes
	realms     sync.Mutex // held while the set of domains and their aliases changes; before stateMu
	domains    *cache[string, *domain]
	foreign    *cache[string, struct{}] // names that are no domain of ours
	accounts   *cache[accountKey, *Account]
	places     sync.RWMutex // held while the directory of accounts moves, and shared while an account is read and told to the message store
	locks      keyLocks     // of domains (see lockNames), of "identify " + path, of files by path
	unfinished unfinished
	logins     *Logins
	sessions   *Sessions
	onChange   atomic.Pointer[func(match func(domain, name string) bool)]
	info       infoWriter

	life     context.Context // ends with Close
	end      context.CancelFunc
	work     sync.WaitGroup // the goroutines of info and sessions
	removals sync.WaitGroup // goroutines that remove what was deleted
	removing chan struct{}  // a place for each of them
}

// Open opens the directory and the message store of a base directory. At the
// first start it makes the Main Domain with the account postmaster, which has
// the right Master and no password. What a crash has left half done is finished
// in the background.
func Open(base string, o Options) (*Store, error) {
	const op = "accounts.Open"
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := makeStore(base, o)
	fresh, err := s.prepare(o.MainDomain)
	if err != nil {
		return nil, err
	}
	if err := s.load(nil); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	// The message store is made before the first account, which comes before its rights.
	existing := !fresh || isDir(s.accountDir(accountKey{s.MainDomain(), Postmaster}))
	s.mail, err = mailbox.Open(base, mailbox.Options{NextID: o.NextID, Raise: o.Raise, Shards: o.Shards, Existing: existing, Owners: s.owners, Log: o.Log})
	if err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if fresh {
		if err := s.createPostmaster(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.info.start()
	s.work.Go(s.sessions.run)
	if o.DeleteLeftoversIn != nil {
		s.work.Go(func() { s.removeOldLeftovers(o.DeleteLeftoversIn) })
	}
	return s, nil
}

// makeStore makes a Store that nothing was read into yet.
func makeStore(base string, o Options) *Store {
	if o.CachedAccounts == 0 {
		o.CachedAccounts = 20_000
	}
	if o.CachedDomains == 0 {
		o.CachedDomains = 5_000
	}
	s := &Store{
		base: base, log: logs.Component(o.Log, "ACCOUNT"), nextID: o.NextID,
		removing: make(chan struct{}, maxRemovals),
		domains:  newCache[string, *domain](o.CachedDomains),
		foreign:  newCache[string, struct{}](o.CachedDomains),
		accounts: newCache[accountKey, *Account](o.CachedAccounts),
	}
	s.logins, s.sessions, s.info.store = newLogins(s), newSessions(s), s
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// prepare makes the directories and, in a new base directory, Main.settings.
func (s *Store) prepare(mainDomain string) (fresh bool, err error) {
	const op = "accounts.Open"
	for _, d := range []string{settingsDirectory, mainDirectory + "/" + settingsDirectory, domainsDirectory, pendingDirectory} {
		if err := os.MkdirAll(filepath.Join(s.base, d), 0o700); err != nil {
			return false, fault.Wrap(op, fault.Internal, err)
		}
	}
	if s.keys, err = password.OpenKeys(filepath.Join(s.base, settingsDirectory, password.KeyFile)); err != nil {
		return false, fault.Wrap(op, fault.Internal, err)
	}
	_, err = os.Stat(filepath.Join(s.base, mainDirectory, settingsDirectory, accessFile))
	fresh = errors.Is(err, os.ErrNotExist)
	err = s.edit(filepath.Join(s.base, settingsDirectory, mainFile), func(d dataformat.Dict) error {
		if d.String(keyDomainName) != "" {
			return errUnchanged
		}
		if !fresh {
			// Another name than before would take every account's address away.
			return fault.Newf(op, fault.Corrupt, "%s/%s has lost %s, the name of the Main Domain: put it back", settingsDirectory, mainFile, keyDomainName)
		}
		name := mainDomain
		if name == "" {
			name, _ = os.Hostname()
		}
		n, err := checkDomainName(op, name)
		if err != nil {
			return err
		}
		d[keyDomainName] = dataformat.String(n)
		return nil
	})
	return fresh, err
}

// createPostmaster makes the account that a new base directory starts with. The
// rights are written last: until they are there, the next start tries again.
func (s *Store) createPostmaster() error {
	main := s.MainDomain()
	err := s.CreateAccount(s.life, main, Postmaster, nil)
	if err != nil && !fault.Is(err, fault.Exists) {
		return err
	}
	return s.SetAccountRights(s.life, main, Postmaster, []string{"Master"})
}

// Close writes what is remembered and closes the message store.
func (s *Store) Close() error {
	s.end()
	s.work.Wait()
	s.removals.Wait()
	s.info.flush()
	if s.mail == nil {
		return nil
	}
	return s.mail.Close()
}

// Mail returns the message store.
func (s *Store) Mail() *mailbox.Store { return s.mail }

// Reload reads the settings anew: what was edited in the files holds from now on.
// On an error in a server-wide file the old settings stay.
func (s *Store) Reload() error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	return s.load(nil)
}

// load replaces the server-wide snapshot and forgets what was made from the old one.
// aliases as in loadState.
func (s *Store) load(aliases *nametable.Table[string]) error {
	st, err := loadState(s.base, aliases)
	if err != nil {
		return err
	}
	s.state.Store(st)
	s.foreign.dropIf(func(string) bool { return true })
	s.domains.dropIf(func(string) bool { return true })
	s.forgetIf(func(accountKey) bool { return true })
	return nil
}

// errUnchanged as the result of an edit says that there is nothing to write.
var errUnchanged = errors.New("unchanged")

// edit changes a file that holds a dictionary: it reads the file, lets change
// work on the dictionary and writes it back, as one step for everybody who uses
// edit. change must not wait for anything but the disk.
func (s *Store) edit(path string, change func(dataformat.Dict) error) error {
	unlock := s.locks.lock(path)
	defer unlock()
	d, err := dataformat.ReadDict(path)
	if err != nil {
		return dataformat.Unreadable("accounts.Edit", err)
	}
	if err := change(d); errors.Is(err, errUnchanged) {
		return nil
	} else if err != nil {
		return err
	}
	return dataformat.WriteFile(path, d, dataformat.StyleOld)
}

// editWhole is edit for a change that replaces the dictionary.
func (s *Store) editWhole(path string, change func(dataformat.Dict) dataformat.Dict) error {
	return s.edit(path, func(d dataformat.Dict) error {
		after := change(maps.Clone(d))
		clear(d)
		maps.Copy(d, after)
		return nil
	})
}

// editState changes a server-wide file and takes the result into use.
func (s *Store) editState(file string, change func(dataformat.Dict) error) error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if err := s.edit(filepath.Join(s.base, settingsDirectory, file), change); err != nil {
		return err
	}
	return s.load(s.state.Load().domainAliases)
}

// editDomainAliases changes domain aliases. No snapshot depends on them but that of
// the names that are no domain of ours.
func (s *Store) editDomainAliases(update dataformat.Dict) error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if err := s.state.Load().domainAliases.Change(update); err != nil {
		// What is on the disk now holds, also after the next start.
		return errors.Join(err, s.load(nil))
	}
	s.foreign.dropIf(func(name string) bool { _, ok := update[name]; return ok })
	return nil
}

// realDomain resolves what a caller calls a domain to the name that its files
// have: in lower case, aliases replaced, the Main Domain for "".
func (s *Store) realDomain(name string) string {
	st := s.state.Load()
	name = strings.TrimSuffix(fold(name), ".")
	if name == "" {
		return st.mainDomain
	}
	if !isPlain(name) {
		if n, err := address.NormalizeDomain(name); err == nil {
			name = n
		}
	}
	return st.domainName(name)
}

// isPlain reports whether a name has ASCII only.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

package accounts

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatepost/accounts/cache"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/password"
	"gatepost/accounts/subscribers"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/protection"
	"gatepost/server/rate"
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
	// Protection knows about the addresses of clients. Nil: one of its own, with the stock settings.
	Protection *protection.Protection
	// External, if not nil, knows passwords and accounts outside of this server.
	External External
	// LDAP, if not nil, asks the directory servers of domains.
	LDAP LDAP
	// System, if not nil, asks the operating system about passwords of its users.
	System SystemPasswords
	// Tokens verifies tokens of issuers. Nil: logins by token fail as unavailable.
	Tokens Tokens
	// Shards is the number of index files of a new message store; 0 means the default.
	Shards int
	// DeleteLeftoversIn, if set, tells after what time to remove what crashes have left in
	// the directories of accounts, if that is wanted.
	DeleteLeftoversIn func() (age time.Duration, wanted bool)
	// CachedAccounts and CachedDomains bound the snapshots in memory; 0 means
	// 20,000 and 5,000.
	CachedAccounts, CachedDomains int
}

// Store is the directory of one server, with what changes it and who uses it. Its methods may
// be called by many goroutines at once.
type Store struct {
	factors *secondFactors
	directory
	removals removals
	logins   *Logins
	info     infoWriter
	polled   polled // see rpop.go
	telnums  telnums

	sent *rate.Table[uint64] // messages that accounts send, by account ID

	end  context.CancelFunc
	work sync.WaitGroup // the goroutines of info and sessions
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
	if s.protection == nil {
		if s.protection, err = protection.Open(base, nil, o.Log); err != nil {
			return nil, err
		}
	}
	s.logins.protection = s.protection
	if err := errors.Join(s.load(nil), s.polled.load(base), s.telnums.load(base)); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	// The message store is made before the first account, which comes before its rights.
	existing := !fresh || isDir(s.accountDir(accountKey{s.MainDomain(), Postmaster}))
	s.mail, err = mailbox.Open(base, mailbox.Options{NextID: o.NextID, Raise: o.Raise, Shards: o.Shards, Existing: existing, Owners: owners{s}.visit, Log: o.Log})
	if err != nil {
		return nil, err
	}
	s.subscribers, err = subscribers.Open(filepath.Join(base, subscribersDirectory), subscribers.Options{Log: o.Log})
	if err != nil {
		return nil, errors.Join(err, s.Close())
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
	if o.External == nil {
		o.External = none{}
	}
	if o.LDAP == nil {
		o.LDAP = noLDAP{}
	}
	if o.System == nil {
		o.System = noSystem{}
	}
	s := &Store{removals: removals{slots: make(chan struct{}, maxRemovals)}, directory: directory{
		serverFiles: serverFiles{base: base, log: logs.Component(o.Log, "ACCOUNT"), protection: o.Protection}, nextID: o.NextID, external: o.External, ldap: o.LDAP, system: o.System, tokens: o.Tokens,
		domains:  cache.New[string, *domain](o.CachedDomains),
		foreign:  cache.New[string, struct{}](o.CachedDomains),
		accounts: cache.New[accountKey, *Account](o.CachedAccounts),
		groups:   cache.New[accountKey, *Group](maxGroups),
		mailing:  cache.New[accountKey, *MailingList](maxLists),
		lists:    newNameLists(),
	}}
	s.create = s.CreateAccount
	s.logins, s.sessions, s.factors = newLogins(s), newSessions(s), newSecondFactors()
	s.info.store, s.renames.store, s.removals.store, s.ids.store = s, s, s, &s.directory
	s.onAlias, s.onLoad = s.foreign.DropIf, s.dropAll
	s.sent = rate.New[uint64](maxSenders)
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
		n, err := validateDomainName(op, name)
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
	var errs []error
	if s.subscribers != nil {
		errs = append(errs, s.subscribers.Close())
	}
	if s.mail != nil {
		errs = append(errs, s.mail.Close())
	}
	return errors.Join(errs...)
}

// Mail returns the message store.
func (s *directory) Mail() *mailbox.Store { return s.mail }

// dropAll drops all snapshots.
func (s *directory) dropAll() {
	s.foreign.DropIf(func(string) bool { return true })
	s.domains.DropIf(func(string) bool { return true })
	s.groups.DropIf(func(accountKey) bool { return true })
	s.mailing.DropIf(func(accountKey) bool { return true })
	s.forgetIf(func(accountKey) bool { return true })
}

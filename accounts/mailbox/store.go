package mailbox

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// Owner is an account as the store needs to know it.
type Owner struct {
	// ID is the account's number; it never changes and is never used again.
	ID uint64
	// Dir is the absolute path of the account's directory (name.macnt).
	Dir string
	// Limits returns the limits of the moment; nil means none.
	Limits func() Limits
	// Filed, if set, is told of messages that clients have moved, copied or marked. It may not wait.
	Filed func(Filing)
	// Unindexed says that the texts of the account's messages are not to be indexed.
	Unindexed bool
	// Damaged says why the account cannot be read. ID is 0 then if that is lost too.
	Damaged error
	// Lost says what the account has lost beside its mailboxes, if anything, for Check.
	Lost string
	// Passing says that the account is being made or removed: it has mailboxes
	// or it has none. Check does not look at it.
	Passing bool
}

// Limits bound what an account may hold.
type Limits struct {
	// MaxSize is the sum of all message sizes in bytes; negative means unlimited.
	MaxSize int64
	// MaxMailboxes is the number of mailboxes; 0 or less means unlimited.
	MaxMailboxes int
	// SuspendPercent is the part of MaxSize above which deliveries are put off;
	// 0 means 100.
	SuspendPercent int
}

// Options are for Open.
type Options struct {
	// NextID returns numbers that this server has never used and never will
	// again, also after a crash (the server-wide counter that also numbers queue
	// files), or says why it cannot now. It is needed.
	NextID func() (uint64, error)
	// Raise, if set, is called before the first NextID, which then returns
	// only numbers above the given one: that of a message in the store. The
	// file of the counter may be lost or old.
	Raise func(used uint64) error
	// Shards is the number of index files of a new store; 0 means the default.
	Shards int
	// Existing says that there is a store: one that is missing is fault.Corrupt.
	Existing bool
	// ReadOnly opens the store for Check alone: nothing is written. NextID is not needed.
	ReadOnly bool
	// Owners visits every account, whose handle it keeps meanwhile; Check needs it to
	// find what belongs to nobody, and the store to remove the messages of deleted mailboxes after
	// a restart. If nil, the accounts that are in use stand for all.
	Owners func(ctx context.Context, visit func(Owner) error) error
	Log    *slog.Logger
}

// Store is the message store of one server.
type Store struct {
	base    string
	o       Options
	log     *slog.Logger
	index   *index.Store
	crashes map[*index.Shard]uint64 // how many there were, by what each shard knows; not changed after Open
	marker  string                  // the file that says that the store was not closed
	unclean atomic.Bool             // files without records are left, for the next run

	turns  map[*index.Shard]chan struct{} // see turn; not changed after Open
	texts  atomic.Pointer[TextIndex]
	links  links
	views  viewCache
	upkeep upkeep

	// mu guards accounts. The map does not keep its handles: while somebody
	// does, there is exactly one for an account.
	mu       sync.Mutex
	accounts map[uint64]weak.Pointer[Account]
}

// Open opens or creates the store below base (base/Index).
func Open(base string, o Options) (*Store, error) {
	const op = "mailbox.Open"
	if o.NextID == nil && !o.ReadOnly {
		return nil, fault.New(op, fault.Invalid, "the message store needs a counter")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir := filepath.Join(base, "Index")
	ix, err := index.Open(dir, index.Options{Shards: o.Shards, Existing: o.Existing, ReadOnly: o.ReadOnly, Log: o.Log})
	if err != nil {
		return nil, err
	}
	s := &Store{base: base, o: o, log: o.Log, index: ix,
		marker: filepath.Join(dir, "open"), accounts: make(map[uint64]weak.Pointer[Account])}
	if o.ReadOnly {
		return s, s.lookBack()
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(fault.Wrap(op, fault.Internal, err), ix.Close())
	}
	s.links.base = base
	s.turns = make(map[*index.Shard]chan struct{})
	for _, sh := range ix.Shards() {
		s.turns[sh] = make(chan struct{}, 1)
	}
	s.upkeep.start(s)
	return s, nil
}

// Close ends the store: it saves what was put off, removes the files that
// nobody needs any more, and closes the index. Views must be closed before.
func (s *Store) Close() error {
	if s.o.ReadOnly {
		return s.index.Close()
	}
	err := s.upkeep.stop()
	if err2 := s.index.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = s.unmark()
	}
	return fault.Wrap("mailbox.Close", fault.Internal, err)
}

// Account returns the handle of an account. It costs little; whether the
// account exists in the store shows at the first call. A later call with
// another Dir or Limits changes them for every holder; nobody moves the directory
// between the look at it and the call.
func (s *Store) Account(o Owner) *Account {
	return s.account(o, true)
}

// account returns the handle of an account. What o says of it holds for one that is
// there already only when it is news.
func (s *Store) account(o Owner, news bool) *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[o.ID].Value(); a != nil {
		if news {
			a.owner.Store(&o)
		}
		return a
	}
	a := &Account{store: s, id: o.ID, shard: s.index.Shard(o.ID)}
	a.owner.Store(&o)
	s.accounts[o.ID] = weak.Make(a)
	runtime.AddCleanup(a, s.forgetAccount, o.ID)
	return a
}

// Dir returns the directory of an account whose handle somebody holds, or "".
func (s *Store) Dir(id uint64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[id].Value(); a != nil {
		return a.owner.Load().Dir
	}
	return ""
}

// forgetAccount removes the entry of a handle that nobody holds any more.
func (s *Store) forgetAccount(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.accounts[id]; ok && p.Value() == nil {
		delete(s.accounts, id)
	}
}

// held returns the handles that somebody holds.
func (s *Store) held() []*Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Account
	for _, p := range s.accounts {
		if a := p.Value(); a != nil {
			all = append(all, a)
		}
	}
	return all
}

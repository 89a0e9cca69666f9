// Package mailbox keeps the mailboxes and messages of accounts.
package mailbox

import (
	"context"
	"log/slog"

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
	// again (the server-wide counter that also numbers queue files). It is
	// needed.
	NextID func() uint64
	// Shards is the number of index files of a new store; 0 means the default.
	Shards int
	// Owners visits every account; Check needs it to find what belongs to
	// nobody. If nil, Check looks at the accounts that were used since Open.
	Owners func(ctx context.Context, visit func(Owner) error) error
	Log    *slog.Logger
}

// Store is the message store of one server.
type Store struct{}

// Open opens or creates the store below base (base/Index).
func Open(base string, o Options) (*Store, error) {
	return nil, fault.New("mailbox.Open", fault.Unsupported, "")
}

// Close ends the store. Sessions must have closed their mailboxes before.
func (s *Store) Close() error { return nil }

// NewFileID returns a number from the server-wide counter.
func (s *Store) NewFileID() uint64 { return 0 }

// NewMailbox is a mailbox that a new account starts with.
type NewMailbox struct {
	Name string
	CreateOptions
	// Subscribed puts the name on the subscription list.
	Subscribed bool
}

// Create makes the records and directories of a new account: INBOX,
// subscribed, and the boxes given. An account that is there already is
// fault.Exists.
func (s *Store) Create(ctx context.Context, o Owner, boxes []NewMailbox) error {
	return fault.New("mailbox.Create", fault.Unsupported, "")
}

// Remove removes all mailboxes and messages of an account and its Messages
// directory. Open views of it are told that their mailbox is gone. An account
// that has nothing here is no error.
func (s *Store) Remove(ctx context.Context, o Owner) error {
	return fault.New("mailbox.Remove", fault.Unsupported, "")
}

// Account returns the handle of an account. It costs nothing; whether the
// account exists in the store shows at the first call. A later call with
// another Dir or Limits changes them for every holder.
func (s *Store) Account(o Owner) *Account { return nil }

// Forget tells that queue files are gone, so that nobody will deliver them
// again. It returns at once; the records go with a later commit.
func (s *Store) Forget(queueIDs []uint64) {}

// SyncLinks makes every link durable that Deliver has made so far. The queue
// calls it before it removes files that were delivered.
func (s *Store) SyncLinks(ctx context.Context) error {
	return fault.New("mailbox.SyncLinks", fault.Unsupported, "")
}

// Finding is one thing that Check found wrong.
type Finding struct {
	// Account is the account's number, Mailbox the mailbox name or "".
	Account uint64
	Mailbox string
	// UID is the message, or 0.
	UID uint32
	// Text says what is wrong in one line.
	Text string
}

// Check compares the index with itself and with the message files and reports
// what does not fit. It works beside a running server.
func (s *Store) Check(ctx context.Context, report func(Finding)) error {
	return fault.New("mailbox.Check", fault.Unsupported, "")
}

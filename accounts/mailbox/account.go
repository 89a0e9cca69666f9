package mailbox

import (
	"context"
	"io"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// Account is the handle of one account's mailboxes. It may be used by many
// goroutines at once and be kept for long.
type Account struct{}

// Usage is what an account holds.
type Usage struct {
	Bytes, Messages, Mailboxes int64
}

// Usage returns what the account holds.
func (a *Account) Usage(ctx context.Context) (Usage, error) {
	return Usage{}, fault.New("mailbox.Usage", fault.Unsupported, "")
}

// Info describes a mailbox name: the message container of that name, the
// directory for nested mailboxes of that name, or both.
type Info struct {
	Name string
	// ID is the MAILBOXID (RFC 8474); 0 if there is no container.
	ID uint32
	// Selectable says that there is a container.
	Selectable bool
	// HasFolder says that there is a directory, HasChildren that mailboxes are
	// in it.
	HasFolder   bool
	HasChildren bool
	Subscribed  bool
	SpecialUse  imap.MailboxAttr
	Class       string

	UIDValidity   uint32
	UIDNext       imap.UID
	Messages      uint32
	Unseen        uint32
	Deleted       uint32
	Recent        uint32
	Size          int64
	DeletedSize   int64
	HighestModSeq uint64
}

// List returns all names, sorted by bytes with INBOX first.
func (a *Account) List(ctx context.Context) ([]Info, error) {
	return nil, fault.New("mailbox.List", fault.Unsupported, "")
}

// Subscriptions returns the subscribed names, sorted; they may name mailboxes
// that do not exist or belong to others.
func (a *Account) Subscriptions(ctx context.Context) ([]string, error) {
	return nil, fault.New("mailbox.Subscriptions", fault.Unsupported, "")
}

// Subscribe puts a name on the subscription list or takes it off. Neither
// needs the mailbox to exist; a repeated call changes nothing.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error {
	return fault.New("mailbox.Subscribe", fault.Unsupported, "")
}

// CreateOptions are for CreateMailbox.
type CreateOptions struct {
	SpecialUse imap.MailboxAttr // RFC 6154, or ""
	Class      string           // "" is mail
}

// CreateMailbox creates a mailbox and the directories above it. A name with a
// slash at the end creates only the directory.
func (a *Account) CreateMailbox(ctx context.Context, name string, o CreateOptions) (Info, error) {
	return Info{}, fault.New("mailbox.CreateMailbox", fault.Unsupported, "")
}

// DeleteMailbox removes the container with its messages. Nested mailboxes and
// the subscription stay. A directory without a container goes if it is empty,
// else the error is fault.NotEmpty. INBOX is fault.Denied.
func (a *Account) DeleteMailbox(ctx context.Context, name string) error {
	return fault.New("mailbox.DeleteMailbox", fault.Unsupported, "")
}

// RenameMailbox renames a mailbox and what is nested in it; sessions stay in
// it. From INBOX, the messages move to a new mailbox and INBOX stays.
func (a *Account) RenameMailbox(ctx context.Context, from, to string) error {
	return fault.New("mailbox.RenameMailbox", fault.Unsupported, "")
}

// Status returns the state of one mailbox from its record.
func (a *Account) Status(ctx context.Context, name string) (Info, error) {
	return Info{}, fault.New("mailbox.Status", fault.Unsupported, "")
}

// AppendMessage is a message to be stored.
type AppendMessage struct {
	// Body yields the message with CRLF line ends. It is read to its end; who
	// calls bounds it. An error from it is returned as it is.
	Body io.Reader
	// Flags are system flags and keywords; \Recent is ignored.
	Flags []imap.Flag
	// InternalDate, or zero for now.
	InternalDate time.Time
}

// Appended tells where a message went (RFC 4315 APPENDUID).
type Appended struct {
	UIDValidity uint32
	UID         imap.UID
}

// Append stores a message. When it returns nil, message and record are on the
// disk. Errors: NoMailbox, OverQuota, TooMany (keywords), NoSpace.
func (a *Account) Append(ctx context.Context, name string, m AppendMessage) (Appended, error) {
	return Appended{}, fault.New("mailbox.Append", fault.Unsupported, "")
}

// Delivery is a queued message to be put into a mailbox.
type Delivery struct {
	// QueueID and Copy identify the delivery: one that was made already
	// succeeds again without a second message. Copy tells several deliveries
	// of one queued message to one account apart (the number of the recipient,
	// of a rule's action); 0 if there is only one.
	QueueID uint64
	Copy    uint32
	// File is the absolute path of the queue file; the message is the Size
	// bytes at Offset.
	File         string
	Offset, Size int64
	// Prefix is put before the message for every reader: complete header lines
	// with CRLF, such as Return-Path.
	Prefix []byte
	// Summary is message.Scan's of the message, without the prefix; nil if it
	// is not known: then it is made when somebody asks.
	Summary *message.Summary
	// Mailbox is where it goes; "" or a mailbox that does not exist is INBOX.
	Mailbox      string
	Flags        []imap.Flag
	InternalDate time.Time // zero for now
}

// Deliver puts queued messages into mailboxes of the account in one commit,
// by links to the queue files. The result has one error per delivery. The
// links become durable with Store.SyncLinks: until then the queue files must
// stay, and a delivery after a crash repairs a link that was lost.
func (a *Account) Deliver(ctx context.Context, ds []Delivery) []error {
	errs := make([]error, len(ds))
	for i := range errs {
		errs[i] = fault.New("mailbox.Deliver", fault.Unsupported, "")
	}
	return errs
}

// Watch calls fn after every change in the account until stop is called. fn
// runs in the store's writer: it must return at once and call nothing here.
func (a *Account) Watch(fn func()) (stop func()) { return func() {} }

// Open opens a mailbox for one session. A read-only view changes nothing, not
// even who gets \Recent.
func (a *Account) Open(ctx context.Context, name string, readOnly bool) (*Mailbox, error) {
	return nil, fault.New("mailbox.Open", fault.Unsupported, "")
}

package mailbox

import (
	"context"
	"io"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// Mailbox is one session's view of a mailbox. It belongs to the session's
// goroutine; only Changed may be used from others. The view changes in Sync
// alone: until then sequence numbers stay as they are.
type Mailbox struct{}

// Close ends the view.
func (m *Mailbox) Close() {}

// ViewInfo is what SELECT answers.
type ViewInfo struct {
	Name          string
	ID            uint32 // MAILBOXID
	ReadOnly      bool
	UIDValidity   uint32
	UIDNext       imap.UID
	HighestModSeq uint64
	// Exists is the number of messages in the view, FirstUnseen the sequence
	// number of the first without \Seen, or 0.
	Exists      int
	FirstUnseen int
}

// Info returns the state of the view.
func (m *Mailbox) Info() ViewInfo { return ViewInfo{} }

// Recent returns the number of messages in the view that are \Recent for this session.
func (m *Mailbox) Recent() int { return 0 }

// Flags returns the flags of the mailbox for FLAGS and PERMANENTFLAGS; the
// latter ends in \* as long as new keywords are possible.
func (m *Mailbox) Flags() (all, permanent []imap.Flag) { return nil, nil }

// Len returns the number of messages in the view.
func (m *Mailbox) Len() int { return 0 }

// UID returns the UID of a sequence number, 1 to Len, or 0.
func (m *Mailbox) UID(seq int) imap.UID { return 0 }

// Seq returns the sequence number of a UID.
func (m *Mailbox) Seq(uid imap.UID) (int, bool) { return 0, false }

// UIDs returns the UIDs of the view in order. The slice is shared: it must not
// be changed, and it stays as it is after later calls.
func (m *Mailbox) UIDs() []imap.UID { return nil }

// Flags is a set of system flags.
type Flags uint8

// The system flags.
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// State is what may change in a message.
type State struct {
	UID      imap.UID
	Flags    Flags
	Recent   bool
	Keywords uint64 // bit i is KeywordNames()[i]
	ModSeq   uint64
}

// State returns the state of a message of the view.
func (m *Mailbox) State(uid imap.UID) (State, bool) { return State{}, false }

// StateAt is State by sequence number, 1 to Len; it is the faster one.
func (m *Mailbox) StateAt(seq int) (State, bool) { return State{}, false }

// KeywordNames returns the keywords of the mailbox by their bit in State.
// The slice must not be changed.
func (m *Mailbox) KeywordNames() []string { return nil }

// AppendFlags appends the flags of a state with single spaces between them and
// without parentheses, and allocates nothing if dst has room.
func (m *Mailbox) AppendFlags(dst []byte, st State) []byte { return dst }

// Message is what is known of a message without opening it.
type Message struct {
	State
	// Size is RFC822.SIZE.
	Size         int64
	InternalDate time.Time
	SaveDate     time.Time // RFC 8514
	// EmailID is equal for copies of one message (RFC 8474); ThreadID is 0 when
	// there is none.
	EmailID, ThreadID uint64
	// OriginalUID is the UID under which the item was stored first.
	OriginalUID imap.UID
}

// Message returns what is known of a message of the view.
func (m *Mailbox) Message(uid imap.UID) (Message, bool) { return Message{}, false }

// Content is what is kept of a message beside its file. The spans of the
// summary count from the message's first byte: in Body they are len(Prefix)
// further on.
type Content struct {
	Prefix  []byte
	Summary *message.Summary
}

// Content returns the summary of a message of the view.
func (m *Mailbox) Content(ctx context.Context, uid imap.UID) (*Content, error) {
	return nil, fault.New("mailbox.Content", fault.Unsupported, "")
}

// Body reads a message: the prefix, then the message, as one.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// OpenBody opens a message of the view.
func (m *Mailbox) OpenBody(uid imap.UID) (Body, error) {
	return nil, fault.New("mailbox.OpenBody", fault.Unsupported, "")
}

// Op says what SetFlags does with its flags.
type Op uint8

// The operations.
const (
	Set Op = iota
	Add
	Remove
)

// SetResult is the outcome of SetFlags.
type SetResult struct {
	// Changed are the messages whose flags are now other than before.
	Changed []imap.UID
	// Modified are the messages that were left alone because they have changed
	// after unchangedSince (RFC 7162 3.1.3).
	Modified []imap.UID
	// ModSeq is the change number that Changed have got, or 0.
	ModSeq uint64
}

// SetFlags changes flags of messages of the view. unchangedSince restricts it
// to messages whose ModSeq is not above; pass NoCondition for an ordinary
// STORE. UIDs that are not in the view are skipped. Nothing is committed when
// nothing changes. Errors: ReadOnly, TooMany (keywords), NoMailbox.
func (m *Mailbox) SetFlags(ctx context.Context, uids []imap.UID, op Op, flags []imap.Flag, unchangedSince uint64) (SetResult, error) {
	return SetResult{}, fault.New("mailbox.SetFlags", fault.Unsupported, "")
}

// NoCondition as unchangedSince of SetFlags lets every message pass.
const NoCondition = ^uint64(0)

// Expunge removes the messages with \Deleted: all, or those in uids. The view
// shows them until Sync(true). Messages that other sessions have marked and
// this view does not show yet are removed as well when uids is nil.
func (m *Mailbox) Expunge(ctx context.Context, uids *imap.UIDSet) ([]imap.UID, error) {
	return nil, fault.New("mailbox.Expunge", fault.Unsupported, "")
}

// CopyData is the COPYUID of RFC 4315: Source and Dest correspond in order.
type CopyData struct {
	UIDValidity  uint32
	Source, Dest imap.UIDSet
}

// Copy copies messages of the view to a mailbox of the same account, all or
// none. Messages that were expunged elsewhere are skipped.
func (m *Mailbox) Copy(ctx context.Context, uids []imap.UID, dest string) (CopyData, error) {
	return CopyData{}, fault.New("mailbox.Copy", fault.Unsupported, "")
}

// CopyTo is Copy to a mailbox of another account.
func (m *Mailbox) CopyTo(ctx context.Context, uids []imap.UID, to *Account, dest string) (CopyData, error) {
	return CopyData{}, fault.New("mailbox.CopyTo", fault.Unsupported, "")
}

// Move moves messages of the view to a mailbox of the same account, in one
// commit (RFC 6851). The view shows them until Sync(true).
func (m *Mailbox) Move(ctx context.Context, uids []imap.UID, dest string) (CopyData, error) {
	return CopyData{}, fault.New("mailbox.Move", fault.Unsupported, "")
}

// Changed is signalled after a change by others that Sync would report.
func (m *Mailbox) Changed() <-chan struct{} { return nil }

// Update is what Sync has changed in the view.
type Update struct {
	// Expunged are sequence numbers in the order to send, each counted after
	// the ones before are gone; ExpungedUIDs are the same messages.
	Expunged     []int
	ExpungedUIDs []imap.UID
	// Exists is the new number of messages, or -1 if none has come.
	Exists int
	// Recent is the number of \Recent messages in the view now.
	Recent int
	// Flags are sequence numbers, after the expunges, of messages whose flags
	// were changed by others.
	Flags []int
	// NewKeywords says that the mailbox has keywords that this session was not
	// told of yet: FLAGS goes before the FETCH lines.
	NewKeywords bool
	// HighestModSeq is what a client that has got all of this may remember: it
	// stays below the number of an expunge that is held back (RFC 7162 3.2).
	HighestModSeq uint64
	// Gone says that the mailbox no longer exists.
	Gone bool
}

// Sync brings the view up to date and says what has changed. Without
// allowExpunge messages that are gone stay in the view.
func (m *Mailbox) Sync(allowExpunge bool) Update { return Update{Exists: -1} }

package mailbox

import (
	"context"
	"slices"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// Mailbox is one session's view of a mailbox. It belongs to the session's
// goroutine; only Changed may be used from others. Which messages it shows
// changes in Sync alone: until then sequence numbers stay as they are. The
// flags are always the current ones.
type Mailbox struct {
	box      *box
	name     string
	readOnly bool
	allowed  FlagSet
	changed  chan struct{}

	uids    []imap.UID      // shared with the box and other views
	gen     uint64          // of uids, see box.gen
	recent  []imap.UIDRange // what is \Recent for the session
	recents int             // how many messages of uids that are
	blocks  *blocksRead     // the summaries that were read last
	soon    *selected       // until it is loaded, see Select
	names   []string        // the keywords that the client was told of; replaced under box.mu

	// What follows is also used by the store's writer: box.mu guards it.
	told     uint64     // the bits of keywords for which names is right
	expunges uint64     // number of the last expunge that the view shows no more
	flagSeen uint64     // flag changes up to this ModSeq were reported
	own      []uint64   // later changes that the session made itself
	extra    []imap.UID // messages that it changed over an unreported change of others
}

// Open opens a mailbox for one session. A read-only view changes nothing, not
// even who gets \Recent.
func (a *Account) Open(ctx context.Context, name string, readOnly bool) (*Mailbox, error) {
	m, id, err := a.newView(name, readOnly)
	if err != nil {
		return nil, err
	}
	b, err := a.openBox(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := m.enter(b); err != nil {
		return nil, err
	}
	return m, nil
}

// newView makes a view that is not of a box yet.
func (a *Account) newView(name string, readOnly bool) (m *Mailbox, id uint32, err error) {
	if name, err = cleanName(name); err != nil {
		return nil, 0, noMailbox(err)
	}
	if id, name, err = a.find(name); err != nil {
		return nil, 0, err
	}
	return &Mailbox{name: name, readOnly: readOnly, allowed: EveryFlag, changed: make(chan struct{}, 1)}, id, nil
}

// use makes the view one of a box.
func (m *Mailbox) use(b *box) {
	m.box = b
	if !m.readOnly {
		b.writers.Add(1)
	}
}

// enter makes the view one of a box that is loaded.
func (m *Mailbox) enter(b *box) error {
	m.use(b)
	b.mu.Lock()
	if b.gone {
		b.mu.Unlock()
		m.leave()
		return fault.New("mailbox.Open", fault.NoMailbox, "")
	}
	m.learnKeywords()
	save := m.join()
	b.mu.Unlock()
	if save != 0 {
		b.account.setRecentFrom(b.id, save)
	}
	return nil
}

// join makes the view show what the box has, and returns what take does. box.mu is held.
func (m *Mailbox) join() (save imap.UID) {
	b := m.box
	b.sessions = append(b.sessions, m)
	m.uids, m.gen = b.live, b.liveGen
	m.expunges, m.flagSeen = b.expunges, b.rec.highest
	return m.take()
}

// Close ends the view.
func (m *Mailbox) Close() {
	b := m.box
	if err := m.Load(context.Background()); err != nil {
		m.leave()
		return
	}
	b.mu.Lock()
	i := slices.Index(b.sessions, m)
	if i < 0 {
		b.mu.Unlock()
		return
	}
	b.sessions = slices.Delete(b.sessions, i, i+1)
	b.release()
	b.mu.Unlock()
	m.leave()
}

func (m *Mailbox) leave() {
	if !m.readOnly {
		m.box.writers.Add(-1)
	}
	m.box.account.closeBox(m.box)
}

func (m *Mailbox) signal() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Changed is signalled after a change by others that Sync would report.
func (m *Mailbox) Changed() <-chan struct{} { return m.changed }

// ViewInfo is what SELECT answers.
type ViewInfo struct {
	Name          string // when it was opened; the mailbox may have been renamed
	ID            uint32 // MAILBOXID (RFC 8474)
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
func (m *Mailbox) Info() ViewInfo {
	if m.soon != nil {
		return m.soon.info
	}
	b := m.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	i := ViewInfo{Name: m.name, ID: b.id, ReadOnly: m.readOnly, UIDValidity: b.rec.validity, UIDNext: b.rec.next,
		HighestModSeq: m.highest(), Exists: len(m.uids)}
	// UIDNEXT is above what the view shows and not above what Sync will bring.
	if next, _ := slices.BinarySearch(b.live, m.last()+1); next < len(b.live) {
		i.UIDNext = b.live[next]
	}
	for seq := 1; seq <= len(m.uids); seq++ {
		if at, ok := b.findSeq(m, seq); ok && b.flags[at]&Seen == 0 {
			i.FirstUnseen = seq
			break
		}
	}
	return i
}

// last returns the highest UID of the view.
func (m *Mailbox) last() imap.UID {
	if n := len(m.uids); n > 0 {
		return m.uids[n-1]
	}
	return 0
}

// Len returns the number of messages in the view.
func (m *Mailbox) Len() int { return len(m.uids) }

// UID returns the UID of a sequence number, 1 to Len, or 0.
func (m *Mailbox) UID(seq int) imap.UID {
	if seq < 1 || seq > len(m.uids) {
		return 0
	}
	return m.uids[seq-1]
}

// before returns how many messages of the view have a UID below.
func (m *Mailbox) before(uid imap.UID) int {
	i, _ := slices.BinarySearch(m.uids, uid)
	return i
}

// Seq returns the sequence number of a UID.
func (m *Mailbox) Seq(uid imap.UID) (int, bool) {
	i, ok := slices.BinarySearch(m.uids, uid)
	return i + 1, ok
}

// UIDs returns the UIDs of the view in order. The slice is shared: it must not
// be changed, and it stays as it is after later calls.
func (m *Mailbox) UIDs() []imap.UID { return m.uids[:len(m.uids):len(m.uids)] }

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
func (m *Mailbox) State(uid imap.UID) (State, bool) {
	seq, ok := m.Seq(uid)
	if !ok {
		return State{}, false
	}
	return m.StateAt(seq)
}

// StateAt is State by sequence number, 1 to Len; it is the faster one.
func (m *Mailbox) StateAt(seq int) (State, bool) {
	if seq < 1 || seq > len(m.uids) {
		return State{}, false
	}
	b := m.box
	b.mu.RLock()
	i, ok := b.findSeq(m, seq)
	if !ok {
		b.mu.RUnlock()
		return State{}, false
	}
	st := State{UID: b.uids[i], Flags: b.flags[i], Keywords: b.keywordsAt(i) & m.told, ModSeq: b.modSeqs[i]}
	b.mu.RUnlock()
	st.Recent = m.isRecent(st.UID)
	return st, true
}

// learnKeywords takes the list of keywords that the client is told of. Others show up
// after Sync has announced them. box.mu is held.
func (m *Mailbox) learnKeywords() {
	m.names = m.box.keywords
	m.told = 1<<len(m.names) - 1 // all bits for 64
}

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
func (m *Mailbox) Message(uid imap.UID) (Message, bool) {
	seq, ok := m.Seq(uid)
	if !ok {
		return Message{}, false
	}
	st, ok := m.StateAt(seq)
	if !ok {
		return Message{}, false
	}
	s, err := m.summary(context.Background(), uid)
	if err != nil {
		return Message{}, false
	}
	return Message{
		State: st, Size: s.size, InternalDate: time.Unix(s.internal, 0), SaveDate: time.Unix(s.saved, 0),
		EmailID: s.email, ThreadID: s.thread, OriginalUID: s.original,
	}, true
}

// KeywordNames returns the keywords of the mailbox that the client was told of, by
// their bit in State. The slice must not be changed.
func (m *Mailbox) KeywordNames() []string { return m.names }

// Flags returns the flags of the mailbox for FLAGS and PERMANENTFLAGS; the
// latter ends in \* as long as new keywords are possible. The client counts as
// told of the keywords.
func (m *Mailbox) Flags() (all, permanent []imap.Flag) {
	b := m.box
	b.mu.Lock()
	m.learnKeywords()
	wildcard := b.hasRoomForKeyword()
	b.mu.Unlock()
	for _, f := range systemFlags {
		all = append(all, f.name)
	}
	for _, n := range m.names {
		all = append(all, imap.Flag(n))
	}
	if m.readOnly {
		return all, nil
	}
	for _, f := range systemFlags {
		if m.allowed.Flags&f.bit != 0 {
			permanent = append(permanent, f.name)
		}
	}
	if !m.allowed.Keywords {
		return all, permanent
	}
	for _, n := range m.names {
		permanent = append(permanent, imap.Flag(n))
	}
	if wildcard {
		permanent = append(permanent, imap.FlagWildcard)
	}
	return all, permanent
}

// AppendFlags appends the flags of a state with single spaces between them and
// without parentheses, and allocates nothing if dst has room.
func (m *Mailbox) AppendFlags(dst []byte, st State) []byte {
	start := len(dst)
	for i := range systemFlags {
		if st.Flags&systemFlags[i].bit != 0 {
			dst = append(dst, systemFlags[i].name...)
			dst = append(dst, ' ')
		}
	}
	if st.Recent {
		dst = append(dst, `\Recent `...)
	}
	if st.Keywords != 0 {
		for i, name := range m.names {
			if st.Keywords&(1<<i) != 0 {
				dst = append(dst, name...)
				dst = append(dst, ' ')
			}
		}
	}
	if len(dst) > start {
		dst = dst[:len(dst)-1]
	}
	return dst
}

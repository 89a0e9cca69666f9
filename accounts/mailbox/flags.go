package mailbox

import (
	"context"
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// Op says what SetFlags does with its flags.
type Op uint8

// The operations.
const (
	Set Op = iota
	Add
	Remove
)

// FlagSet are flags that somebody may change.
type FlagSet struct {
	Flags    Flags
	Keywords bool // all of them
}

// EveryFlag is all flags.
var EveryFlag = FlagSet{^Flags(0), true}

// Allow sets which flags SetFlags changes from now on and Flags calls permanent; others stay as they are. At first
// these are all.
func (m *Mailbox) Allow(flags FlagSet) { m.allowed = flags }

// SetResult is the outcome of SetFlags.
type SetResult struct {
	// Changed are the messages whose flags are now other than before.
	Changed []imap.UID
	// Modified are the messages that were left alone because they have changed
	// after unchangedSince (RFC 7162 3.1.3).
	Modified []imap.UID
	// ModSeq is the highest change number that Changed have got, or 0: many messages change in
	// several commits. Messages that were expunged elsewhere and are still in the view change without one.
	ModSeq uint64
}

// NoCondition as unchangedSince of SetFlags lets every message pass.
const NoCondition = ^uint64(0)

// SetFlags changes flags of messages of the view. unchangedSince restricts it
// to messages whose ModSeq is not above; pass NoCondition for an ordinary
// STORE. UIDs that are not in the view are skipped. Nothing is committed when
// nothing changes. A keyword that is new to the mailbox is in the states of the
// view only after Sync has announced it, so call Sync before the answer. Keywords for which
// the mailbox has no room are left out (RFC 9051 section 7.1, PERMANENTFLAGS).
// Errors: ReadOnly, Invalid (a bad keyword), TooMany (all were left out), NoMailbox; what earlier commits
// have changed is in the result even then.
func (m *Mailbox) SetFlags(ctx context.Context, uids []imap.UID, op Op, flags []imap.Flag, unchangedSince uint64) (SetResult, error) {
	if m.readOnly {
		return SetResult{}, fault.New("mailbox.SetFlags", fault.ReadOnly, "")
	}
	system, names, err := splitFlags(flags)
	if err != nil {
		return SetResult{}, err
	}
	uids = m.inView(uids)
	if !m.allowed.Keywords {
		names = nil
	}
	s := storeFlags{op: op, system: system & m.allowed.Flags, names: names, since: unchangedSince, allowed: m.allowed}
	if m.settled(uids, &s) {
		return SetResult{}, nil
	}
	var all SetResult
	for part := range slices.Chunk(uids, maxChange) {
		res, err := m.setFlags(ctx, part, s)
		if err != nil {
			return all, err
		}
		all.Changed = append(all.Changed, res.Changed...)
		all.Modified = append(all.Modified, res.Modified...)
		all.ModSeq = max(all.ModSeq, res.ModSeq)
	}
	if op != Remove {
		m.box.account.filed(Filing{From: m.name, To: m.name, UIDs: all.Changed, Flags: flags})
	}
	return all, nil
}

// setFlags changes flags in one commit.
func (m *Mailbox) setFlags(ctx context.Context, uids []imap.UID, s storeFlags) (res SetResult, err error) {
	end, err := m.box.account.turn(ctx, len(uids))
	if err != nil {
		return res, err
	}
	defer end()
	var missing []imap.UID
	err = m.box.account.update(ctx, func(e *edit) error {
		res, missing = SetResult{}, missing[:0]
		x, err := e.box(m.box.id)
		if err != nil {
			return err
		}
		x.origin = m
		if s.bits, err = x.storeBits(&s); err != nil {
			return err
		}
		err = x.setFlags(uids, func(uid imap.UID, st *state) {
			if st.modSeq > s.since {
				res.Modified = append(res.Modified, uid)
				return
			}
			was := *st
			if s.apply(st); *st != was {
				res.Changed = append(res.Changed, uid)
			}
		}, func(uid imap.UID) { missing = append(missing, uid) })
		res.ModSeq = e.changed
		return err
	})
	if err != nil {
		return SetResult{}, err
	}
	if len(missing) > 0 {
		res.Changed = append(res.Changed, m.setHeld(missing, &s)...)
		slices.Sort(res.Changed)
	}
	return res, nil
}

// storeFlags is a change of flags, ready to be applied.
type storeFlags struct {
	op      Op
	system  Flags
	names   []string // keywords, and their bits once they are known
	bits    uint64
	since   uint64
	allowed FlagSet // system and names are among them
}

func (s *storeFlags) apply(st *state) {
	switch s.op {
	case Set:
		st.flags = st.flags&^s.allowed.Flags | s.system
		if s.allowed.Keywords {
			st.keywords = s.bits
		}
	case Add:
		st.flags |= s.system
		st.keywords |= s.bits
	case Remove:
		st.flags &^= s.system
		st.keywords &^= s.bits
	}
}

// storeBits returns the bits of the keywords; they are put on the mailbox's
// list unless they are only to be removed. Keywords without room are left out if
// anything else is to be set.
func (x *boxEdit) storeBits(s *storeFlags) (uint64, error) {
	bits, rest, err := x.keywordBits(s.names, s.op != Remove)
	if err == nil && len(rest) > 0 && bits == 0 && s.system == 0 {
		err = fault.Newf("mailbox.flags", fault.TooMany, "a mailbox has at most %d keywords", maxKeywords)
	}
	return bits, err
}

// inView returns the UIDs that the view shows, in order and each once.
func (m *Mailbox) inView(uids []imap.UID) []imap.UID {
	if !slices.IsSorted(uids) {
		uids = slices.Sorted(slices.Values(uids))
	}
	in := make([]imap.UID, 0, len(uids))
	view := m.uids
	for _, uid := range uids {
		i, ok := slices.BinarySearch(view, uid)
		view = view[i:]
		if ok {
			in = append(in, uid)
			view = view[1:]
		}
	}
	return in
}

// settled reports whether a change changes nothing, by what is in memory: then
// there is nothing to commit.
func (m *Mailbox) settled(uids []imap.UID, s *storeFlags) bool {
	if s.since != NoCondition {
		return false
	}
	b := m.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, n := range s.names {
		i := indexFold(b.keywords, n)
		if i >= 0 {
			s.bits |= 1 << i
		} else if s.op != Remove {
			return false
		}
	}
	for _, uid := range uids {
		i, ok := b.find(uid)
		if !ok {
			continue
		}
		was := state{flags: b.flags[i], keywords: b.keywordsAt(i)}
		is := was
		if s.apply(&is); is != was {
			return false
		}
	}
	return true
}

// setHeld changes flags of messages that are gone from the mailbox and still
// in the view (RFC 9051 section 6.4.6: STORE answers for them as for others).
func (m *Mailbox) setHeld(uids []imap.UID, s *storeFlags) (changed []imap.UID) {
	b := m.box
	b.mu.Lock()
	defer b.mu.Unlock()
	s.bits = 0 // others may have changed the list since
	for _, n := range s.names {
		if i := indexFold(b.keywords, n); i >= 0 {
			s.bits |= 1 << i
		}
	}
	for _, uid := range uids {
		i, ok := b.find(uid)
		if !ok {
			continue
		}
		st := state{flags: b.flags[i], keywords: b.keywordsAt(i)}
		was := st
		if s.apply(&st); st != was {
			b.flags[i] = st.flags
			b.setBits(i, st.keywords)
			changed = append(changed, uid)
		}
	}
	return changed
}

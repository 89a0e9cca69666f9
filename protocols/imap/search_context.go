package imap

import (
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267): the client is told how the result of a SEARCH or SORT changes. CONTEXT itself is a hint that needs
// nothing here.

const (
	// maxContexts bounds the results of one session whose changes are told, and maxFollowed the messages in them.
	maxContexts = 10
	maxFollowed = 500_000
)

// searchContext is a result whose changes are told.
type searchContext struct {
	tag      string
	uid      bool
	program  *searchProgram
	criteria []sortCriterion // of SORT
	uids     []imap.UID      // the result, in its order; that of SEARCH ascends
	modSeq   uint64          // messages with a greater one are to be looked at
}

// follow has the changes of a result told from now on, or tells that they are not.
func (x searching) follow(c *call, found []uint32, criteria []sortCriterion) {
	total := len(found)
	for _, f := range x.follows {
		total += len(f.uids)
	}
	switch {
	case x.ranked:
		x.refuseUpdate(c.tag, "A result in the order of relevancy is not followed")
		return
	case x.numbers || x.dollar:
		x.refuseUpdate(c.tag, "A result of sequence numbers or $ is not followed")
		return
	case len(x.follows) >= maxContexts || total > maxFollowed:
		x.refuseUpdate(c.tag, "Too many results are followed")
		return
	}
	f := &searchContext{tag: c.tag, uid: c.uid, program: x.searchProgram, criteria: criteria}
	for _, seq := range found {
		f.uids = append(f.uids, x.mailbox.UID(int(seq)))
	}
	f.modSeq = x.newest()
	x.view.follows = append(slices.DeleteFunc(x.follows, func(old *searchContext) bool { return old.tag == f.tag }), f)
}

func (x searching) refuseUpdate(tag, why string) {
	x.out.Raw("* NO [NOUPDATE ").String(tag).Raw("] ").Raw(why).CRLF()
}

// newest returns the greatest MODSEQ of the messages.
func (v *view) newest() (newest uint64) {
	for seq := 1; seq <= v.mailbox.Len(); seq++ {
		if st, ok := v.mailbox.StateAt(seq); ok {
			newest = max(newest, st.ModSeq)
		}
	}
	return newest
}

// cancelUpdate is CANCELUPDATE.
func cancelUpdate(s *session, c *call, p *wire.Parser) error {
	var tags []string
	for p.SkipSpace() {
		if tags = append(tags, string(p.AString())); len(tags) > maxContexts {
			p.Limit("more than %d tags", maxContexts)
			break
		}
	}
	if len(tags) == 0 {
		p.Fail("a tag expected")
	}
	if err := p.End(); err != nil {
		return err
	}
	for _, tag := range tags {
		at := slices.IndexFunc(s.view.follows, func(f *searchContext) bool { return f.tag == tag })
		if at < 0 {
			return wire.Bad("no result with this tag is followed")
		}
		s.view.follows = slices.Delete(s.view.follows, at, at+1)
	}
	return nil
}

// change is a part of an ADDTO or REMOVEFROM: messages at a position, which is 0 where the order means nothing.
type change struct {
	position int
	uids     []imap.UID
}

// put writes changes. The numbers are those of a list of UIDs.
func (f *searchContext) put(v *view, word string, changes []change, all []imap.UID) {
	if len(changes) == 0 {
		return
	}
	v.out.Raw("* ESEARCH (TAG ").String(f.tag).Byte(')')
	if f.uid {
		v.out.Raw(" UID")
	}
	v.out.Byte(' ').Raw(word).Raw(" (")
	for i, c := range changes {
		if i > 0 {
			v.out.Byte(' ')
		}
		numbers := make([]uint32, len(c.uids))
		for i, uid := range c.uids {
			if numbers[i] = uint32(uid); !f.uid {
				seq, _ := slices.BinarySearch(all, uid)
				numbers[i] = uint32(seq) + 1
			}
		}
		v.out.Number(uint64(c.position)).Byte(' ').Set(wire.AppendSet(v.out.Buf(), numbers))
		v.out.Spill()
	}
	v.out.Byte(')').CRLF()
}

// unfollow tells which messages of results are expunged, before the client is told that they are: their sequence numbers are still right.
func (v *view) unfollow(u *mailbox.Update, before []imap.UID) {
	if len(u.ExpungedUIDs) == 0 {
		return
	}
	for _, f := range v.follows {
		f.put(v, "REMOVEFROM", f.remove(u.ExpungedUIDs), before)
	}
}

// remove takes messages out of the result.
func (f *searchContext) remove(uids []imap.UID) (changes []change) {
	if f.criteria == nil {
		var gone []imap.UID
		for _, uid := range uids {
			if at, ok := slices.BinarySearch(f.uids, uid); ok {
				f.uids = slices.Delete(f.uids, at, at+1)
				gone = append(gone, uid)
			}
		}
		if len(gone) > 0 {
			changes = append(changes, change{0, gone})
		}
		return changes
	}
	for _, uid := range uids {
		if at := slices.Index(f.uids, uid); at >= 0 {
			f.uids = slices.Delete(f.uids, at, at+1)
			changes = append(changes, change{at + 1, []imap.UID{uid}})
		}
	}
	return changes
}

// refresh looks at the messages that have changed, and tells which of them have come to the result or left it.
func (f *searchContext) refresh(v *view) {
	var changed []int
	newest := f.modSeq
	for seq := 1; seq <= v.mailbox.Len(); seq++ {
		if st, ok := v.mailbox.StateAt(seq); ok && st.ModSeq > f.modSeq {
			changed = append(changed, seq)
			newest = max(newest, st.ModSeq)
		}
	}
	if len(changed) == 0 {
		return
	}
	f.modSeq = newest
	x := searching{view: v, searchProgram: f.program}
	if x.prepare(&x.root) != nil {
		return // it was right for the command
	}
	m := newCandidate(x)
	defer m.release()
	var in, out []imap.UID
	for _, seq := range changed {
		st, _ := v.mailbox.StateAt(seq)
		m.next(seq, st)
		fits := m.fits(&x.root)
		switch {
		case m.err == nil && fits:
			in = append(in, st.UID)
		case m.err == nil, fault.Is(m.err, fault.NoMessage), fault.Is(m.err, fault.Corrupt):
			out = append(out, st.UID)
		default: // the session ends, or the disk fails: the client is not told anything wrong
			v.log.Log(v.ctx, logs.LevelFailure, "cannot look at a message", "uid", st.UID, logs.AttrError, m.err)
			return
		}
	}
	f.put(v, "REMOVEFROM", f.remove(out), v.mailbox.UIDs())
	f.put(v, "ADDTO", f.add(v, in), v.mailbox.UIDs())
}

// add puts messages into the result that are not there yet.
func (f *searchContext) add(v *view, uids []imap.UID) (changes []change) {
	if f.criteria == nil {
		var come []imap.UID
		for _, uid := range uids {
			if at, there := slices.BinarySearch(f.uids, uid); !there {
				f.uids = slices.Insert(f.uids, at, uid)
				come = append(come, uid)
			}
		}
		if len(come) > 0 {
			changes = append(changes, change{0, come})
		}
		return changes
	}
	x := newSortReader(v)
	defer x.close()
	values := func(uid imap.UID) (list []sortValue) {
		seq, _ := v.mailbox.Seq(uid)
		if err := x.next(seq, 0, 0); err != nil {
			return make([]sortValue, len(f.criteria))
		}
		for _, c := range f.criteria {
			list = append(list, x.value(c.field))
		}
		return list
	}
	for _, uid := range uids {
		if slices.Contains(f.uids, uid) {
			continue
		}
		mine := values(uid)
		at, _ := slices.BinarySearchFunc(f.uids, uid, func(other, uid imap.UID) int {
			if n := compareBy(f.criteria, values(other), mine); n != 0 {
				return n
			}
			return int(int64(other) - int64(uid))
		})
		f.uids = slices.Insert(f.uids, at, uid)
		changes = append(changes, change{at + 1, []imap.UID{uid}})
	}
	return changes
}

package imap

import (
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
)

// update sends the changes of the selected mailbox since the last call, including messages that the session
// itself has added or expunged. It reports false if the mailbox is deleted: then the session has
// to end, see byeDeleted.
func (v *view) update(allowExpunge bool) bool {
	var before []imap.UID // what was there, for those who are told what is new
	if len(v.follows) > 0 || v.events != nil && v.events.fetch != nil {
		// Right after SELECT the messages are still being loaded.
		if err := v.mailbox.Load(v.ctx); err == nil {
			before = v.mailbox.UIDs()
		}
	}
	u := v.mailbox.Sync(allowExpunge)
	if u.Gone {
		return false
	}
	sent := uint64(0) // the greatest MODSEQ
	v.unfollow(&u, before)
	v.putExpunged(&u)
	if u.Exists >= 0 {
		v.out.Raw("* ").Number(uint64(u.Exists)).Raw(" EXISTS").CRLF()
	}
	if !v.rev2 && (u.Exists >= 0 || u.Recent != v.recent) {
		v.out.Raw("* ").Number(uint64(u.Recent)).Raw(" RECENT").CRLF()
	}
	v.recent = u.Recent
	if u.NewKeywords {
		v.putFlagLists()
	}
	if v.events != nil && v.events.fetch != nil && u.Exists >= 0 {
		sent = v.putNew(before)
	}
	for _, seq := range u.Flags {
		if v.events == nil || v.events.events.has(flagChange) {
			sent = max(sent, v.putFlags(seq, false))
		}
	}
	for _, f := range v.follows {
		f.refresh(v)
	}
	// A message may have changed again after Sync. What else has changed then is not told yet.
	if v.qresync && u.Held || v.condstore && sent > u.HighestModSeq {
		v.putHighestModSeq(u.HighestModSeq)
	}
	return true
}

// putNew sends what NOTIFY wants to know of new messages: those behind the ones that there were before.
func (v *view) putNew(before []imap.UID) (newest uint64) {
	var last imap.UID
	if n := len(before); n > 0 {
		last = before[n-1]
	}
	first, _ := slices.BinarySearch(v.mailbox.UIDs(), last+1)
	if first >= v.mailbox.Len() {
		return 0
	}
	x := fetching{view: v, plan: v.events.fetch}
	// What cannot be read is logged, and the client finds it out when it fetches the message.
	_, _ = x.ranges([]wire.Range{{Low: uint32(first) + 1, High: uint32(v.mailbox.Len())}}, false)
	for seq := first + 1; seq <= v.mailbox.Len(); seq++ {
		if st, ok := v.mailbox.StateAt(seq); ok {
			newest = max(newest, st.ModSeq)
		}
	}
	return newest
}

// putExpunged tells the client of messages that its view shows no more.
func (v *view) putExpunged(u *mailbox.Update) {
	if len(u.Expunged) == 0 {
		return
	}
	if v.qresync || v.uidOnly {
		v.out.Raw("* VANISHED ").Set(wire.AppendSet(v.out.Buf(), u.ExpungedUIDs))
		v.out.CRLF()
		return
	}
	for _, seq := range u.Expunged {
		v.out.Raw("* ").Number(uint64(seq)).Raw(" EXPUNGE").CRLF()
	}
}

// byeDeleted ends the session because the selected mailbox is deleted: a new mailbox of
// the same name could use the same UIDs for other messages. The command under way is
// answered before, or the client would repeat it in its next session.
func (s *session) byeDeleted() { s.bye("mailbox deleted", "The selected mailbox has been deleted") }

// putFlagLists writes FLAGS and PERMANENTFLAGS.
func (v *view) putFlagLists() {
	all, permanent := v.mailbox.Flags()
	v.out.Raw("* FLAGS ")
	v.putFlagList(all)
	v.out.CRLF()
	v.out.Raw("* OK [PERMANENTFLAGS ")
	v.putFlagList(permanent)
	v.out.Raw("] Flags that can be changed").CRLF()
}

func (r *responder) putFlagList(flags []imap.Flag) {
	r.out.Byte('(')
	for i, f := range flags {
		if i > 0 {
			r.out.Byte(' ')
		}
		r.out.Raw(string(f))
	}
	r.out.Byte(')')
}

// putFlags writes a FETCH response with the flags of a message of the view. The UID is in it if it is asked for, or if
// the client has enabled what demands it (RFC 9051 section 7.5.2, RFC 7162 section 3.2.4).
func (v *view) putFlags(seq int, withUID bool) (modSeq uint64) {
	st, ok := v.mailbox.StateAt(seq)
	if !ok {
		return 0
	}
	v.beginFetch(seq, st.UID, withUID)
	v.out.Raw("FLAGS (")
	st.Recent = st.Recent && !v.rev2
	v.out.Set(v.mailbox.AppendFlags(v.out.Buf(), st))
	v.out.Byte(')')
	if v.condstore {
		v.out.Byte(' ')
		v.putModSeq(st.ModSeq)
	}
	v.out.Byte(')').CRLF()
	return st.ModSeq
}

// beginFetch writes the beginning of a FETCH response about changes.
func (r *responder) beginFetch(seq int, uid imap.UID, withUID bool) {
	r.out.Set(r.appendFetch(r.out.Buf(), seq, uid))
	if (withUID || r.rev2 || r.qresync) && !r.uidOnly {
		r.out.Raw("UID ").Number(uint64(uid)).Byte(' ')
	}
}

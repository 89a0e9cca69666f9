package imap

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
)

// update sends the changes of the selected mailbox since the last call, including messages that the session
// itself has added or expunged. It reports false if the mailbox is deleted: then the session has
// to end, see byeDeleted.
func (s *session) update(allowExpunge bool) bool {
	u := s.mailbox.Sync(allowExpunge)
	if u.Gone {
		return false
	}
	s.putExpunged(&u)
	if u.Exists >= 0 {
		s.out.Raw("* ").Number(uint64(u.Exists)).Raw(" EXISTS").CRLF()
	}
	if !s.rev2 && (u.Exists >= 0 || u.Recent != s.recent) {
		s.out.Raw("* ").Number(uint64(u.Recent)).Raw(" RECENT").CRLF()
	}
	s.recent = u.Recent
	if u.NewKeywords {
		s.putFlagLists()
	}
	for _, seq := range u.Flags {
		s.putFlags(seq, false)
	}
	if s.qresync && u.Held {
		s.putHighestModSeq(u.HighestModSeq)
	}
	return true
}

// putExpunged tells the client of messages that its view shows no more.
func (s *session) putExpunged(u *mailbox.Update) {
	if len(u.Expunged) == 0 {
		return
	}
	if s.qresync || s.uidOnly {
		s.out.Raw("* VANISHED ").Set(wire.AppendSet(s.out.Buf(), u.ExpungedUIDs))
		s.out.CRLF()
		return
	}
	for _, seq := range u.Expunged {
		s.out.Raw("* ").Number(uint64(seq)).Raw(" EXPUNGE").CRLF()
	}
}

// byeDeleted ends the session because the selected mailbox is deleted: a new mailbox of
// the same name could use the same UIDs for other messages. The command under way is
// answered before, or the client would repeat it in its next session.
func (s *session) byeDeleted() { s.bye("mailbox deleted", "The selected mailbox has been deleted") }

// putFlagLists writes FLAGS and PERMANENTFLAGS.
func (s *session) putFlagLists() {
	all, permanent := s.mailbox.Flags()
	s.out.Raw("* FLAGS ")
	s.putFlagList(all)
	s.out.CRLF()
	s.out.Raw("* OK [PERMANENTFLAGS ")
	s.putFlagList(permanent)
	s.out.Raw("] Flags that can be changed").CRLF()
}

func (s *session) putFlagList(flags []imap.Flag) {
	s.out.Byte('(')
	for i, f := range flags {
		if i > 0 {
			s.out.Byte(' ')
		}
		s.out.Raw(string(f))
	}
	s.out.Byte(')')
}

// putFlags writes a FETCH response with the flags of a message of the view. The UID is in it if it is asked for, or if
// the client has enabled what demands it (RFC 9051 section 7.5.2, RFC 7162 section 3.2.4).
func (s *session) putFlags(seq int, withUID bool) {
	st, ok := s.mailbox.StateAt(seq)
	if !ok {
		return
	}
	s.beginFetch(seq, st.UID, withUID)
	s.out.Raw("FLAGS (")
	st.Recent = st.Recent && !s.rev2
	s.out.Set(s.mailbox.AppendFlags(s.out.Buf(), st))
	s.out.Byte(')')
	if s.condstore {
		s.out.Byte(' ')
		s.putModSeq(st.ModSeq)
	}
	s.out.Byte(')').CRLF()
}

// beginFetch writes the beginning of a FETCH response about changes.
func (s *session) beginFetch(seq int, uid imap.UID, withUID bool) {
	s.out.Set(s.appendFetch(s.out.Buf(), seq, uid))
	if (withUID || s.rev2 || s.qresync) && !s.uidOnly {
		s.out.Raw("UID ").Number(uint64(uid)).Byte(' ')
	}
}

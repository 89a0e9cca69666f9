package imap

import (
	imap "github.com/emersion/go-imap/v2"
)

// update sends the changes of the selected mailbox since the last call, including messages that the session
// itself has added or expunged. It reports false if the mailbox is deleted: then the session has
// to end, see byeDeleted.
func (s *session) update(allowExpunge bool) bool {
	u := s.mailbox.Sync(allowExpunge)
	if u.Gone {
		return false
	}
	for _, seq := range u.Expunged {
		s.out.Raw("* ").Number(uint64(seq)).Raw(" EXPUNGE").CRLF()
	}
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
		s.putFlags(seq, s.rev2)
	}
	return true
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

// putFlags writes a FETCH response with the flags of a message of the view.
func (s *session) putFlags(seq int, withUID bool) {
	st, ok := s.mailbox.StateAt(seq)
	if !ok {
		return
	}
	s.out.Raw("* ").Number(uint64(seq)).Raw(" FETCH (")
	if withUID {
		s.out.Raw("UID ").Number(uint64(st.UID)).Byte(' ')
	}
	s.out.Raw("FLAGS (")
	st.Recent = st.Recent && !s.rev2
	s.out.Set(s.mailbox.AppendFlags(s.out.Buf(), st))
	s.out.Raw("))").CRLF()
}

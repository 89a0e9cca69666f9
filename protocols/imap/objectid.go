package imap

import (
	"strconv"
	"strings"

	"gatepost/accounts/access"
	"gatepost/protocols/imap/wire"
)

// OBJECTID (RFC 8474): numbers of mailboxes and messages that outlive renaming and copying. The letter at the beginning keeps the
// kinds apart, as section 4 advises.

// mailboxID returns the MAILBOXID of a mailbox. Its number is unique in its account only, and a user sees mailboxes of several.
func mailboxID(o *access.Owner, id uint32) string {
	return "F" + strconv.FormatUint(o.Account.ID, 10) + "-" + strconv.FormatUint(uint64(id), 10)
}

// putMessageID writes an EMAILID or THREADID item. A message without a thread has NIL.
func (r *responder) putMessageID(item string, letter byte, id uint64) {
	r.out.Raw(item).Byte(' ')
	if id == 0 {
		r.out.Raw("NIL")
		return
	}
	r.out.Byte('(').Byte(letter).Number(id).Byte(')')
}

// parseMessageID reads the argument of the search keys EMAILID and THREADID. What no message can have is 0.
func parseMessageID(p *wire.Parser, letter string) uint64 {
	digits, found := strings.CutPrefix(string(p.Atom()), letter)
	id, err := strconv.ParseUint(digits, 10, 64)
	if !found || err != nil {
		return 0
	}
	return id
}

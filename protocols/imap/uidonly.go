package imap

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/protocols/imap/wire"
)

// UIDONLY (RFC 9586): sequence numbers are in no command and in no response. Then messages are named by UIDs, FETCH responses are
// called UIDFETCH, and VANISHED takes the place of EXPUNGE.

// errUIDRequired refuses a sequence number.
func errUIDRequired() error {
	return wire.Bad("[UIDREQUIRED] Sequence numbers cannot be used after ENABLE UIDONLY")
}

// appendFetch appends the beginning of a FETCH or UIDFETCH response.
func (r *responder) appendFetch(b []byte, seq int, uid imap.UID) []byte {
	b = append(b, "* "...)
	if r.uidOnly {
		return append(wire.AppendNumber(b, int64(uid)), " UIDFETCH ("...)
	}
	return append(wire.AppendNumber(b, int64(seq)), " FETCH ("...)
}

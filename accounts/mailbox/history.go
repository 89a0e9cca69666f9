package mailbox

import (
	"encoding/binary"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// maxHistory bounds how many ranges of expunged UIDs a mailbox remembers
// (RFC 7162 section 3.2.7 lets a server forget old ones).
const maxHistory = 4096

// appendRange adds a UID, above all before, to a list of ranges.
func appendRange(ranges []imap.UIDRange, uid imap.UID) []imap.UIDRange {
	if n := len(ranges); n > 0 && ranges[n-1].Stop+1 == uid {
		ranges[n-1].Stop = uid
		return ranges
	}
	return append(ranges, imap.UIDRange{Start: uid, Stop: uid})
}

// marshalRanges writes ascending ranges as the distance from the end of the one before
// and the length.
func marshalRanges(ranges []imap.UIDRange) []byte {
	b := make([]byte, 0, 4*len(ranges))
	var last imap.UID
	for _, r := range ranges {
		b = binary.AppendUvarint(b, uint64(r.Start-last))
		b = binary.AppendUvarint(b, uint64(r.Stop-r.Start))
		last = r.Stop
	}
	return b
}

func unmarshalRanges(b []byte) ([]imap.UIDRange, error) {
	d := decoder{b: b}
	var ranges []imap.UIDRange
	var last imap.UID
	for len(d.b) > 0 && !d.bad {
		start := last + imap.UID(d.uint32())
		stop := start + imap.UID(d.uint32())
		if start == 0 || start < last || stop < start {
			return nil, corrupt("expunge history")
		}
		ranges = append(ranges, imap.UIDRange{Start: start, Stop: stop})
		last = stop
	}
	return ranges, d.err("expunge history")
}

// remember writes the UIDs that the edit's change has expunged, and forgets
// the oldest ones when there are too many ranges.
func (x *boxEdit) remember(ranges []imap.UIDRange) error {
	e := x.edit
	account := e.account.id
	modSeq := e.change()
	if len(ranges) <= maxHistory {
		x.rec.ranges += uint32(len(ranges))
		if err := e.tx.Put(index.Mail, e.key.history(account, x.rec.data, modSeq), marshalRanges(ranges)); err != nil {
			return err
		}
	} else { // older ones may stay only if this one does
		x.rec.floor = modSeq
	}
	if x.rec.ranges <= maxHistory && len(ranges) <= maxHistory {
		return nil
	}
	return x.forgetHistory(len(ranges) > maxHistory)
}

// forgetHistory removes the oldest ranges until few enough are left, or all.
func (x *boxEdit) forgetHistory(all bool) error {
	e := x.edit
	from := append([]byte(nil), e.key.numbered(e.account.id, kindHistory, x.rec.data)...)
	var keys [][]byte
	var failed error
	e.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		if !all && x.rec.ranges <= maxHistory*3/4 {
			return false
		}
		ranges, err := unmarshalRanges(v)
		failed = err
		keys = append(keys, append([]byte(nil), k...))
		x.rec.ranges -= min(x.rec.ranges, uint32(len(ranges)))
		x.rec.floor = max(x.rec.floor, binary.BigEndian.Uint64(k[len(k)-8:]))
		return err == nil
	})
	for _, k := range keys {
		if err := e.tx.Delete(index.Mail, k); err != nil {
			return err
		}
	}
	return failed
}

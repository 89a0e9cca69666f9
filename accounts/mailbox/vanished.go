package mailbox

import (
	"context"
	"encoding/binary"
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// Vanished returns the UIDs that were expunged after a ModSeq and that the view
// does not show, for VANISHED (EARLIER) (RFC 7162 section 3.2.10). Where
// the history does not reach back so far, they are all UIDs below UIDNEXT that
// no message has.
func (m *Mailbox) Vanished(ctx context.Context, since uint64) (set imap.UIDSet, err error) {
	b := m.box
	var ranges []imap.UIDRange
	err = b.account.shard.View(func(tx index.Tx) error {
		rec, err := readMailbox(tx, b.account.id, b.id)
		if err != nil {
			return err
		}
		if since < rec.floor {
			ranges = []imap.UIDRange{{Start: 1, Stop: m.Info().UIDNext - 1}}
			return nil
		}
		ranges, err = historySince(tx, b.account.id, rec.data, since)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(ranges, func(a, b imap.UIDRange) int { return int(int64(a.Start) - int64(b.Start)) })
	return without(ranges, m.uids), nil
}

// historySince returns the ranges expunged after a ModSeq, in the order of
// their expunges.
func historySince(tx index.Tx, account uint64, data uint32, since uint64) (all []imap.UIDRange, err error) {
	var first, end keyBuffer
	tx.Range(index.Mail, first.history(account, data, since+1), after(end.numbered(account, kindHistory, data)),
		func(k, v []byte) bool {
			if binary.BigEndian.Uint64(k[len(k)-8:]) <= since { // since+1 was 0
				return true
			}
			var ranges []imap.UIDRange
			ranges, err = unmarshalRanges(v)
			all = append(all, ranges...)
			return err == nil
		})
	return all, err
}

// without joins ranges, which ascend by their starts, and takes UIDs out of them.
func without(ranges []imap.UIDRange, uids []imap.UID) (set imap.UIDSet) {
	next := imap.UID(1) // what is below is done
	for _, r := range ranges {
		start := max(r.Start, next)
		if start > r.Stop {
			continue
		}
		from, _ := slices.BinarySearch(uids, start)
		for _, uid := range uids[from:] {
			if uid > r.Stop {
				break
			}
			set = addRange(set, start, uid)
			start = uid + 1
		}
		set = addRange(set, start, r.Stop+1)
		next = r.Stop + 1
	}
	return set
}

// addRange adds the UIDs from start to before end, above all that the set has.
func addRange(set imap.UIDSet, start, end imap.UID) imap.UIDSet {
	if start >= end {
		return set
	}
	if n := len(set); n > 0 && set[n-1].Stop+1 == start {
		set[n-1].Stop = end - 1
		return set
	}
	return append(set, imap.UIDRange{Start: start, Stop: end - 1})
}

package fulltext

import (
	"context"
	"encoding/binary"
	"fmt"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// segmentNumbers returns the numbers of an account's segments, also of those that are damaged.
func segmentNumbers(tx index.Tx, account uint64) (list []uint64) {
	from, to := binary.BigEndian.AppendUint64(nil, account), binary.BigEndian.AppendUint64(nil, account+1)
	for _, b := range []index.Bucket{index.Mail, index.Content} {
		tx.Range(b, from, to, func(k, _ []byte) bool {
			if len(k) >= 16 {
				list = append(list, binary.BigEndian.Uint64(k[8:]))
			}
			return true
		})
	}
	return list
}

// check reads all segments of a store.
func check(ctx context.Context, store *index.Store, report func(string)) error {
	for _, sh := range store.Shards() {
		var next []byte
		for {
			var account uint64
			found := false
			err := sh.View(func(tx index.Tx) error {
				tx.Range(index.Mail, next, nil, func(k, _ []byte) bool {
					if len(k) >= 8 {
						account, found = binary.BigEndian.Uint64(k), true
					}
					return false
				})
				if !found {
					return nil
				}
				list, err := segments(tx, account)
				for _, s := range list {
					if err == nil {
						var one []*source
						one, err = readSources(tx, account, []*segment{s})
						for _, src := range one {
							err = src.verify(err)
						}
					}
				}
				return err
			})
			if err != nil && !fault.Is(err, fault.Corrupt) {
				return err
			}
			if err != nil {
				report(fmt.Sprintf("%s: the search index of account %d: %s; it is made anew when the account is used", Directory, account, fault.Explain(err)))
			}
			if !found || account == 1<<64-1 {
				break
			}
			if err := ctx.Err(); err != nil {
				return fault.Wrap("fulltext.Check", fault.Canceled, err)
			}
			next = binary.BigEndian.AppendUint64(next[:0], account+1)
		}
	}
	return nil
}

// verify reads all words and lists of a segment.
func (s *source) verify(err error) error {
	for f := range fieldCount {
		if err != nil {
			return err
		}
		d, ok := openDictionary(s.values[f], len(s.files))
		if ok {
			ok = d.from(nil, func(_ []byte, list int) bool { return d.each(list, func(int) {}) })
		}
		if !ok {
			err = damaged("segment")
		}
	}
	return err
}

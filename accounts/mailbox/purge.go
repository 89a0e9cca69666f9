package mailbox

import (
	"context"
	"encoding/binary"

	"gatepost/accounts/index"
)

// purgeKeys bounds how many records of a deleted mailbox one commit removes.
const purgeKeys = 1000

// findDrops looks for mailboxes that were deleted before the start and still
// have records. Those of accounts that are gone go at once, the others when
// the account is used, since their files have to go with them.
func (u *upkeep) findDrops() {
	u.waiting = make(map[uint64][]uint32)
	for _, sh := range u.store.index.Shards() {
		err := sh.View(func(tx index.Tx) error {
			tx.Range(index.Dropped, nil, nil, func(k, _ []byte) bool {
				account, data := binary.BigEndian.Uint64(k), lastUint32(k)
				if _, err := readAccount(tx, account); err != nil {
					u.drops = append(u.drops, drop{shard: sh, account: account, data: data})
				} else {
					u.waiting[account] = append(u.waiting[account], data)
				}
				return true
			})
			return nil
		})
		u.report("search for deleted mailboxes", 0, err)
	}
}

// purge removes the records of a deleted mailbox and then their files. A crash
// in between leaves files that nothing names; sweep finds them, by their notes.
func (u *upkeep) purge(d drop) error {
	for done := false; !done; {
		var gone []doomed
		var err error
		if gone, done, err = u.purgeStep(d); err != nil {
			return err
		}
		u.unlinkAll(gone)
	}
	return nil
}

// purgeStep removes some records of a deleted mailbox, and returns the files to be unlinked.
func (u *upkeep) purgeStep(d drop) (gone []doomed, done bool, err error) {
	var files []fileRef
	err = d.shard.UpdateFreeing(context.Background(), func(tx index.Tx) (err error) {
		if files, done, err = purgeSome(tx, d.account, d.data); err != nil || d.handle == nil {
			return err
		}
		if _, err := readAccount(tx, d.account); err != nil {
			return nil // all its files go with it
		}
		for _, f := range files {
			if err := d.handle.noteRemoved(tx, f); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		for _, f := range files {
			if d.handle != nil && d.handle.files.unwant(f.id) {
				gone = append(gone, doomed{d.handle, f})
			}
		}
	})
	return gone, done, err
}

// purgeSome removes some records of a deleted mailbox and returns the files
// that they named; done is true with the last.
func purgeSome(tx index.Tx, account uint64, data uint32) (files []fileRef, done bool, err error) {
	left := purgeKeys
	type record struct {
		bucket index.Bucket
		key    []byte
	}
	var all []record
	scan := func(b index.Bucket, prefix []byte, fn func(k, v []byte)) {
		if left == 0 {
			return
		}
		from := append([]byte(nil), prefix...)
		tx.Range(b, from, after(from), func(k, v []byte) bool {
			all = append(all, record{b, append([]byte(nil), k...)})
			if fn != nil {
				fn(k, v)
			}
			left--
			return left > 0
		})
	}
	var k keyBuffer
	scan(index.Mail, k.numbered(account, kindSummary, data), func(k, v []byte) {
		for len(v) > 0 {
			_, s, rest, ok := nextSummary(v, lastUint32(k))
			if !ok {
				return // damaged: the files are leftovers
			}
			files, v = append(files, s.file()), rest
		}
	})
	scan(index.Mail, k.numbered(account, kindState, data), nil)
	scan(index.Mail, k.numbered(account, kindHistory, data), nil)
	scan(index.Mail, k.numbered(account, kindKeywords, data), nil)
	scan(index.Content, k.dropped(account, data), nil) // account and data begin these keys too
	for _, r := range all {
		if err := tx.Delete(r.bucket, r.key); err != nil {
			return nil, false, err
		}
	}
	if left == 0 {
		return files, false, nil
	}
	return files, true, tx.Delete(index.Dropped, k.dropped(account, data))
}

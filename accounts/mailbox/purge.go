package mailbox

import (
	"context"
	"encoding/binary"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
)

// purgeKeys bounds how many records one commit removes.
const purgeKeys = 1000

// findDrops looks for what accounts that are gone still have records of. What other accounts
// have goes when they are used, see dropLeftovers.
func (u *upkeep) findDrops() {
	for _, sh := range u.store.index.Shards() {
		err := sh.View(func(tx index.Tx) error {
			tx.Range(index.Dropped, nil, nil, func(k, _ []byte) bool {
				d := dropOf(sh, k)
				if _, err := readAccount(tx, d.account); err != nil {
					u.drops = append(u.drops, d)
				}
				return true
			})
			return nil
		})
		u.report("search for deleted mailboxes", 0, err)
	}
}

// dropOf reads a key of index.Dropped.
func dropOf(sh *index.Shard, key []byte) drop {
	d := drop{shard: sh, account: binary.BigEndian.Uint64(key), data: binary.BigEndian.Uint32(key[8:])}
	if len(key) > 12 {
		d.start = imap.UID(lastUint32(key))
	}
	return d
}

// purge removes records that are no longer reachable and then their files.
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

// purgeStep removes some records, and returns the files to be unlinked.
func (u *upkeep) purgeStep(d drop) (gone []doomed, done bool, err error) {
	var files []msgfile.Ref
	err = d.shard.UpdateFreeing(context.Background(), func(tx index.Tx) (err error) {
		files, done, err = d.purgeSome(tx)
		return err
	}, func() {
		for _, f := range files {
			if d.handle == nil || d.leftovers && !d.handle.files.Busy(f.ID) {
				continue
			}
			if d.handle.files.Unwant(f.ID) {
				gone = append(gone, doomed{d.handle, f})
			}
		}
	})
	return gone, done, err
}

// keys is a range of keys: from <= key < to.
type keys struct {
	bucket   index.Bucket
	from, to []byte
}

// keys returns where the records of a drop are, summaries first, and that of the drop itself.
func (d *drop) keys(tx index.Tx) (ranges []keys, self []byte, err error) {
	var k keyBuffer
	clone := func(key []byte) []byte { return append([]byte(nil), key...) }
	if d.start == 0 {
		for _, kind := range append([]byte{kindSummary, kindState, kindHistory, kindKeywords}, itemKinds[:]...) {
			from := clone(k.numbered(d.account, kind, d.data))
			ranges = append(ranges, keys{index.Mail, from, after(from)})
		}
		self = clone(k.dropped(d.account, d.data))
		return append(ranges, keys{index.Content, self, after(self)}), self, nil // account and data begin these keys too
	}
	self = clone(k.hidden(d.account, d.data, d.start))
	v := tx.Get(index.Dropped, self)
	if v == nil {
		return nil, self, nil
	}
	s, err := unmarshalSpan(self, v)
	return []keys{
		{index.Mail, clone(k.block(d.account, kindSummary, d.data, summaryBlock(s.start))),
			clone(k.block(d.account, kindSummary, d.data, summaryBlock(s.end)))},
		{index.Mail, clone(k.block(d.account, kindState, d.data, stateBlock(s.start))),
			clone(k.block(d.account, kindState, d.data, stateBlock(s.end)))},
		{index.Content, clone(k.content(d.account, d.data, s.start)), clone(k.content(d.account, d.data, s.end))},
	}, self, err
}

// appendFiles adds the files that a block of summaries names. Those of a damaged one
// stay, and are found by Check.
func appendFiles(files []msgfile.Ref, key, block []byte) []msgfile.Ref {
	for len(block) > 0 {
		_, s, rest, ok := nextSummary(block, lastUint32(key))
		if !ok {
			break
		}
		files, block = append(files, s.file()), rest
	}
	return files
}

// purgeSome removes some records and returns the files that they named; done is true with
// the last.
func (d *drop) purgeSome(tx index.Tx) (files []msgfile.Ref, done bool, err error) {
	ranges, self, err := d.keys(tx)
	if err != nil {
		return nil, false, err
	}
	type record struct {
		bucket index.Bucket
		key    []byte
	}
	var all []record
	for i, r := range ranges {
		if len(all) == purgeKeys {
			break
		}
		tx.Range(r.bucket, r.from, r.to, func(k, v []byte) bool {
			all = append(all, record{r.bucket, append([]byte(nil), k...)})
			if i == 0 {
				files = appendFiles(files, k, v)
			}
			return len(all) < purgeKeys
		})
	}
	for _, r := range all {
		if err := tx.Delete(r.bucket, r.key); err != nil {
			return nil, false, err
		}
	}
	if len(all) == purgeKeys {
		return files, false, nil
	}
	return files, true, tx.Delete(index.Dropped, self)
}

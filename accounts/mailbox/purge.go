package mailbox

import (
	"context"
	"encoding/binary"
	"slices"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// allData in a drop stands for the reference counts and the content of an account that is gone.
const allData = 0

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
	return drop{shard: sh, account: binary.BigEndian.Uint64(key), data: lastUint32(key)}
}

// purge removes records that are no longer reachable and then their files.
func (u *upkeep) purge(d drop) error {
	for most, done := maxContents, false; !done; {
		var gone []doomed
		var err error
		gone, done, err = u.purgeStep(d, most)
		switch {
		case fault.Is(err, fault.NoSpace) && most > 1:
			most /= 8 // see inParts
		case err != nil:
			return err
		}
		u.unlinkAll(gone)
	}
	return nil
}

// purgeStep removes some records, so many at most, and returns the files to be unlinked.
func (u *upkeep) purgeStep(d drop, most int) (gone []doomed, done bool, err error) {
	var files []msgfile.Ref
	err = d.shard.UpdateFreeing(context.Background(), func(tx index.Tx) (err error) {
		files, done, err = d.purgeSome(tx, most)
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

// keys returns where the records of a drop are, summaries first.
func (d *drop) keys() (ranges []keys) {
	var k keyBuffer
	add := func(b index.Bucket, prefix []byte) {
		from := slices.Clone(prefix)
		ranges = append(ranges, keys{b, from, after(from)})
	}
	if d.data == allData {
		add(index.Mail, k.key(d.account, kindRefs))
		add(index.Content, appendAccount(k[:0], d.account))
		return ranges
	}
	for _, kind := range append([]byte{kindSummary, kindState, kindHistory, kindKeywords}, itemKinds[:]...) {
		add(index.Mail, k.numbered(d.account, kind, d.data))
	}
	return ranges
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

// purgeSome removes some records and returns the files that none names any more; done is true with
// the last.
func (d *drop) purgeSome(tx index.Tx, most int) (files []msgfile.Ref, done bool, err error) {
	type record struct {
		bucket index.Bucket
		key    []byte
	}
	var all []record
	for _, r := range d.keys() {
		tx.Range(r.bucket, r.from, r.to, func(k, v []byte) bool {
			if len(all) == most || len(files) >= maxChange {
				return false
			}
			all = append(all, record{r.bucket, slices.Clone(k)})
			if d.data != allData && k[8] == kindSummary {
				files = appendFiles(files, k, v)
			}
			return true
		})
	}
	done = len(all) < most && len(files) < maxChange
	for _, r := range all {
		if err := tx.Delete(r.bucket, r.key); err != nil {
			return nil, false, err
		}
	}
	if _, err := readAccount(tx, d.account); fault.Is(err, fault.NotFound) {
		files = nil // the files of the account go together, and so does their content
	} else if files, err = changeRefs(tx, d.account, files, -1); err != nil {
		return nil, false, err
	}
	if !done {
		return files, false, nil
	}
	var k keyBuffer
	return files, true, tx.Delete(index.Dropped, k.dropped(d.account, d.data))
}

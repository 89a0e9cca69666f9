package mailbox

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"gatepost/accounts/index"
)

// The commit that removes the record of a message notes its file until that is
// unlinked, which may be long after, when a session still shows the message. A
// crash in between leaves a file whose number tells nothing, as the message may be
// years old. The notes tell that it is a leftover. Files of this run need none.

// noteRemoved notes a file whose record is being removed.
func (a *Account) noteRemoved(tx index.Tx, f fileRef) error {
	if !a.isEarlier(f.id) {
		return nil
	}
	var k keyBuffer
	return tx.Put(index.Mail, k.removed(a.id, f), []byte{})
}

// removedFiles returns the files of an account that are noted.
func removedFiles(tx index.Tx, account uint64) (files []fileRef) {
	var k keyBuffer
	from := append([]byte(nil), k.key(account, kindRemoved)...)
	tx.Range(index.Mail, from, after(from), func(k, _ []byte) bool {
		files = append(files, fileRef{id: binary.BigEndian.Uint64(k[len(from):]), dir: lastUint32(k)})
		return true
	})
	return files
}

// removedFiles returns the files of the account that are noted.
func (a *Account) removedFiles() (map[fileRef]bool, error) {
	files := make(map[fileRef]bool)
	err := a.shard.View(func(tx index.Tx) error {
		for _, f := range removedFiles(tx, a.id) {
			files[f] = true
		}
		return nil
	})
	return files, err
}

// unlinked takes the note of a file that is gone away, some time.
func (u *upkeep) unlinked(a *Account, f fileRef) {
	if a.isEarlier(f.id) {
		u.add(func() { u.gone = append(u.gone, doomed{a, f}) })
	}
}

// forgetRemoved takes the notes of files away.
func (u *upkeep) forgetRemoved(gone []doomed) {
	byShard := make(map[*index.Shard][]doomed)
	for _, d := range gone {
		byShard[d.account.shard] = append(byShard[d.account.shard], d)
	}
	for sh, list := range byShard {
		for part := range slices.Chunk(list, maxChange) {
			err := sh.UpdateFreeing(context.Background(), func(tx index.Tx) error {
				var k keyBuffer
				for _, d := range part {
					if err := tx.Delete(index.Mail, k.removed(d.account.id, d.file)); err != nil {
						return err
					}
				}
				return nil
			}, nil)
			u.report("forgetting of removed files", 0, err)
		}
	}
}

// forgetGone takes the notes of files away that a crash has left when the files
// were gone already.
func (u *upkeep) forgetGone(a *Account) error {
	files, err := a.removedFiles()
	for f := range files {
		there, err2 := a.exists(f, "")
		if err = errors.Join(err, err2); err2 == nil && !there {
			u.unlinked(a, f)
		}
	}
	return err
}

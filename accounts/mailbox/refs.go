package mailbox

import (
	"cmp"
	"encoding/binary"
	"slices"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
)

// COPY makes no file: in one account, several records can name one. The reference count of a
// file is the number of records that name it. Most files have one record, and then the count is not
// stored. Other counts are in blocks of neighbouring numbers, of which each is one value:
//
//	the low bits of the file's number (1 byte), the count (varint), and so on
//
// A count of 0 says that the file and its content are to be removed: its last record is gone, or
// its content was written ahead of the first (copyAcross).
const refBits = 8

func refBlock(file uint64) uint64 { return file >> refBits }

// changeRefs adds to the reference counts of files, by 1 or -1, and returns the files
// whose count is now 0. It may change the order of files.
func changeRefs(tx index.Tx, account uint64, files []msgfile.Ref, by int64) (unnamed []msgfile.Ref, err error) {
	err = editRefs(tx, account, files, func(f msgfile.Ref, count int64) (int64, error) {
		if count += by; count < 0 {
			return 0, corrupt("reference count of a file")
		}
		if count == 0 {
			unnamed = append(unnamed, f)
		}
		return count, nil
	})
	return unnamed, err
}

// dropContent removes what is kept of files that are gone, whose count is 0. Where it is not 0, the content
// was removed before.
func dropContent(tx index.Tx, account uint64, files []msgfile.Ref) error {
	var k keyBuffer
	var gone []msgfile.Ref
	err := editRefs(tx, account, files, func(f msgfile.Ref, count int64) (int64, error) {
		if count != 0 {
			return count, nil
		}
		gone = append(gone, f)
		return 1, nil // which is not stored
	})
	for i := 0; i < len(gone) && err == nil; i++ {
		err = tx.Delete(index.Content, k.content(account, gone[i].ID))
	}
	return err
}

// editRefs replaces the counts of files by what change returns.
func editRefs(tx index.Tx, account uint64, files []msgfile.Ref, change func(f msgfile.Ref, count int64) (int64, error)) error {
	sortFiles(files)
	var k keyBuffer
	for len(files) > 0 {
		block := refBlock(files[0].ID)
		key := k.refs(account, block)
		counts, err := unmarshalRefs(tx.Get(index.Mail, key))
		if err != nil {
			return err
		}
		for len(files) > 0 && refBlock(files[0].ID) == block {
			at := files[0].ID & (1<<refBits - 1)
			if counts[at], err = change(files[0], counts[at]); err != nil {
				return err
			}
			files = files[1:]
		}
		if value := counts.marshal(); len(value) > 0 {
			err = tx.Put(index.Mail, key, value)
		} else {
			err = tx.Delete(index.Mail, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sortFiles sorts files by their numbers.
func sortFiles(files []msgfile.Ref) {
	slices.SortFunc(files, func(a, b msgfile.Ref) int { return cmp.Compare(a.ID, b.ID) })
}

// refCounts are the counts of a block.
type refCounts [1 << refBits]int64

func (c *refCounts) marshal() (b []byte) {
	for i, n := range c {
		if n != 1 {
			b = binary.AppendUvarint(append(b, byte(i)), uint64(n))
		}
	}
	return b
}

func unmarshalRefs(b []byte) (c refCounts, err error) {
	for i := range c {
		c[i] = 1
	}
	d := decoder{b: b}
	for last := -1; len(d.b) > 0; {
		at := int(d.b[0])
		d.b = d.b[1:]
		d.bad = d.bad || at <= last || len(d.b) == 0
		c[at], last = d.int64(), at
	}
	return c, d.err("block of reference counts")
}

// eachRef visits the counts of an account's files that are not 1.
func eachRef(tx index.Tx, account uint64, visit func(file uint64, count int64)) (err error) {
	var k keyBuffer
	from := slices.Clone(k.key(account, kindRefs))
	tx.Range(index.Mail, from, after(from), func(key, v []byte) bool {
		var counts refCounts
		counts, err = unmarshalRefs(v)
		for i, n := range counts {
			if err == nil && n != 1 {
				visit(lastUint64(key)<<refBits|uint64(i), n)
			}
		}
		return err == nil
	})
	return err
}

// unwant has a file that no record names removed, as soon as no view shows it.
func (a *Account) unwant(f msgfile.Ref) {
	if a.files.Unwant(f.ID) {
		a.store.upkeep.unlink(a, f)
	}
}

package mailbox

import (
	"errors"
	"io/fs"
	"math"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// spare removes the files of a copy that an earlier run did not complete, as far as
// they are those of other messages of the account too. In an index that was saved during
// a copy and restored later, what the copy made may be all that is left of messages: that
// is set aside.
func (u *upkeep) spare(d drop) error {
	a := d.handle
	var files []fileRef
	err := d.shard.View(func(tx index.Tx) error {
		ranges, _, err := d.keys(tx)
		if err != nil || len(ranges) == 0 {
			return err
		}
		tx.Range(ranges[0].bucket, ranges[0].from, ranges[0].to, func(k, v []byte) bool {
			files = appendFiles(files, k, v)
			return true
		})
		return nil
	})
	if err != nil || len(files) == 0 {
		return err
	}
	kept, err := a.shownInodes()
	if err != nil {
		return err
	}
	dirs := make(map[messageDir]struct{})
	aside := false
	for _, f := range files {
		is, err2 := a.inode(f)
		if err2 == nil {
			dirs[messageDir{a, f.dir}] = struct{}{}
			if _, known := kept[is]; known {
				err2 = a.remove(f, "")
			} else {
				err2, aside = u.setAside(a, f), true
			}
		}
		if !errors.Is(err2, fs.ErrNotExist) { // gone before a crash
			err = errors.Join(err, err2)
		}
	}
	// The records go next, and nothing would tell what a file is that is back in its place.
	return errors.Join(err, a.syncRemovals(dirs, aside))
}

// shownInodes returns what is in the files of the messages that are not hidden.
func (a *Account) shownInodes() (map[inode]struct{}, error) {
	var files []fileRef
	err := a.shard.View(func(tx index.Tx) error {
		hidden := make(map[uint32][]span)
		var k keyBuffer
		var err error
		err2 := eachSummary(tx, a.id, func(data uint32, uid imap.UID, s *summary) bool {
			spans, known := hidden[data]
			if !known {
				if tx.Get(index.Dropped, k.dropped(a.id, data)) != nil {
					spans = []span{{0, math.MaxUint32}} // of a deleted mailbox
				} else {
					spans, err = hiddenSpans(tx, a.id, data)
				}
				hidden[data] = spans
			}
			if _, is := inSpan(spans, uid); !is {
				files = append(files, s.file())
			}
			return err == nil
		})
		return errors.Join(err, err2)
	})
	all := make(map[inode]struct{}, len(files))
	for _, f := range files {
		is, err2 := a.inode(f)
		if err2 == nil {
			all[is] = struct{}{}
		} else if !errors.Is(err2, fs.ErrNotExist) {
			err = errors.Join(err, err2)
		}
	}
	return all, err
}

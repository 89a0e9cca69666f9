package mailbox

import (
	"context"
	"errors"
	"os"

	imap "github.com/emersion/go-imap/v2"
	"golang.org/x/sys/unix"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// CopyData is the COPYUID of RFC 4315: Source and Dest correspond in order.
type CopyData struct {
	UIDValidity  uint32
	Source, Dest imap.UIDSet
}

// Copy copies messages of the view to a mailbox of the same account, all or
// none. A copy keeps flags, keywords, dates and EMAILID. Messages that were
// expunged elsewhere are skipped. Errors: NoMailbox, OverQuota, NoSpace.
func (m *Mailbox) Copy(ctx context.Context, uids []imap.UID, dest string) (CopyData, error) {
	return m.CopyTo(ctx, uids, m.box.account, dest)
}

// copied is one message on its way.
type copied struct {
	uid      imap.UID // in the source
	flags    Flags
	keywords []string
	from     fileRef
	summary  summary
	content  []byte
}

// maxCopied bounds the summaries that a copy holds in memory. What goes beyond is
// copied without, and summed up again when somebody asks.
const maxCopied = 64 << 20

// CopyTo is Copy to a mailbox of another account, or of the same.
func (m *Mailbox) CopyTo(ctx context.Context, uids []imap.UID, to *Account, dest string) (data CopyData, err error) {
	if dest, err = cleanName(dest); err != nil {
		return CopyData{}, noMailbox(err)
	}
	if _, err := to.find(dest); err != nil {
		return CopyData{}, err
	}
	list, err := m.gather(m.inView(uids))
	if err != nil || len(list) == 0 {
		return CopyData{}, err
	}
	if made, err := m.linkCopies(to, list); err != nil {
		for i := range list[:made] {
			to.abandon(list[i].summary.file())
		}
		return CopyData{}, err
	}
	defer func() {
		for i := range list {
			to.keepFile(list[i].summary.file(), err)
		}
	}()
	limits := to.limits()
	err = to.update(ctx, func(e *edit) error {
		id, err := mailboxID(e.tx, to.id, dest)
		if err != nil {
			return err
		}
		x, err := e.box(id)
		if err != nil {
			return err
		}
		data = CopyData{UIDValidity: x.rec.validity}
		var size int64
		for i := range list {
			size += list[i].summary.size
		}
		if err := e.fits(size, limits.MaxSize); err != nil {
			return err
		}
		for i := range list {
			if err := data.addCopy(x, &list[i]); err != nil {
				return err
			}
		}
		e.saveDir()
		return nil
	})
	if err != nil {
		return CopyData{}, err
	}
	return data, nil
}

// addCopy adds a copy to its mailbox.
func (d *CopyData) addCopy(x *boxEdit, c *copied) error {
	// A copy does not fail because the other mailbox's keywords are used up.
	bits, _, err := x.keywordBits(c.keywords, true)
	if err != nil {
		return err
	}
	c.summary.saved = x.edit.now.Unix()
	uid, err := x.add(c.flags, bits, c.summary, c.content)
	if err != nil {
		return err
	}
	d.Source = appendUID(d.Source, c.uid)
	d.Dest = appendUID(d.Dest, uid)
	return nil
}

// appendUID adds a UID above all before.
func appendUID(s imap.UIDSet, uid imap.UID) imap.UIDSet { return appendRange(s, uid) }

// gather collects what the copies of messages need.
func (m *Mailbox) gather(uids []imap.UID) ([]copied, error) {
	b := m.box
	list := make([]copied, 0, len(uids))
	err := b.account.shard.View(func(tx index.Tx) error {
		rec, err := readMailbox(tx, b.account.id, b.id)
		if err != nil {
			return err
		}
		var k keyBuffer
		total := 0
		for _, uid := range uids {
			s, found, err := readSummary(tx, b.account.id, rec.data, uid)
			if err != nil {
				return err
			}
			st, ok := m.liveState(uid)
			if !found || !ok {
				continue
			}
			c := copied{uid: uid, flags: st.flags, keywords: m.box.names(st.keywords), from: s.file(), summary: s}
			content := tx.Get(index.Content, k.content(b.account.id, rec.data, uid))
			if int(s.prefix) > len(content) {
				return corrupt("content record")
			}
			if total += len(content); total > maxCopied {
				content = content[:s.prefix]
			}
			c.content = append(c.content, content...)
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

// liveState returns the state of a message that is not gone.
func (m *Mailbox) liveState(uid imap.UID) (state, bool) {
	b := m.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	i, ok := b.find(uid)
	if !ok {
		return state{}, false
	}
	return state{flags: b.flags[i], keywords: b.keywordsAt(i)}, true
}

// names returns the keywords of a set of bits.
func (b *box) names(bits uint64) (names []string) {
	if bits == 0 {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i, n := range b.keywords {
		if bits&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// linkCopies makes the files of copies and their names durable. It returns how many it has begun.
func (m *Mailbox) linkCopies(to *Account, list []copied) (made int, err error) {
	const op = "mailbox.Copy"
	dirs := make(map[uint32]string)
	for i := range list {
		c := &list[i]
		id, err := to.store.o.NextID()
		if err != nil {
			return i, fault.Wrap(op, fault.Internal, err)
		}
		from := m.box.account.path(c.from)
		ref, err := to.newFile(id, func(path string) error {
			err := os.Link(from, path)
			if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EMLINK) {
				err = copyFile(from, path)
			}
			return err
		})
		if err != nil {
			return i, err
		}
		c.summary.id, c.summary.dir, c.summary.original = id, ref.dir, 0
		dirs[ref.dir] = to.dirPath(ref.dir)
	}
	for _, d := range dirs {
		if err := syncDir(d); err != nil {
			return len(list), fault.Wrap(op, fault.Internal, err)
		}
	}
	return len(list), nil
}

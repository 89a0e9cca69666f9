package mailbox

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// The texts of messages are indexed elsewhere, see TextIndex. What is indexed is a message file with its prefix: neither ever changes,
// copies in an account share both, and the number of a file is not used again. So nothing is to be done when messages are moved or
// copied, and what an index says of a file holds as long as the file is there.

// TextIndex is told of the message files that come and go. Its methods may not wait.
type TextIndex interface {
	// Stored is told of files after the commit of their first record. It runs in the store's writer.
	Stored(a *Account, files []StoredFile)
	// Removed is told of files that are gone.
	Removed(account uint64, files []uint64)
	// Emptied is told of an account that is gone with all its files.
	Emptied(account uint64)
}

// StoredFile is a message file with its prefix.
type StoredFile struct {
	// ID is the number of the file.
	ID uint64
	// Mark tells files of one number apart, in case that the store was replaced by an older copy of itself.
	Mark uint32
	// Size is that of prefix and message in bytes.
	Size    int64
	summary summary
}

func (s *summary) stored() StoredFile { return StoredFile{s.id, s.mark(), s.size, *s} }

func (s *summary) mark() uint32 {
	var b [36]byte
	binary.BigEndian.PutUint64(b[:], s.email)
	binary.BigEndian.PutUint64(b[8:], uint64(s.size))
	binary.BigEndian.PutUint64(b[16:], uint64(s.internal))
	binary.BigEndian.PutUint32(b[24:], s.offset)
	binary.BigEndian.PutUint32(b[28:], s.prefix)
	binary.BigEndian.PutUint32(b[32:], s.dir)
	return crc32.ChecksumIEEE(b[:])
}

// UseTextIndex has an index told of message files from now on.
func (s *Store) UseTextIndex(x TextIndex) { s.texts.Store(&x) }

func (s *Store) textIndex() TextIndex {
	if x := s.texts.Load(); x != nil {
		return *x
	}
	return nil
}

// tellStored tells the index of the files that an edit has stored.
func (a *Account) tellStored(e *edit) {
	if x := a.store.textIndex(); x != nil && len(e.stored) > 0 {
		x.Stored(a, e.stored)
	}
}

// noteStored notes a file for tellStored.
func (e *edit) noteStored(s *summary) {
	if e.account.store.textIndex() != nil {
		e.stored = append(e.stored, s.stored())
	}
}

// tellRemoved tells the index of files that were removed.
func (s *Store) tellRemoved(files []doomed) {
	x := s.textIndex()
	if x == nil {
		return
	}
	for len(files) > 0 {
		a := files[0].account
		var ids []uint64
		for len(files) > 0 && files[0].account == a {
			ids, files = append(ids, files[0].file.ID), files[1:]
		}
		x.Removed(a.id, ids)
	}
}

// ID is the number of the account.
func (a *Account) ID() uint64 { return a.id }

// Indexed reports whether the texts of the account's messages are to be indexed.
func (a *Account) Indexed() bool { return !a.owner.Load().Unindexed }

// AccountID is the number of the account whose mailbox it is.
func (m *Mailbox) AccountID() uint64 { return m.box.account.id }

// Account is the account whose mailbox it is.
func (m *Mailbox) Account() *Account { return m.box.account }

// File tells which file a message of the view is in. Errors: NoMessage, Corrupt.
func (m *Mailbox) File(ctx context.Context, uid imap.UID) (id uint64, mark uint32, err error) {
	s, err := m.summary(ctx, uid)
	if err != nil {
		return 0, 0, err
	}
	return s.id, s.mark(), nil
}

// EachAccount visits all accounts that can be read and are neither being made nor removed.
func (s *Store) EachAccount(ctx context.Context, visit func(*Account) error) error {
	if s.o.Owners == nil {
		for _, a := range s.held() {
			if err := visit(a); err != nil {
				return err
			}
		}
		return nil
	}
	return s.o.Owners(ctx, func(o Owner) error {
		if o.ID == 0 || o.Damaged != nil || o.Passing {
			return nil
		}
		return visit(s.account(o, false))
	})
}

// EachFile visits the message files of the account. One that several messages have is visited as often.
func (a *Account) EachFile(visit func(StoredFile) bool) error {
	return a.shard.View(func(tx index.Tx) error {
		if _, err := readAccount(tx, a.id); err != nil {
			return err
		}
		return eachSummary(tx, a.id, func(_ uint32, _ imap.UID, s *summary) bool { return visit(s.stored()) })
	})
}

// ReadFile shows a message file. The body has the prefix, the spans of the summary count from behind it. NoMessage is the error for a
// file that is not there any more, Corrupt for one that is not what was stored.
func (a *Account) ReadFile(ctx context.Context, f StoredFile, read func(prefix []byte, s *message.Summary, body Body) error) error {
	const op = "mailbox.ReadFile"
	s := f.summary
	var content []byte
	found := false
	err := a.shard.View(func(tx index.Tx) error {
		var k keyBuffer
		if v := tx.Get(index.Content, k.content(a.id, s.id)); v != nil {
			content, found = append([]byte(nil), v...), true
		}
		return nil
	})
	if err != nil {
		return err
	}
	if int(s.prefix) > len(content) {
		if !found {
			return fault.New(op, fault.NoMessage, "")
		}
		return corrupt("content record")
	}
	file, err := a.openMessage(&s)
	if err != nil {
		if gone, err := a.unnamed(s.id, found); gone || err != nil {
			return cmp.Or(err, error(fault.New(op, fault.NoMessage, "")))
		}
		return a.damaged(s.file(), err)
	}
	prefix := content[:s.prefix:s.prefix]
	b := a.newBody(file, prefix, s)
	defer b.Close()
	sum, err := message.Unmarshal(content[s.prefix:])
	if err != nil {
		section := io.NewSectionReader(b, int64(s.prefix), s.size-int64(s.prefix))
		if sum, err = message.Scan(&canceler{ctx, section}, message.Options{}); err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	return read(prefix, sum, b)
}

// unnamed reports whether no message has a file any more. had says that there was content of it a moment ago.
func (a *Account) unnamed(file uint64, had bool) (gone bool, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		var k keyBuffer
		counts, err := unmarshalRefs(tx.Get(index.Mail, k.refs(a.id, refBlock(file))))
		gone = counts[file&(1<<refBits-1)] == 0 || had && tx.Get(index.Content, k.content(a.id, file)) == nil
		return err
	})
	return gone, err
}

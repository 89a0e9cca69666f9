package mailbox

import (
	"context"
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// CopyData is the COPYUID of RFC 4315: Source and Dest correspond in order.
type CopyData struct {
	UIDValidity  uint32
	Source, Dest imap.UIDSet
}

// Copy copies messages of the view to a mailbox of the same account, all or
// none; they show up together. A copy keeps flags, keywords, dates and EMAILID. Messages
// that were expunged elsewhere are skipped. Errors: NoMailbox, OverQuota, NoSpace.
func (m *Mailbox) Copy(ctx context.Context, uids []imap.UID, dest string) (CopyData, error) {
	return m.CopyTo(ctx, uids, m.box.account, dest)
}

// CopyTo is Copy to a mailbox of another account, or of the same.
func (m *Mailbox) CopyTo(ctx context.Context, uids []imap.UID, to *Account, dest string) (CopyData, error) {
	return m.CopyWith(ctx, uids, EveryFlag, to, dest)
}

// CopyWith is CopyTo that leaves out the flags which are not among those given.
func (m *Mailbox) CopyWith(ctx context.Context, uids []imap.UID, flags FlagSet, to *Account, dest string) (data CopyData, err error) {
	if dest, err = cleanName(dest); err != nil {
		return CopyData{}, noMailbox(err)
	}
	if _, _, err := to.find(dest); err != nil { // better known before
		return CopyData{}, err
	}
	uids = m.inView(uids)
	if to == m.box.account {
		data, err = m.copyWithin(ctx, uids, flags, dest)
	} else {
		data, err = m.copyAcross(ctx, uids, flags, to, dest)
	}
	if err != nil {
		return CopyData{}, err
	}
	if to == m.box.account {
		to.filed(Filing{From: m.name, To: dest, UIDs: each(data.Dest)})
	}
	return data, nil
}

// copyWithin makes copies that share the files of the originals, in one commit. What can be read before keeps nobody waiting.
func (m *Mailbox) copyWithin(ctx context.Context, uids []imap.UID, flags FlagSet, dest string) (data CopyData, err error) {
	a := m.box.account
	limits := a.limits()
	end, err := a.turn(ctx, len(uids))
	if err != nil {
		return data, err
	}
	defer end()
	var list []taken
	var read uint32
	err = a.shard.View(func(tx index.Tx) error {
		from, err := (&edit{account: a, tx: tx}).box(m.box.id)
		if err != nil {
			return err
		}
		read = from.rec.data
		list, err = from.take(uids)
		return err
	})
	if err != nil || len(list) == 0 {
		return data, err
	}
	files := filesOf(list)
	sortFiles(files) // in the order of the index
	err = a.update(ctx, func(e *edit) error {
		data = CopyData{}
		from, err := e.box(m.box.id)
		if err != nil || from.rec.data != read { // all have moved with INBOX
			return err
		}
		left, err := from.takeStates(list)
		if err != nil || left == 0 {
			return err
		}
		if err := e.addCopies(&data, from, list, flags, dest, limits); err != nil {
			return err
		}
		copied := files
		if left < len(list) {
			copied = filesOf(list)
		}
		_, err = changeRefs(e.tx, a.id, copied, 1)
		return err
	})
	return data, err
}

// addCopies adds messages to a mailbox of the account that have their files and content there.
func (e *edit) addCopies(data *CopyData, from *boxEdit, list []taken, flags FlagSet, dest string, limits Limits) error {
	id, err := mailboxID(e.tx, e.account.id, dest)
	if err != nil {
		return err
	}
	to, err := e.box(id)
	if err != nil {
		return err
	}
	var size int64
	for i := range list {
		if !list[i].gone {
			size += list[i].summary.size
		}
	}
	if err := e.fits(size, limits.MaxSize); err != nil {
		return err
	}
	data.UIDValidity = to.rec.validity
	return data.add(from, to, list, flags)
}

// add adds messages of one mailbox to another one.
func (d *CopyData) add(from, to *boxEdit, list []taken, flags FlagSet) error {
	if err := from.loadKeywords(); err != nil {
		return err
	}
	names := slices.Clone(from.keywords) // from and to may be one
	known := map[uint64]uint64{0: 0}
	for i := range list {
		st := &list[i].state
		st.flags &= flags.Flags
		if !flags.Keywords {
			st.keywords = 0
		}
		bits, ok := known[st.keywords]
		if !ok {
			var words []string
			for n, name := range names {
				if st.keywords&(1<<n) != 0 {
					words = append(words, name)
				}
			}
			// A copy does not fail because the other mailbox's keywords are used up.
			var err error
			if bits, _, err = to.keywordBits(words, true); err != nil {
				return err
			}
			known[st.keywords] = bits
		}
		st.keywords = bits
	}
	uid, err := to.addAll(list)
	if err != nil {
		return err
	}
	for i := range list {
		if !list[i].gone {
			d.Source = appendRange(d.Source, list[i].uid)
			d.Dest = appendRange(d.Dest, uid)
			uid++
		}
	}
	return nil
}

// copiesAcross are messages on their way to another account.
type copiesAcross struct {
	from     boxEdit // for its keywords
	list     []taken
	contents [][]byte
}

// copyAcross makes copies in another account. Their files and content are written first, in steps:
// nobody sees them, and with a reference count of 0 they go if the copy does not come to its end.
func (m *Mailbox) copyAcross(ctx context.Context, uids []imap.UID, flags FlagSet, to *Account, dest string) (data CopyData, err error) {
	var parts []copiesAcross
	var files []msgfile.Ref
	defer func() { to.settleCopies(files, err) }()
	size := int64(0)
	for some := range slices.Chunk(uids, maxContents) {
		c := copiesAcross{}
		if err := m.gather(some, &c); err != nil {
			return data, err
		}
		for i := range c.list {
			size += c.list[i].summary.size
		}
		if err := to.Fits(ctx, size); err != nil { // better known before
			return data, err
		}
		made, err := m.linkCopies(to, c.list)
		if err != nil {
			for _, f := range made {
				to.abandon(f)
			}
			return data, err
		}
		if err := to.stage(ctx, &c); err != nil {
			for _, f := range made {
				to.keepFile(f, err)
			}
			return data, err
		}
		files = append(files, made...)
		c.contents = nil
		parts = append(parts, c)
	}
	if len(files) == 0 {
		return data, nil
	}
	limits := to.limits()
	end, err := to.turn(ctx, len(files))
	if err != nil {
		return data, err
	}
	defer end()
	err = to.update(ctx, func(e *edit) error {
		data = CopyData{}
		for i := range parts {
			if err := e.addCopies(&data, &parts[i].from, slices.Clone(parts[i].list), flags, dest, limits); err != nil {
				return err
			}
			for j := range parts[i].list {
				e.noteStored(&parts[i].list[j].summary)
			}
		}
		e.saveDir()
		_, err := changeRefs(e.tx, to.id, slices.Clone(files), 1)
		return err
	})
	return data, err
}

// gather reads messages, what is kept of them, and the keywords of their mailbox.
func (m *Mailbox) gather(uids []imap.UID, c *copiesAcross) error {
	a := m.box.account
	return a.shard.View(func(tx index.Tx) error {
		from, err := (&edit{account: a, tx: tx}).box(m.box.id)
		if err != nil {
			return err
		}
		if err := from.loadKeywords(); err != nil {
			return err
		}
		c.from.keywords, c.from.knowsKeys = from.keywords, true
		if c.list, err = from.take(uids); err != nil {
			return err
		}
		var k keyBuffer
		for i := range c.list {
			s := &c.list[i].summary
			content := slices.Clone(tx.Get(index.Content, k.content(a.id, s.id)))
			if int(s.prefix) > len(content) {
				return corrupt("content record")
			}
			c.contents = append(c.contents, content)
		}
		return nil
	})
}

// stage writes the content of copies whose files were made.
func (a *Account) stage(ctx context.Context, c *copiesAcross) error {
	end, err := a.turn(ctx, len(c.list))
	if err != nil {
		return err
	}
	defer end()
	return a.shard.Update(ctx, func(tx index.Tx) error {
		if _, err := readAccount(tx, a.id); err != nil {
			return err
		}
		if _, err := changeRefs(tx, a.id, filesOf(c.list), -1); err != nil {
			return err
		}
		for i := range c.list {
			if err := putContent(tx, a.id, c.list[i].summary.id, c.contents[i]); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// settleCopies settles what becomes of files and their content by the outcome of the copy.
func (a *Account) settleCopies(files []msgfile.Ref, err error) {
	for _, f := range files {
		switch {
		case fault.Is(err, fault.Unavailable): // see keepFile
			a.store.unclean.Store(true)
		case err != nil:
			a.unwant(f)
		}
		a.files.End(f.ID)
	}
}

// checkSource refuses to copy a message whose file is damaged. a.moving is held.
func (a *Account) checkSource(s *summary) error {
	path := a.path(s.file())
	f, err := msgfile.Open(path, s.end())
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fault.Wrap("mailbox.Copy", fault.Internal, damagedAt(path, err))
	}
	return nil
}

// linkCopies makes the files of copies, and their names durable, and puts them into the summaries. It
// returns the files that were made.
func (m *Mailbox) linkCopies(to *Account, list []taken) (made []msgfile.Ref, err error) {
	const op = "mailbox.Copy"
	from := m.box.account
	dirs := make(map[messageDir]struct{})
	to.moveLeftoversOnce()
	for i := range list {
		s := &list[i].summary
		var ref msgfile.Ref
		_, err := to.store.nextNumber(func(id uint64) (err error) {
			leave := stay(from, to)
			defer leave()
			if err = from.checkSource(s); err == nil {
				ref, err = to.newFileHere(id, func(path string) error { return msgfile.LinkOrCopy(from.path(s.file()), path) })
			}
			return err
		})
		if err != nil {
			return made, err
		}
		s.id, s.dir = ref.ID, ref.Dir
		made = append(made, ref)
		dirs[messageDir{to, ref.Dir}] = struct{}{}
	}
	for d := range dirs {
		if err := d.sync(); err != nil {
			return made, fault.Wrap(op, fault.Internal, err)
		}
	}
	return made, nil
}

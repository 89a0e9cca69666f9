package archive

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

const (
	// maxPostings bounds the postings of one list in the index: of more, the newest are in it.
	maxPostings = 1_000_000
	// sameSubject is how long a subject stands for its thread.
	sameSubject = 60 * 24 * time.Hour
	// maxReferences bounds the identifiers of a field that are looked for.
	maxReferences = 20
)

// entry is a posting.
type entry struct {
	key     uint64
	subject uint64 // threadSubject, hashed; 0 for none
	date    int64  // Unix seconds when it was stored
	uid     imap.UID
	// parent and root are places in the index. parent is less than the place of the entry, or -1.
	parent, root int32
	volume       int32
}

// volume is a mailbox of the archive.
type volume struct {
	name     string
	id       uint32 // MAILBOXID
	validity uint32
	read     imap.UID // what has this UID or a lower one is in the index
	modSeq   uint64   // of the mailbox when the index had all of it; 0 if it never had
}

// index is an immutable snapshot of an archive; refresh makes the next one.
type index struct {
	owner   uint64 // account ID
	volumes []volume
	entries []entry
}

// volumes lists the mailboxes of an archive, the oldest first, with how many messages they have.
func volumes(ctx context.Context, mail *mailbox.Account, list string) (all []mailbox.Info, messages int, err error) {
	infos, err := mail.List(ctx)
	if err != nil {
		return nil, 0, err
	}
	var current []mailbox.Info
	for _, info := range infos { // sorted by name, and so by date
		day, below := strings.CutPrefix(info.Name, list+"/")
		_, bad := time.Parse(time.DateOnly, day)
		switch {
		case !info.Selectable:
			continue
		case info.Name == list:
			current = append(current, info)
		case below && bad == nil:
			all = append(all, info)
		default:
			continue
		}
		messages += int(info.Messages)
	}
	return append(all, current...), messages, nil
}

// refresh returns the index of an archive as it is now. With an error, the index has a beginning of it, from which the next call goes
// on, or is nil.
func refresh(ctx context.Context, owner uint64, mail *mailbox.Account, list string, old *index) (*index, error) {
	infos, messages, err := volumes(ctx, mail, list)
	if err != nil {
		return nil, err
	}
	if old != nil && (old.owner != owner || !old.covers(infos)) {
		old = nil
	}
	if old == nil {
		return rebuild(ctx, owner, mail, infos, messages)
	}
	next := &index{owner: owner, volumes: slices.Clone(old.volumes), entries: old.entries}
	b := &builder{index: next}
	for i := range infos {
		v := &next.volumes[i]
		if v.modSeq == infos[i].HighestModSeq && v.modSeq != 0 {
			continue
		}
		inOrder, err := b.compare(ctx, mail, i, 0)
		if err != nil {
			return next, err
		}
		if !inOrder || len(next.entries) > maxPostings {
			return rebuild(ctx, owner, mail, infos, messages)
		}
	}
	return next, nil
}

// covers reports whether the index is of these mailboxes.
func (ix *index) covers(infos []mailbox.Info) bool {
	if len(infos) != len(ix.volumes) {
		return false
	}
	for i := range infos {
		if infos[i].ID != ix.volumes[i].id || infos[i].UIDValidity != ix.volumes[i].validity {
			return false
		}
	}
	return true
}

func rebuild(ctx context.Context, owner uint64, mail *mailbox.Account, infos []mailbox.Info, messages int) (*index, error) {
	next := &index{owner: owner}
	for i := range infos {
		next.volumes = append(next.volumes, volume{name: infos[i].Name, id: infos[i].ID, validity: infos[i].UIDValidity})
	}
	b := &builder{index: next}
	skip := 0
	if messages > maxPostings {
		skip = messages - maxPostings*9/10
	}
	for i := range infos {
		if _, err := b.compare(ctx, mail, i, skip); err != nil {
			return next, err
		}
		skip -= min(skip, int(infos[i].Messages))
	}
	return next, nil
}

// A builder adds to an index. Its tables are made when they are needed.
type builder struct {
	*index
	byKey, bySubject map[uint64]int32
}

// compare drops from the index what a volume has no more, and adds what is new in it, but for the first skip messages. inOrder is
// false if something new belongs before entries that are there.
func (b *builder) compare(ctx context.Context, mail *mailbox.Account, i, skip int) (inOrder bool, err error) {
	v := &b.volumes[i]
	box, err := mail.Open(ctx, v.name, true)
	if fault.Is(err, fault.NoMailbox) { // removed since it was listed; the next look does without it
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer box.Close()
	uids := box.UIDs()
	b.drop(int32(i), uids)
	at, _ := slices.BinarySearch(uids, v.read+1)
	fresh := uids[at:]
	if v.read == 0 {
		fresh = fresh[min(skip, len(fresh)):]
	}
	if len(fresh) > 0 && len(b.entries) > 0 && b.entries[len(b.entries)-1].volume > int32(i) {
		return false, nil
	}
	r := box.Reader()
	defer r.Close()
	for _, uid := range fresh {
		if err := ctx.Err(); err != nil {
			return true, fault.Wrap("archive.Index", fault.Canceled, err)
		}
		c, err := r.Content(ctx, uid)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			return true, err
		}
		msg, _ := box.Message(uid)
		b.add(int32(i), uid, msg.InternalDate, c.Headers)
		v.read = uid
	}
	v.modSeq = box.Info().HighestModSeq
	return true, nil
}

// tables makes the tables of the entries that are there.
func (b *builder) tables() {
	if b.byKey != nil {
		return
	}
	b.byKey, b.bySubject = make(map[uint64]int32, len(b.entries)), map[uint64]int32{}
	for i := range b.entries {
		b.byKey[b.entries[i].key] = int32(i)
		b.bySubject[b.entries[i].subject] = int32(i)
	}
}

// add adds a posting by its header fields.
func (b *builder) add(volume int32, uid imap.UID, date time.Time, header []byte) {
	b.tables()
	var id, inReplyTo, references, subject string
	for name, value := range fields(header) {
		into := &id
		switch name {
		case "message-id":
		case "in-reply-to":
			into = &inReplyTo
		case "references":
			into = &references
		case "subject":
			into = &subject
		default:
			continue
		}
		if *into == "" {
			*into = string(value)
		}
	}
	if ids := messageIDs(id, 1); len(ids) > 0 {
		id = ids[0]
	} else {
		id = ""
	}
	if Unarchived(id) {
		return
	}
	e := entry{key: hash(id), date: date.Unix(), uid: uid, parent: -1, root: int32(len(b.entries)), volume: volume}
	if _, again := b.byKey[e.key]; id == "" || again {
		e.key = hash(keyText(uint64(b.volumes[volume].id)) + keyText(uint64(uid)))
	}
	for _, parent := range append(messageIDs(inReplyTo, 2), messageIDs(references, maxReferences)...) {
		if at, ok := b.byKey[hash(parent)]; ok {
			e.parent = at
			break
		}
	}
	plain, answer := threadSubject(message.DecodeHeader([]byte(subject)))
	if plain != "" {
		e.subject = hash(plain)
		if at, ok := b.bySubject[e.subject]; ok && answer && e.parent < 0 && e.date-b.entries[at].date < int64(sameSubject/time.Second) {
			e.parent = b.entries[at].root
		}
	}
	if e.parent >= 0 {
		e.root = b.entries[e.parent].root
	}
	at := int32(len(b.entries))
	b.entries = append(b.entries, e)
	b.byKey[e.key] = at
	if e.subject != 0 {
		b.bySubject[e.subject] = at
	}
}

// drop removes the entries of a volume whose messages are gone. What answered one of them belongs to its parent.
func (b *builder) drop(volume int32, present []imap.UID) {
	gone := func(e *entry) bool {
		if e.volume != volume {
			return false
		}
		_, there := slices.BinarySearch(present, e.uid)
		return !there
	}
	first := 0
	for first < len(b.entries) && !gone(&b.entries[first]) {
		first++
	}
	if first == len(b.entries) {
		return
	}
	// The entries may be in use by readers of the old index.
	kept := make([]entry, 0, len(b.entries)-1)
	moved := make([]int32, len(b.entries)) // the new place, or that of the parent that stays
	for i := range b.entries {
		e := b.entries[i]
		if e.parent >= 0 {
			e.parent = moved[e.parent]
		}
		if gone(&b.entries[i]) {
			moved[i] = e.parent
			continue
		}
		moved[i] = int32(len(kept))
		if e.root = moved[i]; e.parent >= 0 {
			e.root = kept[e.parent].root
		}
		kept = append(kept, e)
	}
	b.entries, b.byKey, b.bySubject = kept, nil, nil
}

// fields yields the fields of a header, their names in lower case and their values with folds.
func fields(header []byte) func(func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		for len(header) > 0 {
			end := 0
			for {
				i := bytes.IndexByte(header[end:], '\n')
				if i < 0 {
					end = len(header)
					break
				}
				if end += i + 1; end == len(header) || header[end] != ' ' && header[end] != '\t' {
					break
				}
			}
			field := header[:end]
			header = header[end:]
			name, value, found := bytes.Cut(field, []byte(":"))
			if !found {
				return
			}
			if !yield(strings.ToLower(string(bytes.TrimSpace(name))), bytes.TrimSpace(value)) {
				return
			}
		}
	}
}

package mailbox

import (
	"encoding/binary"
	"fmt"
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// checker looks at the records of one account.
type checker struct {
	account *Account
	tx      index.Tx // the snapshot of the moment
	report  func(Finding)
	rec     accountRecord
	names   map[uint32]string // of mailboxes, by number
	boxes   map[uint32]string // those that have a record
	data    map[uint32]string // and by data
	files   []checkedFile
	name    string // of the mailbox that is looked at
}

func (c *checker) found(uid imap.UID, format string, args ...any) {
	c.report(Finding{Account: c.account.id, Mailbox: c.name, UID: uid, Text: fmt.Sprintf(format, args...)})
}

// checkRecords compares the account with the records of its mailboxes.
func (c *checker) checkRecords() {
	var err error
	if c.rec, err = readAccount(c.tx, c.account.id); err != nil {
		c.found(0, "%v", err)
		return
	}
	c.checkNames()
	c.boxes, c.data = make(map[uint32]string), make(map[uint32]string)
	var bytes, messages int64
	for _, id := range mailboxIDs(c.tx, c.account.id) {
		c.name = c.names[id]
		if c.name == "" {
			c.found(0, "mailbox %d has no name", id)
		}
		delete(c.names, id)
		rec, err := readMailbox(c.tx, c.account.id, id)
		if err != nil {
			c.found(0, "%v", err)
			continue
		}
		if id > c.rec.lastID || rec.data > c.rec.lastID || rec.validity > c.rec.lastValidity {
			c.found(0, "its numbers are above the account's")
		}
		if rec.highest > c.rec.modSeq || rec.recentFrom > rec.next {
			c.found(0, "its last change %d or recent number %d is from the future", rec.highest, rec.recentFrom)
		}
		if other, taken := c.data[rec.data]; taken {
			c.found(0, "shares its messages with %q", other)
		}
		c.boxes[id], c.data[rec.data] = c.name, c.name
		bytes += rec.size
		messages += int64(rec.messages)
	}
	c.name = ""
	for _, name := range c.names {
		c.found(0, "the mailbox %q has no record", name)
	}
	if bytes != c.rec.bytes || messages != c.rec.messages {
		c.found(0, "the account counts %d messages with %d bytes, its mailboxes %d with %d", c.rec.messages, c.rec.bytes, messages, bytes)
	}
	c.checkUnreachable()
	c.checkRefs()
}

// checkNames reads the names and looks whether they fit together.
func (c *checker) checkNames() {
	c.names = make(map[uint32]string)
	from := named(c.account.id, kindName, "")
	count := uint32(0)
	c.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		var rec nameRecord
		name := string(k[len(from):])
		count++
		if err := rec.unmarshal(v); err != nil {
			c.found(0, "name %q: %v", name, err)
			return true
		}
		if _, err := unmarshalACL(rec.acl); err != nil {
			c.found(0, "name %q: %v", name, err)
		}
		if clean, err := cleanName(name); err != nil || clean != name {
			c.found(0, "the mailbox name %q is not allowed", name)
		}
		if p := parent(name); p != "" {
			if above, found, err := readName(c.tx, c.account.id, p); err != nil || !found || !above.folder {
				c.found(0, "there is no directory for %q", name)
			}
		}
		if rec.mailbox == 0 {
			return true
		}
		if other := c.names[rec.mailbox]; other != "" {
			c.found(0, "%q and %q are the same mailbox", other, name)
		}
		c.names[rec.mailbox] = name
		return true
	})
	if _, err := unmarshalACL(string(c.tx.Get(index.Mail, named(c.account.id, kindACL, "")))); err != nil {
		c.found(0, "its own ACL: %v", err)
	}
	if c.names[inboxID] != inbox {
		c.found(0, "there is no INBOX")
	}
	if count != c.rec.mailboxes {
		c.found(0, "the account counts %d mailboxes and has %d", c.rec.mailboxes, count)
	}
}

// checkMailbox compares the record of a mailbox with its messages.
func (c *checker) checkMailbox(id uint32) {
	rec, err := readMailbox(c.tx, c.account.id, id)
	if fault.Is(err, fault.NoMailbox) {
		return // deleted since
	}
	if err != nil {
		c.found(0, "%v", err)
		return
	}
	keywords, err := readKeywords(c.tx, c.account.id, rec.data)
	if err != nil {
		c.found(0, "%v", err)
	}
	states := c.readStates(&rec, len(keywords))
	got := mailboxRecord{data: rec.data, validity: rec.validity, next: rec.next, highest: rec.highest,
		recentFrom: rec.recentFrom, floor: rec.floor, ranges: c.checkHistory(&rec, states)}
	c.checkItems(&rec, states)
	var k keyBuffer
	i := 0
	c.eachSummary(rec.data, func(uid imap.UID, s *summary) {
		for i < len(states) && states[i].uid < uid {
			c.found(states[i].uid, "it has no summary")
			i++
		}
		if i == len(states) || states[i].uid != uid {
			c.found(uid, "it has no state")
			return
		}
		got.count(states[i].state.flags, s.size, 1)
		i++
		if s.size < int64(s.prefix) {
			c.found(uid, "its size %d cannot be", s.size)
		}
		if content := c.tx.Get(index.Content, k.content(c.account.id, s.id)); int(s.prefix) > len(content) {
			c.found(uid, "its prefix is missing")
		}
		c.files = append(c.files, checkedFile{c.name, rec.data, uid, *s})
	})
	for ; i < len(states); i++ {
		c.found(states[i].uid, "it has no summary")
	}
	if got != rec {
		c.found(0, "it counts %+v and has %+v", rec, got)
	}
}

// readStates reads the states and looks whether they rise and fit the record.
func (c *checker) readStates(rec *mailboxRecord, keywords int) (states []uidState) {
	var k keyBuffer
	from := append([]byte(nil), k.numbered(c.account.id, kindState, rec.data)...)
	last := imap.UID(0)
	c.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		if len(v) == 0 {
			c.found(0, "block %d of states is empty", lastUint32(k))
		}
		for len(v) > 0 {
			uid, st, rest, ok := nextState(v, lastUint32(k))
			if !ok {
				c.found(0, "block %d of states is damaged", lastUint32(k))
				return true
			}
			v = rest
			if uid <= last || uid >= rec.next {
				c.found(uid, "its UID is not between the one before, %d, and UIDNEXT, %d", last, rec.next)
			}
			if st.modSeq == 0 || st.modSeq > rec.highest {
				c.found(uid, "its ModSeq %d is above the mailbox's, %d", st.modSeq, rec.highest)
			}
			if keywords < maxKeywords && st.keywords>>keywords != 0 {
				c.found(uid, "it has keywords without a name")
			}
			last = uid
			states = append(states, uidState{uid, st})
		}
		return true
	})
	return states
}

// eachSummary visits the summaries of one mailbox.
func (c *checker) eachSummary(data uint32, fn func(uid imap.UID, s *summary)) {
	var k keyBuffer
	from := append([]byte(nil), k.numbered(c.account.id, kindSummary, data)...)
	c.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		if len(v) == 0 {
			c.found(0, "block %d of summaries is empty", lastUint32(k))
		}
		for len(v) > 0 {
			uid, s, rest, ok := nextSummary(v, lastUint32(k))
			if !ok {
				c.found(0, "block %d of summaries is damaged", lastUint32(k))
				return true
			}
			v = rest
			fn(uid, &s)
		}
		return true
	})
}

// checkHistory looks whether expunged messages are gone, and returns the number of ranges.
func (c *checker) checkHistory(rec *mailboxRecord, states []uidState) (ranges uint32) {
	var k keyBuffer
	from := append([]byte(nil), k.numbered(c.account.id, kindHistory, rec.data)...)
	c.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		list, err := unmarshalRanges(v)
		if err != nil {
			c.found(0, "%v", err)
		}
		ranges += uint32(len(list))
		if modSeq := binary.BigEndian.Uint64(k[len(k)-8:]); modSeq > rec.highest {
			c.found(0, "an expunge has the ModSeq %d above the mailbox's, %d", modSeq, rec.highest)
		}
		live := states
		for _, r := range list {
			for len(live) > 0 && live[0].uid < r.Start {
				live = live[1:]
			}
			if len(live) > 0 && live[0].uid <= r.Stop {
				c.found(live[0].uid, "it is there and was expunged")
			}
		}
		return true
	})
	return ranges
}

// checkUnreachable looks for records of no mailbox, and goes from data to data.
func (c *checker) checkUnreachable() {
	var k keyBuffer
	for _, kind := range append([]byte{kindKeywords, kindState, kindSummary, kindHistory}, itemKinds[:]...) {
		prefix := slices.Clone(k.key(c.account.id, kind))
		at := len(prefix)
		for next, end := prefix, after(prefix); next != nil; {
			var found []byte
			c.tx.Range(index.Mail, next, end, func(k, _ []byte) bool {
				found = append(found, k[:at+4]...)
				return false
			})
			if found == nil {
				break
			}
			data := lastUint32(found)
			_, known := c.data[data]
			known = known || kind == kindProperty && data == accountData
			// Upkeep removes what is left of deleted mailboxes.
			if !known && c.tx.Get(index.Dropped, k.dropped(c.account.id, data)) == nil {
				c.found(0, "there is a record of kind %d of no mailbox, data %d", kind, data)
			}
			next = after(found)
		}
	}
}

// checkRefs compares the reference counts of files, and what content there is, with the records.
func (c *checker) checkRefs() {
	named := make(map[uint64]int64) // how many records name a file
	err := eachSummary(c.tx, c.account.id, func(_ uint32, _ imap.UID, s *summary) bool { named[s.id]++; return true })
	if err != nil {
		return // found with its mailbox
	}
	counts := make(map[uint64]int64)
	if err := eachRef(c.tx, c.account.id, func(file uint64, count int64) { counts[file] = count }); err != nil {
		c.found(0, "%v", err)
		return
	}
	for file, count := range counts {
		if named[file] != count {
			c.found(0, "the file %d has the reference count %d, and %d messages have it", file, count, named[file])
		}
	}
	for file, n := range named {
		if _, stored := counts[file]; !stored && n != 1 {
			c.found(0, "the file %d has the reference count 1, and %d messages have it", file, n)
		}
	}
	from := appendAccount(nil, c.account.id)
	c.tx.Range(index.Content, from, after(from), func(k, _ []byte) bool {
		file := lastUint64(k)
		if _, stored := counts[file]; named[file] == 0 && !stored { // else it waits to be removed
			c.found(0, "there is content of the file %d, which no message has", file)
		}
		return true
	})
}

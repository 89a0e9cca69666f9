package mailbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
)

// damage changes the index behind the store's back.
func (w *world) damage(a *Account, fn func(tx index.Tx) error) {
	w.t.Helper()
	if err := a.shard.Update(bg, fn, nil); err != nil {
		w.t.Fatal(err)
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	var k keyBuffer
	const id = 1
	inboxData := func(tx index.Tx) uint32 {
		rec, _ := readMailbox(tx, id, inboxID)
		return rec.data
	}
	changeBox := func(change func(r *mailboxRecord)) func(*world, *Account) {
		return func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec, err := readMailbox(tx, id, inboxID)
				if err != nil {
					return err
				}
				change(&rec)
				return tx.Put(index.Mail, k.numbered(id, kindMailbox, inboxID), rec.marshal())
			})
		}
	}
	changeAccount := func(change func(r *accountRecord)) func(*world, *Account) {
		return func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec, err := readAccount(tx, id)
				if err != nil {
					return err
				}
				change(&rec)
				return tx.Put(index.Mail, k.key(id, kindAccount), rec.marshal())
			})
		}
	}
	block := func(kind byte, change func(old []byte) []byte) func(*world, *Account) {
		return func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				key := append([]byte(nil), k.block(id, kind, inboxData(tx), 0)...)
				return tx.Put(index.Mail, key, change(append([]byte(nil), tx.Get(index.Mail, key)...)))
			})
		}
	}
	for name, c := range map[string]struct {
		damage func(w *world, a *Account)
		want   string
	}{
		"number of messages":   {changeBox(func(r *mailboxRecord) { r.messages++ }), "it counts"},
		"unseen":               {changeBox(func(r *mailboxRecord) { r.unseen-- }), "it counts"},
		"deleted":              {changeBox(func(r *mailboxRecord) { r.deleted++ }), "it counts"},
		"size":                 {changeBox(func(r *mailboxRecord) { r.size++ }), "it counts"},
		"size of deleted":      {changeBox(func(r *mailboxRecord) { r.deletedSize++ }), "it counts"},
		"ranges":               {changeBox(func(r *mailboxRecord) { r.ranges++ }), "it counts"},
		"UIDNEXT":              {changeBox(func(r *mailboxRecord) { r.next-- }), "UIDNEXT"},
		"HIGHESTMODSEQ":        {changeBox(func(r *mailboxRecord) { r.highest = 1 }), "is above the mailbox's"},
		"change number":        {changeAccount(func(r *accountRecord) { r.modSeq = 1 }), "from the future"},
		"usage":                {changeAccount(func(r *accountRecord) { r.bytes-- }), "the account counts"},
		"messages of account":  {changeAccount(func(r *accountRecord) { r.messages-- }), "the account counts"},
		"mailboxes of account": {changeAccount(func(r *accountRecord) { r.mailboxes-- }), "the account counts"},
		"numbers given":        {changeAccount(func(r *accountRecord) { r.lastID = 1 }), "above the account's"},
		"damaged states":       {block(kindState, func(b []byte) []byte { return b[:len(b)-1] }), "damaged"},
		"damaged summaries":    {block(kindSummary, func(b []byte) []byte { return b[:len(b)-1] }), "damaged"},
		"a state missing":      {block(kindState, func(b []byte) []byte { return b[4:] }), "no state"},
		"a summary missing":    {block(kindSummary, func(b []byte) []byte { return b[2+b[1]:] }), "no summary"},
		"UIDs out of order":    {block(kindState, func(b []byte) []byte { return append(b, b[:4]...) }), "its UID is not between"},
		"a keyword of no name": {block(kindState, func(b []byte) []byte { b[3] = 8; return b }), "keywords without a name"},
		"an empty block":       {block(kindState, func(b []byte) []byte { return nil }), "is empty"},
		"an expunged that is there": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				return tx.Put(index.Mail, k.history(id, inboxData(tx), 2), marshalRanges([]imap.UIDRange{{Start: 1, Stop: 9}}))
			})
		}, "was expunged"},
		"no INBOX": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error { return tx.Delete(index.Mail, named(id, kindName, inbox)) })
		}, "no INBOX"},
		"a name of nothing": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec := nameRecord{mailbox: 77}
				return tx.Put(index.Mail, named(id, kindName, "ghost"), rec.marshal())
			})
		}, `the mailbox "ghost" has no record`},
		"a name twice": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec := nameRecord{mailbox: inboxID}
				return tx.Put(index.Mail, named(id, kindName, "twin"), rec.marshal())
			})
		}, "are the same mailbox"},
		"a bad name": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec := nameRecord{folder: true}
				return tx.Put(index.Mail, named(id, kindName, "a//b"), rec.marshal())
			})
		}, "is not allowed"},
		"a damaged ACL": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec := nameRecord{mailbox: inboxID, acl: "\x09ab"}
				return tx.Put(index.Mail, named(id, kindName, inbox), rec.marshal())
			})
		}, "damaged ACL"},
		"a damaged ACL of the account": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error { return tx.Put(index.Mail, named(id, kindACL, ""), []byte("\x09ab")) })
		}, "its own ACL: "},
		"no directory above": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec := nameRecord{folder: true}
				return tx.Put(index.Mail, named(id, kindName, "up/down"), rec.marshal())
			})
		}, "there is no directory"},
		"shared messages": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				rec, _, _ := readName(tx, id, "Trash")
				box, err := readMailbox(tx, id, rec.mailbox)
				box.data = inboxData(tx)
				return firstErr(err, tx.Put(index.Mail, k.numbered(id, kindMailbox, rec.mailbox), box.marshal()))
			})
		}, "shares its messages"},
		"records of no mailbox": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error { return tx.Put(index.Mail, k.block(id, kindState, 99, 0), []byte{1, 0, 1, 0}) })
		}, "of no mailbox"},
		"content of no message": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error { return tx.Put(index.Content, k.content(id, 99999), []byte("x")) })
		}, "which no message has"},
		"a prefix missing": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				s, _, err := readSummary(tx, id, inboxData(tx), 2)
				return firstErr(err, tx.Delete(index.Content, k.content(id, s.id)))
			})
		}, "its prefix is missing"},
		"a reference too many": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				s, _, err := readSummary(tx, id, inboxData(tx), 2)
				_, err2 := changeRefs(tx, id, []msgfile.Ref{s.file()}, 1)
				return firstErr(err, err2)
			})
		}, "has the reference count 2, and 1 messages have it"},
		"a reference missing": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error {
				s, _, err := readSummary(tx, id, inboxData(tx), 2)
				v := appendSummary(slices.Clone(tx.Get(index.Mail, k.block(id, kindSummary, inboxData(tx), 0))), 3, &s)
				return firstErr(err, tx.Put(index.Mail, k.block(id, kindSummary, inboxData(tx), 0), v))
			})
		}, "has the reference count 1, and 2 messages have it"},
		"damaged references": {func(w *world, a *Account) {
			w.damage(a, func(tx index.Tx) error { return tx.Put(index.Mail, k.refs(id, 1), []byte{5, 2, 4, 2}) })
		}, "damaged block of reference counts"},
		"a file missing": {func(w *world, a *Account) {
			if err := os.Remove(filepath.Join(a.owner.Load().Dir, msgfile.Directory, w.files(a)[0])); err != nil {
				w.t.Fatal(err)
			}
		}, "the message file is missing"},
		"a file too short": {func(w *world, a *Account) {
			if err := os.Truncate(filepath.Join(a.owner.Load().Dir, msgfile.Directory, w.files(a)[0]), 3); err != nil {
				w.t.Fatal(err)
			}
		}, "has 3 bytes and should have"},
		"a file too long": {func(w *world, a *Account) {
			path := filepath.Join(a.owner.Load().Dir, msgfile.Directory, w.files(a)[0])
			if err := os.Truncate(path, 10000); err != nil {
				w.t.Fatal(err)
			}
		}, "has 10000 bytes and should have"},
		"a directory instead of a file": {func(w *world, a *Account) {
			path := filepath.Join(a.owner.Load().Dir, msgfile.Directory, w.files(a)[0])
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				w.t.Fatal(err)
			}
		}, "it is not a regular file"},
		"a file of no message": {func(w *world, a *Account) {
			w.write(a, fmt.Sprint("0/", w.ids.Add(1)))
		}, "no message has the file"},
		"an account of nobody": {func(w *world, a *Account) { delete(w.owners, id) }, "an account that does not exist"},
		"an owner without mailboxes": {func(w *world, a *Account) {
			w.owners[5] = Owner{ID: 5, Dir: w.t.TempDir()}
		}, "has no mailboxes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.account(id)
			w.append(a, "INBOX", 1, imap.FlagSeen)
			w.deliver(a, w.queued(2))
			w.check()
			c.damage(w, a)
			var got []string
			if err := w.store.Check(bg, func(f Finding) { got = append(got, f.String()) }); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(got, "\n"), c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			w.close()
		})
	}
}

func TestCheckLeavesAccountsAloneThatAreMadeOrRemoved(t *testing.T) {
	w := newWorld(t)
	w.account(1)
	for _, id := range []uint64{1, 2} {
		w.owners[id] = Owner{ID: id, Dir: filepath.Join(w.base, "gone"), Passing: true}
	}
	w.check()
}

func firstErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestDamagedRecordsAreErrorsNotPanics(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	var k keyBuffer
	for _, key := range [][]byte{
		append([]byte(nil), k.numbered(1, kindMailbox, inboxID)...),
		append([]byte(nil), k.key(1, kindAccount)...),
	} {
		w.damage(a, func(tx index.Tx) error { return tx.Put(index.Mail, key, []byte{0xff, 0xff}) })
		_, err := a.Open(bg, "INBOX", false)
		if err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("open: %v", err)
		}
		if _, err := a.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader("x")}); err == nil {
			t.Error("append worked")
		}
	}
	w.close()
}

func FuzzRecords(f *testing.F) {
	f.Add((&accountRecord{modSeq: 7, bytes: 1 << 40}).marshal())
	f.Add((&mailboxRecord{data: 2, validity: 1 << 31, next: 9}).marshal())
	f.Add((&nameRecord{mailbox: 1, folder: true, class: "IPF.Note"}).marshal())
	f.Add((&deliveredRecord{file: 1, mailbox: 2, uid: 3}).marshal())
	f.Add(marshalKeywords([]string{"$Label1", "work"}))
	f.Add(marshalRanges([]imap.UIDRange{{Start: 1, Stop: 5}, {Start: 7, Stop: 7}}))
	f.Add(appendState(appendState(nil, 5, state{flags: Seen, modSeq: 300}), 6, state{keywords: 1 << 63, modSeq: 1}))
	f.Add(appendSummary(nil, 5, &summary{id: 9, email: 8, size: 100, internal: -5, saved: 7, original: 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a accountRecord
		if a.unmarshal(b) == nil {
			again := a
			if err := again.unmarshal(a.marshal()); err != nil || again != a {
				t.Errorf("account %+v reads back as %+v, %v", a, again, err)
			}
		}
		var m mailboxRecord
		if m.unmarshal(b) == nil {
			again := m
			if err := again.unmarshal(m.marshal()); err != nil || again != m {
				t.Errorf("mailbox %+v reads back as %+v, %v", m, again, err)
			}
		}
		var n nameRecord
		if n.unmarshal(b) == nil {
			again := n
			if err := again.unmarshal(n.marshal()); err != nil || again != n {
				t.Errorf("name %+v reads back as %+v, %v", n, again, err)
			}
		}
		if words, err := unmarshalKeywords(b); err == nil {
			if again, err := unmarshalKeywords(marshalKeywords(words)); err != nil || fmt.Sprint(again) != fmt.Sprint(words) {
				t.Errorf("keywords %q read back as %q, %v", words, again, err)
			}
		}
		if ranges, err := unmarshalRanges(b); err == nil {
			if again, err := unmarshalRanges(marshalRanges(ranges)); err != nil || fmt.Sprint(again) != fmt.Sprint(ranges) {
				t.Errorf("ranges %v read back as %v, %v", ranges, again, err)
			}
		}
		for v := b; len(v) > 0; {
			uid, st, rest, ok := nextState(v, 3)
			if !ok {
				break
			}
			if u, s, r, ok := nextState(appendState(nil, uid, st), 3); !ok || u != uid || s != st || len(r) > 0 {
				t.Errorf("state %d %+v reads back as %d %+v", uid, st, u, s)
			}
			v = rest
		}
		for v := b; len(v) > 0; {
			uid, s, rest, ok := nextSummary(v, 3)
			if !ok {
				break
			}
			if u, again, r, ok := nextSummary(appendSummary(nil, uid, &s), 3); !ok || u != uid || again != s || len(r) > 0 {
				t.Errorf("summary %d %+v reads back as %d %+v", uid, s, u, again)
			}
			v = rest
		}
	})
}

func TestStoredFormsStayAsTheyAre(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{(&accountRecord{modSeq: 300, bytes: 5, messages: 2, mailboxes: 6, lastID: 12, lastValidity: 1790000000, dir: 1, dirFiles: 2, crashes: 9}).marshal(), "ac020502060c80f7c4d506010209"},
		{(&mailboxRecord{data: 2, validity: 3, next: 4, messages: 5, unseen: 6, deleted: 7, size: 8, deletedSize: 9, highest: 10, recentFrom: 11, floor: 12, ranges: 13}).marshal(), "02030405060708090a0b0c0d"},
		{(&nameRecord{mailbox: 3, folder: true, class: "x"}).marshal(), "03010178"},
		{(&nameRecord{mailbox: 3, acl: ACL{{"a", 300}, {"bc", 1}}.marshal()}).marshal(), "030000080161ac0202626301"},
		{(&deliveredRecord{file: 1, mailbox: 2, uid: 3}).marshal(), "010203"},
		{marshalKeywords([]string{"a", "bc"}), "0161026263"},
		{marshalRanges([]imap.UIDRange{{Start: 2, Stop: 4}, {Start: 9, Stop: 9}}), "02020500"},
		{appendState(nil, 65, state{flags: Seen | Deleted, modSeq: 7, keywords: 3}), "01090703"},
		{appendSummary(nil, 17, &summary{id: 5, dir: 1, prefix: 2, offset: 3, size: 4, internal: 10, saved: 12, email: 4, thread: 6, original: 16}), "010a05010203041404010601"},
		{new(keyBuffer).history(1, 2, 3), "000000000000000130000000020000000000000003"},
		{new(keyBuffer).content(1, 3), "00000000000000010000000000000003"},
		{new(keyBuffer).refs(1, 2), "0000000000000001500000000000000002"},
		{(&refCounts{3: 2, 200: 300}).marshal()[:8], "0000010002000302"},
		{new(keyBuffer).delivered(1, 2, 3), "0000000000000001000000000000000200000003"},
		{named(1, kindName, "a"), "00000000000000010261"},
		{new(keyBuffer).dropped(1, 2), "000000000000000100000002"},
		{binary.AppendUvarint(nil, kindSummary), "20"},
	} {
		if got := fmt.Sprintf("%x", c.got); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// Fields that were added later read as 0.
func TestOlderAccountRecordsRead(t *testing.T) {
	var rec accountRecord
	if err := rec.unmarshal([]byte("\xac\x02\x05\x02\x06\x0c\x80\xf7\xc4\xd5\x06\x01\x02")); err != nil || rec.dirFiles != 2 || rec.crashes != 0 {
		t.Errorf("%+v, %v", rec, err)
	}
}

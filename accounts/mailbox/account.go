package mailbox

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// Account is the handle of one account's mailboxes. It may be used by many
// goroutines at once and be kept for long.
type Account struct {
	store *Store
	id    uint64
	shard *index.Shard
	owner atomic.Pointer[Owner]
	// moving is held, shared, while a path below the owner's directory is in use, see dirmove.go.
	moving sync.RWMutex
	files  msgfile.Uses
	names  preparedNames

	// mu guards what follows. No disk is waited for and no other lock is taken
	// under it.
	mu    sync.Mutex
	boxes map[uint32]*box // the open mailboxes by their number
	// recents are numbers of mailbox records that are not saved yet.
	recents  map[uint32]imap.UID
	watchers []*watcher // replaced, never changed
	freed    []*watcher // those of WatchFreed; replaced, never changed

	dir      uint32 // see nextFile
	dirFiles uint32
	dirReady bool // dir is there, and dirFiles is known

	// making is held while a directory for messages is made.
	making sync.Mutex
	// movingLeftovers is held while files without records are moved; leftoversMoved says that this is done.
	movingLeftovers sync.Mutex
	leftoversMoved  atomic.Bool
}

type watcher struct{ fn func() }

func (a *Account) limits() Limits {
	if f := a.owner.Load().Limits; f != nil {
		return f()
	}
	return Limits{MaxSize: -1}
}

// record reads the account's record.
func (a *Account) record() (rec accountRecord, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		rec, err = readAccount(tx, a.id)
		return err
	})
	return rec, err
}

func readAccount(tx index.Tx, id uint64) (rec accountRecord, err error) {
	var k keyBuffer
	v := tx.Get(index.Mail, k.key(id, kindAccount))
	if v == nil {
		return rec, fault.New("mailbox.read", fault.NotFound, "")
	}
	return rec, rec.unmarshal(v)
}

// Usage is what an account holds.
type Usage struct {
	Bytes, Messages, Mailboxes int64
}

// Usage returns what the account holds.
func (a *Account) Usage(ctx context.Context) (Usage, error) {
	rec, err := a.record()
	return Usage{Bytes: rec.bytes, Messages: rec.messages, Mailboxes: int64(rec.mailboxes)}, err
}

// Fits returns OverQuota when a message of so many bytes finds no room now. It spares a
// client the sending; what holds is what the commit finds.
func (a *Account) Fits(ctx context.Context, size int64) error {
	rec, err := a.record()
	if err != nil {
		return err
	}
	return rec.fits(size, a.limits().MaxSize)
}

// Info describes a mailbox name: the message container of that name, the
// directory for nested mailboxes of that name, or both.
type Info struct {
	Name string
	// ID is the MAILBOXID (RFC 8474); 0 if there is no container.
	ID uint32
	// Selectable says that there is a container.
	Selectable bool
	// HasFolder says that there is a directory, HasChildren that mailboxes are
	// in it.
	HasFolder   bool
	HasChildren bool
	Subscribed  bool
	Class       string

	UIDValidity   uint32
	UIDNext       imap.UID
	Messages      uint32
	Unseen        uint32
	Deleted       uint32
	Recent        uint32
	Size          int64
	DeletedSize   int64
	HighestModSeq uint64
}

// List returns all names, sorted by bytes with INBOX first.
func (a *Account) List(ctx context.Context) ([]Info, error) {
	var all []Info
	err := a.shard.View(func(tx index.Tx) error {
		if _, err := readAccount(tx, a.id); err != nil {
			return err
		}
		var err error
		all, err = a.list(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	parents := make(map[string]bool)
	for i := range all {
		for p := parent(all[i].Name); p != "" && !parents[p]; p = parent(p) {
			parents[p] = true
		}
	}
	for i := range all {
		all[i].HasChildren = parents[all[i].Name]
	}
	slices.SortStableFunc(all, func(x, y Info) int {
		switch {
		case x.Name == inbox:
			return -1
		case y.Name == inbox:
			return 1
		}
		return 0
	})
	return all, nil
}

func (a *Account) list(tx index.Tx) (all []Info, err error) {
	subscribed := subscriptions(tx, a.id)
	from := named(a.id, kindName, "")
	tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		var rec nameRecord
		if err = rec.unmarshal(v); err != nil {
			return false
		}
		name := string(k[len(from):])
		var i Info
		if i, err = a.info(tx, name, rec); err != nil {
			return false
		}
		_, i.Subscribed = slices.BinarySearch(subscribed, name)
		all = append(all, i)
		return true
	})
	return all, err
}

// info describes a name from its record and the mailbox's.
func (a *Account) info(tx index.Tx, name string, rec nameRecord) (Info, error) {
	i := Info{Name: name, ID: rec.mailbox, Selectable: rec.mailbox != 0, HasFolder: rec.folder, Class: rec.class}
	if rec.mailbox == 0 {
		return i, nil
	}
	m, err := readMailbox(tx, a.id, rec.mailbox)
	if err != nil {
		return i, err
	}
	i.UIDValidity, i.UIDNext, i.HighestModSeq = m.validity, m.next, m.highest
	i.Messages, i.Unseen, i.Deleted, i.Size, i.DeletedSize = m.messages, m.unseen, m.deleted, m.size, m.deletedSize
	i.Recent, err = a.countRecent(tx, rec.mailbox, m)
	return i, err
}

// Status returns the state of one mailbox from its record; it opens nothing.
// NoMailbox if there is no container of that name.
func (a *Account) Status(ctx context.Context, name string) (i Info, err error) {
	if name, err = cleanName(name); err != nil {
		return Info{}, noMailbox(err)
	}
	err = a.shard.View(func(tx index.Tx) error {
		name, rec, _, err := lookUp(tx, a.id, name)
		if err != nil {
			return err
		}
		if rec.mailbox == 0 {
			return fault.New("mailbox.Status", fault.NoMailbox, "")
		}
		if i, err = a.info(tx, name, rec); err != nil {
			return err
		}
		_, i.Subscribed = slices.BinarySearch(subscriptions(tx, a.id), name)
		from := named(a.id, kindName, name+"/")
		tx.Range(index.Mail, from, after(from), func(_, _ []byte) bool {
			i.HasChildren = true
			return false
		})
		return nil
	})
	return i, err
}

// find returns the number and the name of the mailbox that a name, which is clean, stands
// for, or NoMailbox; NotFound if there is no such account.
func (a *Account) find(name string) (id uint32, found string, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		if _, err := readAccount(tx, a.id); err != nil {
			return err
		}
		if id, err = mailboxID(tx, a.id, name); err != nil {
			return err
		}
		found, _, _, err = lookUp(tx, a.id, name)
		return err
	})
	return id, found, err
}

// noMailbox is the error for a name that cannot exist where one that exists
// is needed.
func noMailbox(cause error) error {
	return &fault.Error{Op: "mailbox.find", Kind: fault.NoMailbox, Err: cause}
}

// Subscriptions returns the subscribed names, sorted; they may name mailboxes
// that do not exist or belong to others.
func (a *Account) Subscriptions(ctx context.Context) (names []string, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		names = subscriptions(tx, a.id)
		return nil
	})
	return names, err
}

func subscriptions(tx index.Tx, account uint64) (names []string) {
	from := named(account, kindSubscription, "")
	tx.Range(index.Mail, from, after(from), func(k, _ []byte) bool {
		names = append(names, string(k[len(from):]))
		return true
	})
	return names
}

// maxSubscriptions bounds the subscription list, whose names need not exist.
const maxSubscriptions = 10000

// Subscribe puts a name on the subscription list or takes it off. Neither
// needs the mailbox to exist, and it may belong to another account
// ("~name/box"); a repeated call changes nothing. A name that stands for a mailbox with
// another one puts that on the list.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error {
	if !strings.HasPrefix(name, "~") || strings.HasPrefix(name, "~/") {
		clean, err := cleanName(strings.TrimSuffix(name, "/"))
		if err != nil {
			return err
		}
		name = clean
	} else if _, err := cleanName(name[1:]); err != nil {
		return err
	}
	return a.update(ctx, func(e *edit) error {
		if e.tx.Get(index.Mail, named(a.id, kindSubscription, name)) != nil {
			return e.subscribe(name, on)
		}
		found, _, _, err := lookUp(e.tx, a.id, name)
		if err != nil {
			return err
		}
		return e.subscribe(found, on)
	})
}

func (e *edit) subscribe(name string, on bool) error {
	key := named(e.account.id, kindSubscription, name)
	if there := e.tx.Get(index.Mail, key) != nil; there == on {
		return nil
	}
	e.dirty = true
	if !on {
		return e.tx.Delete(index.Mail, key)
	}
	if len(subscriptions(e.tx, e.account.id)) >= maxSubscriptions {
		return fault.Newf("mailbox.Subscribe", fault.TooMany, "at most %d names can be subscribed", maxSubscriptions)
	}
	return e.tx.Put(index.Mail, key, []byte{1})
}

// Watch calls fn after every change in the account until stop is called. fn
// runs in the store's writer: it must return at once and call nothing here. A
// call that has begun may still run when stop returns.
func (a *Account) Watch(fn func()) (stop func()) { return a.watch(&a.watchers, fn) }

// WatchFreed is Watch for the changes after which the account holds less than before.
func (a *Account) WatchFreed(fn func()) (stop func()) { return a.watch(&a.freed, fn) }

func (a *Account) watch(list *[]*watcher, fn func()) (stop func()) {
	w := &watcher{fn}
	a.mu.Lock()
	*list = append(slices.Clip(*list), w)
	a.mu.Unlock()
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		*list = slices.DeleteFunc(slices.Clone(*list), func(o *watcher) bool { return o == w })
	}
}

// announce tells the open views and the watchers what an edit has changed. It
// runs in the shard's writer, in the order of the commits.
func (a *Account) announce(e *edit) {
	for _, x := range e.boxes {
		a.mu.Lock()
		b := a.boxes[x.id]
		if x.deleted {
			delete(a.boxes, x.id)
			delete(a.recents, x.id)
		}
		if from, ok := a.recents[x.id]; ok && x.dirty && from <= x.rec.recentFrom {
			delete(a.recents, x.id)
		}
		a.mu.Unlock()
		if b != nil {
			b.apply(x)
		}
		for i := range x.expunged {
			if out := &x.expunged[i]; out.last {
				a.unwant(out.summary.file())
			}
		}
		if x.deleted {
			a.store.upkeep.dropped(a, x.rec.data)
		}
	}
	a.tellStored(e)
	a.mu.Lock()
	watchers, freed := a.watchers, a.freed
	a.mu.Unlock()
	for _, w := range watchers {
		w.fn()
	}
	if e.rec.bytes < e.held {
		for _, w := range freed {
			w.fn()
		}
	}
}

// box returns the open mailbox of that number, or nil.
func (a *Account) box(id uint32) *box {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.boxes[id]
}

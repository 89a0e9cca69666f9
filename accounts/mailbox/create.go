package mailbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// CreateOptions are for CreateMailbox.
type CreateOptions struct {
	Class string // "" is mail
}

// NewMailbox is a mailbox that a new account starts with.
type NewMailbox struct {
	Name string // as CleanName returns it
	CreateOptions
	// Subscribed puts the name on the subscription list.
	Subscribed bool
}

// maxNames bounds the names of one account, whatever its limit says: LIST
// holds them all in memory.
const maxNames = 20000

// Create makes the records and directories of a new account: INBOX,
// subscribed, and the boxes given. The account's own directory has to be there
// and durable. An account that is there already is fault.Exists.
func (s *Store) Create(ctx context.Context, o Owner, boxes []NewMailbox) error {
	const op = "mailbox.Create"
	if err := msgfile.MakeDirectory(o.Dir, 0); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	a := s.Account(o)
	return a.shard.Update(ctx, func(tx index.Tx) error {
		e := &edit{account: a, tx: tx, now: time.Now()}
		if tx.Get(index.Mail, e.key.key(a.id, kindAccount)) != nil {
			return fault.New(op, fault.Exists, "")
		}
		e.rec.crashes = s.crashes[a.shard] // it has no files yet
		x := e.newBox(0)                   // the first number of an account is inboxID
		if err := e.putName(inbox, nameRecord{mailbox: x.id}); err != nil {
			return err
		}
		if err := e.subscribe(inbox, true); err != nil {
			return err
		}
		for _, b := range boxes {
			if err := e.create(b.Name, false, b.CreateOptions); err != nil {
				return err
			}
			if b.Subscribed {
				if err := e.subscribe(b.Name, true); err != nil {
					return err
				}
			}
		}
		return e.flush()
	}, nil)
}

// Remove removes all mailboxes and messages of an account and its Messages
// directory. Open views of it are told that their mailbox is gone. An account
// that has nothing here is no error.
func (s *Store) Remove(ctx context.Context, o Owner) error {
	a := s.Account(o)
	err := a.updateFreeing(ctx, func(e *edit) error {
		for _, id := range mailboxIDs(e.tx, a.id) {
			x, err := e.box(id)
			if err != nil {
				return err
			}
			if err := e.drop(x); err != nil {
				return err
			}
		}
		for _, kind := range []byte{kindName, kindSubscription, kindACL, kindDataset} {
			if err := e.deleteAll(e.key.key(a.id, kind)); err != nil {
				return err
			}
		}
		e.removed = true
		if err := e.tx.Put(index.Dropped, e.key.dropped(a.id, allData), []byte{}); err != nil {
			return err
		}
		return e.tx.Delete(index.Mail, e.key.key(a.id, kindAccount))
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	s.upkeep.dropped(a, allData)
	return fault.Wrap("mailbox.Remove", fault.Internal, os.RemoveAll(filepath.Join(o.Dir, msgfile.Directory)))
}

// mailboxIDs returns the numbers of all mailboxes of an account.
func mailboxIDs(tx index.Tx, account uint64) (ids []uint32) {
	var k keyBuffer
	from := append([]byte(nil), k.key(account, kindMailbox)...)
	tx.Range(index.Mail, from, after(from), func(k, _ []byte) bool {
		ids = append(ids, lastUint32(k))
		return true
	})
	return ids
}

// deleteAll removes the records of index.Mail whose keys begin with prefix.
func (e *edit) deleteAll(prefix []byte) error {
	var keys [][]byte
	e.tx.Range(index.Mail, prefix, after(prefix), func(k, _ []byte) bool {
		keys = append(keys, append([]byte(nil), k...))
		return true
	})
	var errs []error
	for _, k := range keys {
		errs = append(errs, e.tx.Delete(index.Mail, k))
	}
	return errors.Join(errs...)
}

// CreateMailbox creates a mailbox and the directories above it. A name with a
// slash at the end creates only the directory. Errors: Exists, Invalid (a bad
// name or class), TooMany.
func (a *Account) CreateMailbox(ctx context.Context, name string, o CreateOptions) (i Info, err error) {
	name, folder, err := newName(name)
	if err == nil {
		err = checkClass(o.Class)
	}
	if err != nil {
		return Info{}, err
	}
	limit := a.limits().MaxMailboxes
	err = a.update(ctx, func(e *edit) error {
		if err := e.create(name, folder, o); err != nil {
			return err
		}
		if limit > 0 && e.rec.mailboxes > uint32(limit) || e.rec.mailboxes > maxNames {
			return fault.New("mailbox.CreateMailbox", fault.TooMany, "the account has as many mailboxes as it may")
		}
		rec, _, err := e.name(name)
		if err != nil {
			return err
		}
		for _, x := range e.boxes {
			if err := x.flush(); err != nil {
				return err
			}
		}
		i, err = a.info(e.tx, name, rec)
		return err
	})
	return i, err
}

func checkClass(class string) error {
	if len(class) > maxLevel || !utf8.ValidString(class) || strings.ContainsFunc(class, unprintable) {
		return fault.New("mailbox.class", fault.Invalid, "this cannot be the class of a mailbox")
	}
	return nil
}

// SetClass says what a mailbox is meant for; "" is mail. Errors: NoMailbox, Invalid.
func (a *Account) SetClass(ctx context.Context, name, class string) error {
	name, err := cleanName(name)
	if err != nil {
		return noMailbox(err)
	}
	if err := checkClass(class); err != nil {
		return err
	}
	return a.update(ctx, func(e *edit) error {
		found, rec, _, err := lookUp(e.tx, a.id, name)
		if err == nil && rec.mailbox == 0 {
			err = fault.New("mailbox.SetClass", fault.NoMailbox, "")
		}
		if err != nil {
			return err
		}
		rec.class = class
		return e.putName(found, rec)
	})
}

// create makes a container or a directory of a name that is clean.
func (e *edit) create(name string, folder bool, o CreateOptions) error {
	rec, found, err := e.name(name)
	if err != nil {
		return err
	}
	if folder && rec.folder || !folder && rec.mailbox != 0 {
		return fault.New("mailbox.CreateMailbox", fault.Exists, "")
	}
	if !found {
		if rec.acl, err = e.aclAbove(name); err != nil {
			return err
		}
	}
	if folder {
		rec.folder = true
	} else {
		rec.mailbox, rec.class = e.newBox(0).id, o.Class
	}
	if err := e.putName(name, rec); err != nil {
		return err
	}
	return e.makeParents(name)
}

// makeParents makes the directories that a name lies in.
func (e *edit) makeParents(name string) error {
	for p := parent(name); p != ""; p = parent(p) {
		rec, found, err := e.name(p)
		if err != nil {
			return err
		}
		if rec.folder {
			return nil
		}
		if !found {
			if rec.acl, err = e.aclAbove(p); err != nil {
				return err
			}
		}
		rec.folder = true
		if err := e.putName(p, rec); err != nil {
			return err
		}
	}
	return nil
}

// children returns the names below a name, in order.
func (e *edit) children(name string) (names []string) {
	from := named(e.account.id, kindName, name+"/")
	skip := len(from) - len(name) - 1
	e.tx.Range(index.Mail, from, after(from), func(k, _ []byte) bool {
		names = append(names, string(k[skip:]))
		return true
	})
	return names
}

// DeleteMailbox removes the container with its messages. Nested mailboxes and
// the subscription stay, its ACL does not. A directory without a container goes if it is empty,
// else the error is fault.NotEmpty. A name with a slash at the end is that of the
// directory: the container stays. INBOX is fault.Denied. The name is the one that List
// shows: a DELETE of foo.mbox that a client repeats does not take foo too.
func (a *Account) DeleteMailbox(ctx context.Context, name string) error {
	const op = "mailbox.DeleteMailbox"
	name, folder := strings.CutSuffix(name, "/")
	name, err := cleanName(name)
	if err != nil {
		return noMailbox(err)
	}
	if name == inbox && !folder {
		return fault.New(op, fault.Denied, "INBOX cannot be deleted")
	}
	return a.updateFreeing(ctx, func(e *edit) error {
		rec, found, err := e.name(name)
		if err != nil {
			return err
		}
		if !found || folder && !rec.folder {
			return fault.New(op, fault.NoMailbox, "")
		}
		nested := len(e.children(name)) > 0
		if folder || rec.mailbox == 0 {
			if nested {
				return fault.New(op, fault.NotEmpty, "")
			}
			rec.folder = false
			return e.putName(name, rec)
		}
		x, err := e.box(rec.mailbox)
		if err != nil {
			return err
		}
		if err := e.putName(name, nameRecord{folder: nested}); err != nil {
			return err
		}
		return e.drop(x)
	})
}

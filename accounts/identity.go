package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// keyAccountID is the reserved key under which an account's files keep its
// number in the message store, with the path that the account had when it was
// written:
//
//	"#AccountID" = (100023, "Accounts/user1.macnt");
//
// account.settings and account.info both have it, and either is enough:
// account.info may be deleted at any time, and a script may rewrite
// account.settings without it. The path tells a directory that was moved (the
// account keeps its number) from one that was copied (two accounts must not
// share their messages).
const keyAccountID = "#AccountID"

type identity struct {
	id   uint64
	path string // below the base directory
}

func (i identity) dataValue() dataformat.Value {
	return dataformat.Array{dataformat.String(fmt.Sprint(i.id)), dataformat.String(filepath.ToSlash(i.path))}
}

func readIdentity(d dataformat.Dict) (identity, bool) {
	a, ok := d[keyAccountID].(dataformat.Array)
	if !ok || len(a) != 2 {
		return identity{}, false
	}
	n, ok := dataformat.Int(a[0])
	path, isText := dataformat.Text(a[1])
	if !ok || !isText || n <= 0 {
		return identity{}, false
	}
	return identity{id: uint64(n), path: filepath.FromSlash(path)}, true
}

// keyAdopting marks an account.info whose number is not in use yet.
const keyAdopting = "#Adopting"

// identities finds the numbers of accounts, and where their directories are.
type identities struct{ store *directory }

// identify finds the number of an account. A directory that somebody made by
// hand, with nothing in the message store, gets one and becomes an account.
func (n identities) identify(a *Account) error {
	const op = "accounts.Identify"
	here, err := filepath.Rel(n.store.base, a.dir)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	id, ok := readIdentity(a.explicit)
	if !ok {
		return n.recover(a, here)
	}
	a.ID = id.id
	if other := n.original(id, a.dir); other != "" {
		return n.copied(op, a, other)
	}
	if id.path == here {
		return nil
	}
	// This is the account, moved.
	n.noteDirectory(a.Address(), a.dir)
	return nil
}

func (n identities) copied(op string, a *Account, original string) error {
	if rel, err := filepath.Rel(n.store.base, original); err == nil {
		original = rel
	}
	return fault.Wrap(op, fault.Corrupt, fmt.Errorf("the directory of %s is a copy of %s; to make it an account of its own, with no mail, remove the key %s from %s and %s, and the directory %s",
		a.Address(), original, keyAccountID, accountFile, infoFile, messagesDirectory))
}

// original returns the directory of the account of which a directory with an identity is
// a copy, or "": the one that it tells of, or that the message store knows. If it cannot be
// told it is a copy, so that nothing of the account goes with that.
func (n identities) original(id identity, dir string) string {
	known := n.store.mail.Dir(id.id)
	if known == dir {
		return "" // it may have moved since its file was written
	}
	for _, other := range []string{filepath.Join(n.store.base, id.path), known} {
		if other != "" && other != dir && maybeAccount(other, id.id) && !sameFile(other, dir) {
			return other
		}
	}
	return ""
}

// sameFile reports whether two paths are those of one directory, by way of links.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// maybeAccount reports whether a directory has an account's number, or whether that
// cannot be told.
func maybeAccount(dir string, number uint64) bool {
	for _, file := range []string{accountFile, infoFile} {
		d, err := dataformat.ReadDict(filepath.Join(dir, file))
		if err != nil {
			return true
		}
		if o, ok := readIdentity(d); ok {
			return o.id == number
		}
	}
	return false
}

// noteDirectory notes where an account is, after its directory has moved: a copy that
// somebody puts where it was must not be taken for it. Until that is done the
// account is found all the same.
func (n identities) noteDirectory(address, dir string) {
	here, err := filepath.Rel(n.store.base, dir)
	if err == nil {
		err = n.store.edit(filepath.Join(dir, accountFile), func(d dataformat.Dict) error {
			id, ok := readIdentity(d)
			if !ok || id.path == here {
				return errUnchanged
			}
			d[keyAccountID] = identity{id.id, here}.dataValue()
			return nil
		})
	}
	if err != nil {
		n.store.log.Log(n.store.life, logs.LevelProblem, "the new directory of an account was not noted", logs.AttrAccount, address, logs.AttrError, err)
	}
}

// noteDirectories has it done for the accounts of a domain that has another name, by looking
// them up. What a stop leaves is done when somebody else does.
func (n identities) noteDirectories(domain string) {
	list, err := n.store.accountNames(domain)
	if err != nil {
		n.store.log.Log(n.store.life, logs.LevelProblem, "the new directories of accounts were not noted", "domain", domain, logs.AttrError, err)
	}
	for _, name := range list {
		if n.store.life.Err() != nil {
			return
		}
		// Whoever wants the account is told what is wrong with it.
		_, _ = n.store.loadAccount(accountKey{domain, name})
	}
}

// unused reports whether an account has neither a number nor messages.
func (a *Account) unused() bool {
	if _, ok := readIdentity(a.explicit); ok {
		return false
	}
	if _, ok := directoryIdentity(a.dir); ok {
		return false
	}
	_, err := os.Stat(filepath.Join(a.dir, messagesDirectory))
	return errors.Is(err, fs.ErrNotExist)
}

// numberLost is the error for an account that has messages and no number.
func (a *Account) numberLost() error {
	return fault.Wrap("accounts.Identify", fault.Corrupt, fmt.Errorf("the account %s has messages but both %s and %s have lost its number", a.Address(), accountFile, infoFile))
}

// recover finds the number in account.info, or makes a new one, and
// puts it into account.settings. The steps of an adoption are: account.info
// gets the number and the mark, the message store gets the account,
// account.settings gets the number; after a crash they are done again with the
// same number.
func (n identities) recover(a *Account, here string) error {
	const op = "accounts.Identify"
	unlock := n.store.locks.lock("identify " + here)
	defer unlock()
	var id identity
	var adopting bool
	err := n.store.edit(filepath.Join(a.dir, infoFile), func(info dataformat.Dict) error {
		var ok bool
		if id, ok = readIdentity(info); ok {
			if other := n.original(id, a.dir); other != "" {
				return n.copied(op, a, other)
			}
			adopting = info.String(keyAdopting) != ""
			return errUnchanged
		}
		if _, err := os.Stat(filepath.Join(a.dir, messagesDirectory)); err == nil {
			return a.numberLost()
		}
		number, err := n.store.nextID()
		if err != nil {
			return err
		}
		id, adopting = identity{number, here}, true
		info[keyAccountID] = id.dataValue()
		info[keyAdopting] = dataformat.String("YES")
		return nil
	})
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	if adopting {
		err := n.store.mail.Create(n.store.life, mailbox.Owner{ID: id.id, Dir: a.dir}, newMailboxes(a.prefLayers()))
		if err != nil && !fault.Is(err, fault.Exists) {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	a.ID = id.id
	if a.bare && !adopting {
		// It stays away: with a new file nobody would see that it was lost.
		n.store.log.Log(n.store.life, logs.LevelFailure, accountFile+" is missing; the account has no password and the default settings", logs.AttrAccount, a.Address())
		return nil
	}
	err = n.store.edit(filepath.Join(a.dir, accountFile), func(d dataformat.Dict) error {
		a.explicit = d
		if now, ok := readIdentity(d); ok {
			a.ID = now.id
			return errUnchanged
		}
		d[keyAccountID] = identity{id.id, here}.dataValue()
		return nil
	})
	if err != nil || !adopting {
		return fault.Wrap(op, fault.Internal, err)
	}
	n.store.log.Log(n.store.life, logs.LevelMajor, "account directory adopted", logs.AttrAccount, a.Address())
	return fault.Wrap(op, fault.Internal, n.store.edit(filepath.Join(a.dir, infoFile), func(info dataformat.Dict) error {
		delete(info, keyAdopting)
		return nil
	}))
}

package mailbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// A dataset is a named set of addresses that belongs to an account: those that its vacation message has
// answered, for instance. Rules ask whether an address is in one, and put addresses there with
// the delivery that they are about.

// Limits of datasets, since strangers' messages make entries.
const (
	MaxDatasets       = 100
	MaxDatasetEntries = 20_000 // of a set; when it is full, the oldest ones go
	maxDatasetName    = 200    // bytes
	maxDatasetAddress = 400
	maxDatasetData    = 8 << 10
)

// DatasetEntry is an address of a dataset.
type DatasetEntry struct {
	Address string // in lower case
	Added   time.Time
	Data    string // whatever the owner has put there
}

// Remembered is an address that a delivery puts into a dataset.
type Remembered struct{ Dataset, Address string }

// datasetKey is the key of an entry, or of the set itself without an address.
func datasetKey(account uint64, set, address string) []byte {
	return append(append(named(account, kindDataset, set), 0), strings.ToLower(address)...)
}

func checkDataset(set, address string) error {
	const op = "mailbox.Dataset"
	control := func(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) }
	switch {
	case set == "" || len(set) > maxDatasetName || control(set):
		return fault.New(op, fault.Invalid, "this cannot be the name of a dataset")
	case len(address) > maxDatasetAddress || control(address):
		return fault.New(op, fault.Invalid, "this cannot be an entry of a dataset")
	}
	return nil
}

// Datasets lists the names of the account's datasets, sorted.
func (a *Account) Datasets(context.Context) (sets []string, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		sets = datasets(tx, a.id)
		return nil
	})
	return sets, err
}

func datasets(tx index.Tx, account uint64) (sets []string) {
	from := named(account, kindDataset, "")
	for next := from; next != nil; {
		at := next
		next = nil
		tx.Range(index.Mail, at, after(from), func(k, _ []byte) bool {
			set, _, _ := bytes.Cut(k[len(from):], []byte{0})
			sets = append(sets, string(set))
			next = append(named(account, kindDataset, string(set)), 1) // behind its entries
			return false
		})
	}
	return sets
}

// Dataset lists the entries of a dataset by address. Errors: NotFound.
func (a *Account) Dataset(_ context.Context, set string) (list []DatasetEntry, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		list, err = entries(tx, a.id, set)
		return err
	})
	return list, err
}

func entries(tx index.Tx, account uint64, set string) (list []DatasetEntry, err error) {
	from := datasetKey(account, set, "")
	if tx.Get(index.Mail, from) == nil {
		return nil, fault.New("mailbox.Dataset", fault.NotFound, "there is no such dataset")
	}
	tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		if len(k) > len(from) {
			d := decoder{b: v}
			list = append(list, DatasetEntry{Address: string(k[len(from):]), Added: time.Unix(int64(d.uint64()), 0), Data: d.text()})
			err = d.err("dataset entry")
		}
		return err == nil
	})
	return list, err
}

// Remembers reports whether a dataset has an address, in any letter case.
func (a *Account) Remembers(set, address string) (found bool, err error) {
	if address == "" || checkDataset(set, address) != nil {
		return false, nil
	}
	err = a.shard.View(func(tx index.Tx) error {
		found = tx.Get(index.Mail, datasetKey(a.id, set, address)) != nil
		return nil
	})
	return found, err
}

// CreateDataset makes a dataset without entries. Errors: Invalid, Exists, TooMany.
func (a *Account) CreateDataset(ctx context.Context, set string) error {
	if err := checkDataset(set, ""); err != nil {
		return err
	}
	return a.update(ctx, func(e *edit) error {
		if e.tx.Get(index.Mail, datasetKey(a.id, set, "")) != nil {
			return fault.New("mailbox.CreateDataset", fault.Exists, "the dataset exists")
		}
		_, err := e.dataset(set)
		return err
	})
}

// RemoveDataset removes a dataset with its entries. One that does not exist is no error.
func (a *Account) RemoveDataset(ctx context.Context, set string) error {
	if err := checkDataset(set, ""); err != nil {
		return err
	}
	return a.updateFreeing(ctx, func(e *edit) error { return e.deleteAll(datasetKey(a.id, set, "")) })
}

// SetDatasetEntry puts an address into a dataset, which is made if there is none, or gives the entry other
// data. Errors: Invalid, TooMany.
func (a *Account) SetDatasetEntry(ctx context.Context, set, address, data string) error {
	if err := checkDataset(set, address); err != nil {
		return err
	}
	if address == "" || len(data) > maxDatasetData {
		return fault.New("mailbox.SetDatasetEntry", fault.Invalid, "this cannot be an entry of a dataset")
	}
	return a.update(ctx, func(e *edit) error { return e.putEntry(set, address, data) })
}

// DeleteDatasetEntry takes an address out of a dataset. One that is not there is no error.
func (a *Account) DeleteDatasetEntry(ctx context.Context, set, address string) error {
	if err := checkDataset(set, address); err != nil || address == "" {
		return err
	}
	return a.updateFreeing(ctx, func(e *edit) error {
		key := datasetKey(a.id, set, address)
		if e.tx.Get(index.Mail, key) == nil {
			return nil
		}
		n, err := e.dataset(set)
		if err != nil {
			return err
		}
		if err := e.countEntries(set, n-1); err != nil {
			return err
		}
		return e.tx.Delete(index.Mail, key)
	})
}

// dataset returns the number of entries of a dataset, which is made if there is none.
func (e *edit) dataset(set string) (n uint64, err error) {
	if v := e.tx.Get(index.Mail, datasetKey(e.account.id, set, "")); v != nil {
		d := decoder{b: v}
		n = d.uint64()
		return n, d.err("dataset")
	}
	if len(datasets(e.tx, e.account.id)) >= MaxDatasets {
		return 0, fault.New("mailbox.Dataset", fault.TooMany, "the account has too many datasets")
	}
	return 0, e.countEntries(set, 0)
}

func (e *edit) countEntries(set string, n uint64) error {
	return e.tx.Put(index.Mail, datasetKey(e.account.id, set, ""), binary.AppendUvarint(nil, n))
}

// remember puts an address into a dataset, unless it is there. An address that cannot be an entry is left
// out: it is a stranger's, and no reason to hold mail back.
func (e *edit) remember(m Remembered) error {
	if m.Address == "" || checkDataset(m.Dataset, m.Address) != nil || e.tx.Get(index.Mail, datasetKey(e.account.id, m.Dataset, m.Address)) != nil {
		return nil
	}
	err := e.putEntry(m.Dataset, m.Address, "")
	if fault.Is(err, fault.TooMany) {
		return nil
	}
	return err
}

func (e *edit) putEntry(set, address, data string) error {
	n, err := e.dataset(set)
	if err != nil {
		return err
	}
	key := datasetKey(e.account.id, set, address)
	added := e.now.Unix()
	if v := e.tx.Get(index.Mail, key); v != nil {
		d := decoder{b: v}
		added = int64(d.uint64())
	} else {
		if n >= MaxDatasetEntries {
			if n, err = e.forgetOldest(set); err != nil {
				return err
			}
		}
		if err := e.countEntries(set, n+1); err != nil {
			return err
		}
	}
	return e.tx.Put(index.Mail, key, appendText(binary.AppendUvarint(nil, uint64(added)), data))
}

// forgetOldest removes the oldest tenth of a dataset and returns how many are left.
func (e *edit) forgetOldest(set string) (uint64, error) {
	list, err := entries(e.tx, e.account.id, set)
	if err != nil {
		return 0, err
	}
	slices.SortStableFunc(list, func(a, b DatasetEntry) int { return cmp.Compare(a.Added.Unix(), b.Added.Unix()) })
	gone := max(1, len(list)/10)
	for _, old := range list[:gone] {
		if err := e.tx.Delete(index.Mail, datasetKey(e.account.id, set, old.Address)); err != nil {
			return 0, err
		}
	}
	return uint64(len(list) - gone), nil
}

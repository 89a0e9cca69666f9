package admin

import (
	"context"
	"crypto/rand"
	"strings"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// RemoveDataset removes a dataset of an account: those whom its vacation message has answered, for instance. One
// that does not exist is no error.
func (a Actor) RemoveDataset(ctx context.Context, n Name, set string) error {
	return do(ctx, a, "REMOVEACCOUNTSUBSET", account(n), func(o *operation) error {
		o.old = dataformat.String(set)
		mail, err := o.mail()
		if err != nil {
			return err
		}
		return mail.RemoveDataset(o, set)
	})
}

// mail is the mailboxes and datasets of the account that the operation is about.
func (o *operation) mail() (*mailbox.Account, error) {
	acct, err := o.admin.acc.Account(o, o.domain, o.object)
	if err != nil {
		return nil, err
	}
	return acct.Mail(), nil
}

// Dataset carries out a request about the datasets of an account: a dictionary with the key what, and
// subsetName, entryName, data and address where that needs them.
//
//	listSubsets     the names of the datasets, as subsets
//	createSet       makes the dataset subsetName
//	removeSet       removes it
//	listEntries     its entries, as a dictionary entries: entryName = data
//	setEntry        puts entryName into it, with the dictionary data
//	deleteEntry     takes entryName out of it
//	addRandomEntry  puts data into it under a new name, and tells entryName
//	findAddress     the names of the datasets that have the address, as subsets
func (a Actor) Dataset(ctx context.Context, n Name, request dataformat.Dict) (dataformat.Dict, error) {
	return look(ctx, a, "DATASET", account(n), func(o *operation) (dataformat.Dict, error) {
		mail, err := o.mail()
		if err != nil {
			return nil, err
		}
		o.new = dataformat.Dict{"what": dataformat.String(request.String("what")), "subsetName": dataformat.String(request.String("subsetName"))}
		return o.dataset(mail, request)
	})
}

func (o *operation) dataset(mail *mailbox.Account, request dataformat.Dict) (dataformat.Dict, error) {
	set, entry := request.String("subsetName"), request.String("entryName")
	data := ""
	if d, ok := request["data"].(dataformat.Dict); ok {
		data = dataformat.Compact(d)
	}
	switch what := request.String("what"); strings.ToLower(what) {
	case "listsubsets":
		sets, err := mail.Datasets(o)
		return dataformat.Dict{"subsets": texts(sets)}, err
	case "createset":
		return nil, mail.CreateDataset(o, set)
	case "removeset":
		return nil, mail.RemoveDataset(o, set)
	case "listentries":
		return listEntries(o, mail, set)
	case "setentry":
		return nil, mail.SetDatasetEntry(o, set, entry, data)
	case "addrandomentry":
		name := strings.ToLower(rand.Text())
		return dataformat.Dict{"entryName": dataformat.String(name)}, mail.SetDatasetEntry(o, set, name, data)
	case "deleteentry":
		return nil, mail.DeleteDatasetEntry(o, set, entry)
	case "findaddress":
		return findAddress(o, mail, request.String("address"))
	default:
		return nil, fault.Newf("admin.Dataset", fault.Invalid,
			"what is not %q, but listSubsets, createSet, removeSet, listEntries, setEntry, deleteEntry, addRandomEntry or findAddress", what)
	}
}

func listEntries(ctx context.Context, mail *mailbox.Account, set string) (dataformat.Dict, error) {
	list, err := mail.Dataset(ctx, set)
	if err != nil {
		return nil, err
	}
	entries := dataformat.Dict{}
	for _, e := range list {
		d := dataformat.Dict{}
		if v, err := dataformat.Parse([]byte(e.Data)); err == nil && e.Data != "" {
			if kept, ok := v.(dataformat.Dict); ok {
				d = kept
			}
		}
		d["added"] = dataformat.Time{T: e.Added.UTC()}
		entries[e.Address] = d
	}
	return dataformat.Dict{"entries": entries}, nil
}

func findAddress(ctx context.Context, mail *mailbox.Account, address string) (dataformat.Dict, error) {
	sets, err := mail.Datasets(ctx)
	if err != nil {
		return nil, err
	}
	var with []string
	for _, set := range sets {
		has, err := mail.Remembers(set, address)
		if err != nil {
			return nil, err
		}
		if has {
			with = append(with, set)
		}
	}
	return dataformat.Dict{"subsets": texts(with)}, nil
}

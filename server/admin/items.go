package admin

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"gatepost/accounts/contentline"
	"gatepost/accounts/groupware"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file imports and exports calendars, task lists and address books. A request is a dictionary:
//
//	kind     calendar, tasks or contacts
//	mailbox  the collection; without it, the main one of the kind

// itemKinds are the words for kinds.
var itemKinds = map[string]groupware.Kind{"calendar": groupware.Calendar, "tasks": groupware.Tasks, "contacts": groupware.Contacts}

// kindWords are they in their order.
var kindWords = []string{"calendar", "tasks", "contacts"}

// outcomes are the words for what was done with an item.
var outcomes = map[groupware.Outcome]string{
	groupware.Imported: "imported", groupware.Unchanged: "unchanged", groupware.Kept: "kept", groupware.Replaced: "replaced", groupware.Refused: "refused",
}

// collection finds what a request is about. With create it is made if there is none.
func (o *operation) collection(request dataformat.Dict, create bool) (*groupware.Collection, error) {
	kind, err := kindOf(request)
	if err != nil {
		return nil, err
	}
	a, err := o.admin.acc.Account(o, o.domain, o.object)
	if err != nil {
		return nil, err
	}
	owner, box := o.admin.items.Between(a, a), request.String("mailbox")
	if box == "" {
		return o.admin.items.Main(o, a, owner, kind)
	}
	c, err := o.admin.items.Collection(o, a, owner, box)
	switch {
	case fault.Is(err, fault.NoMailbox) && create:
		return o.admin.items.Create(o, a, owner, box, kind)
	case fault.Is(err, fault.NoMailbox):
		return nil, fault.Newf("admin.items", fault.NoMailbox, "%q is no calendar, task list or address book of the account", box)
	case err == nil && (c.Kind == groupware.Contacts) != (kind == groupware.Contacts):
		return nil, fault.Newf("admin.items", fault.Invalid, "%q is of another kind", box)
	}
	return c, err
}

func kindOf(request dataformat.Dict) (groupware.Kind, error) {
	kind, ok := itemKinds[request.String("kind")]
	if !ok {
		return 0, fault.Newf("admin.items", fault.Invalid, "%q is not a kind: calendar, tasks or contacts", request.String("kind"))
	}
	return kind, nil
}

// ItemCollection is a calendar, a task list or an address book of an account.
type ItemCollection struct {
	Name string
	Kind string // as requests have it
	Main bool   // of its kind
	// Items is how many there are.
	Items int
}

// Collections lists the collections of a kind that an account has, its main one first. A request without a kind is for all kinds.
func (a Actor) Collections(ctx context.Context, n Name, request dataformat.Dict) ([]ItemCollection, error) {
	return look(ctx, a, "LISTCOLLECTIONS", account(n), func(o *operation) ([]ItemCollection, error) {
		var kinds []groupware.Kind // none: all, and no main one is made
		if request["kind"] != nil {
			kind, err := kindOf(request)
			if err != nil {
				return nil, err
			}
			kinds = []groupware.Kind{kind}
		}
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		all, err := o.admin.items.Collections(o, acct, o.admin.items.Between(acct, acct), kinds...)
		if err != nil {
			return nil, err
		}
		var list []ItemCollection
		for _, c := range all {
			state, err := c.State(o)
			if fault.Is(err, fault.NoMailbox) { // removed meanwhile
				continue
			}
			if err != nil {
				return nil, err
			}
			one := ItemCollection{Name: c.Name, Main: c.Main, Items: state.Count}
			for word, kind := range itemKinds {
				if kind == c.Kind {
					one.Kind = word
				}
			}
			list = append(list, one)
		}
		slices.SortStableFunc(list, func(a, b ItemCollection) int {
			switch {
			case a.Kind != b.Kind:
				return slices.Index(kindWords, a.Kind) - slices.Index(kindWords, b.Kind)
			case a.Main != b.Main && a.Main:
				return -1
			case a.Main != b.Main:
				return 1
			}
			return 0
		})
		return list, nil
	})
}

// Items lists the names of the items of a collection.
func (a Actor) Items(ctx context.Context, n Name, request dataformat.Dict) ([]string, error) {
	return look(ctx, a, "LISTITEMS", account(n), func(o *operation) ([]string, error) {
		c, err := o.collection(request, false)
		if err != nil {
			return nil, err
		}
		items, err := c.Items(o)
		list := make([]string, len(items))
		for i := range items {
			list[i] = items[i].Name
		}
		return list, err
	})
}

// maxItems is how many bytes of texts ReadItems returns, one text at least.
const maxItems = 4 << 20

// ReadItems returns the texts of items: of the first ones in the array names of the request. One that is gone is an empty text.
func (a Actor) ReadItems(ctx context.Context, n Name, request dataformat.Dict) ([][]byte, error) {
	return look(ctx, a, "READITEMS", account(n), func(o *operation) ([][]byte, error) {
		c, err := o.collection(request, false)
		if err != nil {
			return nil, err
		}
		var texts [][]byte
		size := 0
		for _, name := range request.Strings("names") {
			_, text, err := c.Text(o, name)
			if err != nil && !fault.Is(err, fault.NoMessage) {
				return nil, err
			}
			if size += len(text); size > maxItems && len(texts) > 0 {
				break
			}
			texts = append(texts, text)
		}
		return texts, nil
	})
}

// ImportItems stores the texts in the array texts of the request. With replace they take the place of items with their UID,
// with dryrun nothing is changed, with create the collection is made. The answer has a dictionary for each text: Outcome, and
// for a refused one Line (of the text, 0 for all of it) and Reason.
func (a Actor) ImportItems(ctx context.Context, n Name, request dataformat.Dict) (list dataformat.Array, err error) {
	err = do(ctx, a, "IMPORTITEMS", account(n), func(o *operation) error {
		texts, ok := request["texts"].(dataformat.Array)
		if !ok {
			return fault.New("admin.ImportItems", fault.Invalid, "an array of texts is expected")
		}
		options := groupware.ImportOptions{Replace: request.String("replace") == "YES", DryRun: request.String("dryrun") == "YES"}
		c, err := o.collection(request, request.String("create") == "YES" && !options.DryRun)
		if err != nil {
			return err
		}
		o.old, o.new = dataformat.String(c.Name), dataformat.String(strconv.Itoa(len(texts))+" items")
		bodies := make([][]byte, len(texts))
		for i, t := range texts {
			data, ok := t.(dataformat.Data)
			if !ok {
				return fault.New("admin.ImportItems", fault.Invalid, "each text is expected as data")
			}
			bodies[i] = data
		}
		results, err := c.Import(o, bodies, options)
		if err != nil {
			return err
		}
		for _, r := range results {
			d := dataformat.Dict{"Outcome": dataformat.String(outcomes[r.Outcome])}
			if r.Err != nil {
				line, reason := 0, fault.Text(r.Err)
				var syntax *contentline.SyntaxError
				if errors.As(r.Err, &syntax) {
					line, reason = syntax.Line, syntax.Reason
				}
				d["Line"], d["Reason"] = dataformat.String(strconv.Itoa(line)), dataformat.String(reason)
			}
			list = append(list, d)
		}
		return nil
	})
	return list, err
}

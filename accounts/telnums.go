package accounts

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gatepost/accounts/nametable"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file keeps the telephone numbers of accounts. A number belongs to one account of the server, so that the
// router finds it in whatever domain it is dialled (router.TelnumDirectory). All numbers are in one table (package
// nametable):
//
//	Settings/Telnums.data   {number = "user@domain"; ...}

const telnumsFile = "Telnums.data"

// The digits of a number. E.164 has at most 15; short numbers are extensions.
const (
	minTelnum = 2
	maxTelnum = 20
)

// telnums is the table of numbers.
type telnums struct {
	table *nametable.Table[accountKey]
	mu    sync.Mutex // held while the table changes
}

// load reads the table.
func (t *telnums) load(base string) (err error) {
	t.table, err = nametable.Load(filepath.Join(base, settingsDirectory, telnumsFile), func(_ string, v dataformat.Value) (accountKey, bool) {
		text, _ := dataformat.Text(v)
		i := strings.LastIndexByte(text, '@')
		if i <= 0 {
			return accountKey{}, false
		}
		return accountKey{fold(text[i+1:]), fold(text[:i])}, true
	}, accountKey.String)
	return err
}

// ParseTelnum returns the form in which a telephone number is kept: digits, after a + if it has the code of a
// country. Blanks, dots, hyphens, slashes and parentheses between the digits are left out. Errors: Invalid.
func ParseTelnum(text string) (string, error) {
	number := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" .-/()", r) {
			return -1
		}
		return r
	}, text)
	digits := strings.TrimPrefix(number, "+")
	if len(digits) < minTelnum || len(digits) > maxTelnum || strings.Trim(digits, "0123456789") != "" {
		return "", fault.Newf("accounts.Telnums", fault.Invalid, "%q is not a telephone number: %d to %d digits, with or without a + before them", text, minTelnum, maxTelnum)
	}
	return number, nil
}

// Telnum returns the account that a number is assigned to.
func (s *Store) Telnum(ctx context.Context, number string) (domain, account string, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", false, fault.Wrap("accounts.Telnum", fault.Canceled, err)
	}
	k, ok := s.telnums.table.Get(number)
	return k.domain, k.name, ok, nil
}

// AccountTelnums lists the telephone numbers of an account, sorted. Errors: NoDomain, NotFound.
func (s *Store) AccountTelnums(ctx context.Context, domain, name string) ([]string, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	return s.telnums.table.Of(a.Address()), nil
}

// SetAccountTelnums replaces the telephone numbers of an account. Errors: NoDomain, NotFound, Exists for a
// number that another account has, Invalid.
func (s *Store) SetAccountTelnums(ctx context.Context, domain, name string, numbers []string) error {
	_, err := s.EditAccountTelnums(ctx, domain, name, func([]string) ([]string, error) { return numbers, nil })
	return err
}

// EditAccountTelnums replaces the telephone numbers of an account by what edit makes of them, in one step,
// and returns those that it had. Errors: as SetAccountTelnums, and what edit reports.
func (s *Store) EditAccountTelnums(ctx context.Context, domain, name string, edit func(old []string) ([]string, error)) ([]string, error) {
	const op = "accounts.SetAccountTelnums"
	a, _, unlock, err := s.holdAccount(ctx, op, domain, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	t, k := &s.telnums, accountKey{a.Domain, a.Name}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.table.Of(k.String())
	given, err := edit(slices.Clone(old))
	if err != nil {
		return nil, err
	}
	numbers := make([]string, len(given))
	for i, text := range given {
		if numbers[i], err = ParseTelnum(text); err != nil {
			return nil, err
		}
		if owner, taken := t.table.Get(numbers[i]); taken && owner != k {
			return nil, fault.Newf(op, fault.Exists, "the telephone number %s is assigned to another account", numbers[i])
		}
	}
	return old, fault.Wrap(op, fault.Internal, t.table.Change(nametable.Replaced(old, numbers, dataformat.String(k.String()))))
}

// TelnumList is a page of telephone numbers.
type TelnumList struct {
	Accounts map[string]string // addresses of accounts by number
	Total    int               // how many numbers there are, listed or not
}

// Telnums lists the telephone numbers of a domain, or of the server without one, that have filter as a part: the first ones
// in their order, at most limit. Errors: NoDomain.
func (s *Store) Telnums(ctx context.Context, domain, filter string, limit int) (*TelnumList, error) {
	if domain != "" {
		d, err := s.domain(s.realDomain(domain))
		if err != nil {
			return nil, err
		}
		domain = d.name
	}
	type entry struct{ number, account string }
	var found []entry
	list := &TelnumList{Accounts: map[string]string{}}
	for number, k := range s.telnums.table.All() {
		if domain != "" && k.domain != domain {
			continue
		}
		list.Total++
		if strings.Contains(number, filter) {
			found = append(found, entry{number, k.String()})
		}
	}
	slices.SortFunc(found, func(a, b entry) int { return cmp.Compare(a.number, b.number) })
	for _, e := range found[:min(len(found), max(limit, 0))] {
		list.Accounts[e.number] = e.account
	}
	return list, nil
}

// move gives the numbers of an account to another name, those of a domain to another domain if there is no
// account name, and to nobody if there is no new domain. It may be repeated.
func (t *telnums) move(from, to accountKey) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	update := dataformat.Dict{}
	if from.name != "" {
		for _, number := range t.table.Of(from.String()) {
			update[number] = dataformat.String(to.String())
		}
	} else {
		for number, k := range t.table.All() {
			if k.domain == from.domain {
				update[number] = dataformat.String(accountKey{to.domain, k.name}.String())
			}
		}
	}
	if to.domain == "" {
		for number := range update {
			update[number] = dataformat.Null{}
		}
	}
	return t.table.Change(update)
}

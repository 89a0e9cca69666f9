package router

import (
	"fmt"
	"strings"

	"gatepost/router/address"
	"gatepost/server/fault"
)

// TableError is a line of a Router Table that cannot be used. It is of kind
// fault.Invalid.
type TableError struct {
	Line   int // counted from 1
	Reason string
}

func (e *TableError) Error() string {
	return fmt.Sprintf("line %d of the Router Table: %s", e.Line, e.Reason)
}

// Unwrap gives the error its kind.
func (e *TableError) Unwrap() error {
	return &fault.Error{Op: "router.CheckTable", Kind: fault.Invalid, Text: e.Error()}
}

// CheckTable reports the first line of a Router Table that cannot be used, as
// a *TableError.
func CheckTable(text string) error {
	_, err := compileTable(text)
	return err
}

// table is a compiled Router Table. It never changes.
//
// Records whose name or domain is plain text are looked up by it; only records
// whose name or domain is a pattern are tried one by one. Each list is in table order.
type table struct {
	records   []*record
	byLocal   map[string][]int32 // account-level, by name
	anyLocal  []int32            // account-level, the name is a pattern
	byDomain  map[string][]int32 // domain-level, by domain
	anyDomain []int32            // domain-level, the domain is a pattern
}

func compileTable(text string) (*table, error) {
	t := &table{byLocal: map[string][]int32{}, byDomain: map[string][]int32{}}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	line := 0
	for s := range strings.SplitSeq(text, "\n") {
		line++
		s = strings.TrimSpace(s)
		if s == "" || s[0] == ';' {
			continue
		}
		r, err := parseRecord(s)
		if err != nil {
			return nil, &TableError{Line: line, Reason: reason(err)}
		}
		r.line = line
		t.add(r)
	}
	return t, nil
}

// reason leaves the operation out of an error that an address made.
func reason(err error) string {
	if fault.KindOf(err) == fault.Invalid {
		return fault.Text(err)
	}
	return err.Error()
}

func (t *table) add(r *record) {
	n := int32(len(t.records))
	t.records = append(t.records, r)
	if r.accountLevel {
		if name, ok := r.local.literal(); ok {
			t.byLocal[name] = append(t.byLocal[name], n)
		} else {
			t.anyLocal = append(t.anyLocal, n)
		}
		return
	}
	if domain, ok := r.domain.literal(); ok {
		t.byDomain[domain] = append(t.byDomain[domain], n)
	} else {
		t.anyDomain = append(t.anyDomain, n)
	}
}

// candidates yields in table order the records that may match an address whose
// local part in lower case is name.
func (t *table) candidates(name, domain string) candidates {
	c := candidates{records: t.records}
	c.lists[0], c.lists[1] = t.byLocal[name], t.anyLocal
	if domain != "" {
		c.lists[2], c.lists[3] = t.byDomain[domain], t.anyDomain
	}
	return c
}

type candidates struct {
	records []*record
	lists   [4][]int32
}

func (c *candidates) next() *record {
	first := -1
	for i, list := range c.lists {
		if len(list) > 0 && (first < 0 || list[0] < c.lists[first][0]) {
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	n := c.lists[first][0]
	c.lists[first] = c.lists[first][1:]
	return c.records[n]
}

// match returns what the groups of a record took of an address, and whether
// the record matches it at all. name is the local part in lower case; isMain
// tells whether a domain is another name of the Main Domain.
func (r *record) match(a address.Address, name string, isMain func(domain string) bool) (groups []string, ok bool) {
	if !strings.HasPrefix(name, r.local.prefix) {
		return nil, false
	}
	var local, domain [maxGroups]span
	if r.accountLevel {
		if local, ok = r.local.match(name); !ok {
			return nil, false
		}
	}
	if !r.mainDomain {
		domain, ok = r.domain.match(a.Domain)
		if text, literal := r.domain.literal(); !ok && literal && a.Domain == "" {
			ok = isMain(text)
		}
		if !ok {
			return nil, false
		}
	} else if a.Domain != "" {
		return nil, false
	}
	if r.local.groups+r.domain.groups == 0 {
		return nil, true
	}
	// Groups take the text as it was written, unless lower case has another length.
	text := a.Local
	if len(text) != len(name) {
		text = name
	}
	groups = make([]string, 0, r.local.groups+r.domain.groups)
	for _, s := range local[:r.local.groups] {
		groups = append(groups, text[s.from:s.to])
	}
	for _, s := range domain[:r.domain.groups] {
		groups = append(groups, a.Domain[s.from:s.to])
	}
	return groups, true
}

// setsRelayMark reports whether the record sets the relay mark on an address that it
// rewrites. Relay: does not when text that the sender chose could lead on to a
// further address: he would have found a relay (RelayAll: does so on purpose).
func (r *record) setsRelayMark(old address.Address, groups []string) bool {
	switch r.relay {
	case relayAll:
		return true
	case relayMark:
		for _, g := range groups {
			if mayHoldAddress(g) {
				return false
			}
		}
		return r.accountLevel || !mayHoldAddress(old.Local)
	}
	return false
}

// mayHoldAddress reports whether text could be read as a further address.
func mayHoldAddress(s string) bool { return strings.ContainsAny(s, `%@!:"`) }

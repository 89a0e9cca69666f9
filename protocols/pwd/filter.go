package pwd

import "gatepost/server/fault"

// maxFilter is the longest pattern for names, in bytes.
const maxFilter = 1000

// A filter is a pattern for names of mailboxes, where * stands for any text and %
// for one without a slash. It is run as an automaton whose states are the places
// of the pattern, one bit each, all of them moved at once: the time that a name
// takes is its length times a few words, whatever the pattern.
type filter struct {
	items   int
	literal [256][]uint64 // by character: places where the pattern has it
	any     []uint64      // places of *
	level   []uint64      // places of %
}

// compileFilter reads a pattern. Errors: Invalid for one that is too long.
func compileFilter(pattern string) (*filter, error) {
	if len(pattern) > maxFilter {
		return nil, fault.Newf("pwd.Filter", fault.Invalid, "a filter has at most %d characters", maxFilter)
	}
	// A run of wildcards is as good as one: * if it has one. So a step over a
	// wildcard that takes nothing never leads to another one.
	var items []byte
	for _, c := range []byte(pattern) {
		last := len(items) - 1
		if last >= 0 && wildcard(c) && wildcard(items[last]) {
			if c == '*' {
				items[last] = c
			}
			continue
		}
		items = append(items, c)
	}
	words := len(items)/64 + 1
	f := &filter{items: len(items), any: make([]uint64, words), level: make([]uint64, words)}
	for i, c := range items {
		places := f.any
		switch c {
		case '*':
		case '%':
			places = f.level
		default:
			if f.literal[c] == nil {
				f.literal[c] = make([]uint64, words)
			}
			places = f.literal[c]
		}
		places[i/64] |= 1 << (i % 64)
	}
	return f, nil
}

func wildcard(c byte) bool { return c == '*' || c == '%' }

// fits reports whether a name fits the pattern.
func (f *filter) fits(name string) bool {
	at := make([]uint64, len(f.any))
	at[0] = 1
	f.skip(at)
	for i := range len(name) {
		f.step(at, name[i])
		f.skip(at)
	}
	return at[f.items/64]>>(f.items%64)&1 == 1
}

// step takes one character: over a literal to the next place, at a wildcard
// nowhere.
func (f *filter) step(at []uint64, c byte) {
	literal, carry := f.literal[c], uint64(0)
	for w := range at {
		stays := at[w] & f.any[w]
		if c != '/' {
			stays |= at[w] & f.level[w]
		}
		moved := uint64(0)
		if literal != nil {
			moved = at[w] & literal[w]
		}
		at[w] = stays | moved<<1 | carry
		carry = moved >> 63
	}
}

// skip steps over wildcards that take nothing.
func (f *filter) skip(at []uint64) {
	carry := uint64(0)
	for w := range at {
		over := at[w] & (f.any[w] | f.level[w])
		at[w] |= over<<1 | carry
		carry = over >> 63
	}
}

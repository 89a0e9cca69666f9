package router

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// maxGroups bounds the groups of one pattern, so that matching stays cheap.
const maxGroups = 9

// pattern is a left side, or one half of it: text with groups in it. It covers
// the whole of what it matches, regardless of case.
//
//   - any text, also none; of two, the first takes the least it can
//     (3d)      3 decimal digits; (7-20d) 7 to 20, (3+d) 3 or more, as many as there are
//     (4h)      the same for hexadecimal digits
type pattern struct {
	items  []item
	groups int
	// prefix is the literal text in front: it rules most patterns of a long table out.
	prefix string
}

type item struct {
	literal  string // in lower case; empty for a group
	any      bool   // *
	min, max int    // digits
	hex      bool
}

// compilePattern reads a pattern; its literal text is put in lower case and NFC.
func compilePattern(s string) (pattern, error) {
	var p pattern
	for s = norm.NFC.String(s); s != ""; {
		n := strings.IndexAny(s, "*()")
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			p.items = append(p.items, item{literal: strings.ToLower(s[:n])})
			if len(p.items) == 1 {
				p.prefix = p.items[0].literal
			}
			s = s[n:]
			continue
		}
		if p.groups++; p.groups > maxGroups {
			return p, errors.New("more than " + strconv.Itoa(maxGroups) + " groups")
		}
		if s[0] == '*' {
			p.items = append(p.items, item{any: true})
			s = s[1:]
			continue
		}
		end := strings.IndexByte(s, ')')
		if end < 0 || s[0] == ')' {
			return p, errors.New("unmatched parenthesis")
		}
		it, err := compileCount(s[1:end])
		if err != nil {
			return p, err
		}
		p.items = append(p.items, it)
		s = s[end+1:]
	}
	return p, nil
}

// compileCount reads 3d, 7-20d, 3+d and the same with h.
func compileCount(s string) (item, error) {
	bad := errors.New("(" + s + ") is not a pattern; patterns are (3d), (7-20d), (3+d), and the same with h")
	if s == "" || s[len(s)-1] != 'd' && s[len(s)-1] != 'h' {
		return item{}, bad
	}
	it := item{hex: s[len(s)-1] == 'h'}
	from, to, isRange := strings.Cut(s[:len(s)-1], "-")
	from, more := strings.CutSuffix(from, "+")
	var err error
	if it.min, err = count(from); err != nil || isRange && more {
		return item{}, bad
	}
	switch {
	case more:
		it.max = maxCount
	case isRange:
		if it.max, err = count(to); err != nil || it.max < it.min {
			return item{}, bad
		}
	default:
		it.max = it.min
	}
	return it, nil
}

const maxCount = 999

func count(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && n > maxCount {
		err = strconv.ErrRange
	}
	return int(n), err
}

// literal returns the text of a pattern without groups.
func (p *pattern) literal() (string, bool) {
	switch {
	case p.groups > 0:
		return "", false
	case len(p.items) == 0:
		return "", true
	}
	return p.items[0].literal, true
}

// span is what a group took: text[from:to].
type span struct{ from, to int }

// match reports whether the pattern covers s, which is in lower case, and what
// its groups took.
func (p *pattern) match(s string) (spans [maxGroups]span, ok bool) {
	m := matcher{items: p.items, s: s}
	if p.groups > 1 {
		m.failed = make([]uint64, (len(p.items)*(len(s)+1)+63)/64)
	}
	ok = m.run(0, 0, 0)
	return m.spans, ok
}

// matcher tries the items from left to right. failed has a bit for each item
// and place that is known not to lead to a match, so that no input makes it
// try the same twice.
type matcher struct {
	items  []item
	s      string
	failed []uint64
	spans  [maxGroups]span
}

func (m *matcher) run(i, pos, group int) bool {
	if i == len(m.items) {
		return pos == len(m.s)
	}
	it := &m.items[i]
	if it.literal != "" {
		return strings.HasPrefix(m.s[pos:], it.literal) && m.run(i+1, pos+len(it.literal), group)
	}
	key := i*(len(m.s)+1) + pos
	if m.failed != nil && m.failed[key/64]&(1<<(key%64)) != 0 {
		return false
	}
	if it.any {
		end := pos
		if i == len(m.items)-1 {
			end = len(m.s)
		}
		for ; end <= len(m.s); end++ {
			m.spans[group] = span{pos, end}
			if m.run(i+1, end, group+1) {
				return true
			}
		}
	} else {
		end := pos
		for end < len(m.s) && end-pos < it.max && isDigit(m.s[end], it.hex) {
			end++
		}
		for ; end >= pos+it.min; end-- {
			m.spans[group] = span{pos, end}
			if m.run(i+1, end, group+1) {
				return true
			}
		}
	}
	if m.failed != nil {
		m.failed[key/64] |= 1 << (key % 64)
	}
	return false
}

func isDigit(c byte, hex bool) bool {
	return c >= '0' && c <= '9' || hex && c >= 'a' && c <= 'f'
}

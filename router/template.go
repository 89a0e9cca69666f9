package router

import (
	"errors"
	"strings"

	"golang.org/x/text/unicode/norm"

	"gatepost/router/address"
	"gatepost/server/fault"
)

// template is text with places for what groups took.
type template struct {
	parts []part // alternating as written
}

type part struct {
	literal string
	group   int // counted from 1; 0 for a literal
}

// expand fills in what the groups took.
func (t *template) expand(groups []string) string {
	switch len(t.parts) {
	case 0:
		return ""
	case 1:
		return t.parts[0].text(groups)
	}
	n := 0
	for i := range t.parts {
		n += len(t.parts[i].text(groups))
	}
	b := make([]byte, 0, n)
	for i := range t.parts {
		b = append(b, t.parts[i].text(groups)...)
	}
	return string(b)
}

func (p *part) text(groups []string) string {
	if p.group > 0 {
		return groups[p.group-1]
	}
	return p.literal
}

// fixed reports whether the template has no groups.
func (t *template) fixed() bool {
	return len(t.parts) == 0 || len(t.parts) == 1 && t.parts[0].group == 0
}

// rightSide is the right side of a record: an address, or a domain, as templates.
type rightSide struct {
	local  template // of an account-level record: the new local part, without quotes
	domain template // in normal form as far as it is literal
	// insertsLocal is set for a domain-level record with an @: local then stands
	// between the old local part and the new domain.
	insertsLocal bool
	// complex says that the local part is written as an address.
	complex bool
}

// templateReader makes templates of the two halves of a right side, counting the
// stars through both.
type templateReader struct {
	groups int  // how many groups the left side has
	next   int  // the last group that was used
	same   bool // every star stands for the first group
}

// compileRightSide reads a right side. samples has a text for each group of the left
// side that the group could take; the right side must make an address of them, so
// that a record which never can is refused when it is written. The n-th * stands
// for what the n-th group took; with same, each * for the first.
func compileRightSide(text string, accountLevel bool, samples []string, same bool) (rightSide, error) {
	text = norm.NFC.String(text)
	if len(text) > 2 && text[0] == '<' && text[len(text)-1] == '>' {
		text = strings.TrimSpace(text[1 : len(text)-1])
	}
	if text == "" && accountLevel {
		return rightSide{}, errors.New("the right side is empty")
	}
	if err := checkRightSide(text, accountLevel, samples, same); err != nil {
		return rightSide{}, err
	}
	if strings.HasPrefix(text, "@") {
		return compileSourceRoute(text, accountLevel)
	}
	local, domain := "", text
	if at := lastSeparator(text, "@"); at > 0 {
		local, domain = text[:at], text[at+1:]
	} else if accountLevel {
		local, domain = text, ""
	}
	r := templateReader{groups: len(samples), same: same}
	out := rightSide{insertsLocal: !accountLevel && local != ""}
	var err error
	// Only a plain local part loses its quotes: in any other they belong to
	// an address that is read later.
	out.complex = lastSeparator(local, "@%!") >= 0
	unquote := accountLevel && !out.complex
	if out.local, err = r.template(local, unquote); err != nil {
		return out, err
	}
	if out.domain, err = r.template(domain, false); err != nil {
		return out, err
	}
	if out.domain.fixed() && domain != "" {
		domain, err = address.NormalizeDomain(domain)
		out.domain = template{parts: []part{{literal: domain}}}
	}
	return out, err
}

// checkRightSide makes an address as the right side would, and reads it.
func checkRightSide(text string, accountLevel bool, samples []string, same bool) error {
	r := templateReader{groups: len(samples), same: same}
	t, err := r.template(text, false)
	if err != nil {
		return err
	}
	text = t.expand(samples)
	switch {
	case accountLevel:
		_, err = address.Parse(text)
	case text != "":
		_, err = address.Parse("x@" + text)
	}
	return err
}

// compileSourceRoute reads a right side @host:address, which has no groups.
func compileSourceRoute(text string, accountLevel bool) (rightSide, error) {
	a, err := address.Parse(text)
	if err != nil {
		return rightSide{}, err
	}
	if !accountLevel || strings.IndexByte(text, '*') >= 0 {
		return rightSide{}, errors.New("a source route must be the whole right side, without *")
	}
	return rightSide{local: template{parts: []part{{literal: a.Local}}}, domain: template{parts: []part{{literal: a.Domain}}}}, nil
}

// template reads text with stars in it.
func (r *templateReader) template(s string, unquote bool) (template, error) {
	var t template
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			t.parts = append(t.parts, part{literal: b.String()})
			b.Reset()
		}
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted && i+1 < len(s):
			if !unquote {
				b.WriteByte(c)
			}
			i++
			b.WriteByte(s[i])
		case c == '"':
			quoted = !quoted
			if !unquote {
				b.WriteByte(c)
			}
		case c == '*':
			if !r.same || r.next == 0 {
				r.next++
			}
			if r.next > r.groups {
				return t, errors.New("more * on the right than groups on the left")
			}
			flush()
			t.parts = append(t.parts, part{group: r.next})
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return t, errors.New("unmatched quotation mark")
	}
	flush()
	return t, nil
}

// apply makes the new address. It reports false when what the groups took makes
// no address. One that is too long is an error: the record applies, and mail must
// not go where the address would lead without it.
func (r *rightSide) apply(old address.Address, accountLevel bool, groups []string) (address.Address, bool, error) {
	a := address.Address{Local: old.Local, Domain: r.domain.expand(groups)}
	if len(a.Domain) > address.MaxDomain {
		return a, false, errTooLong
	}
	if !r.domain.fixed() {
		var err error
		if a.Domain, err = address.NormalizeDomain(a.Domain); err != nil {
			return a, false, nil
		}
	}
	switch {
	case accountLevel:
		a.Local = r.local.expand(groups)
	case r.insertsLocal:
		a.Local = address.QuoteLocal(old.Local) + "@" + r.local.expand(groups)
	}
	if a.TooLong() {
		return a, false, errTooLong
	}
	return a, a.Local != "", nil
}

// errTooLong is about an address that grows with each rewrite, or too much at once.
var errTooLong = fault.New("router.Route", fault.Loop, "the rewritten address is too long")

// lastSeparator returns the index of the last of some characters outside
// quotes and braces, or -1.
func lastSeparator(s, chars string) int {
	last, quoted := -1, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			i = bracedEnd(s, i)
		case strings.IndexByte(chars, c) >= 0:
			last = i
		}
	}
	return last
}

// bracedEnd returns the index of the brace that closes the one at i, or i when
// there is none.
func bracedEnd(s string, i int) int {
	depth := 0
	for j := i; j < len(s); j++ {
		switch s[j] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return j
			}
		}
	}
	return i
}

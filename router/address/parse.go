package address

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"gatepost/server/fault"
)

// maxHops bounds how deep source routes and bang paths are nested.
const maxHops = 20

func invalid(text string) error { return fault.New("address.Parse", fault.Invalid, text) }

// Parse reads an address in any of the forms of the package comment, with or
// without angle brackets. Errors are of kind fault.Invalid, with a text for
// the person who typed it. An empty text is an error, and so is <>: where the
// null return-path may stand, ParsePath reads it.
func Parse(s string) (Address, error) {
	if a, ok := parsePlain(s); ok {
		return a, nil
	}
	if len(s) > maxText {
		return Address{}, invalid("address is too long")
	}
	s = strings.Trim(s, " ")
	if len(s) >= 2 && s[0] == '<' && s[len(s)-1] == '>' {
		s = strings.Trim(s[1:len(s)-1], " ")
	}
	if err := checkText(s); err != nil {
		return Address{}, err
	}
	return parseText(s, 0)
}

// ParsePath reads the path that follows MAIL FROM: or RCPT TO: (RFC 5321
// 4.1.2) and returns the text behind it, where ESMTP parameters stand, without
// the blanks around it. <> gives the zero Address. Blanks before the path and
// missing angle brackets are tolerated, since people type them.
func ParsePath(s string) (a Address, rest string, err error) {
	path, rest, err := splitPath(s)
	if err != nil || path == "" {
		return Address{}, rest, err
	}
	a, err = Parse(path)
	return a, rest, err
}

// ParseReturnPath is ParsePath for MAIL FROM:, where a source route is checked and
// dropped: nothing is ever returned along it (RFC 5321 appendices C and F.2).
func ParseReturnPath(s string) (a Address, rest string, err error) {
	path, rest, err := splitPath(s)
	if err != nil || path == "" {
		return Address{}, rest, err
	}
	a, err = Parse(path)
	if err != nil || path[0] != '@' {
		return a, rest, err
	}
	for path[0] == '@' {
		path = path[hopEnd(path)+1:] // Parse has found something behind it
	}
	a, err = Parse(path)
	return a, rest, err
}

// splitPath returns a path without brackets and blanks around it, and the text
// behind it. The path is empty only for <>.
func splitPath(s string) (path, rest string, err error) {
	s = strings.TrimLeft(s, " \t")
	if s == "" {
		return "", "", invalid("missing address")
	}
	bracket := s[0] == '<'
	end := pathEnd(s, bracket)
	if end < 0 {
		return "", "", invalid("address without >")
	}
	path = s[:end]
	if bracket {
		path, end = s[1:end], end+1
	}
	rest = s[end:]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", "", invalid("unexpected text after >")
	}
	rest = strings.Trim(rest, " \t")
	return strings.Trim(path, " "), rest, checkText(rest)
}

// pathEnd returns the index of the octet that ends a path: its >, or for a
// bare path the first blank or the end of the text.
func pathEnd(s string, bracket bool) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case bracket && c == '>', !bracket && (c == ' ' || c == '\t'):
			return i
		}
	}
	if bracket {
		return -1
	}
	return len(s)
}

// parsePlain reads what nearly all addresses are: ASCII, one @, in normal form.
func parsePlain(s string) (Address, bool) {
	at := strings.IndexByte(s, '@')
	if at <= 0 || at > MaxLocal || len(s)-at > MaxDomain {
		return Address{}, false
	}
	for i := range at {
		if c := s[i]; c >= 0x80 || c == '{' || class[c]&atext == 0 && c != '.' {
			return Address{}, false
		}
	}
	for i := at + 1; i < len(s); i++ {
		if c := s[i]; c >= 0x80 || class[c]&domain == 0 {
			return Address{}, false
		}
	}
	domain, err := NormalizeDomain(s[at+1:])
	return Address{Local: s[:at], Domain: domain}, err == nil
}

// checkText refuses what no part of an address may hold, quoted or not: line
// ends and other controls (they would end a command of the next hop), zero
// bytes, separators of lines, and text that is not UTF-8.
func checkText(s string) error {
	ascii := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return invalid("control character in the address")
		}
		ascii = ascii && s[i] < 0x80
	}
	if ascii {
		return nil
	}
	if !utf8.ValidString(s) {
		return invalid("address is not in UTF-8")
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) {
			return invalid("control character in the address")
		}
	}
	return nil
}

// parseText reads text that passed checkText and stands in no brackets.
func parseText(s string, depth int) (Address, error) {
	if s == "" {
		return Address{}, invalid("empty address")
	}
	if depth > maxHops {
		return Address{}, invalid("too many hops in the address")
	}
	if s[0] == '@' {
		return parseSourceRoute(s, depth)
	}
	m, err := scan(s)
	if err != nil {
		return Address{}, err
	}
	switch {
	case m.at >= 0:
		if m.at == 0 || m.colon >= 0 && m.colon < m.at {
			return Address{}, invalid("bad character in the local part")
		}
		domain, err := NormalizeDomain(s[m.at+1:])
		if err != nil {
			return Address{}, err
		}
		return finish(s[:m.at], domain)
	case m.colon >= 0:
		return Address{}, invalid("bad character in the address")
	case m.bang > 0 && m.bang < len(s)-1:
		if domain, err := NormalizeDomain(s[:m.bang]); err == nil {
			rest, err := parseText(s[m.bang+1:], depth+1)
			if err != nil {
				return Address{}, err
			}
			if rest.Domain == "" {
				return finish(s[m.bang+1:], domain)
			}
			return limit(Address{Local: rest.asLocal(), Domain: domain})
		}
	case m.percent > 0:
		if domain, err := NormalizeDomain(s[m.percent+1:]); err == nil {
			return finish(s[:m.percent], domain)
		}
	}
	if s[0] == '[' {
		return Address{}, invalid("address without a local part")
	}
	return finish(s, "")
}

// asLocal writes an address as a local part. One that is complex already stays
// as it is: quotes around quotes would double at every hop.
func (a Address) asLocal() string {
	m, err := scan(a.Local)
	if err == nil && a.Local[0] != '@' && m.colon < 0 && max(m.at, m.percent, m.bang) > 0 {
		return a.Local + "@" + a.Domain
	}
	return a.String()
}

// parseSourceRoute reads @zzzz:user@domain and @zzzz,@yyyy:user@domain.
func parseSourceRoute(s string, depth int) (Address, error) {
	end := hopEnd(s)
	if end+1 >= len(s) || s[end] == ',' && s[end+1] != '@' {
		return Address{}, invalid("bad source route")
	}
	domain, err := NormalizeDomain(s[1:end])
	if err != nil {
		return Address{}, err
	}
	rest, err := parseText(s[end+1:], depth+1)
	if err != nil {
		return Address{}, err
	}
	if rest.Domain == "" {
		return limit(Address{Local: rest.Local, Domain: domain})
	}
	return limit(Address{Local: norm.NFC.String(s[end+1:]), Domain: domain})
}

// hopEnd returns the index of the colon or comma that ends the first hop of a
// source route, or the length of the text.
func hopEnd(s string) int {
	end := 1
	for bracket := false; end < len(s) && (bracket || s[end] != ':' && s[end] != ','); end++ {
		bracket = s[end] == '[' || bracket && s[end] != ']'
	}
	return end
}

// separators are the positions of separators outside quotes, braces and literals; -1
// where there is none.
type separators struct {
	at, percent int // the last
	bang, colon int // the first; colon stands for all that may only follow a domain
}

// scan finds the separators of an address and checks its characters.
func scan(s string) (separators, error) {
	m := separators{-1, -1, -1, -1}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			end := quotedEnd(s, i)
			if end < 0 {
				return m, invalid("quoted string without end")
			}
			i = end
		case '{':
			i = bracedEnd(s, i)
		case '[':
			n := literalLen(s[i:])
			if n == 0 || i > 0 && s[i-1] != '@' && s[i-1] != '%' {
				return m, invalid("bad address literal")
			}
			i += n - 1
		case '@':
			m.at = i
		case '%':
			m.percent = i
		case '!':
			if m.bang < 0 {
				m.bang = i
			}
		case ':':
			if m.colon < 0 {
				m.colon = i
			}
		case '.':
		default:
			if class[c]&atext == 0 {
				return m, invalid("bad character in the address")
			}
		}
	}
	return m, nil
}

// literalLen returns the length of the address literal that s starts with, or 0.
func literalLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == ']':
			return i + 1
		case c != ':' && class[c]&domain == 0:
			return 0
		}
	}
	return 0
}

// quotedEnd returns the index of the quotation mark that closes the one at i, or -1.
func quotedEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// bracedEnd returns the index of the brace that closes the one at i, or i when
// there is none: then the brace is an ordinary character (RFC 5322 atext).
func bracedEnd(s string, i int) int {
	depth := 0
	for j := i; j < len(s); j++ {
		switch c := s[j]; {
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return j
			}
		case class[c]&(atext|braced) == 0:
			return i
		}
	}
	return i
}

// finish makes an Address of a local part as it is written. A complex local
// part keeps its quotes, for Inner; any other loses them.
func finish(local, domain string) (Address, error) {
	if strings.IndexByte(local, '"') >= 0 {
		m, err := scan(local)
		if err != nil {
			return Address{}, err
		}
		if m.at < 0 && m.percent < 0 && m.bang < 0 {
			local = unquote(local)
		}
	}
	return limit(Address{Local: norm.NFC.String(local), Domain: domain})
}

// unquote removes the quoting of text that scan accepted.
func unquote(s string) string {
	b := make([]byte, 0, len(s))
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
			b = append(b, s[i])
		case s[i] == '"':
			quoted = !quoted
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// limit refuses an empty local part ("" and the like: no mailbox can have that
// name) and one that is too long.
func limit(a Address) (Address, error) {
	if a.Local == "" {
		return Address{}, invalid("empty local part")
	}
	if a.TooLong() {
		return Address{}, invalid("local part is too long")
	}
	return a, nil
}

// Package address is the vocabulary of mail addresses, as the router sees them.
//
// An address is text at the edge and an Address inside: whoever holds an
// Address never looks for an @. The forms that Parse reads are
//
//	user@domain                 RFC 5321 4.1.2; the local part may be quoted
//	user@[192.0.2.1]            a literal: also [IPv6:2001:db8::1] and a bare 192.0.2.1
//	<@zzzz:user@domain>         a source route: domain zzzz, local part user@domain
//	zzzz!yyyy!user              a bang path: domain zzzz, local part user@yyyy
//	user%domain                 the same as user@domain, for logins
//	user                        a name in the Main Domain
//	box#user, user+detail       stay in the local part; the router splits them
//	app{p1,p2}#user             likewise; nothing in balanced braces separates
//
// # Domain part and local part
//
// The domain part names the next system to deliver to; everything else is the
// local part. With several @ the last one separates (user%there@here and
// user@there@here both lead to here first). A local part that is an address
// itself is called complex; it is read by Inner once the domain part turned
// out to be ours and was cut off. Complex forms are obsolete (RFC 5321
// appendices C and F.2): they are understood, and earn nobody any right. A
// return-path loses its source route, since reports are not sent along it.
//
// # Normal form
//
// Two addresses that name the same place compare equal, as far as that can be
// told without the directory:
//
//   - Domain is in lower case, of A-labels (RFC 5891), without a trailing dot.
//     Literals are in canonical form; an IPv4-mapped IPv6 address is the IPv4
//     address.
//   - Local is unquoted and in NFC (RFC 6532 3.1). Its case is kept, since it
//     belongs to the domain that it names.
//
// Neither part holds controls, invalid UTF-8, or line and paragraph
// separators, so an Address can be put on any wire without escaping more than
// String does. For every Address a that Parse returned, Parse(a.String()) is a.
package address

import (
	"net/netip"
	"strings"
)

// The limits of an address in octets. RFC 5321 4.5.3.1 asks for 64 and 255 at
// least; objects of a domain may have names of 128.
const (
	MaxLocal   = 256  // a plain local part
	MaxDomain  = 255  // a domain part
	MaxComplex = 700  // a local part that is an address itself
	maxText    = 2048 // the text of an address, quoting and blanks included
)

// Address is one address: the domain names the next system to deliver to,
// everything else is the local part. The zero Address is the null return-path <>.
type Address struct {
	// Local is the local part without quoting; it may itself be a complex
	// address (a@b, a%b) that is looked at once the domain part is cut off.
	Local string
	// Domain is in lower case, with A-labels and without a trailing dot; or a
	// literal such as [192.0.2.1]; or empty, which means the Main Domain.
	Domain string
}

// IsNull reports whether a is the null return-path.
func (a Address) IsNull() bool { return a == Address{} }

// String returns the address as it is written on the wire, without angle
// brackets: the local part is quoted when RFC 5321 asks for it. The null
// return-path gives the empty string.
func (a Address) String() string {
	if a.Domain == "" {
		// Alone, a%b and a!b would read as having a domain.
		if strings.ContainsAny(a.Local, "%!") {
			return quote(a.Local)
		}
		if a.Local == "" {
			return ""
		}
		return QuoteLocal(a.Local)
	}
	return QuoteLocal(a.Local) + "@" + a.Domain
}

// TooLong reports whether a part is longer than an address may have it.
func (a Address) TooLong() bool {
	return len(a.Domain) > MaxDomain || len(a.Local) > MaxComplex ||
		len(a.Local) > MaxLocal && !strings.ContainsAny(a.Local, "@%!")
}

// NeedsUTF8 reports whether the address can only be sent with SMTPUTF8 (RFC
// 6531). A domain never needs it, since it is kept in A-labels.
func (a Address) NeedsUTF8() bool {
	for i := range len(a.Local) {
		if a.Local[i] >= 0x80 {
			return true
		}
	}
	return false
}

// Literal returns the IP address of a domain literal.
func (a Address) Literal() (netip.Addr, bool) {
	if len(a.Domain) < 2 || a.Domain[0] != '[' || a.Domain[len(a.Domain)-1] != ']' {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(strings.TrimPrefix(a.Domain[1:len(a.Domain)-1], literalTag))
	return ip, err == nil
}

// Inner reads the local part as an address of its own: what remains when the
// domain part was ours and is cut off. It reports false when the local part is
// a plain name.
func (a Address) Inner() (Address, bool) {
	if !strings.ContainsAny(a.Local, "@%!") {
		return Address{}, false
	}
	if inner, err := parseText(a.Local, 0); err == nil {
		return inner, inner.Domain != ""
	}
	// The local part came out of a quoted string and holds what an address
	// may only hold in quotes. The last separator still separates.
	at := strings.LastIndexByte(a.Local, '@')
	if at < 0 {
		at = strings.LastIndexByte(a.Local, '%')
	}
	if at <= 0 {
		return Address{}, false
	}
	domain, err := NormalizeDomain(a.Local[at+1:])
	if err != nil {
		return Address{}, false
	}
	inner, err := limit(Address{Local: a.Local[:at], Domain: domain})
	return inner, err == nil
}

// Plain is Inner for an address that leaves for another system: the hops of a
// source route are left out, so that the system is asked for the last address
// (RFC 5321 appendix C).
func (a Address) Plain() (Address, bool) {
	inner, ok := a.Inner()
	for route := ok && a.Local[0] == '@'; route; {
		next, more := inner.Inner()
		if !more {
			break
		}
		route = inner.Local[0] == '@'
		inner = next
	}
	return inner, ok
}

// QuoteLocal returns a local part as it is written before an @: as it is when
// it is a Dot-string, else as a Quoted-string (RFC 5321 4.1.2, RFC 6531 3.3).
func QuoteLocal(local string) string {
	if isDotString(local) {
		return local
	}
	return quote(local)
}

// WrittenLocal returns the local part of a path that was read as a, as it was written,
// where a does not tell: it is quoted without need, or not in NFC, or it is quoted and
// would be another address without quotes. Else it is empty, also for obsolete forms.
func WrittenLocal(path string, a Address) string {
	path, _, err := splitPath(path)
	at := strings.LastIndexByte(path, '@')
	if err != nil || at <= 0 {
		return ""
	}
	local := path[:at]
	quoted := local[0] == '"'
	if local == QuoteLocal(a.Local) && !(quoted && a.complex()) || !quoted && strings.Contains(local, "@") {
		return ""
	}
	if again, err := Parse(local + "@" + a.Domain); err != nil || again != a {
		return ""
	}
	return local
}

// Written is the inverse of WrittenLocal: the text of an address whose local part was
// written as local says.
func (a Address) Written(local string) string {
	if local != "" {
		return local + "@" + a.Domain
	}
	text := a.String()
	if !a.complex() || text[0] != '"' {
		return text
	}
	// It came in an obsolete form: in quotes it would be a local part as it was written.
	for _, form := range []string{a.Local + "@" + a.Domain, "@" + a.Domain + ":" + a.Local, "@" + a.Domain + "," + a.Local} {
		if again, err := Parse(form); err == nil && again == a && WrittenLocal(form, a) == "" {
			return form
		}
	}
	return text
}

func (a Address) complex() bool { return a.Domain != "" && strings.ContainsAny(a.Local, "@%!") }

func quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

func isDotString(s string) bool {
	dot := true // as if one stood before the first atom
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if dot {
				return false
			}
			dot = true
		case class[c]&atext == 0:
			return false
		default:
			dot = false
		}
	}
	return !dot
}

// The classes of octets in an unquoted address.
const (
	atext  = 1 << iota // RFC 5322 3.2.3, RFC 6531 3.3
	domain             // of a domain name, in either case
	braced             // may stand in braces besides atext
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			t[c] = atext | domain
		case c >= 0x80, strings.IndexByte("!#$%&'*+/=?^`{|}~", byte(c)) >= 0:
			t[c] = atext
		case strings.IndexByte(".,:;@()[]", byte(c)) >= 0:
			t[c] = braced
		}
	}
	t['.'] |= domain
	return t
}()

package address

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"gatepost/server/fault"
)

const literalTag = "IPv6:"

// lookup maps a domain as it is typed to the A-labels that DNS knows (UTS 46,
// non-transitional). Underscores pass: they occur in service names.
var lookup = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// NormalizeDomain returns the form of a domain that Address.Domain holds:
// lower case, A-labels, no trailing dot, literals in canonical form. A name
// that makes the router connect to a host may carry a port: host:25._via,
// [192.0.2.1].25._via.
func NormalizeDomain(s string) (string, error) {
	const op = "address.NormalizeDomain"
	if s == "" {
		return "", fault.New(op, fault.Invalid, "empty domain name")
	}
	if len(s) > maxText {
		return "", fault.New(op, fault.Invalid, "domain name is too long")
	}
	if s[0] == '[' {
		return normalizeLiteral(s)
	}
	s = strings.TrimSuffix(s, ".")
	upper := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			ascii, err := lookup.ToASCII(s)
			if err != nil {
				return "", &fault.Error{Op: op, Kind: fault.Invalid, Text: "bad domain name", Err: err}
			}
			return checkName(strings.ToLower(strings.TrimSuffix(ascii, ".")))
		case c >= 'A' && c <= 'Z':
			upper = true
		}
	}
	if upper {
		s = strings.ToLower(s)
	}
	return checkName(s)
}

// checkName checks a name of ASCII letters in lower case.
func checkName(s string) (string, error) {
	const op = "address.NormalizeDomain"
	if s == "" {
		return "", fault.New(op, fault.Invalid, "empty domain name")
	}
	if len(s) > MaxDomain {
		return "", fault.New(op, fault.Invalid, "domain name is too long")
	}
	name := s
	if i := strings.IndexByte(s, ':'); i >= 0 {
		if !isHostSuffix(s[i:]) {
			return "", fault.New(op, fault.Invalid, "bad character in the domain name")
		}
		name = s[:i]
	}
	label, digits, numeric := 0, true, 0 // numeric counts labels of digits only, or is -1
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			if label == 0 {
				return "", fault.New(op, fault.Invalid, "empty label in the domain name")
			}
			if label > 63 {
				return "", fault.New(op, fault.Invalid, "label of the domain name is too long")
			}
			if digits && numeric >= 0 {
				numeric++
			} else {
				numeric = -1
			}
			label, digits = 0, true
			continue
		}
		if class[name[i]]&domain == 0 {
			return "", fault.New(op, fault.Invalid, "bad character in the domain name")
		}
		digits = digits && name[i] >= '0' && name[i] <= '9'
		label++
	}
	if numeric == 4 && len(name) == len(s) {
		return normalizeLiteral("[" + s + "]")
	}
	return s, nil
}

// normalizeLiteral reads [192.0.2.1], [IPv6:2001:db8::1] (RFC 5321 4.1.3), and
// [2001:db8::1], which people write, with or without a host suffix behind it.
func normalizeLiteral(s string) (string, error) {
	const op = "address.NormalizeDomain"
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return "", fault.New(op, fault.Invalid, "address literal without ]")
	}
	text, suffix := s[1:end], s[end+1:]
	if suffix != "" {
		suffix = strings.ToLower(suffix)
		if !isHostSuffix(suffix) {
			return "", fault.New(op, fault.Invalid, "unexpected text after the address literal")
		}
	}
	if len(text) > len(literalTag) && strings.EqualFold(text[:len(literalTag)], literalTag) {
		text = text[len(literalTag):]
		if strings.IndexByte(text, ':') < 0 {
			return "", fault.New(op, fault.Invalid, "bad address literal")
		}
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return "", fault.New(op, fault.Invalid, "bad address literal")
	}
	return FormatLiteral(ip) + suffix, nil
}

// FormatLiteral returns the domain literal of an IP address.
func FormatLiteral(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[" + literalTag + ip.String() + "]"
}

// isHostSuffix recognises what may follow a host that is to be connected to:
// ._via and its older and narrower spellings, after a port in either spelling.
func isHostSuffix(s string) bool {
	if len(s) > 1 && (s[0] == ':' || s[0] == '.') && s[1] >= '0' && s[1] <= '9' {
		i := 1
		for i < len(s) && i <= 5 && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		s = s[i:]
	}
	switch s {
	case "._via", ".via", "._smtp", ".smtp":
		return true
	}
	return false
}

// ValidName reports whether s may name an object of a domain: Latin letters,
// digits, _, - and ., no dot first or last, 1 to 128 characters.
func ValidName(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		if class[s[i]]&domain == 0 {
			return false
		}
	}
	return true
}

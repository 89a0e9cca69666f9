// Package address is the vocabulary of mail addresses, as the router sees them.
package address

import (
	"net/netip"

	"gatepost/server/fault"
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

// Parse reads an address in any of its forms, with or without angle brackets.
func Parse(s string) (Address, error) {
	return Address{}, fault.New("address.Parse", fault.Unsupported, "")
}

// ParsePath reads the path that follows MAIL FROM: or RCPT TO: and returns the
// text after it, where ESMTP parameters stand. <> gives the zero Address.
func ParsePath(s string) (a Address, rest string, err error) {
	return Address{}, "", fault.New("address.ParsePath", fault.Unsupported, "")
}

// NormalizeDomain returns the form of a domain that Address.Domain holds.
func NormalizeDomain(s string) (string, error) {
	return "", fault.New("address.NormalizeDomain", fault.Unsupported, "")
}

// ValidName reports whether s may name an object of a domain.
func ValidName(s string) bool { return s != "" }

// QuoteLocal returns a local part as it is written before an @.
func QuoteLocal(local string) string { return local }

// IsNull reports whether a is the null return-path.
func (a Address) IsNull() bool { return a == Address{} }

// String returns the address as it is written on the wire, without angle brackets.
func (a Address) String() string { return a.Local + "@" + a.Domain }

// NeedsUTF8 reports whether the address can only be sent with SMTPUTF8 (RFC 6531).
func (a Address) NeedsUTF8() bool { return false }

// Inner reads the local part as an address of its own: what remains when the
// domain part was ours and is cut off. It reports false when the local part is
// a plain name.
func (a Address) Inner() (Address, bool) { return Address{}, false }

// Literal returns the IP address of a domain literal.
func (a Address) Literal() (netip.Addr, bool) { return netip.Addr{}, false }

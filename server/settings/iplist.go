package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatepost/server/dataformat"
)

// IPList is a list of addresses as administrators write it: one address, range
// a-b or network a/n per line; a line that starts with ! takes its addresses out
// of the list wherever it stands; ; starts a comment. It keeps the text as it was
// written. The zero IPList contains nothing.
type IPList struct {
	text string
	set  *ipSet
}

type ipSet struct{ in, out []ipRange }

type ipRange struct{ from, to netip.Addr }

// ParseIPList reads a list. The error names the line.
func ParseIPList(text string) (IPList, error) {
	set := new(ipSet)
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, ";")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		rest, excluded := strings.CutPrefix(line, "!")
		r, err := parseIPRange(strings.TrimSpace(rest))
		if err != nil {
			return IPList{}, fmt.Errorf("line %d: %w", n+1, err)
		}
		if excluded {
			set.out = append(set.out, r)
		} else {
			set.in = append(set.in, r)
		}
	}
	set.in, set.out = joinRanges(set.in), joinRanges(set.out)
	return IPList{text: text, set: set}, nil
}

func parseIPRange(s string) (ipRange, error) {
	bad := fmt.Errorf("%q is not an address, a range a-b or a network a/n", s)
	if from, to, ok := strings.Cut(s, "-"); ok {
		a, err1 := parseIP(from)
		b, err2 := parseIP(to)
		if err1 != nil || err2 != nil || a.BitLen() != b.BitLen() || b.Less(a) {
			return ipRange{}, bad
		}
		return ipRange{a, b}, nil
	}
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return ipRange{}, bad
		}
		return ipRange{p.Masked().Addr(), lastOf(p.Masked())}, nil
	}
	a, err := parseIP(s)
	if err != nil {
		return ipRange{}, bad
	}
	return ipRange{a, a}, nil
}

func parseIP(s string) (netip.Addr, error) {
	s = strings.TrimSpace(s)
	if in, ok := strings.CutPrefix(s, "["); ok {
		s = strings.TrimSuffix(in, "]")
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// joinRanges sorts and merges ranges, so that a lookup is a binary search.
func joinRanges(rs []ipRange) []ipRange {
	slices.SortFunc(rs, func(a, b ipRange) int { return a.from.Compare(b.from) })
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && out[n-1].to.BitLen() == r.from.BitLen() && !out[n-1].to.Less(r.from) {
			if out[n-1].to.Less(r.to) {
				out[n-1].to = r.to
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// Contains reports whether the list has the address. An IPv4 address mapped
// into IPv6 is the IPv4 address; zones are ignored.
func (l IPList) Contains(ip netip.Addr) bool {
	if l.set == nil || !ip.IsValid() {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return inRanges(l.set.in, ip) && !inRanges(l.set.out, ip)
}

func inRanges(rs []ipRange, ip netip.Addr) bool {
	i, exact := slices.BinarySearchFunc(rs, ip, func(r ipRange, ip netip.Addr) int { return r.from.Compare(ip) })
	if exact {
		return true
	}
	return i > 0 && rs[i-1].to.BitLen() == ip.BitLen() && !rs[i-1].to.Less(ip)
}

// Empty reports whether the list has no addresses.
func (l IPList) Empty() bool { return l.set == nil || len(l.set.in) == 0 }

// String is the text as it was written.
func (l IPList) String() string { return l.text }

// SetValue reads a list from a string.
func (l *IPList) SetValue(v dataformat.Value) error {
	s, ok := dataformat.Text(v)
	if !ok {
		return fmt.Errorf("a string with one address per line is expected")
	}
	p, err := ParseIPList(s)
	if err == nil {
		*l = p
	}
	return err
}

// DataValue is the text.
func (l IPList) DataValue() dataformat.Value { return dataformat.String(l.text) }

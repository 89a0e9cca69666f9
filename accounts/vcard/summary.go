package vcard

import (
	"encoding/binary"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/server/fault"
)

// Summary is what lists of contacts show, without escapes.
type Summary struct {
	UID, FN string
	// N has its components separated by semicolons: family, given, additional, prefixes, suffixes.
	N, Org string
	// Kind is "" for a person, "group" for a group.
	Kind   string
	Emails []string
	Phones []string
}

// summaryVersion is the first byte of a marshaled Summary.
const summaryVersion = 1

// maxSummaryValues bounds e-mail addresses and phone numbers of a Summary, maxSummaryText each text in bytes.
const (
	maxSummaryValues = 50
	maxSummaryText   = 1000
)

// Summary returns the summary of the card. Long texts are cut, and values beyond 50 left out.
func (c *Card) Summary() Summary {
	var s Summary
	s.UID = c.UID()
	text := func(p *Property) string { return cut(strings.TrimSpace(Text(p))) }
	set := func(to *string, p *Property) {
		if *to == "" {
			*to = text(p)
		}
	}
	for i := range c.Properties {
		switch p := &c.Properties[i]; p.Name {
		case "FN":
			set(&s.FN, p)
		case "N":
			set(&s.N, p)
		case "ORG":
			set(&s.Org, p)
		case "KIND", "X-ADDRESSBOOKSERVER-KIND":
			if k := strings.ToLower(text(p)); k != "individual" {
				s.Kind = k
			}
		case "EMAIL":
			if len(s.Emails) < maxSummaryValues {
				s.Emails = append(s.Emails, text(p))
			}
		case "TEL":
			if len(s.Phones) < maxSummaryValues {
				s.Phones = append(s.Phones, strings.TrimPrefix(text(p), "tel:"))
			}
		}
	}
	return s
}

func cut(s string) string {
	if len(s) <= maxSummaryText {
		return s
	}
	return strings.ToValidUTF8(s[:maxSummaryText], "")
}

// Marshal returns the compact form of the summary.
func (s *Summary) Marshal() []byte {
	b := []byte{summaryVersion}
	for _, v := range []string{s.UID, s.FN, s.N, s.Org, s.Kind} {
		b = appendText(b, v)
	}
	for _, list := range [][]string{s.Emails, s.Phones} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, v := range list {
			b = appendText(b, v)
		}
	}
	return b
}

func appendText(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

var errSummary = fault.New("vcard", fault.Corrupt, "the summary of a card cannot be read")

// UnmarshalSummary reads the compact form of a summary.
func UnmarshalSummary(b []byte) (Summary, error) {
	var s Summary
	if len(b) == 0 || b[0] != summaryVersion {
		return s, errSummary
	}
	b = b[1:]
	ok := true
	number := func() int {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			ok = false
			return 0
		}
		b = b[size:]
		return int(n)
	}
	text := func() string {
		n := number()
		if !ok {
			return ""
		}
		v := string(b[:n])
		b = b[n:]
		return v
	}
	for _, to := range []*string{&s.UID, &s.FN, &s.N, &s.Org, &s.Kind} {
		*to = text()
	}
	for _, to := range []*[]string{&s.Emails, &s.Phones} {
		for n := number(); n > 0 && ok; n-- {
			*to = append(*to, text())
		}
	}
	if !ok {
		return Summary{}, errSummary
	}
	return s, nil
}

// Found reports whether one of the texts of the summary has a text: what a search box asks.
func (s *Summary) Found(m *contentline.TextMatch) bool {
	if m.Found(s.FN) || m.Found(s.N) || m.Found(s.Org) {
		return true
	}
	for _, v := range s.Emails {
		if m.Found(v) {
			return true
		}
	}
	for _, v := range s.Phones {
		if m.Found(v) {
			return true
		}
	}
	return false
}

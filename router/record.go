package router

import (
	"errors"
	"strings"

	"gatepost/router/address"
	"gatepost/router/names"
)

// relayPrefix says what a record does to the relay mark.
type relayPrefix uint8

const (
	relayNone relayPrefix = iota
	relayNever
	relayMark
	relayAll
)

// anyOperation is a record without a type prefix.
const anyOperation names.Operation = 255

// record is one line of the Router Table.
type record struct {
	line  int
	relay relayPrefix
	op    names.Operation // or anyOperation
	// accountLevel says that the left side is <name> or <name@domain>.
	accountLevel bool
	local        pattern // of an account-level record
	domain       pattern
	mainDomain   bool // <name> without a domain
	right        rightSide
	rightText    string
	leftText     string
}

// String returns the record in canonical form, without its comment.
func (r *record) String() string {
	var b strings.Builder
	b.WriteString([...]string{relayNone: "", relayNever: "NoRelay:", relayMark: "Relay:", relayAll: "RelayAll:"}[r.relay])
	if r.op != anyOperation {
		b.WriteString(r.op.String() + ":")
	}
	left := r.leftText
	if r.accountLevel {
		left = "<" + left + ">"
	}
	b.WriteString(strings.TrimRight(left+" = "+r.rightText, " "))
	return b.String()
}

// parseRecord reads a line that is neither blank nor a comment:
//
//	[relay prefix:][type prefix:]left = right [; comment]
func parseRecord(line string) (*record, error) {
	r := &record{op: anyOperation}
	s, err := r.prefixes(line)
	if err != nil {
		return nil, err
	}
	if s, err = r.left(s); err != nil {
		return nil, err
	}
	if s == "" || s[0] != '=' {
		return nil, errors.New("no = after the left side")
	}
	r.rightText = strings.TrimSpace(withoutComment(s[1:]))
	r.right, err = compileRightSide(r.rightText, r.accountLevel, append(r.local.samples(), r.domain.samples()...), false)
	return r, err
}

// prefixes reads the prefixes, in either order and cut as short as they can be
// told apart, and returns what follows them.
func (r *record) prefixes(s string) (string, error) {
	for {
		s = strings.TrimSpace(s)
		i := strings.IndexByte(s, ':')
		if i < 0 || !isLetters(strings.TrimSpace(s[:i])) {
			return s, nil
		}
		word := strings.ToLower(strings.TrimSpace(s[:i]))
		relay, op := prefix(word)
		switch {
		case relay == relayNone && op == anyOperation:
			return "", errors.New("unknown prefix " + s[:i+1])
		case relay != relayNone && r.relay != relayNone, op != anyOperation && r.op != anyOperation:
			return "", errors.New("two prefixes of one kind")
		case relay != relayNone:
			r.relay = relay
		default:
			r.op = op
		}
		s = s[i+1:]
	}
}

func prefix(word string) (relayPrefix, names.Operation) {
	begins := func(full string) bool { return word != "" && strings.HasPrefix(full, word) }
	switch {
	case begins("relay"): // before relayall, which starts the same
		return relayMark, anyOperation
	case begins("relayall"):
		return relayAll, anyOperation
	case begins("norelay"):
		return relayNever, anyOperation
	case begins("mail"):
		return relayNone, names.Mail
	case begins("access"):
		return relayNone, names.Access
	case begins("signal"):
		return relayNone, names.Signal
	}
	return relayNone, anyOperation
}

func isLetters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// left reads the left side and returns what follows it.
func (r *record) left(s string) (rest string, err error) {
	if !strings.HasPrefix(s, "<") {
		end := strings.IndexAny(s, "=;")
		if end <= 0 {
			return "", errors.New("no left side")
		}
		r.leftText = strings.TrimSpace(s[:end])
		r.domain, err = compileDomain(r.leftText)
		return s[end:], err
	}
	end := firstUnquoted(s, '>')
	if end < 0 {
		return "", errors.New("< without >")
	}
	r.accountLevel = true
	r.leftText = strings.TrimSpace(s[1:end])
	local, domain := r.leftText, ""
	if at := lastSeparator(local, "@"); at >= 0 {
		local, domain = local[:at], local[at+1:]
	} else {
		r.mainDomain = true
	}
	if local == "" {
		return "", errors.New("no name in < >")
	}
	if local[0] == '"' && len(local) > 1 && local[len(local)-1] == '"' {
		local = strings.ReplaceAll(local[1:len(local)-1], `\`, "")
	}
	if r.local, err = compilePattern(local); err != nil {
		return "", err
	}
	if !r.mainDomain {
		r.domain, err = compileDomain(domain)
	}
	return strings.TrimSpace(s[end+1:]), err
}

// compileDomain reads the pattern of a domain.
func compileDomain(s string) (pattern, error) {
	if s == "" {
		return pattern{}, errors.New("no domain")
	}
	if !strings.ContainsAny(s, "*(") {
		domain, err := address.NormalizeDomain(s)
		return pattern{items: []item{{literal: domain}}, prefix: domain}, err
	}
	labels := strings.Split(s, ".")
	for i, label := range labels {
		if isASCII(label) {
			continue
		}
		var err error
		if labels[i], err = address.NormalizeDomain(label); err != nil {
			return pattern{}, err
		}
	}
	s = strings.Join(labels, ".")
	for i := range len(s) {
		if c := s[i]; c <= ' ' || strings.IndexByte(`"<>@,;\%!=`, c) >= 0 {
			return pattern{}, errors.New("invalid character in the domain on the left side")
		}
	}
	return compilePattern(s)
}

// samples returns texts that the groups of a pattern could take.
func (p *pattern) samples() []string {
	var texts []string
	for _, it := range p.items {
		switch {
		case it.any:
			texts = append(texts, "x")
		case it.literal == "":
			texts = append(texts, strings.Repeat("1", max(1, it.min)))
		}
	}
	return texts
}

// withoutComment cuts a comment off: the first ; outside quotes and braces starts it.
func withoutComment(s string) string {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			i = bracedEnd(s, i)
		case c == ';':
			return s[:i]
		}
	}
	return s
}

// firstUnquoted returns the index of the first c outside quotes, or -1.
func firstUnquoted(s string, c byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == c:
			return i
		}
	}
	return -1
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

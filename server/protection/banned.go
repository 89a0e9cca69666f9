package protection

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"

	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// BannedSettings are patterns of lines that no message of a stranger may have, in Settings/Banned.settings.
type BannedSettings struct {
	Header Patterns `key:"BannedHeaderLines" level:"basic" since:"0.3" help:"patterns of header fields, such as Subject: *casino*: a message of a stranger that has such a field is refused; encoded words are decoded, * is any text, upper and lower case are the same"`
	Body   Patterns `key:"BannedBodyLines" level:"basic" since:"0.3" help:"patterns of lines below the header, as they are sent: a message of a stranger that has such a line is refused; text in base64 is not decoded, and rules are the better tool for it"`
}

const (
	maxPatterns = 200
	maxPattern  = 500 // octets
)

// Patterns are patterns of lines, in which * stands for any text.
type Patterns []string

// SetValue reads an array of strings; one string stands for an array of one.
func (p *Patterns) SetValue(v dataformat.Value) error {
	array, ok := v.(dataformat.Array)
	if !ok {
		array = dataformat.Array{v}
	}
	out := Patterns{}
	for _, e := range array {
		text, ok := dataformat.Text(e)
		switch {
		case !ok:
			return fmt.Errorf("an array of patterns is expected")
		case strings.TrimSpace(text) == "":
			continue
		case strings.Trim(text, "* \t") == "":
			return fmt.Errorf("the pattern %s would refuse every message", text)
		case len(text) > maxPattern || strings.ContainsAny(text, "\r\n"):
			return fmt.Errorf("a pattern is one line of at most %d octets", maxPattern)
		}
		out = append(out, strings.TrimSpace(text))
	}
	if len(out) > maxPatterns {
		return fmt.Errorf("%d patterns are more than %d", len(out), maxPatterns)
	}
	*p = out
	return nil
}

// DataValue is the array.
func (p Patterns) DataValue() dataformat.Value {
	array := make(dataformat.Array, len(p))
	for i, s := range p {
		array[i] = dataformat.String(s)
	}
	return array
}

// banned has the patterns in the form that lines are compared with.
type banned struct {
	settings *settings.Live[BannedSettings]
	lines    atomic.Pointer[BannedLines]
	found    counters.Labelled
}

// BannedLines compares lines with the patterns.
type BannedLines struct {
	of           *BannedSettings
	header, body []bannedLine
}

type bannedLine struct {
	pattern string   // as it was written
	parts   [][]byte // in lower case, between the asterisks
}

// UseBanned has lines compared with these settings. It is called before the first client comes.
func (p *Protection) UseBanned(set *settings.Live[BannedSettings]) { p.banned.settings = set }

// BannedFound are messages that were refused for a line, by the part that had it.
func (p *Protection) BannedFound() *counters.Labelled { return &p.banned.found }

// Banned returns what lines are compared with now, or nil when there are no patterns.
func (p *Protection) Banned() *BannedLines {
	if p.banned.settings == nil {
		return nil
	}
	set := p.banned.settings.Get()
	l := p.banned.lines.Load()
	if l == nil || l.of != set {
		l = &BannedLines{of: set, header: compile(set.Header), body: compile(set.Body)}
		p.banned.lines.Store(l)
	}
	if len(l.header)+len(l.body) == 0 {
		return nil
	}
	return l
}

func compile(patterns Patterns) []bannedLine {
	out := make([]bannedLine, len(patterns))
	for i, p := range patterns {
		out[i] = bannedLine{p, bytes.Split(bytes.ToLower([]byte(p)), []byte("*"))}
	}
	return out
}

// Header returns the pattern that a header field has: its name, a colon and a blank, and its decoded value.
func (l *BannedLines) Header(field []byte) (pattern string, is bool) { return find(l.header, field) }

// Body returns the pattern that a line below the header has.
func (l *BannedLines) Body(line []byte) (pattern string, is bool) { return find(l.body, line) }

func find(patterns []bannedLine, line []byte) (string, bool) {
	if len(patterns) == 0 {
		return "", false
	}
	line = bytes.ToLower(line)
	for i := range patterns {
		if patterns[i].fits(line) {
			return patterns[i].pattern, true
		}
	}
	return "", false
}

func (b *bannedLine) fits(line []byte) bool {
	first, last := b.parts[0], b.parts[len(b.parts)-1]
	if len(b.parts) == 1 {
		return bytes.Equal(line, first)
	}
	line, ok := bytes.CutPrefix(line, first)
	if !ok {
		return false
	}
	for _, part := range b.parts[1 : len(b.parts)-1] {
		at := bytes.Index(line, part)
		if at < 0 {
			return false
		}
		line = line[at+len(part):]
	}
	return bytes.HasSuffix(line, last)
}

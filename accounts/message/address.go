package message

import (
	"bytes"
	"iter"
	"strings"
	"sync"
)

// AddressKind says what an entry of an address list is.
type AddressKind uint8

const (
	// Mailbox is an address, with a display name or without one.
	Mailbox AddressKind = iota
	// GroupStart begins a group, whose name is Address.Name.
	GroupStart
	// GroupEnd ends it.
	GroupEnd
)

// Address is an entry of an address list (RFC 5322 section 3.4), without quotes and comments.
// Encoded-words and 8-bit characters are not changed.
type Address struct {
	Kind AddressKind
	// Name is the display name, or the first comment if there is none.
	Name []byte
	// Route is a source route (RFC 5322 section 4.4), "@a,@b".
	Route []byte
	// Local and Domain are the address. If an entry has no at sign, a single word is Local, and
	// several words are Name.
	Local, Domain []byte
}

// addressParsers keeps the buffers of parsers. A long field may make them large; the collector frees those.
var addressParsers = sync.Pool{New: func() any { return new(addressParser) }}

// Addresses yields the entries of an address list, which is the value of a From, To or Cc field as
// it was received. An entry is valid until the next one. It never fails, see addressParser.
func Addresses(value []byte) iter.Seq[Address] {
	return func(yield func(Address) bool) {
		p := addressParsers.Get().(*addressParser)
		defer p.release()
		for p.reset(value); p.next(); {
			if !yield(p.Address) {
				return
			}
		}
	}
}

// Addresses yields the entries that the ENVELOPE has of From, Sender, Reply-To, To, Cc or Bcc: of the first
// three those of the first field, of the others those of all fields. Unlike in the ENVELOPE, Sender and
// Reply-To stand for themselves.
func (h *Head) Addresses(field string) iter.Seq[Address] {
	id := identify([]byte(field))
	return func(yield func(Address) bool) {
		p := addressParsers.Get().(*addressParser)
		defer p.release()
		for start := 0; start < len(h.Headers); {
			name, value, end := cutField(h.Headers, start)
			start = end
			if len(name) != len(field) || !equalFold(name, field) {
				continue
			}
			for p.reset(h.Headers[value:end]); p.next(); {
				if !yield(p.Address) {
					return
				}
			}
			if id == fromField || id == senderField || id == replyToField {
				return
			}
		}
	}
}

// An addressParser parses an address list, one entry at a time, in time linear in its length. It
// accepts the obsolete forms of RFC 5322 section 4.4. It never fails: it ignores a quote without an
// end, ends a comment without an end at the next address, and supplies missing brackets and commas.
type addressParser struct {
	in        []byte
	oddQuote  bool // a quote without an end was found: later quotes are ignored
	oddParens bool // a comment without an end was found: later comments are not nested
	within    bool // a group has begun
	ended     bool // the group's semicolon was read
	ambiguous bool // other readers may find other addresses, see AuthorAddresses

	// Address is the entry that next has found, valid until the next call.
	Address

	text  []byte // the words outside of brackets, with one blank between
	word  int    // where the last of them begins
	local int    // where the local part of an address without brackets begins, which at tells of
	words int    // how many words there are, those joined by dots counted as one
	note  []byte // the first comment
	// A dot or a comment stands between the last word and the one before.
	joined, commented bool
}

// release puts the parser back into the pool, without the list.
func (p *addressParser) release() {
	p.in = nil
	addressParsers.Put(p)
}

func (p *addressParser) reset(value []byte) {
	p.in, p.oddQuote, p.oddParens, p.within, p.ended, p.ambiguous = value, false, false, false, false, false
}

// next steps to the next entry.
func (p *addressParser) next() bool {
	for !p.ended && len(p.in) > 0 {
		if p.entry() {
			return true
		}
	}
	if !p.within {
		return false
	}
	p.within, p.ended = false, false
	p.clear(GroupEnd)
	return true
}

func (p *addressParser) clear(kind AddressKind) {
	p.Address = Address{Kind: kind, Name: p.Name[:0], Route: p.Route[:0], Local: p.Local[:0], Domain: p.Domain[:0]}
}

// entry reads up to a separator, and reports whether there was an address or a group start.
func (p *addressParser) entry() bool {
	p.clear(Mailbox)
	p.text, p.note, p.word, p.local, p.words = p.text[:0], p.note[:0], 0, 0, 0
	p.joined, p.commented = false, false
	angle, at, space := false, false, false
	for len(p.in) > 0 {
		c := p.in[0]
		switch c {
		case ' ', '\t', '\r', '\n':
			space = true
			p.in = p.in[1:]
			continue
		case '(':
			if note := p.comment(); len(p.note) == 0 {
				p.note = appendComment(p.note, note)
			}
			space, p.commented = true, true
			continue
		case ',':
			p.in = p.in[1:]
			return p.finish(angle, at)
		case ';':
			p.in = p.in[1:]
			p.ended = p.within
			return p.finish(angle, at)
		case ':':
			p.in = p.in[1:]
			if !p.within && !angle && !at && len(p.text) > 0 {
				p.within, p.Kind = true, GroupStart
				p.Name = append(p.Name, p.text...)
				return true
			}
			p.ambiguous = true
		case '<':
			if angle {
				return p.withoutComma(angle, at)
			}
			p.in = p.in[1:]
			p.bracketed(at)
			angle, at = true, false // what looked like an address is the display name
		case '@':
			p.in = p.in[1:]
			p.ambiguous = p.ambiguous || angle || at
			if angle {
				continue // a second address without a local part
			}
			if at { // the last one counts
				p.Local = append(append(p.Local, '@'), p.Domain...)
				p.Domain = p.Domain[:0]
			} else {
				p.bareLocal()
			}
			at = true
			p.domain()
			p.text = append(append(p.text, '@'), p.Domain...)
		case '"':
			w, rest, ok := p.quoted()
			if !ok {
				p.in = p.in[1:]
				continue
			}
			if (angle || at) && len(rest) > 0 && rest[0] == '@' {
				return p.withoutComma(angle, at)
			}
			p.in = rest
			p.addWord(w, space, angle || at)
		case '>', ')':
			p.in, p.ambiguous = p.in[1:], true // it closes nothing
		default:
			n := atomLength(p.in)
			if (angle || at) && n < len(p.in) && p.in[n] == '@' {
				return p.withoutComma(angle, at)
			}
			p.addWord(p.in[:n], space, angle || at)
			p.in = p.in[n:]
		}
		space = false
	}
	return p.finish(angle, at)
}

// withoutComma ends an address behind which the comma is missing.
func (p *addressParser) withoutComma(angle, at bool) bool {
	p.ambiguous = true
	return p.finish(angle, at)
}

// bracketed reads what follows "<". Some readers take an address that stands before it (at) for
// the one that is meant.
func (p *addressParser) bracketed(at bool) {
	before := ""
	if at {
		before = string(p.Local) + "@" + string(p.Domain)
	}
	p.Local, p.Domain = p.Local[:0], p.Domain[:0]
	p.inBrackets()
	if at && !strings.EqualFold(before, string(p.Local)+"@"+string(p.Domain)) {
		p.ambiguous = true
	}
}

// addWord appends a word to the text. behind tells that an address stands before it.
func (p *addressParser) addWord(w []byte, space, behind bool) {
	p.ambiguous = p.ambiguous || behind
	if n := len(p.text); n == 0 {
		p.words = 1
	} else if space {
		dot := p.text[n-1] == '.' || len(w) > 0 && w[0] == '.'
		if !dot {
			p.words++
		}
		p.joined = dot || p.commented
		p.text = append(p.text, ' ')
		p.word = len(p.text)
	}
	p.commented = false
	p.text = appendUnfolded(p.text, w)
}

// bareLocal sets the local part of an address without brackets from the text: all of it if its
// words are joined by dots, as in "joe . doe@host" (obs-local-part, RFC 5322 section 4.4), else the
// last word. It stays in the text, which may turn out to be a display name.
func (p *addressParser) bareLocal() {
	if p.words > 1 || p.word == 0 {
		p.ambiguous = p.ambiguous || p.joined
		p.local = p.word
		p.Local = append(p.Local, p.text[p.word:]...)
		return
	}
	p.local = 0
	dot := false
	for i, c := range p.text {
		if c == ' ' && (dot || i+1 < len(p.text) && p.text[i+1] == '.') {
			continue // a blank beside a dot
		}
		p.Local = append(p.Local, c)
		dot = c == '.'
	}
}

// quoted reads the quoted string that the list goes on with, and does not step over it. It reports
// false where the quote means nothing. Readers differ in what a backslash does: an address may follow it.
func (p *addressParser) quoted() (text, rest []byte, ok bool) {
	if p.oddQuote {
		return nil, nil, false
	}
	text, rest, ok = cutQuoted(p.in)
	p.oddQuote = !ok
	raw := p.in[:len(p.in)-len(rest)]
	if !ok || bytes.IndexByte(raw, '\\') >= 0 && bytes.IndexByte(raw, '@') >= 0 {
		p.ambiguous = true
	}
	return text, rest, ok
}

// finish assigns the words of the entry to its fields.
func (p *addressParser) finish(angle, at bool) bool {
	switch {
	case angle:
		p.Name = append(p.Name, p.text...)
	case at:
		p.Name = append(p.Name, bytes.TrimRight(p.text[:p.local], " ")...)
	case p.word == 0:
		p.Local = append(p.Local, p.text...)
	default:
		p.Name = append(p.Name, p.text...)
	}
	if len(p.Name)+len(p.Local)+len(p.Domain) == 0 {
		return false
	}
	if len(p.Name) == 0 {
		p.Name = append(p.Name, p.note...) // user@host (Full Name)
	}
	return true
}

// inBrackets reads from after "<" to after ">", or to a comma or semicolon before it.
func (p *addressParser) inBrackets() {
	p.skipBlank()
	if len(p.in) > 0 && p.in[0] == '@' {
		p.route()
	}
	at, space := false, false
	for len(p.in) > 0 {
		switch c := p.in[0]; c {
		case ' ', '\t', '\r', '\n', '(':
			p.skipBlank()
			space = true
			continue
		case '>':
			p.in = p.in[1:]
			return
		case ',', ';', '<':
			p.ambiguous = true
			return
		case '"':
			w, rest, ok := p.quoted()
			if !ok {
				p.in = p.in[1:]
				continue
			}
			p.in = rest
			p.addLocal(w, space, at)
		case '@':
			p.in = p.in[1:]
			if at { // the last one counts
				p.ambiguous = true
				p.Local = append(append(p.Local, '@'), p.Domain...)
				p.Domain = p.Domain[:0]
			}
			at = true
			p.domain()
		default:
			n := max(1, atomLength(p.in))
			p.addLocal(p.in[:n], space, at)
			p.in = p.in[n:]
		}
		space = false
	}
	p.ambiguous = true
}

// addLocal appends a word in brackets to the local part. A word after the domain is ignored.
// Blanks may only stand beside the dots of a local part.
func (p *addressParser) addLocal(w []byte, space, at bool) {
	n := len(p.Local)
	if at || space && n > 0 && p.Local[n-1] != '.' && (len(w) == 0 || w[0] != '.') {
		p.ambiguous = true
	}
	if !at {
		p.Local = appendUnfolded(p.Local, w)
	}
}

// route reads "@a,@b:" (RFC 5322 section 4.4). Without the colon it reads nothing.
func (p *addressParser) route() {
	end := bytes.IndexAny(p.in, ":<>\"") // the next bracket bounds the search
	if end < 0 || p.in[end] != ':' {
		return
	}
	for b := p.in[:end]; len(b) > 0; {
		switch {
		case b[0] == '(':
			b = skipComment(b)
		default:
			if b[0] > ' ' {
				p.Route = append(p.Route, b[0])
			}
			b = b[1:]
		}
	}
	p.in = p.in[end+1:]
}

// maxDomainLiteral bounds the search for the end of a domain in square brackets.
const maxDomainLiteral = 255

// domain reads what follows "@": words with dots between, which may have blanks and comments around
// them (obs-domain, RFC 5322 section 4.4), or a literal in square brackets.
func (p *addressParser) domain() {
	p.skipBlank()
	if len(p.in) > 0 && p.in[0] == '[' {
		if end := bytes.IndexByte(p.in[:min(len(p.in), maxDomainLiteral)], ']') + 1; end > 0 {
			for _, c := range p.in[:end] {
				if c > ' ' { // the folding of a literal means nothing
					p.Domain = append(p.Domain, c)
				}
			}
			p.in = p.in[end:]
			return
		}
	}
	for {
		n := atomLength(p.in)
		p.Domain = append(p.Domain, p.in[:n]...)
		p.in = p.in[n:]
		dot := n > 0 && p.Domain[len(p.Domain)-1] == '.'
		behind := p.in
		p.skipBlank()
		if len(p.in) == 0 || !dot && p.in[0] != '.' || atomLength(p.in) == 0 {
			p.in = behind // a comment here is the name
			return
		}
	}
}

// skipBlank steps over white space and comments.
func (p *addressParser) skipBlank() {
	for len(p.in) > 0 {
		switch p.in[0] {
		case ' ', '\t', '\r', '\n':
			p.in = p.in[1:]
		case '(':
			p.comment()
		default:
			return
		}
	}
}

// comment reads a comment and returns it without its first parenthesis. Readers differ in where
// one ends that holds quotes, backslashes and other comments: an address may follow.
func (p *addressParser) comment() []byte {
	in := p.in
	if !p.oddParens {
		if rest, ended := cutComment(in); ended {
			p.in = rest
			text := in[1 : len(in)-len(rest)]
			if bytes.IndexByte(text, '@') >= 0 && bytes.ContainsAny(text, `(\"`) {
				p.ambiguous = true
			}
			return text
		}
		p.oddParens, p.ambiguous = true, true
	}
	end := bytes.IndexAny(in[1:], ")<>,;") + 1
	if end == 0 {
		p.in = nil
		return in[1:]
	}
	if in[end] == ')' {
		end++
	}
	p.in = in[end:]
	return in[1:end]
}

// atomLength returns the length of the word at the beginning of b. Dots, and the specials that have no meaning
// here, belong to words.
func atomLength(b []byte) int {
	for i, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n', '(', ')', '<', '>', '@', ',', ';', ':', '"':
			return i
		}
	}
	return len(b)
}

// appendComment appends a comment's text, which ends with the parenthesis that closes it if
// there is one.
func appendComment(dst, b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte(")"))
	if bytes.IndexByte(b, '\\') >= 0 {
		b = unquote(b)
	}
	return appendUnfolded(dst, bytes.TrimSpace(b))
}

// appendUnfolded appends b without line ends.
func appendUnfolded(dst, b []byte) []byte {
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return append(dst, b...)
	}
	for _, c := range b {
		if c != '\r' && c != '\n' {
			dst = append(dst, c)
		}
	}
	return dst
}

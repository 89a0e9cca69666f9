package message

import "bytes"

// addressKind says what a step of the addressParser found.
type addressKind uint8

const (
	oneAddress addressKind = iota
	groupStart
	groupEnd
)

// An addressParser reads an address list (RFC 5322 section 3.4) one address at a
// time, in time linear in its length. It takes what comes: unterminated quotes and
// comments end with the field, missing brackets and commas are guessed, 8-bit letters
// pass. Encoded-words stay as they are. After MaxAddresses it stops.
type addressParser struct {
	in     []byte
	stray  bool // a quote without an end was found: quotes mean nothing any more
	count  int  // addresses and group starts so far
	within bool // a group was begun
	ended  bool // … and its semicolon has been read

	// What next found, valid until the next call. A name alone has neither local
	// nor domain, a local part alone no domain.
	kind                       addressKind
	name, route, local, domain []byte

	text []byte // words outside of brackets, with one blank between
	word int    // where the last of them begins
	note []byte // the first comment
}

func (p *addressParser) reset(value []byte) {
	p.in, p.stray, p.within, p.ended = value, false, false, false
}

// next steps to the next address, group start or group end.
func (p *addressParser) next() bool {
	if p.count >= MaxAddresses {
		p.in = nil
	}
	for !p.ended && len(p.in) > 0 {
		if p.mailbox() {
			p.count++
			return true
		}
	}
	if !p.within {
		return false
	}
	p.within, p.ended = false, false
	p.kind = groupEnd
	return true
}

// mailbox reads up to a separator, and reports whether there was an address or a group start.
func (p *addressParser) mailbox() bool {
	p.kind = oneAddress
	p.name, p.route, p.local, p.domain = p.name[:0], p.route[:0], p.local[:0], p.domain[:0]
	p.text, p.note, p.word = p.text[:0], p.note[:0], 0
	angle, at, space := false, false, false
	for len(p.in) > 0 {
		c := p.in[0]
		switch c {
		case ' ', '\t', '\r', '\n':
			space = true
			p.in = p.in[1:]
			continue
		case '(':
			rest := skipComment(p.in)
			if len(p.note) == 0 {
				p.note = appendComment(p.note, p.in[1:len(p.in)-len(rest)])
			}
			p.in = rest
			space = true
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
				p.within, p.kind = true, groupStart
				p.name = append(p.name, p.text...)
				return true
			}
		case '<':
			p.in = p.in[1:]
			if angle {
				continue // stray
			}
			angle, at = true, false
			p.local, p.domain = p.local[:0], p.domain[:0]
			p.inBrackets()
		case '@':
			p.in = p.in[1:]
			if angle || at {
				continue // stray
			}
			at = true
			p.local = append(p.local, p.text[p.word:]...)
			p.text = bytes.TrimRight(p.text[:p.word], " ")
			p.readDomain()
		case '"':
			if p.stray {
				p.in = p.in[1:]
				continue
			}
			w, rest, ended := cutQuoted(p.in)
			if p.stray = !ended; p.stray {
				continue
			}
			p.in = rest
			p.addWord(w, space, at)
		case '>', ')':
			p.in = p.in[1:] // stray
		default:
			n := atomLength(p.in)
			p.addWord(p.in[:n], space, at)
			p.in = p.in[n:]
		}
		space = false
	}
	return p.finish(angle, at)
}

// addWord appends a word to the text. What follows an address without brackets is dropped.
func (p *addressParser) addWord(w []byte, space, at bool) {
	if at {
		return
	}
	if space && len(p.text) > 0 {
		p.text = append(p.text, ' ')
		p.word = len(p.text)
	}
	p.text = appendUnfolded(p.text, w)
}

// finish decides what the words that were read mean.
func (p *addressParser) finish(angle, at bool) bool {
	switch {
	case angle, at:
		p.name = append(p.name, p.text...)
	case p.word == 0:
		p.local = append(p.local, p.text...)
	default:
		p.name = append(p.name, p.text...)
	}
	if len(p.name)+len(p.local)+len(p.domain) == 0 {
		return false
	}
	if len(p.name) == 0 {
		p.name = append(p.name, p.note...) // user@host (Full Name)
	}
	return true
}

// inBrackets reads from behind "<" to behind ">", or to a comma or semicolon before it.
func (p *addressParser) inBrackets() {
	p.in = skipBlank(p.in)
	if len(p.in) > 0 && p.in[0] == '@' {
		p.readRoute()
	}
	at := false
	for len(p.in) > 0 {
		switch c := p.in[0]; c {
		case ' ', '\t', '\r', '\n', '(':
			p.in = skipBlank(p.in)
		case '>':
			p.in = p.in[1:]
			return
		case ',', ';':
			return
		case '"':
			var w []byte
			w, p.in, _ = cutQuoted(p.in)
			p.local = appendUnfolded(p.local, w)
		case '@':
			p.in = p.in[1:]
			if at { // the last one counts
				p.local = append(append(p.local, '@'), p.domain...)
				p.domain = p.domain[:0]
			}
			at = true
			p.readDomain()
		default:
			n := max(1, atomLength(p.in))
			p.local = append(p.local, p.in[:n]...)
			p.in = p.in[n:]
		}
	}
}

// readRoute reads "@a,@b:" (RFC 5322 section 4.4). Without the colon it reads nothing.
func (p *addressParser) readRoute() {
	end := bytes.IndexAny(p.in, ":<>\"") // the next bracket bounds the search
	if end < 0 || p.in[end] != ':' {
		return
	}
	for _, c := range p.in[:end] {
		if c > ' ' {
			p.route = append(p.route, c)
		}
	}
	p.in = p.in[end+1:]
}

// readDomain reads what follows "@": atoms, dots, or a literal in square brackets.
func (p *addressParser) readDomain() {
	p.in = skipBlank(p.in)
	if len(p.in) > 0 && p.in[0] == '[' {
		end := bytes.IndexByte(p.in, ']') + 1
		if end == 0 {
			end = len(p.in)
		}
		p.domain = appendUnfolded(p.domain, p.in[:end])
		p.in = p.in[end:]
		return
	}
	n := atomLength(p.in)
	p.domain = append(p.domain, p.in[:n]...)
	p.in = p.in[n:]
}

// atomLength is how many letters b begins with that neither end a word nor begin
// something else. Dots, and the specials without a meaning here, are among them.
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

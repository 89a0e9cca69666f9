package imap

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/message"
)

// The keys FROM, SUBJECT, HEADER and so on: the first one that is applied to a message searches for all texts
// of the program that have the same scope, so that each field is decoded once.

// searchEnvelope searches the addresses of the ENVELOPE (RFC 9051 section 6.4.4). Each field is
// searched as one text, in which the addresses have their simplest form: names are decoded, and there are no
// comments, quotes or line breaks.
func (x *candidate) searchEnvelope() {
	if x.done&inEnvelope != 0 || !x.needContent() {
		return
	}
	x.done |= inEnvelope
	for _, f := range x.searchProgram.inEnvelope {
		text := x.field[:0]
		for a := range x.content.Addresses(f.field) {
			text = appendAddress(text, &a)
		}
		x.field = text
		if len(text) > 0 {
			x.searchFolded(text, f.texts)
		}
	}
}

// appendAddress appends an entry of an address list, folded.
func appendAddress(dst []byte, a *message.Address) []byte {
	switch n := len(dst); {
	case n == 0, a.Kind == message.GroupEnd:
	case dst[n-1] == ':':
		dst = append(dst, ' ')
	default:
		dst = append(dst, ", "...)
	}
	start := len(dst)
	dst = trimFolded(foldHeader(dst, a.Name), start)
	switch a.Kind {
	case message.GroupStart:
		return append(dst, ':')
	case message.GroupEnd:
		return append(dst, ';')
	}
	if len(a.Local)+len(a.Domain) == 0 {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	dst = append(dst, '<')
	if len(a.Route) > 0 {
		dst = append(fold(dst, a.Route), ':')
	}
	dst = fold(dst, a.Local)
	if len(a.Domain) > 0 {
		dst = fold(append(dst, '@'), a.Domain)
	}
	return append(dst, '>')
}

// trimFolded removes the blanks around what stands from start on.
func trimFolded(b []byte, start int) []byte {
	text := bytes.Trim(b[start:], " ")
	return append(b[:start], text...)
}

// searchSummary searches the header fields in the stored summary.
func (x *candidate) searchSummary() {
	if x.done&inSummary != 0 || !x.needContent() {
		return
	}
	x.done |= inSummary
	x.searchHeader(x.content.Prefix, x.searchProgram.inSummary)
	x.searchHeader(x.content.Headers, x.searchProgram.inSummary)
}

// searchWholeHeader searches the whole header, with the prefix.
func (x *candidate) searchWholeHeader() {
	if x.done&inHeader != 0 || !x.needSummary() || !x.needBody() {
		return
	}
	x.done |= inHeader
	sec := section{part: message.Header}
	sp, _ := sec.span(&fetched{content: x.content, summary: x.summary, body: x.body})
	x.searchHeader(x.read(sp), x.searchProgram.inHeader)
}

// searchHeader searches a header for texts. A text that names a field is searched for in the values of
// such fields, and is found in each if it is empty. The other texts are searched for in whole fields, names
// included.
func (x *candidate) searchHeader(header []byte, fields []fieldTexts) {
	x.work(len(header))
	for len(header) > 0 && x.err == nil && !x.foundInAll(fields) {
		field := firstField(header)
		header = header[len(field):]
		head := bytes.IndexByte(field, ':') + 1
		name := bytes.TrimRight(field[:max(head-1, 0)], " \t")
		var whole, value []byte
		for i := range fields {
			f := &fields[i]
			if f.field != "" && !equalFold(name, f.field) || x.foundAll(f.texts) {
				continue
			}
			if whole == nil {
				whole, value = x.foldField(field[:head], field[head:])
			}
			if f.field == "" {
				x.searchFolded(whole, f.texts)
			} else {
				x.searchFolded(value, f.texts)
			}
		}
	}
}

func (x *candidate) foundInAll(fields []fieldTexts) bool {
	for i := range fields {
		if !x.foundAll(fields[i].texts) {
			return false
		}
	}
	return true
}

// foldField folds a field, which is given as its name with the colon and its value. It returns the whole
// field and the value.
func (x *candidate) foldField(head, value []byte) (whole, folded []byte) {
	x.field = foldHeader(x.field[:0], head)
	start := len(x.field)
	if bare := bytes.TrimLeft(value, " \t\r\n"); len(bare) < len(value) {
		x.field, value = append(x.field, ' '), bare
	}
	whole = bytes.TrimRight(foldHeader(x.field, value), " ")
	x.field = whole
	return whole, bytes.TrimLeft(whole[min(start, len(whole)):], " ")
}

// searchFolded searches a folded field for texts.
func (x *candidate) searchFolded(folded []byte, texts []int) {
	x.work(len(folded) * len(texts) / textsPerByte)
	for _, n := range texts {
		x.found[n] = x.found[n] || bytes.Contains(folded, x.searchProgram.texts[n].header)
	}
}

// headerBytes has for each ASCII character the one that foldHeader writes, 0 for those that it leaves
// out, and 0xff for other bytes.
var headerBytes = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		switch {
		case c == 0 || c == '\r' || c == '\n':
			t[i] = 0
		case c < ' ' || c == 0x7f:
			t[i] = ' '
		case c >= 'A' && c <= 'Z':
			t[i] = c | 0x20
		case c >= 0x80:
			t[i] = 0xff
		default:
			t[i] = c
		}
	}
	return t
}()

// foldHeader appends fold(message.DecodeHeader(text)), but keeps the blanks at both ends. Most texts are ASCII
// without encoded-words: these it folds itself, which is faster.
func foldHeader(dst, text []byte) []byte {
	start := len(dst)
	for _, c := range text {
		switch l := headerBytes[c]; l {
		case 0:
		case 0xff:
			return fold(dst[:start], []byte(message.DecodeHeader(text)))
		default:
			dst = append(dst, l)
		}
	}
	if bytes.Contains(dst[start:], []byte("=?")) {
		return fold(dst[:start], []byte(message.DecodeHeader(text)))
	}
	return dst
}

// foldForHeaders folds a text of the client as foldHeader folds headers. All blanks become spaces, so that a
// text with a TAB finds a header with a TAB, and a header whose line is folded with a space.
func foldForHeaders(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch c := text[0]; {
		case c == 0 || c == '\r' || c == '\n':
		case unicode.IsControl(r) && c < utf8.RuneSelf, r == 0x2028, r == 0x2029:
			out = append(out, ' ')
		default:
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return fold(nil, out)
}

// firstField returns the first field of a header, with its continuation lines.
func firstField(header []byte) []byte {
	for at := 0; ; {
		i := bytes.IndexByte(header[at:], '\n')
		if i < 0 {
			return header
		}
		at += i + 1
		if at == len(header) || header[at] != ' ' && header[at] != '\t' {
			return header[:at]
		}
	}
}

package imap

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/message"
)

// The search of HEADER, SUBJECT, FROM and their like: the first such key of a message looks for all
// texts of the program that are to be found in the same place, so that every field is decoded once.

// searchEnvelope looks through the addresses of the envelope (RFC 9051 section 6.4.4). A field is
// searched as one text, in which its addresses stand as people write them: without the comments,
// quotes and folding of the header.
func (x *candidate) searchEnvelope() {
	if x.done&inEnvelope != 0 || !x.needContent() {
		return
	}
	x.done |= inEnvelope
	for _, f := range x.program.inEnvelope {
		text := x.spare[:0]
		for a := range x.content.Addresses(f.field) {
			text = appendAddress(text, &a)
		}
		x.spare = text
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

// searchSummary looks through the header fields that the store keeps at hand.
func (x *candidate) searchSummary() {
	if x.done&inSummary != 0 || !x.needContent() {
		return
	}
	x.done |= inSummary
	x.searchHeader(x.content.Prefix, x.program.inSummary)
	x.searchHeader(x.content.Headers, x.program.inSummary)
}

// searchWholeHeader reads the header with its prefix.
func (x *candidate) searchWholeHeader() {
	if x.done&inHeader != 0 || !x.needSummary() || !x.needBody() {
		return
	}
	x.done |= inHeader
	sec := section{part: message.Header}
	sp, _ := sec.span(&fetched{content: x.content, summary: x.summary, body: x.body})
	x.searchHeader(x.read(sp), x.program.inHeader)
}

// searchHeader looks through the fields of a header for texts: those
// that name a field in its value, where an empty text stands for any, the others also in
// the field's name.
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

// foldField folds a field, given up to its colon and from there on, and returns all of it and its value.
func (x *candidate) foldField(head, value []byte) (whole, folded []byte) {
	x.spare = foldHeader(x.spare[:0], head)
	start := len(x.spare)
	if bare := bytes.TrimLeft(value, " \t\r\n"); len(bare) < len(value) {
		x.spare, value = append(x.spare, ' '), bare
	}
	whole = bytes.TrimRight(foldHeader(x.spare, value), " ")
	x.spare = whole
	return whole, bytes.TrimLeft(whole[min(start, len(whole)):], " ")
}

// searchFolded looks for texts in a folded field.
func (x *candidate) searchFolded(folded []byte, texts []int) {
	x.work(len(folded) * len(texts) / textsPerByte)
	for _, n := range texts {
		x.found[n] = x.found[n] || bytes.Contains(folded, x.program.texts[n].header)
	}
}

// headerLetters are ASCII letters as foldHeader writes them, 0 for those that it leaves
// out; other bytes are 0xff.
var headerLetters = func() (t [256]byte) {
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

// foldHeader appends fold(message.DecodeHeader(text)), with the blanks around it. Most texts are ASCII
// without encoded-words, and need neither.
func foldHeader(dst, text []byte) []byte {
	start := len(dst)
	for _, c := range text {
		switch l := headerLetters[c]; l {
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

// foldForHeaders returns a text as foldHeader writes it: whoever looks for a TAB finds one in a header,
// where folding and senders leave open which blank it is.
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

// firstField cuts the first field with its continuation lines off a header.
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

package imap

import (
	"bytes"
	"math/bits"

	"gatepost/accounts/message"
)

// headerHas answers HEADER, SUBJECT, FROM and their like: the first such key of a message
// looks for all texts of the program that are to be found in the same place, so that
// every field is decoded once.
func (x *candidate) headerHas(k *searchKey) bool {
	if x.program.texts[k.number].place == inSummary {
		x.searchSummary()
	} else {
		x.searchWholeHeader()
	}
	return x.found&(1<<k.number) != 0
}

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

// searchHeader looks through the fields of a header for some of the texts, given as bits: those
// that name a field in its value, where an empty text stands for any, the others also in
// the field's name.
func (x *candidate) searchHeader(header []byte, texts uint64) {
	x.work(len(header))
	for len(header) > 0 && x.err == nil {
		if texts &^= x.found; texts == 0 {
			return
		}
		field := firstField(header)
		header = header[len(field):]
		head := bytes.IndexByte(field, ':') + 1
		name := bytes.TrimRight(field[:max(head-1, 0)], " \t")
		if here := x.program.lookedForIn(name, texts); here != 0 {
			x.searchField(field[:head], field[head:], here)
		}
	}
}

// lookedForIn returns those of the texts that a field of that name may have.
func (g *searchProgram) lookedForIn(name []byte, texts uint64) (here uint64) {
	for left := texts; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if f := g.texts[i].field; f == "" || equalFold(name, f) {
			here |= 1 << i
		}
	}
	return here
}

// searchField looks for texts in a field, given up to its colon and from there on.
func (x *candidate) searchField(head, value []byte, texts uint64) {
	x.spare = foldHeader(x.spare[:0], head)
	start := len(x.spare)
	if bare := bytes.TrimLeft(value, " \t\r\n"); len(bare) < len(value) {
		x.spare, value = append(x.spare, ' '), bare
	}
	whole := bytes.TrimRight(foldHeader(x.spare, value), " ")
	folded := bytes.TrimLeft(whole[min(start, len(whole)):], " ")
	x.spare = whole
	for ; texts != 0; texts &= texts - 1 {
		i := bits.TrailingZeros64(texts)
		in := whole
		if x.program.texts[i].field != "" {
			in = folded
		}
		if bytes.Contains(in, x.program.texts[i].text) {
			x.found |= 1 << i
		}
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

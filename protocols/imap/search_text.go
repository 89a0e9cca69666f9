package imap

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
)

// candidate is a message that a search program is asked about. Everything is
// fetched when a key first wants it.
type candidate struct {
	s        *session
	program  *searchProgram
	keywords []string
	seq      int
	state    mailbox.State
	err      error

	hasMessage bool
	msg        mailbox.Message
	content    *mailbox.Content
	body       mailbox.Body
	header     []byte // whole, read from the file
	// inHeader and inBody are the texts of the program that were found, as bits.
	scanned          bool
	inHeader, inBody uint64

	window *[windowSize]byte
	folded []byte
	spare  []byte // for header fields
}

// windowSize is how much text is searched at a time; the end of one window is the
// beginning of the next.
const windowSize = 32 << 10

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

func newCandidate(s *session, g *searchProgram) *candidate {
	return &candidate{s: s, program: g, keywords: s.box.KeywordNames()}
}

// release gives back what the search has borrowed.
func (x *candidate) release() {
	x.closeBody()
	if x.window != nil {
		windows.Put(x.window)
	}
}

func (x *candidate) closeBody() {
	if x.body != nil {
		// The file was only read.
		_ = x.body.Close()
		x.body = nil
	}
}

// next turns to another message.
func (x *candidate) next(seq int, st mailbox.State) {
	x.closeBody()
	x.seq, x.state, x.err = seq, st, nil
	x.hasMessage, x.content, x.header = false, nil, nil
	x.scanned, x.inHeader, x.inBody = false, 0, 0
}

// later reports whether the key's day, or instant, is later than t. Of days, time and
// zone do not count (RFC 9051 section 6.4.4).
func (k *searchKey) later(t time.Time) bool {
	if k.exact {
		return t.Before(k.date)
	}
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(k.date)
}

func (x *candidate) needContent() bool {
	if x.content == nil && x.err == nil {
		x.content, x.err = x.s.box.Content(x.s.ctx, x.state.UID)
	}
	return x.err == nil
}

func (x *candidate) needBody() bool {
	if x.body == nil && x.err == nil {
		x.body, x.err = x.s.box.OpenBody(x.state.UID)
	}
	return x.err == nil
}

// sent is the date of the Date field in the zone that it names.
func (x *candidate) sent() time.Time {
	if !x.needContent() {
		return time.Time{}
	}
	return x.content.Summary.Date
}

// headerHas reports whether a header field of that name has the folded text in it; an
// empty text asks whether there is such a field.
func (x *candidate) headerHas(k *searchKey) bool {
	if !x.needContent() {
		return false
	}
	if k.cached {
		return x.fieldHas(x.content.Prefix, k.field, k.text) || x.fieldHas(x.content.Summary.Headers, k.field, k.text)
	}
	return x.fieldHas(x.wholeHeader(), k.field, k.text)
}

// wholeHeader reads the header with its prefix.
func (x *candidate) wholeHeader() []byte {
	if x.header == nil && x.needContent() && x.needBody() {
		sec := section{part: message.Header}
		sp, _ := sec.span(&fetched{content: x.content, body: x.body})
		h := make([]byte, min(sp.Size(), message.MaxHeader))
		n, err := x.body.ReadAt(h, sp.Start)
		if err != nil && err != io.EOF {
			x.err = err
		}
		x.header = h[:n]
	}
	return x.header
}

// fieldHas looks through the fields of a header. An empty name is any field, and then its
// name is searched too.
func (x *candidate) fieldHas(header []byte, name, text string) bool {
	for len(header) > 0 {
		field := firstField(header)
		header = header[len(field):]
		if name != "" {
			colon := bytes.IndexByte(field, ':')
			if colon < 0 || !equalFold(bytes.TrimRight(field[:colon], " \t"), name) {
				continue
			}
			field = field[colon+1:]
		}
		if text == "" {
			return true
		}
		x.spare = fold(x.spare[:0], []byte(message.DecodeHeader(field)))
		if bytes.Contains(x.spare, []byte(text)) {
			return true
		}
	}
	return false
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

// textHas answers BODY and TEXT: the first such key of a message looks for all texts of
// the program, so that a message is read once.
func (x *candidate) textHas(k *searchKey) bool {
	if !x.scanned {
		x.scanned = true
		x.scan()
	}
	found := x.inBody
	if k.header {
		found |= x.inHeader
	}
	return found&(1<<k.number) != 0
}

func (x *candidate) scan() {
	if !x.needContent() || !x.needBody() {
		return
	}
	g := x.program
	for i, text := range g.texts {
		if text == "" {
			x.inHeader |= 1 << i
			x.inBody |= 1 << i
		} else if g.inHeader&(1<<i) != 0 && x.fieldHas(x.wholeHeader(), "", text) {
			x.inHeader |= 1 << i
		}
	}
	x.scanPart(x.content.Summary.Root, true)
}

// foundAll reports whether nothing is left to look for in the body.
func (x *candidate) foundAll() bool { return x.inBody == 1<<len(x.program.texts)-1 }

// scanPart looks through the text of a part and of the parts in it. Text is what a person
// reads: text parts in UTF-8, and the headers of inner parts and messages.
func (x *candidate) scanPart(p *message.Part, root bool) {
	if x.err != nil || x.foundAll() {
		return
	}
	if !root {
		x.scanHeader(p.Header)
	}
	switch {
	case len(p.Children) > 0:
		for _, child := range p.Children {
			x.scanPart(child, false)
		}
	case p.Message != nil:
		x.scanPart(p.Message.Root, false)
	case p.Type == "text" && x.program.ascii && plainEncoding(p.Encoding) && likeASCII(p.Param("charset")):
		x.scanASCII(x.section(p.Body))
	case p.Type == "text":
		r := message.Decode(x.section(p.Body), p.Encoding)
		x.scanText(message.ToUTF8(r, p.Param("charset")))
	}
}

// plainEncoding reports whether a Content-Transfer-Encoding leaves the text as it is.
func plainEncoding(encoding string) bool {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// likeASCII reports whether the bytes of ASCII letters stand for nothing else in a charset.
func likeASCII(charset string) bool {
	for _, prefix := range [...]string{"utf-8", "us-ascii", "iso-8859-", "windows-125", "koi8-"} {
		if len(charset) >= len(prefix) && equalFold(charset[:len(prefix)], prefix) {
			return true
		}
	}
	return charset == ""
}

// section reads a span of the message.
func (x *candidate) section(sp message.Span) *io.SectionReader {
	return io.NewSectionReader(x.body, sp.Start+int64(len(x.content.Prefix)), sp.Size())
}

func (x *candidate) scanHeader(sp message.Span) {
	h := make([]byte, min(sp.Size(), message.MaxHeader))
	n, err := io.ReadFull(x.section(sp), h)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		x.err = err
		return
	}
	for i, text := range x.program.texts {
		if x.inBody&(1<<i) == 0 && x.fieldHas(h[:n], "", text) {
			x.inBody |= 1 << i
		}
	}
}

// scanASCII looks for texts of ASCII letters in a text that needs no conversion.
func (x *candidate) scanASCII(r *io.SectionReader) {
	window := x.borrow()
	longest := x.program.longest
	for at, kept := int64(0), 0; ; {
		n, err := r.ReadAt(window[kept:], at)
		at += int64(n)
		foldASCII(window[kept : kept+n])
		x.search(window[:kept+n])
		if err != nil && err != io.EOF {
			x.err = err
		}
		if err != nil || x.foundAll() {
			return
		}
		kept = copy(window, window[kept+n-min(longest-1, kept+n):kept+n])
	}
}

// search notes which texts are in a folded piece of the body.
func (x *candidate) search(folded []byte) {
	for i, text := range x.program.texts {
		if x.inBody&(1<<i) == 0 && bytes.Contains(folded, []byte(text)) {
			x.inBody |= 1 << i
		}
	}
}

// borrow returns a window that has room for the longest text twice.
func (x *candidate) borrow() []byte {
	if 2*x.program.longest > windowSize {
		return make([]byte, 2*x.program.longest)
	}
	if x.window == nil {
		x.window = windows.Get().(*[windowSize]byte)
	}
	return x.window[:]
}

// scanText looks for the texts in a stream of UTF-8, window by window. What is searched begins with
// as much of what came before as a text that crosses over may have.
func (x *candidate) scanText(r io.Reader) {
	window := x.borrow()
	folded := x.folded[:0]
	defer func() { x.folded = folded }()
	rest := 0 // bytes in the window that are an unfinished letter
	for x.err == nil {
		n, err := r.Read(window[rest:])
		chunk := window[:rest+n]
		whole := len(chunk)
		if err == nil {
			whole = wholeLetters(chunk)
		}
		folded = fold(folded, chunk[:whole])
		x.search(folded)
		if err == io.EOF || x.foundAll() {
			return
		}
		if err != nil {
			x.err = err
		}
		rest = copy(window, chunk[whole:])
		if keep := x.program.longest - 1; len(folded) > keep {
			folded = folded[:copy(folded, folded[len(folded)-keep:])]
		}
	}
}

// wholeLetters returns how much of b ends in no unfinished UTF-8 sequence.
func wholeLetters(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// foldASCII turns the ASCII letters of b into lower case, eight bytes at a time.
func foldASCII(b []byte) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		low := w &^ high
		// The high bit of each byte says: at least 'A', and above 'Z'.
		letter := (low + ones*(0x80-'A')) &^ (low + ones*(0x80-'Z'-1)) &^ w & high
		binary.LittleEndian.PutUint64(b, w|letter>>2)
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
}

// fold appends a text in the form in which texts are compared: without regard to case
// (RFC 9051 section 6.4.4).
func fold(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
		}
		i += n
	}
	return dst
}

// equalFold compares ASCII texts without regard to case.
func equalFold[S ~string | ~[]byte](a S, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(b); i++ {
		c, d := a[i], b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if d >= 'A' && d <= 'Z' {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}

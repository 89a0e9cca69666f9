package imap

import (
	"bytes"
	"io"
	"sync"
	"time"

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

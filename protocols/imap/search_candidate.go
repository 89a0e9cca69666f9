package imap

import (
	"io"
	"sync"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
)

// candidate is a message that a search program is asked about. Everything is
// fetched when a key first wants it.
type candidate struct {
	s       *session
	program *searchProgram
	reader  *mailbox.Reader
	pace    pace
	seq     int
	state   mailbox.State
	err     error

	hasMessage bool
	msg        mailbox.Message
	content    *mailbox.Content
	summary    *message.Summary
	body       mailbox.Body
	// found tells of each text of the program whether it was found so far; done says where the
	// texts were looked for.
	found []bool
	done  place

	window *[windowSize]byte
	folded []byte
	spare  []byte // for header fields
}

// place is where texts are looked for, as bits.
type place uint8

const (
	inEnvelope place = 1 << iota
	inSummary        // the header fields that the store keeps at hand
	inHeader         // the whole header
	inBody
)

// windowSize is how much text is searched at a time; the end of one window is the
// beginning of the next.
const windowSize = 32 << 10

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

func newCandidate(s *session, g *searchProgram) *candidate {
	return &candidate{
		s: s, program: g, reader: s.box.Reader(), pace: newPace(s, "* OK Still searching"), found: make([]bool, len(g.texts)),
	}
}

// release gives back what the search has borrowed.
func (x *candidate) release() {
	x.closeBody()
	x.reader.Close()
	x.pace.end()
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
	x.hasMessage, x.content, x.summary = false, nil, nil
	x.done = 0
	clear(x.found)
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

func (x *candidate) message() mailbox.Message {
	if !x.hasMessage {
		x.msg, _ = x.s.box.Message(x.state.UID)
		x.hasMessage = true
	}
	return x.msg
}

func (x *candidate) needContent() bool {
	if x.content == nil && x.err == nil {
		x.content, x.err = x.reader.Content(x.s.ctx, x.state.UID)
	}
	return x.err == nil
}

func (x *candidate) needSummary() bool {
	if x.summary == nil && x.needContent() {
		x.summary, x.err = x.content.Summary(x.s.ctx)
	}
	return x.err == nil
}

func (x *candidate) needBody() bool {
	if x.body == nil && x.err == nil {
		x.body, x.err = x.reader.Open(x.s.ctx, x.state.UID)
		x.work(openCost)
	}
	return x.err == nil
}

// work counts n bytes that were searched, and gives up when the command has to.
func (x *candidate) work(n int) {
	if err := x.pace.work(n); err != nil && x.err == nil {
		x.err = err
	}
}

// sent is the date of the Date field in the zone that it names, if there is one that can be read.
func (x *candidate) sent() (time.Time, bool) {
	if !x.needContent() {
		return time.Time{}, false
	}
	return x.content.Date, x.content.HasDate
}

// foundAll reports whether all of the texts are found.
func (x *candidate) foundAll(texts []int) bool {
	for _, n := range texts {
		if !x.found[n] {
			return false
		}
	}
	return true
}

// read reads a span of the message, as far as a header is looked at.
func (x *candidate) read(sp message.Span) []byte {
	b := make([]byte, min(sp.Size(), message.MaxHeader))
	n, err := x.body.ReadAt(b, sp.Start)
	if err != nil && err != io.EOF {
		x.err = err
	}
	return b[:n]
}

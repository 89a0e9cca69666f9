package imap

import (
	"io"
	"sync"
	"time"

	"gatepost/accounts/fulltext"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
)

// candidate is the message that a search program is being applied to. Its parts are read when a key first
// needs them.
type candidate struct {
	searching
	reader    *mailbox.Reader
	timeslice timeslice
	seq       int
	state     mailbox.State
	err       error

	hasMessage bool
	msg        mailbox.Message
	content    *mailbox.Content
	summary    *message.Summary
	body       mailbox.Body
	// found has for each text of the program whether it was found so far. done says where
	// texts were searched for.
	found []bool
	done  scope

	// The index of texts: looked has the number there of each text of the program, from 1 on, 0 for one that was not needed yet,
	// and -1 for one that the index does not help with.
	query  *fulltext.Query
	looked []int
	// fuzzy are the texts of FUZZY.
	fuzzy []likeState

	window *[windowSize]byte
	folded []byte
	field  []byte // the header field being searched, folded
}

// scope is a part of a message that is searched, as bits.
type scope uint8

const (
	inEnvelope scope = 1 << iota
	inSummary        // the header fields in the stored summary
	inHeader         // the whole header
	inBody
)

// windowSize is how much text is searched at a time. The end of each window is searched again with
// the next one.
const windowSize = 32 << 10

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

func newCandidate(x searching) *candidate {
	c := &candidate{
		searching: x, reader: x.mailbox.Reader(), timeslice: x.responder.timeslice("* OK Still searching"),
		found: make([]bool, len(x.searchProgram.texts)), looked: make([]int, len(x.searchProgram.texts)),
	}
	c.beginLikes()
	c.query = x.responder.texts.Query(x.mailbox.Account(), c.timeslice.work)
	return c
}

// release releases what the search holds.
func (x *candidate) release() {
	x.closeBody()
	x.query.End()
	x.reader.Close()
	x.timeslice.end()
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

// next makes another message the candidate.
func (x *candidate) next(seq int, st mailbox.State) {
	x.closeBody()
	x.seq, x.state, x.err = seq, st, nil
	x.hasMessage, x.content, x.summary = false, nil, nil
	x.done = 0
	x.forgetLikes()
	x.timeslice.done, x.timeslice.total = uint32(seq-1), uint32(x.mailbox.Len())
	clear(x.found)
}

// later reports whether the key's date is later than t. If the key has a day, not an instant, the time and
// zone of t are ignored (RFC 9051 section 6.4.4).
func (k *searchKey) later(t time.Time) bool {
	if k.exact {
		return t.Before(k.date)
	}
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(k.date)
}

func (x *candidate) message() mailbox.Message {
	if !x.hasMessage {
		x.msg, _ = x.mailbox.Message(x.state.UID)
		x.hasMessage = true
	}
	return x.msg
}

func (x *candidate) needContent() bool {
	if x.content == nil && x.err == nil {
		x.content, x.err = x.reader.Content(x.ctx, x.state.UID)
	}
	return x.err == nil
}

func (x *candidate) needSummary() bool {
	if x.summary == nil && x.needContent() {
		x.summary, x.err = x.content.Summary(x.ctx)
	}
	return x.err == nil
}

func (x *candidate) needBody() bool {
	if x.body == nil && x.err == nil {
		x.body, x.err = x.reader.Open(x.ctx, x.state.UID)
		x.work(openCost)
	}
	return x.err == nil
}

// work counts n searched bytes, and sets the error that ends the command if there is one.
func (x *candidate) work(n int) {
	if err := x.timeslice.work(n); err != nil && x.err == nil {
		x.err = err
	}
}

// sent returns the date of the Date field, in its own zone, and whether it is known.
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

// read reads a span of the message, up to the limit for headers.
func (x *candidate) read(sp message.Span) []byte {
	b := make([]byte, min(sp.Size(), message.MaxHeader))
	n, err := x.body.ReadAt(b, sp.Start)
	if err != nil && err != io.EOF {
		x.err = err
	}
	return b[:n]
}

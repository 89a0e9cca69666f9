package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/logs"
)

// A Signer makes header fields that are put before a message on its way to another server:
// signatures. It is asked once for each message, host and attempt.
type Signer interface {
	// Sign returns complete header lines with CRLF, or nothing. It returns soon after ctx has ended.
	// After an error the message is tried again later.
	Sign(ctx context.Context, m *Message) ([]byte, error)
}

// Message is what a Signer sees. It is valid until Sign returns, and not to be changed.
type Message struct {
	// ID is the message's queue ID, Host the host that it goes to.
	ID       envelope.QueueID
	Host     string
	Envelope *envelope.Envelope
	// Text is the message as it is sent, with CRLF line ends, without the stuffing of dots.
	Text io.ReaderAt
	Size int64
	// Author is whom a gateway has put into From; the null address if the message is as it was. It is then signed in the
	// name of the author's domain or not at all.
	Author address.Address
}

// signTimeout bounds the signing of one message: the other server waits with an open connection.
const signTimeout = time.Minute

// unsigned is what the log and the recipient's state say of a message that was not signed.
const unsigned = "the message could not be signed"

// dress returns a message as it goes the way of s: signed, with the sender of the gateway. What a gateway has changed beside
// From is not signed: nobody has seen that its author wants that.
func (s *sender) dress(it *queue.Item, rcpt int) (text, error) {
	sent := text{head: it.Envelope.PersonalFor(rcpt)}
	author := address.Address{}
	if g := s.way.gateway; g.rewrites() {
		changed, err := g.rewritten(it)
		sent.head, sent.skip = append(sent.head, changed.head...), changed.skip
		if err != nil || g.SenderField != senderInFrom {
			return sent, err
		}
		author = g.sender
	}
	fields, err := s.sign(it, sent, author)
	sent.head = append(fields, sent.head...)
	return sent, err
}

// sign returns the fields for a message that goes to the hop of s.
func (s *sender) sign(it *queue.Item, sent text, author address.Address) (fields []byte, err error) {
	if s.t.signer == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, signTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.t.log.LogAttrs(s.ctx, logs.LevelCrash, "signer crashed", slog.Uint64(logs.AttrQueueID, uint64(it.ID)), slog.Any(logs.AttrError, p),
				slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f, err := os.Open(it.File)
	if err != nil {
		return nil, &fileError{err}
	}
	defer f.Close()
	m := &Message{ID: it.ID, Host: s.host, Envelope: it.Envelope, Text: io.NewSectionReader(f, it.Offset, it.Size), Size: it.Size, Author: author}
	if len(sent.head) > 0 || sent.skip > 0 {
		m.Text = &headed{sent.head, io.NewSectionReader(f, it.Offset+sent.skip, it.Size-sent.skip)}
		m.Size = int64(len(sent.head)) + it.Size - sent.skip
	}
	return s.t.signer.Sign(ctx, m)
}

// headed is a text with a head of its own.
type headed struct {
	head []byte
	rest io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (h *headed) ReadAt(p []byte, at int64) (n int, err error) {
	if at < int64(len(h.head)) {
		n = copy(p, h.head[at:])
	}
	if n == len(p) {
		return n, nil
	}
	more, err := h.rest.ReadAt(p[n:], max(at-int64(len(h.head)), 0))
	return n + more, err
}

// unsignedStatus is the status of a message that was not signed.
func (s *sender) unsignedStatus(it *queue.Item, err error) envelope.Status {
	if errors.Is(err, errLongHeader) {
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 6, 0}, Text: err.Error()}
	}
	s.t.log.LogAttrs(s.ctx, logs.LevelFailure, unsigned, slog.Uint64(logs.AttrQueueID, uint64(it.ID)), slog.String(logs.AttrNextHop, s.host), slog.Any(logs.AttrError, err))
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: unsigned}
}

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
}

// signTimeout bounds the signing of one message: the other server waits with an open connection.
const signTimeout = time.Minute

// unsigned is what the log and the recipient's state say of a message that was not signed.
const unsigned = "the message could not be signed"

// dress returns a message as it goes the way of s: signed, or with the sender of the gateway. What a gateway has
// changed is not signed: the author is another one then.
func (s *sender) dress(it *queue.Item) (text, error) {
	if g := s.way.gateway; g.rewrites() {
		return g.rewritten(it)
	}
	fields, err := s.sign(it)
	return text{head: fields}, err
}

// sign returns the fields for a message that goes to the hop of s.
func (s *sender) sign(it *queue.Item) (fields []byte, err error) {
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
	text := io.NewSectionReader(f, it.Offset, it.Size)
	return s.t.signer.Sign(ctx, &Message{ID: it.ID, Host: s.host, Envelope: it.Envelope, Text: text, Size: it.Size})
}

// unsignedStatus is the status of a message that was not signed.
func (s *sender) unsignedStatus(it *queue.Item, err error) envelope.Status {
	if errors.Is(err, errLongHeader) {
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 6, 0}, Text: err.Error()}
	}
	s.t.log.LogAttrs(s.ctx, logs.LevelFailure, unsigned, slog.Uint64(logs.AttrQueueID, uint64(it.ID)), slog.String(logs.AttrNextHop, s.host), slog.Any(logs.AttrError, err))
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: unsigned}
}

package smtp

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"gatepost/queue/envelope"
)

// data is DATA.
func (s *session) data(arg string) {
	switch {
	case arg != "":
		s.reply(replyNoArgument)
		return
	case !s.inTransaction():
		return
	case s.tx.body != nil:
		s.reply(replyDataAndBdat)
		return
	case s.tx.env.Body == envelope.BodyBinaryMIME:
		s.reply(refusal(503, 5, 5, 1, "a BINARYMIME message is sent by BDAT"))
		return
	case len(s.tx.env.Recipients) == 0:
		r := replyNoRecipients
		if s.lmtp {
			r.code = 503 // RFC 2033 section 4.2
		}
		s.reply(r)
		return
	}
	b, err := s.startBody()
	if err != nil {
		env := s.tx.env
		s.tx, s.answers = nil, nil
		s.refuseMessage(env, replyTo(err), err)
		return
	}
	s.reply(reply{code: 354, text: `Enter mail, end with "." on a line by itself`})
	s.readData(b)
}

// readData takes the message to its end.
func (s *session) readData(b *body) {
	s.in.startMessage(s.cfg.DataTimeout.Duration(), b.began, 0)
	defer s.in.shrink()
	var scan dotScanner
	for {
		text, used, end := scan.next(s.in.window())
		if end {
			s.in.consume(used)
			s.commit(b)
			return
		}
		if used == 0 {
			if err := s.in.fill(); err != nil {
				s.dataLost(err)
				return
			}
			continue
		}
		if scan.bare && !b.repair {
			b.refuse(&replyBareData)
		}
		b.write(text)
		s.in.consume(used)
		if s.endless(b) {
			s.refuseAndClose(b)
			return
		}
	}
}

// maxExcess is how much more than its limit is read of a message.
const maxExcess = 1 << 30

// endless reports whether so much more than its limit has come of a message that it is not worth
// reading on. Most clients look for the answer when they have sent all, and one whose connection
// is closed before tries again (RFC 5321 section 3.8); so the rest of a message that is too
// large is read, but only up to maxExcess, and only for DataTimeout.
func (s *session) endless(b *body) bool {
	excess := b.excess()
	if excess > 0 && s.in.end.IsZero() {
		s.in.end = time.Now().Add(s.cfg.DataTimeout.Duration())
	}
	return excess > maxExcess
}

// dataLost ends a session whose message does not go on. If it is too large, the client
// learns that.
func (s *session) dataLost(err error) {
	if s.tx != nil && s.tx.body != nil && s.tx.body.excess() > 0 && s.ctx.Err() == nil && errors.Is(err, os.ErrDeadlineExceeded) {
		s.refuseAndClose(s.tx.body)
		return
	}
	s.tx.abort()
	s.tx = nil
	s.disconnect(err)
}

// refuseAndClose answers a message that is far beyond its limit and closes.
func (s *session) refuseAndClose(b *body) {
	env := s.tx.env
	s.tx = nil
	s.refuseMessage(env, replyTo(b.err), b.err)
	s.closing = true
}

// bdat is BDAT (RFC 3030). The octets of a chunk follow its command whatever
// the answer is, so they are always taken.
func (s *session) bdat(arg string) {
	if s.lmtp {
		s.reply(replyNotImplemented) // it is not offered: where the next command starts is not known
		s.closing = true
		return
	}
	size, last, ok := parseBdat(arg)
	if !ok {
		// Where the next command starts cannot be known.
		s.reply(refusal(501, 5, 5, 4, "BDAT size [LAST] is expected"))
		s.closing = true
		return
	}
	defer s.in.shrink()
	refused, ok := s.startBdat(size)
	if !ok {
		s.in.startMessage(s.cfg.DataTimeout.Duration(), time.Now(), 0)
		if s.discardChunk(size) {
			s.refuseChunk(refused)
		}
		return
	}
	b := s.tx.body
	s.in.startMessage(s.cfg.DataTimeout.Duration(), b.began, b.size)
	if !s.readChunk(b, size) {
		return
	}
	switch {
	case last:
		s.finishLines(b)
		s.commit(b)
	case b.refused != nil || b.err != nil:
		s.chunkFailed = true
		s.commit(b) // which answers why not
	default:
		s.reply(reply{code: 250, text: strconv.FormatInt(size, 10) + " octets received"})
	}
}

func parseBdat(arg string) (size int64, last, ok bool) {
	words := strings.Fields(arg)
	if len(words) == 0 || len(words) > 2 || len(words) == 2 && !strings.EqualFold(words[1], "LAST") {
		return 0, false, false
	}
	n, err := strconv.ParseUint(words[0], 10, 63)
	return int64(n), len(words) == 2, err == nil
}

// startBdat decides whether the chunk belongs to a message, and opens the queue
// file at the first one.
func (s *session) startBdat(size int64) (reply, bool) {
	switch {
	case s.tx == nil:
		return replyNoMail, false
	case s.tx.body != nil:
		return reply{}, true
	case len(s.tx.env.Recipients) == 0:
		return replyNoRecipients, false
	}
	if _, err := s.startBody(); err != nil {
		s.tx = nil
		return replyTo(err), false
	}
	return reply{}, true
}

// refuseChunk answers a chunk that belongs to no message. A client that sends its chunks
// at once could not know yet that one before has failed: this is no error of its own
// (RFC 3030 section 2).
func (s *session) refuseChunk(r reply) {
	if s.chunkFailed {
		s.send("", r)
		return
	}
	s.chunkFailed = true
	s.reply(r)
}

// readChunk takes a chunk into the message. It reports false when the session
// is at its end.
func (s *session) readChunk(b *body, size int64) bool {
	lines := &s.tx.lines
	return s.readOctets(size, func(piece []byte) bool {
		if b.binary != nil {
			b.write(piece)
		} else {
			held, text := lines.next(piece)
			if lines.bare && !b.repair {
				b.refuse(&replyBareData)
			}
			b.write(held)
			b.write(text)
		}
		if s.endless(b) {
			s.refuseAndClose(b)
			return false
		}
		return true
	})
}

// finishLines ends the last line of the message, if the client did not.
func (s *session) finishLines(b *body) {
	if b.binary != nil {
		return // it ends its lines itself
	}
	missing := s.tx.lines.finish()
	if s.tx.lines.bare && !b.repair {
		b.refuse(&replyBareData)
	}
	b.write(missing)
}

// discardChunk takes a chunk and drops it, unless it is so large that the connection
// is better closed.
func (s *session) discardChunk(size int64) bool {
	if limit := int64(s.cfg.MaxMessageSize); limit >= 0 && size-limit > maxExcess {
		s.reply(replyTo(errTooLarge))
		s.closing = true
		return false
	}
	return s.readOctets(size, func([]byte) bool { return true })
}

// readOctets takes size octets of the input, in pieces.
func (s *session) readOctets(size int64, use func(piece []byte) bool) bool {
	for size > 0 {
		piece := s.in.window()
		if len(piece) == 0 {
			if err := s.in.fill(); err != nil {
				s.dataLost(err)
				return false
			}
			continue
		}
		if int64(len(piece)) > size {
			piece = piece[:size]
		}
		if !use(piece) {
			return false
		}
		s.in.consume(len(piece))
		size -= int64(len(piece))
	}
	return true
}

package pop3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"

	"gatepost/accounts/message"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// retrieve is RETR.
func (s *session) retrieve(args []string) error {
	n, err := s.message(args)
	if err != nil {
		return err
	}
	return s.send(n, math.MaxInt64)
}

// top is TOP: the header, the empty line and the first lines of the body.
func (s *session) top(args []string) error {
	n, err := s.message(args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return fault.New("pop3.TOP", fault.Invalid, "a number of lines is expected")
	}
	lines, err := strconv.ParseUint(args[1], 10, 63)
	if err != nil {
		return fault.New("pop3.TOP", fault.Invalid, "a number of lines is expected")
	}
	return s.send(n, int64(lines))
}

// chunks are the buffers for sending messages.
var chunks = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// downgraded returns what a client without UTF8 gets in place of the first bytes of a message, if its header has raw UTF-8.
func (s *session) downgraded(body io.ReaderAt) (header []byte, length int64, err error) {
	if s.utf8 {
		return nil, 0, nil
	}
	chunk := chunks.Get().(*[32 << 10]byte)
	defer chunks.Put(chunk)
	n, err := body.ReadAt(chunk[:], 0)
	if err != nil && err != io.EOF {
		return nil, 0, err
	}
	head := chunk[:n]
	end := headerEnd(head)
	if end == 0 && n == len(chunk) { // a long header
		head = make([]byte, message.MaxHeader)
		if n, err = body.ReadAt(head, 0); err != nil && err != io.EOF {
			return nil, 0, err
		}
		head = head[:n]
		end = headerEnd(head)
	}
	if end == 0 {
		// There is no body, or the header is too long to be read as one: then up to its last whole line.
		if end = bytes.LastIndexByte(head, '\n') + 1; n < message.MaxHeader {
			end = len(head)
		}
	}
	if !needsDowngrade(head[:end]) {
		return nil, 0, nil
	}
	return downgradeHeader(head[:end]), int64(end), nil
}

// send sends message n with at most the given number of lines of its body.
func (s *session) send(n int, lines int64) error {
	d := s.drop
	body, err := d.view.OpenBody(d.uids[n-1])
	if err != nil {
		return err
	}
	defer body.Close()
	whole := lines == math.MaxInt64
	header, length, err := s.downgraded(body)
	if err != nil {
		return err
	}
	if whole {
		s.say("+OK " + strconv.FormatInt(body.Size()-length+int64(len(header)), 10) + " octets")
	} else {
		s.say("+OK top of message follows")
	}
	chunk := chunks.Get().(*[32 << 10]byte)
	defer chunks.Put(chunk)
	w := stuffer{out: s.out, lines: lines, whole: whole}
	w.write(header)
	from := io.NewSectionReader(body, length, body.Size()-length)
	for err = nil; err == nil && !w.done(); {
		var k int
		k, err = from.Read(chunk[:])
		w.write(chunk[:k])
		d.sent += int64(k)
	}
	if at, _ := from.Seek(0, io.SeekCurrent); err != nil && (err != io.EOF || at < from.Size()) {
		// A part of the message was sent. Only the end of the connection tells
		// the client that the message is incomplete.
		s.endReason = fmt.Errorf("message %d: %w", d.uids[n-1], errors.Join(err, io.ErrUnexpectedEOF))
		s.log.LogAttrs(s.ctx, logs.LevelFailure, "cannot read a message to its end, the connection is closed", slog.Any(logs.AttrError, err))
		return nil
	}
	w.end()
	if w.err == nil {
		w.err = s.out.Flush() // the message is retrieved only if all of it was written
	}
	if w.err != nil {
		s.endReason = fmt.Errorf("message %d: %w", d.uids[n-1], w.err)
		return nil
	}
	d.last = max(d.last, n)
	if whole {
		d.seen[n] = true
	}
	return nil
}

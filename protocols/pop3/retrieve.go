package pop3

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"

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

// pieces are the buffers that messages go through.
var pieces = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// send sends message n up to so many lines of its body.
func (s *session) send(n int, lines int64) error {
	d := s.drop
	body, err := d.view.OpenBody(d.uids[n-1])
	if err != nil {
		return err
	}
	defer body.Close()
	whole := lines == math.MaxInt64
	if whole {
		s.say("+OK " + strconv.FormatInt(body.Size(), 10) + " octets")
	} else {
		s.say("+OK top of message follows")
	}
	piece := pieces.Get().(*[32 << 10]byte)
	defer pieces.Put(piece)
	w := stuffer{out: s.out, lines: lines, whole: whole}
	from := io.NewSectionReader(body, 0, body.Size())
	for err = nil; err == nil && !w.done(); {
		var k int
		k, err = from.Read(piece[:])
		w.write(piece[:k])
		d.sent += int64(k)
	}
	if at, _ := from.Seek(0, io.SeekCurrent); err != nil && (err != io.EOF || at < body.Size()) {
		// Half of a message is on the wire: only the end of the connection tells
		// the client that it is not whole.
		s.over = fmt.Errorf("message %d: %w", d.uids[n-1], errors.Join(err, io.ErrUnexpectedEOF))
		s.log.LogAttrs(s.ctx, logs.LevelFailure, "cannot read a message to its end, the connection is closed", slog.Any(logs.AttrError, err))
		return nil
	}
	w.end()
	if w.err == nil {
		w.err = s.out.Flush() // what is left in our buffer nobody has retrieved
	}
	if w.err != nil {
		s.over = fmt.Errorf("message %d: %w", d.uids[n-1], w.err)
		return nil
	}
	d.last = max(d.last, n)
	if whole {
		d.seen[n] = true
	}
	return nil
}

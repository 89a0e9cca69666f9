package pwd

import (
	"bufio"
	"errors"
	"strings"
	"sync/atomic"
	"time"
)

// Limits of lines, with their ends.
const (
	maxLineBefore = 4 << 10         // before login
	maxLineUser   = 64 << 10        // after login
	maxLine       = 10 << 20        // of an administrator
	maxLines      = 64 << 20        // memory of all lines above maxLineUser and of what they say
	lineTimeout   = 5 * time.Minute // for the rest of a line above maxLineUser, also after NOTIMEOUT
)

var (
	errTooLong = errors.New("line is too long")
	errTooMany = errors.New("too many long lines")
)

// readLine reads a line without its end. A line that is too long is read to its
// end and dropped, and so is a long one for which there is no memory now. What a
// long line takes of the budget is held until release.
func (s *session) readLine() (string, error) {
	if err := s.conn.SetReadDeadline(s.deadline()); err != nil {
		return "", err
	}
	limit := s.maxLine()
	var long strings.Builder // what did not fit into the reader's buffer
	for {
		part, err := s.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		if long.Len()+len(part) > limit {
			return "", s.dropLine(err, errTooLong)
		}
		if err == nil && long.Len() == 0 {
			return trimEnd(string(part)), nil
		}
		if room, refused := s.grow(&long, len(part)); refused != nil {
			return "", refused
		} else if !room {
			return "", s.dropLine(err, errTooMany)
		}
		long.Write(part)
		if err == nil {
			return s.wholeLine(trimEnd(long.String()))
		}
	}
}

// grow makes room for n bytes more. Above maxLineUser that is taken from the
// budget, and the line has to come to its end in time.
func (s *session) grow(long *strings.Builder, n int) (room bool, err error) {
	if long.Cap()-long.Len() >= n {
		return true, nil
	}
	more := int64(long.Cap() + n)
	if long.Len()+n > maxLineUser {
		if s.held == 0 {
			more += int64(long.Cap())
			if err := s.conn.SetReadDeadline(s.lineDeadline()); err != nil {
				return false, err
			}
		}
		if !s.hold(more) {
			return false, nil
		}
	}
	long.Grow(n) // to twice the capacity and n
	return true, nil
}

// wholeLine takes from the budget what the values of a long line will need.
func (s *session) wholeLine(line string) (string, error) {
	if s.held == 0 {
		return line, nil
	}
	size := valuesSize(line)
	switch {
	case s.held+size > s.server.lines.limit:
		return "", errTooLong // whatever others do
	case !s.hold(size):
		return "", errTooMany
	}
	return line, nil
}

// hold takes n bytes of the budget for the present line.
func (s *session) hold(n int64) bool {
	if !s.server.lines.take(n) {
		return false
	}
	s.held += n
	return true
}

// release gives back what the present line has taken of the budget.
func (s *session) release() {
	s.server.lines.give(s.held)
	s.held = 0
}

// maxLine is the longest line that the session may send: only administrators
// have use for long ones, which cost memory.
func (s *session) maxLine() int {
	if !s.loggedIn() {
		return maxLineBefore
	}
	if have, err := s.actor().Rights(); err == nil && have.Any() {
		return maxLine
	}
	return maxLineUser
}

// dropLine reads the rest of a line that is refused, for the reason why. Before
// login the session ends anyway, and nothing more is read.
func (s *session) dropLine(err, why error) error {
	s.release()
	for s.loggedIn() && errors.Is(err, bufio.ErrBufferFull) {
		_, err = s.in.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	return why
}

// trimEnd cuts LF or CRLF off.
func trimEnd(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}

// lineDeadline is until when the rest of a long line has to come.
func (s *session) lineDeadline() time.Time {
	end := time.Now().Add(lineTimeout)
	if d := s.deadline(); !d.IsZero() && d.Before(end) {
		return d
	}
	return end
}

// budget is the memory that the long command lines of all sessions take together.
// What it does not have is refused and never waited for: a session that waited with half a
// line in its hands could wait for another one that does the same.
type budget struct {
	limit int64 // bytes
	used  atomic.Int64
}

// take takes n bytes, or reports that so much is not there.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// give gives n bytes back.
func (b *budget) give(n int64) { b.used.Add(-n) }

// valueSize is about what one value of a dictionary or an array takes in memory
// besides its text.
const valueSize = 64

// valuesSize estimates what the values of a command take besides its text: there are
// hardly more of them than characters that begin or divide values.
func valuesSize(line string) int64 {
	n := 0
	for _, c := range []string{"(", "{", ",", ";", "="} {
		n += strings.Count(line, c)
	}
	return int64(n) * valueSize
}

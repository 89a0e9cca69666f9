package imapmodel

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
)

// session is a connection of a client. It knows lines and literals, and what their words are.
type session struct {
	conn net.Conn
	in   *bufio.Reader
	tags int
}

// response is one response, with its literals in place.
type response struct {
	tag  string
	text string
}

func dial(ctx context.Context, o *Options) (*session, error) {
	conn, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, in: bufio.NewReader(conn)}
	if _, err := s.read(); err != nil {
		return nil, err
	}
	return s, nil
}

var literal = regexp.MustCompile(`\{(\d+)\}$`)

func (s *session) read() (r response, err error) {
	var text strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return r, err
		}
		line = strings.TrimRight(line, "\r\n")
		text.WriteString(line)
		m := literal.FindStringSubmatch(line)
		if m == nil {
			break
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return r, err
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(s.in, b); err != nil {
			return r, err
		}
		text.WriteString("\r\n")
		text.Write(b)
	}
	r.tag, r.text, _ = strings.Cut(text.String(), " ")
	return r, nil
}

// next returns the tag that the next command will have.
func (s *session) next() string { return "t" + strconv.Itoa(s.tags+1) }

func (s *session) send(command string) (tag string, err error) {
	s.tags++
	tag = "t" + strconv.Itoa(s.tags)
	_, err = io.WriteString(s.conn, tag+" "+command+"\r\n")
	return tag, err
}

var (
	fetchUID    = regexp.MustCompile(`[( ]UID (\d+)`)
	fetchFlags  = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
	fetchModSeq = regexp.MustCompile(`MODSEQ \((\d+)\)`)
	fetchID     = regexp.MustCompile(`X-ID: (m\d+)`)
	codeNumber  = regexp.MustCompile(`\[(UIDVALIDITY|HIGHESTMODSEQ|UIDNEXT) (\d+)\]`)
	codeAppend  = regexp.MustCompile(`\[APPENDUID \d+ (\S+)\]`)
	codeCopy    = regexp.MustCompile(`\[COPYUID \d+ (\S+) (\S+)\]`)
)

// group returns the number that a pattern finds, or 0.
func group(re *regexp.Regexp, text string) uint64 {
	m := re.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// numbers returns the numbers of a set.
func numbers(set string) (list []uint32, err error) {
	for _, r := range strings.Split(set, ",") {
		low, high, ranged := strings.Cut(r, ":")
		if !ranged {
			high = low
		}
		a, err1 := strconv.ParseUint(low, 10, 32)
		b, err2 := strconv.ParseUint(high, 10, 32)
		if err1 != nil || err2 != nil || b < a || b-a > 1<<20 {
			return nil, fmt.Errorf("malformed set %q", set)
		}
		for n := a; n <= b; n++ {
			list = append(list, uint32(n))
		}
	}
	return list, nil
}

package transcript

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A player plays one dialogue; it belongs to the test's goroutine.
type player struct {
	dialogue *dialogue
	dial     Dial
	vars     map[string]string
	tls      *tls.Config
	timeout  time.Duration
	conns    map[int]*conn
}

func (p *player) close() {
	for _, c := range p.conns {
		c.close()
	}
}

// conn returns the connection with the number, and opens it the first time.
func (p *player) conn(number int) (*conn, error) {
	if c := p.conns[number]; c != nil {
		return c, nil
	}
	c, err := p.dial()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	p.conns[number] = newConn(c)
	return p.conns[number], nil
}

func (p *player) play(s step) error {
	if s.action == wait {
		time.Sleep(s.pause)
		return nil
	}
	c, err := p.conn(s.conn)
	if err != nil {
		return err
	}
	switch s.action {
	case sendLine, sendBytes, sendFile:
		return p.send(c, s)
	case startTLS:
		return c.upgrade(p.tls, p.timeout)
	case closeConn:
		c.close()
		return nil
	case skipLines:
		c.skip = true
		return nil
	case expectBytes:
		return p.expectBytes(c, s.text)
	case expectClosed:
		return p.expectClosed(c)
	case expectFile:
		for i, l := range p.dialogue.files[s.text] {
			if err := p.expectLine(c, l); err != nil {
				return fmt.Errorf("%s line %d: %w", s.text, i+1, err)
			}
		}
		return nil
	default:
		return p.expectLine(c, s.text)
	}
}

func (p *player) send(c *conn, s step) error {
	text := s.text
	switch s.action {
	case sendLine:
		text += "\r\n"
	case sendFile:
		text = strings.Join(p.dialogue.files[s.text], "\r\n") + "\r\n"
	}
	text, err := expand(text, p.vars)
	if err != nil {
		return err
	}
	return c.send(bytes.Repeat([]byte(text), s.times), p.timeout)
}

// expectLine takes a line, or after S* lines, until one fits.
func (p *player) expectLine(c *conn, text string) error {
	re, err := compile(text, p.vars)
	if err != nil {
		return err
	}
	skip := c.skip
	c.skip = false
	skipped := 0
	for {
		l, err := c.line(p.timeout)
		if err != nil {
			if skip {
				err = fmt.Errorf("no line fits (%d skipped): %w", skipped, err)
			}
			return withReceived(err, l)
		}
		fits, err := p.fits(re, l)
		if fits || err != nil && !skip {
			return err
		}
		skipped++
	}
}

// fits compares a received line; when it does not fit, the error says why.
func (p *player) fits(re *regexp.Regexp, l []byte) (bool, error) {
	bare, crlf := bytes.CutSuffix(l, []byte("\r\n"))
	switch {
	case !crlf:
		return false, fmt.Errorf("received a line that does not end in CRLF: %q", l)
	case !match(re, string(bare), p.vars):
		return false, fmt.Errorf("received: %s\n  quoted: %q", bare, bare)
	}
	return true, nil
}

func (p *player) expectBytes(c *conn, text string) error {
	text, err := expand(text, p.vars)
	if err != nil {
		return err
	}
	got, err := c.take(p.timeout, func(buf []byte) int {
		if len(buf) < len(text) {
			return 0
		}
		return len(text)
	})
	if err != nil {
		return withReceived(err, got)
	}
	if string(got) != text {
		return fmt.Errorf("received: %q", got)
	}
	return nil
}

// expectClosed waits for the end; after S* it does not matter what comes before.
func (p *player) expectClosed(c *conn) error {
	for {
		got, err := c.take(p.timeout, func(buf []byte) int { return len(buf) })
		switch {
		case errors.Is(err, errTimeout):
			return errors.New("the server keeps the connection open")
		case errors.Is(err, ErrCut):
			return ErrCut
		case err != nil:
			return nil
		case !c.skip:
			return fmt.Errorf("received: %q", got)
		}
	}
}

func withReceived(err error, got []byte) error {
	if len(got) == 0 {
		return err
	}
	return fmt.Errorf("%w\nreceived: %q", err, got)
}

package imap

import (
	"strings"

	"gatepost/protocols/imap/wire"
)

// idle waits for changes until the client says DONE (RFC 2177). There is no keep-alive
// line, which would make clients look for changes in vain; TCP's own keep-alive finds
// clients that vanished, and the autologout timer does not run.
//
// The reader is lent to a goroutine meanwhile. It ends with DONE, with the
// connection, or when the link is interrupted, and idle waits for it.
func (s *session) idle(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	if s.box != nil && !s.update(true) {
		s.byeGone()
		c.answered = true
		return nil
	}
	if err := s.goOn("idling"); err != nil {
		return err
	}
	s.link.patience = 0
	done := make(chan error, 1)
	go func() { done <- s.awaitDone() }()
	var changed <-chan struct{}
	if s.box != nil {
		changed = s.box.Changed()
	}
	for {
		s.out.Release()
		select {
		case err := <-done:
			s.link.patience = commandTimeout
			return err
		case <-changed:
			switch {
			case !s.update(true):
				s.byeGone()
			case s.out.Flush() == nil:
				continue
			}
		case <-s.ctx.Done():
		}
		s.link.interrupt()
		if err := <-done; s.ending == "" {
			return err
		}
		c.answered = true
		return nil
	}
}

// awaitDone reads the line that ends IDLE.
func (s *session) awaitDone() error {
	if err := s.in.Wait(); err != nil {
		return err
	}
	line, err := s.in.ReadLine(strangerLimits.Line)
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(string(line)), "DONE") {
		return wire.Bad("DONE expected")
	}
	return nil
}

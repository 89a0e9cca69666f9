package imap

import (
	"strings"

	"gatepost/protocols/imap/wire"
)

// idle is IDLE (RFC 2177). No keep-alive responses are sent, since clients would look for changes after each.
// TCP's keep-alive detects clients that have vanished, and the autologout timer does not run.
//
// Meanwhile a goroutine reads from the client. It ends with DONE, with the
// connection, or when the connection is interrupted, and idle waits for its end.
func (s *session) idle(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	if s.view != nil && !s.view.update(true) {
		s.byeDeleted()
		c.answered = true
		return nil
	}
	if err := s.requestContinuation("idling"); err != nil {
		return err
	}
	s.conn.readTimeout = 0
	done := make(chan error, 1)
	go func() { done <- s.awaitDone() }()
	var changed <-chan struct{}
	if s.view != nil {
		changed = s.view.mailbox.Changed()
	}
	for {
		s.out.Release()
		select {
		case err := <-done:
			s.conn.readTimeout = commandTimeout
			return err
		case <-changed:
			allowed, err := true, error(nil)
			if s.view.target.Foreign() {
				allowed, err = s.stillAllowed()
			}
			switch {
			case err != nil: // the next command is told of it
				continue
			case !allowed:
			case !s.view.update(true):
				s.byeDeleted()
			case s.out.Flush() == nil:
				continue
			}
		case <-s.ctx.Done():
		}
		s.conn.interrupt()
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

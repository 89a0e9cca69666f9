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
	if s.view != nil && s.hears(c.command) && !s.view.update(true) {
		s.byeDeleted()
		c.answered = true
		return nil
	}
	if err := s.requestContinuation("idling"); err != nil {
		return err
	}
	s.conn.readTimeout = 0
	err := s.await(s.awaitDone, true)
	s.conn.readTimeout = commandTimeout
	c.answered = c.answered || s.ending != ""
	return err
}

// wait waits for a command. After NOTIFY it sends what has changed meanwhile.
func (s *session) wait() error {
	if s.notification == nil || s.in.Buffered() {
		return s.in.Wait()
	}
	return s.await(s.in.Wait, !s.events.delayed)
}

// await sends what has changed until read, which runs in a goroutine of its own, has returned, or the session ends.
func (s *session) await(read func() error, allowExpunge bool) error {
	done := make(chan error, 1)
	go func() { done <- read() }()
	for {
		s.out.Release()
		var changed, notified <-chan struct{}
		if s.view != nil && (s.events == nil || s.events.events != 0) {
			changed = s.view.mailbox.Changed()
		}
		if s.notification != nil {
			notified = s.notification.changed
		}
		select {
		case err := <-done:
			return err
		case <-changed:
			if s.push(allowExpunge) {
				continue
			}
		case <-notified:
			s.notification.tell()
			// Rights to the selected mailbox may have changed.
			if ok, err := s.maySee(); (ok || err != nil) && s.out.Flush() == nil {
				continue
			}
		case <-s.ctx.Done():
		}
		s.conn.interrupt()
		if err := <-done; s.ending == "" {
			return err
		}
		return nil
	}
}

// maySee reports whether the session may still read the selected mailbox, if that is another account's; see stillAllowed.
func (s *session) maySee() (bool, error) {
	if s.view == nil || !s.view.target.Foreign() {
		return true, nil
	}
	return s.stillAllowed()
}

// push sends the changes of the selected mailbox, and reports whether the session goes on.
func (s *session) push(allowExpunge bool) bool {
	switch allowed, err := s.maySee(); {
	case err != nil: // the next command is told of it
		return true
	case !allowed:
	case !s.view.update(allowExpunge):
		s.byeDeleted()
	default:
		return s.out.Flush() == nil
	}
	return false
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

package pop3

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A session is the dialogue with one client. It belongs to its goroutine.
type session struct {
	*Server
	ctx    context.Context // canceled when the server stops
	log    *slog.Logger
	peer   accounts.Peer
	config *Settings // as it was when the session began
	host   string
	stls   bool // the listener allows STLS

	conn     net.Conn
	in       *bufio.Reader
	out      *bufio.Writer
	tlsState *tls.ConnectionState // nil outside TLS
	line     []byte               // the command being read, if it is longer than in's buffer

	token     string // the timestamp of the greeting; empty if APOP is not offered
	user      string // what USER said, until PASS
	utf8      bool   // UTF8 was given
	errors    int    // see refuse
	endReason error  // why the session ends, or nil; errQuit after QUIT
	account   *accounts.Account
	drop      *maildrop       // nil before the login
	watch     *accounts.Watch // ends the session with its account; nil before the login
}

const (
	// A command has at most 255 octets (RFC 2449 section 4), but passwords may be longer.
	maxLine = 2000
	// The rest of a longer line is discarded up to this length, then the session ends.
	maxDiscarded = 64 << 10
	// This many refused commands end the session of a stranger; after the login, this many malformed commands
	// in a row.
	maxErrors = 20
	// writeTimeout bounds the wait for a client that does not read.
	writeTimeout = 5 * time.Minute
	bufferSize   = 4 << 10
)

// attach makes c the session's connection.
func (s *session) attach(c net.Conn) {
	s.conn = c
	s.in = bufio.NewReaderSize(c, bufferSize)
	s.out = bufio.NewWriterSize(deadlineWriter{c}, bufferSize)
	if t, ok := c.(*tls.Conn); ok {
		state := t.ConnectionState()
		s.tlsState, s.peer.TLS = &state, true
	}
}

// A deadlineWriter sets writeTimeout for each write.
type deadlineWriter struct{ net.Conn }

func (w deadlineWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

var (
	errQuit    = errors.New("QUIT")
	errTooLong = errors.New("line too long")
	// errGone means that the connection was closed in the middle of a command.
	errGone = errors.New("the connection was closed")
)

// run sends the greeting and carries out commands until the session ends.
func (s *session) run() {
	s.greet()
	for s.endReason == nil {
		line, err := s.readLine(maxLine)
		if s.ended() {
			break
		}
		before := s.errors
		switch {
		case errors.Is(err, errTooLong):
			s.refuse(fault.New("pop3", fault.Invalid, "line too long"))
		case err == nil:
			s.carryOut(line)
		}
		if s.drop != nil && s.errors == before {
			s.errors = 0 // after the login, only malformed commands in a row count
		}
		if s.endReason == nil && s.errors >= maxErrors {
			s.say("-ERR too many errors")
			s.endReason = errors.New("too many errors")
		}
	}
	if err := s.out.Flush(); err != nil && s.endReason == errQuit {
		s.endReason = err
	}
	s.logEnd()
}

// ended reports whether the session has to end because of its account, and tells the client. Commands that
// are buffered are not carried out: a QUIT among them would delete messages.
func (s *session) ended() bool {
	reason, ended := listen.Ended(s.ctx)
	if ended {
		code := "[AUTH] "
		if s.account == nil {
			code = "[SYS/TEMP] " // its slot was needed
		}
		s.say("-ERR " + code + reason)
		s.endReason = errors.New(reason)
	}
	return ended
}

func (s *session) greet() {
	greeting := "+OK " + s.host + " Gatepost POP3 server ready"
	// curl and other clients use APOP if the greeting has a timestamp, and try nothing else if it fails. So there
	// is a timestamp only if the domain has reversible passwords, which APOP needs.
	if s.accounts.HasReversible(s.accounts.DomainForIP(s.peer.LocalIP)) {
		s.token = string(auth.Challenge(s.host))
		greeting += " " + s.token
	}
	s.say(greeting)
}

// readLine returns the next line without its line end. Before it waits for the client, it
// sends the buffered replies: pipelined commands are answered together
// (RFC 2449 section 6.6). An error other than errTooLong ends the session.
func (s *session) readLine(longest int) ([]byte, error) {
	line, err := s.receive(longest)
	if err != nil && err != errTooLong {
		s.endReason = err
	}
	return line, err
}

func (s *session) receive(longest int) ([]byte, error) {
	if s.in.Buffered() == 0 {
		if err := s.out.Flush(); err != nil {
			return nil, err
		}
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(s.config.IdleTimeout.Duration())); err != nil {
		return nil, err
	}
	s.line = s.line[:0]
	for n := 0; ; {
		chunk, err := s.in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if n += len(chunk); n > maxDiscarded {
			return nil, errors.New("line without end")
		}
		if n <= longest+2 {
			s.line = append(s.line, chunk...)
		}
		switch {
		case err != nil:
			continue
		case n > longest+2:
			return nil, errTooLong
		}
		return bytes.TrimSuffix(s.line[:len(s.line)-1], []byte("\r")), nil
	}
}

// say appends one line to the output. Flush returns the error of a closed connection.
func (s *session) say(text string) {
	s.out.WriteString(text)
	s.out.WriteString("\r\n")
}

// refuse answers a failure. Of a stranger it counts every failure, after the login only commands
// that are unknown or malformed, in a row. A session that meets damaged messages
// has to reach its QUIT, or the client would retrieve all messages again.
func (s *session) refuse(err error) {
	kind := fault.KindOf(err)
	if s.drop == nil || kind == fault.Invalid || kind == fault.Unsupported {
		s.errors++
	}
	s.say(reply(err))
	level := logs.LevelLowLevel
	switch kind {
	case fault.Internal, fault.Corrupt, fault.NoSpace:
		level = logs.LevelFailure
	}
	s.log.LogAttrs(s.ctx, level, "refused", slog.Any(logs.AttrError, err))
}

// logEnd logs how the session ended. A client that closes the connection, or sends nothing for
// too long, gets no reply (RFC 1939 section 3).
func (s *session) logEnd() {
	why := s.endReason.Error()
	_, ended := listen.Ended(s.ctx)
	level := logs.LevelLowLevel
	switch {
	case s.endReason == errQuit:
	case s.ctx.Err() != nil && !ended:
		why = "the server stops"
	case errors.Is(s.endReason, io.EOF):
		why = "the client closed the connection"
	case errors.Is(s.endReason, os.ErrDeadlineExceeded):
		why = "timeout"
	}
	var attrs []slog.Attr
	if s.account != nil {
		level = logs.LevelProblem // as the login
		attrs = append(attrs, slog.String(logs.AttrAccount, s.account.Address()))
	}
	attrs = append(attrs, slog.String("reason", why))
	if d := s.drop; d != nil {
		attrs = append(attrs, slog.String("mailbox", d.name), slog.Int("retrieved", len(d.seen)),
			slog.Int64(logs.AttrSize, d.sent), slog.Int("deleted", d.expunged))
		if d.expunged > 0 {
			level = logs.LevelMajor // users ask what has deleted their mail
		}
	}
	s.log.LogAttrs(s.ctx, level, "session ended", attrs...)
}

// end releases what the session holds.
func (s *session) end() {
	s.watch.Stop()
	if s.drop == nil {
		return
	}
	if bool(s.config.MarkSeen) {
		if err := s.markSeen(); err != nil {
			s.log.LogAttrs(s.ctx, logs.LevelFailure, "cannot mark messages as seen",
				slog.String(logs.AttrAccount, s.account.Address()), slog.Any(logs.AttrError, err))
		}
	}
	s.drop.close()
}

// open opens the mailbox of a login.
func (s *session) open(acc *accounts.Account, box string) error {
	if box == "" {
		box = "INBOX"
	}
	if err := s.logins.allow(acc.ID, s.config.LoginDelay.Duration()); err != nil {
		return err
	}
	// A read-only view leaves \Recent to other sessions.
	view, err := acc.Mail().Open(s.ctx, box, true)
	if err != nil {
		return err
	}
	if err := listen.LoggedIn(s.ctx); err != nil {
		view.Close()
		return err
	}
	s.account, s.drop = acc, newMaildrop(box, view)
	s.watch = s.accounts.Sessions().Watch(acc, s.peer, func(reason string) { listen.End(s.ctx, reason) })
	return nil
}

// expunge deletes the marked messages, and those that have expired: the UPDATE state.
func (s *session) expunge() error {
	uids := s.drop.of(s.expiring())
	if len(uids) == 0 {
		return nil
	}
	box, err := s.reopen()
	if err != nil {
		return err
	}
	defer box.Close()
	n, err := expungeAll(s.ctx, box, uids)
	s.drop.expunged = n
	return err
}

// reopen opens the session's mailbox for changes. A mailbox that was deleted and created again
// is another one.
func (s *session) reopen() (*mailbox.Mailbox, error) {
	box, err := s.account.Mail().Open(s.ctx, s.drop.name, false)
	if err != nil {
		return nil, err
	}
	if box.Info().UIDValidity != s.drop.validity {
		box.Close()
		return nil, fault.New("pop3.reopen", fault.NoMailbox, "the mailbox was replaced")
	}
	return box, nil
}

// markSeen sets \Seen of the messages that were retrieved.
func (s *session) markSeen() error {
	uids := s.drop.of(s.drop.seen)
	if len(uids) == 0 {
		return nil
	}
	// The session's context may have ended; the messages were retrieved nevertheless.
	ctx := context.WithoutCancel(s.ctx)
	box, err := s.account.Mail().Open(ctx, s.drop.name, false)
	if err != nil {
		return err
	}
	defer box.Close()
	if box.Info().UIDValidity != s.drop.validity {
		return nil
	}
	return setSeen(ctx, box, uids)
}

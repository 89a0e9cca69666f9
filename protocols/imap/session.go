package imap

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/protocols/internal/listen"
	"gatepost/server/logs"
)

// The limits of a command before and after the login. A stranger's command
// may have the 32 KB of a legal ID (RFC 2971 section 3.3) or of a SASL response.
var (
	strangerLimits = wire.Limits{Line: 40 << 10, Literals: 40 << 10, Discard: 1 << 20}
	userLimits     = wire.Limits{Line: 64 << 10, Literals: 256 << 10, Discard: 1 << 30}
)

// maxErrors is how many malformed commands a stranger may send in a row. It ends connections
// of clients that speak another protocol, such as HTTP.
const maxErrors = 10

// state is the state of a session (RFC 9051 section 3), as a bit.
type state uint8

const (
	stranger state = 1 << iota // not authenticated
	user                       // authenticated
	selected
	anytime  = stranger | user | selected
	loggedIn = user | selected
)

// session is one client's conversation. It belongs to one goroutine.
type session struct {
	srv *Server
	responder
	peer     accounts.Peer
	startTLS bool // STARTTLS is offered on this listener
	in       *wire.Reader
	parser   wire.Parser

	account      *accounts.Account
	watch        *accounts.Watch // ends the session with its account; nil before the login
	mail         *mailbox.Account
	view         *view         // of the selected mailbox, or nil
	notification *notification // what NOTIFY has asked for, or nil
	compressed   bool          // COMPRESS is active
	loggedOut    bool          // by UNAUTHENTICATE
	errors       int           // malformed commands in a row
	logins       int           // failed logins
	ending       string        // the reason why the session ends, or empty
	lingers      bool          // the session ends while the client still sends
	began        time.Time
}

// call is the command that is being carried out.
type call struct {
	command *command
	tag     string
	uid     bool // the UID form
	// body is the message that APPEND is about to read.
	body *wire.Literal
	// code and text go into the tagged OK: [code] text. Without a text it
	// says that the command is completed.
	code, text string
	// answered: the handler has written the tagged response itself.
	answered bool
}

func newSession(srv *Server, ctx context.Context, c net.Conn, startTLS bool) *session {
	remote, local := listen.Addrs(c)
	nc := &conn{Conn: c}
	n := srv.sessions.Add(1)
	s := &session{
		srv: srv, startTLS: startTLS, began: time.Now(), in: wire.NewReader(nc, strangerLimits),
		responder: responder{
			ctx: ctx, conn: nc, out: wire.NewEncoder(nc), processors: srv.processors, texts: srv.texts,
			log: srv.acc.Protection().SessionLog(logs.Session(srv.log, "IMAP", n, "["+remote.String()+"]"), remote),
		},
	}
	s.peer = accounts.Peer{IP: remote, LocalIP: local, TLS: nc.tlsState() != nil, Service: "IMAP", Log: s.log}
	return s
}

func (s *session) state() state {
	switch {
	case s.account == nil:
		return stranger
	case s.view == nil:
		return user
	}
	return selected
}

// run carries out commands until the client or the server ends the session.
func (s *session) run() {
	defer s.end()
	s.out.Raw("* OK [CAPABILITY ").Bytes(s.capabilities()).Raw("] Gatepost IMAP server ready").CRLF()
	for s.ending == "" {
		if err := s.next(); err != nil {
			s.fail(err)
		}
	}
	if s.out.Flush() == nil && s.lingers {
		s.conn.linger()
	}
}

// next waits for a command and carries it out. An error ends the session.
func (s *session) next() error {
	if !s.in.Buffered() {
		if err := s.out.Flush(); err != nil {
			return err
		}
		s.out.Release()
		s.conn.readTimeout = 0 // of a stranger, listen.Options.LoginTimeout bounds the time until its login
		if s.account != nil || s.loggedOut {
			s.conn.readTimeout = s.srv.cfg.Get().IdleTimeout.Duration()
		}
	}
	if err := s.wait(); err != nil || s.ending != "" {
		return err
	}
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	s.conn.readTimeout = commandTimeout
	s.call = call{}
	line, body, err := s.in.Next(s.onLiteral, false)
	if err != nil && line == nil {
		return err
	}
	s.call.body = body
	if err = s.dispatch(line, err); err != nil {
		return err
	}
	return s.out.Err()
}

// onLiteral decides about the literals of a command (wire.LiteralFunc).
func (s *session) onLiteral(head []byte, l wire.Literal) (wire.LiteralAction, error) {
	if s.account != nil {
		if stream, err := streams(head); stream || err != nil {
			return wire.Stream, err
		}
	}
	if err := s.in.CheckSize(l); err != nil {
		return 0, err
	}
	if l.Sync {
		return wire.Buffer, s.requestContinuation("Go on")
	}
	return wire.Buffer, nil
}

// fail ends the session because of an error of the connection, or because the server
// stops.
func (s *session) fail(err error) {
	reason, ended := listen.Ended(s.ctx)
	switch {
	case ended && s.account == nil:
		s.bye(reason, "[UNAVAILABLE] "+sentence(reason)) // its slot was needed
	case ended:
		s.bye(reason, sentence(reason))
	case s.ctx.Err() != nil:
		s.bye("server stops", "Server is shutting down")
	case errors.Is(err, os.ErrDeadlineExceeded) && s.out.Err() == nil && s.account == nil:
		s.bye("no login in time", "Autologout, no login in time")
	case errors.Is(err, os.ErrDeadlineExceeded) && s.out.Err() == nil:
		s.bye("idle for too long", "Autologout, the session was idle for too long")
	case errors.Is(err, wire.ErrFlood):
		s.bye("too much input for a refused command", "Too much input for a refused command")
		s.lingers = true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		s.ending = "connection closed by client"
	default:
		s.ending = "connection lost: " + err.Error()
	}
}

// bye sends BYE and ends the session. The reason is for the log.
func (s *session) bye(why, text string) {
	s.ending = why
	s.out.Raw("* BYE ").Raw(text).CRLF()
}

// end releases what the session holds. It also runs after a panic of the session.
func (s *session) end() {
	s.watch.Stop()
	s.endNotify()
	if s.view != nil {
		s.leave()
	}
	if s.account != nil {
		s.log.Log(s.ctx, logs.LevelProblem, "session ended", logs.AttrAccount, s.account.Address(),
			"reason", s.ending, "duration", time.Since(s.began).Round(time.Second).String())
	} else {
		s.log.Log(s.ctx, logs.LevelLowLevel, "session ended", "reason", s.ending)
	}
}

package pwd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/server/admin"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Limits of a session.
const (
	maxFailures  = 10  // failed logins; then the connection is closed
	maxConfused  = 100 // lines in a row that are no command
	writeTimeout = 2 * time.Minute
	loginTimeout = 2 * time.Minute // from the connection to the login
)

// session is one connection. Its goroutine owns it.
type session struct {
	server   *Server
	conn     net.Conn
	in       *bufio.Reader
	out      []byte // reused for answers
	held     int64  // of the server's budget for lines
	number   uint64
	peer     accounts.Peer
	log      *slog.Logger
	startTLS bool
	control  bool // the control socket: all rights, no login

	account  *accounts.Account // who is logged in; nil before, and on the control socket
	watch    *accounts.Watch   // ends the session with its account; nil like account
	token    string            // of the greeting, for APOP
	user     string            // of USER, for PASS
	inline   bool
	patient  bool // NOTIMEOUT
	failures int
	confused int
	after    func()   // runs once the answer is out
	notes    []string // of the present command, for a person

	accountImport *admin.AccountImport // that GATEPOST ACCOUNTS IMPORT has begun
}

// errQuit ends a session in good order.
var errQuit = errors.New("the client has quit")

func (s *session) run(ctx context.Context) {
	s.in = bufio.NewReaderSize(s.conn, 4<<10)
	s.log.Log(ctx, logs.LevelLowLevel, "connected")
	err := s.greet()
	defer s.leave()
	for err == nil && ctx.Err() == nil {
		err = s.step(ctx)
	}
	reason, ended := listen.Ended(ctx)
	switch {
	case ended:
		err = s.answer(reply{code: 501, text: reason})
		s.log.Log(ctx, logs.LevelLowLevel, "ended", "reason", reason, logs.AttrError, err)
	case ctx.Err() != nil:
		err = s.answer(reply{code: 501, text: "server is shutting down"})
		s.log.Log(ctx, logs.LevelLowLevel, "stopped", logs.AttrError, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The client may be gone; then the goodbye is lost too.
		_ = s.answer(reply{code: 501, text: "connection timed out"})
		s.log.Log(ctx, logs.LevelLowLevel, "timed out")
	default:
		s.log.Log(ctx, logs.LevelLowLevel, "closed", logs.AttrError, err)
	}
}

// leave gives back what the login has taken.
func (s *session) leave() {
	s.watch.Stop()
	if s.account != nil {
		s.server.slots.give(s.account.ID)
	}
}

// greet sends the first line. The token in it is for APOP, so it is there only
// when some password can be used for that: clients that see it try APOP first and
// nothing else.
func (s *session) greet() error {
	host := s.server.acc.MainDomain()
	text := fmt.Sprintf("Gatepost at %s PWD Server %s ready", host, s.server.admin.Version())
	if !s.control && s.server.acc.Reversible() {
		s.token = string(auth.Challenge(host))
		text += " " + s.token
	}
	return s.answer(reply{code: 200, text: text})
}

// step reads one command and answers it.
func (s *session) step(ctx context.Context) error {
	defer s.release()
	line, err := s.readLine()
	switch {
	case errors.Is(err, errTooMany):
		return s.answer(failure(fault.New("pwd.Line", fault.TooMany, "too many long commands at a time, try again later")))
	case errors.Is(err, errTooLong) && s.loggedIn():
		return s.answer(reply{code: 500, text: "line is too long"})
	case errors.Is(err, errTooLong):
		return errors.Join(s.answer(reply{code: 500, text: "line is too long"}), err)
	case err != nil:
		return err
	}
	ours, err := s.current(ctx)
	switch {
	case err != nil:
		return s.answer(s.failed(err))
	case !ours:
		return errors.Join(s.answer(reply{code: 501, text: "account does not exist any more"}), errQuit)
	}
	// A session stays when it changes its own password.
	ctx = accounts.WithSession(ctx, s.watch)
	verb, rest := splitVerb(line)
	var r reply
	if own, ok := sessionCommands[verb]; ok {
		r, err = own(s, ctx, rest)
	} else {
		r = s.other(ctx, verb, rest)
	}
	if err == nil || errors.Is(err, errQuit) {
		err = errors.Join(s.answer(r), err)
	}
	if s.after != nil {
		after := s.after
		s.after = nil
		after()
	}
	if err == nil && s.confused > maxConfused {
		return errors.New("too many lines that are no command")
	}
	return err
}

// other carries out a command of the table.
func (s *session) other(ctx context.Context, verb, rest string) reply {
	known := s.server.commands[verb] != nil || notYet[verb] || isCluster(s.server.commands, verb) || s.control && verb == controlVerb
	if known {
		s.confused = 0
	} else {
		s.confused++
	}
	switch {
	case !s.loggedIn() && known:
		return failure(fault.New("pwd.Login", fault.AuthRequired, ""))
	case s.control && verb == controlVerb:
		return s.controlCommand(ctx, rest)
	}
	return s.execute(ctx, verb, rest)
}

func (s *session) loggedIn() bool { return s.control || s.account != nil }

// actor is who gives commands.
func (s *session) actor() admin.Actor {
	from := s.peer
	from.Log = s.log
	if !s.control {
		return s.server.admin.As(s.account, from)
	}
	// Programs compare "OK"; at this socket a person may read more.
	a := s.server.admin.Owner(from)
	a.Note = func(text string) { s.notes = append(s.notes, text) }
	return a
}

// current reads the account of the session again before a command. A session
// belongs to the account, not to its name: false when the account is gone and
// when another one has its name now. It outlives a new name of the Main Domain.
func (s *session) current(ctx context.Context) (bool, error) {
	if s.account == nil {
		return true, nil
	}
	now, err := s.server.acc.Current(ctx, s.account)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.NoDomain):
		return false, nil
	case err != nil:
		return false, err
	}
	s.account = now
	return true, nil
}

// failed answers an error and logs its cause when it is ours.
func (s *session) failed(err error) reply {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Corrupt, fault.NoSpace, fault.Unavailable:
		s.log.Log(context.Background(), logs.LevelFailure, "command failed", logs.AttrError, err)
	}
	return failure(err)
}

// answer sends one reply in one write.
func (s *session) answer(r reply) error {
	if r.code == 0 {
		return nil
	}
	s.out = appendReply(s.out[:0], r, s.inline)
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(s.out)
	if cap(s.out) > 64<<10 {
		s.out = nil // one long answer must not keep its memory
	}
	return err
}

// deadline is until when the next line has to come.
func (s *session) deadline() time.Time {
	idle := s.server.cfg.Get().Timeout
	if s.patient || idle < 0 {
		return time.Time{}
	}
	return time.Now().Add(idle.Duration())
}

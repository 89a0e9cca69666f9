package imap

import (
	"errors"
	"io"

	"gatepost/protocols/imap/wire"
	"gatepost/protocols/internal/listen"
	"gatepost/server/logs"
)

// command is one entry of the command table.
type command struct {
	name   string
	states state
	run    func(s *session, c *call, p *wire.Parser) error
	traits trait
}

// trait is what the session has to know about a command, as bits.
type trait uint8

const (
	// byUID: there is a UID form.
	byUID trait = 1 << iota
	// uidOnly: there is only a UID form.
	uidOnly
	// steady: sequence numbers must not change while the command is answered, unless
	// in its UID form (RFC 9051 section 7.5.1).
	steady
	// secret: the arguments are not logged.
	secret
	// adds: carried out twice it adds messages twice, so it is carried out only for a client that is
	// there to learn of it (see present).
	adds
)

// commands is the command table. A new command is a line here and a handler in
// the file of its family.
var commands = index([]command{
	{"CAPABILITY", anytime, (*session).capability, 0},
	{"NOOP", anytime, (*session).noop, 0},
	{"LOGOUT", anytime, (*session).logout, 0},
	{"ID", anytime, (*session).id, 0},

	{"STARTTLS", stranger, (*session).starttls, 0},
	{"LOGIN", stranger, (*session).login, secret},
	{"AUTHENTICATE", stranger, (*session).authenticate, secret},

	{"ENABLE", loggedIn, (*session).enable, 0},
	{"NAMESPACE", loggedIn, (*session).namespace, 0},
	{"SELECT", loggedIn, (*session).selectBox, 0},
	{"EXAMINE", loggedIn, (*session).examine, 0},
	{"CREATE", loggedIn, (*session).create, 0},
	{"DELETE", loggedIn, (*session).delete, 0},
	{"RENAME", loggedIn, (*session).rename, 0},
	{"SUBSCRIBE", loggedIn, (*session).subscribe, 0},
	{"UNSUBSCRIBE", loggedIn, (*session).unsubscribe, 0},
	{"LIST", loggedIn, (*session).list, 0},
	{"LSUB", loggedIn, (*session).lsub, 0},
	{"STATUS", loggedIn, (*session).status, 0},
	{"APPEND", loggedIn, (*session).append, adds},
	{"IDLE", loggedIn, (*session).idle, 0},

	{"CHECK", selected, (*session).noop, 0},
	{"CLOSE", selected, (*session).close, 0},
	{"UNSELECT", selected, (*session).unselect, 0},
	{"EXPUNGE", selected, (*session).expunge, byUID},
	{"SEARCH", selected, (*session).search, byUID | steady},
	{"FETCH", selected, (*session).fetch, byUID | steady},
	{"STORE", selected, (*session).store, byUID | steady},
	{"COPY", selected, (*session).copy, byUID | adds},
	{"MOVE", selected, (*session).move, byUID},
})

func index(list []command) map[string]*command {
	table := make(map[string]*command, len(list))
	for i := range list {
		table[list[i].name] = &list[i]
	}
	return table
}

// dispatch carries out one command and answers it. refused is why the Reader could not
// take the command, if it could not. The error ends the session.
func (s *session) dispatch(line []byte, refused error) error {
	p := &s.parser
	p.Reset(line)
	c := &s.call
	c.tag = string(p.Tag())
	err := refused
	if err == nil {
		err = s.carryOut(c, p)
	}
	if err != nil && c.body != nil && !s.broken() {
		// The handler has refused the message before it took all of it.
		err = s.in.Abandon(*c.body, err)
	}
	if errors.Is(err, wire.ErrFlood) {
		s.answer(c, wire.Bad("the rest of the command is too long to be skipped"))
		return err
	}
	if err != nil && s.broken() {
		return err
	}
	if _, ended := listen.Ended(s.ctx); err != nil && ended {
		// The command may have failed because the account is gone: BYE says it.
		return err
	}
	malformed := isBad(err) || c.command == nil
	if malformed {
		if s.errors++; s.errors >= maxErrors && s.account == nil {
			s.answer(c, err)
			s.bye("too many malformed commands", "Too many malformed commands")
			s.lingers = true
			return nil
		}
	} else {
		s.errors = 0
	}
	if c.answered {
		return nil
	}
	gone := s.box != nil && s.ending == "" && !malformed && !s.update(c.command.traits&steady == 0 || c.uid)
	s.answer(c, err)
	if gone {
		s.byeGone()
	}
	return nil
}

// carryOut finds the command and runs its handler.
func (s *session) carryOut(c *call, p *wire.Parser) error {
	if c.tag == "" {
		return wire.Bad("a command begins with a tag")
	}
	p.Space()
	name := p.Keyword()
	c.uid = string(name) == "UID"
	if c.uid {
		p.Space()
		name = p.Keyword()
	}
	if !p.OK() {
		return wire.Bad("a tag has to be followed by a space and a command")
	}
	cmd := commands[string(name)]
	if cmd == nil || c.uid && cmd.traits&(byUID|uidOnly) == 0 || !c.uid && cmd.traits&uidOnly != 0 {
		return wire.Bad("unknown command")
	}
	c.command = cmd
	if s.log.Enabled(s.ctx, logs.LevelLowLevel) {
		s.logCommand(c, p)
	}
	if now := s.state(); cmd.states&now == 0 {
		switch {
		case now == stranger:
			return wire.Bad("log in first")
		case cmd.states == stranger:
			return wire.Bad("already logged in")
		}
		return wire.Bad("select a mailbox first")
	}
	if cmd.traits&adds != 0 {
		if err := s.present(); err != nil {
			return err
		}
	}
	return cmd.run(s, c, p)
}

// present sends the answers that wait, and fails if the client is gone. A client that was killed
// leaves what it has pipelined behind, as much as the system's buffers hold. When it comes back it sends
// again what has no answer: what is carried out after its end is stored twice.
func (s *session) present() error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	if _, gone := listen.PeerState(s.link.Conn); gone {
		s.link.failed = io.ErrUnexpectedEOF
		return s.link.failed
	}
	return nil
}

// logCommand logs a command with the beginning of its arguments.
func (s *session) logCommand(c *call, p *wire.Parser) {
	name := c.command.name
	if c.uid {
		name = "UID " + name
	}
	args := "..."
	if c.command.traits&secret == 0 {
		args = p.Rest(200)
	}
	s.log.Log(s.ctx, logs.LevelLowLevel, "command", "tag_of_client", c.tag, "command", name, "arguments", args)
}

// broken reports whether the connection is of no more use.
func (s *session) broken() bool {
	return s.link.failed != nil || s.link.lost != nil || s.out.Err() != nil
}

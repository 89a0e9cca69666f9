package imap

import (
	"errors"
	"io"

	"gatepost/accounts/access"
	"gatepost/protocols/imap/wire"
	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// command is one entry of the command table.
type command struct {
	name   string
	states state
	run    func(s *session, c *call, p *wire.Parser) error
	traits trait
}

// trait is a property of a command that matters to the session, as bits.
type trait uint8

const (
	// byUID: the command has a UID form.
	byUID trait = 1 << iota
	// uidOnly: the command has only a UID form.
	uidOnly
	// noExpunge: no EXPUNGE response may be sent while the command is answered, unless
	// in its UID form (RFC 9051 section 7.5.1).
	noExpunge
	// secret: the arguments are not logged.
	secret
	// numbers: the command has sequence numbers in its arguments or its responses, unless in its UID form.
	numbers
	// adds: the command adds messages, and adds them again if it is repeated. It is not carried out for a
	// client that has closed its connection (see present).
	adds
	// alters: the command changes the selected mailbox, of which a client is told also when it wants to hear nothing of others.
	alters
)

// commands is the command table. A new command needs a line here and a handler in
// the file of its family.
var commands = index([]command{
	{"CAPABILITY", anytime, (*session).capability, 0},
	{"NOOP", anytime, (*session).noop, 0},
	{"LOGOUT", anytime, (*session).logout, 0},
	{"ID", anytime, (*session).id, 0},

	{"STARTTLS", stranger, (*session).starttls, 0},
	{"LOGIN", stranger, (*session).login, secret},
	{"AUTHENTICATE", stranger, (*session).authenticate, secret},

	{"LANGUAGE", anytime, language, 0},
	{"COMPRESS", loggedIn, compress, 0},
	{"UNAUTHENTICATE", loggedIn, unauthenticate, 0},
	{"ENABLE", loggedIn, (*session).enable, 0},
	{"NAMESPACE", loggedIn, (*session).namespace, 0},
	{"SELECT", loggedIn, (*session).selectMailbox, 0},
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
	{"GETMETADATA", loggedIn, getMetadata, 0},
	{"SETMETADATA", loggedIn, setMetadata, 0},
	{"SETACL", loggedIn, setACL, 0},
	{"DELETEACL", loggedIn, deleteACL, 0},
	{"GETACL", loggedIn, getACL, 0},
	{"LISTRIGHTS", loggedIn, listRights, 0},
	{"MYRIGHTS", loggedIn, myRights, 0},
	{"GETQUOTAROOT", loggedIn, getQuotaRoot, 0},
	{"GETQUOTA", loggedIn, getQuota, 0},
	{"SETQUOTA", loggedIn, setQuota, 0},
	{"NOTIFY", loggedIn, notify, 0},
	{"IDLE", loggedIn, (*session).idle, 0},

	{"CHECK", selected, (*session).noop, 0},
	{"CLOSE", selected, (*session).close, 0},
	{"UNSELECT", selected, (*session).unselect, 0},
	{"EXPUNGE", selected, (*session).expunge, byUID | alters},
	{"SEARCH", selected, search, byUID | noExpunge | numbers},
	{"UIDBATCHES", selected, uidBatches, noExpunge},
	{"ESEARCH", loggedIn, multiSearch, 0},
	{"CANCELUPDATE", selected, cancelUpdate, 0},
	{"SORT", selected, sortCommand, byUID | noExpunge | numbers},
	{"THREAD", selected, threadCommand, byUID | noExpunge | numbers},
	{"FETCH", selected, (*session).fetch, byUID | noExpunge | numbers},
	{"STORE", selected, (*session).store, alters | byUID | noExpunge | numbers},
	{"COPY", selected, (*session).copy, byUID | adds | numbers},
	{"REPLACE", selected, replace, alters | byUID | adds | numbers},
	{"MOVE", selected, (*session).move, alters | byUID | numbers},
})

func index(list []command) map[string]*command {
	table := make(map[string]*command, len(list))
	for i := range list {
		table[list[i].name] = &list[i]
	}
	return table
}

// dispatch carries out one command and answers it. refused is the Reader's error if it could not read the
// command. The error that dispatch returns ends the session.
func (s *session) dispatch(line []byte, refused error) error {
	p := &s.parser
	p.Reset(line)
	c := &s.call
	c.tag = string(p.Tag())
	err, before := refused, s.view
	if err == nil {
		err = s.carryOut(c, p)
	}
	if err != nil && c.body != nil && !s.broken() {
		// The handler has refused the message before it has read all of it.
		err = s.in.DiscardBody(*c.body, err)
	}
	if errors.Is(err, wire.ErrFlood) {
		s.answer(c, wire.Bad("the rest of the command is too long to be discarded"))
		return err
	}
	if err != nil && s.broken() {
		return err
	}
	if _, ended := listen.Ended(s.ctx); err != nil && ended {
		// The command may have failed because the account is deleted: the BYE response says so.
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
	// What was just selected is answered for.
	gone := s.view != nil && s.view == before && s.ending == "" && !malformed && s.hears(c.command) && !s.view.update(c.command.traits&noExpunge == 0 || c.uid)
	s.answer(c, err)
	if gone {
		s.byeDeleted()
	}
	return nil
}

// hears reports whether changes of the selected mailbox are sent before the tagged response of a command.
func (s *session) hears(c *command) bool {
	return s.events == nil || s.events.events != 0 || c.traits&alters != 0
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
	if s.uidOnly && !c.uid && cmd.traits&numbers != 0 {
		return errUIDRequired()
	}
	s.srv.commands.Inc()
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
	if s.view != nil && s.view.target.Foreign() {
		if allowed, err := s.stillAllowed(); err != nil || !allowed {
			return err
		}
	}
	if cmd.traits&adds != 0 {
		if err := s.present(); err != nil {
			return err
		}
	}
	if cmd.states == selected {
		if err := s.view.mailbox.Load(s.ctx); err != nil {
			return err
		}
	}
	return cmd.run(s, c, p)
}

// stillAllowed ends the session if it may not read the selected mailbox of another account any more: what the client
// knows of the mailbox is not true any more. A change of other rights holds from now on.
func (s *session) stillAllowed() (bool, error) {
	rights, err := s.view.target.RightsTo(s.ctx, s.view.info.Name)
	switch {
	case fault.Is(err, fault.NoMailbox):
		s.byeDeleted()
	case err != nil:
		return false, err
	case rights == s.view.target.Rights:
		return true, nil
	case rights.Has(access.Read):
		s.view.target.Rights = rights
		s.view.mailbox.Allow(flagsOf(rights))
		s.view.putFlagLists()
		return true, nil
	default:
		s.bye("rights to the selected mailbox have changed", "Your rights to the selected mailbox have changed")
	}
	s.call.answered = true
	return false, nil
}

// present sends the pending responses, and fails if the client has closed its connection. A client that was
// killed leaves pipelined commands in the buffers of the system. When it is started again it repeats those
// that were not answered, so that messages which are added after its end would be stored twice.
func (s *session) present() error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	if _, gone := listen.PeerState(s.conn.Conn); gone {
		s.conn.readErr = io.ErrUnexpectedEOF
		return s.conn.readErr
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
	s.log.Log(s.ctx, logs.LevelLowLevel, "command", "tag", c.tag, "command", name, "arguments", args)
}

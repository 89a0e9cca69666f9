package pop3

import (
	"bytes"
	"strings"

	"gatepost/server/fault"
)

// A state of a session, as a bit.
type state uint8

const (
	authorization state = 1 << iota
	transaction

	both = authorization | transaction
)

// A command is one row of the command table.
type command struct {
	states state
	args   int // the greatest number of arguments; -1 for the rest of the line, unchanged
	run    func(s *session, args []string) error
}

// commands is the command table. A handler answers and returns nil, or returns an error, which is answered by
// the reply table.
var commands = map[string]command{
	"CAPA": {both, 0, (*session).capa},
	"NOOP": {transaction, 0, (*session).noop},
	"QUIT": {both, 0, (*session).quit},

	"UTF8": {authorization, 0, (*session).enableUTF8},
	"LANG": {both, 1, (*session).language},

	"STLS": {authorization, 0, (*session).startTLS},
	"USER": {authorization, -1, (*session).userName},
	"PASS": {authorization, -1, (*session).password},
	"APOP": {authorization, -1, (*session).apop},
	"AUTH": {authorization, 2, (*session).sasl},

	"STAT": {transaction, 0, (*session).stat},
	"LIST": {transaction, 1, (*session).list},
	"UIDL": {transaction, 1, (*session).uidl},
	"RETR": {transaction, 1, (*session).retrieve},
	"TOP":  {transaction, 2, (*session).top},
	"DELE": {transaction, 1, (*session).dele},
	"RSET": {transaction, 0, (*session).rset},
	"LAST": {transaction, 0, (*session).lastAccessed},
}

func (s *session) state() state {
	if s.drop == nil {
		return authorization
	}
	return transaction
}

// carryOut carries out the command in a line.
func (s *session) carryOut(line []byte) {
	if bytes.IndexByte(line, 0) >= 0 {
		s.refuse(fault.New("pop3", fault.Invalid, "NUL in a command"))
		return
	}
	word, rest := string(line), ""
	if i := strings.IndexAny(word, " \t"); i >= 0 {
		word, rest = word[:i], word[i+1:]
	}
	word = strings.ToUpper(word)
	v, ok := commands[word]
	s.given.Inc()
	if word != "PASS" && word != "USER" {
		s.user = ""
	}
	if !ok {
		s.refuse(fault.New("pop3", fault.Unsupported, ""))
		return
	}
	var args []string
	if v.args < 0 {
		args = []string{rest}
	} else if args = strings.Fields(rest); len(args) > v.args {
		s.refuse(fault.Newf("pop3", fault.Invalid, "too many arguments for %s", word))
		return
	}
	switch {
	case v.states&s.state() != 0:
	case s.drop == nil:
		s.refuse(fault.New("pop3", fault.AuthRequired, ""))
		return
	default:
		s.refuse(fault.Newf("pop3", fault.Invalid, "%s is not allowed after the login", word))
		return
	}
	if err := v.run(s, args); err != nil && err != errGone {
		s.refuse(err)
	}
}

func (s *session) noop([]string) error {
	s.say("+OK")
	return nil
}

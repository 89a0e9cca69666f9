package imap

import (
	"errors"

	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// refusal is the response to a kind of failure: NO [code] text.
type refusal struct {
	code, text string
}

// refusals is the only place where a failure becomes a response (RFC 9051
// section 7.1, RFC 5530). What breaks the grammar is a wire.SyntaxError and BAD.
var refusals = map[fault.Kind]refusal{
	fault.Internal:       {"SERVERBUG", "Internal server error"},
	fault.Invalid:        {"CANNOT", "The request is not valid"},
	fault.NotFound:       {"NONEXISTENT", "No such object"},
	fault.NoDomain:       {"NONEXISTENT", "No such domain"},
	fault.NoHost:         {"UNAVAILABLE", "No such host"},
	fault.NoMailbox:      {"NONEXISTENT", "No such mailbox"},
	fault.NoMessage:      {"EXPUNGEISSUED", "Some of the messages no longer exist"},
	fault.Exists:         {"ALREADYEXISTS", "This name is taken"},
	fault.NotEmpty:       {"HASCHILDREN", "There are mailboxes in it"},
	fault.BadCredentials: {"AUTHENTICATIONFAILED", "Wrong name or password"},
	fault.AuthRequired:   {"CLIENTBUG", "Log in first"},
	fault.TLSRequired:    {"PRIVACYREQUIRED", "This needs an encrypted connection"},
	fault.Denied:         {"NOPERM", "Permission denied"},
	fault.RelayDenied:    {"NOPERM", "Relaying denied"},
	fault.Disabled:       {"AUTHORIZATIONFAILED", "The account is disabled"},
	fault.OverQuota:      {"OVERQUOTA", "The account is full"},
	fault.TooLarge:       {"TOOBIG", "The message is too large"},
	fault.TooMany:        {"LIMIT", "A limit is reached"},
	fault.Loop:           {"CANNOT", "The address leads to itself"},
	fault.Rejected:       {"NOPERM", "Refused by policy"},
	fault.NoSpace:        {"UNAVAILABLE", "The server has no space left"},
	fault.Busy:           {"UNAVAILABLE", "The server is busy, try again later"},
	fault.RateLimited:    {"LIMIT", "Too many requests, try again later"},
	fault.Unavailable:    {"UNAVAILABLE", "Not available now, try again later"},
	fault.Unsupported:    {"CANNOT", "This is not supported"},
	fault.ReadOnly:       {"READ-ONLY", "The mailbox was opened for reading only"},
	fault.Corrupt:        {"CORRUPTION", "Stored data is damaged"},
	fault.Canceled:       {"UNAVAILABLE", "The command was canceled"},
}

// coded is a failure with another response code than that of its kind.
type coded struct {
	code string
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

// withCode gives a failure of a kind another response code.
func withCode(err error, kind fault.Kind, code string) error {
	if !fault.Is(err, kind) {
		return err
	}
	return &coded{code, err}
}

// no returns a failure whose response has the given text.
func no(kind fault.Kind, format string, args ...any) error {
	return fault.Newf("imap", kind, format, args...)
}

func isBad(err error) bool {
	var bad *wire.SyntaxError
	return errors.As(err, &bad)
}

// answer writes the tagged response that ends a command.
func (s *session) answer(c *call, err error) {
	tag := c.tag
	if tag == "" {
		tag = "*"
	}
	s.out.Raw(tag)
	switch {
	case err == nil:
		s.answerOK(c)
	case isBad(err):
		s.log.Log(s.ctx, logs.LevelProblem, "malformed command", "command", c.name(), logs.AttrError, err)
		s.out.Raw(" BAD ").Raw(sentence(err.Error()))
	default:
		s.answerNo(c, err)
	}
	s.out.CRLF()
}

func (s *session) answerOK(c *call) {
	s.out.Raw(" OK ")
	if c.code != "" {
		s.out.Raw("[").Raw(c.code).Raw("] ")
	}
	switch {
	case c.text != "":
		s.out.Raw(c.text)
	case c.uid:
		s.out.Raw("UID ").Raw(c.command.name).Raw(" completed")
	default:
		s.out.Raw(c.command.name).Raw(" completed")
	}
}

func (s *session) answerNo(c *call, err error) {
	kind := fault.KindOf(err)
	level := logs.LevelProblem
	switch kind {
	case fault.Internal, fault.Corrupt, fault.NoSpace:
		level = logs.LevelFailure
	case fault.BadCredentials: // package accounts has logged the name and the reason
		level = logs.LevelLowLevel
	}
	s.log.Log(s.ctx, level, "command failed", "command", c.name(), logs.AttrError, err)
	r := refusals[kind]
	if text := fault.Text(err); text != kind.String() {
		r.text = text
	}
	var other *coded
	if errors.As(err, &other) {
		r.code = other.code
	}
	s.out.Raw(" NO [").Raw(r.code).Raw("] ").Raw(sentence(r.text))
}

func (c *call) name() string {
	if c.command == nil {
		return ""
	}
	return c.command.name
}

// sentence returns a text as a response needs it: beginning with a capital letter, in
// printable ASCII, on one line.
func sentence(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	if len(b) > 0 && b[0] >= 'a' && b[0] <= 'z' {
		b[0] -= 'a' - 'A'
	}
	return string(b)
}

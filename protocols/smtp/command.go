package smtp

import (
	"log/slog"
	"strings"

	"gatepost/server/logs"
)

// commands are the verbs. Those that need no more than a word of answer are
// here, the others have a file per family.
var commands = map[string]func(s *session, arg string){
	"HELO":     func(s *session, arg string) { s.hello(arg, false) },
	"EHLO":     func(s *session, arg string) { s.hello(arg, true) },
	"LHLO":     (*session).lhlo,
	"MAIL":     (*session).mail,
	"RCPT":     (*session).rcpt,
	"DATA":     (*session).data,
	"BDAT":     (*session).bdat,
	"STARTTLS": (*session).startTLS,
	"AUTH":     (*session).authenticate,
	"RSET":     (*session).rset,
	"NOOP":     func(s *session, _ string) { s.reply(reply{code: 250, text: "NOOP"}) },
	"QUIT":     (*session).quit,
	"HELP":     (*session).help,
	"VRFY":     (*session).vrfy,
	"EXPN":     func(s *session, _ string) { s.reply(refusal(550, 5, 7, 1, "lists are not disclosed")) },
	"TURN":     func(s *session, _ string) { s.reply(replyNotImplemented) },
	"ETRN":     (*session).etrn,
	"ATRN":     (*session).atrn,
}

// webVerbs are words that only an HTTP client sends: a page has made a browser connect to
// us. What follows would be read as commands, so the connection is closed.
var webVerbs = map[string]bool{
	"GET": true, "POST": true, "HEAD": true, "PUT": true, "DELETE": true, "OPTIONS": true, "CONNECT": true,
	"PATCH": true, "TRACE": true, "PRI": true, "HOST:": true, "USER-AGENT:": true,
}

// command carries out one line.
func (s *session) command(line []byte) {
	verb, arg := splitCommand(line)
	run, ok := commands[verb]
	if strings.HasPrefix(verb, "AUTH") {
		s.afterAUTH = true
	} else if ok {
		s.afterAUTH = false
	}
	if s.log.Enabled(s.ctx, logs.LevelAll) {
		s.log.LogAttrs(s.ctx, logs.LevelAll, "cmd: "+s.shownCommand(verb, ok, line))
	}
	switch {
	case len(line) > maxCommand && verb != "AUTH":
		s.reply(replyLineTooLong)
	case ok:
		run(s, arg)
	case webVerbs[verb]:
		s.log.LogAttrs(s.ctx, logs.LevelProblem, "not a mail client", slog.String("verb", verb))
		s.reply(refusal(554, 5, 5, 1, "this is a mail server"))
		s.closing = true
	default:
		s.reply(replyUnknownCommand)
	}
}

// maxShownVerb is how much of a word that is no command the log gets.
const maxShownVerb = 20

// shownCommand is a command as the log may have it. An initial response of AUTH
// holds a password. A client that does not wait for the answer to AUTH sends its
// responses even when it is refused, and they arrive here as unknown commands.
func (s *session) shownCommand(verb string, known bool, line []byte) string {
	switch {
	case strings.HasPrefix(verb, "AUTH"):
		return "AUTH ..."
	case known:
		return string(line)
	case s.afterAUTH || len(verb) > maxShownVerb:
		return "..."
	}
	return verb
}

// splitCommand returns the verb in upper case and what follows it. People type
// "data:" and "MAIL  FROM:"; blanks around are no part of anything.
func splitCommand(line []byte) (verb, arg string) {
	text := strings.Trim(string(line), " \t")
	end := strings.IndexAny(text, " \t")
	if end < 0 {
		end = len(text)
	}
	verb, arg = strings.ToUpper(text[:end]), strings.TrimLeft(text[end:], " \t")
	if known := strings.TrimSuffix(verb, ":"); commands[known] != nil {
		verb = known
	}
	return verb, arg
}

func (s *session) rset(arg string) {
	if arg != "" {
		s.reply(replyNoArgument)
		return
	}
	s.tx.abort()
	s.tx = nil
	s.reply(reply{code: 250, text: "SMTP state reset"})
}

func (s *session) quit(string) {
	s.reply(reply{code: 221, text: s.name + " " + product + " closing connection"})
	s.closing = true
}

// vrfy tells nothing about who exists (RFC 5321 7.3).
func (s *session) vrfy(arg string) {
	if arg == "" {
		s.reply(refusal(501, 5, 5, 4, "VRFY needs an address"))
		return
	}
	s.reply(reply{code: 252, text: "cannot verify the address, but will take mail for it and try"})
}

func (s *session) help(string) {
	s.replyLines(reply{code: 214, text: product + s.srv.shownVersion(s.cfg) + " takes these commands:"},
		"HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH ETRN ATRN", "RFC 5321 explains them")
}

// shownVersion is the version after a blank, or nothing when it is not disclosed.
func (s *Server) shownVersion(cfg *Settings) string {
	if !cfg.DiscloseVersion || s.version == "" {
		return ""
	}
	return " " + s.version
}

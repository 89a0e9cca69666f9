package pwd

import (
	"context"
	"errors"
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Answer is the answer to a single command.
type Answer struct {
	// Code and Text are what a session would answer. Data is the text, over several lines, with code 200.
	Code int
	Text string
	// Err is why the command was not carried out, or nil.
	Err error
	// After, if any, has to be called once the answer is out.
	After func()
}

// Command carries out a single command for an account that another wire has logged in as peer:
// the commands of the tables, with the account's rights and the limits of lines, and none of those that
// work on a session.
func (s *Server) Command(ctx context.Context, who *accounts.Account, peer accounts.Peer, line string) Answer {
	ses := &session{server: s, account: who, peer: peer, log: logs.Session(s.log, "PWD", s.sessions.Add(1), "["+peer.IP.String()+"]")}
	defer ses.release()
	r := ses.single(ctx, line)
	a := Answer{Code: r.code, Text: r.text, Err: r.err, After: ses.after}
	switch {
	case r.code == 201:
		a.Code, a.Text = 200, string(dataformat.Pretty(r.data))
	case r.code >= 400 && a.Err == nil:
		a.Err = fault.New("pwd.Command", fault.Invalid, r.text)
	}
	return a
}

// single answers one command, which may be broken into lines between its words. Limits are those of
// readLine.
func (s *session) single(ctx context.Context, line string) reply {
	line = strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(line))
	if len(line) > s.maxLine() {
		return failure(fault.New("pwd.Command", fault.TooLarge, ""))
	}
	if len(line) > maxLineUser {
		switch err := s.holdLine(line); {
		case errors.Is(err, errTooLong):
			return failure(fault.New("pwd.Command", fault.TooLarge, ""))
		case err != nil:
			return failure(fault.New("pwd.Command", fault.Busy, ""))
		}
	}
	verb, rest := splitVerb(line)
	if _, own := sessionCommands[verb]; own {
		return failure(fault.Newf("pwd.Command", fault.Unsupported, "%s is for sessions on port 106", verb))
	}
	return s.other(ctx, verb, rest)
}

// holdLine takes from the budget what a long line and its values need.
func (s *session) holdLine(line string) error {
	if !s.hold(int64(len(line))) {
		return errTooMany
	}
	_, err := s.wholeLine(line)
	return err
}

package pop3

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// startTLS is STLS (RFC 2595 section 4). Input after the command was sent in the clear, and an attacker may have
// injected it: it ends the session.
func (s *session) startTLS([]string) error {
	switch config := s.tls(); {
	case s.peer.TLS:
		return fault.New("pop3.STLS", fault.Invalid, "TLS is active already")
	case s.utf8: // RFC 6856 section 2.1
		return fault.New("pop3.STLS", fault.Invalid, "STLS comes before UTF8")
	case !s.canStartTLS():
		return fault.New("pop3.STLS", fault.Unsupported, "")
	case s.in.Buffered() > 0:
		s.endReason = errors.New("input after STLS")
		return fault.New("pop3.STLS", fault.Invalid, "input after STLS")
	default:
		s.say("+OK begin TLS")
		if s.endReason = s.out.Flush(); s.endReason != nil {
			return nil
		}
		var t *tls.Conn
		if t, s.endReason = listen.StartTLS(s.ctx, s.conn, config); s.endReason != nil {
			s.log.Log(s.ctx, logs.LevelProblem, "TLS handshake failed", logs.AttrError, s.endReason)
			return nil
		}
		s.attach(t)
		return nil
	}
}

// userName is USER. If PASS would be refused, USER is refused, so that the client does not send the
// password.
func (s *session) userName(args []string) error {
	s.user = ""
	name := strings.TrimSpace(args[0])
	switch {
	case !s.auth.PlainAllowed(s.peer):
		return fault.New("pop3.USER", fault.TLSRequired, "")
	case name == "":
		return fault.New("pop3.USER", fault.Invalid, "a name is expected")
	}
	s.user = name
	s.say("+OK password, please") // for any name, so that strangers learn nothing about accounts
	return nil
}

// password is PASS. Blanks belong to the password (RFC 1939 section 7).
func (s *session) password(args []string) error {
	user := s.user
	s.user = ""
	if user == "" {
		return fault.New("pop3.PASS", fault.Invalid, "USER comes first")
	}
	acc, box, err := s.auth.PlainMailbox(s.ctx, s.peer, user, args[0])
	if err != nil {
		return err
	}
	return s.loggedIn(acc, box)
}

// apop is APOP (RFC 1939 section 7). The digest is the last word.
func (s *session) apop(args []string) error {
	if s.token == "" {
		return fault.New("pop3.APOP", fault.Unsupported, "")
	}
	arg := strings.TrimSpace(args[0])
	blank := strings.LastIndexByte(arg, ' ')
	if blank < 0 {
		return fault.New("pop3.APOP", fault.Invalid, "a name and a digest are expected")
	}
	acc, box, err := s.auth.APOPMailbox(s.ctx, s.peer, strings.TrimSpace(arg[:blank]), s.token, arg[blank+1:])
	if err != nil {
		return err
	}
	return s.loggedIn(acc, box)
}

// loggedIn opens the mailbox after a successful login.
func (s *session) loggedIn(acc *accounts.Account, box string) error {
	if err := s.open(acc, box); err != nil {
		return err
	}
	b := append([]byte(nil), "+OK "...)
	b = strconv.AppendInt(b, int64(s.drop.left), 10)
	b = append(b, " messages, "...)
	b = strconv.AppendInt(b, s.drop.octets, 10)
	s.say(string(append(b, " octets"...)))
	return nil
}

// sasl is AUTH (RFC 5034). Without arguments it lists the mechanisms, as servers did
// before there was CAPA.
func (s *session) sasl(args []string) error {
	if len(args) == 0 {
		s.say("+OK mechanisms follow")
		for _, m := range s.auth.Mechanisms(s.ctx, s.peer, s.auth.PlainAllowed(s.peer), s.tlsState) {
			s.say(m)
		}
		s.say(".")
		return nil
	}
	x, err := s.auth.Start(s.ctx, args[0], s.peer, s.tlsState, s.host)
	if err != nil {
		return err
	}
	defer x.Cancel()
	var response []byte
	if len(args) == 2 {
		if response, err = decode(args[1]); err != nil {
			return err
		}
	}
	for {
		challenge, done, err := x.Next(response)
		switch {
		case err != nil:
			return err
		case done:
			return s.loggedIn(x.Account(), x.Mailbox())
		}
		if response, err = s.challenge(challenge); err != nil {
			return err
		}
	}
}

// challenge sends a challenge and reads the response; "*" cancels the exchange (RFC 5034
// section 4).
func (s *session) challenge(text []byte) ([]byte, error) {
	s.say("+ " + base64.StdEncoding.EncodeToString(text))
	line, err := s.readLine(auth.MaxResponse)
	switch {
	case errors.Is(err, errTooLong):
		return nil, fault.New("pop3.AUTH", fault.Invalid, "response too long")
	case err != nil:
		return nil, errGone
	}
	return decode(string(line))
}

func decode(line string) ([]byte, error) {
	response, err := auth.DecodeResponse(line)
	if err != nil {
		return nil, fault.New("pop3.AUTH", fault.Invalid, err.Error())
	}
	return response, nil
}

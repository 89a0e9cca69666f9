package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"
	"unicode/utf8"

	"gatepost/accounts"
	"gatepost/protocols/internal/listen"
	"gatepost/router/address"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// session is one client's conversation. Its goroutine owns it.
type session struct {
	srv      *Server
	cfg      *Settings // as at the start of the session
	ctx      context.Context
	conn     net.Conn
	in       *reader
	out      []byte // replies that are not written yet
	log      *slog.Logger
	listener settings.Listener

	remote, local netip.Addr
	literal       string // of remote, as it stands in trace fields
	name          string // of this server, as the client sees it
	client        bool   // a Client IP
	submission    bool   // a port where authentication is required
	tls           *tls.ConnectionState

	helo    string // as the client gave it, clean
	greeted bool   // HELO or EHLO was said
	esmtp   bool   // it was EHLO
	account *accounts.Account
	watch   *accounts.Watch // ends the session with its account; nil without one
	tx      *transaction    // between MAIL and the end of the message

	useful                    time.Time // when the session began, its last message came to its end, or it logged in
	errors, unknown, relaying int       // counted against the limits
	closing                   bool
	owes                      bool // the answer to a message is not written yet
	chunkFailed               bool // the chunks of a message that was given up may still come
	secrets                   bool // AUTH was the last command: unknown ones may be its responses
}

// run is one session, from the connection to its end.
func (s *Server) run(ctx context.Context, c net.Conn, l settings.Listener) {
	t := session{srv: s, cfg: s.cfg.Get(), ctx: ctx, conn: c, listener: l, useful: time.Now()}
	t.remote, t.local = listen.Addrs(c)
	t.literal = address.FormatLiteral(t.remote)
	t.name = s.accounts.DomainForIP(t.local)
	t.client = s.accounts.ClientIP(t.remote)
	t.submission = Submission(l)
	t.log = logs.Session(s.log, tag, s.sessions.Add(1), "["+t.remote.String()+"]")
	if e, ok := c.(*tls.Conn); ok {
		state := e.ConnectionState()
		t.tls = &state
	}
	t.in = newReader(c, t.flush)
	t.log.LogAttrs(ctx, logs.LevelLowLevel, "got connection on "+c.LocalAddr().String())
	defer t.end()
	if t.greet() {
		t.converse()
	}
}

// end drops what is under way and writes what is owed.
func (s *session) end() {
	s.watch.Stop()
	s.tx.abort()
	// The client may be gone, and then nobody misses these replies.
	_ = s.flush()
	s.in.release()
	s.log.LogAttrs(s.ctx, logs.LevelLowLevel, "releasing stream")
}

// converse reads and answers commands.
func (s *session) converse() {
	for !s.closing {
		if s.ctx.Err() != nil {
			s.lost(os.ErrDeadlineExceeded)
			return
		}
		line, err := s.in.line(s.commandEnd())
		switch {
		case err == nil:
			s.command(line)
		case errors.Is(err, errLineTooLong):
			s.reply(replyLineTooLong)
		case errors.Is(err, errBareLine):
			s.reply(replyBareCommand)
		default:
			s.lost(err)
			return
		}
		s.limitErrors()
	}
}

// longIdling is after how many timeouts a session ends in which no message comes to
// its end, whatever else the client says: NOOP is no reason to keep its place.
const longIdling = 6

// commandEnd is until when the next command has to be there. Between two chunks of a
// message it is the message's time that runs.
func (s *session) commandEnd() time.Time {
	timeout := s.cfg.CommandTimeout.Duration()
	end := time.Now().Add(timeout)
	if s.tx != nil && s.tx.body != nil {
		return earlier(end, s.in.slowest())
	}
	return earlier(end, s.useful.Add(longIdling*timeout))
}

// lost ends a session whose client does not answer, went away, or has to.
func (s *session) lost(err error) {
	s.closing = true
	reason, ended := listen.Ended(s.ctx)
	switch {
	case ended:
		s.reply(reply{421, [3]int{4, 7, 0}, s.name + " " + reason + ", closing connection"})
	case s.ctx.Err() != nil:
		s.reply(reply{421, [3]int{4, 3, 2}, s.name + " service is going down, closing connection"})
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.reply(reply{421, [3]int{4, 4, 2}, s.name + " timeout, closing connection"})
	case errors.Is(err, errEndless):
		s.reply(replyLineTooLong)
	case errors.Is(err, io.EOF):
		s.log.LogAttrs(s.ctx, logs.LevelLowLevel, "connection closed by peer")
	default:
		s.log.LogAttrs(s.ctx, logs.LevelProblem, "connection lost", slog.Any(logs.AttrError, err))
	}
}

// limitErrors closes a session with too many errors.
func (s *session) limitErrors() {
	over := func(n, limit int) bool { return limit > 0 && n >= limit }
	switch {
	case s.closing:
	case over(s.errors, s.cfg.ErrorsLimit):
		s.close421("too many errors")
	case over(s.unknown, s.cfg.UnknownLimit):
		s.close421("too many unknown recipients")
	case over(s.relaying, s.cfg.RelayingLimit):
		s.close421("too many relaying attempts")
	}
}

func (s *session) close421(why string) {
	s.closing = true
	s.log.LogAttrs(s.ctx, logs.LevelProblem, "session closed: "+why)
	s.reply(reply{421, [3]int{4, 7, 0}, s.name + " " + why + ", closing connection"})
}

// reply sends a reply. Permanent refusals count as errors.
func (s *session) reply(r reply) { s.replyAbout("", r) }

// replyAbout sends a reply whose text begins with what it is about.
func (s *session) replyAbout(about string, r reply) {
	s.send(about, r)
	if r.code >= 500 {
		s.errors++
	}
}

// send sends a reply that is not counted.
func (s *session) send(about string, r reply) { s.putLine(about, r, true) }

// putLine appends one line of a reply. Outside of a transaction with SMTPUTF8 it is
// ASCII (RFC 6531 section 3.7.4.2).
func (s *session) putLine(about string, r reply, last bool) {
	start := len(s.out)
	s.out = r.append(s.out, about, last)
	line := s.out[start:]
	if s.tx == nil || !s.tx.env.SMTPUTF8 {
		for i, c := range line {
			if c >= utf8.RuneSelf {
				line[i] = '?'
			}
		}
	}
	s.logReply(line)
}

// replyLines sends a reply of several lines. The first is r's, the others are
// its continuation.
func (s *session) replyLines(r reply, more ...string) {
	for i, line := range append([]string{r.text}, more...) {
		s.putLine("", reply{code: r.code, text: line}, i == len(more))
	}
}

func (s *session) logReply(line []byte) {
	if s.log.Enabled(s.ctx, logs.LevelLowLevel) {
		s.log.LogAttrs(s.ctx, logs.LevelLowLevel, "rsp: "+string(line[:len(line)-len(crlf)]))
	}
}

// flush writes the replies that have gathered.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.cfg.CommandTimeout.Duration())); err != nil {
		return err
	}
	_, err := s.conn.Write(s.out)
	s.owes = false
	if s.out = s.out[:0]; cap(s.out) > maxKeptReplies {
		s.out = nil
	}
	if err != nil {
		return fmt.Errorf("write replies: %w", err)
	}
	return nil
}

// settled writes the answer to an earlier message before a further one begins, and ends the session if
// the client is gone. A client that is killed leaves the messages behind that it has pipelined
// in chunks, and sends again what has no answer: those would be delivered twice.
func (s *session) settled() bool {
	if !s.owes {
		return true
	}
	err := s.flush()
	if _, gone := listen.PeerState(s.conn); gone && err == nil {
		err = io.EOF
	}
	if err != nil {
		s.lost(err)
	}
	return err == nil
}

// maxKeptReplies is how large a reply buffer stays with its session.
const maxKeptReplies = 8 << 10

// peer is the session for a login.
func (s *session) peer() accounts.Peer {
	return accounts.Peer{IP: s.remote, LocalIP: s.local, TLS: s.tls != nil, Service: "SMTP", Log: s.log}
}

// trusted tells whether the client may relay.
func (s *session) trusted() bool {
	return s.client || s.account != nil && s.account.Enabled("Relay")
}

// stranger tells whether nobody vouches for the client.
func (s *session) stranger() bool { return !s.client && s.account == nil }

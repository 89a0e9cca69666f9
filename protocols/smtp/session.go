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
	"gatepost/server/protection"
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
	literal       string                 // of remote, as it stands in trace fields
	name          string                 // of this server, as the client sees it
	client        bool                   // a Client IP
	domainClient  bool                   // one of the domain of the return-path, until the end of the transaction
	blocked       protection.Cause       // why the address has been blocked during the session
	inspection    *protection.Inspection // what the DNS says of the address
	badHELO       string                 // why mail is refused for the name in HELO; empty if it is good
	submission    bool                   // a port where authentication is required
	lmtp          bool                   // the client speaks LMTP
	tls           *tls.ConnectionState

	helo    string // as the client gave it, see cleanName
	greeted bool   // HELO or EHLO was said
	esmtp   bool   // it was EHLO
	account *accounts.Account
	watch   *accounts.Watch // ends the session with its account; nil without one
	tx      *transaction    // between MAIL and the end of the message
	answers []string        // LMTP: the accepted recipients of the message, each of which gets an answer

	prompted                  time.Time // when the client got our greeting; zero while it waits for it
	lastProgress              time.Time // when the session began, its last message came to its end, or it logged in
	errors, unknown, relaying int       // counted against the limits
	closing                   bool
	delivered                 bool // a message was accepted
	replyDue                  bool // the answer to a message is not written yet
	chunkFailed               bool // the chunks of a message that was given up may still come
	afterAUTH                 bool // AUTH was the last command: unknown ones may be its responses
}

// run is one session, from the connection to its end.
func (s *Server) run(ctx context.Context, c net.Conn, l settings.Listener, lmtp bool) {
	t := session{srv: s, cfg: s.cfg.Get(), ctx: ctx, conn: c, listener: l, lastProgress: time.Now()}
	t.remote, t.local = listen.Addrs(c)
	t.literal = address.FormatLiteral(t.remote)
	t.name = s.accounts.DomainForIP(t.local)
	t.client = s.accounts.ClientIP(t.remote)
	t.submission, t.lmtp = Submission(l) && !lmtp, lmtp
	t.log = s.protection.SessionLog(logs.Session(s.log, tag, s.sessions.Add(1), "["+t.remote.String()+"]"), t.remote)
	if e, ok := c.(*tls.Conn); ok {
		state := e.ConnectionState()
		t.tls = &state
	}
	t.in = newReader(c, t.flush)
	t.log.LogAttrs(ctx, logs.LevelLowLevel, "got connection on "+c.LocalAddr().String())
	defer t.end()
	if t.turnedAway() || t.tooFast() {
		return
	}
	if t.open() {
		t.inspection = s.protection.Inspect(ctx, t.remote)
		defer t.inspection.Stop()
	}
	if t.greet() {
		t.converse()
	}
}

// end aborts the transaction and writes the replies that are not written yet.
func (s *session) end() {
	s.watch.Stop()
	s.tx.abort()
	// An error means that the client is gone.
	_ = s.flush()
	s.in.release()
	s.log.LogAttrs(s.ctx, logs.LevelLowLevel, "releasing stream")
}

// converse reads and answers commands.
func (s *session) converse() {
	for !s.closing {
		if s.ctx.Err() != nil {
			s.disconnect(os.ErrDeadlineExceeded)
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
			s.disconnect(err)
			return
		}
		s.limitErrors()
	}
}

// maxIdle is the number of CommandTimeouts after which a session ends in which no message has
// come to its end. Other commands, such as NOOP, do not prolong it.
const maxIdle = 6

// commandEnd is when the next command must have arrived. Between two chunks of a message the
// time limit of the message holds.
func (s *session) commandEnd() time.Time {
	timeout := s.cfg.CommandTimeout.Duration()
	end := time.Now().Add(timeout)
	if s.tx != nil && s.tx.body != nil {
		return earlier(end, s.in.rateDeadline())
	}
	return earlier(end, s.lastProgress.Add(maxIdle*timeout))
}

// silentAfter is how long a client has had our greeting before it counts as silent.
const silentAfter = time.Second

// disconnect ends a session after a read error: the client did not answer in time, or has closed the
// connection, or the server ends the session.
func (s *session) disconnect(err error) {
	s.closing = true
	reason, ended := listen.Ended(s.ctx)
	switch {
	case ended:
		if reason == listen.TooMany && !s.delivered && !s.prompted.IsZero() && time.Since(s.prompted) >= silentAfter {
			s.offend(protection.SilentClient)
		}
		s.reply(reply{421, [3]int{4, 7, 0}, s.name + " " + reason + ", closing connection"})
	case s.ctx.Err() != nil:
		s.reply(reply{421, [3]int{4, 3, 2}, s.name + " service is going down, closing connection"})
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.reply(reply{421, [3]int{4, 4, 2}, s.name + " timeout, closing connection"})
	case errors.Is(err, errNoLineEnd):
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
	case s.blocked != "":
		s.close421(string(s.blocked))
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
	if offends(r) {
		s.offend(protection.ProtocolErrors)
	}
}

// send sends a reply that is not counted.
func (s *session) send(about string, r reply) { s.appendLine(about, r, true) }

// appendLine appends one line of a reply. Outside of a transaction with SMTPUTF8 it is
// ASCII (RFC 6531 section 3.7.4.2).
func (s *session) appendLine(about string, r reply, last bool) {
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
		s.appendLine("", reply{code: r.code, text: line}, i == len(more))
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
	s.replyDue = false
	if s.out = s.out[:0]; cap(s.out) > maxKeptReplies {
		s.out = nil
	}
	if err != nil {
		return fmt.Errorf("write replies: %w", err)
	}
	return nil
}

// writeReplyDue writes the reply to a message before the next message begins, and ends the session
// if the client has closed the connection. A client that was killed may have sent further messages in
// chunks, and sends all those again to which it got no reply: they would be delivered twice.
func (s *session) writeReplyDue() bool {
	if !s.replyDue {
		return true
	}
	err := s.flush()
	if _, gone := listen.PeerState(s.conn); gone && err == nil {
		err = io.EOF
	}
	if err != nil {
		s.disconnect(err)
	}
	return err == nil
}

// maxKeptReplies is how large a reply buffer stays with its session.
const maxKeptReplies = 8 << 10

// peer is the session for a login.
func (s *session) peer() accounts.Peer {
	return accounts.Peer{IP: s.remote, LocalIP: s.local, TLS: s.tls != nil, Service: "SMTP", Log: s.log}
}

// trusted reports whether the client may relay.
func (s *session) trusted() bool {
	return s.isClient() || s.account != nil && s.account.Enabled("Relay")
}

// stranger reports whether the client is neither authenticated nor a Client IP.
func (s *session) stranger() bool { return !s.isClient() && s.account == nil }

// isClient reports whether the address is a Client IP: one of the server, or one of the domain of the return-path.
func (s *session) isClient() bool { return s.client || s.domainClient }

package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"gatepost/server/fault"
	"gatepost/server/logs"
)

// session is what Serve keeps of one connection; the context of its handle leads to it.
type session struct {
	conn   net.Conn // what close closes: TLS, once that was started
	limit  *limit
	ctx    context.Context // of handle
	cancel context.CancelCauseFunc
	server *server
	remote netip.Addr                 // the other end of the connection
	client atomic.Pointer[netip.Addr] // whom a PROXY header names, or nil

	traffic *traffic
	group   *group // guarded by Count; nil once another session has its slot
	index   int    // in the group
	known   bool   // see Options.Known
	number  uint64 // among the connections of the Count
}

// who is the address of the client.
func (s *session) who() netip.Addr {
	if client := s.client.Load(); client != nil {
		return *client
	}
	return s.remote
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// close sends a close alert first if the connection is TLS. What fails here fails on a
// connection that the client has left.
func (s *session) close() { _ = s.conn.Close() }

// ended is the cause of a context whose session was ended for a reason.
type ended string

func (e ended) Error() string { return string(e) }

// End orders the session that Serve gave the context to end, as a stop of the
// server does, and does not wait for it. The first order of the two holds. A context
// that is not of such a session is left alone.
func End(ctx context.Context, reason string) {
	if s := sessionOf(ctx); s != nil {
		s.cancel(ended(reason))
	}
}

// Ended returns the reason of End if that is what the session ends for.
func Ended(ctx context.Context) (reason string, ok bool) {
	var e ended
	ok = errors.As(context.Cause(ctx), &e)
	return string(e), ok
}

// LoggedIn makes a user of the stranger whose session has the context that Serve gave, and
// lifts the limit of LoginTimeout; deadlines that the session has set are taken away, too.
// An error of kind Busy says that the slots of users are taken: the login must be refused.
func LoggedIn(ctx context.Context) error {
	s := sessionOf(ctx)
	if s == nil {
		return nil
	}
	if o := s.server; !o.Count.login(s, o.limit()) {
		o.refusedLogins.Log(o.Log, logs.LevelProblem, "login refused: all sessions for users are in use", slog.String(logs.AttrPeer, s.who().String()))
		return fault.New("listen.LoggedIn", fault.Busy, "too many sessions at a time, try again later")
	}
	s.limit.lift()
	return nil
}

// StartTLS does the server side of a TLS handshake within HandshakeTimeout and returns
// the connection without a deadline. The goroutine of handle calls it, with its context
// and the connection that it was given. On failure the session has to end; the error says
// what an administrator can do about it.
func StartTLS(ctx context.Context, c net.Conn, config *tls.Config) (*tls.Conn, error) {
	h := &handshake{Conn: c}
	t := tls.Server(h, config)
	if err := t.SetDeadline(time.Now().Add(HandshakeTimeout)); err != nil {
		return nil, err
	}
	s := sessionOf(ctx)
	if err := t.Handshake(); err != nil {
		if s != nil {
			s.server.Count.wire.Failed.Inc()
		}
		return nil, h.explain(err)
	}
	h.done = true
	if s != nil {
		s.conn = t
		s.server.Count.wire.Encrypted.Inc()
	}
	return t, t.SetDeadline(time.Time{})
}

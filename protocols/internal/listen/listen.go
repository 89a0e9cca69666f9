// Package listen accepts the connections of a wire and runs one session for
// each: who may connect, how many at a time, TLS from the first byte, and an
// orderly end.
//
// # A connection's life
//
//	accepted ── not in the listener's list, or denied ──▶ closed without a word
//	    │    ── blocked, over the limit of its IP, no slot ▶ Refuse, closed
//	    ▼
//	a goroutine of its own: TLS handshake if the listener has one, then handle
//	    │    ── handle panics ──────────────────────────▶ logged, counted
//	    ▼
//	closed, its slots in the limits given back
//
// Serve owns all of these goroutines and returns when the last one has ended.
//
// # Stop
//
// Stop is an order. When Serve's context is done, no connection is accepted
// any more, the context that each handle got is canceled, and every session
// that waits for its client wakes up: from then on reads end at once with
// os.ErrDeadlineExceeded, whatever deadline the session sets, and writes have
// StopGrace. So a session needs no goroutine to learn of the stop: a read that
// fails asks ctx.Err, says 421 or BYE, and returns. A TLS close alert still
// goes out.
//
// End is the same order to one session, with a reason: that of a session whose account
// is gone, for example. Whoever writes the last words asks Ended for it.
//
// # Login
//
// A wire whose clients have to log in sets LoginTimeout. That is one span of time from
// the accept on, whatever the client does meanwhile: TLS handshakes, commands, halves of
// commands and literals, and the reading of answers all come out of it. When it is over,
// reads end with os.ErrDeadlineExceeded whatever deadline the session sets, as after a
// stop. LoggedIn lifts the limit.
//
// # TLS
//
// StartTLS turns a session's connection to TLS. At the end of every TLS session, Serve
// sends a close alert, without which a client cannot tell the end from an attacker's cut.
//
// # Limits and slots
//
// The limit per IP belongs to the listener; IPv6 addresses count by their /64,
// since one host owns that many. It does not hold for Client IPs.
//
// The limit of all sessions belongs to the module: its listeners share a Count. Nobody can
// take all of these slots from the others. A tenth is kept for Client IPs, a tenth for
// users who have logged in, and a tenth for the strangers of the listeners, in equal parts;
// the rest is for whoever comes first. A stranger is a client that is neither.
//
// When there is no slot for a connection, it gets that of the stranger that has been idle
// for longest, if that is five seconds or more, or one if it has hardly said a word: the session ends as by End. Idle is a client
// that the session waits for, since the first words that were sent to it; what it sends
// counts as a thousand octets a second, so that a byte now and then does not make it busy and
// a message on its way does. While the server works for it, no client is idle.
//
// A stranger that is known, see Options.Known, does not even wait for that: it gets the slot of one who is not known and has not
// been spoken to yet, or is idle. Otherwise a flood of addresses that come again and again would keep out those who always
// wrote here. Crowded tells a session whether strangers wait for slots, so that it does not hold its own for longer than it needs to.
//
// A listener may bound the sessions further, see Bound.
//
// # Proxies
//
// A proxy that passes connections on, and not requests, names the client in a PROXY header, before TLS. Options.Proxied says
// whose headers are read; a connection of theirs without one is closed. The list of the listener holds for the proxy
// and for the client.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

const (
	// StopGrace is how long a session may go on writing after a stop.
	StopGrace = 5 * time.Second
	// HandshakeTimeout bounds a TLS handshake.
	HandshakeTimeout = 30 * time.Second

	refuseTimeout = 2 * time.Second
	refusals      = 64 // under way at once; more are closed without a word
)

// TooMany is why the session of a stranger has ended whose slot another one needs.
const TooMany = "too many connections, try again later"

// Options say who may connect to a listener and what happens to the others.
type Options struct {
	// Listener has the mode of TLS, the list of addresses that may connect and
	// the number of sessions per IP (0: no limit).
	Listener settings.Listener
	// MaxSessions is the limit of Count, asked at every connection and login so that a
	// changed setting holds at once. Nil or a result below 1 means no limit.
	MaxSessions func() int
	// LoginTimeout is how long a client has from its connection to LoggedIn, asked at every
	// connection. Nil or a result below 1 means no limit.
	LoginTimeout func() time.Duration
	// Count is what the listeners of one module share. Nil: a Count of its own.
	Count *Count
	// ClientIP tells the addresses that the administrator trusts, Denied those that get no session.
	ClientIP, Denied func(netip.Addr) bool
	// Blocked tells the addresses that get no session for a while: they hear the word of Refuse, and take no slot. Nil: none.
	Blocked func(netip.Addr) bool
	// Known tells the strangers that have behaved well before: they do not wait for a slot that another stranger has. Nil: none.
	Known func(netip.Addr) bool
	// Proxied tells the proxies whose connections begin with a PROXY header, which names the client. Nil: none.
	Proxied func(netip.Addr) bool
	// Log carries the tag of the component.
	Log *slog.Logger
	// TLS is needed when the listener's mode is TLSImplicit.
	TLS *tls.Config
	// Refuse writes the wire's line for "too many", or for an address that is Blocked, before the connection is
	// closed. It is not called on a TLS listener: a stranger who is one too
	// many is not worth a handshake.
	Refuse func(net.Conn)
}

// Bound is a listener that knows how many sessions its module can have at most, such as by the
// file descriptors of the process. MaxSessions gets the limit that the module asks for, 0 for
// none, and returns the one that holds.
type Bound interface {
	net.Listener
	MaxSessions(asked int) int
}

// Serve accepts connections from ln until ctx is done, and calls handle for
// each in its own goroutine. The connection is closed when handle returns; it
// is a *tls.Conn, handshake done, if the listener's mode is TLSImplicit. Serve
// closes ln, and returns nil after a stop or the error that ended the
// listener. When its owner closes ln, no more connections are accepted and
// sessions go on until ctx is done.
func Serve(ctx context.Context, ln net.Listener, o Options, handle func(ctx context.Context, c net.Conn)) error {
	if o.Listener.TLS == settings.TLSImplicit && o.TLS == nil {
		ln.Close()
		return fault.New("listen.Serve", fault.Unavailable, "TLS listener without a certificate")
	}
	if o.Count == nil {
		o.Count = new(Count)
	}
	sessions, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{Options: o, ctx: sessions, handle: handle, perIP: map[netip.Prefix]int{}, refusing: make(chan struct{}, refusals)}
	s.bound, _ = ln.(Bound)
	s.strangers = o.Count.listen()
	unhook := context.AfterFunc(ctx, func() { ln.Close() })
	defer unhook()
	err := s.accept(ln)
	o.Count.stopped(s.strangers)
	if ctx.Err() == nil && errors.Is(err, net.ErrClosed) {
		err = nil // its owner has closed it; sessions go on until ctx ends
	} else {
		cancel()
	}
	ln.Close()
	s.wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// server is one call of Serve.
type server struct {
	Options
	ctx      context.Context
	handle   func(ctx context.Context, c net.Conn)
	wg       sync.WaitGroup
	refusing chan struct{}

	bound     Bound  // nil if the listener is none
	strangers *group // of this listener

	// Records that clients can cause at any rate.
	denied, blocked, overIP, overLimit, displaced, refusedLogins, badProxy logs.Throttle

	mu    sync.Mutex
	perIP map[netip.Prefix]int // sessions now; entries of 0 are removed
}

// accept runs until the listener is closed or broken. It never waits for a
// client.
func (s *server) accept(ln net.Listener) error {
	const first, longest = 5 * time.Millisecond, time.Second
	wait := time.Duration(0)
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			wait = 0
			s.admit(c)
		case s.ctx.Err() != nil:
			return nil
		case temporary(err):
			// Out of descriptors or memory: sessions that end will free some.
			// Without the wait this loop would take a whole processor.
			if wait == 0 {
				s.Log.Log(s.ctx, logs.LevelFailure, "cannot accept connections, trying again", logs.AttrError, err)
			}
			wait = min(max(2*wait, first), longest)
			select {
			case <-time.After(wait):
			case <-s.ctx.Done():
				return nil
			}
		default:
			return fault.Wrap("listen.Serve", fault.Unavailable, err)
		}
	}
}

func temporary(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EPROTO, syscall.ENETDOWN, syscall.EHOSTUNREACH} {
		if errors.Is(err, errno) {
			return true
		}
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// admit starts a session or refuses the connection.
func (s *server) admit(c net.Conn) {
	remote, _ := Addrs(c)
	if !s.Listener.Allow.Empty() && !s.Listener.Allow.Contains(remote) {
		s.Count.wire.Refused.Inc("address not allowed")
		s.Log.Log(s.ctx, logs.LevelProblem, "connection refused: address not allowed", logs.AttrPeer, remote)
		c.Close()
		return
	}
	if s.Denied != nil && s.Denied(remote) {
		s.Count.wire.Refused.Inc("denied address")
		s.denied.Log(s.Log, logs.LevelProblem, "connection refused: denied address", slog.String(logs.AttrPeer, remote.String()))
		c.Close()
		return
	}
	client := s.ClientIP != nil && s.ClientIP(remote)
	if s.Blocked != nil && !s.isProxy(remote) && s.Blocked(remote) {
		s.refuse(c, remote, &s.blocked, "address blocked for a while")
		return
	}
	key, limited := s.prefix(remote, client || s.isProxy(remote))
	if limited && !s.takeIP(key) {
		s.refuse(c, remote, &s.overIP, "too many from this address")
		return
	}
	ses, group := s.newSession(c, remote), s.strangers
	if client {
		group = &s.Count.clients
	}
	ses.known = !client && s.Known != nil && s.Known(remote)
	displaced, ok := s.Count.enter(ses, group, s.limit())
	if !ok {
		ses.cancel(nil)
		if limited {
			s.giveIP(key)
		}
		s.refuse(c, remote, &s.overLimit, "too many sessions")
		return
	}
	if displaced != nil {
		s.displaced.Log(s.Log, logs.LevelProblem, "idle session ended: another client needs its slot",
			slog.String(logs.AttrPeer, displaced.who().String()))
		displaced.cancel(ended(TooMany))
	}
	s.Count.wire.Accepted.Inc()
	s.wg.Go(func() {
		defer func() {
			s.Count.leave(ses)
			if limited {
				s.giveIP(key)
			}
		}()
		s.session(ses)
	})
}

// isProxy reports whether the connections of an address begin with a PROXY header.
func (s *server) isProxy(ip netip.Addr) bool {
	return s.Listener.Proxies.Contains(ip) || s.Proxied != nil && s.Proxied(ip)
}

// admitClient does for the client that a proxy has named what admit does for others, and returns what gives back its place. A
// proxy that names none speaks for itself.
func (s *server) admitClient(ses *session, client netip.Addr) (leave func(), ok bool) {
	if client == ses.remote {
		return func() {}, true
	}
	why, records := "", (*logs.Throttle)(nil)
	trusted := s.ClientIP != nil && s.ClientIP(client)
	key, limited := s.prefix(client, trusted)
	switch {
	case !s.Listener.Allow.Empty() && !s.Listener.Allow.Contains(client):
		why, records = "address not allowed", &s.denied
	case s.Denied != nil && s.Denied(client):
		why, records = "denied address", &s.denied
	case limited && !s.takeIP(key):
		why, records = "too many from this address", &s.overIP
	}
	if why != "" {
		s.Count.wire.Refused.Inc(why)
		records.Log(s.Log, logs.LevelProblem, "connection refused: "+why, slog.String(logs.AttrPeer, client.String()))
		return nil, false
	}
	group := s.strangers
	if trusted {
		group = &s.Count.clients
	}
	s.Count.regroup(ses, group)
	return func() {
		if limited {
			s.giveIP(key)
		}
	}, true
}

// limit is the limit of all sessions, 0 for none.
func (s *server) limit() int {
	n := 0
	if s.MaxSessions != nil {
		n = max(0, s.MaxSessions())
	}
	if s.bound != nil {
		n = s.bound.MaxSessions(n)
	}
	return n
}

// prefix returns what an address counts under, and whether it counts.
func (s *server) prefix(ip netip.Addr, client bool) (netip.Prefix, bool) {
	if s.Listener.PerIP <= 0 || !ip.IsValid() || client {
		return netip.Prefix{}, false
	}
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.WithZone("").Prefix(bits)
	return p, err == nil
}

func (s *server) takeIP(p netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perIP[p] >= s.Listener.PerIP {
		return false
	}
	s.perIP[p]++
	return true
}

func (s *server) giveIP(p netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perIP[p]--; s.perIP[p] <= 0 {
		delete(s.perIP, p)
	}
}

func (s *server) refuse(c net.Conn, remote netip.Addr, records *logs.Throttle, why string) {
	s.Count.wire.Refused.Inc(why)
	records.Log(s.Log, logs.LevelProblem, "connection refused: "+why, slog.String(logs.AttrPeer, remote.String()))
	if s.Refuse == nil || s.Listener.TLS == settings.TLSImplicit {
		c.Close()
		return
	}
	select {
	case s.refusing <- struct{}{}:
	default:
		c.Close()
		return
	}
	s.wg.Go(func() {
		defer func() { <-s.refusing }()
		defer c.Close()
		if c.SetDeadline(time.Now().Add(refuseTimeout)) == nil {
			s.Refuse(c)
		}
	})
}

// newSession is what is kept of a connection.
func (s *server) newSession(raw net.Conn, remote netip.Addr) *session {
	ses := &session{server: s, remote: remote}
	ses.conn, ses.limit, ses.traffic = bounded(raw, &s.Count.wire)
	ses.ctx, ses.cancel = context.WithCancelCause(s.ctx)
	return ses
}

// session runs in the goroutine of the connection.
func (s *server) session(ses *session) {
	defer func() {
		if p := recover(); p != nil {
			s.Count.crashed.Add(1)
			s.Log.Log(s.ctx, logs.LevelCrash, "session crashed", logs.AttrPeer, ses.who(), logs.AttrError, p, "stack", string(debug.Stack()))
		}
	}()
	c, bound, ctx := ses.conn, ses.limit, ses.ctx
	defer ses.cancel(nil)
	defer ses.close()
	if s.LoginTimeout != nil {
		if d := s.LoginTimeout(); d > 0 {
			bound.until(time.Now().Add(d))
		}
	}
	unhook := context.AfterFunc(ctx, bound.stop)
	defer unhook()
	ctx = context.WithValue(ctx, sessionKey{}, ses)
	if s.isProxy(ses.remote) {
		p, err := readProxyHeader(c)
		if err != nil {
			s.badProxy.Log(s.Log, logs.LevelProblem, "connection refused", slog.String(logs.AttrPeer, ses.remote.String()), slog.Any(logs.AttrError, err))
			return
		}
		c = p
		client, _ := Addrs(c)
		leave, ok := s.admitClient(ses, client)
		if !ok {
			return
		}
		defer leave()
		ses.client.Store(&client)
	}
	if s.Listener.TLS == settings.TLSImplicit {
		t, err := StartTLS(ctx, c, s.TLS)
		if err != nil {
			level := logs.LevelProblem
			if _, told := Ended(ctx); told || errors.Is(err, errNoHandshake) {
				level = logs.LevelLowLevel // somebody looks whether the port is open
			}
			s.Log.Log(s.ctx, level, "TLS handshake failed", logs.AttrPeer, ses.who(), logs.AttrError, err)
			return
		}
		c = t
	}
	s.handle(ctx, c)
}

package smtp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/protection"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// product names this server in trace fields and texts.
const product = "Gatepost"

// tag is the log tag of incoming SMTP.
const tag = "SMTPI"

const (
	maxRecipients = 10000
	minTimeout    = 10 * time.Second
	maxDelay      = 2 * time.Minute
)

// The ports where mail is submitted: authentication is required there.
const (
	portSubmission  = 587
	portSubmissions = 465
)

// Server receives mail. One Server serves all listeners of the module.
type Server struct {
	cfg        *settings.Live[Settings]
	begin      func(ctx context.Context, env *envelope.Envelope) (submission, error)
	handles    func(router.Module) error // whether the queue can deliver there
	router     *router.Router
	accounts   *accounts.Store
	protection *protection.Protection
	auth       *auth.Authenticator
	tls        func() *tls.Config
	log        *slog.Logger
	version    string // of the build, or empty
	checks     []Check
	backsUp    func(ctx context.Context, domain string) (bool, error)
	starter    Starter
	turner     Turner

	counts    Counts
	count     listen.Count
	lmtpCount listen.Count
	sessions  atomic.Uint64       // numbers given to sessions
	sent      *rate.Table[uint64] // messages of each account, for its MailOutFlow; by account ID
}

// submission is what the receiver needs of a queue.Submission.
type submission interface {
	ID() envelope.QueueID
	MessageID() string
	Write(p []byte) (int, error)
	Commit(ctx context.Context) error
	Abort()
}

// New returns a Server. tls is asked at each use; while it returns nil,
// STARTTLS is not offered. backsUp reports whether this server is a backup mail server of a
// domain, see Settings.RelayToBackedUp; starter carries out ETRN, turner ATRN. Each message passes the checks in their order.
func New(cfg *settings.Live[Settings], q *queue.Queue, r *router.Router, acc *accounts.Store, tls func() *tls.Config,
	backsUp func(ctx context.Context, domain string) (bool, error), starter Starter, turner Turner, log *slog.Logger, checks ...Check) *Server {
	s := &Server{checks: checks, backsUp: backsUp, starter: starter, turner: turner, cfg: cfg, handles: q.Handles, router: r, accounts: acc, protection: acc.Protection(), auth: auth.New(acc, r, log), tls: tls, log: log,
		sent: acc.Sent()}
	s.begin = func(ctx context.Context, env *envelope.Envelope) (submission, error) {
		sub, err := q.Begin(ctx, env)
		if err != nil {
			return nil, err
		}
		return sub, nil
	}
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		s.version = strings.TrimPrefix(info.Main.Version, "v")
	}
	return s
}

// Submission reports whether a listener is for mail from our users.
func Submission(l settings.Listener) bool {
	return l.Port == portSubmission || l.Port == portSubmissions
}

// Serve runs the sessions of one listener until ctx is done. Listeners on 587
// and 465 are for submission.
func (s *Server) Serve(ctx context.Context, ln net.Listener, l settings.Listener) error {
	o := s.options(l)
	if !Submission(l) {
		o.Known = s.protection.KnownSender
		o.Blocked = func(ip netip.Addr) bool {
			_, blocked := s.protection.Blocked(ip)
			return blocked
		}
		o.Refuse = func(c net.Conn) {
			if !s.refuseBlocked(c) {
				s.refuse(c)
			}
		}
	}
	return s.serve(ctx, ln, o, false)
}

// options are those of every listener.
func (s *Server) options(l settings.Listener) listen.Options {
	return listen.Options{
		Listener:    l,
		MaxSessions: func() int { return s.cfg.Get().Channels },
		Count:       &s.count,
		ClientIP:    s.accounts.ClientIP,
		Denied:      s.accounts.Protection().Denied,
		Log:         s.log.With(slog.String("tag", tag)),
		TLS:         s.tls(),
		Refuse:      s.refuse,
	}
}
func (s *Server) serve(ctx context.Context, ln net.Listener, o listen.Options, lmtp bool) error {
	return listen.Serve(ctx, ln, o, func(ctx context.Context, c net.Conn) { s.run(ctx, c, o.Listener, lmtp) })
}

// refuse is the word to one connection too many.
func (s *Server) refuse(c net.Conn) {
	_, local := listen.Addrs(c)
	// The connection is closed whether or not the client still reads this.
	_, _ = c.Write([]byte("421 4.7.0 " + s.accounts.DomainForIP(local) + " too many connections, try again later\r\n"))
}

// refuseBlocked is the word to a client on the temporary blacklist, before it has a session.
func (s *Server) refuseBlocked(c net.Conn) bool {
	remote, local := listen.Addrs(c)
	b, blocked := s.protection.Blocked(remote)
	if !blocked {
		return false
	}
	s.counts.TurnedAway.Inc(string(b.Cause))
	r := blockedReply(s.accounts.DomainForIP(local), remote, b)
	_, _ = c.Write(r.append(nil, "", true)) // as in refuse
	return true
}

// Connections are those of the module SMTP, LMTPConnections those of LMTP.
func (s *Server) Connections() *listen.Count     { return &s.count }
func (s *Server) LMTPConnections() *listen.Count { return &s.lmtpCount }

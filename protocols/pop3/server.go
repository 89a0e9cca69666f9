package pop3

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/router"
	"gatepost/server/counters"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

const tag = "POP"

// Server serves POP3 on any number of listeners.
type Server struct {
	settings *settings.Live[Settings]
	accounts *accounts.Store
	auth     *auth.Authenticator
	tls      func() *tls.Config
	log      *slog.Logger

	given    counters.Counter // commands
	count    listen.Count
	logins   lastLogins
	sessions atomic.Uint64 // numbers them in the log
}

// New returns a Server. tls returns the current configuration; if it is nil, STLS
// is not offered.
func New(cfg *settings.Live[Settings], acc *accounts.Store, r *router.Router, tls func() *tls.Config, log *slog.Logger) *Server {
	return &Server{settings: cfg, accounts: acc, auth: auth.New(acc, r, log), tls: tls, log: log}
}

// Serve runs sessions on a listener until ctx is done, and returns when all have
// ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener, l settings.Listener) error {
	return listen.Serve(ctx, ln, listen.Options{
		Listener:     l,
		MaxSessions:  func() int { return s.settings.Get().Channels },
		Count:        &s.count,
		LoginTimeout: func() time.Duration { return s.settings.Get().LoginTimeout.Duration() },
		ClientIP:     s.accounts.ClientIP,
		Denied:       s.accounts.Protection().Denied,
		Log:          logs.Component(s.log, tag),
		TLS:          s.tls(),
		Refuse:       refuse,
	}, func(ctx context.Context, c net.Conn) { s.handle(ctx, c, l.TLS) })
}

// Sessions is the number of sessions now.
func (s *Server) Sessions() int { return s.count.Open() }

// refuse answers a connection beyond the limit of sessions.
func refuse(c net.Conn) {
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err == nil {
		fmt.Fprint(c, "-ERR [SYS/TEMP] too many connections, try again later\r\n")
	}
}

// handle runs one session. listen closes the connection.
func (s *Server) handle(ctx context.Context, c net.Conn, mode settings.TLSMode) {
	remote, local := listen.Addrs(c)
	log := s.accounts.Protection().SessionLog(logs.Session(s.log, tag, s.sessions.Add(1), "["+remote.String()+"]"), remote)
	k := &session{
		Server: s,
		ctx:    ctx,
		log:    log,
		peer:   accounts.Peer{IP: remote, LocalIP: local, Service: auth.ServicePOP, Log: log},
		config: s.settings.Get(),
		host:   s.hostName(local.String(), s.accounts.DomainForIP(local)),
		stls:   mode == settings.TLSStart,
	}
	k.attach(c)
	defer k.end()
	k.run()
}

// hostName is the name that the greeting shows.
func (s *Server) hostName(local, domain string) string {
	if domain != "" {
		return domain
	}
	if domain = s.accounts.MainDomain(); domain != "" {
		return domain
	}
	return "[" + local + "]"
}

// Connections are those of the module.
func (s *Server) Connections() *listen.Count { return &s.count }

// Commands counts those that clients gave.
func (s *Server) Commands() *counters.Counter { return &s.given }

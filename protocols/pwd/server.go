package pwd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/router"
	"gatepost/server/admin"
	"gatepost/server/counters"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Server is the PWD module.
type Server struct {
	cfg      *settings.Live[Settings]
	acc      *accounts.Store
	auth     *auth.Authenticator
	admin    *admin.Admin
	tls      func() *tls.Config
	log      *slog.Logger
	commands map[string]*compiled
	given    counters.Counter // commands
	count    listen.Count
	slots    slots
	lines    budget
	sessions atomic.Uint64 // numbers them
}

// New makes the module. tls returns the configuration for STLS; where it returns
// nil there is no STLS.
func New(cfg *settings.Live[Settings], acc *accounts.Store, r *router.Router, a *admin.Admin, tls func() *tls.Config, log *slog.Logger) (*Server, error) {
	commands, err := compile()
	if err != nil {
		return nil, fmt.Errorf("pwd.New: %w", err)
	}
	s := &Server{
		cfg: cfg, acc: acc, auth: auth.New(acc, r, log), admin: a, tls: tls, log: log, commands: commands,
	}
	s.lines.limit = maxLines
	return s, nil
}

// Serve accepts connections until ctx is done and the sessions have ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener, l settings.Listener) error {
	return listen.Serve(ctx, ln, listen.Options{
		Listener:     l,
		MaxSessions:  func() int { return s.cfg.Get().MaxSessions },
		Count:        &s.count,
		LoginTimeout: func() time.Duration { return loginTimeout },
		ClientIP:     s.acc.ClientIP,
		Denied:       s.acc.Protection().Denied,
		Log:          logs.Component(s.log, "PWD"),
		TLS:          s.tls(),
		Refuse: func(c net.Conn) {
			// The peer is turned away; whether it reads why is its affair.
			_, _ = io.WriteString(c, "501 too many connections, try again later\r\n")
		},
	}, func(ctx context.Context, c net.Conn) { s.serve(ctx, c, l) })
}

// serve runs one session.
func (s *Server) serve(ctx context.Context, c net.Conn, l settings.Listener) {
	remote, local := listen.Addrs(c)
	_, secure := c.(*tls.Conn)
	n := s.sessions.Add(1)
	log := s.acc.Protection().SessionLog(logs.Session(s.log, "PWD", n, "["+remote.String()+"]"), remote)
	ses := &session{
		server: s, conn: c, number: n,
		peer:     accounts.Peer{IP: remote, LocalIP: local, TLS: secure, Service: "PWD", Log: log},
		startTLS: l.TLS == settings.TLSStart,
		log:      log,
	}
	ses.run(ctx)
}

// ServeControl runs one session on the control socket: whoever can open it owns
// the base directory, and acts as postmaster without a login. There is no
// greeting token, no time limit and no STLS; the commands of control.go are added.
func (s *Server) ServeControl(ctx context.Context, c net.Conn) {
	n := s.sessions.Add(1)
	ses := &session{
		server: s, conn: c, number: n, control: true, patient: true,
		log: logs.Session(s.log, "PWD", n, "[control.sock]"),
	}
	// This socket has no accept loop of package listen, which would wake the
	// session up when the server stops.
	unhook := context.AfterFunc(ctx, func() { c.Close() })
	defer unhook()
	// Nor is there anybody else who keeps a bug in a command from ending the server.
	defer func() {
		if p := recover(); p != nil {
			ses.log.Log(ctx, logs.LevelCrash, "session crashed", logs.AttrError, p, "stack", string(debug.Stack()))
		}
	}()
	ses.run(ctx)
}

// Connections are those of the module.
func (s *Server) Connections() *listen.Count { return &s.count }

// Commands counts those that clients gave, by all ways.
func (s *Server) Commands() *counters.Counter { return &s.given }

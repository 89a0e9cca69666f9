package http

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

// Server is one HTTP module, on any number of listeners.
type Server struct {
	module   string
	config   func() Config
	accounts *accounts.Store
	auth     *auth.Authenticator
	tls      func() *tls.Config
	port     func() int // of UsePort
	spoolDir string
	log      *slog.Logger

	mounts   mounts
	limiter  limiter
	counts   Counts
	count    listen.Count
	sessions atomic.Uint64 // numbers them in the log
	crashed  atomic.Int64  // requests that ended by a panic
}

// New returns a server for a module, HTTPA or HTTPU, which is also its tag in the log. Its settings are Settings or
// UserSettings. tls returns the configuration for listeners with TLS. spool is the directory for bodies that do not fit in
// memory.
func New[T any, C interface {
	*T
	Config
}](module string, cfg *settings.Live[T], acc *accounts.Store, r *router.Router, tls func() *tls.Config, spool string, log *slog.Logger) *Server {
	return &Server{
		module: module, config: func() Config { return C(cfg.Get()) }, accounts: acc, auth: auth.New(acc, r, log), tls: tls, spoolDir: spool, log: log,
		counts: Counts{Took: counters.Times()},
	}
}

// UsePort says where clients find the module over TLS, or 0 if nowhere. It is called before Serve; without it there is no such
// port.
func (s *Server) UsePort(port func() int) { s.port = port }

// securePort is where clients find the module over TLS, or 0.
func (s *Server) securePort() int {
	if s.port == nil {
		return 0
	}
	return s.port()
}

// Serve runs the connections of one listener until ctx is done, and returns when all have ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener, l settings.Listener) error {
	return listen.Serve(ctx, ln, listen.Options{
		Listener:    l,
		MaxSessions: func() int { return s.config().common().Channels },
		Count:       &s.count,
		ClientIP:    s.unlimited,
		Proxied:     s.proxied,
		Denied:      s.accounts.Protection().Denied,
		Log:         logs.Component(s.log, s.module),
		TLS:         alpn(s.tls()),
		Refuse:      refuseConnection,
	}, func(ctx context.Context, c net.Conn) { s.session(ctx, c) })
}

// Sessions is the number of connections now.
func (s *Server) Sessions() int { return s.count.Open() }

// alpn adds the protocols that we speak over TLS (RFC 7301). A client that offers others, but none
// of these, means another wire and is refused in the handshake.
func alpn(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	return config
}

// refuseConnection tells a client that it is one too many.
func refuseConnection(c net.Conn) {
	const text = "The server has too many connections. Try again later.\n"
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err == nil {
		fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Content-Length: %d\r\nRetry-After: 60\r\nConnection: close\r\n\r\n%s", len(text), text)
	}
}

// Connections are those of the module.
func (s *Server) Connections() *listen.Count { return &s.count }

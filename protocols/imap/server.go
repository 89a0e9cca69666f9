package imap

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/fulltext"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/router"
	"gatepost/server/counters"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Server serves IMAP on any number of listeners.
type Server struct {
	cfg        *settings.Live[Settings]
	acc        *accounts.Store
	access     *access.Resolver
	auth       *auth.Authenticator
	tls        func() *tls.Config
	log        *slog.Logger
	count      listen.Count
	commands   counters.Counter
	sessions   atomic.Uint64 // counts the sessions, for their numbers in the log
	processors chan struct{} // see timeslice
	texts      *fulltext.Index
}

// New returns a Server. tlsConfig returns the current TLS configuration, or nil if there is no certificate;
// then STARTTLS is not offered.
func New(cfg *settings.Live[Settings], acc *accounts.Store, r *router.Router, tlsConfig func() *tls.Config, log *slog.Logger) *Server {
	return &Server{cfg: cfg, acc: acc, access: access.New(acc, r), auth: auth.New(acc, r, log), tls: tlsConfig, log: log, processors: newProcessors()}
}

// UseTextIndex has searches look into an index of texts. It is called before Serve.
func (s *Server) UseTextIndex(x *fulltext.Index) { s.texts = x }

// Serve accepts connections until ctx is done, and returns when the last
// session has ended. Sessions say BYE when ctx is done.
func (s *Server) Serve(ctx context.Context, ln net.Listener, l settings.Listener) error {
	return listen.Serve(ctx, ln, listen.Options{
		Listener:     l,
		MaxSessions:  func() int { return s.cfg.Get().Channels },
		Count:        &s.count,
		LoginTimeout: func() time.Duration { return s.cfg.Get().LoginTimeout.Duration() },
		ClientIP:     s.acc.ClientIP,
		Denied:       s.acc.Protection().Denied,
		Log:          logs.Component(s.log, "IMAP"),
		TLS:          s.tls(),
		Refuse: func(c net.Conn) {
			// The connection is refused whether the client reads the reason or not.
			_, _ = io.WriteString(c, "* BYE [UNAVAILABLE] Too many connections, try again later\r\n")
		},
	}, func(ctx context.Context, c net.Conn) {
		newSession(s, ctx, c, l.TLS == settings.TLSStart).run()
	})
}

// Connections are those of the module.
func (s *Server) Connections() *listen.Count { return &s.count }

// Commands counts those that clients gave.
func (s *Server) Commands() *counters.Counter { return &s.commands }

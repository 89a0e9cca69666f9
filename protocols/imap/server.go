// Package imap serves mailboxes to mail clients: IMAP4rev1 and IMAP4rev2.
package imap

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"gatepost/accounts"
	"gatepost/router"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// Server serves IMAP on any number of listeners.
type Server struct {
	cfg    *settings.Live[Settings]
	acc    *accounts.Store
	router *router.Router
	tls    func() *tls.Config
	log    *slog.Logger
}

// New returns a Server. tlsConfig returns the configuration of the moment, or nil
// as long as there is no certificate; then STARTTLS is not offered.
func New(cfg *settings.Live[Settings], acc *accounts.Store, r *router.Router, tlsConfig func() *tls.Config, log *slog.Logger) *Server {
	return &Server{cfg: cfg, acc: acc, router: r, tls: tlsConfig, log: log}
}

// Serve accepts connections until ctx is done, and returns when the last
// session has ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener, l settings.Listener) error {
	return fault.New("imap.Serve", fault.Unsupported, "")
}

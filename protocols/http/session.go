package http

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/protocols/internal/listen"
	"gatepost/server/logs"
)

// The limits of an HTTP/2 connection (RFC 9113). What a client sends ahead is held in memory.
var http2Limits = http.HTTP2Config{
	MaxConcurrentStreams:          50,
	MaxReadFrameSize:              16 << 10,
	MaxReceiveBufferPerConnection: 256 << 10,
	MaxReceiveBufferPerStream:     128 << 10,
	SendPingTimeout:               time.Minute,
	PingTimeout:                   15 * time.Second,
}

// session is one connection.
type session struct {
	*Server
	ctx    context.Context // done when the server stops
	log    *slog.Logger
	config *Settings // as it was when the connection came

	remote, local netip.Addr
	tls           *tls.ConnectionState // nil without TLS

	requests atomic.Int64

	mu        sync.Mutex
	over      bool           // no request begins any more
	running   sync.WaitGroup // requests under way; added to under mu while not over
	lastLogin [sha256.Size]byte
}

// session serves one connection until it is closed and its last request has ended.
func (s *Server) session(ctx context.Context, c net.Conn) {
	k := &session{Server: s, ctx: ctx, config: s.config().common()}
	k.remote, k.local = listen.Addrs(c)
	k.log = s.accounts.Protection().SessionLog(logs.Session(s.log, s.module, s.sessions.Add(1), "["+k.remote.String()+"]"), k.remote)
	if t, ok := c.(*tls.Conn); ok {
		state := t.ConnectionState()
		k.tls = &state
	}
	protocol := http2Limits
	protocol.WriteByteTimeout = k.config.WriteTimeout.Duration()
	one := &oneListener{conn: c, closed: make(chan struct{})}
	server := &http.Server{
		Handler:                      k,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnState:                    one.state,
		ReadHeaderTimeout:            k.config.HeaderTimeout.Duration(),
		IdleTimeout:                  k.config.IdleTimeout.Duration(),
		MaxHeaderBytes:               int(k.config.HeaderSize),
		DisableGeneralOptionsHandler: true,
		HTTP2:                        &protocol,
		ErrorLog:                     slog.NewLogLogger(k.log.Handler(), logs.LevelLowLevel),
	}
	server.SetKeepAlivesEnabled(bool(k.config.KeepAlive))
	// The error is always that of one.Accept, after the connection has been closed.
	_ = server.Serve(one)
	k.end()
	k.log.LogAttrs(ctx, logs.LevelLowLevel, "session ended", slog.Int64("requests", k.requests.Load()))
}

// begin lets a request begin unless the connection has ended.
func (k *session) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return false
	}
	k.running.Add(1)
	return true
}

// end waits for the last request. Over HTTP/2, requests outlive their connection.
func (k *session) end() {
	k.mu.Lock()
	k.over = true
	k.mu.Unlock()
	k.running.Wait()
}

// oneListener gives an http.Server one connection, and ends it when that is closed.
type oneListener struct {
	conn   net.Conn
	given  bool // owned by the goroutine that calls Accept
	closed chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }

// state is told what becomes of the connection. No handler can hijack it: response does not
// let one.
func (l *oneListener) state(_ net.Conn, s http.ConnState) {
	if s == http.StateClosed {
		close(l.closed)
	}
}

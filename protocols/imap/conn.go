package imap

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

const (
	// writeTimeout is how long a client may take none of what is sent.
	writeTimeout = 5 * time.Minute
	// commandTimeout is how long a client may pause within a command.
	commandTimeout = 5 * time.Minute
)

// link is the session's end of the connection, with a deadline for each read and write.
type link struct {
	net.Conn // plain, or TLS over it
	// patience is how long a Read waits; 0 is for ever. It is changed only while
	// no Read is under way.
	patience    time.Duration
	interrupted atomic.Bool
	// failed is the first error of a Read, lost that of a Write. In IDLE, another
	// goroutine reads.
	failed, lost error
}

// Read reads within patience.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.read(p)
	if err != nil && l.failed == nil {
		l.failed = err
	}
	return n, err
}

func (l *link) read(p []byte) (int, error) {
	var deadline time.Time
	if l.patience > 0 {
		deadline = time.Now().Add(l.patience)
	}
	if err := l.Conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	if l.interrupted.Load() {
		if err := l.Conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return 0, err
		}
	}
	return l.Conn.Read(p)
}

// Write writes within writeTimeout.
func (l *link) Write(p []byte) (int, error) {
	err := l.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	n := 0
	if err == nil {
		n, err = l.Conn.Write(p)
	}
	if err != nil && l.lost == nil {
		l.lost = err
	}
	return n, err
}

// interrupt makes the Read that is under way in another goroutine, and all
// later ones, end at once. The flag and the order of the calls see to it that
// no Read sets its own deadline over this one.
func (l *link) interrupt() {
	l.interrupted.Store(true)
	// This fails only on a closed connection, where no Read waits.
	_ = l.Conn.SetReadDeadline(time.Unix(1, 0))
}

// tlsState returns the state of TLS, or nil outside it.
func (l *link) tlsState() *tls.ConnectionState {
	c, ok := l.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	st := c.ConnectionState()
	return &st
}

// linger reads and drops for a moment what the client still sends after we have ended the
// session in the middle of its input. Closing at once would make the system answer the
// input with a reset, which takes our last words from the client before it reads them.
func (l *link) linger() {
	if c, ok := l.Conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	if l.Conn.SetReadDeadline(time.Now().Add(2*time.Second)) != nil {
		return
	}
	var drop [4 << 10]byte
	for range 1 << 10 {
		if _, err := l.Conn.Read(drop[:]); err != nil {
			return
		}
	}
}

package imap

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

const (
	// writeTimeout is how long a client may read nothing of what is sent to it.
	writeTimeout = 5 * time.Minute
	// commandTimeout is how long a client may pause within a command.
	commandTimeout = 5 * time.Minute
)

// conn is the connection to the client, with a deadline for each read and write.
type conn struct {
	net.Conn // plain, or TLS over it
	// readTimeout is how long a Read waits; 0 is forever. It is changed only while
	// no Read is under way.
	readTimeout time.Duration
	interrupted atomic.Bool
	// readErr is the first error of a Read, writeErr that of a Write. In IDLE, another
	// goroutine reads.
	readErr, writeErr error
}

// Read reads within readTimeout.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if err != nil && c.readErr == nil {
		c.readErr = err
	}
	return n, err
}

func (c *conn) read(p []byte) (int, error) {
	var deadline time.Time
	if c.readTimeout > 0 {
		deadline = time.Now().Add(c.readTimeout)
	}
	if err := c.Conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	if c.interrupted.Load() {
		if err := c.Conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// Write writes within writeTimeout.
func (c *conn) Write(p []byte) (int, error) {
	err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	n := 0
	if err == nil {
		n, err = c.Conn.Write(p)
	}
	if err != nil && c.writeErr == nil {
		c.writeErr = err
	}
	return n, err
}

// interrupt makes the Read that is under way in another goroutine, and all
// later ones, return at once. A Read sets its deadline before it looks at the flag, so it
// cannot override the deadline that is set here.
func (c *conn) interrupt() {
	c.interrupted.Store(true)
	// This fails only on a closed connection, where no Read waits.
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// tlsState returns the state of TLS, or nil outside it.
func (c *conn) tlsState() *tls.ConnectionState {
	t, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	st := t.ConnectionState()
	return &st
}

// linger reads and discards for up to two seconds what the client still sends after the session has
// ended in the middle of its input. If the connection were closed at once, the system would answer the
// input with a reset, and the client might lose the last response before it has read it.
func (c *conn) linger() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(2*time.Second)) != nil {
		return
	}
	var buf [4 << 10]byte
	for range 1 << 10 {
		if _, err := c.Conn.Read(buf[:]); err != nil {
			return
		}
	}
}

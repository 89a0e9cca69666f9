package transcript

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A conn reads ahead all the time, so that a server on a net.Pipe never waits for
// the player while the player waits for the server. The reading goroutine
// owns nothing but the end of buf; close and upgrade wait for its end.
type conn struct {
	net.Conn
	skip bool // an S* was played: lines are skipped up to the next one expected

	mu     sync.Mutex
	buf    []byte // received and not yet expected
	err    error  // why the reading ended
	arrive chan struct{}
	done   chan struct{}
}

func newConn(c net.Conn) *conn {
	k := &conn{Conn: c}
	k.read()
	return k
}

// read starts the reading goroutine.
func (c *conn) read() {
	c.arrive, c.done, c.err = make(chan struct{}, 1), make(chan struct{}), nil
	go func(from net.Conn) {
		defer close(c.done)
		chunk := make([]byte, 16<<10)
		for {
			n, err := from.Read(chunk)
			c.mu.Lock()
			c.buf = append(c.buf, chunk[:n]...)
			c.err = err
			c.mu.Unlock()
			select {
			case c.arrive <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}(c.Conn)
}

func (c *conn) close() {
	c.Conn.Close()
	<-c.done
}

// upgrade turns the connection to TLS. The server must have sent nothing that was not
// expected yet: it would not be protected.
func (c *conn) upgrade(config *tls.Config, timeout time.Duration) error {
	if err := c.SetReadDeadline(time.Now()); err != nil {
		return err
	}
	<-c.done
	if len(c.buf) > 0 {
		return fmt.Errorf("before TLS the server also sent %q", c.buf)
	}
	secure := TLSClient(c.Conn, config)
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if err := secure.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	c.Conn = secure
	c.read()
	return nil
}

// send writes. A server that has gone is not an error here: the next line that is
// expected from it says so.
func (c *conn) send(b []byte, timeout time.Duration) error {
	if err := c.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return nil
	}
	_, err := c.Write(b)
	var e net.Error
	if errors.As(err, &e) && e.Timeout() {
		return fmt.Errorf("the server does not read: %w", err)
	}
	return nil
}

// ErrCut is how a TLS connection of TLSClient ends when the server has closed it without a
// close alert. An attacker can do that, too.
var ErrCut = errors.New("the server closed TLS without a close alert")

// TLSClient is tls.Client, except that the end of the connection reads as io.EOF only after
// a close alert; package tls alone tells no difference.
func TLSClient(c net.Conn, config *tls.Config) *tls.Conn { return tls.Client(uncut{c}, config) }

type uncut struct{ net.Conn }

func (u uncut) Read(p []byte) (int, error) {
	n, err := u.Conn.Read(p)
	if err == io.EOF {
		err = ErrCut
	}
	return n, err
}

var errTimeout = errors.New("the server says nothing")

// take waits until cut finds a piece at the front of what arrived, and removes it.
func (c *conn) take(timeout time.Duration, cut func(buf []byte) (n int)) ([]byte, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		c.mu.Lock()
		if n := cut(c.buf); n > 0 {
			piece := c.buf[:n:n]
			c.buf = c.buf[n:]
			c.mu.Unlock()
			return piece, nil
		}
		rest, err := c.buf, c.err
		c.mu.Unlock()
		if err != nil {
			return rest, fmt.Errorf("the server closed the connection: %w", err)
		}
		select {
		case <-c.arrive:
		case <-timer.C:
			return rest, errTimeout
		}
	}
}

// line takes one line with its end.
func (c *conn) line(timeout time.Duration) ([]byte, error) {
	return c.take(timeout, func(buf []byte) int { return bytes.IndexByte(buf, '\n') + 1 })
}

package rpop

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// maxLine bounds a line that is not text of a message, in bytes.
	maxLine = 64 << 10
	// maxListed bounds the messages of a list; what is beyond it waits until others are gone.
	maxListed = 100_000
	// maxPoll is how long a poll takes at most.
	maxPoll = time.Hour
	// dialLimit is how long a connection may take to come about.
	dialLimit = 30 * time.Second
)

// link is a connection to another server, with its limits of time.
type link struct {
	raw  net.Conn
	net  net.Conn // raw with deadlines, or TLS on it
	r    *bufio.Reader
	stop func() bool
}

// limited gives every read and write a time limit.
type limited struct {
	net.Conn
	step time.Duration
	end  time.Time
}

func (l *limited) deadline() time.Time {
	t := time.Now().Add(l.step)
	if t.After(l.end) {
		t = l.end
	}
	return t
}

func (l *limited) Read(p []byte) (int, error) {
	if err := l.SetReadDeadline(l.deadline()); err != nil {
		return 0, err
	}
	return l.Conn.Read(p)
}

func (l *limited) Write(p []byte) (int, error) {
	if err := l.SetWriteDeadline(l.deadline()); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// newLink makes a link of a connection, which ends with ctx.
func newLink(ctx context.Context, raw net.Conn, step time.Duration) *link {
	l := &link{raw: raw, net: &limited{raw, step, time.Now().Add(maxPoll)}}
	l.r = bufio.NewReaderSize(l.net, maxLine)
	l.stop = context.AfterFunc(ctx, func() { raw.Close() })
	return l
}

func (l *link) close() {
	l.stop()
	l.raw.Close()
}

// encrypt begins TLS. What came before it in clear must not be taken for what comes after it.
func (l *link) encrypt(ctx context.Context, config *tls.Config) error {
	if l.r.Buffered() > 0 {
		return errors.New("the server has sent more in clear before TLS")
	}
	secure := tls.Client(l.net, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	l.net = secure
	l.r.Reset(secure)
	return nil
}

// encrypted reports whether TLS protects the link.
func (l *link) encrypted() bool {
	_, ok := l.net.(*tls.Conn)
	return ok
}

// send writes a command.
func (l *link) send(line string) error {
	_, err := l.net.Write([]byte(line + "\r\n"))
	return err
}

// line reads a line without its end.
func (l *link) line() (string, error) {
	b, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("the server sends a line of more than %d bytes", maxLine)
	}
	if err != nil {
		return "", err
	}
	b = b[:len(b)-1]
	if len(b) > 0 && b[len(b)-1] == '\r' {
		b = b[:len(b)-1]
	}
	return string(b), nil
}

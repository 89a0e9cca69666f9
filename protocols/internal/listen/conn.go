package listen

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"gatepost/server/counters"
)

// Addrs returns the two ends of a connection, IPv4 in IPv6 unmapped and
// without zones. An end that is no IP address is the zero Addr.
func Addrs(c net.Conn) (remote, local netip.Addr) {
	return addr(c.RemoteAddr()), addr(c.LocalAddr())
}

func addr(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case nil:
		return netip.Addr{}
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// keepAlive finds peers that vanished without a word: after two minutes of
// silence, four probes. The idle limits of the sessions are longer.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 30 * time.Second, Count: 4}

// bounded returns raw as a connection that obeys the limit of its session's time, that
// limit, and the client's traffic.
func bounded(raw net.Conn, wire *counters.Wire) (net.Conn, *limit, *traffic) {
	now := time.Now()
	if t, ok := raw.(*net.TCPConn); ok {
		// A connection without keep-alive works; an error here shows at the next read.
		_ = t.SetKeepAliveConfig(keepAlive)
		c := &tcpConn{TCPConn: t, limit: limit{conn: t}, traffic: traffic{accepted: now, wire: wire}}
		return c, &c.limit, &c.traffic
	}
	c := &otherConn{Conn: raw, limit: limit{conn: raw}, traffic: traffic{accepted: now, wire: wire}}
	return c, &c.limit, &c.traffic
}

// tcpConn embeds the whole TCPConn, not the interface, so that vectored writes
// and sendfile still reach it.
type tcpConn struct {
	*net.TCPConn
	limit   limit
	traffic traffic
}

func (c *tcpConn) Read(p []byte) (int, error)  { return c.traffic.read(c.TCPConn, p) }
func (c *tcpConn) Write(p []byte) (int, error) { return c.traffic.write(c.TCPConn, p) }

// ReadFrom lets files go out without a copy.
func (c *tcpConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	c.traffic.wire.Sent.Add(n)
	return n, err
}

func (c *tcpConn) SetDeadline(t time.Time) error      { return c.limit.set(&t, &t) }
func (c *tcpConn) SetReadDeadline(t time.Time) error  { return c.limit.set(&t, nil) }
func (c *tcpConn) SetWriteDeadline(t time.Time) error { return c.limit.set(nil, &t) }

// otherConn is for connections that are not TCP: pipes in tests.
type otherConn struct {
	net.Conn
	limit   limit
	traffic traffic
}

func (c *otherConn) Read(p []byte) (int, error)         { return c.traffic.read(c.Conn, p) }
func (c *otherConn) Write(p []byte) (int, error)        { return c.traffic.write(c.Conn, p) }
func (c *otherConn) SetDeadline(t time.Time) error      { return c.limit.set(&t, &t) }
func (c *otherConn) SetReadDeadline(t time.Time) error  { return c.limit.set(&t, nil) }
func (c *otherConn) SetWriteDeadline(t time.Time) error { return c.limit.set(nil, &t) }

// limit passes the session's deadlines on to conn, except those that are later than
// its own: that of the login, until it is lifted, and that of a stop.
type limit struct {
	conn net.Conn

	mu      sync.Mutex
	stopped bool
	// No deadline is later than these; zero is no limit. Writes have StopGrace more
	// than reads, for the last words.
	read, write time.Time
}

// until sets the end of the time for the login.
func (l *limit) until(end time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.apply(end, end.Add(StopGrace))
	}
}

// lift takes the limit of until away.
func (l *limit) lift() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.apply(time.Time{}, time.Time{})
	}
}

// stop holds for good.
func (l *limit) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	now := time.Now()
	l.apply(earlier(now, l.read), earlier(now.Add(StopGrace), l.write))
}

// apply makes the limits hold for what is under way, too.
func (l *limit) apply(read, write time.Time) {
	l.read, l.write = read, write
	// These fail only on a closed connection, where nobody waits.
	_ = l.conn.SetReadDeadline(read)
	_ = l.conn.SetWriteDeadline(write)
}

func (l *limit) set(read, write *time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if read != nil {
		if err := l.conn.SetReadDeadline(earlier(*read, l.read)); err != nil {
			return err
		}
	}
	if write != nil {
		return l.conn.SetWriteDeadline(earlier(*write, l.write))
	}
	return nil
}

// earlier returns the earlier of two deadlines, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

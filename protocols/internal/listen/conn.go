package listen

import (
	"net"
	"net/netip"
	"sync"
	"time"
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

// stoppable returns raw as a connection that obeys a stop, and its order.
func stoppable(raw net.Conn) (net.Conn, *order) {
	if t, ok := raw.(*net.TCPConn); ok {
		// A connection without keep-alive works; an error here shows at the next read.
		_ = t.SetKeepAliveConfig(keepAlive)
		c := &tcpConn{TCPConn: t}
		c.order.conn = t
		return c, &c.order
	}
	c := &otherConn{Conn: raw}
	c.order.conn = raw
	return c, &c.order
}

// tcpConn embeds the whole TCPConn, not the interface, so that vectored writes
// and sendfile still reach it.
type tcpConn struct {
	*net.TCPConn
	order order
}

func (c *tcpConn) SetDeadline(t time.Time) error      { return c.order.set(&t, &t) }
func (c *tcpConn) SetReadDeadline(t time.Time) error  { return c.order.set(&t, nil) }
func (c *tcpConn) SetWriteDeadline(t time.Time) error { return c.order.set(nil, &t) }

// otherConn is for connections that are not TCP: pipes in tests.
type otherConn struct {
	net.Conn
	order order
}

func (c *otherConn) SetDeadline(t time.Time) error      { return c.order.set(&t, &t) }
func (c *otherConn) SetReadDeadline(t time.Time) error  { return c.order.set(&t, nil) }
func (c *otherConn) SetWriteDeadline(t time.Time) error { return c.order.set(nil, &t) }

// order passes deadlines on to conn, and after stop only those that are
// earlier than its own.
type order struct {
	conn net.Conn

	mu          sync.Mutex
	stopped     bool
	read, write time.Time // the latest deadlines after a stop
}

func (o *order) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.stopped, o.read, o.write = true, now, now.Add(StopGrace)
	// These fail only on a closed connection, where nobody waits.
	_ = o.conn.SetReadDeadline(o.read)
	_ = o.conn.SetWriteDeadline(o.write)
}

func (o *order) set(read, write *time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if read != nil {
		if err := o.conn.SetReadDeadline(o.bound(*read, o.read)); err != nil {
			return err
		}
	}
	if write != nil {
		return o.conn.SetWriteDeadline(o.bound(*write, o.write))
	}
	return nil
}

func (o *order) bound(t, latest time.Time) time.Time {
	if o.stopped && (t.IsZero() || t.After(latest)) {
		return latest
	}
	return t
}

package transcript

import (
	"net"
	"net/netip"
	"sync"
)

// Pipes is a listener whose connections are net.Pipes that show the addresses of TCP, so
// that a whole server runs in a synctest bubble.
type Pipes struct {
	local  *net.TCPAddr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewPipes returns a listener on a local address, such as 192.0.2.25:25.
func NewPipes(local string) *Pipes {
	return &Pipes{
		local:  net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local)),
		conns:  make(chan net.Conn),
		closed: make(chan struct{}),
	}
}

// Accept returns the server's end of the next Dial.
func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial.
func (p *Pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr is the local address.
func (p *Pipes) Addr() net.Addr { return p.local }

// Dial connects from an IP address and returns the client's end, once the server has
// accepted.
func (p *Pipes) Dial(from string) (net.Conn, error) {
	client, server := net.Pipe()
	remote := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 40000))
	select {
	case p.conns <- Addressed(server, p.local, remote):
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// From is a Dial from an IP address.
func (p *Pipes) From(ip string) Dial {
	return func() (net.Conn, error) { return p.Dial(ip) }
}

// Addressed is a connection that shows other addresses than its own.
func Addressed(c net.Conn, local, remote net.Addr) net.Conn {
	return &addressed{c, local, remote}
}

type addressed struct {
	net.Conn
	local, remote net.Addr
}

func (a *addressed) LocalAddr() net.Addr  { return a.local }
func (a *addressed) RemoteAddr() net.Addr { return a.remote }

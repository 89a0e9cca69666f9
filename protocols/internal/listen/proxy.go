package listen

import (
	"bufio"
	"net"
	"time"

	"github.com/pires/go-proxyproto"

	"gatepost/server/fault"
)

// proxyTimeout bounds the wait for a PROXY header, which a proxy sends at once.
const proxyTimeout = 5 * time.Second

// proxied is a connection that a proxy passes on: its ends are those of the client's connection to the proxy.
type proxied struct {
	net.Conn
	in            *bufio.Reader // what came with the header
	remote, local net.Addr
}

func (c *proxied) Read(p []byte) (int, error) {
	if c.in.Buffered() > 0 {
		return c.in.Read(p)
	}
	return c.Conn.Read(p)
}

func (c *proxied) RemoteAddr() net.Addr { return c.remote }
func (c *proxied) LocalAddr() net.Addr  { return c.local }

// readProxyHeader reads the header that a proxy sends before anything else (PROXY protocol, versions 1 and 2), and returns
// the connection with the ends that it names. A header that names none, such as that of the proxy's own health checks,
// leaves the connection as it is. Errors: Invalid without a header that can be read.
func readProxyHeader(c net.Conn) (net.Conn, error) {
	const op = "listen.Proxy"
	if err := c.SetReadDeadline(time.Now().Add(proxyTimeout)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(c)
	h, err := proxyproto.Read(in)
	if err != nil {
		return nil, &fault.Error{Op: op, Kind: fault.Invalid, Text: "the trusted proxy sends no PROXY header that can be read", Err: err}
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	p := &proxied{Conn: c, in: in, remote: c.RemoteAddr(), local: c.LocalAddr()}
	if from, to, ok := h.TCPAddrs(); ok && !h.Command.IsLocal() {
		p.remote, p.local = from, to
	}
	return p, nil
}

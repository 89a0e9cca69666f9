package listen

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"gatepost/protocols/transcript"
)

// alertInClear sends an alert without encryption in the place of the client's second
// flight, as some clients do under TLS 1.3.
type alertInClear struct {
	net.Conn
	hello bool
}

func (c *alertInClear) Write(p []byte) (int, error) {
	if !c.hello {
		c.hello = true
		return c.Conn.Write(p)
	}
	_, err := c.Conn.Write([]byte{21, 3, 3, 0, 2, 2, 48})
	return len(p), err
}

// seenEnough closes the connection in the place of the client's second flight.
type seenEnough struct{ alertInClear }

func (c *seenEnough) Write(p []byte) (int, error) {
	if !c.hello {
		c.hello = true
		return c.Conn.Write(p)
	}
	return 0, c.Conn.Close()
}

func TestFailedHandshakeIsExplained(t *testing.T) {
	config := transcript.ServerTLS(t)
	stranger := &tls.Config{ServerName: "elsewhere.test"}
	handshakes := func(c net.Conn, config *tls.Config) { _ = tls.Client(c, config).Handshake() }
	for name, test := range map[string]struct {
		client func(c net.Conn)
		want   string
	}{
		"certificate refused": {func(c net.Conn) { handshakes(c, stranger) },
			"the client does not accept the server's certificate: bad certificate"},
		"certificate refused, TLS 1.2": {func(c net.Conn) { handshakes(c, &tls.Config{ServerName: "x.test", MaxVersion: tls.VersionTLS12}) },
			"the client does not accept the server's certificate: bad certificate"},
		"certificate refused in the clear": {func(c net.Conn) { handshakes(&alertInClear{Conn: c}, stranger) },
			"the client does not accept the server's certificate: unknown certificate authority"},
		"closed at the certificate": {func(c net.Conn) { handshakes(&seenEnough{alertInClear{Conn: c}}, stranger) },
			"the client closed the connection when it had seen the server's certificate: most likely it does not accept it"},
		"closed at once": {func(net.Conn) {}, "the client closed the connection before the handshake"},
		"closed in the middle": {func(c net.Conn) { io.WriteString(c, "\x16\x03\x01") },
			"the client closed the connection during the handshake"},
		"another protocol": {func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.0\r\n\r\n") }, "the client does not speak TLS"},
		"old": {func(c net.Conn) {
			handshakes(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		},
			"client offered only unsupported versions: [302 301]"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			client, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer client.Close()
				test.client(client)
			}()
			server, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			if _, err = StartTLS(context.Background(), server, config); err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

package listen

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

const proxyIP = "10.0.0.1"

func isProxy(ip netip.Addr) bool { return ip == netip.MustParseAddr(proxyIP) }

// header is a PROXY header.
func header(t *testing.T, version byte, from, to string) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProxyHeader(t *testing.T) {
	v1 := header(t, 1, "198.51.100.7:4711", "192.0.2.1:443")
	local := "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	for name, x := range map[string]struct{ from, sends, want string }{
		"version 1":                {proxyIP, v1 + "hello\n", "198.51.100.7 192.0.2.1 hello\n"},
		"version 2":                {proxyIP, header(t, 2, "198.51.100.7:4711", "192.0.2.1:443") + "hello\n", "198.51.100.7 192.0.2.1 hello\n"},
		"version 2, IPv6":          {proxyIP, header(t, 2, "[2001:db8::7]:4711", "[2001:db8::1]:443") + "hello\n", "2001:db8::7 2001:db8::1 hello\n"},
		"a check of the proxy":     {proxyIP, local + "hello\n", "10.0.0.1 invalid IP hello\n"},
		"an unknown client":        {proxyIP, "PROXY UNKNOWN\r\nhello\n", "10.0.0.1 invalid IP hello\n"},
		"no header":                {proxyIP, "hello\n", ""},
		"a header that is cut":     {proxyIP, "PROXY TCP4 198.51.100.7", ""},
		"a bad header":             {proxyIP, "PROXY TCP4 198.51.100.7 x 1 2\r\nhello\n", ""},
		"not from a proxy":         {"203.0.113.5", v1 + "hello\n", "203.0.113.5 invalid IP " + v1 + "hello\n"},
		"two, of which one counts": {proxyIP, v1 + header(t, 1, "127.0.0.1:1", "127.0.0.1:2"), "198.51.100.7 192.0.2.1 " + header(t, 1, "127.0.0.1:1", "127.0.0.1:2")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				count := new(Count)
				s := start(t, Options{Proxied: isProxy, Count: count}, func(_ context.Context, c net.Conn) {
					said, err := io.ReadAll(c)
					remote, local := Addrs(c)
					got := fmt.Sprintf("%v %v %s", remote, local, said)
					if list := count.Connections(10); err != nil || got != x.want || len(list) != 1 || list[0].Remote != remote {
						t.Errorf("got %q, %v; listed %v", got, err, list)
					}
				})
				conn := s.ln.dial(x.from)
				if _, err := io.WriteString(conn, x.sends); err != nil {
					t.Error(err)
				}
				if x.want != "" {
					conn.Close()
				} else if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
					t.Errorf("a connection without a header: %q, %v", rest, err)
				}
				synctest.Wait()
				s.end(t)
				if refused := strings.Contains(s.log.String(), "no PROXY header that can be read"); refused != (x.want == "") {
					t.Errorf("the log: %s", s.log)
				}
			})
		})
	}
}

// TestProxyThatSaysNothing: it holds its slot for five seconds.
func TestProxyThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Options{Proxied: isProxy}, hold)
		began := time.Now()
		if got := hears(t, s.ln.dial(proxyIP)); got != "" || time.Since(began) != proxyTimeout {
			t.Errorf("hears %q after %v", got, time.Since(began))
		}
		s.end(t)
	})
}

// TestListHoldsForClientsOfAProxy: those that a proxy names, as well as the proxy.
func TestListHoldsForClientsOfAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Options{Proxied: isProxy, Listener: settings.Listener{Allow: mustList(t, "10.0.0.0/8\n192.0.2.0/24")}}, hold)
		for client, want := range map[string]string{"192.0.2.7": "hello", "198.51.100.7": ""} {
			c := s.ln.dial(proxyIP)
			go io.WriteString(c, header(t, 2, client+":4711", "192.0.2.1:443"))
			if got := hears(t, c); got != want {
				t.Errorf("%s hears %q", client, got)
			}
			c.Close()
		}
		s.end(t)
	})
}

// TestTLSBehindAProxyHeader: the header comes before the handshake.
func TestTLSBehindAProxyHeader(t *testing.T) {
	s := start(t, Options{Proxied: isProxy, Listener: settings.Listener{TLS: settings.TLSImplicit}, TLS: transcript.ServerTLS(t)}, func(_ context.Context, c net.Conn) {
		remote, _ := Addrs(c)
		fmt.Fprint(c, remote)
	})
	for _, version := range []byte{1, 2} {
		c := s.ln.dial(proxyIP)
		if _, err := io.WriteString(c, header(t, version, "198.51.100.7:4711", "192.0.2.1:443")); err != nil {
			t.Fatal(err)
		}
		if got := hears(t, tls.Client(c, &tls.Config{InsecureSkipVerify: true})); got != "198.51.100.7" {
			t.Errorf("the session sees %q", got)
		}
		c.Close()
	}
	s.end(t)
}

// TestClientsOfAProxyAreLimited: a proxy has no limit of its own, the clients that it names have theirs, and their lists.
func TestClientsOfAProxyAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := new(Count)
		o := Options{Count: count, Listener: settings.Listener{PerIP: 1, Proxies: mustList(t, proxyIP)},
			ClientIP: func(ip netip.Addr) bool { return ip == netip.MustParseAddr("192.0.2.9") },
			Denied:   func(ip netip.Addr) bool { return ip == netip.MustParseAddr("203.0.113.5") }}
		s := start(t, o, hold)
		dial := func(from string) string {
			c := s.ln.dial(proxyIP)
			go io.WriteString(c, header(t, 2, from+":4711", "192.0.2.1:25"))
			return hears(t, c)
		}
		for i, step := range []struct{ from, want string }{
			{"198.51.100.1", "hello"}, {"198.51.100.2", "hello"}, {"198.51.100.1", ""}, {"203.0.113.5", ""}, {"192.0.2.9", "hello"}, {"192.0.2.9", "hello"},
		} {
			if got := dial(step.from); got != step.want {
				t.Errorf("%d, %s hears %q, want %q", i, step.from, got, step.want)
			}
		}
		kinds := map[string]int{}
		for _, c := range count.Connections(10) {
			kinds[c.Kind]++
		}
		if kinds["client"] != 2 || kinds["stranger"] != 2 {
			t.Errorf("%v", kinds)
		}
		// Nobody else may send a header.
		c := s.ln.dial("198.51.100.66")
		if got := hears(t, c); got != "hello" {
			t.Errorf("not a proxy: %q", got)
		}
		s.end(t)
	})
}

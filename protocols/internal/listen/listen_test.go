package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// fakeListener accepts pipes that show an address, and errors.
type fakeListener struct {
	accept chan any // net.Conn or error
	closed chan struct{}
	once   sync.Once
}

func newListener() *fakeListener {
	return &fakeListener{accept: make(chan any), closed: make(chan struct{})}
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case v := <-l.accept:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(net.Conn), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects from an address.
func (l *fakeListener) dial(from string) net.Conn {
	near, far := net.Pipe()
	l.accept <- &pipe{far, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 1))}
	return near
}

type pipe struct {
	net.Conn
	remote net.Addr
}

func (p *pipe) RemoteAddr() net.Addr { return p.remote }

// started is a call of Serve.
type started struct {
	ln   *fakeListener
	stop context.CancelFunc
	done chan error
	log  *transcript.Log
}

func start(t *testing.T, o Options, handle func(context.Context, net.Conn)) *started {
	t.Helper()
	ln := newListener()
	return startOn(t, ln, ln, o, handle)
}

// startOn is start on a listener that is made of ln.
func startOn(t *testing.T, ln *fakeListener, on net.Listener, o Options, handle func(context.Context, net.Conn)) *started {
	t.Helper()
	s := &started{ln: ln, done: make(chan error, 1), log: new(transcript.Log)}
	o.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: logs.LevelAll}))
	o.Refuse = func(c net.Conn) { io.WriteString(c, "too many\r\n") }
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	go func() { s.done <- Serve(ctx, on, o, handle) }()
	return s
}

// end stops and expects a clean end.
func (s *started) end(t *testing.T) {
	t.Helper()
	s.stop()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

// hold is a session that says hello and then reads to the end.
func hold(_ context.Context, c net.Conn) {
	io.WriteString(c, "hello\r\n")
	io.Copy(io.Discard, c)
}

// hears returns what a connection says first, "" if it is closed.
func hears(t *testing.T, c net.Conn) string {
	t.Helper()
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(buf[:n]), "\r\n")
}

func mustList(t *testing.T, text string) settings.IPList {
	t.Helper()
	l, err := settings.ParseIPList(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := new(Count)
		o := Options{
			Listener:    settings.Listener{PerIP: 2, Allow: mustList(t, "192.0.2.0/24\n2001:db8::/32\n!192.0.2.66")},
			MaxSessions: func() int { return 5 },
			Count:       count,
			ClientIP:    func(ip netip.Addr) bool { return ip == netip.MustParseAddr("192.0.2.10") },
		}
		s := start(t, o, hold)
		var open []net.Conn
		for _, step := range []struct{ from, want string }{
			{"198.51.100.1", ""}, // not in the list
			{"192.0.2.66", ""},   // taken out of it
			{"192.0.2.1", "hello"},
			{"::ffff:192.0.2.1", "hello"}, // the same
			{"192.0.2.1", "too many"},
			{"2001:db8::1", "hello"},
			{"2001:db8::ffff", "hello"},
			{"2001:db8::2", "too many"}, // the third of the same /64
			{"192.0.2.10", "hello"},     // five in all
			{"192.0.2.10", "too many"},
		} {
			c := s.ln.dial(step.from)
			if got := hears(t, c); got != step.want {
				t.Errorf("%s hears %q, want %q", step.from, got, step.want)
			}
			if step.want == "hello" {
				open = append(open, c)
			}
		}
		if count.Open() != 5 || count.Refused() != 5 {
			t.Errorf("%d open, %d refused", count.Open(), count.Refused())
		}
		// Slots come back: four of a client, whose number is not limited.
		for _, c := range open {
			c.Close()
		}
		synctest.Wait()
		if count.Open() != 0 {
			t.Errorf("%d open after all were closed", count.Open())
		}
		for range 4 {
			c := s.ln.dial("192.0.2.10")
			if got := hears(t, c); got != "hello" {
				t.Errorf("a client hears %q", got)
			}
			defer c.Close()
		}
		s.end(t)
	})
}

func TestListenersOfAModuleShareTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{MaxSessions: func() int { return 1 }, Count: new(Count)}
		a, b := start(t, o, hold), start(t, o, hold)
		if got := hears(t, a.ln.dial("192.0.2.1")); got != "hello" {
			t.Error(got)
		}
		if got := hears(t, b.ln.dial("192.0.2.2")); got != "too many" {
			t.Error(got)
		}
		a.end(t)
		if got := hears(t, b.ln.dial("192.0.2.2")); got != "hello" {
			t.Error(got)
		}
		b.end(t)
	})
}

// TestARefusedClientThatDoesNotReadHoldsNothingUp: the accept loop goes on, and
// the connection is closed in the end.
func TestARefusedClientThatDoesNotReadHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Options{MaxSessions: func() int { return 1 }}, hold)
		first := s.ln.dial("192.0.2.1")
		hears(t, first)
		for range 3 * refusals {
			s.ln.dial("192.0.2.2") // never reads
		}
		synctest.Wait() // or the last of them gets the slot of the first
		first.Close()
		synctest.Wait()
		if got := hears(t, s.ln.dial("192.0.2.1")); got != "hello" {
			t.Errorf("%q; log: %s", got, s.log)
		}
		time.Sleep(refuseTimeout + time.Second)
		s.end(t)
	})
}

func TestOutOfDescriptorsBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Options{}, hold)
		begin := time.Now()
		for range 20 {
			s.ln.accept <- &net.OpError{Op: "accept", Err: &os.SyscallError{Syscall: "accept4", Err: syscall.EMFILE}}
		}
		if got := hears(t, s.ln.dial("192.0.2.1")); got != "hello" {
			t.Error(got)
		}
		if took := time.Since(begin); took < 10*time.Second || took > 15*time.Second {
			t.Errorf("20 failures took %v", took)
		}
		if n := strings.Count(s.log.String(), "cannot accept"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
		s.end(t)
	})
}

func TestABrokenListenerIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Options{}, hold)
		s.ln.accept <- errors.New("broken")
		if err := <-s.done; err == nil {
			t.Error("no error")
		}
		if err := Serve(t.Context(), newListener(), Options{Listener: settings.Listener{TLS: settings.TLSImplicit}}, hold); err == nil {
			t.Error("a TLS listener without a certificate")
		}
	})
}

func TestAPanicEndsOneSessionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := new(Count)
		s := start(t, Options{Count: count}, func(ctx context.Context, c net.Conn) {
			var none []int
			if remote, _ := Addrs(c); remote == netip.MustParseAddr("192.0.2.13") {
				_ = none[13]
			}
			hold(ctx, c)
		})
		if got := hears(t, s.ln.dial("192.0.2.13")); got != "" {
			t.Error(got)
		}
		if got := hears(t, s.ln.dial("192.0.2.1")); got != "hello" {
			t.Error(got)
		}
		s.end(t)
		if count.Crashed() != 1 || count.Open() != 0 || !strings.Contains(s.log.String(), "listen_test.go") {
			t.Errorf("%d crashed, %d open, log %s", count.Crashed(), count.Open(), s.log)
		}
	})
}

// TestStop: a session that reads, one that sets its own deadline later, one that
// writes to a client who does not read, and one in the middle of a handshake.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan string, 3)
		s := start(t, Options{}, func(ctx context.Context, c net.Conn) {
			if remote, _ := Addrs(c); remote == netip.MustParseAddr("192.0.2.2") {
				c.SetWriteDeadline(time.Now().Add(time.Hour))
				_, err := c.Write([]byte("nobody reads this"))
				ended <- "write " + err.Error()
				return
			}
			for ctx.Err() == nil {
				c.SetReadDeadline(time.Now().Add(time.Hour))
				if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
			}
			c.SetReadDeadline(time.Time{})
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a read after the stop: %v", err)
			}
			io.WriteString(c, "bye\r\n")
			ended <- "read"
		})
		reader := s.ln.dial("192.0.2.1")
		s.ln.dial("192.0.2.2")
		synctest.Wait()
		begin := time.Now()
		s.stop()
		if got := hears(t, reader); got != "bye" {
			t.Error(got)
		}
		if err := <-s.done; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != StopGrace {
			t.Errorf("the stop took %v", took)
		}
		if a, b := <-ended, <-ended; a != "read" || b != "write write pipe: i/o timeout" {
			t.Errorf("%s, %s", a, b)
		}
	})
}

func TestTLSFromTheFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Listener: settings.Listener{TLS: settings.TLSImplicit, PerIP: 1}, TLS: transcript.ServerTLS(t), Count: new(Count)}
		s := start(t, o, func(ctx context.Context, c net.Conn) {
			if state := c.(*tls.Conn).ConnectionState(); !state.HandshakeComplete {
				t.Error("the handshake is not done")
			}
			hold(ctx, c)
		})
		c := tls.Client(s.ln.dial("192.0.2.1"), &tls.Config{InsecureSkipVerify: true})
		if got := hears(t, c); got != "hello" {
			t.Error(got)
		}
		// One too many: closed without a handshake.
		if got := hears(t, s.ln.dial("192.0.2.1")); got != "" {
			t.Error(got)
		}
		// A client that never begins the handshake does not stay, and holds up nobody.
		begin := time.Now()
		silent := s.ln.dial("192.0.2.2")
		if got := hears(t, silent); got != "" || time.Since(begin) != HandshakeTimeout {
			t.Errorf("a silent client hears %q after %v", got, time.Since(begin))
		}
		// Nor does one that talks something else.
		plain := s.ln.dial("192.0.2.3")
		go io.WriteString(plain, "EHLO x\r\n")
		io.Copy(io.Discard, plain)
		stuck := s.ln.dial("192.0.2.4")
		synctest.Wait()
		begin = time.Now()
		go io.Copy(io.Discard, c)
		s.end(t)
		if took := time.Since(begin); took > StopGrace {
			t.Errorf("the stop took %v", took)
		}
		stuck.Close()
	})
}

// TestTCP runs over real sockets: keep-alive, vectored writes, addresses.
func TestTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- Serve(ctx, ln, Options{Log: slog.New(slog.DiscardHandler)}, func(ctx context.Context, c net.Conn) {
			if _, ok := c.(io.ReaderFrom); !ok {
				t.Error("sendfile is out of reach")
			}
			remote, local := Addrs(c)
			bufs := net.Buffers{[]byte(remote.String()), []byte(" " + local.String())}
			bufs.WriteTo(c)
			c.SetReadDeadline(time.Now().Add(time.Hour))
			c.Read(make([]byte, 1))
		})
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, len("127.0.0.1 127.0.0.1"))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "127.0.0.1 127.0.0.1" {
		t.Errorf("%q, %v", buf, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

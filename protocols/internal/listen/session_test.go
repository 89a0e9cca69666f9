package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

// patiently reads to the end, as a session does that gives its client an hour for each
// read, and returns how long that took.
func patiently(t *testing.T, c net.Conn) time.Duration {
	began := time.Now()
	for {
		c.SetDeadline(time.Now().Add(time.Hour))
		if _, err := c.Read(make([]byte, 100)); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the session ended with %v", err)
			}
			return time.Since(began)
		}
	}
}

const timeToLogIn = 3 * time.Minute

func limited() Options { return Options{LoginTimeout: func() time.Duration { return timeToLogIn }} }

// TestLoginHasOneTimeLimit: whatever a client does, it is out in time.
func TestLoginHasOneTimeLimit(t *testing.T) {
	config := transcript.ServerTLS(t)
	drip := func(t *testing.T, c net.Conn) {
		for range 100 {
			time.Sleep(10 * time.Second)
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}
	for name, test := range map[string]struct {
		session func(t *testing.T, ctx context.Context, c net.Conn) time.Duration
		client  func(t *testing.T, c net.Conn)
		want    time.Duration
	}{
		"silent": {
			func(t *testing.T, _ context.Context, c net.Conn) time.Duration { return patiently(t, c) },
			func(t *testing.T, c net.Conn) { io.Copy(io.Discard, c) }, timeToLogIn},
		"a byte now and then": {
			func(t *testing.T, _ context.Context, c net.Conn) time.Duration { return patiently(t, c) },
			drip, timeToLogIn},
		"takes no answer": {
			func(t *testing.T, _ context.Context, c net.Conn) time.Duration {
				began := time.Now()
				c.SetWriteDeadline(time.Now().Add(time.Hour))
				if _, err := io.WriteString(c, "hello"); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				return time.Since(began)
			},
			func(*testing.T, net.Conn) {}, timeToLogIn + StopGrace},
		"late handshake": {
			func(t *testing.T, ctx context.Context, c net.Conn) time.Duration {
				began := time.Now()
				time.Sleep(timeToLogIn - time.Second)
				if _, err := StartTLS(ctx, c, config); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				return time.Since(began)
			},
			func(t *testing.T, c net.Conn) { io.Copy(io.Discard, c) }, timeToLogIn},
		"a byte now and then in TLS": {
			func(t *testing.T, ctx context.Context, c net.Conn) time.Duration {
				began := time.Now()
				time.Sleep(time.Minute)
				secure, err := StartTLS(ctx, c, config)
				if err != nil {
					t.Error(err)
					return 0
				}
				patiently(t, secure)
				return time.Since(began)
			},
			func(t *testing.T, c net.Conn) {
				secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				if err := secure.Handshake(); err != nil {
					t.Error(err)
				}
				go io.Copy(io.Discard, secure)
				drip(t, secure)
			}, timeToLogIn},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took := make(chan time.Duration, 1)
				s := start(t, limited(), func(ctx context.Context, c net.Conn) { took <- test.session(t, ctx, c) })
				c := s.ln.dial("192.0.2.1")
				var client sync.WaitGroup
				client.Go(func() { test.client(t, c) })
				if d := <-took; d != test.want {
					t.Errorf("the session took %v, want %v", d, test.want)
				}
				s.end(t)
				c.Close()
				client.Wait()
			})
		})
	}
}

// TestHandshakeCountsForTheLogin on a listener with TLS from the first byte.
func TestHandshakeCountsForTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := limited()
		o.Listener.TLS, o.TLS = settings.TLSImplicit, transcript.ServerTLS(t)
		began, took := time.Now(), make(chan time.Duration, 1)
		s := start(t, o, func(_ context.Context, c net.Conn) {
			patiently(t, c)
			took <- time.Since(began)
		})
		c := tls.Client(s.ln.dial("192.0.2.1"), &tls.Config{InsecureSkipVerify: true})
		time.Sleep(HandshakeTimeout - time.Second)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, c)
		if d := <-took; d != timeToLogIn {
			t.Errorf("%v from the connection to its end", d)
		}
		s.end(t)
	})
}

func TestLoggedInLiftsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := make(chan time.Duration, 1)
		s := start(t, limited(), func(ctx context.Context, c net.Conn) {
			time.Sleep(timeToLogIn - time.Second)
			LoggedIn(ctx)
			took <- patiently(t, c)
		})
		c := s.ln.dial("192.0.2.1")
		go io.Copy(io.Discard, c)
		if d := <-took; d != time.Hour {
			t.Errorf("%v after the login", d)
		}
		s.end(t)
		c.Close()
	})
}

// TestAStopOutlastsTheLogin: who logs in at the moment of a stop is not spared.
func TestAStopOutlastsTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, limited(), func(ctx context.Context, c net.Conn) {
			<-ctx.Done()
			synctest.Wait()
			LoggedIn(ctx)
			if d := patiently(t, c); d != 0 {
				t.Errorf("read for %v after the stop", d)
			}
		})
		c := s.ln.dial("192.0.2.1")
		synctest.Wait()
		s.end(t)
		c.Close()
	})
}

// TestTLSEndsWithACloseAlert however it was started.
func TestTLSEndsWithACloseAlert(t *testing.T) {
	for _, mode := range []settings.TLSMode{settings.TLSStart, settings.TLSImplicit} {
		for _, stop := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				config := transcript.ServerTLS(t)
				o := Options{Listener: settings.Listener{TLS: mode}, TLS: config}
				s := start(t, o, func(ctx context.Context, c net.Conn) {
					if mode == settings.TLSStart {
						secure, err := StartTLS(ctx, c, config)
						if err != nil {
							t.Error(err)
							return
						}
						c = secure
					}
					io.WriteString(c, "hello\r\n")
					if stop {
						c.Read(make([]byte, 1))
					}
				})
				c := transcript.TLSClient(s.ln.dial("192.0.2.1"), &tls.Config{InsecureSkipVerify: true})
				if got := hears(t, c); got != "hello" {
					t.Error(got)
				}
				if stop {
					s.stop()
				}
				if _, err := c.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("mode %v, stop %v: the session ended with %v", mode, stop, err)
				}
				s.end(t)
			})
		}
	}
}

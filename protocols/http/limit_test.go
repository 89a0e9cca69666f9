package http

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatepost/protocols/transcript"
	"gatepost/server/fault"
)

// untilClosed reads to the end of the connection and returns how long that took and what came.
func (c *raw) untilClosed() (time.Duration, string) {
	c.t.Helper()
	began := time.Now()
	rest, err := io.ReadAll(c.in)
	if err != nil {
		c.t.Fatal(err)
	}
	return time.Since(began), string(rest)
}

// TestSlowClientsAreLeft: one that says nothing, one that sends a header byte by byte, one that does
// so with its body, and one that is idle after a request.
func TestSlowClientsAreLeft(t *testing.T) {
	var dripping sync.WaitGroup
	drip := func(c *raw, text string, every time.Duration) {
		dripping.Go(func() {
			for _, b := range []byte(text) {
				time.Sleep(every)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		})
	}
	for name, c := range map[string]struct {
		do          func(c *raw)
		least, most time.Duration
		says        string
	}{
		"silent": {func(c *raw) {}, 20 * time.Second, 21 * time.Second, ""},
		"slow header": {func(c *raw) {
			drip(c, "GET /show HTTP/1.1\r\nHost: company.com\r\nX: "+strings.Repeat("y", 1000), time.Second)
		}, 20 * time.Second, 21 * time.Second, ""},
		"slow second header": {func(c *raw) {
			c.send("GET /show HTTP/1.1\r\nHost: company.com\r\n\r\nGET ")
			c.response("GET")
			drip(c, "/show HTTP/1.1\r\nHost: company.com\r\nX: "+strings.Repeat("y", 1000), time.Second)
		}, 20 * time.Second, 21 * time.Second, ""},
		"idle": {func(c *raw) {
			c.send("GET /show HTTP/1.1\r\nHost: company.com\r\n\r\n")
			c.response("GET")
		}, 2 * time.Minute, 2*time.Minute + time.Second, ""},
		"body that stops": {func(c *raw) {
			c.send("POST /show HTTP/1.1\r\nHost: company.com\r\nContent-Length: 1000\r\n\r\nabc")
		}, time.Minute, time.Minute + 6*time.Second, "408 Request Timeout"},
		"slow body": {func(c *raw) {
			c.send("POST /show HTTP/1.1\r\nHost: company.com\r\nContent-Length: 1000\r\n\r\nabc")
			drip(c, strings.Repeat("y", 1000), 30*time.Second)
		}, 6 * time.Minute, 6*time.Minute + time.Minute, "408 Request Timeout"},
		"slow chunks": {func(c *raw) {
			c.send("POST /show HTTP/1.1\r\nHost: company.com\r\nTransfer-Encoding: chunked\r\n\r\n")
			drip(c, strings.Repeat("1\r\nx\r\n", 1000), 5*time.Second)
		}, 6 * time.Minute, 6*time.Minute + time.Minute, "408 Request Timeout"},
		"body that nobody reads": {func(c *raw) {
			c.send("POST /fail/ HTTP/1.1\r\nHost: company.com\r\nContent-Length: 1000\r\n\r\nabc")
		}, 0, 6 * time.Second, "405 Method Not Allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t, options{})
				k := f.connect(remote)
				c.do(k)
				took, said := k.untilClosed()
				k.Close()
				dripping.Wait()
				if took < c.least || took > c.most || !strings.Contains(said, c.says) {
					t.Errorf("closed after %v, with %q", took, said)
				}
				f.stop()
			})
		})
	}
}

func TestSlowReaderIsLeft(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		ended := make(chan error, 1)
		f := newFixture(t, options{before: func(f *fixture) {
			f.mount("/large", Options{}, func(w http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(w, io.LimitReader(zeros{}, 1<<30))
				ended <- err
			})
		}})
		k := f.connect(remote)
		k.send("GET /large HTTP/1.1\r\nHost: company.com\r\n\r\n")
		began := time.Now()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the part sees %v", err)
		}
		if took := time.Since(began); took < 2*time.Minute || took > 3*time.Minute {
			t.Errorf("after %v", took)
		}
		f.stop()
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestPartMayTakeItsTime: the limits are the client's, not the part's.
func TestPartMayTakeItsTime(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t, options{listener: tlsListener})
				c := f.client(remote, h2)
				go func() {
					time.Sleep(time.Hour)
					close(f.held)
				}()
				resp, err := c.Post("https://company.com/held", "text/plain", strings.NewReader("a body"))
				must(t, err)
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || string(body) != "let go\n" {
					t.Errorf("%s %q %v", resp.Status, body, err)
				}
				c.CloseIdleConnections()
				f.stop()
			})
		})
	}
}

func TestRequestsAtATimeAreLimited(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t, options{config: func(s *UserSettings) { s.Requests, s.RequestsPerIP = 6, 2 }})
		var waiting []*raw
		hold := func(from string) *raw {
			c := f.connect(from)
			c.send("GET /held HTTP/1.1\r\nHost: company.com\r\n\r\n")
			synctest.Wait()
			return c
		}
		for _, step := range []struct {
			from string
			want int
		}{
			{"198.51.100.1", 0}, {"198.51.100.1", 0}, {"198.51.100.1", 429},
			{"2001:db8::1", 0}, {"198.51.100.2", 503}, {loopback, 0}, {loopback, 0}, {loopback, 0}, {loopback, 503}, {"198.51.100.2", 503},
		} {
			c := hold(step.from)
			if step.want == 0 {
				waiting = append(waiting, c)
				continue
			}
			if status, body := c.response("GET"); status != step.want {
				t.Errorf("%s: %d %s", step.from, status, body)
			}
		}
		close(f.held)
		for _, c := range waiting {
			if status, _ := c.response("GET"); status != 200 {
				t.Errorf("one that waited: %d", status)
			}
			c.Close()
		}
		// A Client IP has the total alone to respect.
		f.held = make(chan struct{})
		for range 6 {
			waiting = append(waiting, hold(loopback))
		}
		if n := f.holding.Load(); n != 6 {
			t.Errorf("%d requests of a Client IP run", n)
		}
		close(f.held)
		f.stop()
	})
}

// TestStrangersLeaveRequestsToUsers: strangers whose bodies do not come to their end take no place from
// users and from Client IPs.
func TestStrangersLeaveRequestsToUsers(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t, options{accounts: true, config: func(s *UserSettings) { s.Requests = 4 }})
		must(t, f.accounts.SetClientIPs(t.Context(), "192.0.2.9"))
		for range 5 {
			c := f.connect("198.51.100.1")
			c.send("POST /show HTTP/1.1\r\nHost: company.com\r\nContent-Length: 1000\r\n\r\nabc")
			synctest.Wait()
		}
		if got := f.answerTo("198.51.100.2", "/show", ""); !strings.Contains(got, "503 Service Unavailable") {
			t.Errorf("another stranger: %s", got)
		}
		if got := f.answerTo(loopback, "/mine/x", basic("user1", "secret 1")); !strings.Contains(got, "account=user1@company.com") {
			t.Errorf("a user: %s", got)
		}
		if got := f.answerTo("192.0.2.9", "/show", ""); !strings.Contains(got, "200 OK") {
			t.Errorf("a Client IP: %s", got)
		}
		f.stop()
	})
}

// TestStop: a request that runs is answered, one whose body is coming is refused, a connection that
// is idle is closed, and all of that at once.
func TestStop(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t, options{})
		running, sending, idle := f.connect(remote), f.connect(remote), f.connect(remote)
		running.send("GET /held HTTP/1.1\r\nHost: company.com\r\n\r\n")
		sending.send("POST /show HTTP/1.1\r\nHost: company.com\r\nContent-Length: 10\r\n\r\nabc")
		idle.send("GET /show HTTP/1.1\r\nHost: company.com\r\n\r\n")
		idle.response("GET")
		synctest.Wait()
		began := time.Now()
		go f.stop()
		for name, c := range map[string]*raw{"running": running, "sending": sending} {
			if status, body := c.response("GET"); status != 503 || !strings.Contains(body, "stopping") {
				t.Errorf("%s: %d %s", name, status, body)
			}
		}
		if _, said := idle.untilClosed(); said != "" {
			t.Errorf("idle: %s", said)
		}
		f.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

// TestStopWaitsForRequestsOverHTTP2: they outlive their connection, and must not outlive the server.
func TestStopWaitsForRequestsOverHTTP2(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		ended := false
		f := newFixture(t, options{listener: tlsListener, before: func(f *fixture) {
			f.mount("/stubborn", Options{}, func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				time.Sleep(3 * time.Second)
				ended = true
			})
		}})
		c := f.client(remote, true)
		go func() {
			if resp, err := c.Get("https://company.com/stubborn"); err == nil {
				resp.Body.Close()
			}
		}()
		synctest.Wait()
		f.stop()
		if !ended {
			t.Error("the stop is over before the request is")
		}
	})
}

func TestSpooledBodies(t *testing.T) {
	for name, size := range map[string]int64{"empty": 0, "small": 10, "just in memory": inMemory, "in a file": inMemory + 1, "large": 5 << 20} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, options{config: func(s *UserSettings) { s.RequestSize = 6 << 20 }, before: func(f *fixture) {
				f.mount("/spool", Options{Methods: []string{"POST"}}, func(w http.ResponseWriter, r *http.Request) {
					s, err := Of(r.Context()).Spool(r.Body)
					if err != nil {
						Refuse(w, r, err)
						return
					}
					defer s.Close()
					if (s.file != nil) != (s.Size > inMemory) {
						t.Errorf("%d bytes in a file: %t", s.Size, s.file != nil)
					}
					io.Copy(w, s)
				})
			}})
			want := bytes.Repeat([]byte("0123456789"), int(size/10+1))[:size]
			resp, err := f.client(loopback, false).Post("http://company.com/spool", "text/plain", bytes.NewReader(want))
			must(t, err)
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
		})
	}
}

func TestBodyThatBreaksOffLeavesNothing(t *testing.T) {
	failed := make(chan error, 1)
	f := newFixture(t, options{before: func(f *fixture) {
		f.mount("/spool", Options{Methods: []string{"POST"}}, func(w http.ResponseWriter, r *http.Request) {
			s, err := Of(r.Context()).Spool(r.Body)
			if err == nil {
				s.Close()
			}
			failed <- err
		})
	}})
	c := f.connect(loopback)
	c.send("POST /spool HTTP/1.1\r\nHost: company.com\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 100_000))
	c.Close()
	if err := <-failed; err == nil {
		t.Error("half a body is taken for the whole")
	}
	f.stop() // looks for files
}

func TestFullDiskIsTold(t *testing.T) {
	f := newFixture(t, options{before: func(f *fixture) {
		f.server.spoolDir = f.spool + "/none"
		f.mount("/spool", Options{Methods: []string{"POST"}}, func(w http.ResponseWriter, r *http.Request) {
			_, err := Of(r.Context()).Spool(r.Body)
			Refuse(w, r, err)
		})
	}})
	resp, err := f.client(loopback, false).Post("http://company.com/spool", "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != 500 {
		t.Errorf("%s", resp.Status)
	}
	f.stop()
	if !strings.Contains(f.log.String(), "no such file or directory") {
		t.Errorf("the cause is not in the log: %s", f.log)
	}
	if status, _ := told(fault.Wrap("test", fault.Internal, &os.PathError{Op: "write", Err: syscall.ENOSPC})); status != 507 {
		t.Errorf("no space: %d", status)
	}
}

// TestResetFlood opens and resets streams of one connection as fast as it can (CVE-2023-44487): no more
// requests run at a time than streams may be open, and the server lives on.
func TestResetFlood(t *testing.T) {
	f := newFixture(t, options{listener: tlsListener})
	conn := f.connect(remote)
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	must(t, c.HandshakeContext(t.Context()))
	_, err := io.WriteString(c, http2.ClientPreface)
	must(t, err)
	fr := http2.NewFramer(c, c)
	must(t, fr.WriteSettings())
	go io.Copy(io.Discard, c)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	most := int64(0)
	for id := uint32(1); id < 100_000; id += 2 {
		block.Reset()
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "company.com"}, {":path", "/held"}} {
			must(t, enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
		}
		if fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}) != nil {
			break // closed by the server, which is a defence, too
		}
		if fr.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
		most = max(most, f.holding.Load())
	}
	if most > int64(http2Limits.MaxConcurrentStreams) {
		t.Errorf("%d requests ran at a time", most)
	}
	c.Close()
	f.stop()
	f.start(tlsListener)
	if status, _ := get(t, f.client(remote, true), "https://company.com/show"); status != 200 {
		t.Errorf("after the flood: %d", status)
	}
}

// TestEndlessHeaderBlock sends CONTINUATION frames without an end (CVE-2023-45288).
func TestEndlessHeaderBlock(t *testing.T) {
	f := newFixture(t, options{listener: tlsListener})
	conn := f.connect(remote)
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	must(t, c.HandshakeContext(t.Context()))
	_, err := io.WriteString(c, http2.ClientPreface)
	must(t, err)
	fr := http2.NewFramer(c, c)
	must(t, fr.WriteSettings())
	go io.Copy(io.Discard, c)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	must(t, enc.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 8000)}))
	must(t, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()}))
	for sent := 0; ; sent += block.Len() {
		if fr.WriteContinuation(1, false, block.Bytes()) != nil {
			break
		}
		if sent > 64<<20 {
			t.Fatal("the server reads a header without an end")
		}
	}
}

// TestOtherProtocolsAreRefusedInTheHandshake: a client that speaks another wire is told so by ALPN.
func TestOtherProtocolsAreRefusedInTheHandshake(t *testing.T) {
	f := newFixture(t, options{listener: tlsListener})
	c := tls.Client(f.connect(remote), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"imap"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.HandshakeContext(ctx); err == nil {
		t.Error("a handshake for imap succeeds")
	}
}

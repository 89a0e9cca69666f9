package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// A forwarder passes mail on while it takes it: h0007.relay.test to the address of host 7.
type forwarder struct {
	port string

	mu   sync.Mutex
	sent int
}

func (f *forwarder) NewSession(*smtp.Conn) (smtp.Session, error) { return &forwarding{f: f}, nil }

type forwarding struct {
	f    *forwarder
	rcpt string
}

func (*forwarding) Reset()                                     {}
func (*forwarding) Logout() error                              { return nil }
func (*forwarding) Mail(string, *smtp.MailOptions) error       { return nil }
func (s *forwarding) Rcpt(r string, _ *smtp.RcptOptions) error { s.rcpt = r; return nil }

func (s *forwarding) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(s.rcpt, "@")
	host, err := strconv.Atoi(domain[1:5])
	if err != nil {
		return err
	}
	c, err := dialSMTP(context.Background(), &smtpCommand{Addr: net.JoinHostPort(hostIP(host), s.f.port), Pipelining: true})
	if err != nil {
		return nil // it refuses; its mail waits for ever
	}
	defer c.quit()
	s.f.mu.Lock()
	s.f.sent++
	s.f.mu.Unlock()
	_, _, err = c.transaction("x@bench.test", s.rcpt, text)
	return err
}

func forward(t *testing.T, f *forwarder) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free, for all hosts
	if err != nil {
		t.Fatal(err)
	}
	_, f.port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	s := smtp.NewServer(f)
	s.ErrorLog = nolog{}
	return serve(t, s)
}

func TestRelayToManyHosts(t *testing.T) {
	f := &forwarder{}
	addr := forward(t, f)
	var text bytes.Buffer
	c := &relayCommand{Addr: addr, Sink: ":" + f.port, Conns: 3, Messages: 40, Size: 500, Repeat: 1, Hosts: 10, Refusing: 2, Limit: deadline}
	if err := c.Run(t.Context(), &report{w: &text}); err != nil {
		t.Fatal(err)
	}
	if f.sent != 32 || !strings.Contains(text.String(), "n=32") {
		t.Errorf("%d messages sent on\n%s", f.sent, &text)
	}
}

func TestRelayRoutes(t *testing.T) {
	var text bytes.Buffer
	c := &relayCommand{Sink: ":2600", Hosts: 300, Routes: "gatepost"}
	if err := c.Run(t.Context(), &report{w: &text}); err != nil {
		t.Fatal(err)
	}
	if want := "Relay:h0299.relay.test = h0299.relay.test@[127.1.1.50]:2600._via\n"; !strings.HasSuffix(text.String(), want) {
		t.Errorf("%s", &text)
	}
	c.Silent = 300
	if err := c.Run(t.Context(), &report{w: &text}); err == nil {
		t.Error("no host is left that answers")
	}
}

// A message that comes twice is a finding, unless it was the last that a client has sent.
func TestRemoteCountsWhatComesTwice(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := newRemote(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(quit bool, ids ...string) {
		t.Helper()
		c, err := dialSMTP(ctx, &smtpCommand{Addr: r.addr, Pipelining: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, id := range ids {
			if _, _, err := c.transaction("a@bench.test", "b@relay.test", newMessage(id, "a", "b", 300)); err != nil {
				t.Fatal(err)
			}
		}
		if quit {
			c.quit()
		}
	}
	ledger := filepath.Join(t.TempDir(), "ledger")
	owe := func(ids ...string) {
		var lines string
		for _, id := range ids {
			lines += id + "\tu@relay.test\tok\n"
		}
		if err := os.WriteFile(ledger, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	send(false, "1@gatebench", "2@gatebench") // a client that was killed
	send(true, "2@gatebench", "3@gatebench")
	cancel()
	r.sink.all.Wait()
	owe("1@gatebench", "2@gatebench", "3@gatebench")
	if n, twice, allowed, err := r.look([]string{ledger}); n != 3 || twice != 1 || allowed != 1 || err != nil {
		t.Errorf("%d messages, %d twice, %d allowed: %v", n, twice, allowed, err)
	}
	owe("1@gatebench", "4@gatebench")
	if _, _, _, err := r.look([]string{ledger}); !errors.Is(err, errFindings) {
		t.Errorf("a message is missing: %v", err)
	}
	owe("1@gatebench")
	r.came["3@gatebench"]++
	if _, _, _, err := r.look([]string{ledger}); !errors.Is(err, errFindings) {
		t.Errorf("a message came twice: %v", err)
	}
}

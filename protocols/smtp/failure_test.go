package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"gatepost/protocols/transcript"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

func TestEveryFailureHasItsReply(t *testing.T) {
	for _, kind := range fault.Kinds() {
		r, ok := replies[kind]
		if !ok {
			t.Errorf("%v has no reply", kind)
			continue
		}
		if r.enhanced[0] != r.code/100 {
			t.Errorf("%v: %d and %v disagree", kind, r.code, r.enhanced)
		}
		if kind.Temporary() && r.code >= 500 {
			t.Errorf("%v is temporary and answered %d", kind, r.code)
		}
		if r.code < 400 || r.text == "" {
			t.Errorf("%v: %+v is no refusal", kind, r)
		}
	}
}

func TestRepliesHideCauses(t *testing.T) {
	err := fault.Wrap("queue.Commit", fault.Internal, errors.New("open /secret/path"))
	if got := replyTo(err); got != replies[fault.Internal] {
		t.Errorf("%+v", got)
	}
	err = fault.Wrap("queue.Commit", fault.Internal, fmt.Errorf("write: %w", syscall.ENOSPC))
	if got := replyTo(err); got != replies[fault.NoSpace] {
		t.Errorf("%+v", got)
	}
	err = fault.New("rules", fault.Rejected, "no \r\n250 jokes\x00 please")
	if got := string(replyTo(err).append(nil, "", true)); got != "550 5.7.1 no   250 jokes  please\r\n" {
		t.Errorf("%q", got)
	}
}

// broken is a submission that fails at one step.
type broken struct {
	write, commit error
	aborted       *atomic.Int32
	bytes         *atomic.Int64
}

func (b *broken) MessageID() string                { return "" }
func (b *broken) ID() envelope.QueueID             { return 4711 }
func (b *broken) Commit(ctx context.Context) error { return b.commit }
func (b *broken) Abort()                           { b.aborted.Add(1) }
func (b *broken) Write(p []byte) (int, error) {
	b.bytes.Add(int64(len(p)))
	return len(p), b.write
}

// TestFailuresOfTheQueueReachTheClient lets every kind of failure happen at
// every step of a message. The client hears it where it expects an answer, and
// the session goes on.
func TestFailuresOfTheQueueReachTheClient(t *testing.T) {
	bubble(t, func(s *Settings) { s.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO x.example", "250-")
		begin := func() {
			c.say("MAIL FROM:<a@example.net>", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
		}
		for _, kind := range fault.Kinds() {
			want := string(replies[kind].append(nil, "", true)[:9])
			fail := fault.New("queue", kind, "")
			var aborted atomic.Int32
			var n atomic.Int64

			s.server.begin = func(context.Context, *envelope.Envelope) (submission, error) { return nil, fail }
			begin()
			c.say("DATA", want)
			c.say("DATA", "503 5.5.1 send MAIL first")
			begin()
			c.bdat("Subject: x\r\n", false, want)
			c.bdat("Subject: x\r\n", true, "503 5.5.1 send MAIL first")

			s.server.begin = func(context.Context, *envelope.Envelope) (submission, error) {
				return &broken{write: fail, aborted: &aborted, bytes: &n}, nil
			}
			if got := c.mail("<a@example.net>", "x", "<larry@company.com>"); !strings.HasPrefix(got, want) {
				t.Errorf("%v at Write: %s, want %s", kind, got, want)
			}
			begin()
			c.bdat("Subject: x\r\n", false, want)
			if got := aborted.Load(); got != 2 {
				t.Errorf("%v: %d submissions dropped, want 2", kind, got)
			}

			s.server.begin = func(context.Context, *envelope.Envelope) (submission, error) {
				return &broken{commit: fail, aborted: &aborted, bytes: &n}, nil
			}
			if got := c.mail("<a@example.net>", "x", "<larry@company.com>"); !strings.HasPrefix(got, want) {
				t.Errorf("%v at Commit: %s, want %s", kind, got, want)
			}
			begin()
			c.bdat("Subject: x\r\n", true, want)
		}
		c.say("NOOP", "250 ")
	})
}

// countingConn counts the writes of the server.
type countingConn struct {
	net.Conn
	writes atomic.Int32
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestPipelinedGroupIsAnsweredByOneWrite(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		s := newSite(t)
		near, far := net.Pipe()
		counting := &countingConn{Conn: far}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.server.run(t.Context(), transcript.Addressed(counting, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25), Port: 25}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}), port25, false)
			far.Close()
		}()
		c := &client{t, near, bufioReaderOf(near)}
		c.expect("220 ")
		c.say("EHLO x.example", "250-")
		before := counting.writes.Load()
		c.send("MAIL FROM:<a@example.net>\r\nRCPT TO:<larry@company.com>\r\nRCPT TO:<nosuch@company.com>\r\nDATA\r\n")
		c.expect("250 ")
		c.expect("250 ")
		c.expect("550 ")
		c.expect("354 ")
		if got := counting.writes.Load() - before; got != 1 {
			t.Errorf("%d writes for a group", got)
		}
		c.send("x\r\n.\r\nQUIT\r\n")
		c.expect("250 ")
		c.expect("221 ")
		<-done
		if got := counting.writes.Load() - before; got != 2 {
			t.Errorf("%d writes in all", got)
		}
	})
}

// TestLargeMessageCostsNoMemory streams 100 MB, as lines and as one line.
func TestLargeMessageCostsNoMemory(t *testing.T) {
	s := newSite(t, func(s *Settings) { s.MaxMessageSize = -1 })
	var aborted atomic.Int32
	var n atomic.Int64
	s.server.begin = func(context.Context, *envelope.Envelope) (submission, error) {
		return &broken{aborted: &aborted, bytes: &n}, nil
	}
	c := s.connect(587, "127.0.0.1")
	c.say("EHLO x.example", "250-")
	c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
	const size = 100 << 20
	for _, line := range []string{strings.Repeat("x", 1022) + "\r\n", strings.Repeat("x", 1024)} {
		for _, bdat := range []bool{false, true} {
			c.say("MAIL FROM:<larry@company.com>", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
			text := []byte("Subject: large\r\n\r\n" + strings.Repeat(line, 1024))
			if bdat {
				<-c.send(fmt.Sprintf("BDAT %d LAST\r\n", int64(len(text))*(size>>20)))
			} else {
				c.say("DATA", "354 ")
			}
			n.Store(0)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range size >> 20 {
				if _, err := c.conn.Write(text); err != nil {
					t.Fatal(err)
				}
			}
			if !bdat {
				c.send("\r\n.\r\n")
			}
			c.expect("250 4711 message accepted")
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
				t.Errorf("BDAT %v, line of %q...: %d bytes were allocated", bdat, line[len(line)-4:], grown)
			}
			if n.Load() < size {
				t.Errorf("only %d bytes arrived", n.Load())
			}
		}
	}
}

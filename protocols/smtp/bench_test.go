package smtp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"gatepost/queue/envelope"
)

// discard is a submission that goes nowhere.
type discard struct{}

func (discard) MessageID() string            { return "" }
func (discard) ID() envelope.QueueID         { return 4711 }
func (discard) Write(p []byte) (int, error)  { return len(p), nil }
func (discard) Commit(context.Context) error { return nil }
func (discard) Abort()                       {}

// benchmarkSession measures messages over loopback TCP into a queue that drops
// them. group is one message's commands, replies the number of lines that
// answer it.
func benchmarkSession(b *testing.B, size int, messages func(w *bufio.Writer, text []byte, r *bufio.Reader) error) {
	s := newSite(b, func(s *Settings) { s.MaxMessageSize = -1 })
	s.server.begin = func(context.Context, *envelope.Envelope) (submission, error) { return discard{}, nil }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- s.server.Serve(ctx, ln, port25) }()
	defer func() { stop(); <-done }()
	line := strings.Repeat("x", 74) + "\r\n"
	text := []byte(strings.Repeat(line, size/len(line)+1)[:size-2] + "\r\n")
	b.SetBytes(int64(size))
	b.RunParallel(func(p *testing.PB) {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		r, w := bufio.NewReader(conn), bufio.NewWriterSize(conn, 64<<10)
		fmt.Fprint(w, "EHLO bench.example\r\n")
		w.Flush()
		if err := skipReplies(r, 2); err != nil {
			b.Error(err)
			return
		}
		for p.Next() {
			if err := messages(w, text, r); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// skipReplies reads n replies.
func skipReplies(r *bufio.Reader, n int) error {
	for n > 0 {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line[0] > '3' {
			return fmt.Errorf("refused: %s", line)
		}
		if line[3] == ' ' {
			n--
		}
	}
	return nil
}

func BenchmarkSession(b *testing.B) {
	const mail, rcpt = "MAIL FROM:<sender@example.net> SIZE=1000\r\n", "RCPT TO:<larry@company.com>\r\n"
	step := func(w *bufio.Writer, r *bufio.Reader, line string) error {
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		return skipReplies(r, 1)
	}
	ways := []struct {
		name string
		send func(w *bufio.Writer, text []byte, r *bufio.Reader) error
	}{
		{"DATA", func(w *bufio.Writer, text []byte, r *bufio.Reader) error {
			for _, line := range []string{mail, rcpt, "DATA\r\n"} {
				if err := step(w, r, line); err != nil {
					return err
				}
			}
			w.Write(text)
			return step(w, r, ".\r\n")
		}},
		{"DATA pipelined", func(w *bufio.Writer, text []byte, r *bufio.Reader) error {
			io.WriteString(w, mail+rcpt+"DATA\r\n")
			w.Flush()
			if err := skipReplies(r, 3); err != nil {
				return err
			}
			w.Write(text)
			return step(w, r, ".\r\n")
		}},
		{"BDAT pipelined", func(w *bufio.Writer, text []byte, r *bufio.Reader) error {
			fmt.Fprintf(w, "%s%sBDAT %d LAST\r\n", mail, rcpt, len(text))
			w.Write(text)
			w.Flush()
			return skipReplies(r, 3)
		}},
	}
	for _, size := range []int{1 << 10, 4 << 10, 100 << 10} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("%s %dK", way.name, size>>10), func(b *testing.B) { benchmarkSession(b, size, way.send) })
		}
	}
}

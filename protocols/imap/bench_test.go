package imap

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/settings"
)

// fill puts n messages of a size into user1's INBOX.
func (f *fixture) fill(t testing.TB, n, size int) {
	t.Helper()
	acc, err := f.acc.Account(context.Background(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	head := "From: Sender <sender@company.com>\r\nTo: user1@company.com\r\nSubject: message %d\r\nDate: Mon, 2 Mar 2020 23:30:00 +0200\r\nMessage-ID: <%d@company.com>\r\n\r\n"
	for i := range n {
		const line = "The quick brown fox jumps over the lazy dog, and then over it again.\r\n"
		m := fmt.Sprintf(head, i, i)
		m += strings.Repeat(line, max(0, (size-len(m)+len(line)-1)/len(line)))
		var flags []imap.Flag
		if i%2 == 0 {
			flags = []imap.Flag{imap.FlagSeen}
		}
		_, err := acc.Mail().Append(context.Background(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader(m), Flags: flags})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// benchClient runs one command again and again and drops what it answers.
type benchClient struct {
	net.Conn
	in *bufio.Reader
}

func (f *fixture) bench(b *testing.B) *benchClient {
	b.Helper()
	c, err := f.dial()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	bc := &benchClient{Conn: c, in: bufio.NewReaderSize(c, 256<<10)}
	bc.run(b, "LOGIN user1 secret1")
	bc.run(b, "SELECT INBOX")
	return bc
}

func (c *benchClient) run(b *testing.B, command string) {
	if _, err := io.WriteString(c, "tag "+command+"\r\n"); err != nil {
		b.Fatal(err)
	}
	for {
		l, err := c.in.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if bytes.HasPrefix(l, []byte("tag ")) {
			if !bytes.HasPrefix(l, []byte("tag OK")) {
				b.Fatal(string(l))
			}
			return
		}
	}
}

func BenchmarkCommands(b *testing.B) {
	f := newFixture(b)
	f.listen(b, settings.TLSStart)
	n := 1000
	if s := os.Getenv("IMAP_BENCH_MESSAGES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	f.fill(b, n, 4096)
	c := f.bench(b)
	for _, command := range []string{
		"NOOP", "FETCH 1:* FLAGS", "UID FETCH 1:* (FLAGS)", "FETCH 1:* (ENVELOPE RFC822.SIZE)",
		"UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)])",
		"FETCH 1:* BODY.PEEK[]", "SEARCH SUBJECT 77", "SEARCH BODY lazier", "SEARCH UNSEEN", "SELECT INBOX",
	} {
		b.Run(strings.Fields(command + " x")[0]+"_"+strconv.Itoa(len(command))+"_"+command[:min(len(command), 20)], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.run(b, command)
			}
			b.ReportMetric(float64(n), "messages")
		})
	}
}

// BenchmarkAnswers measures the answers to commands about 5,000 messages alone: the client
// drops them at no cost. On a busy machine only the processor time means something; it
// has the collector's in it.
func BenchmarkAnswers(b *testing.B) {
	f := newFixture(b)
	f.fill(b, 5000, 4096)
	acc, err := f.acc.Account(context.Background(), "", "user1")
	if err != nil {
		b.Fatal(err)
	}
	near, far := net.Pipe()
	b.Cleanup(func() { near.Close(); far.Close() })
	s := newSession(f.srv, context.Background(), deaf{near}, false)
	s.account, s.mail = acc, acc.Mail()
	s.view = &view{responder: &s.responder}
	if s.view.target, err = s.find("INBOX", access.Read); err != nil {
		b.Fatal(err)
	}
	if s.view.mailbox, err = s.mail.Open(s.ctx, "INBOX", false); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.view.mailbox.Close)
	for name, command := range map[string]string{
		"FetchFlags": "FETCH 1:* FLAGS", "FetchEnvelope": "FETCH 1:* (ENVELOPE RFC822.SIZE)",
		"FetchStructure": "FETCH 1:* BODYSTRUCTURE",
		"FetchList":      "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)])",
		"FetchBody":      "FETCH 1:* BODY.PEEK[]",
		"SearchSubject":  "SEARCH SUBJECT 77777", "SearchAddresses": "SEARCH OR FROM nobody OR TO nobody CC nobody",
		"SearchBody": "SEARCH BODY lazier", "SearchText": "SEARCH TEXT lazier",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			began := processorTime()
			for b.Loop() {
				if err := s.dispatch([]byte("a "+command), nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// deaf is a connection that drops what is written.
type deaf struct{ net.Conn }

func (deaf) Write(p []byte) (int, error) { return len(p), nil }

func processorTime() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkIdleConnections measures what an idle connection costs the server that is
// logged in and has INBOX selected. The clients' ends are in the same process: their
// sockets have no memory of the heap beyond the net.Conn, which is counted in.
func BenchmarkIdleConnections(b *testing.B) {
	for _, mode := range []string{"waiting", "IDLE"} {
		b.Run(mode, func(b *testing.B) {
			f := newFixture(b)
			f.listen(b, settings.TLSStart)
			f.fill(b, 100, 1000)
			const n = 1000
			before := memory()
			conns := make([]net.Conn, n)
			for i := range conns {
				c, err := f.dial()
				if err != nil {
					b.Fatal(err)
				}
				conns[i] = c
				in := bufio.NewReaderSize(c, 1024)
				send := "a LOGIN user1 secret1\r\nb SELECT INBOX\r\nc UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n"
				want := "c OK"
				if mode == "IDLE" {
					send, want = send+"d IDLE\r\n", "+ idling"
				}
				if _, err := io.WriteString(c, send); err != nil {
					b.Fatal(err)
				}
				for {
					l, err := in.ReadString('\n')
					if err != nil {
						b.Fatal(err)
					}
					if strings.HasPrefix(l, want) {
						break
					}
				}
			}
			for range 5 {
				runtime.GC() // stacks shrink by half at each collection
			}
			for b.Loop() {
				time.Sleep(0)
			}
			after := memory()
			b.ReportMetric(float64(after-before)/n, "bytes/connection")
			for _, c := range conns {
				c.Close()
			}
		})
	}
}

// memory is heap and stacks in use.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

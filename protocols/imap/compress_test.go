package imap

import (
	"bufio"
	"bytes"
	"compress/flate"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

// compressedClient is a client with an active COMPRESS.
type compressedClient struct {
	t  *testing.T
	c  net.Conn
	z  *flate.Writer
	in *bufio.Reader
}

func compressedSession(t *testing.T, f *fixture) *compressedClient {
	t.Helper()
	conn, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "a LOGIN user1 secret1\r\nb COMPRESS DEFLATE\r\n"); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "b ") {
			if !strings.HasPrefix(line, "b OK") {
				t.Fatal(line)
			}
			break
		}
	}
	z, err := flate.NewWriter(conn, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	return &compressedClient{t, conn, z, bufio.NewReader(flate.NewReader(in))}
}

func (c *compressedClient) send(text string) {
	c.t.Helper()
	_, err := io.WriteString(c.z, text)
	if err == nil {
		err = c.z.Flush()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// until returns the responses up to one that begins with a text.
func (c *compressedClient) until(prefix string) string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%q: %v", all.String(), err)
		}
		all.WriteString(line)
		if strings.HasPrefix(line, prefix) {
			return all.String()
		}
	}
}

func TestCompressedSession(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := compressedSession(t, f)
	body := strings.Repeat("a line of text\r\n", 20_000)
	c.send("c1 COMPRESS DEFLATE\r\n")
	if got := c.until("c1 "); !strings.Contains(got, "NO [COMPRESSIONACTIVE]") {
		t.Error(got)
	}
	c.send("c2 SELECT INBOX\r\nc3 APPEND INBOX {320000+}\r\n" + body + "\r\nc4 FETCH 1 BODY.PEEK[]\r\n")
	if got := c.until("c4 "); !strings.Contains(got, "BODY[] {320000}\r\n"+body+")") {
		t.Errorf("%d bytes", len(got))
	}
	other := compressedSession(t, f)
	c.send("c5 IDLE\r\n")
	c.until("+ ")
	other.send("d APPEND INBOX {2+}\r\nxy\r\n")
	other.until("d OK")
	c.until("* 2 EXISTS")
	c.send("DONE\r\n")
	c.until("c5 OK")
	c.send("c6 LOGOUT\r\n")
	c.until("c6 OK")
}

// TestASmallInputThatBecomesALargeOne: a line that compresses a thousand times is refused as any other one, and what it needs is not
// in proportion to its length.
func TestASmallInputThatBecomesALargeOne(t *testing.T) {
	f := start(t)
	c := compressedSession(t, f)
	var before, after runtime.MemStats
	piece := bytes.Repeat([]byte("x"), 1<<20)
	c.send("c1 ")
	runtime.ReadMemStats(&before)
	for range 20 {
		if _, err := c.z.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	c.send("\r\nc2 NOOP\r\n")
	if got := c.until("c2 "); !strings.Contains(got, "c1 BAD") {
		t.Error(got)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
	// More than can be discarded ends the session.
	for range 130 {
		if _, err := c.z.Write(piece); err != nil || c.z.Flush() != nil {
			break
		}
	}
	if got, err := io.ReadAll(c.in); !strings.Contains(string(got), "BYE") {
		t.Errorf("%q %v", got, err)
	}
}

func TestMalformedCompressedInputEndsTheSession(t *testing.T) {
	f := start(t)
	c := compressedSession(t, f)
	if _, err := c.c.Write([]byte{7, 7, 7, 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c.c); err != nil {
		t.Error(err)
	}
}

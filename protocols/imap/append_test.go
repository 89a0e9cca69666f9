package imap

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

// TestAConnectionThatEndsBehindALiteralStoresNothing: the command was not finished.
func TestAConnectionThatEndsBehindALiteralStoresNothing(t *testing.T) {
	f := start(t)
	for _, command := range []string{"APPEND INBOX {5+}\r\nhello", "APPEND INBOX {5+}\r\nhello {5+}\r\nhello", "APPEND INBOX CATENATE (TEXT {5+}\r\nhello"} {
		c := f.connect(t)
		c.send("a LOGIN user1 secret1\r\nb " + command)
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c.Conn); err != nil {
			t.Error(err)
		}
	}
	c := f.connect(t)
	c.send("a LOGIN user1 secret1\r\nb STATUS INBOX (MESSAGES)\r\n")
	if got := c.until("* STATUS "); !strings.Contains(got, "(MESSAGES 0)") {
		t.Errorf("INBOX: %v", got)
	}
}

// TestAFullAccountTakesNoBytes: a message that does not fit is not written down first.
func TestAFullAccountTakesNoBytes(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		acc, err := f.acc.Account(t.Context(), "", "small")
		if err != nil {
			t.Fatal(err)
		}
		c := f.far(t)
		c.line()
		c.startTLS()
		c.send("a LOGIN small secret\r\n")
		c.until("a OK")
		for _, want := range []struct{ size, files int }{{100_000, 0}, {1000, 1}} {
			c.send(fmt.Sprintf("b APPEND INBOX {%d+}\r\nhalf", want.size))
			synctest.Wait() // it waits for the other half
			files, err := filepath.Glob(filepath.Join(acc.Dir(), "Messages", "*", "*"))
			if err != nil || len(files) != want.files {
				t.Errorf("%d bytes: files %v, %v", want.size, files, err)
			}
			c.send(strings.Repeat("x", want.size-4) + "\r\n")
			c.until("b ")
		}
	})
}

// TestALargeBinaryPartIsReadAsItWas sends one in a literal8, in pieces as the network makes them.
func TestALargeBinaryPartIsReadAsItWas(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\n")
	c.until("b OK")
	octets := make([]byte, 3<<20)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(octets)
	const header = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	c.send(fmt.Sprintf("c APPEND INBOX ~{%d+}\r\n%s%s\r\n", len(header)+len(octets), header, octets))
	if l := c.until("c "); !strings.HasPrefix(l, "c OK") {
		t.Fatal(l)
	}
	c.send("d FETCH 1 BINARY.PEEK[1]\r\n")
	if l, want := c.line(), fmt.Sprintf("* 1 FETCH (BINARY[1] ~{%d}", len(octets)); l != want {
		t.Fatalf("%s, want %s", l, want)
	}
	got := make([]byte, len(octets))
	if _, err := io.ReadFull(c.in, got); err != nil || !bytes.Equal(got, octets) {
		t.Errorf("other octets, or %v", err)
	}
}

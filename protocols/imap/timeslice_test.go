package imap

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/protocols/transcript"
)

// longWork fills user1's INBOX with what takes minutes to search: copies of one long message,
// in a charset that has to be converted. It returns a SEARCH for many texts that are
// not there.
func (f *fixture) longWork(t testing.TB, copies int) (search string) {
	t.Helper()
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	text := "Content-Type: text/plain; charset=iso-8859-15\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		strings.Repeat("Der schnelle braune Fuchs springt =FCber den faulen Hund.\r\n", 1<<15)
	if _, err := acc.Mail().Append(t.Context(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < copies; n *= 2 {
		m, err := acc.Mail().Open(t.Context(), "INBOX", true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Copy(t.Context(), m.UIDs(), "INBOX"); err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
	return "SEARCH " + strings.Repeat(`OR BODY "über-all" `, 60) + `BODY "überall"`
}

// converse runs a session in a goroutine of its own. The client has selected INBOX; ended
// is closed when the session has ended.
func (f *fixture) converse(t testing.TB, ctx context.Context, secure bool) (c *client, ended chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		near = tls.Server(near, transcript.ServerTLS(t))
		far = tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	}
	ended = make(chan struct{})
	s := newSession(f.srv, ctx, near, false)
	go func() {
		defer close(ended)
		defer near.Close()
		s.run()
	}()
	c = newClient(t, far)
	c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\n")
	c.until("b OK")
	return c, ended
}

func wantEnd(t testing.TB, ended chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the search goes on")
	}
}

// TestASearchEndsWithItsClient closes the connection while a search is under way.
func TestASearchEndsWithItsClient(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			search := f.longWork(t, 512)
			c, ended := f.converse(t, t.Context(), secure)
			c.send("c " + search + "\r\n")
			c.Close()
			wantEnd(t, ended)
		})
	}
}

// TestADecodingEndsWithItsClient: FETCH BINARY.SIZE decodes much and writes little.
func TestADecodingEndsWithItsClient(t *testing.T) {
	f := newFixture(t)
	f.longWork(t, 1)
	c, ended := f.converse(t, t.Context(), false)
	c.send("c FETCH 1 (" + strings.Repeat("BINARY.SIZE[1] ", 999) + "UID)\r\n")
	c.Close()
	wantEnd(t, ended)
}

// TestAHeaderListEndsWithItsClient: FETCH HEADER.FIELDS looks through much and writes little.
func TestAHeaderListEndsWithItsClient(t *testing.T) {
	f := newFixture(t)
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	header := strings.Repeat("ab:\r\n", 200_000) + "\r\n"
	if _, err := acc.Mail().Append(t.Context(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader(header)}); err != nil {
		t.Fatal(err)
	}
	c, ended := f.converse(t, t.Context(), false)
	c.send("c FETCH 1 (" + strings.Repeat("BODY.PEEK[HEADER.FIELDS (aa ba ca da ea fa)]<0.1> ", 999) + "UID)\r\n")
	c.Close()
	wantEnd(t, ended)
}

// TestASearchEndsWithTheServer stops the server while a search is under way.
func TestASearchEndsWithTheServer(t *testing.T) {
	f := start(t)
	search := f.longWork(t, 512)
	c := f.connect(t)
	c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\nc NOOP\r\n")
	c.until("c OK")
	c.send("d " + search + "\r\n")
	f.stop()
	ended := make(chan struct{})
	go func() {
		err := <-f.done
		f.done <- err
		close(ended)
	}()
	wantEnd(t, ended)
}

// TestAClientThatHasSaidAllIsAnswered: one that shuts down its sending side may still read.
func TestAClientThatHasSaidAllIsAnswered(t *testing.T) {
	f := newFixture(t)
	search := f.longWork(t, 2)
	c, ended := f.converse(t, t.Context(), false)
	c.send("c " + search + "\r\n")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if l := c.until("c "); l != "c OK SEARCH completed" {
		t.Error(l)
	}
	if _, err := io.Copy(io.Discard, c.in); err != nil {
		t.Error(err)
	}
	wantEnd(t, ended)
}

// TestSearchesTakeTurns starts more long searches than there are processor slots.
func TestSearchesTakeTurns(t *testing.T) {
	f := newFixture(t)
	search := f.longWork(t, 1)
	clients := make([]*client, 2*cap(f.srv.processors)+1)
	for i := range clients {
		clients[i], _ = f.converse(t, t.Context(), false)
		clients[i].send("c " + search + "\r\n")
	}
	for _, c := range clients {
		if l := c.until("c "); l != "c OK SEARCH completed" {
			t.Error(l)
		}
	}
	if n := len(f.srv.processors); n != 0 {
		t.Errorf("%d processor slots were not released", n)
	}
}

// TestLittleAtATimeIsSearchedOnce reads a text byte by byte for long texts: what is
// searched may not be searched again for each of them.
func TestLittleAtATimeIsSearchedOnce(t *testing.T) {
	var texts []string
	for i := range 64 {
		texts = append(texts, strings.Repeat("nadel im heu", 5000)+"-"+string(rune('a'+i)))
	}
	x := &candidate{searching: searching{searchProgram: lookFor(texts...)}, timeslice: endless, found: make([]bool, len(texts))}
	began := time.Now()
	x.scanText(iotest.OneByteReader(strings.NewReader(strings.Repeat("nadel im heu", 50_000))))
	if d := time.Since(began); d > 20*time.Second || x.err != nil || slices.Contains(x.found, true) {
		t.Errorf("took %v: %v %v", d, x.found, x.err)
	}
}

// TestFieldsAreDecodedOnce looks for one text, then for many, in a header
// of encoded-words.
func TestFieldsAreDecodedOnce(t *testing.T) {
	f := newFixture(t)
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	header := "Subject: " + strings.Repeat("=?iso-8859-1?q?gr=FC=DFe?= und\r\n =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n ", 45) + "\r\n\r\n"
	if _, err := acc.Mail().Append(t.Context(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader(header)}); err != nil {
		t.Fatal(err)
	}
	v := openView(t, f.srv, acc, "INBOX")
	defer v.mailbox.Close()
	allocations := func(keys int) float64 {
		g := &searchProgram{root: searchKey{op: opOr}}
		for i := range keys {
			key := searchKey{op: opField, number: g.add(newText([]byte{'g', 'r', 'a' + byte(i%16)}, "subject", inSummary))}
			g.root = searchKey{op: opOr, kids: []searchKey{g.root, key}}
			if i == 0 {
				g.root = key
			}
		}
		return testing.AllocsPerRun(5, func() {
			if found, err := (searching{view: v, searchProgram: g}).findMessages(); err != nil || len(found) != 0 {
				t.Fatal(found, err)
			}
		})
	}
	if one, all := allocations(1), allocations(500); one < 100 || all > 1.1*one {
		t.Errorf("%v allocations for one text, %v for all", one, all)
	}
}

// endless is a timeslice that never pauses.
var endless = timeslice{left: 1 << 40}

func TestALongCommandTellsItsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := &responder{out: wire.NewEncoder(&out)}
		r.call.tag = "a1"
		slice := r.timeslice("")
		slice.done, slice.total = 454, 1000
		for _, wait := range []time.Duration{progressEvery - 1, 1, progressEvery - 1} {
			time.Sleep(wait)
			if err := slice.tellProgress(); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := out.String(), "* OK [INPROGRESS (\"a1\" 454 1000)] Still working\r\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

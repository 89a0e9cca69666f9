package imap

import (
	"bytes"
	"net"
	"regexp"
	"strconv"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
)

// interposed is a connection that keeps what is written, and calls a function at the first write.
type interposed struct {
	net.Conn
	written *bytes.Buffer
	first   func()
}

func (c *interposed) Write(p []byte) (int, error) {
	if c.first != nil {
		first := c.first
		c.first = nil
		first()
	}
	return c.written.Write(p)
}

// A message may change again while the changes are written. The client must not take the MODSEQ that it is sent for one up to which it knows all.
func TestChangesDuringAnUpdate(t *testing.T) {
	f := newFixture(t)
	const n = 2000 // more than the output buffer holds
	f.fill(t, n, 10)
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := acc.Mail().Open(t.Context(), "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	set := func(flag imap.Flag, uids ...imap.UID) {
		t.Helper()
		if _, err := other.SetFlags(t.Context(), uids, mailbox.Add, []imap.Flag{flag}, mailbox.NoCondition); err != nil {
			t.Fatal(err)
		}
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	conn := &interposed{Conn: near, written: new(bytes.Buffer)}
	s := newSession(f.srv, t.Context(), conn, false)
	s.account, s.mail = acc, acc.Mail()
	s.condstore, s.qresync = true, true
	s.view = openView(t, f.srv, acc, "INBOX")
	defer s.view.mailbox.Close()
	s.view.responder = &s.responder
	set(imap.FlagFlagged, other.UIDs()...)
	known := uint64(0)
	conn.first = func() {
		st, _ := other.StateAt(1)
		known = st.ModSeq
		set(imap.FlagDeleted, 1)
		if _, err := other.Expunge(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		set(imap.FlagAnswered, n)
	}
	s.view.update(true)
	if err := s.out.Flush(); err != nil {
		t.Fatal(err)
	}
	text := conn.written.String()
	if m := regexp.MustCompile(`\* 2000 FETCH .*MODSEQ \((\d+)\)`).FindStringSubmatch(text); m == nil || m[1] == strconv.FormatUint(known, 10) {
		t.Fatalf("the last message is not sent as it is: %q", m)
	}
	all := regexp.MustCompile(`HIGHESTMODSEQ (\d+)`).FindAllStringSubmatch(text, -1)
	if len(all) == 0 || all[len(all)-1][1] != strconv.FormatUint(known, 10) {
		t.Errorf("the client knows all up to %d and is told %q", known, all)
	}
}

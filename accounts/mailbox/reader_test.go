package mailbox

import (
	"fmt"
	"io"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// content returns the subject and the prefix of a message.
func content(t *testing.T, m *Mailbox, uid imap.UID) (subject, prefix string) {
	t.Helper()
	r := m.Reader()
	defer r.Close()
	c, err := r.Content(bg, uid)
	if err != nil {
		t.Errorf("content of %d: %v", uid, err)
		return "", ""
	}
	s, err := c.Summary(bg)
	if err != nil {
		t.Errorf("summary of %d: %v", uid, err)
		return "", ""
	}
	return s.Subject, string(c.Prefix)
}

// wantRead checks what a Reader says of a message that w.append or w.deliver has made of a
// number.
func wantRead(t *testing.T, r *Reader, uid imap.UID, n int, prefix string) {
	t.Helper()
	c, err := r.Content(bg, uid)
	if err != nil {
		t.Errorf("content of %d: %v", uid, err)
		return
	}
	if want := fmt.Sprintf("Subject: message %d\r\n", n); !strings.Contains(string(c.Headers), want) || string(c.Prefix) != prefix {
		t.Errorf("content of %d: %q behind %q", uid, c.Headers, c.Prefix)
	}
	if s, err := c.Summary(bg); err != nil || s.Subject != fmt.Sprintf("message %d", n) {
		t.Errorf("summary of %d: %+v, %v", uid, s, err)
	}
	b, err := r.Open(bg, uid)
	if err != nil {
		t.Errorf("open %d: %v", uid, err)
		return
	}
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil || string(got) != prefix+text(n) {
		t.Errorf("read %q of %d, %v", got, uid, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.ReadAt(got, int64(len(prefix))); err == nil {
		t.Error("read after Close")
	}
}

// TestAReaderAnswersForMessagesInAnyOrder asks for neighbours, which are read ahead, and for
// others, of which some are gone, delivered, or too new to be seen.
func TestAReaderAnswersForMessagesInAnyOrder(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	const n = 3 * maxAhead
	delivered := w.queued(0)
	w.deliver(a, delivered)
	for i := 1; i < n; i++ {
		w.append(a, "INBOX", i)
	}
	m := w.view(a, "INBOX")
	w.append(a, "INBOX", n)
	var uids []imap.UID
	for step := 1; step < n; step = 2*step + 1 {
		for at := 0; at < n; at += step {
			uids = append(uids, imap.UID(at+1))
		}
	}
	for at := n; at > 0; at -= 7 {
		uids = append(uids, imap.UID(at))
	}
	r := m.Reader()
	defer r.Close()
	for i, uid := range uids {
		if i == len(uids)/3 {
			expunge(t, w.view(a, "INBOX"), 5, 6, n-1)
		}
		prefix := ""
		if uid == 1 {
			prefix = string(delivered.Prefix)
		}
		wantRead(t, r, uid, int(uid)-1, prefix)
	}
	m.Sync(true)
	for _, uid := range []imap.UID{5, n + 2} {
		if _, err := r.Content(bg, uid); !fault.Is(err, fault.NoMessage) {
			t.Errorf("content of %d: %v", uid, err)
		}
		if _, err := r.Open(bg, uid); !fault.Is(err, fault.NoMessage) {
			t.Errorf("open %d: %v", uid, err)
		}
	}
	wantRead(t, r, n+1, n, "")
}

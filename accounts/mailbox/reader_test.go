package mailbox

import (
	"context"
	"fmt"
	"io"
	"reflect"
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

// counted counts the reads of a message, at each of which the context is asked.
type counted struct {
	context.Context
	reads int
}

func (c *counted) Err() error {
	c.reads++
	return c.Context.Err()
}

// Of a message with a header that is too large for the index, a list reads the header alone.
func TestContentOfALargeHeaderReadsNoBody(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	header := "From: a@example.com\r\nSubject: large\r\nTo: " + strings.Repeat("someone@example.com,\r\n ", 500) +
		"last@example.com\r\nDate: Mon, 5 Oct 2026 10:42:10 +0000\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	text := header + "--b\r\n\r\n" + strings.Repeat("a line of the body\r\n", 200_000) + "--b--\r\n"
	if _, err := a.Append(bg, "INBOX", AppendMessage{Body: strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	r := w.view(a, "INBOX").Reader()
	defer r.Close()
	ctx := &counted{Context: bg}
	c, err := r.Content(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.reads > 2 {
		t.Errorf("the file was read in %d pieces", ctx.reads)
	}
	if c.Size != int64(len(text)) || c.Date.IsZero() || !strings.Contains(string(c.Envelope), "last") || !strings.Contains(string(c.Headers), "large") {
		t.Errorf("the head is %+v", c.Head)
	}
	sum, err := c.Summary(ctx)
	if err != nil || len(sum.Root.Children) != 1 || !reflect.DeepEqual(sum.Head, c.Head) {
		t.Errorf("the summary is %+v, %v", sum, err)
	}
}

package mailbox

import (
	"strings"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

func TestAge(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	long := time.Now().Add(-365 * 24 * time.Hour)
	for i := range 3 {
		m := AppendMessage{Body: strings.NewReader(text(i)), Flags: []imap.Flag{imap.FlagFlagged, "$Label1"}}
		if i < 2 {
			m.InternalDate = &long
		}
		if _, err := a.Append(bg, "INBOX", m); err != nil {
			t.Fatal(err)
		}
	}
	age := func(want int, g Aging) {
		t.Helper()
		if n, more, err := a.Age(bg, g); n != want || more || err != nil {
			t.Errorf("%+v: %d messages, %v, %v", g, n, more, err)
		}
	}
	soon := time.Now().Add(time.Minute)
	view := w.view(a, "INBOX")
	age(0, Aging{Mailbox: "INBOX", Before: time.Now().Add(-time.Hour)}) // they came just now
	age(0, Aging{Mailbox: "INBOX", Before: soon, To: "INBOX"})
	age(2, Aging{Mailbox: "INBOX", Before: time.Now().Add(-time.Hour), Received: true, To: "Trash"})
	if u := view.Sync(true); len(u.Expunged) != 2 {
		t.Errorf("the session sees %+v", u)
	}
	trash := w.view(a, "Trash")
	st, _ := trash.StateAt(1)
	if flags := string(trash.AppendFlags(nil, st)); !strings.Contains(flags, `\Flagged`) || !strings.Contains(flags, "$Label1") {
		t.Errorf("what was moved has %s", flags)
	}
	age(2, Aging{Mailbox: "Trash", Before: soon})
	age(0, Aging{Mailbox: "Trash", Before: soon})
	for _, g := range []Aging{{Mailbox: "nothing", Before: soon}, {Mailbox: "~x/y", Before: soon}, {Mailbox: "INBOX", To: "nothing", Before: soon}} {
		if _, _, err := a.Age(bg, g); !fault.Is(err, fault.NoMailbox) {
			t.Errorf("%+v: %v", g, err)
		}
	}
	if u, err := a.Usage(bg); err != nil || u.Messages != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	w.settle()
}

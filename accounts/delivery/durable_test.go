package delivery

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
)

// The power fails while one recipient waits: the link of the other, which was
// not synced yet, is lost, and what was written to the queue file is not.
func TestLinkThatAPowerFailureTookIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	links := filepath.Join(dir, "Accounts/ann.macnt/Messages/*/*")
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, dir)
		o.noSync.Store(true)
		o.account("ann", nil)
		o.account("bob", dataformat.Dict{"MaxAccountSize": dataformat.String("2K")})
		o.send("joe@far.org", text+strings.Repeat("x", 1500)+"\r\n", "bob@company.com")
		o.settled()
		o.send("joe@far.org", text+strings.Repeat("y", 1000)+"\r\n", "ann@company.com", "bob@company.com")
		o.settled()
		equal(t, "waiting recipients", strings.Fields(o.list())[:1], "bob@company.com")
	})
	lost, err := filepath.Glob(links)
	if err != nil || len(lost) != 1 {
		t.Fatal(lost, err)
	}
	for _, f := range lost {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, dir)
		o.settled()
		if got := o.box("ann", "INBOX"); len(got) != 1 || !strings.Contains(got[0], "yyyy") {
			t.Errorf("ann has %q", got)
		}
	})
}

func TestLostCounterCostsNoMail(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, dir)
		o.account("ann", nil)
		o.send("joe@far.org", strings.Replace(text, "hello", "old mail", 1), "ann@company.com")
		o.settled()
		time.Sleep(3 * time.Second) // the queue file is removed
		if n := o.q.Len(); n > 0 {
			t.Errorf("%d messages are in the queue", n)
		}
	})
	if err := os.Remove(filepath.Join(dir, "counter")); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, dir)
		for range 20 {
			o.send("joe@far.org", strings.Replace(text, "hello", "new mail", 1), "ann@company.com")
		}
		o.settled()
		got := o.box("ann", "INBOX")
		if len(got) != 21 {
			t.Errorf("there are %d messages", len(got))
		}
		for i, got := range got {
			if strings.Contains(got, "new mail") != (i > 0) {
				t.Errorf("message %d is %q", i, got)
			}
		}
	})
}

// The power fails after mail to all@ was delivered and before its queue file was
// removed; what was written into the file is lost too. Whoever has the message
// does not get it again.
func TestMailToAllIsDeliveredOnceAfterACrash(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, dir)
		o.noSync.Store(true)
		o.account("joe", nil)
		o.account("ann", nil)
		o.send("joe@company.com", text, "all@company.com")
		o.settled()
	})
	loseStates(t, filepath.Join(dir, "Queue"))
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, dir)
		o.settled()
		for _, name := range []string{"joe", "ann", "postmaster"} {
			if n := len(o.box(name, "INBOX")); n != 1 {
				t.Errorf("%s has %d copies", name, n)
			}
		}
		if l := o.list(); l != "" {
			t.Errorf("the queue has %s", l)
		}
	})
}

// loseStates takes back the states of recipients in queue files, which are not synced.
func loseStates(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.msg"))
	if err != nil || len(files) == 0 {
		t.Fatal("no queue files", err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(f, bytes.ReplaceAll(content, []byte("\nR D "), []byte("\nR W ")), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

package delivery

import (
	"context"
	"errors"
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
		o.q.OnFinish(func(context.Context) error { return errors.New("no sync until the power fails") }, o.local.Forget)
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

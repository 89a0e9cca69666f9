package delivery

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
)

// rename gives ann another name; its alias goes with it.
func (o *office) rename(to string) {
	o.t.Helper()
	if err := o.acc.RenameAccount(context.Background(), "company.com", "ann", "company.com", to); err != nil {
		o.t.Error(err)
	}
}

// people makes joe, and ann with an alias.
func (o *office) people() {
	o.t.Helper()
	o.account("joe", nil)
	o.account("ann", nil)
	if err := o.acc.SetAccountAliases(context.Background(), "company.com", "ann", []string{"anna"}); err != nil {
		o.t.Fatal(err)
	}
}

// inMidBatch sends a message from joe to ann and does something to ann while it is
// being delivered. list is what waits then.
func inMidBatch(t *testing.T, o *office, do func(), list string) {
	t.Helper()
	o.people()
	ann, err := o.acc.Account(t.Context(), "company.com", "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Mail().CreateMailbox(t.Context(), "Lists", mailbox.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	o.allow("ann", "Lists", "joe", "p")
	o.onNumber.Store(&do)
	o.send("joe@company.com", text, "Lists#anna@company.com")
	o.settled()
	if got := o.list(); got != list {
		t.Errorf("list %q, not %q", got, list)
	}
	time.Sleep(2 * time.Second)
	o.settled()
	if got := o.list(); got != "" {
		t.Errorf("still waiting: %q", got)
	}
}

func TestAccountRenamedInMidBatchGetsTheMessageAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		inMidBatch(t, o, func() { o.rename("bea") }, "")
		if n := len(o.box("bea", "Lists")); n != 1 {
			t.Errorf("%d messages", n)
		}
		equal(t, "reports", o.box("joe", "INBOX"))
	})
}

// The directory in which the message file is to be made is that of another account then.
func TestAccountRenamedInMidBatchWhoseNameIsTakenAtOnceGetsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		inMidBatch(t, o, func() {
			o.rename("bea")
			o.account("ann", nil)
		}, "")
		if n := len(o.box("bea", "Lists")); n != 1 {
			t.Errorf("%d messages", n)
		}
		equal(t, "the new account's", o.box("ann", "INBOX"))
		equal(t, "reports", o.box("joe", "INBOX"))
	})
}

func TestAccountRemovedInMidBatchIsUnknownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := newOffice(t, dir)
		inMidBatch(t, o, func() {
			if err := o.acc.DeleteAccount(context.Background(), "company.com", "ann"); err != nil {
				t.Error(err)
			}
			for { // the directory goes in the background; until then a message may be put there
				if left, err := os.ReadDir(filepath.Join(dir, "Pending")); len(left) == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				runtime.Gosched()
			}
		}, "Lists#anna@company.com LOCAL(ann@company.com) the account was renamed or removed; to be routed again\n")
		if got := o.box("joe", "INBOX"); len(got) != 1 || !strings.Contains(got[0], "unknown user account") {
			t.Errorf("%q", got)
		}
	})
}

// Before its first attempt a message is not routed again by itself.
func TestRenamedAccountGetsWhatWaitedForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.people()
		o.set.Set(load[Settings](t, dataformat.Dict{"Processors": dataformat.String("0")}).Get())
		o.send("joe@company.com", text, "anna@company.com")
		o.settled()
		o.rename("bea")
		o.set.Set(load[Settings](t, nil).Get())
		time.Sleep(2 * time.Minute) // the scheduler sees it
		o.settled()
		if got := o.list(); got != "" {
			t.Errorf("still waiting: %q", got)
		}
		if n := len(o.box("bea", "INBOX")); n != 1 {
			t.Errorf("%d messages", n)
		}
		equal(t, "reports", o.box("joe", "INBOX"))
	})
}

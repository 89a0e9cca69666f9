package delivery

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts"
	"gatepost/router"
	"gatepost/server/dataformat"
)

func TestFullAccountWaitsAndFreedSpaceWakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("1K")})
		o.account("joe", nil)
		half := text + strings.Repeat("x", 700) + "\r\n"
		o.send("joe@company.com", half, "ann@company.com")
		o.settled()
		o.send("joe@company.com", half, "ann@company.com")
		o.settled()
		if got := o.list(); got != "ann@company.com LOCAL(ann@company.com) account is full (quota exceeded)\n" {
			t.Errorf("list %q", got)
		}
		info, _ := o.q.Info(router.LOCAL, "ann@company.com")
		if wait := time.Until(info.DelayedTill); wait < 29*time.Minute || wait > 30*time.Minute {
			t.Errorf("delayed for %v", wait)
		}
		o.empty("ann")
		o.settled()
		if got := o.list(); got != "" {
			t.Errorf("after there is space: %q", got)
		}
		if n := len(o.box("ann", "INBOX")); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestMessageThatWaitsAloneIsWokenByFreedSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.set.Set(load[Settings](t, dataformat.Dict{"Suspend": dataformat.String("Message")}).Get())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("2K")})
		for range 2 {
			o.send("joe@far.org", text+strings.Repeat("x", 1500)+"\r\n", "ann@company.com")
			o.settled()
		}
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		acc, err := o.acc.Account(context.Background(), "company.com", "ann")
		if err != nil {
			t.Fatal(err)
		}
		m, err := acc.Mail().Open(context.Background(), "INBOX", false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if _, err := m.Move(context.Background(), m.UIDs(), "Trash"); err != nil { // frees nothing
			t.Fatal(err)
		}
		o.settled()
		if n := strings.Count(o.list(), "account is full"); n != 1 {
			t.Errorf("%d wait", n)
		}
		if err := acc.Mail().DeleteMailbox(context.Background(), "Trash"); err != nil {
			t.Fatal(err)
		}
		o.settled()
		if got := o.list(); got != "" {
			t.Errorf("after there is space: %q", got)
		}
	})
}

func TestChangedSettingsWakeWhatWaits(t *testing.T) {
	full := dataformat.Dict{"MaxAccountSize": dataformat.String("1K")}
	off := dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("IMAP")}}
	unset := dataformat.Dict{"MaxAccountSize": dataformat.String("default"), "AccessModes": dataformat.String("default")}
	for name, c := range map[string]struct {
		account, domain dataformat.Dict
		change          func(o *office) error
	}{
		"quota of the account":   {full, nil, func(o *office) error { return o.acc.AccountSettings("company.com", "ann").Update(t.Context(), unset) }},
		"quota of the domain":    {nil, full, func(o *office) error { return o.acc.AccountDefaults("company.com").Update(t.Context(), unset) }},
		"service of the account": {off, nil, func(o *office) error { return o.acc.AccountSettings("company.com", "ann").Update(t.Context(), unset) }},
		"service of the domain":  {nil, off, func(o *office) error { return o.acc.AccountDefaults("company.com").Update(t.Context(), unset) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, t.TempDir())
				if err := o.acc.AccountDefaults("company.com").Update(context.Background(), c.domain); err != nil {
					t.Fatal(err)
				}
				o.account("ann", c.account)
				half := text + strings.Repeat("x", 700) + "\r\n"
				for range 2 {
					o.send("joe@far.org", half, "ann@company.com")
					o.settled()
				}
				if o.list() == "" {
					t.Fatal("nothing waits")
				}
				if err := c.change(o); err != nil {
					t.Fatal(err)
				}
				o.settled()
				if got := o.list(); got != "" {
					t.Errorf("still waiting: %q", got)
				}
			})
		})
	}
}

func TestSpaceFreedBeforeTheWatchBeginsIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("1K")})
		watch := o.local.waiting.watch
		o.local.waiting.watch = func(acc *accounts.Account, freed func()) func() {
			o.empty("ann")
			return watch(acc, freed)
		}
		half := text + strings.Repeat("x", 700) + "\r\n"
		for range 2 {
			o.send("joe@far.org", half, "ann@company.com")
			o.settled()
		}
		if got := o.list(); got != "" {
			t.Errorf("still waiting: %q", got)
		}
	})
}

// Space is freed again and again while the account is being delivered to: no
// message may wait for the retry.
func TestSpaceFreedDuringADeliveryIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("1K")})
		half := text + strings.Repeat("x", 700) + "\r\n"
		for range 30 {
			for range 3 {
				o.send("joe@far.org", half, "ann@company.com")
			}
			for o.list() != "" {
				if len(o.box("ann", "INBOX")) > 0 {
					o.empty("ann")
					continue
				}
				o.settled()
				if len(o.box("ann", "INBOX")) == 0 && o.list() != "" {
					t.Fatalf("the account is empty and mail waits: %s", o.list())
				}
			}
		}
	})
}

func TestSuspendMessageLetsSmallerOnesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.set.Set(load[Settings](t, dataformat.Dict{"Suspend": dataformat.String("Message")}).Get())
		o.account("ann", dataformat.Dict{"MaxAccountSize": dataformat.String("2K")})
		o.send("joe@far.org", text+strings.Repeat("x", 1500)+"\r\n", "ann@company.com")
		o.settled()
		o.send("joe@far.org", text+strings.Repeat("x", 1500)+"\r\n", "ann@company.com")
		o.settled()
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		if n := len(o.box("ann", "INBOX")); n != 2 {
			t.Errorf("%d messages; waiting %q", n, o.list())
		}
	})
}

func TestMailServiceOffWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("IMAP"), dataformat.String("POP")}})
		o.send("joe@far.org", text, "ann@company.com")
		o.settled()
		if got := o.list(); got != "ann@company.com LOCAL(ann@company.com) mail receiving disabled\n" {
			t.Errorf("list %q", got)
		}
	})
}

func TestFlowLimitSuspendsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", dataformat.Dict{"MailInpFlow": dataformat.Array{dataformat.String("3"), dataformat.String("1h")}})
		for range 5 {
			o.send("joe@far.org", text, "ann@company.com")
		}
		o.settled()
		if n := len(o.box("ann", "INBOX")); n != 3 {
			t.Errorf("%d messages", n)
		}
		if got := o.list(); strings.Count(got, "too many messages") != 2 {
			t.Errorf("list %q", got)
		}
		info, _ := o.q.Info(router.LOCAL, "ann@company.com")
		if wait := time.Until(info.DelayedTill); wait < 59*time.Minute || wait > time.Hour {
			t.Errorf("delayed for %v", wait)
		}
	})
}

package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
)

func TestForwarderToAllMakesNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		o.account("ann", nil)
		ctx := context.Background()
		if err := o.acc.DomainSettings("company.com").Update(ctx, dataformat.Dict{
			"AllWithForwarders": dataformat.String("YES"), "MailToAllAction": dataformat.String("anybody")}); err != nil {
			t.Fatal(err)
		}
		if err := o.acc.Forwarders().Create(ctx, "company.com", "everyone", "all@company.com"); err != nil {
			t.Fatal(err)
		}
		o.send("joe@far.org", text, "all@company.com")
		time.Sleep(time.Minute)
		o.settled()
		if n := len(o.box("ann", "INBOX")); n != 1 {
			t.Errorf("ann has %d copies", n)
		}
		if l := o.list(); l != "" {
			t.Errorf("the queue has %s", l)
		}
	})
}

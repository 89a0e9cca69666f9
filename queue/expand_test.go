package queue

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/fault"
)

func TestMailToAllIsOneMessageWithAllRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		env := b.env("joe@company.com", "ann@company.com", "all@company.com")
		env.Recipients[1].Notify = envelope.NotifySuccess
		id := b.mustSubmit(env, testMessage)
		synctest.Wait()
		time.Sleep(time.Minute)
		b.halt()
		if len(env.Recipients) != 2 {
			t.Errorf("the caller's envelope has %d recipients", len(env.Recipients))
		}
		for _, rcpt := range []string{"ann@company.com", "bob@company.com"} {
			if got := b.local.messages(rcpt); len(got) != 1 || got[0] != "Delivered-To: all@company.com\r\n"+testMessage {
				t.Errorf("%s has %q", rcpt, got)
			}
		}
		for _, tried := range b.local.attempts() {
			if tried.queue == "all@company.com" || tried.queue != "joe@company.com" && tried.ids[0] != id {
				t.Errorf("attempt %v", tried)
			}
		}
		if got := b.local.messages("joe@company.com"); len(got) != 1 || !strings.Contains(got[0], "Action: expanded") {
			t.Errorf("joe has %q", got)
		}
	})
}

// Whether an address leads to all is decided before the message is taken: a passing
// failure is not a refusal later, after 250.
func TestMailToAllIsNotTakenWhileTheRouterFails(t *testing.T) {
	b := open(t, t.TempDir())
	b.routes.set("all@company.com", fault.New("table", fault.Internal, ""))
	_, err := b.submit(b.env("joe@company.com", "ann@company.com", "all@company.com"), testMessage)
	if !fault.KindOf(err).Temporary() || err == nil {
		t.Errorf("the answer is %v", err)
	}
}

// A forwarder of one domain may lead to all accounts of another, and back.
func TestMailToAllFollowsForwardersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		toAll := func(domain string) router.Route {
			return router.Route{Module: router.LOCAL, Queue: "all@" + domain, Domain: domain, Address: b.addr("all@" + domain), All: true}
		}
		local := func(addr string) router.Route {
			return router.Route{Module: router.LOCAL, Queue: addr, Address: b.addr(addr)}
		}
		b.routes.to = map[string]router.Route{"bob@company.com": toAll("other.com"), "ann@other.com": local("ann@other.com"), "bob@other.com": toAll("company.com")}
		b.run()
		b.mustSubmit(b.env("joe@company.com", "all@company.com"), testMessage)
		synctest.Wait()
		b.halt()
		for rcpt, want := range map[string]int{"ann@company.com": 1, "ann@other.com": 1, "all@company.com": 0, "all@other.com": 0} {
			if n := len(b.local.messages(rcpt)); n != want {
				t.Errorf("%s has %d messages", rcpt, n)
			}
		}
	})
}

func TestMailToAllThatComesBackIsALoop(t *testing.T) {
	b := open(t, t.TempDir())
	_, err := b.submit(b.env("joe@company.com", "all@company.com"), "Received: x\r\nDELIVERED-TO: <All@Company.com>\r\n"+testMessage)
	if !fault.Is(err, fault.Loop) {
		t.Errorf("%v, want a loop", err)
	}
	if _, err := b.submit(b.env("joe@company.com", "all@company.com"), testMessage+"Delivered-To: all@company.com\r\n"); err != nil {
		t.Errorf("named in the body: %v", err)
	}
	if _, err := b.submit(b.env("joe@company.com", "ann@company.com"), "Delivered-To: all@company.com\r\n"+testMessage); err != nil {
		t.Errorf("to one account: %v", err)
	}
}

// The receiver refuses who may not write to all; whatever comes by another way
// is refused by the queue, or reported when others get the message.
func TestMailToAllIsDeniedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.run()
		env := b.env("joe@company.com", "all@company.com")
		env.Source.Account = "stranger@company.com"
		if _, err := b.submit(env, testMessage); !fault.Is(err, fault.Denied) {
			t.Errorf("%v, want denied", err)
		}
		env = b.env("joe@company.com", "cat@company.com", "all@company.com")
		env.Source.Account = "stranger@company.com"
		b.mustSubmit(env, testMessage)
		synctest.Wait()
		b.halt()
		if got := b.local.messages("joe@company.com"); len(got) != 1 || !strings.Contains(got[0], "you may not write to all accounts") {
			t.Errorf("joe has %q", got)
		}
		if n := len(b.local.messages("ann@company.com")); n != 0 {
			t.Errorf("ann has %d messages", n)
		}
	})
}

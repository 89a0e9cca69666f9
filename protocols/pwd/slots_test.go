package pwd

import (
	"context"
	"io"
	"net"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// patient logs in and asks for no time limit, as a session does that means to stay.
func (s *site) patient(t *testing.T, user, password string) *client {
	t.Helper()
	c := s.login(t, user, password)
	c.expect("NOTIMEOUT", "200 OK")
	return c
}

func TestNoAccountHoldsAllSessions(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	must(t, s.acc.CreateAccount(ctx, "", "other", dataformat.Dict{"Password": dataformat.String("pw")}))
	for _, account := range []struct {
		name, password string
		most           int
	}{{"plain", "pw", 5}, {"less", "pw", 40}, {"postmaster", "secret", 40}} {
		var open []*client
		for range account.most {
			open = append(open, s.patient(t, account.name, account.password))
		}
		// The code is not that of a wrong password, and no client tries for ever.
		refused := newClient(t, s.dial(t))
		refused.line()
		refused.expect("USER "+account.name, "300 please send the PASS")
		refused.expect("PASS "+account.password, "501 too many sessions of this account, close some of them first")
		if _, err := refused.r.ReadByte(); err != io.EOF {
			t.Errorf("the session goes on: %v", err)
		}
		// Others are not touched, and a slot that is given back is free.
		s.login(t, "other", "pw").expect("QUIT", "200 Gatepost PWD connection closed")
		open[0].expect("QUIT", "200 Gatepost PWD connection closed")
		waitClosed(open[0])
		s.login(t, account.name, account.password)
	}
}

// waitClosed returns when the session has ended.
func waitClosed(c *client) { _, _ = c.r.ReadByte() }

func TestSharesOfAnAccount(t *testing.T) {
	for _, c := range []struct{ sessions, user, admin int }{{1, 1, 1}, {2, 2, 1}, {10, 2, 8}, {50, 5, 40}, {1000, 100, 800}} {
		if user, admin := share(c.sessions, false), share(c.sessions, true); user != c.user || admin != c.admin {
			t.Errorf("of %d sessions %d and %d", c.sessions, user, admin)
		}
	}
}

func TestSlotsAreGivenBackWhenASessionPanics(t *testing.T) {
	s := newSite(t, false)
	s.pwd.commands["NOOP"] = &compiled{command: command{verb: "NOOP"}}
	c := newClient(t, s.open(t, func(life context.Context, c net.Conn) {
		defer func() { _ = recover() }()
		s.pwd.serve(life, c, settings.Listener{})
	}))
	c.line()
	c.expect("USER postmaster", "300 please send the PASS")
	c.expect("PASS secret", "200 login OK")
	_, err := c.Write([]byte("NOOP\n"))
	must(t, err)
	waitClosed(c)
	if n := s.pwd.slots.count(); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

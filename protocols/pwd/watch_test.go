package pwd

import (
	"context"
	"net"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// TestSessionEndsWithItsPassword: the session that changes its own password stays,
// the others end.
func TestSessionEndsWithItsPassword(t *testing.T) {
	s := newSite(t, false)
	login := s.listen(t)
	mine, other := login("postmaster", "secret"), login("postmaster", "secret")
	for _, command := range []string{"NEWPASS second", "SETACCOUNTPASSWORD * PASSWORD third", "UPDATEACCOUNTSETTINGS * {Password=fourth;}"} {
		mine.expect(command, replyLine(replyOK))
	}
	if l := other.line(); l != "501 the password has been changed\r\n" {
		t.Errorf("%q", l)
	}
	mine.expect("NOTIMEOUT", replyLine(replyOK))
	must(t, s.acc.SetPassword(ctx, "", "postmaster", "fifth", false))
	if l := mine.line(); l != "501 the password has been changed\r\n" {
		t.Errorf("%q", l)
	}
}

// listen runs the module on a port of its own and returns how to log in there:
// only sessions of a listener can be ended from outside.
func (s *site) listen(t *testing.T) (login func(user, password string) *client) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	life, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.pwd.Serve(life, ln, settings.Listener{}) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	return func(user, password string) *client {
		c, err := net.Dial("tcp", ln.Addr().String())
		must(t, err)
		t.Cleanup(func() { c.Close() })
		k := newClient(t, c)
		k.line()
		k.expect("USER "+user, "300 please send the PASS")
		k.expect("PASS "+password, replyLine(replyLogin))
		return k
	}
}

func TestKillAccountSessions(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	must(t, s.acc.CreateDomain(ctx, "d.com", nil))
	must(t, s.acc.CreateAccount(ctx, "d.com", "plain", dataformat.Dict{"Password": dataformat.String("pw")}))
	login := s.listen(t)
	boss, plain, again, elsewhere := login("postmaster", "secret"), login("plain", "pw"), login("plain", "pw"), login("plain@d.com", "pw")
	less := login("less", "pw")
	plain.expect("KillAccountSessions plain", "500 access denied")
	less.expect("KillAccountSessions postmaster", "500 access denied")
	less.expect("KillAccountSessions plain@d.com", "500 access denied")
	less.expect("KillAccountSessions nobody", "513 unknown user account")
	less.expect("KillAccountSessions plain", "200 OK")
	for _, c := range []*client{plain, again} {
		if l := c.line(); l != "501 closed by the administrator\r\n" {
			t.Errorf("%q", l)
		}
	}
	elsewhere.expect("NOOP", "200 OK")
	// Who asks stays, and the account may log in again.
	boss.expect("KillAccountSessions less", "200 OK")
	boss.expect("KillAccountSessions *", "200 OK")
	boss.expect("NOOP", "200 OK")
	login("plain", "pw")
}

func replyLine(r reply) string {
	line := string(appendReply(nil, r, false))
	return line[:len(line)-2]
}

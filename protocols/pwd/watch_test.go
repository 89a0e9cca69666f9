package pwd

import (
	"context"
	"net"
	"testing"

	"gatepost/server/settings"
)

// TestSessionEndsWithItsPassword: the session that changes its own password stays,
// the others end.
func TestSessionEndsWithItsPassword(t *testing.T) {
	s := newSite(t, false)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	life, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.pwd.Serve(life, ln, settings.Listener{}) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	login := func() *client {
		c, err := net.Dial("tcp", ln.Addr().String())
		must(t, err)
		t.Cleanup(func() { c.Close() })
		k := newClient(t, c)
		k.line()
		k.expect("USER postmaster", "300 please send the PASS")
		k.expect("PASS secret", replyLine(replyLogin))
		return k
	}
	mine, other := login(), login()
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

func replyLine(r reply) string {
	line := string(appendReply(nil, r, false))
	return line[:len(line)-2]
}

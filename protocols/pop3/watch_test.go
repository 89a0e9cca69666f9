package pop3

import "testing"

func TestSessionEndsWithThePassword(t *testing.T) {
	f := newFixture(t, options{})
	c := f.login()
	c.ask("DELE 1", "+OK")
	must(t, f.accounts.SetPassword(t.Context(), "company.com", "user1", "other", false))
	c.want("-ERR [AUTH] the password has been changed")
	f.stop()
	if box := f.open(); box.Len() != 3 {
		t.Errorf("%d messages are left of 3", box.Len())
	} else {
		box.Close()
	}
}

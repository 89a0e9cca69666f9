package imap

import (
	"testing"

	"gatepost/server/dataformat"
)

// TestSessionEndsWithItsAccount: a session says BYE without being asked, in IDLE too.
func TestSessionEndsWithItsAccount(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fixture) error
		want   string
	}{
		"password": {func(f *fixture) error { return f.acc.SetPassword(t.Context(), "", "user1", "other", false) },
			"* BYE The password has been changed"},
		"deleted": {func(f *fixture) error { return f.acc.DeleteAccount(t.Context(), "", "user1") },
			"* BYE The account has been deleted"},
		"renamed": {func(f *fixture) error { return f.acc.RenameAccount(t.Context(), "", "user1", "", "user9") },
			"* BYE The account has been renamed"},
		"service": {func(f *fixture) error {
			return f.acc.AccountSettings("", "user1").Update(t.Context(), dataformat.Dict{"AccessModes": dataformat.String("None")})
		}, "* BYE The service is disabled"},
		"suspended": {func(f *fixture) error { return f.acc.SuspendDomain(t.Context(), "", true) },
			"* BYE The domain is suspended"},
		"killed": {func(f *fixture) error { return f.acc.Sessions().Kill(t.Context(), "", "user1") },
			"* BYE Closed by the administrator"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			waiting, idle := f.connect(t), f.connect(t)
			for _, k := range []*client{waiting, idle} {
				k.line()
				k.send("a LOGIN user1 secret1\r\n")
				k.until("a OK")
			}
			idle.send("b IDLE\r\n")
			idle.until("+ ")
			if err := c.change(f); err != nil {
				t.Fatal(err)
			}
			for _, k := range []*client{waiting, idle} {
				if l := k.line(); l != c.want {
					t.Errorf("%q, want %q", l, c.want)
				}
				k.closed()
			}
		})
	}
}

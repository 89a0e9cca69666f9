package pwd

import (
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// Another wire passes single commands on, with the rights of the account that it has logged in.
func TestSingleCommands(t *testing.T) {
	s := newSite(t, false)
	must(t, s.acc.CreateAccount(ctx, "", "user1", nil))
	who := func(name string) *accounts.Account {
		t.Helper()
		a, err := s.acc.Account(ctx, "", name)
		must(t, err)
		return a
	}
	admin, user := who("postmaster"), who("user1")
	for name, c := range map[string]struct {
		who  *accounts.Account
		line string
		code int
		text string
		kind fault.Kind
	}{
		"no data":              {admin, "NOOP", 200, "OK", 0},
		"data":                 {admin, "ECHO {a=5;b=(x,y);}", 200, "{\n  a =  5;\n  b =  (x, y);\n}", 0},
		"line breaks":          {admin, "\r\nECHO\n {a=5;\r\nb=(x,\ny);}\n", 200, "{\n  a =  5;\n  b =  (x, y);\n}", 0},
		"unknown":              {admin, "NONSENSE", 500, "unknown command", fault.Invalid},
		"no right":             {user, "LISTDOMAINS", 500, "access denied", fault.Denied},
		"own":                  {user, "GETACCOUNTINFO *", 200, "", 0},
		"unknown account":      {admin, "GETACCOUNTSETTINGS none", 513, "unknown user account", fault.NotFound},
		"of a session":         {admin, "INLINE", 500, "INLINE is for sessions on port 106", fault.Unsupported},
		"of a session, quit":   {admin, "quit", 500, "QUIT is for sessions on port 106", fault.Unsupported},
		"of the control":       {admin, "GATEPOST CHECK", 500, "unknown command", fault.Invalid},
		"long, of a user":      {user, "ECHO " + strings.Repeat("x", maxLineUser), 500, "line is too long", fault.TooLarge},
		"long, of an admin":    {admin, "ECHO " + strings.Repeat("x", maxLineUser), 200, strings.Repeat("x", maxLineUser), 0},
		"far too long":         {admin, "ECHO " + strings.Repeat("x", maxLine), 500, "line is too long", fault.TooLarge},
		"too many values":      {admin, "ECHO (" + strings.Repeat("x,", maxLine/2-10) + "x)", 500, "line is too long", fault.TooLarge},
		"wrong password tried": {admin, "VERIFYACCOUNTPASSWORD user1 PASSWORD x", 515, "incorrect password or account name", fault.BadCredentials},
	} {
		a := s.pwd.Command(ctx, c.who, accounts.Peer{Service: "PWD"}, c.line)
		if a.Code != c.code || c.text != "" && a.Text != c.text || (a.Err != nil) != (c.code != 200) || a.Err != nil && fault.KindOf(a.Err) != c.kind {
			t.Errorf("%s: %d %.100q %v", name, a.Code, a.Text, a.Err)
		}
	}
	if n := s.pwd.lines.used.Load(); n != 0 {
		t.Errorf("%d bytes of the budget are not given back", n)
	}
	if a := s.pwd.Command(ctx, admin, accounts.Peer{}, "SHUTDOWN"); a.Code != 200 || a.After == nil {
		t.Errorf("SHUTDOWN: %+v", a)
	}
}

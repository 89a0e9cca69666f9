package webadmin

import (
	"regexp"
	"strings"
	"testing"

	"gatepost/accounts"
)

// An administrator makes a device password, sees it once, and revokes it; the pages take none.
func TestDevicePasswordsPage(t *testing.T) {
	s := newSite(t)
	c := s.master()
	const page = "/Users/Domains/main.com/Objects/postmaster/Device%20Passwords"
	c.get(page).sees(200, "The account has no device passwords", "Feeds of mailing lists")
	c.post(page, "do", "create", "name", "Tablet").sees(422, "Choose what")
	c.post(page, "do", "create", "name", " ", "service", "IMAP").sees(422, "needs a name")
	c.post(page, "do", "create", "name", "Tablet <1>", "service", "IMAP", "service", "PWD").sees(200, "shown only now", "The device password Tablet <1>")
	secret := regexp.MustCompile(`[a-z2-7]{4}(-[a-z2-7]{4}){5}`).FindString(c.body)
	if secret == "" {
		t.Fatal("it is not shown")
	}
	if c.get(page).sees(200, "Tablet <1>", "Mail (IMAP), The command line", "never"); strings.Contains(c.body, secret) {
		t.Error("it is shown again")
	}
	s.client().login("postmaster", secret).sees(403)
	a, err := s.acc.Logins().CheckPassword(t.Context(), accounts.Peer{Service: "IMAP", TLS: true}, "main.com", "postmaster", secret)
	must(t, err)
	if a.DeviceName() != "Tablet <1>" {
		t.Errorf("logged in by %q", a.DeviceName())
	}
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log has the secret")
	}
	c.get(page).sees(200, "Mail (IMAP) ·")
	c.post(page, "do", "create", "name", "tablet <1>", "service", "IMAP").sees(422, "there is a device password")
	c.post(page, "do", "revoke", "name", "Tablet <1>").sees(200, "is revoked", "has no device passwords")
	c.post(page, "do", "create", "name", "Phone", "service", "IMAP").sees(200)
	c.post("/Users/Domains/main.com/Objects/postmaster/Settings", "do", "password", "password", masterPassword, "again", masterPassword, "check", "1", "revoke", "1")
	if list, err := s.acc.DevicePasswords(t.Context(), "main.com", "postmaster"); err != nil || len(list) != 0 {
		t.Errorf("after the password was set: %v %v", list, err)
	}
}

package webadmin

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

var secretPattern = regexp.MustCompile(`class="secret">([A-Z2-7 ]+)<`)

// authenticator is the program on the phone (RFC 6238), some steps ahead.
func authenticator(t *testing.T, secret string, steps int64) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(secret, " ", ""))
	must(t, err)
	m := hmac.New(sha1.New, key)
	must(t, binary.Write(m, binary.BigEndian, time.Now().Unix()/30+steps))
	sum := m.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

// An administrator sets up a second factor, logs in with it, and loses the phone.
func TestTwoStepLogin(t *testing.T) {
	s := newSite(t)
	c := s.master()
	c.get("/Preferences/TOTP").sees(200, "Scan the picture")
	m := secretPattern.FindStringSubmatch(c.body)
	if m == nil || !strings.Contains(c.body, `<svg class="qr"`) {
		t.Fatal("there is no secret, or no picture")
	}
	secret := m[1]
	c.post("/Preferences/TOTP", "do", "enrol", "code", "000").sees(422, "The code is wrong")
	if m := secretPattern.FindStringSubmatch(c.body); m == nil || m[1] != secret {
		t.Fatal("the secret changes after a wrong code")
	}
	c.post("/Preferences/TOTP", "do", "enrol", "code", authenticator(t, secret, -1)).sees(200, "Recovery codes")
	recovery := regexp.MustCompile(`[a-z2-7]{4}(-[a-z2-7]{4}){3}`).FindString(c.body)
	if c.get("/Preferences/TOTP"); strings.Contains(c.body, recovery) || secretPattern.MatchString(c.body) {
		t.Error("codes or secret are shown again")
	}
	// The password alone gives nothing.
	n := s.client()
	n.login("postmaster", masterPassword)
	n.get("/Users/Domains").sees(200, "The six digits")
	if strings.Contains(n.body, "own.com") {
		t.Error("half a login shows pages")
	}
	if n.postRaw("/Users/Domains", url.Values{"token": {n.token()}, "do": {"create"}, "name": {"evil.com"}}); strings.Contains(n.text(), "evil.com") {
		t.Error("half a login changes things")
	}
	n.get("/login?next=/Users/Domains")
	half := n.token()
	n.post("/login", "next", "/Users/Domains", "code", authenticator(t, secret, -1)).sees(403, "was used before")
	n.post("/login", "next", "/Users/Domains", "code", authenticator(t, secret, 1)).sees(200, "own.com")
	if n.token() == half {
		t.Error("the session is not a new one after the code")
	}
	// A code does not log in twice, a recovery code does once.
	o := s.client()
	o.login("postmaster", masterPassword)
	o.get("/login")
	o.post("/login", "code", authenticator(t, secret, 1)).sees(403)
	o.post("/login", "code", recovery).sees(200)
	o.get("/Users/Domains").sees(200, "own.com")
	if strings.Contains(s.log.String(), recovery) || strings.Contains(s.log.String(), strings.ReplaceAll(secret, " ", "")) {
		t.Error("a secret is in the log")
	}
	o.get("/Users/Domains/main.com/Objects/postmaster/Settings").sees(200)
	if strings.Contains(o.body, "WebAdminTOTP") || strings.Contains(o.body, "Recovery=") {
		t.Error("the secret is on a page")
	}
	// To switch it off takes a code; another administrator resets it.
	o.get("/Preferences/TOTP")
	o.post("/Preferences/TOTP", "do", "reset", "code", recovery).sees(422, "wrong")
	for _, self := range []string{"main.com/Objects/postmaster", "MAIN.com/Objects/Postmaster"} {
		o.post("/Users/Domains/"+self+"/Status", "do", "resettotp")
		if o.get("/Preferences/TOTP").sees(200, "Each login needs a code"); t.Failed() {
			t.Fatal("a session that is left open ends the second factor of its own account as " + self)
		}
	}
	p := s.as("second", "main.com", "Master")
	p.get("/Users/Domains/main.com/Objects/postmaster/Status").sees(200, "Two-Step Login")
	p.post("/Users/Domains/main.com/Objects/postmaster/Status", "do", "resettotp").sees(200, "is off")
	s.master().get("/Users/Domains").sees(200, "own.com")
}

// Where the server requires it, nothing is open before it is set up.
func TestTwoStepLoginRequired(t *testing.T) {
	s := newSite(t)
	set := *s.live.Get()
	set.RequireTOTP = "server administrators"
	s.live.Set(&set)
	c := s.master()
	c.get("/Users/Domains").sees(200, "Set it up now")
	m := secretPattern.FindStringSubmatch(c.body)
	if m == nil {
		t.Fatal("no secret")
	}
	c.post("/Preferences/TOTP", "do", "enrol", "code", authenticator(t, m[1], 0)).sees(200, "Recovery codes")
	c.get("/Users/Domains").sees(200, "own.com")
	s.as("admin", "own.com", "Domain").get("/Users/Domains").sees(200, "own.com")
}

package webadmin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestFirstRunOpensForTheLinkAndForThisMachineAlone(t *testing.T) {
	s := newEmptySite(t)
	stranger := s.client().far(true)
	stranger.get("/").sees(403, "one-time link")
	if strings.Contains(stranger.body, "the-link") || strings.Contains(stranger.body, "password\"") {
		t.Error("a stranger learns too much")
	}
	stranger.get("/?link=wrong").sees(403)
	stranger.get("/Users/Domains").sees(403)
	stranger.postRaw("/", url.Values{"password": {"x1"}, "again": {"x1"}}).sees(403)
	stranger.postRaw("/login", url.Values{"name": {"postmaster"}, "password": {""}}).sees(403)
	s.client().far(false).get("/?link=the-link").sees(403, "https://")

	for _, h := range []string{"X-Forwarded-For", "Via", "Forwarded"} {
		proxied := s.client()
		proxied.header.Set(h, "192.0.2.1")
		proxied.get("/").sees(403)
	}
	rebound := s.client()
	rebound.header.Set("Host", "evil.example")
	rebound.get("/").sees(403)

	c := s.client().far(true)
	c.get("/?link=the-link").sees(200, "Choose the password")
	c.postRaw("/", url.Values{"link": {"the-link"}, "password": {"a"}, "again": {"b"}}).sees(422, "differ")
	c.postRaw("/", url.Values{"link": {"the-link"}, "password": {masterPassword}, "again": {masterPassword}})
	if c.status != 200 && c.status != 303 {
		t.Fatalf("setup: %d %s", c.status, c.text())
	}
	// The link is spent.
	c = s.client().far(true)
	c.get("/?link=the-link").sees(200, "Log in")
	c.postRaw("/", url.Values{"link": {"the-link"}, "password": {"other 1"}, "again": {"other 1"}})
	if err := s.acc.Logins().VerifyPassword(t.Context(), "main.com", "postmaster", masterPassword); err != nil {
		t.Errorf("the password was replaced: %v", err)
	}
	for _, secret := range []string{masterPassword, "the-link"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestFirstRunOnThisMachine(t *testing.T) {
	c := newEmptySite(t).client()
	c.get("/").sees(200, "Choose the password")
	c.postRaw("/", url.Values{"password": {masterPassword}, "again": {masterPassword}}).sees(200, "Your server")
	c.get("/Users/Domains").sees(200, "main.com")
}

func TestLoginMakesANewSession(t *testing.T) {
	s := newSite(t)
	c := s.client()
	home, err := url.Parse(s.url)
	must(t, err)
	// An attacker's cookie is never taken over.
	c.Jar.SetCookies(home, []*http.Cookie{{Name: cookieName(false), Value: "fixed", Path: "/"}})
	c.get("/Users/Domains").sees(200, "Log in")
	c.login("postmaster", masterPassword).sees(200)
	first := cookie(c)
	if first == "fixed" || len(first) < 40 {
		t.Errorf("the cookie is %q", first)
	}
	c.login("postmaster", masterPassword)
	if cookie(c) != first {
		// The second login was answered by the session of the first.
		t.Error("a session was replaced by a login that was none")
	}
	c.get("/Users/Domains").sees(200, "own.com")
	c.post("/logout")
	c.get("/Users/Domains").sees(200, "Log in")
	old := s.client()
	old.Jar.SetCookies(home, []*http.Cookie{{Name: cookieName(false), Value: first, Path: "/"}})
	old.get("/Users/Domains").sees(200, "Log in")
}

func cookie(c *client) string {
	home, err := url.Parse(c.url)
	must(c.t, err)
	for _, k := range c.Jar.Cookies(home) {
		if k.Name == cookieName(false) {
			return k.Value
		}
	}
	return ""
}

func TestLoginIsRefused(t *testing.T) {
	s := newSite(t)
	must(t, s.acc.SetPassword(t.Context(), "own.com", "user", "pw", false))
	c := s.client()
	c.login("postmaster", "wrong").sees(403, "name or the password is wrong")
	c.login("nobody", "wrong").sees(403, "name or the password is wrong")
	c.login("user@own.com", "pw").sees(403, "administers nothing")
	if cookie(c) != "" {
		t.Error("there is a session")
	}
	far := s.client().far(false)
	far.get("/login").sees(200, "https://127.0.0.1:9010/")
	far.login("postmaster", masterPassword).sees(403)
	if cookie(far) != "" {
		t.Error("a password in clear has made a session")
	}
}

func TestLoginLeadsToPagesOfOursAlone(t *testing.T) {
	s := newSite(t)
	for next, want := range map[string]string{
		"/Users/Domains": "/Users/Domains", "/Users/Domains/own.com/Objects?filter=a": "/Users/Domains/own.com/Objects?filter=a",
		"//evil.example/": "/", "https://evil.example/": "/", "/\\evil.example": "/", "javascript:alert(1)": "/", "/logout": "/", "": "/",
		"/%2f/evil.example": "/", "/\t/evil.example": "/", "/Users/Domains\r\nX: y": "/",
	} {
		c := s.client()
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.postRaw("/login", url.Values{"name": {"postmaster"}, "password": {masterPassword}, "next": {next}})
		if got := c.head.Get("Location"); c.status != 303 || got != want {
			t.Errorf("next %q: %d to %q, want %q", next, c.status, got, want)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	s := newSite(t)
	clock := time.Now()
	s.app.sessions.now = func() time.Time { return clock }
	ends := func(what string, c *client) {
		t.Helper()
		c.get("/Users/Domains")
		if !strings.Contains(c.text(), "Log in") {
			t.Errorf("after %s the session goes on", what)
		}
	}
	c := s.master()
	clock = clock.Add(31 * time.Minute)
	ends("being idle", c)

	c = s.master()
	for range 30 {
		clock = clock.Add(25 * time.Minute)
		c.get("/Users/Domains")
	}
	ends("its lifetime", c)

	c = s.as("admin", "own.com", "Domain", "BasicSettings")
	must(t, s.acc.SetPassword(t.Context(), "own.com", "admin", "other", false))
	waitEnd(t, s)
	ends("a new password", c)

	c = s.as("admin", "own.com", "Domain")
	must(t, s.acc.Sessions().Kill(t.Context(), "own.com", "admin"))
	ends("KILLACCOUNTSESSIONS", c)

	c = s.as("admin", "own.com", "Domain")
	must(t, s.acc.DeleteAccount(t.Context(), "own.com", "admin"))
	ends("being deleted", c)

	// Without any right nothing is left to see, though the session goes on.
	c = s.as("admin2", "own.com", "Domain")
	must(t, s.acc.SetAccountRights(t.Context(), "own.com", "admin2", nil))
	c.get("/Users/Domains/own.com/Objects").sees(403)
}

// waitEnd waits until the directory has looked at the sessions.
func waitEnd(t *testing.T, s *site) {
	t.Helper()
	for range 2000 {
		s.app.sessions.mu.Lock()
		over := false
		for _, o := range s.app.sessions.all {
			over = over || o.ended.Load()
		}
		s.app.sessions.mu.Unlock()
		if over {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no session has ended")
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSite(t)
	set := *s.live.Get()
	set.Sessions, set.SessionsOfOne = 3, 2
	s.live.Set(&set)
	first, second := s.master(), s.master()
	s.master()
	first.get("/Users/Domains").sees(200, "Log in")
	second.get("/Users/Domains").sees(200, "own.com")
	s.as("a", "own.com", "Domain")
	s.as("b", "own.com", "Domain")
	if n := len(s.app.sessions.all); n != 3 {
		t.Errorf("%d sessions", n)
	}
}

func TestFormsOfOthersAreRefused(t *testing.T) {
	s := newSite(t)
	c := s.master().get("/Users/Domains").sees(200)
	token := c.token()
	if token == "" {
		t.Fatal("no token")
	}
	create := url.Values{"do": {"create"}, "name": {"evil.com"}}
	c.postRaw("/Users/Domains", create).sees(403, "another session")
	create.Set("token", "wrong")
	c.postRaw("/Users/Domains", create).sees(403)
	create.Set("token", token)
	c.header.Set("Origin", "https://evil.example")
	c.postRaw("/Users/Domains", create)
	if c.status != 403 {
		t.Errorf("from another origin: %d", c.status)
	}
	c.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	c.postRaw("/Users/Domains", create)
	if c.status != 403 {
		t.Errorf("cross-site: %d", c.status)
	}
	c.header = http.Header{}
	// The token of another session is none.
	other := s.master().get("/Users/Domains").token()
	create.Set("token", other)
	c.postRaw("/Users/Domains", create).sees(403)
	if list, err := s.acc.Domains(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("domains %v, %v", list, err)
	}
	// A change by a link is none.
	c.get("/Users/Domains?do=create&name=evil.com&token=" + token).sees(200)
	if list, err := s.acc.Domains(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("domains %v, %v", list, err)
	}
}

func TestHeadersOfPages(t *testing.T) {
	s := newSite(t)
	c := s.master().get("/Users/Domains")
	for key, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
		if got := c.head.Get(key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
	csp := c.head.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("CSP lacks %s: %s", part, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Error(csp)
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	far := s.client().far(true)
	far.CheckRedirect = c.CheckRedirect
	far.login("postmaster", masterPassword)
	set := far.head.Get("Set-Cookie")
	for _, part := range []string{"__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie lacks %s: %s", part, set)
		}
	}
	if strings.Contains(set, "Domain=") {
		t.Error(set)
	}
}

package http

import (
	"net/http"
	"strings"
	"testing"

	"gatepost/server/settings"
)

// answerTo sends a GET and returns the whole answer as text, without its date.
func (f *fixture) answerTo(from, path, authorization string) string {
	f.t.Helper()
	c := f.connect(from)
	defer c.Close()
	header := "GET " + path + " HTTP/1.1\r\nHost: company.com\r\nConnection: close\r\n"
	if authorization != "" {
		header += "Authorization: " + authorization + "\r\n"
	}
	go c.Write([]byte(header + "\r\n"))
	resp, err := http.ReadResponse(c.in, nil)
	must(f.t, err)
	resp.Header.Del("Date")
	var b strings.Builder
	must(f.t, resp.Write(&b))
	return b.String()
}

func TestBasicLogin(t *testing.T) {
	f := newFixture(t, options{accounts: true})
	for name, c := range map[string]struct{ authorization, want string }{
		"domain of the host":        {basic("user1", "secret 1"), "account=user1@company.com"},
		"full name":                 {basic("user1@client.dom", "secret 1"), "account=user1@client.dom"},
		"alias of the domain":       {basic("user1@mail.company.com", "secret 1"), "account=user1@company.com"},
		"percent":                   {basic("user1%client.dom", "secret 1"), "account=user1@client.dom"},
		"scheme in another case":    {"basic " + basic("user1", "secret 1")[6:], "account=user1@company.com"},
		"none":                      {"", "401 Unauthorized"},
		"another scheme":            {"Bearer abc", "401 Unauthorized"},
		"not base64":                {"Basic !!", "401 Unauthorized"},
		"no colon":                  {"Basic dXNlcjE=", "401 Unauthorized"},
		"no name":                   {basic("", "secret 1"), "401 Unauthorized"},
		"NUL":                       {basic("user1", "secret 1\x00"), "401 Unauthorized"},
		"line end":                  {basic("user1\r\nx", "secret 1"), "401 Unauthorized"},
		"two at once":               {basic("user1", "secret 1") + "\r\nAuthorization: " + basic("user1", "x"), "400 Bad Request"},
		"wrong password":            {basic("user1", "secret 2"), "401 Unauthorized"},
		"empty password":            {basic("user1", ""), "401 Unauthorized"},
		"account of another domain": {basic("user1@elsewhere.org", "secret 1"), "401 Unauthorized"},
	} {
		got := f.answerTo(loopback, "/mine/x", c.authorization)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
		if strings.Contains(c.want, "401") && !strings.Contains(got, `Www-Authenticate: Basic realm="company.com", charset="UTF-8"`) {
			t.Errorf("%s: no challenge: %s", name, got)
		}
	}
	if got := f.answerTo(loopback, "/dav/", ""); !strings.Contains(got, `Basic realm="the \"DAV\" realm", charset="UTF-8"`) {
		t.Errorf("realm: %s", got)
	}
}

// TestUnknownNamesAreAnsweredAlike: nothing in the answer tells whether there is an account.
func TestUnknownNamesAreAnsweredAlike(t *testing.T) {
	f := newFixture(t, options{accounts: true})
	known := f.answerTo(loopback, "/mine/", basic("user1", "wrong"))
	for _, name := range []string{"nobody", "nobody@client.dom", "x@elsewhere.org", "a b", "postmaster", "..", "user1@company.com@client.dom"} {
		if got := f.answerTo(loopback, "/mine/", basic(name, "wrong")); got != known {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, known)
		}
	}
}

func TestLoginIsForOneRequest(t *testing.T) {
	f := newFixture(t, options{accounts: true})
	c := f.connect(loopback)
	with := "GET /mine/ HTTP/1.1\r\nHost: company.com\r\nAuthorization: " + basic("user1", "secret 1") + "\r\n\r\n"
	c.send(with)
	if status, body := c.response("GET"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	c.send("GET /mine/ HTTP/1.1\r\nHost: company.com\r\n\r\n")
	if status, body := c.response("GET"); status != 401 {
		t.Errorf("the next request without a password: %d %s", status, body)
	}
	c.send("GET /show/ HTTP/1.1\r\nHost: company.com\r\nAuthorization: " + basic("user1", "secret 1") + "\r\n\r\n")
	if _, body := c.response("GET"); !strings.Contains(body, "account=nobody") {
		t.Errorf("a part that wants no login: %s", body)
	}
}

// TestLoginIsLoggedOncePerConnection: with HTTP a name and a password come with each request.
func TestLoginIsLoggedOncePerConnection(t *testing.T) {
	f := newFixture(t, options{accounts: true})
	for range 2 {
		c := f.connect(loopback)
		for range 3 {
			c.send("GET /mine/ HTTP/1.1\r\nHost: company.com\r\nAuthorization: " + basic("user1", "secret 1") + "\r\n\r\n")
			if status, body := c.response("GET"); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
		}
	}
	if n := strings.Count(f.log.String(), "level=INFO+2 msg=login "); n != 2 {
		t.Errorf("%d records of a login", n)
	}
}

func TestPasswordInClearIsRefused(t *testing.T) {
	f := newFixture(t, options{accounts: true})
	for _, authorization := range []string{"", basic("user1", "secret 1"), basic("user1", "wrong")} {
		got := f.answerTo(remote, "/mine/", authorization)
		if !strings.Contains(got, "403 Forbidden") || strings.Contains(got, "Www-Authenticate") || !strings.Contains(got, "Use https") {
			t.Errorf("%q: %s", authorization, got)
		}
	}
	if strings.Contains(f.log.String(), "login failed") {
		t.Error("a password that came in clear was looked at")
	}
	f.stop()
	f.start(tlsListener)
	for _, h2 := range []bool{false, true} {
		req, err := http.NewRequest("GET", "https://company.com/mine/", nil)
		must(t, err)
		req.SetBasicAuth("user1", "secret 1")
		resp, err := f.client(remote, h2).Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != 200 || (resp.ProtoMajor == 2) != h2 {
			t.Errorf("over TLS: %s %s", resp.Proto, resp.Status)
		}
	}
}

func TestServiceThatIsOffRefusesTheLogin(t *testing.T) {
	f := newFixture(t, options{accounts: true})
	must(t, f.accounts.AccountSettings("company.com", "user1").Update(t.Context(), dict(t, "{AccessModes=(Mail,IMAP);}")))
	if got := f.answerTo(loopback, "/mine/", basic("user1", "secret 1")); !strings.Contains(got, "401 Unauthorized") {
		t.Errorf("%s", got)
	}
}

func TestOptionsNeedNoLogin(t *testing.T) {
	f := newFixture(t, options{})
	if status, body := f.ask(loopback, "OPTIONS /dav/ HTTP/1.1\nHost: company.com\n\n"); status != 200 || !strings.Contains(body, "OPTIONS [] slash=true") {
		t.Errorf("of the part: %d %s", status, body)
	}
	if status, _ := f.ask(loopback, "OPTIONS /mine/ HTTP/1.1\nHost: company.com\n\n"); status != 204 {
		t.Errorf("of the server: %d", status)
	}
	if status, _ := f.ask(loopback, "PROPFIND /dav/ HTTP/1.1\nHost: company.com\n\n"); status != 401 {
		t.Errorf("PROPFIND: %d", status)
	}
}

func TestForwardedAddresses(t *testing.T) {
	f := newFixture(t, options{config: func(s *UserSettings) {
		l, err := settings.ParseIPList("127.0.0.1\n10.0.0.0/8")
		must(t, err)
		s.TrustedProxies = l
	}})
	for name, c := range map[string]struct{ from, header, want string }{
		"not from a proxy":             {remote, "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: https", "from=198.51.100.7 tls=false"},
		"from a proxy":                 {loopback, "X-Forwarded-For: 203.0.113.9", "from=203.0.113.9 tls=false"},
		"with TLS in front":            {loopback, "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: https", "from=203.0.113.9 tls=true"},
		"through two proxies":          {loopback, "X-Forwarded-For: 203.0.113.9, 10.1.1.1", "from=203.0.113.9"},
		"with what the client made up": {loopback, "X-Forwarded-For: 127.0.0.1, 10.9.9.9, 203.0.113.9, 10.1.1.1", "from=203.0.113.9"},
		"in two headers":               {loopback, "X-Forwarded-For: 192.0.2.9\nX-Forwarded-For: 203.0.113.9", "from=203.0.113.9"},
		"with ports":                   {loopback, "X-Forwarded-For: 203.0.113.9:4711", "from=203.0.113.9"},
		"IPv6":                         {loopback, "X-Forwarded-For: [2001:db8::9]:4711", "from=2001:db8::9"},
		"bare IPv6":                    {loopback, "X-Forwarded-For: 2001:db8::9", "from=2001:db8::9"},
		"mapped IPv4":                  {loopback, "X-Forwarded-For: ::ffff:203.0.113.9", "from=203.0.113.9"},
		"not an address":               {loopback, "X-Forwarded-For: unknown", "from=127.0.0.1"},
		"not an address before a good": {loopback, "X-Forwarded-For: unknown, 203.0.113.9", "from=203.0.113.9"},
		"not an address after a proxy": {loopback, "X-Forwarded-For: unknown, 10.1.1.1", "from=10.1.1.1"},
		"empty":                        {loopback, "X-Forwarded-For: ", "from=127.0.0.1"},
		"nothing":                      {loopback, "X-Other: 1", "from=127.0.0.1"},
		"proxies alone":                {loopback, "X-Forwarded-For: 10.1.1.2, 10.1.1.1", "from=10.1.1.2"},
	} {
		if _, body := f.ask(c.from, "GET /show HTTP/1.1\nHost: company.com\n"+c.header+"\n\n"); !strings.Contains(body, c.want) {
			t.Errorf("%s: %s, want %s", name, body, c.want)
		}
	}
}

// TestPageOfAnotherSiteChangesNothing: a browser sends the password that it knows with whatever a
// page of another site has it send.
func TestPageOfAnotherSiteChangesNothing(t *testing.T) {
	f := newFixture(t, options{})
	for header, want := range map[string]int{
		"Sec-Fetch-Site: cross-site":      403,
		"Sec-Fetch-Site: same-site":       403,
		"Sec-Fetch-Site: same-origin":     200,
		"Sec-Fetch-Site: none":            200,
		"Origin: https://evil.test":       403,
		"Origin: null":                    403,
		"Origin: http://company.com":      200,
		"Origin: http://company.com:8100": 403,
		"User-Agent: curl":                200,
	} {
		if status, body := f.ask(loopback, "POST /show HTTP/1.1\nHost: company.com\nContent-Length: 0\n"+header+"\n\n"); status != want {
			t.Errorf("POST with %s: %d %s", header, status, body)
		}
		if status, _ := f.ask(loopback, "GET /show HTTP/1.1\nHost: company.com\n"+header+"\n\n"); status != 200 {
			t.Errorf("GET with %s: %d", header, status)
		}
	}
}

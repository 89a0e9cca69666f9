package http

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a request as it is written, with CR LF, and returns status and body.
func (f *fixture) ask(from, text string) (int, string) {
	f.t.Helper()
	c := f.connect(from)
	defer c.Close()
	go func() {
		// A server that refuses early does not read the rest.
		c.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	}()
	method, _, _ := strings.Cut(text, " ")
	return c.response(method)
}

func TestPaths(t *testing.T) {
	f := newFixture(t, options{before: func(f *fixture) {
		f.mount("/any/", Options{SlashInSegment: true}, show)
		f.mount("/Fold/", Options{FoldCase: true}, show)
		f.mount("/show/deep/page", Options{}, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("deep\n")) })
	}})
	for path, want := range map[string]string{
		"/show":                `200 GET [] slash=false`,
		"/show/":               `200 GET [] slash=true`,
		"/show/a/b/":           `200 GET ["a" "b"] slash=true`,
		"/show//a":             `200 GET ["a"] slash=false`,
		"//show/a":             `200 GET ["a"] slash=false`,
		"/show/a?x=/../":       `200 GET ["a"] slash=false`,
		"/show/%D0%B6":         `200 GET ["ж"]`,
		"/show/...":            `200 GET ["..."]`,
		"/show/a+b":            `200 GET ["a+b"]`,
		"/show/deep/page":      `200 deep`,
		"/show/deep/page/":     `200 deep`,
		"/show/deep/page/more": `200 GET ["deep" "page" "more"]`,
		"/show/deep":           `200 GET ["deep"]`,
		"/fold":                `200 GET []`,
		"/FOLD/Me":             `200 GET ["Me"]`,
		"/SHOW/":               `404 There is nothing here.`,
		"/shows":               `404 There is nothing here.`,
		"/show/..":             `400 The path has a segment . or .. in it.`,
		"/show/../mine/":       `400 The path has a segment . or .. in it.`,
		"/show/./a":            `400 The path has a segment . or .. in it.`,
		"/show/%2e%2e/x":       `400 The path has a segment . or .. in it.`,
		"/show/%2E./x":         `400 The path has a segment . or .. in it.`,
		"/any/%2e%2e":          `400 The path has a segment . or .. in it.`,
		"/show/a%2fb":          `400 The path has an encoded slash in it.`,
		"/show%2fa":            `404 There is nothing here.`,
		"/show/..%2f..%2fetc":  `400 The path has an encoded slash in it.`,
		"/any/a%2Fb":           `200 GET ["a/b"]`,
		"/any/..%2Fb":          `200 GET ["../b"]`,
		"/show/a%00":           `400 The path has a character in it that no name has.`,
		"/show/a%0d%0ab":       `400 The path has a character in it that no name has.`,
		"/show/%ff":            `400 The path has a character in it that no name has.`,
		"/show/%7f":            `400 The path has a character in it that no name has.`,
		"/show/%zz":            `400 400 Bad Request`,
		"/show/%":              `400 400 Bad Request`,
		"show":                 `400 400 Bad Request`,
		"*":                    `400 The path does not begin with a slash.`,
	} {
		status, body := f.ask(loopback, "GET "+path+" HTTP/1.1\nHost: company.com\n\n")
		if got := http.StatusText(status); !strings.HasPrefix(strings.TrimSpace(strings.Join([]string{itoa(status), body}, " ")), want) {
			t.Errorf("%s: %d %s %q, want %q", path, status, got, body, want)
		}
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

func TestHostChoosesTheDomain(t *testing.T) {
	f := newFixture(t, options{})
	must(t, f.accounts.DomainSettings("client.dom").Update(t.Context(), dict(t, "{IPAddresses=(192.0.2.1);}")))
	for header, want := range map[string]string{
		"Host: company.com":                  "domain=company.com host=company.com",
		"Host: COMPANY.com.:8100":            "domain=company.com host=company.com",
		"Host: mail.company.com":             "domain=company.com host=mail.company.com",
		"Host: client.dom":                   "domain=client.dom host=client.dom",
		"Host: mail.client.dom":              "domain=client.dom host=mail.client.dom",
		"Host: autoconfig.company.com":       "domain=company.com host=autoconfig.company.com",
		"Host: autoconfig.mail.company.com":  "domain=company.com",
		"Host: mail.autoconfig.company.com":  "domain=client.dom", // of the local address
		"Host: www.elsewhere.org":            "domain=client.dom host=www.elsewhere.org",
		"Host: 192.0.2.1:8100":               "domain=client.dom host=192.0.2.1",
		"Host: [2001:DB8::1]:8100":           "domain=client.dom host=2001:db8::1",
		"Host: [2001:db8::1]":                "domain=client.dom host=2001:db8::1",
		"Host: a_b.company.com":              "domain=client.dom host=a_b.company.com",
		"Host:":                              "domain=client.dom host= ",
		"Host: company.com:":                 "domain=company.com",
		"":                                   "400 400 Bad Request: missing required Host header",
		"Host: company.com\nHost: evil.test": "400 400 Bad Request",
		"Host: company.com:port":             "400 The Host header is neither",
		"Host: company.com:0":                "400 The Host header is neither",
		"Host: company.com:99999":            "400 The Host header is neither",
		"Host: company.com:80:80":            "400 The Host header is neither",
		"Host: ::1":                          "400 The Host header is neither",
		"Host: [::1":                         "400 The Host header is neither",
		"Host: [fe80::1%25eth0]":             "400 The Host header is neither",
		"Host: [192.0.2.1]":                  "400 The Host header is neither",
		"Host: ..":                           "400 The Host header is neither",
		"Host: .":                            "400 The Host header is neither",
		"Host: company..com":                 "400 The Host header is neither",
		"Host: -company.com,evil":            "400 The Host header is neither",
		"Host: company.com%2f..":             "400 The Host header is neither",
		"Host: company.com/../x":             "400 400 Bad Request: malformed Host header",
		"Host: user@company.com":             "400 400 Bad Request: malformed Host header",
		"Host: company.com\x00":              "400 400 Bad Request",
		"Host: " + strings.Repeat("a.", 200): "400 The Host header is neither",
	} {
		if header != "" {
			header += "\n"
		}
		status, body := f.ask(loopback, "GET /show HTTP/1.1\n"+header+"\n")
		if got := itoa(status) + " " + body; !strings.HasPrefix(got, want) && (status != 200 || !strings.Contains(got, want)) {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	// The target in absolute form says more than the header (RFC 9112 section 3.2.2).
	if _, body := f.ask(loopback, "GET http://client.dom/show HTTP/1.1\nHost: company.com\n\n"); !strings.Contains(body, "domain=client.dom host=client.dom") {
		t.Errorf("absolute form: %s", body)
	}
}

// TestFramingIsStrict: what two servers in a row could read as one request and as two is either
// refused or read as RFC 9112 section 6 says, and then the connection carries no second request.
func TestFramingIsStrict(t *testing.T) {
	f := newFixture(t, options{})
	const second = "GET /show/second HTTP/1.1\nHost: company.com\n\n"
	for name, c := range map[string]struct {
		header, body string
		want         int
		says         string
	}{
		"two lengths":                   {"Content-Length: 3\nContent-Length: 4", "abcd", 400, ""},
		"two equal lengths":             {"Content-Length: 3\nContent-Length: 3", "abc", 200, `body="abc"`},
		"list of lengths":               {"Content-Length: 3, 3", "abc", 400, ""},
		"signed length":                 {"Content-Length: +3", "abc", 400, ""},
		"negative length":               {"Content-Length: -1", "", 400, ""},
		"hexadecimal length":            {"Content-Length: 0x3", "abc", 400, ""},
		"length with a blank before :":  {"Content-Length : 3", "abc", 400, ""},
		"huge length":                   {"Content-Length: 99999999999999999999", "abc", 400, ""},
		"folded length":                 {"X: y\n Content-Length: 3", "", 200, `body=""`},
		"unknown coding":                {"Transfer-Encoding: xchunked", "0\n\n", 501, ""},
		"coding with a tab":             {"Transfer-Encoding:\x0bchunked", "0\n\n", 400, ""},
		"two codings":                   {"Transfer-Encoding: gzip, chunked", "0\n\n", 501, ""},
		"coding twice":                  {"Transfer-Encoding: chunked\nTransfer-Encoding: identity", "0\n\n", 501, ""},
		"length beside chunks":          {"Content-Length: 6\nTransfer-Encoding: chunked", "3\nabc\n0\n\n", 200, `body="abc"`},
		"chunk size with a sign":        {"Transfer-Encoding: chunked", "+3\nabc\n0\n\n", 400, "malformed"},
		"chunk size too large":          {"Transfer-Encoding: chunked", "fffffffffffffffff\nabc\n0\n\n", 400, "malformed"},
		"chunk without its end":         {"Transfer-Encoding: chunked", "3\nabcX\n0\n\n", 400, "malformed"},
		"NUL in a header":               {"X: a\x00b\nContent-Length: 0", "", 400, ""},
		"bare CR in a header":           {"X: a\rb\nContent-Length: 0", "", 400, ""},
		"no colon":                      {"nonsense\nContent-Length: 0", "", 400, ""},
		"underscore is another header":  {"Content_Length: 3", "", 200, `body=""`},
		"chunks, whole":                 {"Transfer-Encoding: chunked", "3;ext=1\nabc\n2\nde\n0\nTrailer: x\n\n", 200, `body="abcde"`},
		"chunked in capitals":           {"Transfer-Encoding: Chunked", "3\nabc\n0\n\n", 200, `body="abc"`},
		"expectation that is not known": {"Expect: the-spanish-inquisition\nContent-Length: 0", "", 417, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := f.connect(loopback)
			go k.Write([]byte(strings.ReplaceAll("POST /show/first HTTP/1.1\nHost: company.com\n"+c.header+"\n\n"+c.body+second, "\n", "\r\n")))
			status, body := k.response("POST")
			if status != c.want || !strings.Contains(body, c.says) {
				t.Fatalf("%d %s", status, body)
			}
			if status != 200 {
				if rest, _ := k.in.ReadString(0); strings.Contains(rest, "second") {
					t.Errorf("a second answer after %d: %s", status, rest)
				}
				return
			}
			if status, body := k.response("GET"); status != 200 || !strings.Contains(body, `GET ["second"]`) {
				t.Errorf("the request behind it: %d %s", status, body)
			}
		})
	}
}

func TestBareLineFeedsInChunksAreRefused(t *testing.T) {
	f := newFixture(t, options{})
	k := f.connect(loopback)
	go k.Write([]byte("POST /show HTTP/1.1\r\nHost: company.com\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"))
	if status, body := k.response("POST"); status != 400 {
		t.Errorf("%d %s", status, body)
	}
}

func TestOldProtocolVersions(t *testing.T) {
	f := newFixture(t, options{})
	for request, want := range map[string]int{
		"GET /show HTTP/1.0\n\n":                      200,
		"GET /show\n\n":                               400,
		"GET /show HTTP/2.0\nHost: company.com\n\n":   505,
		"GET /show HTTP/1.9\nHost: company.com\n\n":   200,
		"GET /show http/1.1\nHost: company.com\n\n":   400,
		"PRI * HTTP/2.0\n\nSM\n\n":                    501,
		"EHLO client.example\n":                       400,
		"GET  /show HTTP/1.1\nHost: company.com\n\n":  400,
		"GET /show a HTTP/1.1\nHost: company.com\n\n": 400,
	} {
		if status, body := f.ask(loopback, request); status != want {
			t.Errorf("%q: %d %s, want %d", request, status, body, want)
		}
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	f := newFixture(t, options{config: func(s *UserSettings) { s.HeaderSize = 8 << 10 }})
	for name, header := range map[string]string{
		"one long line": "X: " + strings.Repeat("y", 1<<20),
		"many lines":    strings.Repeat("X-Y: z\n", 100_000),
		"long target":   "",
	} {
		target := "/show"
		if header == "" {
			target += "/" + strings.Repeat("a", 1<<20)
			header = "X: y"
		}
		status, _ := f.ask(loopback, "GET "+target+" HTTP/1.1\nHost: company.com\n"+header+"\n\n")
		if status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %d", name, status)
		}
	}
}

func TestLongChunkTrailersAreRefused(t *testing.T) {
	f := newFixture(t, options{})
	for name, rest := range map[string]string{
		"trailer":         "0\n" + strings.Repeat("X-Y: z\n", 10_000),
		"chunk extension": "1;" + strings.Repeat("x", 10_000) + "\na\n0\n\n",
		"tiny chunks":     strings.Repeat("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\na\n", 10_000),
	} {
		status, body := f.ask(loopback, "POST /show HTTP/1.1\nHost: company.com\nTransfer-Encoding: chunked\n\n"+rest)
		if status != 400 {
			t.Errorf("%s: %d %.100s", name, status, body)
		}
	}
}

func TestBodyAboveTheLimitIsRefused(t *testing.T) {
	f := newFixture(t, options{config: func(s *UserSettings) { s.RequestSize = 100 }})
	long := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		request string
		want    int
	}{
		"announced":          {"POST /show HTTP/1.1\nHost: company.com\nContent-Length: 101\n\n" + long, 413},
		"announced, unread":  {"POST /show HTTP/1.1\nHost: company.com\nContent-Length: 9999999\nExpect: 100-continue\n\n", 413},
		"in chunks":          {"POST /show HTTP/1.1\nHost: company.com\nTransfer-Encoding: chunked\n\n65\n" + long + "\n0\n\n", 413},
		"just so":            {"POST /show HTTP/1.1\nHost: company.com\nContent-Length: 100\n\n" + long[:100], 200},
		"above the part's":   {"POST /small HTTP/1.1\nHost: company.com\nContent-Length: 11\n\n" + long[:11], 413},
		"within the part's":  {"POST /small HTTP/1.1\nHost: company.com\nContent-Length: 10\n\n" + long[:10], 200},
		"chunks for a small": {"POST /small HTTP/1.1\nHost: company.com\nTransfer-Encoding: chunked\n\nb\n" + long[:11] + "\n0\n\n", 413},
	} {
		if status, body := f.ask(loopback, c.request); status != c.want {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestRefusedConnectionIsTold(t *testing.T) {
	f := newFixture(t, options{config: func(s *UserSettings) { s.Channels = 1 }})
	first := f.connect(remote)
	first.send("GET /show HTTP/1.1\r\nHost: company.com\r\n\r\n")
	first.response("GET")
	second := f.connect(remote)
	must(t, second.SetDeadline(time.Now().Add(time.Minute)))
	if status, body := second.response("GET"); status != 503 || !strings.Contains(body, "too many connections") {
		t.Errorf("%d %s", status, body)
	}
}

package http

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzConnection sends anything, and expects a connection that ends without a crash.
func FuzzConnection(f *testing.F) {
	text, err := os.ReadFile("testdata/loopback/methods.txtar")
	must(f, err)
	for _, file := range txtar.Parse(text).Files {
		f.Add(string(file.Data))
	}
	f.Add("POST /show HTTP/1.1\nHost: company.com\nTransfer-Encoding: chunked\n\n3\nabc\n0\nX: y\n\n")
	f.Add("GET /mine/%2e HTTP/1.1\nHost: [::1]:80\nAuthorization: Basic dXNlcjE6c2VjcmV0IDE=\n\n")
	fix := newFixture(f, options{accounts: true})
	f.Fuzz(func(t *testing.T, sent string) {
		c, err := fix.pipes.Dial(loopback)
		must(t, err)
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, c) // ends with the connection
		}()
		_, _ = io.WriteString(c, strings.ReplaceAll(sent, "\n", "\r\n")) // the server may refuse the rest
		c.Close()
		<-read
		if n := fix.server.count.Crashed() + int(fix.server.crashed.Load()); n > 0 && !strings.Contains(sent, "/panic") {
			t.Fatalf("crashed: %s", fix.log)
		}
	})
}

// FuzzNames reads hosts, paths and addresses of proxies: what comes out is safe to look up.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"company.com:80", "[::1]", "a%2f..", "/%2e%2e/x", "1.2.3.4:5", "..", "a\x00b", "%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if host, err := hostName(s); err == nil && (host == "" || strings.ContainsAny(host, "/\\%@ \r\n\x00") || strings.Contains(host, "..")) {
			t.Errorf("host %q of %q", host, s)
		}
		if ip, ok := forwarded(s); ok && (!ip.IsValid() || ip.Zone() != "") {
			t.Errorf("address %v of %q", ip, s)
		}
		if u, err := url.ParseRequestURI("/" + s); err == nil {
			path, _, err := splitPath(u)
			for _, p := range path {
				if err == nil && (p == "" || p == "." || p == ".." || strings.ContainsAny(p, "\x00\r\n")) {
					t.Errorf("segment %q of %q", p, s)
				}
			}
		}
		if v, err := parameter(s, "command"); err == nil && strings.TrimSpace(v) == "" {
			t.Errorf("an empty command of %q", s)
		}
		if wantsPage(http.Header{"Accept": {s}}) && !strings.Contains(strings.ToLower(s), "text/html") {
			t.Errorf("a page for %q", s)
		}
	})
}

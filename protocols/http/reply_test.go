package http

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatepost/server/fault"
)

func TestEveryKindOfFailureHasAnAnswer(t *testing.T) {
	f := newFixture(t, options{})
	c := f.client(loopback, false)
	for _, k := range fault.Kinds() {
		a, ok := answers[k]
		if !ok || http.StatusText(a.status) == "" || !strings.HasSuffix(a.text, ".") {
			t.Errorf("%s: %+v", k, a)
		}
		if (a.status == 503 || a.status >= 500 && a.status != 501 && a.status != 508 || a.status == 429) != k.Temporary() && k != fault.Disabled {
			t.Errorf("%s is temporary: %t, and answered with %d", k, k.Temporary(), a.status)
		}
		resp, err := c.Get("http://company.com/fail/" + url.PathEscape(k.String()))
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != a.status || resp.Header.Get("ETag") != "" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", k, resp.Status, resp.Header)
		}
		if (resp.StatusCode == 401) != (resp.Header.Get("WWW-Authenticate") != "") || (resp.StatusCode == 503 || resp.StatusCode == 429) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("%s: %v", k, resp.Header)
		}
	}
}

func TestErrorsArePagesForBrowsersAndTextForOthers(t *testing.T) {
	f := newFixture(t, options{})
	for accept, page := range map[string]bool{
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true,
		"*/*": false, "": false, "application/json": false,
	} {
		req, err := http.NewRequest("GET", "http://company.com/nowhere/%3Cscript%3E", nil)
		must(t, err)
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		resp, err := f.client(loopback, false).Do(req)
		must(t, err)
		var b strings.Builder
		must(t, resp.Write(&b))
		text := b.String()
		if resp.StatusCode != 404 || strings.Contains(text, "<!DOCTYPE html>") != page || !strings.Contains(text, "There is nothing here.") || strings.Contains(text, "script>") {
			t.Errorf("%s: %s", accept, text)
		}
		if page != strings.Contains(text, "Content-Type: text/html; charset=utf-8") || page != strings.Contains(text, "style-src 'sha256-") {
			t.Errorf("%s: %s", accept, text)
		}
	}
}

func TestPanicEndsOneRequestOnly(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, options{listener: tlsListener})
			c := f.client(loopback, h2)
			if status, body := get(t, c, "https://company.com/panic"); status != 500 || !strings.Contains(body, "The server failed.") {
				t.Errorf("%d %s", status, body)
			}
			// Where the answer has begun, the client must not take the beginning for the whole.
			resp, err := c.Get("https://company.com/panic?late")
			if err == nil {
				_, err = resp.Body.Read(make([]byte, 1<<20))
				for err == nil {
					_, err = resp.Body.Read(make([]byte, 1<<20))
				}
				resp.Body.Close()
			}
			if err == nil || err.Error() == "EOF" {
				t.Errorf("a cut answer reads as a whole one: %v", err)
			}
			if status, body := get(t, c, "https://company.com/show"); status != 200 {
				t.Errorf("the next request: %d %s", status, body)
			}
			f.stop()
			log := f.log.String()
			if f.server.crashed.Load() != 2 || strings.Count(log, "request crashed") != 2 || !strings.Contains(log, "fixture_test.go") {
				t.Errorf("%d crashed: %s", f.server.crashed.Load(), log)
			}
		})
	}
}

func TestFrontPageLinksWhatIsThere(t *testing.T) {
	f := newFixture(t, options{before: func(f *fixture) {
		f.mount("/closed/", Options{Title: "Closed", Part: PartCLI}, show)
	}})
	status, body := get(t, f.client(loopback, false), "http://client.dom/")
	if status != 200 || !strings.Contains(body, "<h1>client.dom</h1>") || !strings.Contains(body, `<a href="/show/">What you have sent</a>`) || strings.Contains(body, "Closed") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get(t, f.client(loopback, false), "http://client.dom/closed/"); status != 403 {
		t.Errorf("closed: %d", status)
	}
}

func TestBadMountsAreErrors(t *testing.T) {
	s := newFixture(t, options{}).server
	for pattern, methods := range map[string][]string{
		"show": nil, "/SHOW/": nil, "/{$}": nil, "/x": {"BREW"},
	} {
		if err := s.Mount(pattern, Options{Methods: methods}, http.NotFoundHandler()); err == nil {
			t.Errorf("%s %v is no error", pattern, methods)
		}
	}
}

package mtasts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/server/resolver/resolvertest"
)

func TestParse(t *testing.T) {
	const good = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
	for name, c := range map[string]struct{ text, want string }{
		"the example of the RFC":  {good, good},
		"LF, other names, spaces": {"version: STSv1\nmode:testing \nextra: 1\nmx:MX.Example.com.\nmax_age: 60\n", "version: STSv1\r\nmode: testing\r\nmx: mx.example.com\r\nmax_age: 60\r\n"},
		"none needs no host":      {"version: STSv1\nmode: none\nmax_age: 60", "version: STSv1\r\nmode: none\r\nmax_age: 60\r\n"},
		"the first of two counts": {"version: STSv1\nmode: none\nmode: enforce\nmax_age: 60", "version: STSv1\r\nmode: none\r\nmax_age: 60\r\n"},
		"more than a year":        {"version: STSv1\nmode: none\nmax_age: 99999999999", "version: STSv1\r\nmode: none\r\nmax_age: 31557600\r\n"},
		"another version":         {"version: STSv2\nmode: none\nmax_age: 60", "its version is not STSv1"},
		"no mode":                 {"version: STSv1\nmax_age: 60", `its mode "" is not enforce, testing or none`},
		"no age":                  {"version: STSv1\nmode: none", `its max_age "" is not a number of seconds`},
		"a negative age":          {"version: STSv1\nmode: none\nmax_age: -1", `its max_age "-1" is not a number of seconds`},
		"no host":                 {"version: STSv1\nmode: enforce\nmax_age: 60", "it names no host"},
		"a page":                  {"<html>\n", `"<html>" is not a name with a value`},
		"too many hosts":          {"version: STSv1\nmode: enforce\nmax_age: 60\n" + strings.Repeat("mx: a.b\n", maxHosts+1), "it names too many hosts"},
	} {
		got := ""
		if p, err := Parse(c.text); err != nil {
			got = err.Error()
		} else {
			got = p.String()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("version: STSv1\nmode: enforce\nmx: *.a.b\nmax_age: 60\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q is read as %q, and that as %v, %v", text, p.String(), again, err)
		}
	})
}

func TestMatches(t *testing.T) {
	p := &Policy{MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "x.mail.example.com": false, "example.com": false,
		"a.example.net": true, "a.b.example.net": false, "example.net": false, ".example.net": true, "net": false,
	} {
		if got := p.Matches(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestRecordID(t *testing.T) {
	for _, c := range []struct {
		texts    []string
		id, fail string
	}{
		{[]string{"v=spf1 -all", "v=STSv1; id=2016;"}, "2016", ""},
		{[]string{"v=STSv1 ;x=1;id=a"}, "a", ""},
		{[]string{"v=STSv10; id=1;"}, "", ""},
		{nil, "", ""},
		{[]string{"v=STSv1; id=1;", "v=STSv1; id=2;"}, "", "there are several records"},
		{[]string{"v=STSv1; id=a-b;"}, "", "the record has no id of letters and digits"},
		{[]string{"v=STSv1; id=" + strings.Repeat("1", 33)}, "", "the record has no id of letters and digits"},
	} {
		id, err := recordID(c.texts)
		if fail := ""; id != c.id || err != nil && err.Error() != c.fail || err == nil && c.fail != fail {
			t.Errorf("%q: %q, %v", c.texts, id, err)
		}
	}
}

// host is where domains have their policies.
type host struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	fetched atomic.Int32
}

func (h *host) say(text string) {
	h.handle(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte(text))
	})
}

func (h *host) handle(f http.HandlerFunc) { h.answer.Store(&f) }

func newHost(t *testing.T) *host {
	h := new(host)
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h.fetched.Add(1)
		if q.URL.Path != Path {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		(*h.answer.Load())(w, q)
	}))
	h.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(h.Close)
	return h
}

// open returns policies of hosts named example.com, which the certificate of httptest has, below mta-sts.
func open(t *testing.T, h *host, zone *resolvertest.Zone, file string) *Policies {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(h.Certificate())
	p := Open(Options{DNS: zone.Resolver(), File: file, Roots: roots, Log: slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "192.0.2.44:443" {
				t.Errorf("connects to %s", address)
			}
			return new(net.Dialer).DialContext(ctx, network, h.Listener.Addr().String())
		}})
	t.Cleanup(p.Close)
	return p
}

const (
	domain   = "example.com"
	records  = "_mta-sts.example.com. TXT \"v=STSv1; id=1;\"\nmta-sts.example.com. A 192.0.2.44"
	enforced = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"
)

func (p *Policies) mode(t *testing.T) string {
	t.Helper()
	f, err := p.Of(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	text := "no policy"
	if f.Policy != nil {
		text = f.Policy.Mode
	}
	if f.Problem != nil {
		text += ", " + f.Problem.Error()
	}
	return text
}

func TestPolicyIsFetchedKeptAndRenewed(t *testing.T) {
	h, zone := newHost(t), resolvertest.New(t, records)
	file := filepath.Join(t.TempDir(), "MTASTS.data")
	p := open(t, h, zone, file)
	h.say(enforced)
	step := func(what, want string, fetched int32) {
		t.Helper()
		if got := p.mode(t); got != want || h.fetched.Load() != fetched {
			t.Errorf("%s: %s after %d fetches, want %s after %d", what, got, h.fetched.Load(), want, fetched)
		}
	}
	step("new", "enforce", 1)
	step("known", "enforce", 1)
	zone.Set(t, strings.Replace(records, "id=1", "id=2", 1))
	h.say(strings.Replace(enforced, "enforce", "testing", 1))
	step("another ID", "testing", 2)
	zone.Fail("_mta-sts." + domain)
	step("the DNS fails", "testing, no answer from the DNS for the TXT of _mta-sts.example.com: SERVFAIL", 2)
	zone.Work("_mta-sts." + domain)
	zone.Set(t, "example.com. A 192.0.2.1")
	step("no record", "testing", 2)
	zone.Set(t, strings.Replace(records, "id=1", "id=3", 1))
	h.handle(func(w http.ResponseWriter, q *http.Request) { w.WriteHeader(http.StatusNotFound) })
	const broken = "testing, https://mta-sts.example.com/.well-known/mta-sts.txt: the answer is 404, and 200 is expected"
	step("the fetch fails", broken, 3)
	step("not again at once", broken, 3)
	p.Close()
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "mode: testing") {
		t.Fatalf("the file: %q, %v", text, err)
	}
	p = open(t, h, zone, file)
	step("after a restart", broken, 4)
	if n := p.Known(); n[Testing] != 1 {
		t.Errorf("known: %v", n)
	}
	p.mu.Lock()
	p.known[domain].fetched = time.Now().Add(-25 * time.Hour)
	p.mu.Unlock()
	step("its time is over", strings.Replace(broken, "testing", "no policy", 1), 4)
}

func TestFetchRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"a redirect": {func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "https://example.net/", http.StatusFound)
		}, "the answer is 302"},
		"HTML": {func(w http.ResponseWriter, q *http.Request) { w.Header().Set("Content-Type", "text/html") }, "text/plain is expected"},
		"a long one": {func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write(make([]byte, maxPolicy+1))
		}, "it is longer than 64 kB"},
		"a wrong text": {func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte("hello: x"))
		}, "its version is not STSv1"},
	} {
		h := newHost(t)
		h.handle(c.handle)
		if got := open(t, h, resolvertest.New(t, records), "").mode(t); !strings.HasPrefix(got, "no policy, ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	h := newHost(t)
	h.say(enforced)
	p := open(t, h, resolvertest.New(t, records), "")
	p.fetcher.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{}
	if got := p.mode(t); !strings.Contains(got, "certificate") {
		t.Errorf("an unknown authority: %s", got)
	}
	if got := open(t, h, resolvertest.New(t, "_mta-sts.example.com. TXT \"v=STSv1; id=1;\""), "").mode(t); !strings.Contains(got, "does not exist") {
		t.Errorf("no host: %s", got)
	}
}

func TestOneFetchForAllWhoWait(t *testing.T) {
	h := newHost(t)
	h.say(enforced)
	p := open(t, h, resolvertest.New(t, records), "")
	results := make(chan string)
	for range 20 {
		go func() {
			f, err := p.Of(context.Background(), "EXAMPLE.com")
			if err != nil || f.Policy == nil {
				results <- "nothing"
				return
			}
			results <- f.Policy.Mode
		}()
	}
	var all []string
	for range 20 {
		all = append(all, <-results)
	}
	if slices.Contains(all, "nothing") || h.fetched.Load() != 1 {
		t.Errorf("%v after %d fetches", all, h.fetched.Load())
	}
}

func TestDamagedFileIsBegunAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "MTASTS.data")
	for _, text := range []string{"{", `{example.com={ID=1;};other=x;}`, `("a")`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h := newHost(t)
		h.say(enforced)
		p := open(t, h, resolvertest.New(t, records), file)
		if got := p.mode(t); got != Enforce {
			t.Errorf("%s: %s", text, got)
		}
		p.Close()
	}
}

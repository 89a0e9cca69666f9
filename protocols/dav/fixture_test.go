package dav

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox/mailboxtest"
	httpd "gatepost/protocols/http"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// A fixture is HTTPU with DAV for the accounts ann, bob and none@company.com; none may not use WebCAL. The password is "secret 1".
type fixture struct {
	t        testing.TB
	accounts *accounts.Store
	client   *http.Client
	server   *Server
	http     *httpd.Server
	storage  *files.Store
	log      transcript.Log
	user     string
	vars     map[string]string
	wait     func() // until the queue is empty
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, user: "ann@company.com", vars: make(map[string]string)}
	log := slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug - 100}))
	var ids atomic.Uint64
	acc, err := accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: log,
	})
	must(t, err)
	t.Cleanup(func() { must(t, acc.Close()) })
	mailboxtest.CheckAtEnd(t, acc.Mail())
	f.accounts = acc
	rs := &router.Settings{}
	must(t, settings.Load(rs, nil))
	r, err := router.New(settings.NewLive(rs), acc, log)
	must(t, err)
	for _, name := range []string{"ann", "bob", "none"} {
		d := dataformat.Dict{"Password": dataformat.String("secret 1")}
		if name == "none" {
			d["AccessModes"] = dataformat.Array{dataformat.String("Mail"), dataformat.String("HTTP")}
		}
		must(t, acc.CreateAccount(t.Context(), "company.com", name, d))
	}
	cfg := &httpd.Settings{}
	must(t, settings.Load(cfg, nil))
	server := httpd.New("HTTPU", settings.NewLive(cfg), acc, r, func() *tls.Config { return nil }, t.TempDir(), log)
	f.http = server
	f.server = New(groupware.New(acc, access.New(acc, r)))
	must(t, f.server.Mount(server, server.Front()))
	storage := files.New()
	f.storage = storage
	must(t, f.server.MountFiles(server, storage))
	must(t, f.server.MountSites(server, storage))
	ctx, cancel := context.WithCancel(context.Background())
	l := settings.Listener{Port: 8100, TLS: settings.TLSNone}
	pipes := transcript.NewPipes("192.0.2.1:8100")
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, pipes, l) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return pipes.Dial("127.0.0.1") }}
	f.client = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() { tr.CloseIdleConnections(); stop() })
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(method, path, body string, header ...string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, "http://company.com:8100"+path, strings.NewReader(body))
	must(f.t, err)
	if f.user != "" {
		req.SetBasicAuth(f.user, "secret 1")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	must(f.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(f.t, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (f *fixture) want(status int, a answer) answer {
	f.t.Helper()
	if a.status != status {
		f.t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

func event(uid, more string) string {
	return strings.ReplaceAll(fmt.Sprintf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Test//EN\nBEGIN:VEVENT\nUID:%s\nDTSTAMP:20260101T000000Z\n%sEND:VEVENT\nEND:VCALENDAR\n", uid, more), "\n", "\r\n")
}

// play carries out a dialogue of testdata. Lines beginning with "> " are the request, its body after an empty "> "; "< 207" is the status,
// "<~ text" must be in header or body, "<! text" must not, "<= name expression" keeps what the expression finds as {name}; "~" waits until the queue is empty; "@ user" changes
// who asks, with "-" for nobody. Spaces between elements do not count.
func (f *fixture) play(name string) {
	f.t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	must(f.t, err)
	var request []string
	var got answer
	var all string
	pending := false
	for n, line := range strings.Split(string(b), "\n") {
		for k, v := range f.vars {
			line = strings.ReplaceAll(line, "{"+k+"}", v)
		}
		if !strings.HasPrefix(line, ">") && len(request) > 0 {
			got = f.send(request)
			request, pending = nil, true
			var h strings.Builder
			must(f.t, got.header.Write(&h))
			all = h.String() + got.body
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case ">":
			request = append(request, rest)
		case "@":
			if f.user = rest; rest == "-" {
				f.user = ""
			}
		case "<":
			if fmt.Sprint(got.status) != rest {
				f.t.Errorf("%s:%d: status %d, want %s\n%s", name, n+1, got.status, rest, all)
			}
			pending = false
		case "<~":
			if !strings.Contains(all, rest) {
				f.t.Errorf("%s:%d: %q is missing in\n%s", name, n+1, rest, all)
			}
		case "<!":
			if strings.Contains(all, rest) {
				f.t.Errorf("%s:%d: %q is in\n%s", name, n+1, rest, all)
			}
		case "<=":
			key, expr, _ := strings.Cut(rest, " ")
			m := regexp.MustCompile(expr).FindStringSubmatch(all)
			if m == nil {
				f.t.Fatalf("%s:%d: nothing like %s in\n%s", name, n+1, expr, all)
			}
			f.vars[key] = m[1]
		case "~":
			f.wait()
		case "", "#":
		default:
			f.t.Fatalf("%s:%d: %s", name, n+1, line)
		}
	}
	if pending || len(request) > 0 {
		f.t.Errorf("%s: the last answer is not looked at", name)
	}
}

func (f *fixture) send(request []string) answer {
	f.t.Helper()
	method, path, _ := strings.Cut(request[0], " ")
	var header []string
	body := ""
	for i, l := range request[1:] {
		if l == "" {
			body = strings.Join(request[i+2:], "\n")
			if !strings.HasPrefix(body, "<") {
				body = strings.ReplaceAll(body, "\n", "\r\n") + "\r\n"
			}
			break
		}
		k, v, _ := strings.Cut(l, ": ")
		header = append(header, k, v)
	}
	return f.do(method, path, body, header...)
}

package webadmin

import (
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/mailbox/mailboxtest"
	gate "gatepost/protocols/http"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/admin"
	"gatepost/server/admin/admintest"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

const (
	masterPassword = "plum tree 1"
	remote         = "198.51.100.7"
)

// site is a server with the pages alone: the Main Domain main.com with postmaster and user, the domains
// own.com and other.com with the account user each.
type site struct {
	t      testing.TB
	app    *App
	acc    *accounts.Store
	server *fakeServer
	log    *lockedLog
	url    string
	live   *settings.Live[Settings]
	stop   func()
}

type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Line(line []byte, _ bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(line)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// moduleSettings are a module with a setting of every form.
type moduleSettings struct {
	LogLevel int                `key:"LogLevel" default:"-1" help:"records that are written"`
	Listener settings.Listeners `key:"Listener" default:"({Port=25;},{Port=465;TLS=implicit;})" help:"where it listens"`
	Size     settings.Size      `key:"MaxMessageSize" default:"50M" unit:"bytes" help:"largest message"`
	Period   settings.Period    `key:"DelayPrompt" default:"5s" level:"advanced" help:"time before the greeting"`
	Rate     settings.Rate      `key:"InputFlow" default:"(20, 15)" level:"expert" help:"messages in a period"`
	Flag     settings.Flag      `key:"DiscloseVersion" default:"NO" help:"the version is told"`
	List     []string           `key:"RBLDomain" help:"lists that are asked"`
	Word     string             `key:"VerifyReturnPath" default:"non-clients" values:"nobody|non-clients|everybody" help:"whose return-path is verified"`
	Text     string             `key:"Prompt" default:"hello" help:"the text of the greeting"`
	Secret   string             `key:"SmartHostPassword" secret:"yes" help:"the password at the smart host"`
	Trusted  settings.IPList    `key:"Trusted" help:"addresses that are trusted"`
}

func (m *moduleSettings) Validate() error {
	if m.LogLevel > 5 {
		return settings.BadValue("LogLevel", "must be -1 to 5")
	}
	return nil
}

// fakeServer is what calls need of the server as a whole.
type fakeServer struct {
	*admintest.Server
	mu      sync.Mutex
	modules map[string]dataformat.Dict
	lines   string
}

func (s *fakeServer) SettingNames(string) *settings.Names {
	return settings.NamesOf(settings.Describe(new(moduleSettings)), []settings.Setting{{Key: "ExternalFilters", Feature: "external filters"}})
}

func (s *fakeServer) Module(_ context.Context, name string) (dataformat.Dict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return settings.Merge(s.modules[name], nil), nil
}

func (s *fakeServer) UpdateModule(_ context.Context, name string, d dataformat.Dict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := settings.Merge(s.modules[name], d)
	if err := settings.Load(new(moduleSettings), after); err != nil {
		return err
	}
	s.modules[name] = after
	return nil
}

// SetLines gives what comes from outside: addresses in the queue, records of the log.
func (s *fakeServer) SetLines(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = text
}

func (s *fakeServer) text() dataformat.String {
	s.mu.Lock()
	defer s.mu.Unlock()
	return dataformat.String(s.lines)
}

func (s *fakeServer) QueueList(context.Context, dataformat.Dict) (dataformat.Array, error) {
	t := s.text()
	return dataformat.Array{dataformat.Dict{"id": dataformat.Number(100234), "age": dataformat.Number(7200), "size": dataformat.Number(2045),
		"returnPath": t, "recipient": t, "module": dataformat.String("SMTP"), "queue": t, "lastError": t}}, nil
}

func (s *fakeServer) QueueMessage(context.Context, string) (dataformat.Dict, error) {
	t := s.text()
	return dataformat.Dict{"returnPath": t, "source": t, "header": t, "account": t, "recipients": dataformat.Array{dataformat.Dict{"recipient": t, "state": t, "module": t, "queue": t, "lastError": t}}}, nil
}

func (s *fakeServer) ReadLog(_ context.Context, q logs.Query) (*logs.Page, error) {
	if q.File != "2026-01-02.log" {
		return nil, fault.New("test", fault.NotFound, "there is no such log file")
	}
	t := string(s.text())
	return &logs.Page{Records: []logs.Record{{Time: "10:42:11", Level: 2, Tag: "SMTPI-000123(" + t + ")", Text: "[100234] " + t}}, Next: 100}, nil
}

func (s *fakeServer) DNSRecords(context.Context, string) (dataformat.Array, error) {
	t := s.text()
	return dataformat.Array{dataformat.Dict{"name": t, "type": dataformat.String("TXT"), "value": t, "why": t}}, nil
}

func (s *fakeServer) CheckDNS(context.Context, string) (dataformat.Array, error) {
	t := s.text()
	return dataformat.Array{dataformat.Dict{"state": dataformat.String("OK"), "subject": t, "text": t}}, nil
}

func (s *fakeServer) DKIMKeys(context.Context, string) (dataformat.Dict, error) {
	return dataformat.Dict{"s1": dataformat.Dict{"State": s.text(), "Algorithm": dataformat.String("rsa")}}, nil
}

func (s *fakeServer) ServerSettings(ctx context.Context) (dataformat.Dict, error) {
	return s.Module(ctx, "Main")
}

func (s *fakeServer) UpdateServerSettings(ctx context.Context, d dataformat.Dict) error {
	return s.UpdateModule(ctx, "Main", d)
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := newEmptySite(t)
	must(t, s.acc.SetPassword(t.Context(), "main.com", "postmaster", masterPassword, false))
	for _, d := range []string{"own.com", "other.com"} {
		must(t, s.acc.CreateDomain(t.Context(), d, nil))
	}
	for _, d := range []string{"main.com", "own.com", "other.com"} {
		must(t, s.acc.CreateAccount(t.Context(), d, "user", nil))
	}
	return s
}

// newEmptySite has a postmaster without a password.
func newEmptySite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, server: &fakeServer{Server: admintest.New("<a> = b"), modules: map[string]dataformat.Dict{}}, log: new(lockedLog)}
	log := logs.New(s.log, func() *logs.Levels { return &logs.Levels{Default: 4} })
	var ids atomic.Uint64
	var err error
	s.acc, err = accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "main.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(func() { must(t, s.acc.Close()) })
	// A password in clear is compared without the memory-hard function, which would take most of the time.
	must(t, s.acc.ServerAccountDefaults().Update(t.Context(), dataformat.Dict{"PasswordEncryption": dataformat.String("clear")}))
	mailboxtest.CheckAtEnd(t, s.acc.Mail())
	routes, err := router.New(settings.NewLive(new(router.Settings)), s.acc, log)
	must(t, err)
	set := new(Settings)
	must(t, settings.Load(set, nil))
	s.live = settings.NewLive(set)
	s.app, err = New(Options{
		Settings: s.live, Admin: admin.New(s.acc, routes, s.server, log), Accounts: s.acc, Link: "the-link",
		SecurePort: func() int { return 9010 }, Log: log,
	})
	must(t, err)
	t.Cleanup(s.app.Close)
	cfg := new(gate.Settings)
	must(t, settings.Load(cfg, dataformat.Dict{"TrustedProxies": dataformat.String("127.0.0.2")}))
	encrypt := transcript.ServerTLS(t)
	h := gate.New("HTTPA", settings.NewLive(cfg), s.acc, routes, func() *tls.Config { return encrypt }, t.TempDir(), log)
	must(t, s.app.Mount(h))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.url = "http://" + ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Serve(ctx, ln, settings.Listener{Port: 8010, TLS: settings.TLSNone})
	}()
	s.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(s.stop)
	return s
}

// as makes an account with rights and the password "pw", if it is not there.
func (s *site) as(name, domain string, rights ...string) *client {
	s.t.Helper()
	ctx := s.t.Context()
	if _, err := s.acc.Account(ctx, domain, name); err != nil {
		must(s.t, s.acc.CreateAccount(ctx, domain, name, nil))
	}
	must(s.t, s.acc.SetPassword(ctx, domain, name, "pw", false))
	must(s.t, s.acc.SetAccountRights(ctx, domain, name, rights))
	c := s.client()
	c.login(name+"@"+domain, "pw")
	return c
}

// master is postmaster, logged in.
func (s *site) master() *client {
	s.t.Helper()
	c := s.client()
	c.login("postmaster", masterPassword)
	return c
}

// client is a browser without script.
type client struct {
	*site
	http.Client
	header http.Header
	// Of the last page.
	status int
	at     string
	body   string
	head   http.Header
}

func (s *site) client() *client {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	tr := &http.Transport{}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &client{site: s, Client: http.Client{Jar: jar, Transport: tr}, header: http.Header{}}
}

// far makes the client one from elsewhere, behind a trusted proxy.
func (c *client) far(secure bool) *client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	tr := &http.Transport{DialContext: dialer.DialContext}
	c.t.Cleanup(tr.CloseIdleConnections)
	c.Transport = tr
	c.header.Set("X-Forwarded-For", remote)
	if secure {
		c.header.Set("X-Forwarded-Proto", "https")
	}
	return c
}

func (c *client) send(req *http.Request) *client {
	c.t.Helper()
	for k, v := range c.header {
		req.Header[k] = v
	}
	if h := c.header.Get("Host"); h != "" {
		req.Host = h
	}
	resp, err := c.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(c.t, err)
	c.status, c.at, c.body, c.head = resp.StatusCode, resp.Request.URL.RequestURI(), string(b), resp.Header
	return c
}

func (c *client) get(path string) *client {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "GET", c.url+path, nil)
	must(c.t, err)
	return c.send(req)
}

func (c *client) postRaw(path string, form url.Values) *client {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "POST", c.url+path, strings.NewReader(form.Encode()))
	must(c.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.send(req)
}

var (
	tokenPattern = regexp.MustCompile(`name="token" value="([^"]*)"`)
	inputPattern = regexp.MustCompile(`<(input|select|textarea|option|button)\b([^>]*)>`)
	attrPattern  = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
	mainPattern  = regexp.MustCompile(`(?s)<main.*</main>`)
	tagPattern   = regexp.MustCompile(`<[^>]*>`)
)

// token is that of the session's forms.
func (c *client) token() string {
	m := tokenPattern.FindStringSubmatch(c.body)
	if m == nil {
		return ""
	}
	return m[1]
}

// form is what the settings form of the present page would send, with some fields changed. "-" takes a
// field out.
func (c *client) form(changed ...string) url.Values {
	c.t.Helper()
	v := url.Values{}
	_, rest, _ := strings.Cut(c.body, `class="settings"`)
	text, _, _ := strings.Cut(rest, "</form>")
	name := ""
	for _, m := range inputPattern.FindAllStringSubmatchIndex(text, -1) {
		tag, attrs := text[m[2]:m[3]], map[string]string{}
		for _, a := range attrPattern.FindAllStringSubmatch(text[m[4]:m[5]], -1) {
			attrs[a[1]] = html.UnescapeString(a[2])
		}
		_, checked := attrs["checked"]
		_, selected := attrs["selected"]
		switch {
		case tag == "textarea":
			content, _, _ := strings.Cut(text[m[1]:], "</textarea>")
			v.Set(attrs["name"], html.UnescapeString(strings.TrimPrefix(content, "\n")))
		case tag == "select":
			name = attrs["name"]
		case tag == "option" && selected:
			value, has := attrs["value"]
			if !has {
				content, _, _ := strings.Cut(text[m[1]:], "</option>")
				value = html.UnescapeString(content)
			}
			v.Set(name, value)
		case tag == "input" && attrs["type"] == "checkbox":
			if checked {
				value := attrs["value"]
				if value == "" {
					value = "on"
				}
				v.Add(attrs["name"], value)
			}
		case tag == "input" && attrs["name"] != "":
			v.Set(attrs["name"], attrs["value"])
		}
	}
	v.Set("do", "update")
	for i := 0; i+1 < len(changed); i += 2 {
		if changed[i+1] == "-" {
			v.Del(changed[i])
		} else {
			v.Set(changed[i], changed[i+1])
		}
	}
	return v
}

// post sends a form of the session.
func (c *client) post(path string, pairs ...string) *client {
	c.t.Helper()
	v := url.Values{"token": {c.token()}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return c.postRaw(path, v)
}

func (c *client) login(name, password string) *client {
	c.t.Helper()
	c.postRaw("/login", url.Values{"name": {name}, "password": {password}})
	return c
}

// text is what stands on the page.
func (c *client) text() string {
	b := c.body
	if m := mainPattern.FindString(b); m != "" {
		b = m
	}
	return strings.Join(strings.Fields(html.UnescapeString(tagPattern.ReplaceAllString(b, " "))), " ")
}

// sees fails unless the page has the status and the words.
func (c *client) sees(status int, words ...string) *client {
	c.t.Helper()
	if c.status != status {
		c.t.Fatalf("%s: status %d, want %d\n%s", c.at, c.status, status, c.text())
	}
	for _, w := range words {
		if !strings.Contains(c.text(), w) {
			c.t.Errorf("%s: %q is missing in\n%s", c.at, w, c.text())
		}
	}
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) setting(domain, name, key string) string {
	s.t.Helper()
	a, err := s.acc.Account(s.t.Context(), domain, name)
	must(s.t, err)
	return fmt.Sprint(a.Setting(key))
}

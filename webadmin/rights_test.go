package webadmin

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/server/admin"
	"gatepost/server/fault"
)

var update = flag.Bool("update", false, "rewrite testdata/who-sees.txt")

// paths are the addresses of a page: about the domain own.com, and about another one.
func paths(p *page) map[string]string {
	out := map[string]string{}
	for _, domain := range []string{"own.com", "other.com"} {
		params := map[string]string{"domain": domain, "object": "user", "module": "SMTP", "file": "2026-01-02.log", "message": "100234", "token": "TOKEN"}
		if strings.Contains(p.path, "Forwarders") {
			params["object"] = "forward"
		}
		if strings.Contains(p.path, "Groups") {
			params["object"] = "group"
		}
		query := ""
		if strings.Contains(p.path, "Lists") {
			params["object"] = "list"
		}
		if p.path == listPath+"/Subscriber" {
			query = "?address=sub@far.test"
		}
		if p.path == calendarsPath+"/Export" {
			query = "?kind=contacts&mailbox=Cards"
		}
		out[strings.TrimSuffix(domain, ".com")] = link(p.fill(params)...) + query
		if !strings.Contains(p.path, "{domain}") {
			break
		}
	}
	return out
}

// who are administrators of own.com with each right alone, and accounts of the Main Domain with each server right.
type who struct {
	title, name, domain string
	rights              []string
}

func everyone() []who {
	list := []who{{"nobody", "none", "own.com", nil}, {"D", "admin", "own.com", []string{"Domain"}}, {"Dall", "everything", "own.com", accounts.DomainRights()}}
	for _, right := range accounts.DomainRights() {
		if right != "Domain" {
			list = append(list, who{"D:" + right, "d-" + strings.ToLower(right), "own.com", []string{"Domain", right}})
		}
	}
	for _, right := range accounts.ServerRights() {
		list = append(list, who{right, "s-" + strings.ToLower(right), "main.com", []string{right}})
	}
	return list
}

// The table of who sees which page and may press which of its buttons. It is made by doing so.
func TestWhoSeesWhat(t *testing.T) {
	s := newSite(t)
	for _, d := range []string{"own.com", "other.com"} {
		must(t, s.acc.Forwarders().Create(t.Context(), d, "forward", "x@far.test"))
		must(t, s.acc.Groups().Create(t.Context(), d, "group", nil))
		s.list(d)
	}
	s.server.SetWaiting([]subscribers.Question{{Token: "TOKEN", Address: "guest@far.test", Value: "hello"}}, nil)
	all := everyone()
	clients, tokens, stale := map[string]*client{}, map[string]string{}, false
	// as is somebody with a session: suspending a domain, and closing sessions, are among the buttons.
	as := func(w who) *client {
		if c := clients[w.title]; c != nil && (!stale || c.get("/Preferences").status == 200) {
			return c
		}
		c := s.as(w.name, w.domain, "Domain")
		must(t, s.acc.SetAccountRights(t.Context(), w.domain, w.name, w.rights))
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		tokens[w.title] = c.get("/Preferences").sees(200).token()
		clients[w.title] = c
		return c
	}
	var b strings.Builder
	b.WriteString("# Made by go test ./webadmin -update: who sees which page, and who gets further than a refusal with which of its\n" +
		"# buttons, with no other right than that; about the domain that is administered (own), and another one (other).\n")
	line := func(what string, let func(w who) bool) {
		var in []string
		for _, w := range all {
			// Rights in a domain are nothing elsewhere: those of D with all of them stand for each.
			if strings.HasSuffix(what, "other") && strings.HasPrefix(w.title, "D:") {
				continue
			}
			if let(w) {
				in = append(in, w.title)
			}
		}
		fmt.Fprintf(&b, "%s: %s\n", what, strings.Join(shortened(in), " "))
	}
	for _, p := range s.app.tree {
		addresses := paths(p)
		for _, which := range []string{"own", "other"} {
			path := addresses[which]
			if path == "" {
				continue
			}
			if stale {
				clear(clients)
				stale = false
			}
			line(p.path+", "+which, func(w who) bool {
				c := as(w).get(path)
				if c.status >= 500 {
					t.Errorf("%s for %s: %d", path, w.title, c.status)
				}
				return c.status < 400
			})
			for _, do := range slices.Sorted(mapsKeys(p.post)) {
				if stale { // sessions have ended
					clear(clients)
				}
				stale = do == "suspend" || do == "kill"
				line("  "+do+", "+which, func(w who) bool {
					c := as(w)
					c.postRaw(path, url.Values{"token": {tokens[w.title]}, "do": {do}})
					if c.status >= 500 && c.status != 501 {
						t.Errorf("%s %s for %s: %d", path, do, w.title, c.status)
					}
					if stale {
						must(t, s.acc.SuspendDomain(t.Context(), domainOf(which), false))
					}
					if _, err := s.acc.Forwarders().Target(t.Context(), domainOf(which), "forward"); fault.Is(err, fault.NotFound) {
						must(t, s.acc.Forwarders().Create(t.Context(), domainOf(which), "forward", "x@far.test"))
					}
					if _, err := s.acc.Groups().Settings(t.Context(), domainOf(which), "group"); fault.Is(err, fault.NotFound) {
						must(t, s.acc.Groups().Create(t.Context(), domainOf(which), "group", nil))
					}
					if _, err := s.acc.Lists().Settings(t.Context(), domainOf(which), "list"); fault.Is(err, fault.NotFound) {
						s.list(domainOf(which))
					}
					return c.status != 403
				})
			}
		}
	}
	const path = "testdata/who-sees.txt"
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	have, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(have, []byte(b.String())) {
		t.Errorf("%s differs; go test ./webadmin -run WhoSees -update rewrites it: look at what changes", path)
	}
	// An administrator of one domain sees nothing of another.
	for _, line := range strings.Split(b.String(), "\n") {
		if what, in, _ := strings.Cut(line, ":"); strings.HasSuffix(what, ", other") && strings.Contains(in, " D") {
			t.Errorf("an administrator of own.com gets in: %s", line)
		}
	}
}

// list makes the list list@domain with the subscriber sub@far.test, and the address book Cards of its owner.
func (s *site) list(domain string) {
	s.t.Helper()
	must(s.t, s.acc.Lists().Create(s.t.Context(), domain, "list", "user", nil))
	user, err := s.acc.Account(s.t.Context(), domain, "user")
	must(s.t, err)
	_, err = user.Mail().CreateMailbox(s.t.Context(), "Cards", mailbox.CreateOptions{Class: "IPF.Contact"})
	must(s.t, err)
	l, err := s.acc.Lists().Get(s.t.Context(), domain, "list")
	must(s.t, err)
	must(s.t, l.Subscribers().Change(s.t.Context(), "sub@far.test", func(sub *subscribers.Subscriber) error {
		sub.Mode, sub.RealName = subscribers.Feed, "Sub Scriber"
		return nil
	}))
}

func domainOf(which string) string { return which + ".com" }

func mapsKeys(m map[string]func(*call) error) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// shortened leaves out what follows from D.
func shortened(in []string) []string {
	if !slices.Contains(in, "D") {
		return in
	}
	return slices.DeleteFunc(in, func(w string) bool { return strings.HasPrefix(w, "D:") || w == "Dall" })
}

// Strangers get no page at all, whatever they ask for.
func TestStrangersSeeNothing(t *testing.T) {
	s := newSite(t)
	c := s.client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, p := range s.app.tree {
		for _, path := range paths(p) {
			if c.get(path); c.status != 303 || !strings.HasPrefix(c.head.Get("Location"), "/login") {
				t.Errorf("%s: %d %s", path, c.status, c.head.Get("Location"))
			}
			for do := range p.post {
				if c.postRaw(path, url.Values{"do": {do}, "token": {""}}); c.status != 401 && c.status != 403 {
					t.Errorf("%s %s: %d", path, do, c.status)
				}
			}
		}
	}
}

// Every page stands on calls that exist.
func TestPagesStandOnCalls(t *testing.T) {
	s := newSite(t)
	seen := map[string]bool{}
	for _, p := range s.app.tree {
		if p.may == nil && admin.Needs(p.call) == "" {
			t.Errorf("%s stands on %q, which is no call", p.path, p.call)
		}
		if p.get == nil || seen[p.path] {
			t.Errorf("%s shows nothing, or is there twice", p.path)
		}
		seen[p.path] = true
	}
}

func TestPathsThatAreNone(t *testing.T) {
	s := newSite(t)
	c := s.master()
	for _, path := range []string{
		"/Users/Domains/..%2f..%2fetc/Objects", "/Monitors/Logs/..%2fsecret", "/Monitors/Logs/%2e%2e", "/static/../x", "/static/x/style.css",
		"/Users/Domains/own.com/Objects/..%2f..%2fpostmaster/Settings", "/Users/Domains/nowhere.com/Objects", "/Settings/Nothing", "/Users/Domains/own.com/Objects/nobody/Settings",
	} {
		if c.get(path); c.status != 404 && c.status != 400 && c.status != 403 {
			t.Errorf("%s: %d", path, c.status)
		}
	}
}

package http

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"gatepost/protocols/transcript"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// change puts settings in force.
func (f *fixture) change(text string) {
	f.t.Helper()
	s := new(UserSettings)
	must(f.t, settings.Load(s, dict(f.t, text)))
	f.live.Set(s)
}

func withParts(f *fixture) {
	for _, part := range []string{PartRoot, PartPrincipals, PartCalendars, PartContacts, PartFiles, PartLists, PartAutoconfig} {
		f.mount("/"+part+"/", Options{Part: part, Title: part, Methods: []string{"GET", "POST"}}, show)
	}
	f.mount("/found/", Options{Part: PartRoot, Methods: []string{"GET", "PROPFIND"}, OpenMethods: []string{"GET", "HEAD"}}, show)
}

// TestPartsAreOpenedAndClosed: each by its own setting, before a login is asked for.
func TestPartsAreOpenedAndClosed(t *testing.T) {
	f := newFixture(t, options{before: withParts})
	status := func(from, path string) int {
		n, _ := f.ask(from, "GET "+path+" HTTP/1.1\nHost: company.com\n\n")
		return n
	}
	for part, key := range map[string]string{PartRoot: "RootDAVAccess", PartPrincipals: "UserDAVAccess", PartCalendars: "CALDAVAccess",
		PartContacts: "CARDDAVAccess", PartFiles: "FILEDAVAccess", PartLists: "ListsAccess", PartAutoconfig: "AutoconfigAccess"} {
		for access, want := range map[string][2]int{"nobody": {403, 403}, "clients": {200, 403}, "everybody": {200, 200}} {
			f.change("{" + key + "=" + access + ";}")
			if got := [2]int{status(loopback, "/"+part+"/"), status(remote, "/"+part+"/")}; got != want {
				t.Errorf("%s, %s: %v", part, access, got)
			}
			_, front := f.ask(remote, "GET / HTTP/1.1\nHost: company.com\n\n")
			if strings.Contains(front, ">"+part+"<") != (want[1] == 200) {
				t.Errorf("%s, %s: the front page has %s", part, access, front)
			}
		}
		f.change("{}")
	}
	f.change("{RootDAVAccess=nobody;}")
	if got := status(remote, "/found/"); got != 200 {
		t.Errorf("a method that is open to all: %d", got)
	}
}

// TestPartsHaveTagsInTheLog: by which their levels are set.
func TestPartsHaveTagsInTheLog(t *testing.T) {
	f := newFixture(t, options{before: withParts})
	for part := range new(UserSettings).LogLevels() {
		if part == PartCLI {
			continue
		}
		f.log.Reset()
		f.ask(loopback, "GET /"+part+"/x HTTP/1.1\nHost: company.com\n\n")
		if !strings.Contains(f.log.String(), "tag="+part+" method=GET") {
			t.Errorf("%s: %s", part, f.log)
		}
	}
	for _, bad := range []string{"{CALDAVLog=6;}", "{CLILog=-2;}", "{PublicPort=70000;}", "{CALDAVAccess=some;}"} {
		if err := settings.Load(new(UserSettings), dict(t, bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestRedirectToHTTPS(t *testing.T) {
	f := newFixture(t, options{before: func(f *fixture) {
		f.server.UsePort(func() int { return f.live.Get().PublicPort })
		f.mount("/clear", Options{Clear: true}, show)
	}})
	f.change("{PublicPort=443; TrustedProxies=\"127.0.0.1\";}")
	must(t, f.accounts.DomainSettings("company.com").Update(t.Context(), dict(t, "{RedirectToHTTPS=YES;}")))
	c := f.client(remote, false)
	for _, x := range []struct {
		method, url string
		status      int
		location    string
	}{
		{"GET", "http://company.com/show/a%20b?c=%2F", 301, "https://company.com/show/a%20b?c=%2F"},
		{"GET", "http://mail.company.com:8100/show/", 301, "https://mail.company.com/show/"},
		{"HEAD", "http://company.com/", 301, "https://company.com/"},
		{"PROPFIND", "http://company.com/dav/", 308, "https://company.com/dav/"},
		{"PUT", "http://company.com/show/", 308, "https://company.com/show/"},
		// A host that is not ours is not told to anybody.
		{"GET", "http://evil.test//evil.test/show/", 404, ""},
		{"GET", "http://evil.test/show/", 301, "https://mail.company.com/show/"},
		{"GET", "http://192.0.2.1/show/", 301, "https://mail.company.com/show/"},
		{"GET", "http://company.com/clear", 200, ""},
		{"GET", "http://client.dom/show/", 200, ""}, // another domain
	} {
		req, err := http.NewRequest(x.method, x.url, nil)
		must(t, err)
		resp, err := c.Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != x.status || resp.Header.Get("Location") != x.location {
			t.Errorf("%s %s: %s %q", x.method, x.url, resp.Status, resp.Header.Get("Location"))
		}
	}
	if status, _ := f.ask(loopback, "GET /show HTTP/1.1\nHost: company.com\nX-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: https\n\n"); status != 200 {
		t.Errorf("with TLS up to the proxy: %d", status)
	}
	f.change("{PublicPort=9443;}")
	if resp, err := c.Get("http://company.com/show/"); err != nil || resp.Header.Get("Location") != "https://company.com:9443/show/" {
		t.Errorf("another port: %v %v", resp, err)
	}
	f.change("{}")
	if status, _ := get(t, c, "http://company.com/show/"); status != 200 {
		t.Errorf("there is no port with TLS: %d", status)
	}
}

// TestRightPasswordsAreNeverRefused: many logins at a time wait for their turn.
func TestRightPasswordsAreNeverRefused(t *testing.T) {
	f := newFixture(t, options{accounts: true})
	const users = 8
	for i := range users {
		must(t, f.accounts.CreateAccount(t.Context(), "company.com", fmt.Sprintf("many%d", i), dataformat.Dict{"Password": dataformat.String("secret 1")}))
	}
	var all sync.WaitGroup
	for i := range 3 * users {
		all.Go(func() {
			req, err := http.NewRequest("GET", "http://company.com/mine/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.SetBasicAuth(fmt.Sprintf("many%d", i%users), "secret 1")
			resp, err := f.client(loopback, false).Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 && (resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "") {
				t.Errorf("%s", resp.Status)
			}
		})
	}
	all.Wait()
}

// TestLoginsThatAreBlockedAreNotAskedForAnotherPassword: others have guessed from the same address.
func TestLoginsThatAreBlockedAreNotAskedForAnotherPassword(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t, options{accounts: true})
		must(t, f.accounts.AccountSettings("company.com", "user1").Update(t.Context(), dict(t, "{FailedLoginFlow=(2,10m);}")))
		for i := range 2 {
			if got := f.answerTo(loopback, "/mine/", basic("user1", fmt.Sprint("guess", i))); !strings.Contains(got, "401 Unauthorized") {
				t.Errorf("a wrong password: %s", got)
			}
		}
		for _, password := range []string{"secret 1", "guess3"} {
			got := f.answerTo(loopback, "/mine/", basic("user1", password))
			if !strings.Contains(got, "503 Service Unavailable") || !strings.Contains(got, "Retry-After: 10") || strings.Contains(got, "Www-Authenticate") {
				t.Errorf("%s: %s", password, got)
			}
		}
		synctest.Wait()
		f.stop()
	})
}

package http

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// fakeCLI notes the commands that it gets.
type fakeCLI struct {
	who   string
	peer  accounts.Peer
	lines []string
	after int
}

func (c *fakeCLI) Command(_ context.Context, who *accounts.Account, peer accounts.Peer, line string) CommandAnswer {
	c.who, c.peer, c.lines = who.Address(), peer, append(c.lines, line)
	switch {
	case line == "NOOP":
		return CommandAnswer{Code: 200, Text: "OK"}
	case line == "SHUTDOWN":
		return CommandAnswer{Code: 200, Text: "OK", After: func() { c.after++ }}
	case strings.HasPrefix(line, "ECHO "):
		return CommandAnswer{Code: 200, Text: "{\n  a =  5;\n}"}
	case line == "VERIFY":
		return CommandAnswer{Code: 515, Text: "incorrect password or account name", Err: fault.New("test", fault.BadCredentials, "")}
	}
	return CommandAnswer{Code: 513, Text: "unknown user account", Err: fault.New("test", fault.NotFound, "")}
}

func TestCommandLine(t *testing.T) {
	cli := new(fakeCLI)
	f := newFixture(t, options{accounts: true, config: func(s *UserSettings) { s.CLIAccess = "clients" }, before: func(f *fixture) {
		must(f.t, f.server.MountCLI(cli))
	}})
	c := f.client(loopback, false)
	do := func(method, target, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://company.com"+target, strings.NewReader(body))
		must(t, err)
		req.SetBasicAuth("user1", "secret 1")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := c.Do(req)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(text)
	}
	long := `UPDATEDOMAINSETTINGS company.com  {PrivateSecureKey=[` + strings.Repeat("MIIE\r\n", 30_000) + `];}`
	for name, x := range map[string]struct {
		method, target, body string
		status               int
		text, line           string
	}{
		"no data":            {"POST", "/CLI/", "command=NOOP", 200, "OK\n", "NOOP"},
		"data":               {"POST", "/cli/", "command=" + url.QueryEscape("ECHO {a=5;}"), 200, "{\n  a =  5;\n}\n", "ECHO {a=5;}"},
		"in the query":       {"GET", "/Cli?command=NOOP", "", 200, "OK\n", "NOOP"},
		"POST with a query":  {"POST", "/CLI/?command=NOOP", "", 200, "OK\n", "NOOP"},
		"not encoded":        {"POST", "/CLI/", "x=y&command=ECHO {a=5;b=\"c\";}", 200, "{\n  a =  5;\n}\n", `ECHO {a=5;b="c";}`},
		"an error":           {"POST", "/CLI/", "command=GETACCOUNTSETTINGS+nobody", 404, "513 unknown user account\n", "GETACCOUNTSETTINGS nobody"},
		"a password tried":   {"POST", "/CLI/", "command=VERIFY", 403, "515 incorrect password or account name\n", "VERIFY"},
		"long":               {"POST", "/CLI/", "command=" + url.QueryEscape(long), 404, "513 unknown user account\n", long},
		"no command":         {"POST", "/CLI/", "", 400, "The parameter command is missing.\n", ""},
		"empty command":      {"POST", "/CLI/", "command=+", 400, "The parameter command is missing.\n", ""},
		"two commands":       {"POST", "/CLI/", "command=NOOP&command=NOOP", 400, "The parameter command is there twice.\n", ""},
		"bad encoding":       {"POST", "/CLI/", "command=%zz", 400, "The parameter command has a bad percent-encoding.\n", ""},
		"a path below":       {"POST", "/CLI/below", "command=NOOP", 404, "There is nothing here.\n", ""},
		"far too long":       {"POST", "/CLI/", "command=" + strings.Repeat("x", maxForm), 413, "The request is too large.\n", ""},
		"a method not known": {"PUT", "/CLI/", "command=NOOP", 405, "This method is not possible here.\n", ""},
	} {
		cli.lines = nil
		status, text := do(x.method, x.target, x.body)
		if status != x.status || text != x.text || strings.Join(cli.lines, "|") != x.line {
			t.Errorf("%s: %d %q, commands %.100q", name, status, text, cli.lines)
		}
	}
	if cli.who != "user1@company.com" || cli.peer.Service != "PWD" || cli.peer.IP.String() != loopback {
		t.Errorf("asked by %s, %+v", cli.who, cli.peer)
	}
	if status, text := do("POST", "/CLI/", "command=SHUTDOWN"); status != 200 || text != "OK\n" || cli.after != 1 {
		t.Errorf("%d %q, after %d", status, text, cli.after)
	}
	if strings.Contains(f.log.String(), "NOOP") || strings.Contains(f.log.String(), "secret") {
		t.Errorf("a command or a password in the log: %s", f.log)
	}
}

func TestCommandLineIsClosedUntilItIsOpened(t *testing.T) {
	f := newFixture(t, options{accounts: true, listener: tlsListener, before: func(f *fixture) {
		must(f.t, f.server.MountCLI(new(fakeCLI)))
	}})
	for access, want := range map[string]struct{ client, stranger int }{
		"nobody": {403, 403}, "clients": {200, 403}, "everybody": {200, 200},
	} {
		s := *f.live.Get()
		s.CLIAccess = access
		f.live.Set(&s)
		for from, status := range map[string]int{loopback: want.client, remote: want.stranger} {
			req, err := http.NewRequest("GET", "https://company.com/CLI/?command=NOOP", nil)
			must(t, err)
			req.SetBasicAuth("user1", "secret 1")
			resp, err := f.client(from, false).Do(req)
			must(t, err)
			resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s, %s: %s", access, from, resp.Status)
			}
		}
	}
	must(t, settings.Load(new(Settings), dict(t, "{CLIAccess=Clients;}")))
}

// TestCommandLineWantsItsOwnService: what port 106 asks for is asked for here.
func TestCommandLineWantsItsOwnService(t *testing.T) {
	f := newFixture(t, options{accounts: true, config: func(s *UserSettings) { s.CLIAccess = "clients" }, before: func(f *fixture) {
		must(f.t, f.server.MountCLI(new(fakeCLI)))
	}})
	must(t, f.accounts.AccountSettings("company.com", "user1").Update(t.Context(), dict(t, "{AccessModes=(HTTP,Mail);}")))
	if got := f.answerTo(loopback, "/CLI/?command=NOOP", basic("user1", "secret 1")); !strings.Contains(got, "401 Unauthorized") {
		t.Errorf("without PWD: %s", got)
	}
	must(t, f.accounts.AccountSettings("company.com", "user1").Update(t.Context(), dict(t, "{AccessModes=(PWD);}")))
	if got := f.answerTo(loopback, "/CLI/?command=NOOP", basic("user1", "secret 1")); !strings.Contains(got, "200 OK") {
		t.Errorf("with PWD: %s", got)
	}
}

// TestLinkOfAnotherSiteIsNoCommand: a browser that knows the password follows links, too.
func TestLinkOfAnotherSiteIsNoCommand(t *testing.T) {
	cli := new(fakeCLI)
	f := newFixture(t, options{accounts: true, config: func(s *UserSettings) { s.CLIAccess = "clients" }, before: func(f *fixture) {
		must(f.t, f.server.MountCLI(cli))
	}})
	status, _ := f.ask(loopback, "GET /CLI/?command=NOOP HTTP/1.1\nHost: company.com\nSec-Fetch-Site: cross-site\nAuthorization: "+basic("user1", "secret 1")+"\n\n")
	if status != 403 || len(cli.lines) > 0 {
		t.Errorf("%d, commands %q", status, cli.lines)
	}
}

package server_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"gatepost/server/control"
)

// Device passwords over the wires: each for its service, also for an account that needs one.
func TestDevicePasswords(t *testing.T) {
	r := start(t)
	make := func(name, services string) string {
		t.Helper()
		secret := strings.Trim(r.cli(t, "CREATEDEVICEPASSWORD alice "+name+" "+services).Text, `"`)
		if !regexp.MustCompile(`^[a-z2-7]{4}(-[a-z2-7]{4}){5}$`).MatchString(secret) {
			t.Fatalf("made: %q", secret)
		}
		return secret
	}
	mail, dav, cli := make("mail", "(IMAP,Relay)"), make(`"my calendar"`, "(WebCAL)"), make("script", "(PWD)")
	r.cli(t, "UPDATEACCOUNTSETTINGS alice {DevicePasswordsOnly=YES;}")
	r.cli(t, "UPDATEMODULE HTTPA {CLIAccess=clients;}")
	for password, want := range map[string]string{mail: "a OK", dav: "a NO", cli: "a NO", testPassword: "a NO", strings.ReplaceAll(mail, "-", ""): "a OK"} {
		if got := r.login(t, "alice", password); !strings.HasPrefix(got, want) {
			t.Errorf("IMAP with %s: %s", password, got)
		}
	}
	ask := func(port int, path, password string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "PROPFIND", "http://"+r.addr(port)+path, nil)
		if port == 8010 {
			req.Method = "GET"
		}
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("alice@"+testDomain, password)
		req.Header.Set("Depth", "0")
		a, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			t.Fatal(err)
		}
		return a.StatusCode
	}
	for _, c := range []struct {
		port           int
		path, password string
		status         int
	}{
		{8100, "/CalDAV/", dav, 207}, {8100, "/CalDAV/", mail, 401}, {8100, "/CalDAV/", testPassword, 401}, {8100, "/WebDAV/", dav, 401},
		{8010, "/CLI/?command=NOOP", cli, 200}, {8010, "/CLI/?command=NOOP", dav, 401}, {8010, "/CLI/?command=NOOP", testPassword, 200},
	} {
		if got := ask(c.port, c.path, c.password); got != c.status {
			t.Errorf("%s with %s: %d, want %d", c.path, c.password, got, c.status)
		}
	}
	list := r.cli(t, "LISTDEVICEPASSWORDS alice").Text
	for _, want := range []string{`mail={Created=#T`, `LastService=IMAP`, `LastAddress=127.0.0.1`, `"my calendar"={`, "LastService=WebCAL", "Services=(IMAP,Relay)"} {
		if !strings.Contains(list, want) {
			t.Errorf("%s is missing in %s", want, list)
		}
	}
	r.cli(t, `REVOKEDEVICEPASSWORD alice "My Calendar"`)
	if got := ask(8100, "/CalDAV/", dav); got != 401 {
		t.Errorf("revoked: %d", got)
	}
	if c, err := control.Dial(r.dir); err == nil {
		defer c.Close()
		if a, err := c.Do(`REVOKEDEVICEPASSWORD alice nothing`); err != nil || a.OK() {
			t.Errorf("revoking nothing: %d %s %v", a.Code, a.Text, err)
		}
	}
	r.cli(t, `SETACCOUNTPASSWORD alice PASSWORD "other words"`)
	if got := r.login(t, "alice", mail); !strings.HasPrefix(got, "a OK") {
		t.Errorf("after another password: %s", got)
	}
	r.cli(t, `SETACCOUNTPASSWORD alice PASSWORD "more words" REVOKE`)
	if got := r.login(t, "alice", mail); !strings.HasPrefix(got, "a NO") {
		t.Errorf("after all were revoked: %s", got)
	}
}

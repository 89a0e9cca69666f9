package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatepost/server"
)

// fetch sends a GET, or a POST with a form, and returns status and body.
func (r *running) fetch(t *testing.T, address, path string, form url.Values) (int, string) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest("GET", address+path, nil)
	if form != nil {
		req, err = http.NewRequest("POST", address+path, strings.NewReader(form.Encode()))
	}
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("postmaster", testPassword)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestHTTPModules(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	plain := func(port int) string { return "http://" + r.addr(port) }
	secure := func(port int) string { return "https://" + r.addr(port) }
	for _, address := range []string{plain(8010), secure(9010), plain(8100), secure(9100)} {
		admins := strings.HasSuffix(address, r.port(8010)) || strings.HasSuffix(address, r.port(9010))
		status, body := r.fetch(t, address, "/", nil)
		if admins && status != 303 || !admins && (status != 200 || !strings.Contains(body, testDomain)) {
			t.Errorf("%s/: %d %s", address, status, body)
		}
		if status, body := r.fetch(t, address, "/login", nil); admins && (status != 200 || !strings.Contains(body, "Log in")) {
			t.Errorf("%s/login: %d %s", address, status, body)
		}
		if status, _ := r.fetch(t, address, "/CLI/", url.Values{"command": {"LISTDOMAINS"}}); status != 403 {
			t.Errorf("%s/CLI/ before it is opened: %d", address, status)
		}
	}
	r.cli(t, "UPDATEMODULE HTTPA {CLIAccess=clients;}")
	for command, want := range map[string]string{
		"LISTDOMAINS":                            "200 (corp.test)\n",
		"createaccount  carol\r\n{RealName=C;}":  "200 OK\n",
		"GETACCOUNTSETTINGS nobody":              "404 513 unknown user account\n",
		"NONSENSE":                               "400 500 unknown command\n",
		"USER alice":                             "501 500 USER is for sessions on port 106\n",
		"VERIFYACCOUNTPASSWORD alice PASSWORD x": "403 515 incorrect password or account name\n",
	} {
		status, body := r.fetch(t, secure(9010), "/CLI/", url.Values{"command": {command}})
		if got := fmt.Sprintf("%d %s", status, body); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if status, body := r.fetch(t, plain(8100), "/CLI/", url.Values{"command": {"NOOP"}}); status != 403 {
		t.Errorf("HTTPU, which was not opened: %d %s", status, body)
	}
}

// Mail programs are told the listeners as they are.
func TestAutoconfigFollowsTheListeners(t *testing.T) {
	r := start(t)
	config := func() string {
		_, body := r.fetch(t, "http://"+r.addr(8100), "/mail/config-v1.1.xml", nil)
		return body
	}
	for _, port := range []int{143, 993, 110, 995, 587, 465} {
		if body := config(); !strings.Contains(body, "<port>"+r.port(port)+"</port>") {
			t.Errorf("port %d is missing: %s", port, body)
		}
	}
	if body := config(); strings.Contains(body, "<port>"+r.port(25)+"</port>") {
		t.Errorf("port 25 is not for mail programs: %s", body)
	}
	r.cli(t, "UPDATEMODULE IMAP {Listener=({Port=994;TLS=implicit;});}")
	r.cli(t, "UPDATEMODULE POP {Listener=({Port=110;TLS=none;});}")
	body := config()
	if !strings.Contains(body, "<port>"+r.port(994)+"</port>") || strings.Contains(body, "<port>"+r.port(143)+"</port>") || strings.Contains(body, "pop3") {
		t.Errorf("after the listeners have changed: %s", body)
	}
}

// TestPartsOfHTTPU: calendars and the like are opened, closed and logged each for itself.
func TestPartsOfHTTPU(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	address := "http://" + r.addr(8100)
	r.cli(t, "UPDATEMODULE HTTPU {LogLevel=1;CALDAVLog=4;}")
	for _, path := range []string{"/CardDAV/Contacts/", "/CalDAV/Calendar/"} {
		r.fetch(t, address, path, nil)
	}
	eventually(t, "a record of CalDAV is written", func() bool { return strings.Contains(r.log(t), "4 CALDAV-") })
	if log := r.log(t); strings.Contains(log, "CARDDAV-") {
		t.Errorf("the log has %s", log)
	}
	r.cli(t, "UPDATEMODULE HTTPU {CALDAVAccess=nobody;PublicPort=443;}")
	if status, body := r.fetch(t, address, "/CalDAV/Calendar/", nil); status != 403 || !strings.Contains(body, "not open to your address") {
		t.Errorf("%d %s", status, body)
	}
	r.cli(t, "UPDATEDOMAINSETTINGS corp.test {RedirectToHTTPS=YES;}")
	if status, _ := r.fetch(t, address, "/CardDAV/Contacts/", nil); status != 301 {
		t.Errorf("in clear: %d", status)
	}
	if status, _ := r.fetch(t, "https://"+r.addr(9100), "/CardDAV/Contacts/", nil); status == 301 {
		t.Errorf("with TLS: %d", status)
	}
}

// A shift that leaves no room for the highest port is refused before anything is opened.
func TestPortShiftLeavesRoomForEveryListener(t *testing.T) {
	ports := server.StockPorts()
	limit := 65535 - ports[len(ports)-1]
	if _, err := server.New(server.Config{Base: t.TempDir(), PortShift: limit + 1}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(limit)) {
		t.Errorf("a shift by %d: %v", limit+1, err)
	}
	s, err := server.New(server.Config{Base: t.TempDir() + "/base", MainDomain: testDomain, PortShift: limit})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

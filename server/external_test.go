package server_test

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// login logs in over IMAP, and returns the answer.
func (r *running) login(t *testing.T, name, password string) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr(143))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "a LOGIN %s %q\r\n", name, password)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "a ") {
			return line
		}
	}
}

// A program knows the passwords of accounts that say so.
func TestExternalAuthentication(t *testing.T) {
	r := start(t)
	script, err := filepath.Abs("../protocols/helper/testdata/auth.pl")
	if err != nil {
		t.Fatal(err)
	}
	r.cli(t, fmt.Sprintf(`UPDATESERVERSETTINGS {ExternalAUTH={Enabled=YES;ProgramName=%q;};}`, script))
	r.cli(t, "CREATEDOMAIN example.com")
	r.cli(t, "CREATEACCOUNT alice@example.com {UseExtPassword=YES;UseAppPassword=NO;}")
	for password, want := range map[string]string{"secret": "a OK", `a b"c\d`: "a OK", "wrong": "a NO [AUTHENTICATIONFAILED]", "broken": "a NO [UNAVAILABLE]"} {
		if got := r.login(t, "alice@example.com", password); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", password, got)
		}
	}
	r.cli(t, "UPDATEDOMAINSETTINGS example.com {ExternalOnUnknown=YES;}")
	for name, want := range map[string]string{"nobody": "550", "down": "451"} {
		if err := r.submit(t, "bob@"+testDomain, name+"@example.com", "x"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("mail for %s: %v, want %s", name, err, want)
		}
	}
}

package server_test

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/server/control"
)

// Sessions are listed and ended by command; a record is written, and everything logged.
func TestSessionWords(t *testing.T) {
	r := start(t)
	alice := r.imap(t, "alice")
	number := strings.Trim(fmt.Sprint(r.cli(t, "FINDACCOUNTSESSION alice PROTOCOL IMAP").Data), `"`)
	if got := fmt.Sprint(r.cli(t, "LISTACCOUNTSESSIONS alice ADDRESS 127.0.0.1").Data); !strings.Contains(got, number) {
		t.Errorf("%s is not in %s", number, got)
	}
	if got := fmt.Sprint(r.cli(t, "GETSESSION "+number).Data); !strings.Contains(got, "alice") || !strings.Contains(got, "IMAP") {
		t.Error(got)
	}
	c, err := control.Dial(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for command, text := range map[string]string{"FINDACCOUNTSESSION bob": "", "FINDACCOUNTSESSION alice PROTOCOL POP": "", "GETSESSION 99999": "", "GETSESSION x": "number", "KILLSESSION 99999": "",
		"WRITELOG 9 x": "level", "SETLOGALL PERHAPS": "", "REPORTFAILEDLOGINADDRESS here": "IP address", "GETSYSTEMINFO password": "version"} {
		if a, err := c.Do(command); err != nil || a.OK() || !strings.Contains(a.Text, text) {
			t.Errorf("%s: %d %s %v", command, a.Code, a.Text, err)
		}
	}
	r.cli(t, "KILLSESSION "+number)
	if line := alice.line(); !strings.HasPrefix(line, "* BYE") {
		t.Error(line)
	}
	r.cli(t, `WRITELOG 2 "the backup of the other disk is done"`)
	r.cli(t, "SETLOGALL ON")
	r.cli(t, "NOOP")
	r.cli(t, "SETLOGALL OFF")
	r.cli(t, "REFRESHOSDATA")
	r.cli(t, "GETSYSTEMINFO numCPU")
	for range 25 {
		r.cli(t, "REPORTFAILEDLOGINADDRESS 192.0.2.99")
	}
	if got := fmt.Sprint(r.cli(t, "GETTEMPBLACKLISTEDIPS").Data, r.cli(t, "GETTEMPBLACKLISTEDIPS").Text); !strings.Contains(got, "192.0.2.99") {
		t.Error(got)
	}
	for !strings.Contains(r.log(t), " 2 SYSTEM the backup of the other disk is done\n") { // it is written in a moment
		if t.Context().Err() != nil {
			t.Fatal("the record is not in the log")
		}
	}
}

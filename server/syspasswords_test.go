package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/server/control"
)

// A stand-in of unix_chkpwd knows the password of a user of this machine; without one logins are told to come again.
func TestSystemPasswords(t *testing.T) {
	r := start(t)
	program := filepath.Join(t.TempDir(), "chkpwd")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n[ \"$1 $2 $(tr -d '\\0')\" = 'unix-alice nonull the unix password' ] || exit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.cli(t, fmt.Sprintf("UPDATESERVERSETTINGS {SysPasswordVia=%q;}", program))
	r.cli(t, `UPDATEACCOUNTSETTINGS alice {UseSysPassword=YES;OSUserName="unix-*";}`)
	for password, want := range map[string]string{"the unix password": "a OK", testPassword: "a OK", "wrong": "a NO [AUTHENTICATIONFAILED]"} {
		if got := r.login(t, "alice", password); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", password, got)
		}
	}
	r.cli(t, fmt.Sprintf("UPDATESERVERSETTINGS {SysPasswordVia=%q;}", program+".gone"))
	if got := r.login(t, "alice", "another one"); !strings.HasPrefix(got, "a NO [UNAVAILABLE]") {
		t.Errorf("without the program: %s", got)
	}
	c, err := control.Dial(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if a, err := c.Do("VERIFYACCOUNTPASSWORD alice PASSWORD wrong"); err != nil || a.OK() || !strings.Contains(a.Text, "no such file or directory") {
		t.Errorf("for an administrator: %d %s %v", a.Code, a.Text, err)
	}
	if a, err := c.Do("UPDATESERVERSETTINGS {SysPasswordVia=chkpwd;}"); err != nil || a.OK() {
		t.Errorf("a relative path: %d %s %v", a.Code, a.Text, err)
	}
	if log := r.log(t); !strings.Contains(log, "SysPasswordVia: stat") || strings.Contains(log, "the unix password") {
		t.Error("the log does not say why, or has the password")
	}
}

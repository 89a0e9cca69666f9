package server_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// pwdSession logs in to a PWD port as postmaster.
func pwdSession(t *testing.T, addr string) func(command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := bufio.NewReader(conn)
	read := func() string {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	read()
	return func(command string) string {
		t.Helper()
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			t.Fatal(err)
		}
		return read()
	}
}

func TestModuleMovesItsOwnListener(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	say := pwdSession(t, r.addr(106))
	say("USER postmaster")
	if got := say("PASS " + testPassword); !strings.HasPrefix(got, "200") {
		t.Fatalf("login: %s", got)
	}
	const moved = 107
	if got := say(fmt.Sprintf("UPDATEMODULE PWD {Listener=({Port=%d;});}", moved)); !strings.HasPrefix(got, "200") {
		t.Errorf("the change was answered %q", got)
	}
	if got := say("NOOP"); !strings.HasPrefix(got, "200") {
		t.Errorf("the session after the change: %q", got)
	}
	if c, err := net.Dial("tcp", r.addr(106)); err == nil {
		c.Close()
		t.Error("the old port still accepts")
	}
	again := pwdSession(t, r.addr(moved))
	if got := again("USER postmaster"); !strings.HasPrefix(got, "300") {
		t.Errorf("the new port: %q", got)
	}
	if got := say("UPDATEMODULE PWD {Listener=default;}"); !strings.HasPrefix(got, "200") {
		t.Errorf("back to the stock listener: %q", got)
	}
	pwdSession(t, r.addr(106))
}

func TestListenerThatCannotBeBoundChangesNothing(t *testing.T) {
	r := start(t)
	taken := dataformat.Array{dataformat.Dict{"Port": dataformat.String("25")}}
	err := r.UpdateModule(t.Context(), "POP", dataformat.Dict{"Listener": taken})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Text(err), r.port(25)) {
		t.Errorf("error: %v", err)
	}
	if d, err := r.Module(t.Context(), "POP"); err != nil || len(d) != 0 {
		t.Errorf("the settings are %v, %v", d, err)
	}
	c, err := net.Dial("tcp", r.addr(110))
	if err != nil {
		t.Fatalf("POP does not listen any more: %v", err)
	}
	c.Close()
}

func TestMainSettingsAreNoModule(t *testing.T) {
	r := start(t)
	err := r.SetModule(t.Context(), "Main", dataformat.Dict{"LogLevel": dataformat.String("4")})
	if fault.KindOf(err) != fault.NotFound {
		t.Errorf("SetModule: %v", err)
	}
	err = r.UpdateServerSettings(t.Context(), dataformat.Dict{"LogLevel": dataformat.String("4")})
	d, readErr := r.ServerSettings(t.Context())
	if err != nil || readErr != nil || d.String("DomainName") != testDomain || d.String("LogLevel") != "4" {
		t.Errorf("server settings %v, %v, %v", d, err, readErr)
	}
}

func TestRefusedServerSettingsDoNotRenameTheMainDomain(t *testing.T) {
	r := start(t)
	err := r.UpdateServerSettings(t.Context(), dataformat.Dict{
		"DomainName": dataformat.String("new.test"), "LogLevel": dataformat.String("99"),
	})
	d, readErr := r.ServerSettings(t.Context())
	if !fault.Is(err, fault.Invalid) || readErr != nil || d.String("DomainName") != testDomain {
		t.Errorf("server settings %v, %v, %v", d, err, readErr)
	}
}

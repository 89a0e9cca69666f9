package helper

import (
	"testing"

	"gatepost/server/fault"
	"gatepost/server/program"
)

var nilListener = program.Listener{Line: func(string) {}, Error: func(string) {}, MaxLine: maxLine}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	h, _ := testHelpers(t, nil, `{Enabled=YES;ProgramName="`+testdata(t, "auth.pl")+`";}`)
	<-h.runs
	ctx := t.Context()
	for password, kind := range map[string]fault.Kind{
		"secret": fault.Internal, `a b"c\d`: fault.Internal, "$x жы": fault.Internal, "wrong": fault.BadCredentials, "": fault.BadCredentials,
		"broken": fault.Unavailable, "a\nb": fault.BadCredentials, "a\x00b": fault.BadCredentials,
	} {
		err := h.Verify(ctx, "IMAP", "Alice", "Example.com", password)
		if kind == fault.Internal && err != nil || kind != fault.Internal && !fault.Is(err, kind) {
			t.Errorf("%q: %v, want %v", password, err, kind)
		}
	}
	if err := h.Verify(ctx, "IMAP", "a b", "example.com", "secret"); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("a name with a blank: %v", err)
	}
	if err := h.Provision(ctx, "new", "example.com"); err != nil {
		t.Errorf("NEW: %v", err)
	}
	for range 2 {
		if err := h.Provision(ctx, "nobody", "example.com"); !fault.Is(err, fault.NotFound) {
			t.Errorf("NEW of an unknown name: %v", err)
		}
	}
	if n := h.authAt.stats.snapshot().String("requests"); n != "9" { // one NEW of nobody
		t.Errorf("%s requests", n)
	}
	if err := h.Provision(ctx, "down", "example.com"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("NEW that fails: %v", err)
	}
	if err := h.SetPassword(ctx, "alice", "example.com", "n w"); err != nil {
		t.Errorf("PASSWD: %v", err)
	}
	if err := h.SetPassword(ctx, "alice", "example.com", "short"); !fault.Is(err, fault.Denied) {
		t.Errorf("PASSWD: %v", err)
	}
	if got, err := h.PlainPassword(ctx, "alice", "example.com"); got != `p "q" r` || err != nil {
		t.Errorf("READPLAIN: %q, %v", got, err)
	}
	if _, err := h.PlainPassword(ctx, "bob", "example.com"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("READPLAIN: %v", err)
	}
	h.Apply(nil, Settings{})
	if err := h.Verify(ctx, "IMAP", "alice", "example.com", "secret"); !fault.Is(err, fault.Disabled) || h.Authenticates() {
		t.Errorf("disabled: %v", err)
	}
}

package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

func load(t *testing.T, text string) (*Settings, error) {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s := new(Settings)
	return s, settings.Load(s, v.(dataformat.Dict))
}

func TestSettings(t *testing.T) {
	if err := settings.Check(new(Settings)); err != nil {
		t.Error(err)
	}
	for text, problem := range map[string]string{
		"{}":                                     "",
		"{Directory=\"http://a.test/\";}":        "must begin with https://",
		"{Challenge=DNS;}":                       "is needed",
		"{DNSProgram=hook;}":                     "whole path",
		"{AccountKeyID=x;}":                      "belong together",
		"{DNSWait=2h;}":                          "1h at most",
		"{HTTPPort=0;}":                          "not a port",
		"{TLSPort=70000;}":                       "not a port",
		"{Challenge=DNS;DNSProgram=\"/bin/x\";}": "",
	} {
		_, err := load(t, text)
		if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%s: %v, want %q", text, err, problem)
		}
	}
}

// Nothing is asked of an authority before its terms are agreed to, and settings that cannot work are told.
func TestManageRefuses(t *testing.T) {
	set, err := load(t, "{}")
	if err != nil {
		t.Fatal(err)
	}
	live := settings.NewLive(set)
	m := New(Options{Settings: live, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err := m.Manage("a.test"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "terms") {
		t.Errorf("before the terms are agreed to: %v", err)
	}
	roots := filepath.Join(t.TempDir(), "roots")
	if err := os.WriteFile(roots, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{roots, roots + ".missing"} {
		set, err := load(t, "{AgreeToTerms=YES;TrustedRoots=\""+path+"\";}")
		if err != nil {
			t.Fatal(err)
		}
		live.Set(set)
		if err := m.Manage("a.test"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "TrustedRoots") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if m.Certificate("a.test") != nil || m.Handshake(&tls.ClientHelloInfo{SupportedProtos: []string{"acme-tls/1"}}) != nil {
		t.Error("there is a certificate")
	}
	w := httptest.NewRecorder()
	m.Answer(w, httptest.NewRequest("GET", "/.well-known/acme-challenge/x", nil))
	if w.Code != 404 {
		t.Errorf("an unknown challenge: %d", w.Code)
	}
	m.Close()
	if err := m.Manage("b.test"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after Close: %v", err)
	}
}

func TestHook(t *testing.T) {
	dir := t.TempDir()
	out, program := filepath.Join(dir, "out"), filepath.Join(dir, "hook")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >> "+out+"\n[ \"$1\" = add ] || { echo no zone >&2; exit 3; }\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := &hook{program: program, log: slog.New(slog.DiscardHandler)}
	c := acme.Challenge{Identifier: acme.Identifier{Type: "dns", Value: "a.test"}, KeyAuthorization: "token.key"}
	if err := h.Present(t.Context(), c); err != nil {
		t.Error(err)
	}
	if err := h.Wait(t.Context(), c); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.wait = time.Hour
	if err := h.Wait(ctx, c); err == nil {
		t.Error("a wait goes on after its end")
	}
	if err := h.CleanUp(ctx, c); err == nil || !strings.Contains(err.Error(), "exit code 3 no zone") {
		t.Errorf("a program that fails: %v", err)
	}
	text, err := os.ReadFile(out)
	if lines := strings.Fields(string(text)); err != nil || len(lines) != 6 || lines[0] != "add" || lines[1] != "_acme-challenge.a.test" || lines[3] != "remove" || lines[2] != lines[5] {
		t.Errorf("%s, %v", text, err)
	}
}

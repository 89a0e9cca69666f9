package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Profiles are for administrators with all rights.
func TestProfiles(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	r.cli(t, fmt.Sprintf("CREATEACCOUNT monitor {Password=%q;}", testPassword))
	r.cli(t, "SETACCOUNTRIGHTS monitor (Monitor)")
	gzip := "\x1f\x8b"
	for _, c := range []struct {
		path   string
		login  []string
		status int
		begin  string
	}{
		{"/debug/pprof/heap", nil, 401, ""},
		{"/debug/pprof/heap", []string{"alice@" + testDomain, testPassword}, 403, ""},
		{"/debug/pprof/heap", []string{"monitor@" + testDomain, testPassword}, 403, ""},
		{"/metrics", []string{"monitor@" + testDomain, testPassword}, 200, "# HELP"},
		{"/debug/pprof/heap", []string{"postmaster@" + testDomain, testPassword}, 200, gzip},
		{"/debug/pprof/goroutine", []string{"postmaster@" + testDomain, testPassword}, 200, gzip},
		{"/debug/pprof/profile?seconds=1", []string{"postmaster@" + testDomain, testPassword}, 200, gzip},
		{"/debug/pprof/profile?seconds=9999", []string{"postmaster@" + testDomain, testPassword}, 400, ""},
		{"/debug/pprof/cmdline", []string{"postmaster@" + testDomain, testPassword}, 404, ""},
		{"/debug/pprof/", []string{"postmaster@" + testDomain, testPassword}, 404, ""},
	} {
		if status, text := r.get(t, c.path, c.login...); status != c.status || !strings.HasPrefix(text, c.begin) {
			t.Errorf("%s %q: %d %.100q", c.path, c.login, status, text)
		}
	}
}

// The dashboard asks for metrics that there are.
func TestGrafanaDashboard(t *testing.T) {
	text, err := os.ReadFile("../docs/admin/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Fatal("it is no JSON")
	}
	r := start(t)
	r.mail(t)
	have := r.Counters().Expose()
	names := regexp.MustCompile(`gatepost_[a-z_]+`).FindAll(text, -1)
	if len(names) < 15 {
		t.Fatal("it has no metrics")
	}
	for _, name := range names {
		if !bytes.Contains(have, append([]byte("\n# TYPE "), bytes.TrimSuffix(name, []byte("_bucket"))...)) {
			t.Errorf("there is no %s", name)
		}
	}
}

package server

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatepost/server/dataformat"
)

// limitFiles sets the limit of open files for a test.
func limitFiles(t *testing.T, n uint64) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
}

func TestTheLimitOfOpenFilesIsTheHardOne(t *testing.T) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur != r.Max {
		t.Errorf("%d, the hard limit is %d; %v", r.Cur, r.Max, err)
	}
}

func TestSessionsAreBoundedByTheLimitOfOpenFiles(t *testing.T) {
	limitFiles(t, 400)
	s := open(t)
	total := 0
	for _, m := range s.modules {
		if !m.listens() {
			continue
		}
		if m.channels() == math.MaxInt32 {
			t.Errorf("%s does not say how many sessions it asks for", m.name)
		}
		n := boundListener{module: m}.MaxSessions(m.channels())
		if n < 50 || n != (boundListener{module: m}).MaxSessions(0) {
			t.Errorf("%s may have %d sessions", m.name, n)
		}
		total += n
	}
	if total > 300 {
		t.Errorf("%d sessions with 400 open files", total)
	}
	if !strings.Contains(s.short, "400, allows fewer sessions than the settings ask for") || !strings.Contains(s.short, "IMAP 50 instead of 10000") {
		t.Errorf("the warning is %q", s.short)
	}
	// What one asks for no longer is there for the others.
	for _, m := range s.modules {
		if m.listens() && m.name != "IMAP" && m.name != "PWD" {
			if err := s.UpdateModule(t.Context(), m.name, dataformat.Dict{"Channels": dataformat.String("20")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	m, err := s.module("IMAP")
	if n := (boundListener{module: m}).MaxSessions(10000); n <= 50 || err != nil || !strings.Contains(s.short, "instead of 10000") {
		t.Errorf("IMAP may have %d sessions; %v; %q", n, err, s.short)
	}
	if err := s.UpdateModule(t.Context(), "IMAP", dataformat.Dict{"Channels": dataformat.String("20")}); err != nil || s.short != "" {
		t.Errorf("%v; %q", err, s.short)
	}
}

func TestAStartWithTooFewOpenFilesIsWarnedOf(t *testing.T) {
	s := open(t)
	s.short = "the warning"
	var said bytes.Buffer
	s.config.Messages = &said
	s.tellShortage(t.Context())
	if said.String() != "warning: the warning\n" {
		t.Errorf("%q", said.String())
	}
}

func TestDescriptorsAreSharedFairly(t *testing.T) {
	const none = math.MaxInt32
	for _, c := range []struct {
		limit int
		asked []int
		want  []int
	}{
		{1 << 20, []int{500, 10000, 2000, 50}, []int{500, 10000, 2000, 50}},
		{20000, []int{500, 10000, 2000, 50}, []int{500, 10000, 2000, 50}},
		{4096, []int{500, 10000, 2000, 50}, []int{500, 1261, 1261, 50}},
		{400, []int{500, 10000, 2000, 50}, []int{83, 84, 83, 50}},
		{4096, []int{500, none, none, 50}, []int{500, 1261, 1261, 50}},
		{64, []int{500, 10000, 2000, 50}, []int{1, 1, 1, 1}},
		{0, []int{500}, []int{1}},
	} {
		got := share(forClients(c.limit), c.asked)
		if !slices.Equal(got, c.want) {
			t.Errorf("limit %d, asked %d: %d, want %d", c.limit, c.asked, got, c.want)
		}
	}
}

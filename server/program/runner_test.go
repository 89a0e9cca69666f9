package program

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/server/fault"
)

func TestRunner(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "programs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"show": 0o755, "open": 0o777, "plain": 0o644} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\nfor f in \"$@\"; do [ -f \"$f\" ] && cat \"$f\" || echo \"arg $f\"; done; echo \"in $(cat)\"; id -un; [ -z \"$SLOW\" ] || sleep 60\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for p := base; p != os.TempDir() && p != "/" && os.Getuid() == 0; p = filepath.Dir(p) { // nobody has to get there
		if info, err := os.Stat(p); err == nil {
			_ = os.Chmod(p, info.Mode()|0o755)
		}
	}
	allowed := Permission{Directory: dir, User: "nobody", Weak: true, Time: time.Minute}
	r := NewRunner(func() Permission { return allowed })
	job := func(args ...string) *Job {
		return &Job{Args: args, MaxOutput: 1000, Message: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("a\r\nb\r\n")), nil }}
	}
	who := "nobody"
	if os.Getuid() != 0 {
		who = ""
	}
	for _, name := range []string{"show", dir + "/show"} {
		res, err := r.Run(t.Context(), job(name, "x y", "-z"))
		if err != nil || res.Exit != 0 || !strings.HasPrefix(res.Output, "arg x y\narg -z\nin a\nb\n"+who) {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	j := job("show")
	j.File = true
	if res, err := r.Run(t.Context(), j); err != nil || !strings.HasPrefix(res.Output, "a\nb\nin \n") {
		t.Errorf("as a file: %+v, %v", res, err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "gatepost-*.msg")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for name, kind := range map[string]fault.Kind{
		"none": fault.NotFound, "open": fault.Denied, "../show": fault.Denied, ".x": fault.Denied, "": fault.Denied,
		"/bin/sh": fault.Denied, dir: fault.Denied, dir + "/../x": fault.Denied, `a\b`: fault.Denied, "plain": fault.Denied, "show\x00": fault.Denied,
	} {
		if _, err := r.Run(t.Context(), job(name)); fault.KindOf(err) != kind {
			t.Errorf("%q: %v, want %v", name, err, kind)
		}
	}
	allowed.Manifest.File = filepath.Join(base, "ChildProcs.data")
	if err := os.WriteFile(allowed.Manifest.File, []byte(dir+"/show a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, kind := range map[string]fault.Kind{"a": fault.Internal, "b": fault.Denied} {
		if _, err := r.Run(t.Context(), job("show", arg)); err != nil && !fault.Is(err, kind) || err == nil && kind == fault.Denied {
			t.Errorf("the manifest has show a: show %s: %v", arg, err)
		}
	}
	allowed.Manifest.File = ""
	allowed.Time = 50 * time.Millisecond
	j = job("show")
	j.Env = []string{"SLOW=1"}
	if res, err := r.Run(t.Context(), j); err != nil || !res.Stopped || res.Reason == "" {
		t.Errorf("a program without end: %+v, %v", res, err)
	}
	allowed.Directory = ""
	if _, err := r.Run(t.Context(), job("show")); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "no application directory") {
		t.Errorf("without a directory: %v", err)
	}
}

func TestManifest(t *testing.T) {
	m := Manifest{File: filepath.Join(t.TempDir(), "ChildProcs.data")}
	if err := m.Allows("/any/thing"); err != nil {
		t.Errorf("without the file: %v", err)
	}
	for text, good := range map[string]bool{
		"":                                   false,
		"(\"/opt/av\", \"/usr/bin/perl x\")": true,
		"# programs\n/opt/av\n":              true,
		"/opt/\n":                            true,
		"/opt/a\n":                           false,
		"(\"/opt/av\"":                       false,
		"(1, (2))":                           false,
	} {
		if err := os.WriteFile(m.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.Allows("/opt/av -x"); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(`("/opt/av", x)`)
	f.Add("#\n/opt/av\n")
	f.Fuzz(func(t *testing.T, text string) {
		if list, err := parseManifest(text); err == nil {
			for _, line := range list {
				if strings.TrimSpace(line) != line || line == "" {
					t.Errorf("%q", line)
				}
			}
		}
	})
}

package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.data")
	for _, c := range []struct {
		text string
		mode os.FileMode
	}{{"old", 0o600}, {"new", 0o644}, {"", 0o600}} {
		if err := ReplaceFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != c.text {
			t.Errorf("%q, %v", text, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != c.mode {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}

func TestReplaceThatFailsLeavesTheOldFileAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.data")
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil { // cannot be renamed over
		t.Fatal(err)
	}
	if err := ReplaceFile(path, []byte("new"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left: %v, %v", files, err)
	}
	if err := ReplaceFile(filepath.Join(dir, "missing", "b"), nil, 0o600); err == nil {
		t.Error("a file in a directory that is not there")
	}
	if err := SyncDir(filepath.Join(dir, "missing")); err == nil {
		t.Error("a directory that is not there is durable")
	}
}

package server

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBaseDirectoryIsClosedToOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	start := func() string {
		var out bytes.Buffer
		s, err := New(Config{Base: dir, Messages: &out})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	start()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if said := start(); !strings.Contains(said, "others could write to the base directory") || !strings.Contains(said, "0777") {
		t.Errorf("the server says %q", said)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory has mode %v afterwards: %v", info.Mode(), err)
	}
}

func TestNewBaseDirectoryThatOthersMayWriteIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Base: dir, Messages: io.Discard}); err == nil || !strings.Contains(err.Error(), "mode 0777") {
		t.Errorf("New says %v", err)
	}
}

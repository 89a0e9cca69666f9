package backup

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Copies have the attributes that the server has given, and no others.
func TestAttributesAreCopied(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Lsetxattr(from, "user.gatepost", []byte("props"), 0); err != nil {
		t.Skipf("the file system has no attributes: %v", err)
	}
	if err := unix.Lsetxattr(from, "user.other", []byte("no"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := copyFile(from, to, nil); err != nil {
		t.Fatal(err)
	}
	if all, err := Attributes(to); err != nil || len(all) != 1 || string(all["user.gatepost"]) != "props" {
		t.Errorf("%q %v", all, err)
	}
}

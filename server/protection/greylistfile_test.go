package protection

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// A greylist with an endless line does not keep the server from starting.
func TestDamagedGreylist(t *testing.T) {
	base := t.TempDir()
	os.Mkdir(filepath.Join(base, "Settings"), 0o700)
	os.WriteFile(filepath.Join(base, "Settings", greylistFile), append([]byte(greylistHeader+"\n"), bytes.Repeat([]byte{0}, 100_000)...), 0o600)
	if _, err := Open(base, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("the server does not start: %v", err)
	}
}

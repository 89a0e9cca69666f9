package server_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The test program of WebDAV servers passes whole.
func TestInteropLitmus(t *testing.T) {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	if _, err := exec.LookPath("litmus"); err != nil {
		t.Skip("there is no litmus")
	}
	r := start(t)
	cmd := exec.Command("litmus", "-k", "http://"+r.addr(8100)+"/WebDAV/", "alice@"+testDomain, testPassword)
	cmd.Dir = t.TempDir() // it writes logs there
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || strings.Contains(text, "FAIL") || strings.Count(text, "0 failed") != 5 {
		t.Errorf("%v\n%s", err, text)
	}
}

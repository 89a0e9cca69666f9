package transcript

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A transcript that does not fit ends its test, also when the server that it spoke to goes on for ever.
func TestFailureEndsABubble(t *testing.T) {
	if dir := os.Getenv("TRANSCRIPT_BUBBLE"); dir != "" {
		Bubble(t, func(t *testing.T) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				_, _ = server.Write([]byte("250 no greeting\n")) // the player says what is wrong
				for {
					time.Sleep(time.Minute)
				}
			}()
			Play(t, Conn(client), filepath.Join(dir, "greeting.txtar"))
		})
		return
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "greeting.txtar"), []byte("S: 220 <*>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFailureEndsABubble$", "-test.timeout=20s")
	cmd.Env = append(os.Environ(), "TRANSCRIPT_BUBBLE="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "does not end in CRLF") {
		t.Errorf("%v\n%.2000s", err, out)
	}
}

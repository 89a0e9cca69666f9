package smtp

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/protocols/transcript"
)

func bufioReader(raw []byte) *bufio.Reader    { return bufio.NewReader(bytes.NewReader(raw)) }
func bufioReaderOf(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// TestTranscripts plays every dialogue of testdata. Where it comes from and to
// which port it goes is in the name: the part after the last dash, such as
// stranger25, client25, client587, stranger465.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				where := name[strings.LastIndexByte(name, '-')+1:]
				l, from := port25, "198.51.100.7"
				switch {
				case strings.HasSuffix(where, "24"):
					l = port24
				case strings.HasSuffix(where, "587"):
					l = port587
				case strings.HasSuffix(where, "465"):
					l = port465
				}
				if strings.HasPrefix(where, "client") {
					from = "127.0.0.1"
				}
				s := newSite(t, func(c *Settings) {
					c.ATRNAccounts = []string{"waiting.example=moe@company.com", " Empty.Example = moe@company.com ", "busy.example=moe@company.com"}
				})
				transcript.Play(t, func() (net.Conn, error) { return s.dial(l, from) }, file)
				s.stop()
				s.serving.Wait()
				if left := s.leftovers(); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
				s.received()
			})
		})
	}
}

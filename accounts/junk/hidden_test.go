package junk

import (
	"strings"
	"testing"
	"time"
)

// What reads the tags of a text takes time in proportion to it, whatever tags there are.
func TestTimeForTags(t *testing.T) {
	took := map[string]time.Duration{}
	const plain = "hello world "
	for _, piece := range []string{plain, "<a display:none>", "<a display:none></", "<b x>hello ", "<br>hello ", "<b>hello</b> "} {
		text := "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		for range 4 {
			text += "--b\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat(piece, 63<<10/len(piece)) + "\r\n"
		}
		start := time.Now()
		tok(t, text+"--b--\r\n")
		took[piece] = time.Since(start)
	}
	for piece, d := range took {
		if d > 20*took[plain]+100*time.Millisecond {
			t.Errorf("%q takes %s, text without tags %s", piece, d, took[plain])
		}
	}
}

package junk

import (
	"strings"
	"testing"
	"time"
)

// What reads the tags of a text takes time in proportion to it, whatever tags there are.
func TestTimeForTags(t *testing.T) {
	for _, piece := range []string{"<a display:none>", "<a display:none></", "<b x>hello ", "<br>hello ", "<b>hello</b> ", "hello world "} {
		text := "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		for range 4 {
			text += "--b\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat(piece, 63<<10/len(piece)) + "\r\n"
		}
		start := time.Now()
		tok(t, text+"--b--\r\n")
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("%q: %d bytes take %s", piece, len(text), took)
		}
	}
}

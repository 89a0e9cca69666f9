package pop3

import (
	"bufio"
	"bytes"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func globs(t testing.TB, pattern string) []string {
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	return paths
}

// stuff sends a message in chunks of the size.
func stuff(message string, lines int64, chunk int) string {
	var b bytes.Buffer
	w := stuffer{out: bufio.NewWriter(&b), lines: lines, whole: lines == math.MaxInt64}
	for p := []byte(message); len(p) > 0 && !w.done(); {
		n := min(chunk, len(p))
		w.write(p[:n])
		p = p[n:]
	}
	w.end()
	w.out.Flush()
	return b.String()
}

func TestStuffing(t *testing.T) {
	const all = math.MaxInt64
	for _, c := range []struct {
		name, message string
		lines         int64
		want          string
	}{
		{"nothing", "", all, ".\r\n"},
		{"dots", ".a\r\n..\r\n.\r\n", all, "..a\r\n...\r\n..\r\n.\r\n"},
		{"no end", "a: b\r\n\r\nc", all, "a: b\r\n\r\nc\r\n.\r\n"},
		{"ends in CR", "a\r", all, "a\r\r\n.\r\n"},
		{"bare LF", "a\n.b\n", all, "a\n..b\n.\r\n"},
		{"dot within", "a.\r\nb\r\n", all, "a.\r\nb\r\n.\r\n"},
		{"top 0", "a: b\r\n\r\nc\r\n", 0, "a: b\r\n\r\n.\r\n"},
		{"top 1", "a: b\r\n\r\nc\r\nd\r\n", 1, "a: b\r\n\r\nc\r\n.\r\n"},
		{"top beyond", "a: b\r\n\r\nc", 9, "a: b\r\n\r\nc\r\n.\r\n"},
		{"top of a header", "a: b\r\nc: d\r\n", 0, "a: b\r\nc: d\r\n.\r\n"},
		{"top without header", "\r\nc\r\nd\r\n", 1, "\r\nc\r\n.\r\n"},
		{"top with bare LF", "a: b\n\nc\nd\n", 1, "a: b\n\nc\n.\r\n"},
		{"top of an empty line", "a: b\r\n\r\n\r\n\r\nx\r\n", 2, "a: b\r\n\r\n\r\n\r\n.\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{1, 2, 3, 100} {
				if got := stuff(c.message, c.lines, chunk); got != c.want {
					t.Errorf("in chunks of %d: %q, want %q", chunk, got, c.want)
				}
			}
		})
	}
}

// FuzzStuffing expects that a client gets back what was sent.
func FuzzStuffing(f *testing.F) {
	f.Add("a: b\r\n\r\n.c\r\n..\r\nd", 3, uint8(2))
	f.Add(".\r\n.\n.", 0, uint8(1))
	f.Fuzz(func(t *testing.T, message string, chunk int, lines uint8) {
		chunk = max(1, chunk)
		wire := stuff(message, math.MaxInt64, chunk)
		body, ok := strings.CutSuffix(wire, ".\r\n")
		if !ok || strings.Contains("\n"+body, "\n.\r\n") || strings.Contains("\n"+body, "\n.\n") {
			t.Fatalf("end of the message within: %q", wire)
		}
		var got strings.Builder
		for line := range strings.Lines(body) {
			got.WriteString(strings.TrimPrefix(line, "."))
		}
		want := message
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\r\n"
		}
		if got.String() != want {
			t.Fatalf("%q became %q", message, wire)
		}
		if top := stuff(message, int64(lines), chunk); top != stuff(message, int64(lines), 1000) || len(top) > len(wire) {
			t.Fatalf("top %q of %q", top, wire)
		}
	})
}

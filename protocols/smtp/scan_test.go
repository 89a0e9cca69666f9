package smtp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// naive reads DATA byte by byte, as RFC 5321 4.5.2 tells it: text of the
// message, what is left behind its end, and whether a bare CR or LF was in it.
// ok is false when there is no end.
func naive(in []byte) (text, rest []byte, bare, ok bool) {
	start := true // after CR LF or at the beginning
	for i := 0; i < len(in); {
		if start && in[i] == '.' {
			if bytes.HasPrefix(in[i:], []byte(".\r\n")) {
				return text, in[i+3:], bare, true
			}
			i++
			if i == len(in) {
				break
			}
		}
		switch {
		case in[i] == '\r' && i+1 < len(in) && in[i+1] == '\n':
			text = append(text, '\r', '\n')
			start = true
			i += 2
			continue
		case in[i] == '\r' || in[i] == '\n':
			bare = true
		}
		text = append(text, in[i])
		start = false
		i++
	}
	return text, nil, bare, false
}

// scanAll runs the scanner over in as a session does, with windows that grow by
// the given steps.
func scanAll(in []byte, step func() int) (text, rest []byte, bare, ok bool) {
	var d dotScanner
	from, to := 0, 0
	for {
		piece, used, end := d.next(in[from:to])
		text = append(text, piece...)
		from += used
		if end {
			return text, in[from:], d.bare, true
		}
		if used == 0 {
			if to == len(in) {
				return text, nil, d.bare, false
			}
			to = min(len(in), to+max(1, step()))
		}
	}
}

func compareScan(t *testing.T, in []byte, what string, step func() int) {
	t.Helper()
	text, rest, bare, ok := naive(in)
	gotText, gotRest, gotBare, gotOK := scanAll(in, step)
	if ok != gotOK {
		t.Fatalf("%s %q: end found = %v, want %v", what, in, gotOK, ok)
	}
	if !ok {
		return
	}
	if !bytes.Equal(text, gotText) || !bytes.Equal(rest, gotRest) || bare != gotBare {
		t.Fatalf("%s %q:\n got text %q rest %q bare %v\nwant text %q rest %q bare %v", what, in, gotText, gotRest, gotBare, text, rest, bare)
	}
}

// TestOnlyCRLFDotCRLFEndsData is the smuggling matrix: every pair of line ends
// around a dot, as one packet, byte by byte and split everywhere.
func TestOnlyCRLFDotCRLFEndsData(t *testing.T) {
	ends := []string{"\r\n", "\n", "\r", "\n\r", "\r\r\n", "\r\n\r", "\n\n", "\r\r", "\r\x00\n", " \r\n", ""}
	for _, before := range ends {
		for _, after := range ends {
			for _, dots := range []string{".", "..", "...", ""} {
				in := []byte("Subject: x\r\n\r\nbody" + before + dots + after + "MAIL FROM:<evil@example.net>\r\nx\r\n.\r\nQUIT\r\n")
				_, rest, _, _ := naive(in)
				smuggled := !bytes.Equal(rest, []byte("QUIT\r\n"))
				// What ends in CR LF ends a line; what begins with it does too.
				proper := dots == "." && strings.HasSuffix(before, "\r\n") && strings.HasPrefix(after, "\r\n")
				if smuggled != proper {
					t.Errorf("reference: before %q dots %q after %q: ended early = %v", before, dots, after, smuggled)
				}
				compareScan(t, in, "whole", func() int { return len(in) })
				compareScan(t, in, "bytes", func() int { return 1 })
				for split := 1; split < len(in); split++ {
					first := true
					compareScan(t, in, fmt.Sprint("split at ", split), func() int {
						if first {
							first = false
							return split
						}
						return len(in)
					})
				}
			}
		}
	}
}

func FuzzDotScanner(f *testing.F) {
	for _, s := range []string{"", ".\r\n", "a\r\n.\r\n", "..\r\n.\r\n", "\r\n.\r\n.\r\n", "a\n.\n", "\r\r\n.\r\n", ".\r", ".a\r\n.\r\nrest"} {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		compareScan(t, in, "fuzz", func() int { return r.IntN(7) })
		compareScan(t, in, "whole", func() int { return len(in) })
	})
}

// repairWhole is the whole of a text repaired.
func repairWhole(text string) string {
	var r repairer
	out := r.next([]byte(text))
	r.out = out
	r.endLines()
	return string(r.out)
}

func TestRepairedLineEnds(t *testing.T) {
	for in, want := range map[string]string{
		"a\r\nb\r\n":                           "a\r\nb\r\n",
		"a\nb\rc":                              "a\r\nb\r\nc",
		"a\r\r\nb\r\r\n":                       "a\r\nb\r\n",
		"a\r\r\n\r\r\nb\r\r\n":                 "a\r\n\r\nb\r\n",
		"a\r\r\r\nb":                           "a\r\nb",
		"a\r\rb":                               "a\r\n\r\nb",
		"a\n\rb":                               "a\r\n\r\nb",
		"a\n\r\nb":                             "a\r\n\r\nb",
		"\r\n\r\r\n":                           "\r\n\r\n",
		"\r\r":                                 "\r\n\r\n",
		strings.Repeat("\r", maxCRs+3) + "\nb": strings.Repeat("\r\n", maxCRs+2) + "b",
	} {
		if got := repairWhole(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		var r repairer
		var pieces []byte
		for i := range len(in) {
			pieces = append(pieces, r.next([]byte(in[i:i+1]))...)
		}
		r.out = pieces
		if r.endLines(); string(r.out) != want {
			t.Errorf("%q in pieces: %q, want %q", in, r.out, want)
		}
	}
}

// FuzzLineScanner checks that chunks come out as they went in, that no text ends
// between CR and LF, and that every bare CR and LF is seen.
func FuzzLineScanner(f *testing.F) {
	for _, s := range []string{"", "a\r\n", "a\r", "\n", "\r\r\n", "a\nb\r\n", "\r\n\r\n", "x"} {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		var l lineScanner
		var out, repaired []byte
		var repairs repairer
		take := func(text []byte) {
			out = append(out, text...)
			repaired = append(repaired, repairs.next(text)...)
			if hasBare(text) != bare(text) {
				t.Fatalf("hasBare(%q) = %v", text, hasBare(text))
			}
		}
		for rest := in; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			held, text := l.next(rest[:n])
			take(held)
			take(text)
			rest = rest[n:]
		}
		missing := l.finish()
		want := append([]byte(nil), in...)
		if len(want) > 0 && !bytes.HasSuffix(want, crlf) {
			want = append(bytes.TrimSuffix(want, []byte("\r")), crlf...)
		}
		take(missing)
		if !bytes.Equal(out, want) {
			t.Fatalf("%q came out as %q, want %q", in, out, want)
		}
		if l.bare != bare(in) {
			t.Fatalf("%q: bare = %v", in, l.bare)
		}
		if bare(repaired) || string(repaired) != repairWhole(string(want)) {
			t.Fatalf("%q repaired is %q, as a whole %q", in, repaired, repairWhole(string(want)))
		}
	})
}

// BenchmarkDotScanner reads mail of ordinary lines in blocks as they come from
// the network.
func BenchmarkDotScanner(b *testing.B) {
	line := []byte(strings.Repeat("x", 74) + "\r\n")
	block := bytes.Repeat(line, largeBuffer/len(line))
	dotted := bytes.Repeat([]byte("..stuffed line\r\nanother one of a text\r\n"), largeBuffer/40)
	for _, c := range []struct {
		name string
		in   []byte
	}{{"lines of 76", block}, {"one long line", bytes.Repeat([]byte("x"), largeBuffer)}, {"every second line stuffed", dotted}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.in)))
			for b.Loop() {
				d := dotScanner{inLine: true}
				for in := c.in; len(in) > 0; {
					_, used, _ := d.next(in)
					if used == 0 {
						break
					}
					in = in[used:]
				}
			}
		})
	}
}

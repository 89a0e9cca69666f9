package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gatepost/server/fault"
)

var testLimits = Limits{Line: 200, Literals: 100, Discard: 2000}

// gateAll takes every literal that fits.
func gateAll(r *Reader) LiteralFunc {
	return func(head []byte, l Literal) (LiteralAction, error) { return Buffer, r.CheckSize(l) }
}

// readAll returns what the Reader makes of an input, one line per command.
func readAll(src io.Reader, l Limits) string {
	r := NewReader(src, l)
	var out strings.Builder
	for {
		if err := r.Wait(); err != nil {
			fmt.Fprintf(&out, "end: %v\n", err)
			return out.String()
		}
		cmd, _, err := r.Next(gateAll(r), false)
		var bad *SyntaxError
		switch {
		case err == nil:
			fmt.Fprintf(&out, "%q\n", cmd)
		case errors.As(err, &bad):
			fmt.Fprintf(&out, "%.12q: %v\n", cmd, err)
		case fault.Is(err, fault.TooMany):
			fmt.Fprintf(&out, "%.12q: LIMIT %v\n", cmd, fault.Text(err))
		default:
			fmt.Fprintf(&out, "end: %v\n", err)
			return out.String()
		}
	}
}

func TestCommandsAreCutAtTheirEnds(t *testing.T) {
	x := strings.Repeat("x", 300)
	for _, test := range []struct{ name, in, want string }{
		{"lines", "a NOOP\r\nb NOOP\nc\r\n\r\n", `"a NOOP"|"b NOOP"|"c"|""|end: EOF`},
		{"literal", "a X {3}\r\nfoo {2+}\r\n\r\n {0+}\r\n\r\n", `"a X {3}\r\nfoo {2+}\r\n\r\n {0+}\r\n"|end: EOF`},
		{"announcement in the middle", "a {3} b\r\n", `"a {3} b"|end: EOF`},
		{"no announcement", "a {x}\r\na {}\r\n}\r\n{+}\r\n", `"a {x}"|"a {}"|"}"|"{+}"|end: EOF`},
		{"refused literal is skipped", "a {150+}\r\n" + x[:150] + "\r\nb\r\n", `"a {150+}": LIMIT literals longer than 100 bytes in all|"b"|end: EOF`},
		{"refused literal that waits is not", "a {150}\r\nb\r\n", `"a {150}": LIMIT literals longer than 100 bytes in all|"b"|end: EOF`},
		{"sum of literals", "a {60+}\r\n" + x[:60] + "{60+}\r\n" + x[:60] + "{5+}\r\nb NO\n\r\nc\r\n",
			`"a {60+}\r\nxxx": LIMIT literals longer than 100 bytes in all|"c"|end: EOF`},
		{"long line", "a " + x + "\r\nb\r\n", `"a xxxxxxxxxx": command line longer than 200 bytes|"b"|end: EOF`},
		{"long line with literal", "a " + x + " {4+}\r\nb\r\n\r\nc\r\n", `"a xxxxxxxxxx": command line longer than 200 bytes|"c"|end: EOF`},
		{"literal with a long count", "a " + x + " {" + strings.Repeat("0", 40) + "4+}\r\nb\r\nc\r\n", `end: ` + ErrFlood.Error()},
		{"NUL", "a\x00b\r\nc {3+}\r\n\x00\r\n\r\nd\r\n", `"a\x00b": NUL is not allowed here|"c {3+}\r\n\x00": NUL is not allowed in a literal|"d"|end: EOF`},
		{"literal8", "c ~{3+}\r\n\x00\r\n\r\nd\r\n", `"c ~{3+}\r\n\x00\r\n"|"d"|end: EOF`},
		{"flood", "a {3000+}\r\n", `end: ` + ErrFlood.Error()},
		{"huge", "a {99999999999999999999999+}\r\n", `end: ` + ErrFlood.Error()},
		{"huge that waits", "a {99999999999999999999999}\r\nb\r\n", `"a {999999999": LIMIT literals longer than 100 bytes in all|"b"|end: EOF`},
		{"end in a line", "a NO", `end: unexpected EOF`},
		{"end in a literal", "a {4+}\r\nab", `end: unexpected EOF`},
		{"endless empty literals", "a {150+}\r\n" + x[:150] + strings.Repeat("{0+}\r\n", 200), `end: ` + ErrFlood.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := strings.ReplaceAll(test.want, "|", "\n") + "\n"
			for _, src := range []io.Reader{
				strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in)), iotest.HalfReader(strings.NewReader(test.in)),
			} {
				if got := readAll(src, testLimits); got != want {
					t.Errorf("got\n%swant\n%s", got, want)
				}
			}
		})
	}
}

func TestStreamedLiteral(t *testing.T) {
	for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
		r := NewReader(wrap(strings.NewReader("a APPEND x ~{6+}\r\nab\r\ncd) {2+}\r\nxy!\r\nb\r\n")), testLimits)
		stream := func(head []byte, l Literal) (LiteralAction, error) {
			if l.Size == 6 {
				return Stream, nil
			}
			return Buffer, nil
		}
		head, l, err := r.Next(stream, false)
		if err != nil || l == nil || *l != (Literal{Size: 6, Binary: true}) || string(head) != "a APPEND x ~{6+}" {
			t.Fatalf("%q %+v %v", head, l, err)
		}
		if body, err := io.ReadAll(r.Body()); err != nil || string(body) != "ab\r\ncd" {
			t.Fatalf("%q %v", body, err)
		}
		if tail, _, err := r.Next(stream, true); err != nil || string(tail) != ") {2+}\r\nxy!" {
			t.Fatalf("%q %v", tail, err)
		}
		if next, _, err := r.Next(stream, false); err != nil || string(next) != "b" {
			t.Fatalf("%q %v", next, err)
		}
	}
}

func TestAbandonedLiteral(t *testing.T) {
	why := errors.New("why")
	for _, test := range []struct {
		in   string
		read int
		sync bool
	}{
		{"a {6+}\r\nab\r\ncd rest\r\nb\r\n", 0, false},
		{"a {6+}\r\nab\r\ncd {3+}\r\nx\r\n\r\nb\r\n", 4, false},
		{"a {6+}\r\nab\r\ncd\r\nb\r\n", 6, false},
		{"a {6}\r\nb\r\n", 0, true},
	} {
		r := NewReader(strings.NewReader(test.in), testLimits)
		_, l, err := r.Next(func([]byte, Literal) (LiteralAction, error) { return Stream, nil }, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r.Body(), make([]byte, test.read)); err != nil {
			t.Fatal(err)
		}
		if l.Sync != test.sync {
			t.Errorf("%q: sync %v", test.in, l.Sync)
		}
		if err := r.DiscardBody(*l, why); err != why {
			t.Errorf("%q: %v", test.in, err)
		}
		if next, _, err := r.Next(gateAll(r), false); err != nil || string(next) != "b" {
			t.Errorf("%q: then %q %v", test.in, next, err)
		}
	}
}

func TestReadLineSkipsWhatIsTooLong(t *testing.T) {
	r := NewReader(strings.NewReader("abc\r\n"+strings.Repeat("x", 9000)+"\r\ndef\nlast"), testLimits)
	for _, want := range []string{"abc", "", "def"} {
		line, err := r.ReadLine(8000)
		var bad *SyntaxError
		if string(line) != want || (err != nil) != (want == "") || err != nil && !errors.As(err, &bad) {
			t.Errorf("%q %v, want %q", line, err, want)
		}
	}
	if _, err := r.ReadLine(100); err == nil {
		t.Error("a line without an end")
	}
}

func TestAWaitingReaderHoldsNoBuffer(t *testing.T) {
	r := NewReader(strings.NewReader("a NOOP\r\n"), testLimits)
	if err := r.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Next(gateAll(r), false); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(); err != io.EOF {
		t.Fatal(err)
	}
	if r.buf != nil {
		t.Error("a buffer is held")
	}
}

// FuzzReader compares what is made of an input in one piece and byte by byte, and looks
// whether anything panics or loops.
func FuzzReader(f *testing.F) {
	f.Add([]byte("a APPEND INBOX {3+}\r\nabc\r\nb {2}\r\nxx\r\n"))
	f.Add([]byte("a {150+}\r\nshort {0+}\r\n\n{99999999999999999999+}\r\n"))
	f.Add(append(bytes.Repeat([]byte("x"), 250), "{2+}\r\nab\r\n"...))
	f.Fuzz(func(t *testing.T, in []byte) {
		limits := Limits{Line: 200, Literals: 100, Discard: 1 << 20}
		whole := readAll(bytes.NewReader(in), limits)
		pieces := readAll(iotest.OneByteReader(bytes.NewReader(in)), limits)
		if whole != pieces {
			t.Errorf("in one piece\n%sbyte by byte\n%s", whole, pieces)
		}
	})
}

package program

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func lf(t testing.TB, s string) {
	want := strings.ReplaceAll(s, "\r\n", "\n")
	for name, r := range map[string]io.Reader{
		"whole": LF(strings.NewReader(s)), "bytes": LF(iotest.OneByteReader(strings.NewReader(s))),
		"small": iotest.OneByteReader(LF(strings.NewReader(s))), "late": LF(iotest.DataErrReader(strings.NewReader(s))),
	} {
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Fatalf("%s: %.40q becomes %.40q (%d bytes), %v", name, s, got, len(got), err)
		}
	}
}

func TestLF(t *testing.T) {
	for _, s := range []string{"", "\r", "\n", "\r\n", "\r\r\n", "a\r\nb\rc\r\n", "\r\n\r\n", "a\r", strings.Repeat("x", 32<<10-1) + "\r\ny",
		strings.Repeat("x", 32<<10-2) + "\r\ny", strings.Repeat("\r", 40000), strings.Repeat("\r\n", 40000)} {
		lf(t, s)
	}
	bad := io.MultiReader(bytes.NewReader([]byte("a\r")), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := io.ReadAll(LF(bad)); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

func FuzzLF(f *testing.F) {
	f.Add("a\r\nb\r\r\n")
	f.Fuzz(func(t *testing.T, s string) { lf(t, s) })
}

package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// compressed returns a stream without an end.
func compressed(t testing.TB, level int, pieces ...string) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		_, _ = io.WriteString(w, p)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestReaderReadsWhatFlateWrites(t *testing.T) {
	random := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{2}).Read(random)
	long := strings.Repeat("a quick brown fox ", 20_000)
	for _, level := range []int{flate.NoCompression, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression, flate.HuffmanOnly} {
		in := compressed(t, level, "a1 NOOP\r\n", "a2 NOOP\r\n", long, string(random), "", long, "end")
		want := "a1 NOOP\r\na2 NOOP\r\n" + long + string(random) + long + "end"
		for _, src := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in)), iotest.HalfReader(bytes.NewReader(in))} {
			got, err := io.ReadAll(NewReader(src))
			if err != nil || string(got) != want {
				t.Fatalf("level %d: %d bytes of %d, %v", level, len(got), len(want), err)
			}
		}
	}
}

// partial is two lines, each of which ends with an empty block of fixed codes, as zlib's Z_PARTIAL_FLUSH makes it: not at a byte
// border.
func partial(line string) []byte {
	var b []byte
	var bits uint64
	var n uint
	put := func(v uint64, size uint) {
		for i := range size {
			bits |= v >> i & 1 << n
			if n++; n == 8 {
				b, bits, n = append(b, byte(bits)), 0, 0
			}
		}
	}
	code := func(v uint64, size uint) { // codes begin with their highest bit
		for i := range size {
			put(v>>(size-1-i)&1, 1)
		}
	}
	put(2, 3) // not the last block, fixed codes
	for _, c := range []byte(line) {
		code(uint64(c)+0x30, 8)
	}
	code(0, 7)
	put(2, 3)
	code(0, 7)
	if n > 0 {
		b = append(b, byte(bits))
	}
	return b
}

func TestReaderDoesNotWaitAfterAPartialFlush(t *testing.T) {
	r, w := io.Pipe()
	go func() { _, _ = w.Write(partial("a1 NOOP\r\n")) }()
	buf := make([]byte, 100)
	n, err := io.ReadAtLeast(NewReader(r), buf, len("a1 NOOP\r\n"))
	if err != nil || string(buf[:n]) != "a1 NOOP\r\n" {
		t.Fatalf("%q %v", buf[:n], err)
	}
}

func TestReaderKeepsOnlyWhatWasSent(t *testing.T) {
	r := NewReader(bytes.NewReader(compressed(t, 6, "a1 NOOP\r\n")))
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if len(r.window) > 1<<10 {
		t.Errorf("a window of %d bytes", len(r.window))
	}
	r = NewReader(bytes.NewReader(compressed(t, 6, strings.Repeat("0123456789", 1<<20))))
	if n, err := io.Copy(io.Discard, r); n != 10<<20 || err != nil {
		t.Fatal(n, err)
	}
	if len(r.window) != maxWindow {
		t.Errorf("a window of %d bytes", len(r.window))
	}
}

func TestWriterCanBeReleasedAnywhere(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	want := ""
	for i := range 50 {
		line := strings.Repeat("* 1 FETCH (FLAGS (\\Seen))\r\n", i)
		want += line
		if _, err := io.WriteString(w, line); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			w.Release()
		}
	}
	for _, r := range []io.Reader{NewReader(bytes.NewReader(out.Bytes())), flate.NewReader(bytes.NewReader(out.Bytes()))} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("%v", err)
		}
	}
}

// FuzzReader compares with compress/flate.
func FuzzReader(f *testing.F) {
	f.Add(compressed(f, 6, "a1 NOOP\r\n", "a2 NOOP\r\n"))
	f.Add(compressed(f, 0, "stored"))
	f.Add(compressed(f, 6, strings.Repeat("abc", 1000)))
	f.Add(partial("x"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 1 << 20
		got, err := io.ReadAll(io.LimitReader(NewReader(bytes.NewReader(in)), most))
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), most))
		if !bytes.Equal(got, want) && (err == nil && wantErr == nil) {
			t.Errorf("got %d bytes, %v; want %d, %v", len(got), err, len(want), wantErr)
		}
		if wantErr == nil && err != nil {
			t.Errorf("%v", err)
		}
	})
}

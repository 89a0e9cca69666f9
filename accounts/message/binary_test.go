package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"gatepost/server/fault"
)

// encodeBinary runs a BinaryEncoder over a message that comes in pieces.
func encodeBinary(t testing.TB, in []byte, step func() int, endLine bool) []byte {
	t.Helper()
	var out []byte
	cr := false
	enc := &BinaryEncoder{
		Emit: func(text []byte) {
			if len(text) == 0 {
				return
			}
			if cr && text[0] == '\n' {
				t.Fatalf("%q: a text ends between CR and LF", in)
			}
			cr = text[len(text)-1] == '\r'
			out = append(out, text...)
		},
	}
	for rest := in; len(rest) > 0; {
		n := min(len(rest), max(1, step()))
		if _, err := enc.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	enc.Close(endLine)
	return out
}

func whole() int { return 1 << 30 }

func TestBinaryPartsBecomeBase64(t *testing.T) {
	octets := "\x00\x01\r\n--not a boundary\r\n\r\r\n\n--outer-x\r\n" + strings.Repeat("\xff\x00bin\r", 40)
	in := "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=outer\r\nContent-Transfer-Encoding: binary\r\n\r\n" +
		"preamble\r\n" +
		"--outer\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n" +
		"--outer\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: BINARY\r\nContent-ID: <x>\r\n\r\n" + octets + "\r\n" +
		"--outer\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=\"in ner\"\r\n\r\n" +
		"--in ner\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets + "\r\n--in ner--\r\nepilogue\r\n" +
		"--outer\r\nContent-Transfer-Encoding: binary\r\n\r\n--outer--\r\n"
	out := encodeBinary(t, []byte(in), whole, true)
	if bytes.ContainsAny(bytes.ReplaceAll(out, lineEnd, nil), "\r\n\x00") {
		t.Fatalf("not a message of lines: %q", out)
	}
	m, err := mail.ReadMessage(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Header.Get("Content-Transfer-Encoding"); got != "8bit" {
		t.Errorf("encoding of the multipart: %q", got)
	}
	parts := readParts(t, m.Header.Get("Content-Type"), m.Body)
	if len(parts) != 4 {
		t.Fatalf("%d parts: %q", len(parts), parts)
	}
	if parts[0] != "hello" || parts[1] != octets || parts[3] != "" {
		t.Errorf("parts %q", parts)
	}
	inner, err := mail.ReadMessage(strings.NewReader(parts[2]))
	if err != nil {
		t.Fatal(err)
	}
	if got := readParts(t, inner.Header.Get("Content-Type"), inner.Body); len(got) != 1 || got[0] != octets {
		t.Errorf("inner parts %q", got)
	}
}

// readParts decodes the parts of a multipart.
func readParts(t testing.TB, contentType string, body io.Reader) []string {
	t.Helper()
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.EqualFold(p.Header.Get("Content-Transfer-Encoding"), "base64") {
			if raw, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(raw))); err != nil {
				t.Fatal(err)
			}
		}
		parts = append(parts, string(raw))
	}
}

func TestBinaryPartHasOneEncoding(t *testing.T) {
	in := "Content-Transfer-Encoding:\r\n binary\r\nSubject: x\r\ncontent-transfer-encoding : quoted-printable\r\n" +
		"Content-Transfer-Encoding: 8bit\r\nTo: y\r\n\r\n\x00"
	want := "Subject: x\r\nTo: y\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n"
	if got := string(encodeBinary(t, []byte(in), whole, true)); got != want {
		t.Errorf("%q", got)
	}
}

// TestBinaryPartsAreThoseThatReadersFind: what Scan takes for a binary part is encoded, and
// nothing else.
func TestBinaryPartsAreThoseThatReadersFind(t *testing.T) {
	const part = "\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\r\n--b--\r\n"
	for in, encoded := range map[string]bool{
		"Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00":                                       false,
		"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00":                                       false,
		"Content-Transfer-Encoding:\r\nContent-Transfer-Encoding: Binary (as it is)\r\n\r\n\x00":                                 true,
		"Content-Type: multipart/mixed; boundary=b\r\nContent-Type: multipart/mixed; boundary=c" + part:                          true,
		"Content-Type: multipart/mixed; boundary=c\r\nContent-Type: multipart/mixed; boundary=b" + part:                          false,
		"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b" + part:                                           false,
		"Content-Type:\r\nContent-Type: multipart/mixed; boundary=b" + part:                                                      false,
		"Content-Type: (odd) Multipart / mixed (too);\r\n\tboundary=b; boundary=c; name=\"x" + part:                              true,
		"Content-Type: multipart/mixed; boundary*0=\"b\"" + part:                                                                 true,
		"Content-Type: message/rfc822\r\nContent-Type: text/plain\r\n\r\nContent-Type: multipart/x; boundary=b" + part:           true,
		"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00": false,
	} {
		sum, err := Scan(strings.NewReader(in), Options{})
		if err != nil {
			t.Fatal(err)
		}
		found, changed := hasBinary(sum.Root), string(encodeBinary(t, []byte(in), whole, false)) != in
		if found != encoded || changed != encoded {
			t.Errorf("%q: Scan finds a binary part: %v, it is encoded: %v, want %v", in, found, changed, encoded)
		}
	}
}

// hasBinary reports whether a part without parts of its own is binary.
func hasBinary(p *Part) bool {
	switch {
	case p.Message != nil:
		return hasBinary(p.Message.Root)
	case len(p.Children) > 0:
		return slices.ContainsFunc(p.Children, hasBinary)
	}
	return p.Encoding == "binary"
}

// TestBinaryHeaderIsAllOfTheMessage: the field that is added stands on a line of its own.
func TestBinaryHeaderIsAllOfTheMessage(t *testing.T) {
	got := string(encodeBinary(t, []byte("Content-Transfer-Encoding: binary\r\nSubject: x"), whole, false))
	if want := "Subject: x\r\nContent-Transfer-Encoding: base64\r\n"; got != want {
		t.Errorf("%q", got)
	}
}

func TestBinaryHeaderHasALimit(t *testing.T) {
	enc := &BinaryEncoder{Emit: func([]byte) {}}
	if _, err := enc.Write(make([]byte, MaxHeader+1)); !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
}

func TestBinaryMessageOfOnePart(t *testing.T) {
	octets := strings.Repeat("\x00\r\n--x\n", 100)
	out := encodeBinary(t, []byte("Content-Transfer-Encoding: binary\r\n\r\n"+octets), func() int { return 3 }, true)
	head, body, _ := strings.Cut(string(out), "\r\n\r\n")
	got, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, strings.NewReader(body)))
	if head != "Content-Transfer-Encoding: base64" || err != nil || string(got) != octets {
		t.Errorf("head %q, body %q, %v", head, got, err)
	}
}

// FuzzBinaryEncoder checks that pieces make no difference, and that a message
// without binary parts passes unchanged.
func TestBinaryMessageInADigest(t *testing.T) {
	digest := func(encoding, text string) string {
		return "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n" +
			"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + text + "\r\n--b--\r\n"
	}
	if got, want := string(encodeBinary(t, []byte(digest("binary", "\x00\x01\xff")), whole, true)), digest("base64", "AAH/"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzBinaryEncoder(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n--b\r\n--b--\r\n"), uint64(1))
	f.Add([]byte("Content-Transfer-Encoding: binary\r\n\r\n\x00"), uint64(2))
	f.Add([]byte("Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nx"), uint64(3))
	f.Add([]byte("Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n--b\r\nA:\r\n--b--"), uint64(4))
	f.Add([]byte("Content-Transfer-Encoding: bin\rary"), uint64(5))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		for _, endLine := range []bool{false, true} {
			want := encodeBinary(t, in, whole, endLine)
			got := encodeBinary(t, in, func() int { return r.IntN(9) }, endLine)
			if !bytes.Equal(got, want) {
				t.Fatalf("in pieces %q\nwhole     %q", got, want)
			}
			if bytes.Contains(bytes.ToLower(unfold(in)), []byte("binary")) {
				continue
			}
			if rest, same := bytes.CutPrefix(got, bytes.TrimSuffix(in, []byte("\r"))); !same || endLine && len(rest) > 2 || !endLine && !bytes.Equal(got, in) {
				t.Fatalf("%q was changed to %q", in, got)
			}
		}
	})
}

// BenchmarkBinaryEncoder looks for inputs that cost more than their length.
func BenchmarkBinaryEncoder(b *testing.B) {
	deep := new(bytes.Buffer)
	for range 2 * maxBoundaries {
		deep.WriteString("Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 60) + "\r\n\r\n--" + strings.Repeat("b", 60) + "\r\n")
	}
	for _, c := range []struct{ name, in string }{
		{"binary part", "Content-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("\x00\x01\x02\xff", 1<<18)},
		{"many delimiters", "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n", 1<<18)},
		{"deep, and lines that look like delimiters", deep.String() + "Content-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("\r\n--bbbbbbbbbbb", 1<<16)},
		{"a long header line", strings.Repeat("x", 1<<20)},
		{"nested messages", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1<<15)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.in)))
			for b.Loop() {
				enc := &BinaryEncoder{Emit: func([]byte) {}}
				for in := []byte(c.in); len(in) > 0; {
					n := min(len(in), 64<<10)
					if _, err := enc.Write(in[:n]); err != nil {
						b.Fatal(err)
					}
					in = in[n:]
				}
				enc.Close(true)
			}
		})
	}
}

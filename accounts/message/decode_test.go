package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func decodeAll(t testing.TB, text, encoding string) string {
	t.Helper()
	b, err := io.ReadAll(Decode(strings.NewReader(text), encoding))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ encoding, text, want string }{
		{"BASE64", "aGVsbG8=", "hello"},
		{"base64", "aGVs\r\nbG8=\r\n", "hello"},
		{"base64", "aGVsbG8", "hello"},
		{"base64", "aGVsbG8=aGVsbG8=", "hellohello"},
		{"base64", "a G*V\x00sbG8==", "hello"},
		{"base64", "a", ""},
		{"base64", "====", ""},
		{"quoted-printable", "a=3Db=\r\nc", "a=bc"},
		{"quoted-printable", "a=3db=\nc", "a=bc"},
		{"quoted-printable", "a = b =  \r\nc", "a = b c"},
		{"quoted-printable", "a  \t\r\nb ", "a\r\nb"},
		{"quoted-printable", "=XX=3=", "=XX=3"},
		{"quoted-printable", "==3D=\r=41", "===\r=41"[:2] + "=\rA"},
		{"quoted-printable", "=4", "=4"},
		{"quoted-printable", "= x", "= x"},
		{"quoted-printable", "=", ""},
		{"7bit", "as=20is", "as=20is"},
		{"x-odd", "as is", "as is"},
	} {
		if got := decodeAll(t, c.text, c.encoding); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.encoding, c.text, got, c.want)
		}
		if b, err := io.ReadAll(Decode(iotest.OneByteReader(strings.NewReader(c.text)), c.encoding)); err != nil || string(b) != c.want {
			t.Errorf("%s %q byte by byte: %q %v", c.encoding, c.text, b, err)
		}
	}
	for _, e := range []string{"", "7BIT", "8bit", "binary", "base64", "Quoted-Printable"} {
		if !KnownEncoding(e) {
			t.Errorf("%q is not known", e)
		}
	}
	if KnownEncoding("x-odd") {
		t.Error("x-odd is known")
	}
}

func TestDecodePassesReadErrors(t *testing.T) {
	for _, e := range []string{"base64", "quoted-printable"} {
		if _, err := io.ReadAll(Decode(iotest.ErrReader(io.ErrUnexpectedEOF), e)); err != io.ErrUnexpectedEOF {
			t.Errorf("%s: %v", e, err)
		}
		if _, err := io.ReadAll(Decode(silent{}, e)); err != io.ErrNoProgress {
			t.Errorf("%s: %v", e, err)
		}
	}
	if err := iotest.TestReader(Decode(strings.NewReader("aGVsbG8="), "base64"), []byte("hello")); err != nil {
		t.Error(err)
	}
}

// FuzzDecode encodes text with the standard library's encoders and expects it back, and
// feeds the text itself to the decoders.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("hello = world \r\n\tand more\r\n"))
	f.Add([]byte("=\r\r=3=3D\r\n  =  \r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := decodeAll(t, base64.StdEncoding.EncodeToString(b), "base64"); got != string(b) {
			t.Errorf("base64: %q", got)
		}
		var q bytes.Buffer
		w := quotedprintable.NewWriter(&q)
		w.Binary = true
		if _, err := w.Write(b); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if got := decodeAll(t, q.String(), "quoted-printable"); got != string(b) {
			t.Errorf("quoted-printable %q: %q", q.String(), got)
		}
		for _, e := range []string{"base64", "quoted-printable"} {
			if got := decodeAll(t, string(b), e); len(got) > len(b) {
				t.Errorf("%s grew: %q", e, got)
			}
		}
	})
}

func TestCharsets(t *testing.T) {
	for _, c := range []struct{ charset, text, want string }{
		{"utf-8", "ä漢", "ä漢"},
		{"UTF8", "a\xe4b", "aäb"},
		{"us-ascii", "\x93quoted\x94", "“quoted”"},
		{"", "ä\xe4", "ää"},
		{"utf-8", "cut \xe6\xbc", "cut æ¼"},
		{"iso-8859-1", "\xe4\x80", "ä€"},
		{"ISO-8859-15", "\xa4", "€"},
		{"windows-1251", "\xcf\xf0\xe8", "При"},
		{"koi8-r", "\xf0\xf2\xe9", "ПРИ"},
		{"iso-2022-jp", "\x1b$B4A;z\x1b(B", "漢字"},
		{"gb2312", "\xba\xba", "汉"},
		{"big5", "\xba\x7e", "漢"},
		{"ks_c_5601-1987", "\xc7\xd1", "한"},
		{"cp437", "\x84", "ä"},
		{"iso-2022-kr", "x", "x"},
		{"x-nobody-knows", "\xe4", "ä"},
		{` "utf-8" `, "ä", "ä"},
	} {
		b, err := io.ReadAll(ToUTF8(iotest.OneByteReader(strings.NewReader(c.text)), c.charset))
		if err != nil || string(b) != c.want {
			t.Errorf("%s %q: %q %v, want %q", c.charset, c.text, b, err, c.want)
		}
		if got := toUTF8([]byte(c.text), c.charset); got != c.want {
			t.Errorf("%s %q at once: %q, want %q", c.charset, c.text, got, c.want)
		}
	}
}

func FuzzToUTF8(f *testing.F) {
	f.Add([]byte("ä\xe4漢"), "utf-8")
	f.Add([]byte("\x1b$B4A;z"), "iso-2022-jp")
	f.Add([]byte("+AOQ-"), "utf-7")
	f.Fuzz(func(t *testing.T, b []byte, charset string) {
		got, err := io.ReadAll(ToUTF8(bytes.NewReader(b), charset))
		if err != nil || !utf8.Valid(got) {
			t.Errorf("%q in %q: %q %v", b, charset, got, err)
		}
		if s := toUTF8(b, charset); !utf8.ValidString(s) {
			t.Errorf("%q in %q at once: %q", b, charset, s)
		}
	})
}

func TestDecodeHeader(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"plain", "plain"},
		{" a\r\n b\tc ", "a b c"},
		{"=?utf-8?Q?=C3=A4_b?=", "ä b"},
		{"=?UTF-8?B?w6Q=?=", "ä"},
		{"=?UTF-8?B?w6Q?=", "ä"},
		{"a =?utf-8?q?b?= c", "a b c"},
		{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"},
		{"=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"},
		{"=?utf-8?b?w6?= =?utf-8?b?Q=?=", "\u00c3"},
		{"=?iso-8859-1?q?=E4?= =?utf-8?q?=C3=A4?=", "ää"},
		{"=?iso-8859-1*de?q?=E4?=", "ä"},
		{"=?utf-8?q?with blank?=", "with blank"},
		{"=?utf-8?q?a?b?=", "a?b"},
		{"(=?utf-8?q?a?=)", "(a)"},
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
		{"=?utf-8?q?open", "=?utf-8?q?open"},
		{"=??q?a?=", "=??q?a?="},
		{"=?", "=?"},
		{"=?a?", "=?a?"},
		{"=?utf-8?q?a\r\n b?=", "a b"},
		{"=?utf-8?q?=0D=0AX:_y?=", "X: y"},
		{"=?utf-8?q?=zz=4?=", "=zz=4"},
		{"raw \xe4", "raw ä"},
		{"raw ä", "raw ä"},
		{"bell\x07", "bell"},
	} {
		if got := DecodeHeader([]byte(c.value)); got != c.want {
			t.Errorf("%q: %q, want %q", c.value, got, c.want)
		}
	}
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add([]byte("=?utf-8?Q?=C3=A4_b?= =?koi8-r*ru?B?w6Q=?="))
	f.Add([]byte("=?a?q?=?a?b?"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := DecodeHeader(b)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("%q: %q", b, got)
		}
	})
}

package addtext

import (
	"io"
	"mime"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts/message"
)

// apply returns a message with the text below.
func apply(t testing.TB, msg string, text Text) string {
	edits, err := Below(strings.NewReader(msg), int64(len(msg)), text)
	if err != nil {
		t.Fatal(err)
	}
	out := []byte(msg)
	for at, e := range slices.Backward(edits) {
		if at > 0 && edits[at-1].At+edits[at-1].Remove > e.At {
			t.Fatalf("edits overlap: %+v", edits)
		}
		out = slices.Replace(out, int(e.At), int(e.At+e.Remove), e.Text...)
	}
	return string(out)
}

var latin = Text{Plain: "-- \nExample Ltd.\n", HTML: "<p>Example Ltd.</p>"}
var cyrillic = Text{Plain: "Фирма №1", HTML: "<p>Фирма №1</p>"}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestBelow(t *testing.T) {
	for name, c := range map[string]struct {
		text      Text
		msg, want string // want is "" for a message that stays
	}{
		"no MIME": {latin, "From: a\n\nHello\n", "From: a\n\nHello\n-- \nExample Ltd.\n"},
		"no MIME, other letters": {cyrillic, "From: a\n\n1+1=2\n",
			"From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n1+1=3D2\n=D0=A4=D0=B8=D1=80=D0=BC=D0=B0 =E2=84=961\n"},
		"no text":         {Text{}, "From: a\n\nHello\n", ""},
		"no body":         {latin, "From: a\n", ""},
		"empty body":      {latin, "From: a\n\n", "From: a\n\n-- \nExample Ltd.\n"},
		"no end of line":  {latin, "From: a\n\nHello", "From: a\n\nHello\n-- \nExample Ltd.\n"},
		"added before":    {latin, "From: a\n\nHello\n-- \nExample Ltd.\n", ""},
		"quoted in reply": {latin, "From: a\n\nyes\n> -- \n> Example Ltd.\n", "From: a\n\nyes\n> -- \n> Example Ltd.\n-- \nExample Ltd.\n"},
		"charset kept, parameters kept": {cyrillic, "MIME-Version: 1.0\nContent-Type: text/plain;\n charset=US-ASCII; format=flowed\nX: y\n\nHello\n",
			"MIME-Version: 1.0\nX: y\nContent-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: quoted-printable\n\nHello\n=D0=A4=D0=B8=D1=80=D0=BC=D0=B0 =E2=84=961\n"},
		"8-bit charset": {cyrillic, "Content-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xf0\xd2\n",
			"Content-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xf0\xd2\n\xe6\xc9\xd2\xcd\xc1 ?1\n"},
		"8-bit charset in 7bit": {Text{Plain: "é"}, "Content-Type: text/plain; charset=iso-8859-1\n\nHi\n",
			"Content-Type: text/plain; charset=iso-8859-1\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\nHi\n=E9\n"},
		"html, references": {cyrillic, "Content-Type: text/html; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n<html><BODY>Hi</BODY></html>\n",
			"Content-Type: text/html; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n<html><BODY>Hi<p>\xe6\xc9\xd2\xcd\xc1 &#8470;1</p>\n</BODY></html>\n"},
		"ISO-2022-JP":        {Text{Plain: "日本"}, "Content-Type: text/plain; charset=iso-2022-jp\n\nHi\n", "Content-Type: text/plain; charset=iso-2022-jp\n\nHi\n\x1b$BF|K\\\x1b(B\n"},
		"unknown 8-bit text": {cyrillic, "Content-Transfer-Encoding: 8bit\n\n\xf0\xd2\n", ""},
		"unknown charset":    {latin, "Content-Type: text/plain; charset=x-none\n\nHi\n", ""},
		"UTF-16":             {latin, "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nAEgAaQ==\n", ""},
		"unknown encoding":   {latin, "Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\nHi\n", ""},
		"base64": {latin, "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n",
			"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nSGVsbG8NCi0tIA0KRXhhbXBsZSBMdGQuDQo=\n"},
		"quoted-printable with a soft line end": {latin, "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nHel=\nlo=\n",
			"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nHello\n--=20\nExample Ltd.\n"},
		"alternative": {latin, "Content-Type: multipart/alternative; boundary=b\n\n--b\n\nHi\n--b\nContent-Type: text/html\n\n<body>Hi</body>\n--b\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n--b--\n",
			"Content-Type: multipart/alternative; boundary=b\n\n--b\n\nHi\n-- \nExample Ltd.\n--b\nContent-Type: text/html\n\n<body>Hi<p>Example Ltd.</p>\n</body>\n--b\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n--b--\n"},
		"mixed with an alternative, its header in a part": {cyrillic, "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nHi\n--b--\n--a\nContent-Type: text/plain\n\nother\n--a--\n",
			"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nHi\n=D0=A4=D0=B8=D1=80=D0=BC=D0=B0 =E2=84=961\n--b--\n--a\nContent-Type: text/plain\n\nother\n--a--\n"},
		"attachment first": {latin, "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Disposition: attachment\n\nlog\n--a\n\nHi\n--a--\n",
			"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Disposition: attachment\n\nlog\n--a\n\nHi\n-- \nExample Ltd.\n--a--\n"},
		"related": {latin, "Content-Type: multipart/related; boundary=a\n\n--a\nContent-Type: text/html\n\nHi\n--a\nContent-Type: text/html\n\nframe\n--a--\n",
			"Content-Type: multipart/related; boundary=a\n\n--a\nContent-Type: text/html\n\nHi\n<p>Example Ltd.</p>\n--a\nContent-Type: text/html\n\nframe\n--a--\n"},
		"only an attached message": {latin, "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\nFrom: b\n\nHi\n--a--\n", ""},
		"html without a text":      {Text{Plain: "x"}, "Content-Type: text/html\n\nHi\n", ""},
		"signed":                   {latin, "Content-Type: multipart/signed; boundary=a\n\n--a\n\nHi\n--a\nContent-Type: application/pgp-signature\n\nx\n--a--\n", ""},
		"signed below a list":      {latin, "Content-Type: multipart/mixed; boundary=l\n\n--l\n\nHi\n--l\nContent-Type: multipart/signed; boundary=a\n\n--a\n\nHi\n--a--\n--l--\n", ""},
		"encrypted":                {latin, "Content-Type: multipart/encrypted; boundary=a\n\n--a\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--a--\n", ""},
		"PKCS7":                    {latin, "Content-Type: application/pkcs7-mime; smime-type=signed-data\nContent-Transfer-Encoding: base64\n\nAAAA\n", ""},
		"inline PGP":               {latin, "From: a\n\nsee\n-----BEGIN PGP SIGNED MESSAGE-----\nHi\n", ""},
		"calendar alone":           {latin, "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n", ""},
		"report":                   {latin, "Content-Type: multipart/report; boundary=a\n\n--a\n\nHi\n--a--\n", ""},
		"no boundary":              {latin, "Content-Type: multipart/mixed\n\nHi\n", "Content-Type: multipart/mixed\n\nHi\n-- \nExample Ltd.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.msg
			}
			got := apply(t, crlf(c.msg), c.text)
			if got != crlf(c.want) {
				t.Errorf("got\n%q\nwant\n%q", got, crlf(c.want))
			}
			if again := apply(t, got, c.text); again != got && !strings.Contains(got, "?1") && !strings.Contains(got, "&#") {
				t.Errorf("added again: %q", again)
			}
		})
	}
}

// A part that is too large stays, and what is read is bounded.
func TestLargePartStays(t *testing.T) {
	msg := "From: a\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", maxBody/72+1)
	if got := apply(t, msg, latin); got != msg {
		t.Error("it has the text")
	}
}

// FuzzBelow: the parts of a message stay as many and of the same types, and no input makes edits outside of it.
func FuzzBelow(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nHi\r\n--a--\r\n")
	f.Add("Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA=\r\n")
	f.Fuzz(func(t *testing.T, msg string) {
		if strings.Contains(strings.ReplaceAll(msg, "\r\n", ""), "\n") {
			t.Skip() // messages have CRLF
		}
		got := apply(t, msg, cyrillic)
		if a, b := types(t, msg), types(t, got); a != b {
			t.Errorf("%q\n%s\n%q\n%s", msg, a, got, b)
		}
	})
}

func types(t *testing.T, msg string) string {
	sum, err := message.Scan(strings.NewReader(msg), message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var walk func(p *message.Part)
	walk = func(p *message.Part) {
		io.WriteString(&b, "("+mime.QEncoding.Encode("utf-8", p.Type+"/"+p.Subtype))
		for _, c := range p.Children {
			walk(c)
		}
		b.WriteString(")")
	}
	walk(sum.Root)
	return b.String()
}

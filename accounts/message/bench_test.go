package message

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// ordinary returns a message of about 4 KB with the header that mail has today.
func ordinary() []byte {
	var b strings.Builder
	b.WriteString("Return-Path: <alice@example.com>\r\n" +
		"Received: from client.example.com (client.example.com [192.0.2.10])\r\n\tby mail.example.com with ESMTPS id 100234;\r\n\tTue, 03 Mar 2026 10:42:11 +0100\r\n" +
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=x;\r\n\tb=" + strings.Repeat("QUJDREVGR0g", 30) + "\r\n" +
		"From: Alice Example <alice@example.com>\r\nTo: Bob Example <bob@example.com>, carol@example.org\r\n" +
		"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from here\r\nDate: Tue, 3 Mar 2026 10:42:10 +0100\r\n" +
		"Message-ID: <one@example.com>\r\nIn-Reply-To: <zero@example.org>\r\nReferences: <zero@example.org>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	for i := 0; b.Len() < 4096; i++ {
		fmt.Fprintf(&b, "This is line %d of an ordinary message, as long as people write.\r\n", i)
	}
	return []byte(b.String())
}

func alternative() []byte {
	var b strings.Builder
	b.WriteString("From: Alice Example <alice@example.com>\r\nTo: bob@example.com\r\nSubject: news\r\nDate: Tue, 3 Mar 2026 10:42:10 +0100\r\n" +
		"Message-ID: <two@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"=_abc\"\r\n\r\n" +
		"--=_abc\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	b.WriteString(strings.Repeat("Some words of a newsletter =E2=80=93 in a line of seventy letters\r\n", 20))
	b.WriteString("--=_abc\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	b.WriteString(strings.Repeat("<p class=3D\"x\">Some words of a newsletter in a line of letters</p>\r\n", 30))
	b.WriteString("--=_abc--\r\n")
	return []byte(b.String())
}

func benchmarkScan(b *testing.B, m []byte) {
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	r := bytes.NewReader(m)
	for b.Loop() {
		r.Reset(m)
		if _, err := Scan(r, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanOrdinary(b *testing.B)    { benchmarkScan(b, ordinary()) }
func BenchmarkScanAlternative(b *testing.B) { benchmarkScan(b, alternative()) }

func BenchmarkScanLarge(b *testing.B) {
	head := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	benchmarkScan(b, []byte(head+strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 200000)+"--b--\r\n"))
}

func BenchmarkScanShortLines(b *testing.B) {
	benchmarkScan(b, []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"+strings.Repeat("--\r\n", 1<<20)))
}

func BenchmarkScanDashesBelowManyMultiparts(b *testing.B) {
	benchmarkScan(b, append(nested(99), strings.Repeat("--xx\r\n", 1<<20)...))
}

func BenchmarkMarshal(b *testing.B) {
	s := scan(b, ordinary())
	b.ReportAllocs()
	for b.Loop() {
		s.Marshal()
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	m := scan(b, ordinary()).Marshal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unmarshal(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendBodyStructure(b *testing.B) {
	s := scan(b, alternative())
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBodyStructure(buf[:0], s.Root, Extended)
	}
}

func benchmarkDecode(b *testing.B, encoding, line string) {
	text := []byte(strings.Repeat(line, 10000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, Decode(bytes.NewReader(text), encoding)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBase64(b *testing.B) {
	benchmarkDecode(b, "base64", strings.Repeat("QUJD", 19)+"\r\n")
}
func BenchmarkDecodeQuoted(b *testing.B) {
	benchmarkDecode(b, "quoted-printable", "Some words =E2=80=93 in a line of about seventy letters, more or less=\r\n")
}

func BenchmarkToUTF8(b *testing.B) {
	text := []byte(strings.Repeat("Some words – in a line of about seventy letters, more or less, mostly ASCII\r\n", 1000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, ToUTF8(bytes.NewReader(text), "utf-8")); err != nil {
			b.Fatal(err)
		}
	}
}

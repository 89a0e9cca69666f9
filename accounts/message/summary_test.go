package message

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func path(s string) []int {
	var p []int
	for _, n := range strings.FieldsFunc(s, func(r rune) bool { return r == '.' }) {
		i, _ := strconv.Atoi(n)
		p = append(p, i)
	}
	return p
}

// TestPartNumbers follows the numbering of RFC 9051 section 6.4.5.1.
func TestPartNumbers(t *testing.T) {
	all := corpus(t)
	for _, c := range []struct{ message, path, want string }{
		{"plain", "", "text/plain"},
		{"plain", "1", "text/plain"},
		{"plain", "2", ""},
		{"plain", "1.1", ""},
		{"plain", "0", ""},
		{"attachment", "", "multipart/mixed"},
		{"attachment", "1", "multipart/related"},
		{"attachment", "1.2", "image/png"},
		{"attachment", "1.2.1", ""},
		{"attachment", "1.3", ""},
		{"attachment", "3", "application/octet-stream"},
		{"forwarded", "2", "message/rfc822"},
		{"forwarded", "2.1", "text/plain"},
		{"forwarded", "2.2", "message/rfc822"},
		{"forwarded", "2.2.1", "text/plain"},
		{"forwarded", "2.2.2", ""},
		{"forwarded", "2.2.1.1", ""},
		{"forwarded", "2.3", ""},
		{"onemessage", "1", "message/rfc822"},
		{"onemessage", "1.1", "text/plain"},
		{"onemessage", "1.1.1", ""},
	} {
		p, ok := scan(t, all[c.message]).Part(path(c.path))
		got := ""
		if ok {
			got = p.Type + "/" + p.Subtype
		}
		if got != c.want {
			t.Errorf("%s %s: %q, want %q", c.message, c.path, got, c.want)
		}
	}
}

func TestSections(t *testing.T) {
	all := corpus(t)
	for _, c := range []struct {
		message, path string
		section       Section
		want          string
	}{
		{"onemessage", "", Whole, string(all["onemessage"])},
		{"onemessage", "", Header, "From: f@example.com\r\nSubject: bare forward\r\nContent-Type: message/rfc822\r\n\r\n"},
		{"onemessage", "", Text, "From: g@example.com\r\nSubject: inside\r\nContent-Type: text/plain\r\n\r\ninside text\r\n"},
		{"onemessage", "", MIME, "none"},
		{"onemessage", "1", Whole, "From: g@example.com\r\nSubject: inside\r\nContent-Type: text/plain\r\n\r\ninside text\r\n"},
		{"onemessage", "1", Header, "From: g@example.com\r\nSubject: inside\r\nContent-Type: text/plain\r\n\r\n"},
		{"onemessage", "1", Text, "inside text\r\n"},
		{"onemessage", "1.1", Whole, "inside text\r\n"},
		{"onemessage", "1.1", Header, "none"},
		{"onemessage", "1.1", Text, "none"},
		{"onemessage", "2", Whole, "none"},
		{"attachment", "1.2", MIME, "Content-Type: image/png; name=\"logo.png\"\r\nContent-ID: <logo@example.com>\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: inline; filename=logo.png\r\n\r\n"},
		{"attachment", "1.2", Whole, "iVBORw0KGgo="},
		{"forwarded", "2.2", Text, "deepest\r\ntwo lines"},
	} {
		span, ok := scan(t, all[c.message]).Section(path(c.path), c.section)
		got := "none"
		if ok {
			got = string(all[c.message][span.Start:span.End])
		}
		if got != c.want {
			t.Errorf("%s %q section %d: %q, want %q", c.message, c.path, c.section, got, c.want)
		}
	}
}

func TestHeaderFieldsKeepOrderAndFolding(t *testing.T) {
	const header = "A: 1\r\nSubject: x\r\n y\r\n\tz\r\nno field\r\nb : 2\r\na:3\r\nAB: 4\r\n\r\nBody: no\r\n"
	for _, c := range []struct {
		names string
		not   bool
		want  string
	}{
		{"a", false, "A: 1\r\na:3\r\n\r\n"},
		{"SUBJECT b", false, "Subject: x\r\n y\r\n\tz\r\nb : 2\r\n\r\n"},
		{"body", false, "\r\n"},
		{"", false, "\r\n"},
		{"a subject", true, "no field\r\nb : 2\r\nAB: 4\r\n\r\n"},
		{"", true, "A: 1\r\nSubject: x\r\n y\r\n\tz\r\nno field\r\nb : 2\r\na:3\r\nAB: 4\r\n\r\n"},
	} {
		if got := AppendHeaderFields(nil, []byte(header), NewFieldNames(strings.Fields(c.names)), c.not); string(got) != c.want {
			t.Errorf("%q %v: %q, want %q", c.names, c.not, got, c.want)
		}
	}
	// A header without an empty line gets none (RFC 9051 section 6.4.5.1).
	if got := AppendHeaderFields(nil, []byte("A: cut off"), NewFieldNames([]string{"a"}), false); string(got) != "A: cut off\r\n" {
		t.Errorf("cut off: %q", got)
	}
	if got := AppendHeaderFields(nil, []byte("A: 1\r\n"), NewFieldNames([]string{"b"}), false); len(got) != 0 {
		t.Errorf("none of the fields: %q", got)
	}
}

// TestManyFieldsAndNamesAreNotMultiplied: to compare each of many fields with each of many names takes
// a quarter of a minute.
func TestManyFieldsAndNamesAreNotMultiplied(t *testing.T) {
	var names []string
	for i := range 20_000 {
		names = append(names, fmt.Sprintf("%05d", i))
	}
	header := []byte(strings.Repeat("99999:\r\n", MaxHeader/8))
	began := time.Now()
	got := AppendHeaderFields(nil, header, NewFieldNames(names), false)
	if d := time.Since(began); len(got) != 0 || d > 5*time.Second {
		t.Errorf("%d bytes after %v", len(got), d)
	}
}

func TestCachedKnowsTheListedFields(t *testing.T) {
	if !Cached(CachedFields[:]) || !Cached([]string{"FROM", "list-id"}) || !Cached(nil) {
		t.Error("a listed field is not cached")
	}
	for _, name := range []string{"X-Spam", "Content-Transfer-Encoding", "", strings.Repeat("x", 100)} {
		if Cached([]string{"From", name}) {
			t.Errorf("%q is not listed", name)
		}
	}
}

func TestFilenames(t *testing.T) {
	for _, c := range []struct{ fields, want string }{
		{`Content-Disposition: attachment; filename="a b.txt"`, "a b.txt"},
		{`Content-Disposition: attachment; filename=a b.txt`, "a b.txt"},
		{`Content-Disposition: attachment; filename="=?utf-8?B?w6QudHh0?="`, "ä.txt"},
		{`Content-Disposition: attachment; filename*=utf-8'de'%C3%A4.txt`, "ä.txt"},
		{`Content-Disposition: attachment; filename*=iso-8859-1''%E4%zz.txt`, "ä%zz.txt"},
		{`Content-Disposition: attachment; filename=old.txt; filename*=utf-8''new.txt`, "new.txt"},
		{`Content-Disposition: attachment; filename*1="b.txt"; filename*0="a"`, "ab.txt"},
		{`Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%A4; filename*2=.txt`, "ä.txt"},
		{`Content-Disposition: attachment; filename*x=a; filename*-1=b`, ""},
		{`Content-Disposition: attachment; filename*=plain`, "plain"},
		{`Content-Disposition: attachment; filename="a\"b"`, `a"b`},
		{`Content-Type: text/plain; name=n.txt`, "n.txt"},
		{"Content-Disposition: attachment; filename=\"two\r\n lines\"", "two lines"},
		{"Content-Disposition: attachment; filename*=utf-8''a%0d%0ab", "a  b"},
		{`Content-Disposition: attachment`, ""},
	} {
		if got := scan(t, []byte(c.fields+"\r\n\r\n")).Root.Filename(); got != c.want {
			t.Errorf("%s: %q, want %q", c.fields, got, c.want)
		}
	}
}

func TestAttachments(t *testing.T) {
	for _, c := range []struct {
		fields string
		want   bool
	}{
		{"X: y", false},
		{"Content-Disposition: attachment", true},
		{"Content-Type: text/csv; name=a.csv", true},
		{"Content-Type: text/plain; name=a.txt\r\nContent-Disposition: inline", false},
		{"Content-Type: text/calendar; name=a.ics", false},
		{"Content-Type: image/png", true},
		{"Content-Type: image/png\r\nContent-ID: <a@b>", false},
		{"Content-Type: application/pgp-signature; name=a.asc\r\nContent-Disposition: attachment", false},
		{"Content-Type: message/delivery-status", false},
		{"Content-Type: message/rfc822", true},
		{"Content-Type: audio/ogg", true},
	} {
		if got := scan(t, []byte(c.fields+"\r\n\r\n")).HasMedia; got != c.want {
			t.Errorf("%s: %v", c.fields, got)
		}
	}
}

func TestContentTypes(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"text/html; charset=utf-8", `"text" "html" ("charset" "utf-8")`},
		{" TEXT / HTML (comment) ; Charset = \"a;b\" ; x=y", `"text" "html" ("charset" "a;b" "x" "y")`},
		{"(c) text/(c)html", `"text" "html" NIL`},
		{"text/plain", `"text" "plain" ("charset" "us-ascii")`},
		{"text/plain; format=flowed", `"text" "plain" ("format" "flowed")`},
		{"text", `"text" "plain" ("charset" "us-ascii")`},
		{"/html", `"text" "plain" ("charset" "us-ascii")`},
		{"text/", `"text" "plain" ("charset" "us-ascii")`},
		{"", `"text" "plain" ("charset" "us-ascii")`},
		{"multipart/mixed", `"text" "plain" ("charset" "us-ascii")`},
		{"multipart/mixed; boundary=\"\"", `"text" "plain" ("charset" "us-ascii")`},
		{"image/png; name=a; ; b; =c; d=; e=\"f", `"image" "png" ("name" "a" "d" "" "e" "f")`},
		{"image/png; a=1 (comment \\", `"image" "png" ("a" "1")`},
		{"image/png; a=\"\\\"\\\\\"", `"image" "png" ("a" "\"\\")`},
		{"image/png;\r\n\ta=b\r\n c", `"image" "png" ("a" "b c")`},
		{"image/png; a=\"\xe4\"", "\"image\" \"png\" (\"a\" {1}\r\n\xe4)"},
		{"image/png; a=\"x\x00y\"", `"image" "png" ("a" "xy")`},
	} {
		got := string(AppendBodyStructure(nil, scan(t, []byte("Content-Type: "+c.value+"\r\n\r\n")).Root, 0))
		got = got[1:strings.LastIndex(got, ` NIL NIL "7bit"`)]
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.value, got, c.want)
		}
	}
}

func TestEncodingFieldReadsOneToken(t *testing.T) {
	for value, want := range map[string]string{
		"Base64": "base64", " quoted-printable (c)": "quoted-printable", "": "7bit", "8bit;": "8bit", "x-odd": "x-odd", "@": "7bit",
	} {
		if got := scan(t, []byte("Content-Transfer-Encoding: "+value+"\r\n\r\n")).Root.Encoding; got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestEnvelopeAddresses(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"a@b.example", `(NIL NIL "a" "b.example")`},
		{"<a@b.example>", `(NIL NIL "a" "b.example")`},
		{"A B <a@b>", `("A B" NIL "a" "b")`},
		{"A Q. B <a@b>", `("A Q. B" NIL "a" "b")`},
		{`"A, B" <a@b>`, `("A, B" NIL "a" "b")`},
		{`"A" B"C" <a@b>`, `("A BC" NIL "a" "b")`},
		{"A\r\n B <a@b>", `("A B" NIL "a" "b")`},
		{"a@b (Name)", `("Name" NIL "a" "b")`},
		{"a@b (Na(me)\\))", `("Na(me))" NIL "a" "b")`},
		{"(x) a@b (y)", `("x" NIL "a" "b")`},
		{"a@b (open", `("open" NIL "a" "b")`},
		{"a@b (open\\", `("open" NIL "a" "b")`},
		{"a (c) @ (d) b", `("c" NIL "a" "b")`},
		{`"a b"@c`, `(NIL NIL "a b" "c")`},
		{`<"a@b"@c>`, `(NIL NIL "a@b" "c")`},
		{"<a@b@c>", `(NIL NIL "a@b" "c")`},
		{"<@r,@s:a@b>", `(NIL "@r,@s" "a" "b")`},
		{"<@b>", `(NIL NIL "" "b")`},
		{"<a>", `(NIL NIL "a" "")`},
		{"<>", ""},
		{"Name <>", `("Name" NIL "" "")`},
		{"root", `(NIL NIL "root" "")`},
		{"two words", `("two words" NIL "" "")`},
		{"A B a@b", `("A B" NIL "a" "b")`},
		{"a@b c@d", `(NIL NIL "a" "b")(NIL NIL "c" "d")`},
		{`a@b "c"@d`, `(NIL NIL "a" "b")(NIL NIL "c" "d")`},
		{"A <a@b> <c@d>", `("A" NIL "a" "b")(NIL NIL "c" "d")`},
		{"<a@b> c@d", `(NIL NIL "a" "b")(NIL NIL "c" "d")`},
		{"a@b@c", `(NIL NIL "a@b" "c")`},
		{"a@b <a@b>", `("a@b" NIL "a" "b")`},
		{"A a@b B <c@d>", `("A a@b B" NIL "c" "d")`},
		// Obsolete forms (RFC 5322 section 4.4).
		{"a@b . example", `(NIL NIL "a" "b.example")`},
		{"a@b. example", `(NIL NIL "a" "b.example")`},
		{"a@b .example (Name)", `("Name" NIL "a" "b.example")`},
		{"A <a@b\r\n . (c) example>", `("A" NIL "a" "b.example")`},
		{"<a (c)@ (c) b (c). (c) example (c)>", `(NIL NIL "a" "b.example")`},
		{"<a@b example>", `(NIL NIL "a" "b")`},
		{"a@b. , c@d", `(NIL NIL "a" "b.")(NIL NIL "c" "d")`},
		{"a . b@c", `(NIL NIL "a.b" "c")`},
		{`"a a" . (c) b .c@d`, `("c" NIL "a a.b.c" "d")`},
		{"A . B a@b", `("A . B" NIL "a" "b")`},
		{`"" . a@b`, `(NIL NIL ".a" "b")`},
		{`""@b`, `(NIL NIL "" "b")`},
		{`a "" @b`, `("a" NIL "" "b")`},
		{"<a . b@c>", `(NIL NIL "a.b" "c")`},
		{"<@r (x), @s : a@b>", `(NIL "@r,@s" "a" "b")`},
		{"a@[192.\r\n 0.2.1]", `(NIL NIL "a" "[192.0.2.1]")`},
		{"a@[IPv6:2001:db8::1]", `(NIL NIL "a" "[IPv6:2001:db8::1]")`},
		{"a@[192.0.2.1]", `(NIL NIL "a" "[192.0.2.1]")`},
		{"a@[192", `(NIL NIL "a" "[192")`},
		{"A (B <a@b>", `("A" NIL "a" "b")`},
		{"A (B (C) <a@b>, (D) c@d", `("A" NIL "a" "b")("D" NIL "c" "d")`},
		{"(A <a@b>", `("A" NIL "a" "b")`},
		{`<"a@b>, c@d`, `(NIL NIL "a" "b")(NIL NIL "c" "d")`},
		{"A <a@b", `("A" NIL "a" "b")`},
		{"A <a@b, c@d", `("A" NIL "a" "b")(NIL NIL "c" "d")`},
		{"a@b; c@d", `(NIL NIL "a" "b")(NIL NIL "c" "d")`},
		{",, a@b,", `(NIL NIL "a" "b")`},
		{`"A <a@b>`, `("A" NIL "a" "b")`},
		{"G: a@b, C <c@d>;, e@f", `(NIL NIL "G" NIL)(NIL NIL "a" "b")("C" NIL "c" "d")(NIL NIL NIL NIL)(NIL NIL "e" "f")`},
		{"G:;", `(NIL NIL "G" NIL)(NIL NIL NIL NIL)`},
		{"G: a@b", `(NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)`},
		{"G: H: a@b; c@d", `(NIL NIL "G" NIL)("H" NIL "a" "b")(NIL NIL NIL NIL)(NIL NIL "c" "d")`},
		{"=?utf-8?Q?=C3=A4?= <a@b>", `("=?utf-8?Q?=C3=A4?=" NIL "a" "b")`},
		{"\xc3\xa4 <a@\xc3\xa4>", "({2}\r\n\xc3\xa4 NIL \"a\" {2}\r\n\xc3\xa4)"},
		{`"a\"b\\c" <a@b>`, `("a\"b\\c" NIL "a" "b")`},
		{"A\x00B <a@b>", `("AB" NIL "a" "b")`},
	} {
		got := string(scan(t, []byte("To: "+c.value+"\r\n\r\n")).Envelope)
		want := "(NIL NIL NIL NIL NIL (" + c.want + ") NIL NIL NIL NIL)"
		if c.want == "" {
			want = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
		}
		if got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.value, got, want)
		}
	}
}

func TestEnvelopeFields(t *testing.T) {
	for _, c := range []struct{ header, want string }{
		{"From: a@b\r\nFrom: c@d", `(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)`},
		{"From: a@b\r\nReply-To: \r\nSender: ,", `(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)`},
		{"To: a@b\r\nCc: x@y\r\nTo: c@d", `(NIL NIL NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) ((NIL NIL "x" "y")) NIL NIL NIL)`},
		{"Subject: a\r\n\tb\r\n  c \r\nSubject: d", "(NIL \"a\tb  c\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject: a\rb", `(NIL "ab" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject: " + strings.Repeat("x", 1001), "(NIL {1001}\r\n" + strings.Repeat("x", 1001) + " NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Date: \r\nSubject:\r\nIn-Reply-To:\r\n \r\nMessage-ID:\t\r\nTo:", `("" "" NIL NIL NIL NIL NIL NIL "" "")`},
		{"Subject:\r\nSubject: x", `(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Date: whenever\r\nMessage-ID: <a@b>\r\nIn-Reply-To: <c@d> <e@f>", `("whenever" NIL NIL NIL NIL NIL NIL NIL "<c@d> <e@f>" "<a@b>")`},
	} {
		if got := string(scan(t, []byte(c.header+"\r\n\r\n")).Envelope); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.header, got, c.want)
		}
	}
}

func TestBodyStructureJoinsPiecesOfParameters(t *testing.T) {
	for _, c := range []struct{ params, rev1, rev2 string }{
		{`a=b; name=x`, `("a" "b" "name" "x")`, ""},
		{`name*0=a; b=c; name*1=d`, `("name" "ad" "b" "c")`, ""},
		{`name*1="d"; name*0="a "`, `("name" "a d")`, ""},
		{`name*10=k; name*2=c; name*0=a; name*1=b`, `("name" "abck")`, ""},
		{`name*0=only`, `("name" "only")`, ""},
		{`name*=utf-8''%C3%A4`, `("name*" "utf-8''%C3%A4")`, "(\"name*\" {2}\r\n\u00e4)"},
		{`name*=iso-8859-1'de'%e4b`, `("name*" "iso-8859-1'de'%e4b")`, "(\"name*\" {3}\r\n\u00e4b)"},
		{`name*0*=iso-8859-1'de'%e4; name*1="b c%*'"`, `("name*" "iso-8859-1'de'%e4b%20c%25%2A%27")`, "(\"name*\" {8}\r\n\u00e4b c%*')"},
		{`name*0=a; name*1*=%20b`, `("name*" "''a%20b")`, `("name*" "a b")`},
		{`name=old; name*0*=utf-8''n; name*1*=ew`, `("name" "old" "name*" "utf-8''new")`, `("name" "old" "name*" "new")`},
		{`name*=broken`, `("name*" "broken")`, ""},
		{`name*x=a; *=b; name**=c`, `("name*x" "a" "*" "b" "name**" "c")`, ""},
	} {
		if c.rev2 == "" {
			c.rev2 = c.rev1
		}
		root := scan(t, []byte("Content-Type: application/pdf; "+c.params+"\r\nContent-Disposition: attachment; "+c.params+"\r\n\r\n")).Root
		for form, want := range map[StructureForm]string{0: c.rev1, Rev2: c.rev2} {
			want = `("application" "pdf" ` + want + ` NIL NIL "7bit" 0 NIL ("attachment" ` + want + `) NIL NIL)`
			if got := string(AppendBodyStructure(nil, root, Extended|form)); got != want {
				t.Errorf("%s, form %d:\ngot  %s\nwant %s", c.params, form, got, want)
			}
		}
	}
}

// IMAP4rev1 has no message/global with an envelope (RFC 3501 section 9), also not in a message or multipart.
func TestBodyStructureOfMessageGlobal(t *testing.T) {
	const global = "Content-Type: message/global\r\n\r\nSubject: x\r\n\r\nb\r\n"
	const leaf = `("message" "global" NIL NIL NIL "7bit" 17)`
	for _, c := range []struct{ text, want string }{
		{global, leaf},
		{"Content-Type: message/rfc822\r\n\r\n" + global, `("message" "rfc822" NIL NIL NIL "7bit" 49 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ` + leaf + ` 5)`},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + global + "\r\n--b--\r\n", `(` + leaf + ` "mixed")`},
	} {
		if got := string(AppendBodyStructure(nil, scan(t, []byte(c.text)).Root, 0)); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
	const want = `("message" "global" NIL NIL NIL "7bit" 17 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1) 3)`
	if got := string(AppendBodyStructure(nil, scan(t, []byte(global)).Root, Rev2)); got != want {
		t.Errorf("rev2:\ngot  %s\nwant %s", got, want)
	}
}

// An ENVELOPE has all addresses of a field that is looked at, as RFC 9051 section 7.5.2 knows no limit.
func TestEnvelopeHasAllAddresses(t *testing.T) {
	const n = 50_000
	many := "To: g:" + strings.Repeat("a@b,", n) + ";\r\nTo: c@d\r\n\r\n"
	got := string(scan(t, []byte(many)).Envelope)
	if found := strings.Count(got, `"b"`); found != n {
		t.Errorf("%d of %d addresses in the group", found, n)
	}
	if !strings.Contains(got, `(NIL NIL "a" "b")(NIL NIL NIL NIL)(NIL NIL "c" "d"))`) {
		t.Errorf("no end of the group: …%s", got[len(got)-100:])
	}
}

// Addresses gives what an ENVELOPE is made of.
func ExampleAddresses() {
	for a := range Addresses([]byte("A B <a@b.example>, G: (c) d @ e . example;")) {
		fmt.Printf("%d %q %q %q\n", a.Kind, a.Name, a.Local, a.Domain)
	}
	// Output:
	// 0 "A B" "a" "b.example"
	// 1 "G" "" ""
	// 0 "c" "d" "e.example"
	// 2 "" "" ""
}

// Damage in an address list costs no more than what is whole: to look for the end of each quote,
// comment or bracket in the rest of the list takes minutes.
func TestDamagedAddressListsTakeLinearTime(t *testing.T) {
	for _, piece := range []string{`"`, `"a`, "(", "(,", "((<", "a@[", "<a@[,", `<"`, "<", "a@(", "a@b (", `a "b" `, "a@b . ", "a@", "<@a", ":", "a (b) c@d "} {
		began := time.Now()
		n := 0
		for range Addresses([]byte(strings.Repeat(piece, MaxHeader/len(piece)))) {
			n++
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("%q: %d entries after %v", piece, n, d)
		}
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"Tue, 3 Mar 2026 10:42:10 +0100", "2026-03-03 10:42:10 +0100"},
		{"Tue,3 Mar 2026 10:42:10 +0100", "2026-03-03 10:42:10 +0100"},
		{"Tue 3 Mar 2026 10:42:10 +0100", "2026-03-03 10:42:10 +0100"},
		{"Tuesday, 3 March 2026 10:42:10 +0100", "2026-03-03 10:42:10 +0100"},
		{"03-Mar-2026 10:42 -0330", "2026-03-03 10:42:00 -0330"},
		{"3 Mar 26 10:42 EST", "2026-03-03 10:42:00 -0500"},
		{"3 Mar 99 10:42 PDT", "1999-03-03 10:42:00 -0700"},
		{"3 Mar 126 10:42 cdt", "2026-03-03 10:42:00 -0500"},
		{"3 Mar 2026 10:42 CST", "2026-03-03 10:42:00 -0600"},
		{"3 Mar 2026 10:42 MST", "2026-03-03 10:42:00 -0700"},
		{"3 Mar 2026 10:42 PST", "2026-03-03 10:42:00 -0800"},
		{"3 Mar 2026 10:42 EDT", "2026-03-03 10:42:00 -0400"},
		{"3 Mar 2026 10:42 GMT", "2026-03-03 10:42:00 +0000"},
		{"3 Mar 2026 10:42 MESZ", "2026-03-03 10:42:00 +0000"},
		{"3 Mar 2026 10:42 +9999", "2026-03-03 10:42:00 +0000"},
		{"3 Mar 2026 10:42", "2026-03-03 10:42:00 +0000"},
		{"3 Mar 2026 10:42:60 +0000", "2026-03-03 10:43:00 +0000"},
		{"(c) Tue (d), 3 (e) Mar 2026 10:42:10 +0100 (CET)", "2026-03-03 10:42:10 +0100"},
		{"3 Mar 2026 25:42", "0001-01-01 00:00:00 +0000"},
		{"3 Mar 2026 10", "0001-01-01 00:00:00 +0000"},
		{"3 Mar 2026", "0001-01-01 00:00:00 +0000"},
		{"3 Foo 2026 10:42", "0001-01-01 00:00:00 +0000"},
		{"3 M", "0001-01-01 00:00:00 +0000"},
		{"32 Mar 2026 10:42", "0001-01-01 00:00:00 +0000"},
		{"yesterday", "0001-01-01 00:00:00 +0000"},
		{",", "0001-01-01 00:00:00 +0000"},
		{"", "0001-01-01 00:00:00 +0000"},
		{"99999999999 Mar 2026 10:42", "0001-01-01 00:00:00 +0000"},
	} {
		date, ok := parseDate([]byte(c.value))
		if got := date.Format("2006-01-02 15:04:05 -0700"); got != c.want || ok == strings.HasPrefix(c.want, "0001") {
			t.Errorf("%q: %s, want %s", c.value, got, c.want)
		}
	}
}

func FuzzDate(f *testing.F) {
	f.Add([]byte("Tue, 3 Mar 2026 10:42:10 +0100 (CET)"))
	f.Add([]byte("3-Mar-26 10:42 EST"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := parseDate(b); ok && (d.Year() < 0 || d.Year() > 10000) {
			t.Errorf("%q: %v", b, d)
		}
	})
}

func ExampleSummary_Section() {
	s, err := Scan(strings.NewReader("Subject: hello\r\n\r\nbody\r\n"), Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	span, _ := s.Section(nil, Text)
	fmt.Println(span, s.Subject)
	// Output: {18 24} hello
}

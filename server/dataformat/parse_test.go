package dataformat

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatepost/server/fault"
)

func TestParse(t *testing.T) {
	stamp := Time{T: time.Date(2009, 10, 22, 15, 24, 45, 0, time.UTC)}
	for _, c := range []struct {
		in   string
		want Value
	}{
		{`MyName`, String("MyName")},
		{`"a \"string\" within string"`, String(`a "string" within string`)},
		{`"Line1\eLine2"`, String("Line1\nLine2")},
		{`"x\012y"`, String("x\x0cy")},
		{`"\u'0439'"`, String("й")},
		{`[HcqHfHI=]`, Data{0x1d, 0xca, 0x87, 0x7c, 0x72}},
		{`#-50`, Number(-50)},
		{`#T22-10-2009_15:24:45`, stamp},
		{`#I[2001:470:1f01:2565::a:80f]:25`, IP{netip.MustParseAddr("2001:470:1f01:2565::a:80f"), 25, true}},
		{`("Domain Settings", Domain)`, Array{String("Domain Settings"), String("Domain")}},
		{`{ServiceClasses={Guests={Folders=(INBOX, "Sent Items");Changed=#T22-10-2009_15:24:45;};};}`,
			Dict{"ServiceClasses": Dict{"Guests": Dict{"Folders": Array{String("INBOX"), String("Sent Items")}, "Changed": stamp}}}},

		{`#T22-10-2009`, Time{T: time.Date(2009, 10, 22, 0, 0, 0, 0, time.UTC)}},
		{`#TPAST`, Time{Kind: Past}},
		{`#TFUTURE`, Time{Kind: Future}},
		{`#I[10.0.44.55]`, IP{Addr: netip.MustParseAddr("10.0.44.55")}},
		{`#I[10.0.44.55]:0`, IP{netip.MustParseAddr("10.0.44.55"), 0, true}},
		{`#NULL#`, Null{}},
		{`#(MailboxHandle)`, Opaque("MailboxHandle")},
		{"#(two\r\nlines)", Opaque("two  lines")},
		{`#9223372036854775807`, Number(1<<63 - 1)},
		{`[]`, Data{}},
		{`[Hcq HfH
			I=]`, Data{0x1d, 0xca, 0x87, 0x7c, 0x72}},
		{`[HcqHfHI]`, Data{0x1d, 0xca, 0x87, 0x7c, 0x72}},
		{`[AQ==] [Ag==]`, Data{1, 2}},
		{`()`, Array{}},
		{`{}`, Dict{}},
		{`""`, String("")},
		{`"abc" "def"`, String("abcdef")},
		{`"abc"
		  "d\145f" // and on
		  "g"`, String("abcd\x91fg")},
		{`"\'\q\1x\\\r\n\t"`, String("'q1x\\\r\n\t")},
		{"\"folded \\\n   line\"", String("folded line")},
		{"\"raw\nline\tend\"", String("raw\nline\tend")},
		{`"\u'1F600'\u'e9'"`, String("😀é")},
		{`user@dom.com`, String("user@dom.com")},
		{`-1`, String("-1")},
		{`a:b!c%d`, String("a:b!c%d")},
		{`Имя`, String("Имя")},
		{`{"Alt Name"=x;"" = (a);}`, Dict{"Alt Name": String("x"), "": Array{String("a")}}},
		{`{a=1;a=2;}`, Dict{"a": String("2")}},
		{"\ufeff", String("\ufeff")},
		{"/* one\n * two */ ( // three\n a /* four */ , b )\r\n// five", Array{String("a"), String("b")}},
		{"{\n DomainName = company.com;\n ExternalAUTH = {Enabled=NO;LogLevel=3;};\n}\n",
			Dict{"DomainName": String("company.com"), "ExternalAUTH": Dict{"Enabled": String("NO"), "LogLevel": String("3")}}},

		{`<a/>`, XML("<a/>")},
		{`(<tag attr="v>">te&amp;xt<b x='/'/></tag>, c)`, Array{XML(`<tag attr="v>">te&amp;xt<b x='/'/></tag>`), String("c")}},
		{"<a\n b='x\ny'>t\r\nu<!-- <c\n> --><![CDATA[</a>\n]]><?pi\n?></a\n>",
			XML("<a  b='x&#10;y'>t&#10;u<!-- <c > --><![CDATA[</a>]]>&#10;<![CDATA[]]><?pi ?></a >")},
	} {
		got, err := Parse([]byte(c.in))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Parse(%s) = %#v, %v, want %#v", c.in, got, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		`{Name="Whatever"}`, `(Name LastName)`, `(Name]`,
		``, ` `, `// only a comment`, `/* open`, `/* open */`, `(a,,b)`, `(a,)`, `(,a)`, `(`, `(a`, `{`, `{a`, `{a=`, `{a=b`, `{a=b;`,
		`{=b;}`, `{a=;}`, `{a b;}`, `{(a)=b;}`, `{#5=b;}`, `a b`, `a;`, `(a))`, `)`, `,`, `=`, `;`,
		`"open`, `"open\`, `"open\"`, `"\256"`, `"\000"`, `"\u''"`, `"\u'0'"`, `"\u'D800'"`, `"\u'110000'"`, `"\u'zz'"`, `"\u'41"`, "\"\x00\"", "a\x00", "\"\\\x00\"",
		`#`, `#x`, `#-`, `#5a`, `#-12.34`, `#+5`, `#9223372036854775808`, `#NULL`, `#NULL#x`, `#(open`,
		`#T`, `#T1-1-2009`, `#T32-01-2009`, `#T29-02-2009`, `#T22-10-2009_25:00:00`, `#T22-10-2009_15:24`, `#T22-10-2009_15:24:45x`, `#TPASTX`, `#TNOW`,
		`#I[10.0.0.300]`, `#I[10.0.0.1`, `#I[]`, `#I[fe80::1%eth0]`, `#I[10.0.0.1]:`, `#I[10.0.0.1]:65536`, `#I[10.0.0.1]:25x`, `#I[10.0.0.1]x`,
		`[open`, `[a]`, `[%%%%]`, `[AQ===]`, `[A=Q=]`,
		`a*b`, `a+b`, `a/b`, `http://x`, `a/*c*/`, `<`, `<a`, `<a>`, `<a></b>`, `</a>`, `<a b="></a>`, `<a><b></a></b>`, `<!-- c -->`, `<!DOCTYPE a><a/>`, `<?xml version="1.0"?><a/>`,
		`<a><!DOCTYPE b></a>`, `<a b=<>/>`, "<a>\x00</a>", `<1/>`, `<a"b"/>`, `<a><![CDATA[</a>`, `<a><!-- </a>`, `<a>text`,
	} {
		v, err := Parse([]byte(s))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%q) = %#v, %v, want a syntax error", s, v, err)
			continue
		}
		if syntax.Offset < 0 || syntax.Offset > len(s) || !fault.Is(err, fault.Invalid) || fault.Text(err) != syntax.Msg {
			t.Errorf("Parse(%q): %#v has a wrong place, kind or text", s, syntax)
		}
	}
}

func TestSyntaxErrorNamesTheLine(t *testing.T) {
	_, err := Parse([]byte("{\n  A = b;\n  C = d e;\n}"))
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Line != 3 || syntax.Msg != "; after a dictionary value expected" {
		t.Errorf("error is %v", err)
	}
}

func TestNestingIsLimited(t *testing.T) {
	for _, c := range []struct{ open, inner, end string }{
		{"(", "", ")"}, {"{a=", "b", ";}"}, {"<a>", "", "</a>"}, {"(", "<a/>", ")"},
	} {
		ok := strings.Repeat(c.open, MaxDepth-1) + c.inner + strings.Repeat(c.end, MaxDepth-1)
		if _, err := Parse([]byte(ok)); err != nil {
			t.Errorf("%q nested %d times: %v", c.open, MaxDepth-1, err)
		}
		for _, n := range []int{MaxDepth + 1, 1_000_000} {
			if _, err := Parse([]byte(strings.Repeat(c.open, n))); err == nil || fault.Text(err) != "objects are nested too deeply" {
				t.Errorf("%q nested %d times: %v", c.open, n, err)
			}
		}
	}
}

func TestDecoderReadsCommandLines(t *testing.T) {
	d := NewDecoder(`UpdateAccountSettings "john smith@dom" {MaxAccountSize=3G;Rules=("a" "b", [AQ==]);} (x, #5)  tail of it`)
	if !d.Keyword("UPDATEACCOUNTSETTINGS") || d.Keyword("john") {
		t.Fatal("keywords are not recognised")
	}
	if w, err := d.Word(); err != nil || w != "john smith@dom" {
		t.Fatalf("Word = %q, %v", w, err)
	}
	if c := d.Next(); c != '{' {
		t.Fatalf("Next = %q", c)
	}
	v, err := d.Value()
	want := Dict{"MaxAccountSize": String("3G"), "Rules": Array{String("ab"), Data{1}}}
	if err != nil || !reflect.DeepEqual(v, want) {
		t.Fatalf("Value = %#v, %v", v, err)
	}
	if v, err = d.Value(); err != nil || !reflect.DeepEqual(v, Array{String("x"), Number(5)}) {
		t.Fatalf("Value = %#v, %v", v, err)
	}
	if d.Rest() != "tail of it" || d.AtEnd() {
		t.Fatalf("Rest = %q", d.Rest())
	}
	for range 3 {
		if v, err := d.Value(); err != nil {
			t.Fatalf("Value = %v, %v", v, err)
		}
	}
	if !d.AtEnd() || d.Next() != 0 {
		t.Error("the line does not end")
	}
	if _, err := d.Word(); err == nil {
		t.Error("a word follows the end")
	}
}

func TestDecoderTakesQuotedPiecesAsWords(t *testing.T) {
	d := NewDecoder(`POSTDOMAINALERT "dom" "alert text"`)
	for _, want := range []string{"POSTDOMAINALERT", "dom", "alert text"} {
		if w, err := d.Word(); err != nil || w != want {
			t.Errorf("Word = %q, %v, want %q", w, err, want)
		}
	}
	d = NewDecoder(`"a" "b"`)
	if v, err := d.Value(); err != nil || v != String("a") || d.Rest() != `"b"` {
		t.Errorf("Value = %v, %v, rest %q", v, err, d.Rest())
	}
}

func TestDecoderWords(t *testing.T) {
	for in, want := range map[string]string{
		"user@dom.com x":   "user@dom.com",
		"*":                "*",
		"*,x":              "*",
		"a/b+c=d'e?f^g|h":  "a/b+c=d'e?f^g|h",
		"$x~y&z":           "$x~y&z",
		"box#john@dom(a)":  "box#john@dom",
		"joe@[192.0.2.1]":  "joe@[192.0.2.1]",
		"[IPv6:2001::1]":   "[IPv6:2001::1]",
		"10.5.1.2{}":       "10.5.1.2",
		`"quoted \"x\"" y`: `quoted "x"`,
		"\tИмя\t":          "Имя",
	} {
		if w, err := NewDecoder(in).Word(); err != nil || w != want {
			t.Errorf("Word of %q = %q, %v", in, w, err)
		}
	}
	for _, in := range []string{`a\b`, "a<b", "<a>", "#5", "(a)", ";", "[AQ==]", "a\nb", "a\x00"} {
		w, err := NewDecoder(in).Word()
		if fault.Text(err) != errAtom {
			t.Errorf("Word of %q = %q, %v", in, w, err)
		}
	}
}

func TestDecoderKnowsNoComments(t *testing.T) {
	for _, in := range []string{"(a,// b\n c)", "(a /* b */)", "(a,\nb)"} {
		if v, err := NewDecoder(in).Value(); err == nil {
			t.Errorf("Value of %q = %v", in, v)
		}
	}
	if _, err := NewDecoder("a+b").Value(); fault.Text(err) != errAtom {
		t.Errorf("a bad bare string gives %v", err)
	}
}

func TestNumbersInEveryClientForm(t *testing.T) {
	for in, want := range map[string]int64{"5": 5, `"5"`: 5, "#5": 5, `"#5"`: 5, `"-1"`: -1, "#-1": -1} {
		v, err := Parse([]byte(in))
		if n, ok := Int(v); err != nil || !ok || n != want {
			t.Errorf("Int of %s = %d, %v, %v", in, n, ok, err)
		}
	}
	for _, v := range []Value{String(""), String("#"), String("5s"), String("##5"), Array{}, nil} {
		if n, ok := Int(v); ok {
			t.Errorf("Int of %#v = %d", v, n)
		}
	}
}

func TestDictTexts(t *testing.T) {
	d := Dict{"a": String("x"), "n": Number(-3), "l": Array{Number(26), String("Mail"), Null{}, Array{}}, "d": Dict{}}
	if d.String("a") != "x" || d.String("n") != "-3" || d.String("l") != "" || d.String("none") != "" {
		t.Error("String gives a wrong text")
	}
	if got := d.Strings("l"); !reflect.DeepEqual(got, []string{"26", "Mail"}) {
		t.Errorf("Strings = %q", got)
	}
	if got := d.Strings("a"); !reflect.DeepEqual(got, []string{"x"}) || d.Strings("d") != nil || d.Strings("none") != nil {
		t.Errorf("Strings = %q", got)
	}
}

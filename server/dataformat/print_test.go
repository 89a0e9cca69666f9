package dataformat

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCompact(t *testing.T) {
	for _, c := range []struct {
		v    Value
		want string
	}{
		{String(""), `""`},
		{String("-1"), `"-1"`},
		{String("user@dom.com"), `user@dom.com`},
		{String(`a b"c\`), `"a b\"c\\"`},
		{String("L1\nL2"), `"L1\eL2"`},
		{Array{String("a"), String("b c")}, `(a,"b c")`},
		{Dict{"k": Array{String("1"), String("x")}}, `{k=(1,x);}`},
		{Null{}, `#NULL#`},
		{nil, `#NULL#`},

		{String("a\r\nb\tc\x0c\x7f\x01"), `"a\r\eb\tc\012\127\001"`},
		{String("й"), `"й"`},
		{String("a\x00b"), `"ab"`},
		{Number(-50), `#-50`},
		{Data{0x1d, 0xca, 0x87, 0x7c, 0x72}, `[HcqHfHI=]`},
		{Data(nil), `[]`},
		{Time{T: time.Date(2009, 10, 22, 17, 24, 45, 9, time.FixedZone("", 7200))}, `#T22-10-2009_15:24:45`},
		{Time{Kind: Past}, `#TPAST`},
		{Time{Kind: Future}, `#TFUTURE`},
		{Time{T: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, `#TFUTURE`},
		{Time{T: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, `#TPAST`},
		{IP{Addr: netip.MustParseAddr("10.0.44.55"), Port: 25}, `#I[10.0.44.55]`},
		{IP{netip.MustParseAddr("2001:470::a"), 25, true}, `#I[2001:470::a]:25`},
		{Opaque("a)b\nc"), `#(a b c)`},
		{Opaque("a\xff\xfe"), "#(a\xff\xfe)"},
		{XML("<a>\n</a>"), `<a>&#10;</a>`},
		{XML("not xml"), `"not xml"`},
		{XML("<a></a><b/>"), `"<a></a><b/>"`},
		{XML(""), `""`},
		{Dict{"b": Dict{}, "a b": Array{}, "AccessModes": String("All"), "AUTHMethods": String("All")}, `{AUTHMethods=All;AccessModes=All;"a b"=();b={};}`},
		{Dict{"": String("")}, `{""="";}`},
		{struct{ A int }{1}, `"{1}"`},
	} {
		if got := Compact(c.v); got != c.want {
			t.Errorf("Compact(%#v) = %s, want %s", c.v, got, c.want)
		}
	}
}

func TestQuoteFollowsRealFiles(t *testing.T) {
	for _, s := range []string{"A-crpt", "utf-8", "Pronto-", "pstn.communigate.com", "default.html", "mark_to_group1", "phpunit@null.com",
		"26", "1m", "100M", "is", "in", "From", "Subject", ".", "@", "_"} {
		if got := Quote(s); got != s {
			t.Errorf("Quote(%q) = %s", s, got)
		}
	}
	for _, s := range []string{"", "-1", "---", "#Redirect", "*", "~", "$", "^0", "1(415)", "S/MIME", "Filter Only", "is not",
		"call=sip:911@telnum", "/usr/bin/perl", "X-Spam*", "trusted,authenticated"} {
		if got, want := Quote(s), `"`+s+`"`; got != want {
			t.Errorf("Quote(%q) = %s", s, got)
		}
	}
}

func TestPretty(t *testing.T) {
	modes := Array{}
	for _, s := range []string{"26", "Mail", "S/MIME", "HTTP", "Relay", "Signal", "Mobile", "TLS", "POP", "IMAP", "MAPI", "AirSync", "SIP"} {
		modes = append(modes, String(s))
	}
	settings := Dict{
		"AccessModes": String("All"),
		"CallInpFlow": Array{String("-1"), String("3600")},
		"Empty":       Dict{},
		"None":        Array{},
		"ServiceClasses": Dict{
			"groupware": Dict{"AccessModes": modes},
		},
		"Listener": Array{Dict{"Port": String("25")}, String("x")},
	}
	want := `{
  AccessModes =  All;
  CallInpFlow =  ("-1", 3600);
  Empty =  {};
  Listener =  (
    {
      Port =  25;
    },
    x
  );
  None =  ();
  ServiceClasses =  {
    groupware =  {
      AccessModes =  (
        26,
        Mail,
        "S/MIME",
        HTTP,
        Relay,
        Signal,
        Mobile,
        TLS,
        POP,
        IMAP,
        MAPI,
        AirSync,
        SIP
      );
    };
  };
}`
	if got := Pretty(settings); got != want {
		t.Errorf("Pretty gives\n%s\nwant\n%s", got, want)
	}

	rules := Array{Array{
		String("6"), String("SIGN DKIM"),
		Array{
			Array{String("Source"), String("in"), String("trusted,authenticated")},
			Array{String("Header Field"), String("is not"), String("Dkim-Signature:*")},
			Array{String("Any Route"), String("is"), String("SMTP*")},
		},
		Array{Array{String("ExternalFilter"), String("SIGN")}, Array{String("Stop Processing")}},
	}}
	want = `(
  (
    6,
    "SIGN DKIM",
    (
      (Source, in, "trusted,authenticated"),
      ("Header Field", "is not", "Dkim-Signature:*"),
      ("Any Route", is, "SMTP*")
    ),
    ((ExternalFilter, SIGN), ("Stop Processing"))
  )
)`
	if got := Pretty(rules); got != want {
		t.Errorf("Pretty gives\n%s\nwant\n%s", got, want)
	}
}

func TestPrettyKeepsTo80Columns(t *testing.T) {
	for n := 70; n < 90; n++ {
		// {\n  k =  (xxx, y);
		a := Array{String(strings.Repeat("x", n-len("  k =  (, y);"))), String("y")}
		lines := strings.Count(Pretty(Dict{"k": a}), "\n")
		if oneLine := lines == 2; oneLine != (n <= 80) {
			t.Errorf("%d columns take %d lines", n, lines)
		}
	}
}

func TestPrettyOld(t *testing.T) {
	v := Dict{
		"DomainName":   String("company.com"),
		"ExternalAUTH": Dict{"Enabled": String("NO"), "LogLevel": String("3")},
		"Listener": Dict{"MaxInputChannels": String("50"), "Ports": Array{
			Dict{"PortNumber": String("8100")}, Dict{"InitialSecurity": String("on"), "PortNumber": String("9100")}}},
	}
	want := `{
 DomainName = company.com;
 ExternalAUTH = {Enabled=NO;LogLevel=3;};
 Listener = {MaxInputChannels=50;Ports=({PortNumber=8100;},{InitialSecurity=on;PortNumber=9100;});};
}`
	if got := PrettyOld(v); got != want {
		t.Errorf("PrettyOld gives\n%s\nwant\n%s", got, want)
	}
	if got := PrettyOld(Array{String("a"), String("b")}); got != "(a,b)" {
		t.Errorf("PrettyOld of an array gives %s", got)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "Main.settings")
	if v, err := ReadFile(path); v != nil || err != nil {
		t.Fatalf("a missing file reads as %v, %v", v, err)
	}
	for style, text := range map[Style]string{
		StylePretty: "{\n  A =  (b, c);\n}\n", StyleOld: "{\n A = (b,c);\n}\n", StyleCompact: "{A=(b,c);}\n",
	} {
		want := Dict{"A": Array{String("b"), String("c")}}
		if err := WriteFile(path, want, style); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("style %d gives %q, %v", style, got, err)
		}
		if got, err := ReadFile(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ReadFile = %#v, %v", got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("files beside the written one: %v, %v", files, err)
	}
}

func TestFileErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bad.settings")
	if err := os.WriteFile(path, []byte("{a=b}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := ReadFile(path); v != nil || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("ReadFile = %v, %v", v, err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "x"), Dict{}, StyleOld); err == nil {
		t.Error("a file in a missing directory was written")
	}
	// A target that cannot be replaced leaves no temporary file.
	if err := os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "full"), Dict{}, StyleOld); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) > 0 {
		t.Errorf("temporary files stay: %q", left)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{ServiceClasses={Guests={Folders=(INBOX, "Sent Items");Changed=#T22-10-2009_15:24:45;};};}`,
		`("a\"b\\\e\r\t\012\u'439'", [HcqHfHI=], #-50, #TPAST, #I[::1]:25, #NULL#, #(x), <a b="c">d</a>)`,
		"{\n  A =  (b, // c\n c);\n}", "\"a\" \"b\\\n  c\"", "<a\n>\n<![CDATA[\n]]><!--\n--></a>", "(-1,a:b!c%d)",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		for name, out := range map[string]string{"Compact": Compact(v), "Pretty": Pretty(v), "PrettyOld": PrettyOld(v)} {
			back, err := Parse([]byte(out))
			if err != nil || !reflect.DeepEqual(back, v) {
				t.Fatalf("%q is %#v, prints as %s %q, reads back as %#v, %v", text, v, name, out, back, err)
			}
		}
		line := Compact(v)
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("Compact gives more than a line: %q", line)
		}
		d := NewDecoder(line)
		if back, err := d.Value(); err != nil || !d.AtEnd() || !reflect.DeepEqual(back, v) {
			t.Fatalf("line %q reads back as %#v, %v, rest %q", line, back, err, d.Rest())
		}
	})
}

func FuzzDecoder(f *testing.F) {
	for _, s := range []string{`USER "a b" (x) {a=b;} *`, `ROUTE box#a@[1.2.3.4] mail`, `"\`, `a [AQ==] #5`, `<a></a>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := NewDecoder(line)
		for i := 0; !d.AtEnd(); i++ {
			before := len(d.Rest())
			var err error
			if c := d.Next(); i%2 == 0 && c != '{' && c != '(' {
				var w string
				w, err = d.Word()
				if back, err2 := NewDecoder(Quote(w)).Word(); err == nil && (err2 != nil || back != w) {
					t.Fatalf("word %q reads back as %q, %v", w, back, err2)
				}
			} else {
				_, err = d.Value()
			}
			if err != nil {
				return
			}
			if len(d.Rest()) >= before {
				t.Fatalf("no progress in %q at %q", line, d.Rest())
			}
		}
	})
}

// bigLine is a command line of about 10 MB, as a migration script sends it.
func bigLine() string {
	var b strings.Builder
	b.WriteByte('(')
	for i := range 100_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{Name=user%d;RealName="User Number %d";Rules=((5,"a \"b\"",(),()));MaxAccountSize=100M;Sizes=#%d;}`, i, i, i)
	}
	b.WriteByte(')')
	return b.String()
}

func BenchmarkDecoder10MB(b *testing.B) {
	line := bigLine()
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewDecoder(line).Value(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompact10MB(b *testing.B) {
	v, err := NewDecoder(bigLine()).Value()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(Compact(v))))
	}
}

func BenchmarkPretty10MB(b *testing.B) {
	v, err := NewDecoder(bigLine()).Value()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(Pretty(v))))
	}
}

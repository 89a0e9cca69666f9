package address

import (
	"strings"
	"testing"

	"gatepost/server/fault"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, local, domain string }{
		{"joe@far.org", "joe", "far.org"},
		{"<joe@far.org>", "joe", "far.org"},
		{" joe@far.org ", "joe", "far.org"},
		{"Joe@FAR.Org.", "Joe", "far.org"},
		{"xxxx@yyyyy", "xxxx", "yyyyy"},
		{"xxxx", "xxxx", ""},
		{"<Postmaster>", "Postmaster", ""},

		{"<@zzzz:xxxx@yyyyy>", "xxxx@yyyyy", "zzzz"},
		{"@zzzz:xxxx", "xxxx", "zzzz"},
		{"@a,@b:c@d", "@b:c@d", "a"},
		{"@[192.0.2.1]:c@d", "c@d", "[192.0.2.1]"},
		{`@a:"b c"@d`, `"b c"@d`, "a"},
		{`@a:"b c"`, `b c`, "a"},
		{"zzzz!yyyyy!xxxx", "xxxx@yyyyy", "zzzz"},
		{"zzzz!xxxx", "xxxx", "zzzz"},
		{"a!b!c!d", "d@c@b", "a"},
		{`a!b!"x y"`, `"x y"@b`, "a"},
		{`a!b!"x@y z"@c`, `a!b!"x@y z"`, "c"},
		{"b!a@us", "b!a", "us"},
		{"a!b%c", "b@c", "a"},
		{"xxxx%yyyyy@zzzz", "xxxx%yyyyy", "zzzz"},
		{"user%domain", "user", "domain"},
		{"a@b@c", "a@b", "c"},
		{"50%", "50%", ""},
		{"%a", "%a", ""},
		{"hey!", "hey!", ""},
		{"!hey", "!hey", ""},

		{`"prog arg"@pipe`, "prog arg", "pipe"},
		{`"a b"@dom`, "a b", "dom"},
		{`"a\"b\\c\d"@dom`, `a"b\cd`, "dom"},
		{`"joe"@dom`, "joe", "dom"},
		{`"joe"."x y"@dom`, "joe.x y", "dom"},
		{`"a@b"@dom`, "a@b", "dom"},
		{`"a%b"`, "a%b", ""},
		{`"<a>"@dom`, "<a>", "dom"},
		{`"x y"%b@dom`, `"x y"%b`, "dom"},
		{".odd..dots.@dom", ".odd..dots.", "dom"},

		{"group1#postmaster@corpx.un", "group1#postmaster", "corpx.un"},
		{`"Sent Items"#john@dom`, "Sent Items#john", "dom"},
		{"john+news@company.com", "john+news", "company.com"},
		{"gatewaycaller{+7123,gwru}#pbx", "gatewaycaller{+7123,gwru}#pbx", ""},
		{"app{sip:a@b,[1]}#pbx@localhost", "app{sip:a@b,[1]}#pbx", "localhost"},
		{"brace{x@dom", "brace{x", "dom"},

		{"user@[11.22.33.44]", "user", "[11.22.33.44]"},
		{"user@11.22.33.44", "user", "[11.22.33.44]"},
		{"user@[IPv6:2001:DB8:0::1]", "user", "[IPv6:2001:db8::1]"},
		{"user@[ipv6:::1]", "user", "[IPv6:::1]"},
		{"user@[2001:db8::1]", "user", "[IPv6:2001:db8::1]"},
		{"user@[IPv6:::ffff:192.0.2.1]", "user", "[192.0.2.1]"},
		{"joe%far.org@[192.0.2.1]", "joe%far.org", "[192.0.2.1]"},
		{"[192.0.2.1]!joe", "joe", "[192.0.2.1]"},

		{"joe@friend.com@fw.friend.com._via", "joe@friend.com", "fw.friend.com._via"},
		{"joe@fw.friend.com.25._via", "joe", "fw.friend.com.25._via"},
		{"joe@fw.friend.com:25._via", "joe", "fw.friend.com:25._via"},
		{"joe@[10.0.0.1].2525._via", "joe", "[10.0.0.1].2525._via"},
		{"joe@[10.0.0.1]:2525.SMTP", "joe", "[10.0.0.1]:2525.smtp"},

		{"Иван@пример.рф", "Иван", "xn--e1afmkfd.xn--p1ai"},
		{"Иван@XN--E1AFMKFD.xn--p1ai", "Иван", "xn--e1afmkfd.xn--p1ai"},
		{"jose\u0301@dom", "jos\u00e9", "dom"},
		{"a@FAß.de", "a", "xn--fa-hia.de"},
		{"a@dom。example", "a", "dom.example"},
	} {
		a, err := Parse(c.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.in, err)
			continue
		}
		if want := (Address{c.local, c.domain}); a != want {
			t.Errorf("Parse(%q) = %#v, want %#v", c.in, a, want)
		}
		if back, err := Parse(a.String()); err != nil || back != a {
			t.Errorf("Parse(%q) prints as %q, which reads as %#v, %v", c.in, a.String(), back, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", " ", "<>", "@", "@a", "@a:", "@:a@b", "a@", "@a.b", "a@@", "a@b@", `""@dom`, `""`,
		"a b@dom", "a@do m", "a@dom dom", `"a@dom`, `"a\"@dom`, `"a\`,
		"a\r\nRCPT TO:<b@c>@dom", "a\x00@dom", "\"a\x00b\"@dom", "\"a\nb\"@dom", "a@dom\r", "a\x7f@dom", "a\tb@dom",
		"a\u0085b@dom", "a\u2028b@dom", "\xff\xfe@dom", "\xc3@dom", "a@\xd0\x2e",
		"a,b@dom", "a:b@dom", "a;b@dom", "a(c)@dom", `a\b@dom`, "<a@dom", "a>@dom", "a@dom>", "a@<dom>",
		"a@.dom", "a@dom..com", "a@do!m", "a@dom,com", "a@-" + strings.Repeat("x", 64), "a@dom:25", "a@dom:x._via",
		"a@dom:123456._via", "a@[1.2.3.4", "a@1.2.3.4]", "a@[1.2.3]", "a@[1.2.3.400]", "a@1.2.3.400", "a@[IPv6:1.2.3.4]",
		"a@[fe80::1%eth0]", "a@[1.2.3.4]x", "a@[1.2.3.4]:25", "a[1.2.3.4]@b", "[1.2.3.4]", "a@[x y]%b@c",
		"@a,b:c@d", "@a:b:c@d", "@a@b:c", "a@xn--\u0430.com", "a@\u200d.com",
		strings.Repeat("x", MaxLocal+1) + "@dom", "x@" + strings.Repeat("a.", 128) + "com",
		strings.Repeat("x@y", 300) + "@dom", strings.Repeat("@a,", 30) + "@a:b@c", strings.Repeat("a!", 30) + "b",
		strings.Repeat("x", 5000),
	} {
		a, err := Parse(s)
		if err == nil {
			t.Errorf("Parse(%q) = %#v, want an error", s, a)
		} else if !fault.Is(err, fault.Invalid) || fault.Text(err) == fault.Invalid.String() {
			t.Errorf("Parse(%q): %v has no text or another kind", s, err)
		}
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct{ in, local, domain, rest string }{
		{"<joe@far.org>", "joe", "far.org", ""},
		{" <joe@far.org>", "joe", "far.org", ""},
		{"joe@far.org", "joe", "far.org", ""},
		{" joe@far.org", "joe", "far.org", ""},
		{"<>", "", "", ""},
		{" <> BODY=8BITMIME ", "", "", "BODY=8BITMIME"},
		{"< >", "", "", ""},
		{"<Postmaster>", "Postmaster", "", ""},
		{"postmaster NOTIFY=NEVER", "postmaster", "", "NOTIFY=NEVER"},
		{"<joe@far.org> SIZE=100 RET=HDRS", "joe", "far.org", "SIZE=100 RET=HDRS"},
		{"joe@far.org\tSIZE=100", "joe", "far.org", "SIZE=100"},
		{`<"a > b"@far.org> SIZE=1`, "a > b", "far.org", "SIZE=1"},
		{`"a b"@far.org SIZE=1`, "a b", "far.org", "SIZE=1"},
		{`<"a\">"@far.org>`, `a">`, "far.org", ""},
		{"< joe@far.org >", "joe", "far.org", ""},
		{"<@a,@b:joe@far.org>", "@b:joe@far.org", "a", ""},
		{"<joe@far.org> " + strings.Repeat("x", 4000), "joe", "far.org", strings.Repeat("x", 4000)},
	} {
		a, rest, err := ParsePath(c.in)
		if err != nil || a != (Address{c.local, c.domain}) || rest != c.rest {
			t.Errorf("ParsePath(%q) = %#v, %q, %v", c.in, a, rest, err)
		}
	}
	for _, s := range []string{
		"", "  ", "<joe@far.org", "<joe@far.org>SIZE=1", "<joe@far.org>>", "<<joe@far.org>>", "joe@far.org>",
		"<joe@far.org> SIZE=1\r\nRCPT TO:<x@y>", "<joe@far.org\x00>", "<joe@far.org> \x00", "<> \x7f",
		"<" + strings.Repeat("x", 5000) + "@far.org>", `<"joe@far.org>`,
	} {
		if a, rest, err := ParsePath(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("ParsePath(%q) = %#v, %q, %v, want an invalid address", s, a, rest, err)
		}
	}
}

// TestReturnPathHasNoRoute: RFC 5321 appendices C and F.2.
func TestReturnPathHasNoRoute(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Address
		rest string
	}{
		{"<joe@far.org> SIZE=1", Address{"joe", "far.org"}, "SIZE=1"},
		{"<>", Address{}, ""},
		{"<@r1:joe@far.org> SIZE=1", Address{"joe", "far.org"}, "SIZE=1"},
		{"<@r1,@[IPv6:2001:db8::1],@r2:joe@far.org>", Address{"joe", "far.org"}, ""},
		{" @r1,@r2:joe@far.org BODY=7BIT", Address{"joe", "far.org"}, "BODY=7BIT"},
		{`<@r1:@r2:"joe b"@far.org>`, Address{"joe b", "far.org"}, ""},
		{"<@r1:joe>", Address{"joe", ""}, ""},
		{"<@r1:joe%far.org@r2>", Address{"joe%far.org", "r2"}, ""},
		{`<"@r1:joe@far.org"@r2>`, Address{"@r1:joe@far.org", "r2"}, ""}, // a name in quotes
	} {
		a, rest, err := ParseReturnPath(c.in)
		if err != nil || a != c.want || rest != c.rest {
			t.Errorf("ParseReturnPath(%q) = %#v, %q, %v", c.in, a, rest, err)
		}
	}
	for _, s := range []string{"", "<@r1:>", "<@r1,joe@far.org>", "<@:joe@far.org>", "<@r 1:joe@far.org>", "<@r1,@r2>", "<" + strings.Repeat("@a,", 30) + "@a:b@c>"} {
		if a, rest, err := ParseReturnPath(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("ParseReturnPath(%q) = %#v, %q, %v, want an invalid address", s, a, rest, err)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"joe@far.org":                     "",
		"joe":                             "",
		`"no address @ all"@a`:            "",
		"joe%far.org@b":                   "joe@far.org",
		"b!joe@c":                         "joe@b",
		`"joe@far.org"@a`:                 "joe@far.org",
		"joe@far.org@b._via@a":            `"joe@far.org"@b._via`,
		"@a:joe@far.org":                  "joe@far.org",
		"@a,@b:joe":                       "joe@b",
		"@a,@b:joe@far.org":               "joe@far.org",
		"@a,@b,@c:joe%far.org@d":          "joe%far.org@d",
		`@a,@b:"joe b"@far.org`:           `"joe b"@far.org`,
		`@a,@b:"joe@far.org"@d`:           `"joe@far.org"@d`,
		"@[192.0.2.1],@[192.0.2.2]:a@b.c": "a@b.c",
	} {
		a, err := Parse(in)
		if got, ok := a.Plain(); err != nil || got.String() != want || ok != (want != "") {
			t.Errorf("Plain of %s: %s, %v, %v, want %s", in, got, ok, err, want)
		}
	}
}

func TestInner(t *testing.T) {
	for _, c := range []struct {
		local string
		want  Address
		ok    bool
	}{
		{"john", Address{}, false},
		{"box#john+detail", Address{}, false},
		{"ann@client.dom", Address{"ann", "client.dom"}, true},
		{"ann%client.dom", Address{"ann", "client.dom"}, true},
		{"client.dom!ann", Address{"ann", "client.dom"}, true},
		{"@b:c@d", Address{"c@d", "b"}, true},
		{`"a b"@client.dom`, Address{"a b", "client.dom"}, true},
		{"a b@client.dom", Address{"a b", "client.dom"}, true},
		{"a b%c d@client.dom", Address{"a b%c d", "client.dom"}, true},
		{"app{a@b}#pbx", Address{}, false},
		{"50%", Address{}, false},
		{"hey!", Address{}, false},
		{"@", Address{}, false},
		{"a@b c", Address{}, false},
		{strings.Repeat(" ", MaxLocal+1) + "@b", Address{}, false},
	} {
		got, ok := Address{Local: c.local, Domain: "company.com"}.Inner()
		if ok != c.ok || ok && got != c.want {
			t.Errorf("Inner of %q = %#v, %v", c.local, got, ok)
		}
	}
}

func TestStringQuotesOnlyWhereNeeded(t *testing.T) {
	for _, c := range []struct {
		a    Address
		want string
	}{
		{Address{}, ""},
		{Address{"joe", "far.org"}, "joe@far.org"},
		{Address{"joe.b+x", ""}, "joe.b+x"},
		{Address{"joe%a", "far.org"}, "joe%a@far.org"},
		{Address{"joe%a", ""}, `"joe%a"`},
		{Address{"joe@a", "far.org"}, `"joe@a"@far.org`},
		{Address{"a b", "far.org"}, `"a b"@far.org`},
		{Address{"a..b", "far.org"}, `"a..b"@far.org`},
		{Address{"a.", "far.org"}, `"a."@far.org`},
		{Address{`a"b\c`, "far.org"}, `"a\"b\\c"@far.org`},
		{Address{"Иван", "far.org"}, "Иван@far.org"},
		{Address{"", "far.org"}, `""@far.org`},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("%#v prints as %s, want %s", c.a, got, c.want)
		}
	}
}

func TestNeedsUTF8AsksTheLocalPartOnly(t *testing.T) {
	for in, want := range map[string]bool{"joe@far.org": false, "joe@пример.рф": false, "Иван@far.org": true} {
		if a, err := Parse(in); err != nil || a.NeedsUTF8() != want {
			t.Errorf("NeedsUTF8 of %q is not %v (%v)", in, want, err)
		}
	}
}

func TestLiteral(t *testing.T) {
	for in, want := range map[string]string{
		"a@[192.0.2.1]": "192.0.2.1", "a@192.0.2.1": "192.0.2.1", "a@[IPv6:2001:db8::1]": "2001:db8::1",
		"a@far.org": "", "a": "", "a@[192.0.2.1].25._via": "",
	} {
		a, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		ip, ok := a.Literal()
		if ok != (want != "") || ok && ip.String() != want {
			t.Errorf("Literal of %q = %v, %v", in, ip, ok)
		}
		if ok && FormatLiteral(ip) != a.Domain {
			t.Errorf("FormatLiteral(%v) = %q", ip, FormatLiteral(ip))
		}
	}
}

func TestValidName(t *testing.T) {
	for _, s := range []string{"john", "John_Smith-1.a", "401", strings.Repeat("x", 128), "a..b"} {
		if !ValidName(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", ".", "..", ".a", "a.", "a/b", "a b", "a+b", "a#b", "a@b", "Иван", "a\x00", strings.Repeat("x", 129)} {
		if ValidName(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}

// Nested forms must not cost more than their length allows.
func TestDeepNestingIsCheap(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("@a,", 18) + "@a:" + strings.Repeat("b%", 300) + "b@c",
		strings.Repeat("a%", 340) + "b@c",
		strings.Repeat("{", 690) + "@c",
		strings.Repeat("a!", 19) + strings.Repeat("b%", 300) + "b",
	} {
		a, err := Parse(s)
		for n := 0; err == nil; n++ {
			var ok bool
			if a, ok = a.Inner(); !ok {
				break
			}
			if n > 1000 {
				t.Fatalf("%q does not end", s)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"joe@far.org", "<@a,@b:c@d>", "z!y!x", "a%b@c", `"a\"b"@[192.0.2.1]`, "x@[IPv6:::ffff:1.2.3.4]:25._via",
		"app{a@b,c}#pbx", "jose\u0301@пример.рф", "box#john+x", "\u037e@a", "\u0338@b", "{{@}@b", `"x"%y@z`, "[1.2.3.4]!a",
		"@[1.2.3.4]:\"\"@b", "a@。",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		text := a.String()
		if strings.ContainsAny(text, "\x00\r\n") || a.Local == "" || len(a.Local)+len(a.Domain) > 1000 {
			t.Fatalf("%q gives %#v", s, a)
		}
		if back, err := Parse(text); err != nil || back != a {
			t.Fatalf("%q gives %#v, prints as %q, reads back as %#v, %v", s, a, text, back, err)
		}
		if p, rest, err := ParsePath("<" + text + "> X=1"); err != nil || p != a || rest != "X=1" {
			t.Fatalf("%q as a path gives %#v, %q, %v", text, p, rest, err)
		}
		local := WrittenLocal(s, a)
		if back, err := Parse(a.Written(local)); err != nil || back != a || local != "" && WrittenLocal(a.Written(local), a) != local {
			t.Fatalf("%q gives %#v, is written as %q, reads back as %#v, %v", s, a, a.Written(local), back, err)
		}
		if a.Domain != "" {
			if d, err := NormalizeDomain(a.Domain); err != nil || d != a.Domain {
				t.Fatalf("domain %q normalizes to %q, %v", a.Domain, d, err)
			}
		}
		for inner, ok := a.Inner(); ok; inner, ok = inner.Inner() {
			// Each step takes a separator away, so there is an end. The text may
			// grow: domains become A-labels.
			if countSeparators(inner.Local) >= countSeparators(a.Local) || inner.Local == "" {
				t.Fatalf("Inner of %#v is %#v", a, inner)
			}
			a = inner
			if back, err := Parse(a.String()); err != nil || back != a {
				t.Fatalf("inner %#v reads back as %#v, %v", a, back, err)
			}
		}
	})
}

func countSeparators(local string) (n int) {
	for _, c := range []byte(local) {
		if strings.IndexByte("@%!", c) >= 0 {
			n++
		}
	}
	return n
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"<a@b> SIZE=1", " a@b", "<>", `<"> "@b>`, "<a@b>x", "\t<@a:b@c>\tX"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, rest, err := ParsePath(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(a.String()+rest, "\x00\r\n") {
			t.Fatalf("%q gives %#v, %q", s, a, rest)
		}
		if b, rest2, err := ParsePath("<" + a.String() + "> " + rest); err != nil || a != b || rest != rest2 {
			t.Fatalf("%q reads back as %#v, %q, %v", s, b, rest2, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, s := range map[string]string{"plain": "john.smith@example.com", "complex": "ann%client.dom@company.com", "quoted": `"a b"@far.org`, "idn": "a@пример.рф"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestWrittenLocalKeepsWhatTheNormalFormLoses(t *testing.T) {
	for path, want := range map[string]string{
		`<joe@far.org>`: "", `<Joe.Doe@FAR.org.> SIZE=3`: "", `joe`: "", `<>`: "", `<"a b"@far.org>`: "",
		`<"joe"@far.org>`:            `"joe"`,
		`<"Joe.Doe"@Far.Org> SIZE=3`: `"Joe.Doe"`,
		`<"j\oe"@far.org>`:           `"j\oe"`,
		`<"a@b"@far.org>`:            `"a@b"`, "\"a b\"@far.org": "",
		`<"joe@x"."y"@[192.0.2.1]>`:                     `"joe@x"."y"`,
		"<Ju\u0308rgen@far.org>":                        "Ju\u0308rgen",
		`<@a.org:"joe"@far.org>`:                        "",
		`<a@b@far.org>`:                                 "",
		`<joe%far.org>`:                                 "",
		`<far.org!"joe">`:                               "",
		`<"unclosed@far.org>`:                           "",
		`<"` + strings.Repeat(`\a`, 250) + `"@far.org>`: `"` + strings.Repeat(`\a`, 250) + `"`,
	} {
		a, _, err := ParsePath(path)
		if got := WrittenLocal(path, a); got != want {
			t.Errorf("%s (%v): %q, want %q", path, err, got, want)
		} else if text := a.Written(got); !a.IsNull() && WrittenLocal(text, a) != got {
			t.Errorf("%s is written as %s", path, text)
		}
	}
}

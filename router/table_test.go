package router

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

func TestTableLines(t *testing.T) {
	for in, want := range map[string]string{
		"old.com=new.com":                "old.com = new.com",
		"  Relay:Mail:<a@b> = c@d ; why": "Relay:Mail:<a@b> = c@d",
		"mail : relay : <a@b> = c@d":     "Relay:Mail:<a@b> = c@d",
		"R:M:<a>=b":                      "Relay:Mail:<a> = b",
		"r:<a>=b":                        "Relay:<a> = b",
		"RELAYA:S:<a>=b":                 "RelayAll:Signal:<a> = b",
		"No:A:<a>=b":                     "NoRelay:Access:<a> = b",
		"Sig:<a>=b":                      "Signal:<a> = b",
		"mailhost =":                     "mailhost =",
		"localhost =  ; Main Domain":     "localhost =",
		"*.client.com = client.com":      "*.client.com = client.com",
		"friend.com = friend.com@[10.0.0.1]:2525._via":        "friend.com = friend.com@[10.0.0.1]:2525._via",
		"<robot> = \"robot.pl -q; x\"@pipe ; comment":         `<robot> = "robot.pl -q; x"@pipe`,
		"<r-*> = \"robot *\"@pipe":                            `<r-*> = "robot *"@pipe`,
		"<u-*@client.com> = *@client.com":                     "<u-*@client.com> = *@client.com",
		"Signal:<7(10d)@*>=gatewaycaller{+7*,gwru;x}#pbx ; c": "Signal:<7(10d)@*> = gatewaycaller{+7*,gwru;x}#pbx",
		"<a=b@c.d> = x":                    "<a=b@c.d> = x",
		"<\"a b\"@c> = x":                  "<\"a b\"@c> = x",
		"<*@*> = *@*.new":                  "<*@*> = *@*.new",
		"<a> = <b@c>":                      "<a> = <b@c>",
		"<a> = @gw.com:b@c.de":             "<a> = @gw.com:b@c.de",
		"пример.рф = example.com":          "пример.рф = example.com",
		"*.пример.рф = example.com":        "*.пример.рф = example.com",
		"[IPv6:2001:db8::1] = company.com": "[IPv6:2001:db8::1] = company.com",
		"<a> = null":                       "<a> = null",
		"<abc(0-3d)(2+h)> = x":             "<abc(0-3d)(2+h)> = x",
		"a.com = a.com@fw.com ; = ;":       "a.com = a.com@fw.com",
	} {
		r, err := parseRecord(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if got := r.String(); got != want {
			t.Errorf("%q reads as %q, want %q", in, got, want)
		} else if again, err := parseRecord(got); err != nil || again.String() != want {
			t.Errorf("%q does not read back: %v", got, err)
		}
	}
}

func TestBadTableLines(t *testing.T) {
	for in, want := range map[string]string{
		"old.com":                      "no left side",
		"= new.com":                    "no left side",
		"Relay:":                       "no left side",
		"<a>":                          "no = after the left side",
		"<a> b":                        "no = after the left side",
		"<a> ; = b":                    "no = after the left side",
		"<a = b":                       "< without >",
		"<> = b":                       "no name in < >",
		"<@c> = b":                     "no name in < >",
		"<a@> = b":                     "no domain",
		"<a> =":                        "the right side is empty",
		"<a> = ; b":                    "the right side is empty",
		"<a> = @b":                     "bad source route",
		"<*> = @b:*@c":                 "a source route must be the whole right side, without *",
		"Foo:<a> = b":                  "unknown prefix Foo:",
		":<a> = b":                     "unknown prefix :",
		"Relay:No:<a> = b":             "two prefixes of one kind",
		"Mail:Signal:<a> = b":          "two prefixes of one kind",
		"<a> = *":                      "more * on the right than groups on the left",
		"<*@b> = *@*":                  "more * on the right than groups on the left",
		"*.a = *.*":                    "more * on the right than groups on the left",
		"<(3x)> = b":                   "(3x) is not a pattern; patterns are (3d), (7-20d), (3+d), and the same with h",
		"<(d)> = b":                    "(d) is not a pattern; patterns are (3d), (7-20d), (3+d), and the same with h",
		"<(5-3d)> = b":                 "(5-3d) is not a pattern; patterns are (3d), (7-20d), (3+d), and the same with h",
		"<(3+5d)> = b":                 "(3+5d) is not a pattern; patterns are (3d), (7-20d), (3+d), and the same with h",
		"<(1000d)> = b":                "(1000d) is not a pattern; patterns are (3d), (7-20d), (3+d), and the same with h",
		"<()> = b":                     "() is not a pattern; patterns are (3d), (7-20d), (3+d), and the same with h",
		"<(3d> = b":                    "unmatched parenthesis",
		"<3d)> = b":                    "unmatched parenthesis",
		"<**********> = b":             "more than 9 groups",
		"<a> = b c":                    "bad character in the address",
		"<a> = b\\c":                   "bad character in the address",
		"<a> = \"b":                    "unmatched quotation mark",
		"<a> = b@c..d":                 "empty label in the domain name",
		"<a> = b@c/d":                  "bad character in the domain name",
		"a.com = b c":                  "bad character in the address",
		"a.com = x@":                   "empty domain name",
		"a b.com = x":                  "bad character in the domain name",
		"*.a b = x":                    "invalid character in the domain on the left side",
		"<a> = \"\"@b":                 "empty local part",
		"a.com = gw%b.com":             "bad character in the domain name",
		"<a> = b:c":                    "bad character in the address",
		"a.com = b!c@d.com":            "",
		"<*> = *@d_(3d).com":           "bad character in the address",
		"<" + strings.Repeat("x", 300): "< without >",
	} {
		err := CheckTable("; fine\n<fine> = x\n" + in)
		var bad *TableError
		switch {
		case want == "" && err == nil:
		case !errors.As(err, &bad):
			t.Errorf("%q gives %v, want %q", in, err, want)
		case bad.Line != 3 || bad.Reason != want || !fault.Is(err, fault.Invalid) || fault.Text(err) != bad.Error():
			t.Errorf("%q gives %#v, want %q", in, bad, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, in string
		want        string // groups, separated by |; "-" for no match
	}{
		{"*", "", ""}, {"*", "abc", "abc"}, {"abc", "abc", ""}, {"abc", "abcd", "-"}, {"ABC", "abc", ""},
		{"u-*", "u-ann", "ann"}, {"u-*", "u-", ""}, {"u-*", "xu-a", "-"}, {"*-x", "a-x", "a"}, {"*-x", "a-xy", "-"},
		{"*-*", "a-b-c", "a|b-c"}, {"*-*-*", "a-b-c-d", "a|b|c-d"}, {"*a*b", "xaxbxb", "x|xbx"},
		{"(3d)", "205", "205"}, {"(3d)", "2055", "-"}, {"(3d)", "20", "-"}, {"(3d)", "20a", "-"},
		{"(7-20d)", "1234567", "1234567"}, {"(7-20d)", "123456", "-"}, {"(7-20d)", "123456789012345678901", "-"},
		{"+(7-20d)", "+12345678", "12345678"}, {"7(10d)", "71234567890", "1234567890"}, {"000(3d)", "000401", "401"},
		{"(2h)", "AF", "-"}, {"(2h)", "af", "af"}, {"(2h)", "ag", "-"}, {"(3+d)x", "12345x", "12345"}, {"(3+d)", "12", "-"},
		{"(1-3d)*", "12345", "123|45"}, {"(1-3d)(2d)", "1234", "12|34"}, {"(1-3d)(2d)", "123", "1|23"}, {"(0-2d)a", "a", ""},
		{"*(3d)", "a12345", "a12|345"}, {"x(2d)*y", "x12abcy", "12|abc"},
	} {
		p, err := compilePattern(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		got := "-"
		if spans, ok := p.match(c.in); ok {
			var groups []string
			for _, s := range spans[:p.groups] {
				groups = append(groups, c.in[s.from:s.to])
			}
			got = strings.Join(groups, "|")
		}
		if got != c.want {
			t.Errorf("%q on %q takes %q, want %q", c.pattern, c.in, got, c.want)
		}
	}
}

// A pattern must not be a way to keep the server busy: each of these would run
// for hours if places that failed were tried again.
func TestPatternsDoNotBacktrackForever(t *testing.T) {
	for pattern, in := range map[string]string{
		"*a*a*a*a*a*a*a*a*b":                   strings.Repeat("a", 700),
		"(0+d)(0+d)(0+d)(0+d)(0+d)(0+d)(0+d)x": strings.Repeat("1", 700),
		"*(1+d)*(1+d)*(1+d)*(1+d)*x":           strings.Repeat("1a", 350),
	} {
		p, err := compilePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.match(in); ok {
			t.Errorf("%q matches", pattern)
		}
	}
}

func TestRewrites(t *testing.T) {
	for _, c := range []struct{ table, in, want string }{
		{"mailhost =", "john@mailhost", "LOCAL(john@company.com)john@company.com"},
		{"<john@company.com> = ann@client.dom", "john", "LOCAL(ann@client.dom)ann@client.dom"},
		{"<john@mail.company.com> = ann@client.dom", "john", "LOCAL(ann@client.dom)ann@client.dom"},
		{"<john@localhost> = ann@client.dom", "john@company.com", "LOCAL(ann@client.dom)ann@client.dom"},
		{"<john> = john@company.com", "john", "LOCAL(john@company.com)john@company.com"},
		{"<john> = john@localhost\n<john> = ann@client.dom", "john", "LOCAL(ann@client.dom)ann@client.dom"},
		{"Relay:<ann@client.dom> = ann@client.alias", "ann@client.dom", "LOCAL(ann@client.dom)ann@client.dom"},
		{"client.dom = client.alias", "ann@client.dom", "LOCAL(ann@client.dom)ann@client.dom"},
		{"company.com = far.org", "john@company.com", "LOCAL(john@company.com)john@company.com"}, // a domain-level record never matches the empty domain
		{"*.com = far.org", "john@company.com", "LOCAL(john@company.com)john@company.com"},
		{"<x@*> = john", "x", "LOCAL(john@company.com)john@company.com"},
		{"<x@*> = john", "x@far.org", "LOCAL(john@company.com)john@company.com"},
		{"<x@*.org> = john", "x@far.org", "LOCAL(john@company.com)john@company.com"},
		{"<x@*.org> = john", "x", "error: not found"},
		{"<x@client.dom> = john", "x@client.alias", "LOCAL(john@company.com)john@company.com"},
		{"<x> = john", "X", "LOCAL(john@company.com)john@company.com"},
		{"<x> = john", "x+y", "error: not found"},
		{"<x> = john", "box#x", "error: not found"},
		{"<x*> = john*", "x+Y", "LOCAL(john@company.com)john+Y@company.com detail=Y"},
		{"<*@old.com> = *@*.new", "x@old.com", "line 1 of the Router Table: more * on the right than groups on the left"},
		{"<*@*.old.com> = *@*.far.org", "Joe@A.old.com", "SMTP(a.far.org)Joe@a.far.org"},
		{"<*-*@old.com> = *@*.far.org", "a-b.c@old.com", "SMTP(b.c.far.org)a@b.c.far.org"},
		{"<*-*@old.com> = *@*.far.org", `"a-b c"@old.com`, "SMTP(old.com)\"a-b c\"@old.com"}, // no address: the record does not apply
		{"<u-*@client.dom> = *@client.dom", "u-@client.dom", "error: not found"},
		{"*.old.com = *.far.org", "joe@a.b.old.com", "SMTP(a.b.far.org)joe@a.b.far.org"},
		{"friend.com = friend.com@fw.com._via", `"a b"@friend.com`, `SMTP(fw.com)"a b"@friend.com host=fw.com`},
		{"friend.com = friend.com@fw.com._via", "a%b.org@friend.com", "SMTP(fw.com)a%b.org@friend.com host=fw.com"},
		{"<r-*> = \"robot *\"@pipe", "r-Up", `PIPE(robot Up)"robot Up"@pipe`},
		{"<a> = @gw.com:b@c.de", "a", `SMTP(gw.com)b@c.de`},
		{"<a> = b%c.de", "a", "SMTP(c.de)b@c.de"},
		{"<a> = <b@c.de>", "a", "SMTP(c.de)b@c.de"},
		{"пример.рф = client.dom", "ann@xn--e1afmkfd.xn--p1ai", "LOCAL(ann@client.dom)ann@client.dom"},
		{"*.пример.рф = client.dom", "ann@почта.пример.рф", "LOCAL(ann@client.dom)ann@client.dom"},
		{"<Иван> = john", "иван@company.com", "LOCAL(john@company.com)john@company.com"},
		{"[198.51.100.7] = client.dom", "ann@198.51.100.7", "LOCAL(ann@client.dom)ann@client.dom"},
		{"<a> = ERROR", "a", "error: rejected"},
		{"<a> = x@Null", "a", "SYSTEM(NULL)a@company.com"},
		{"a.com = SpamTrap", "x@a.com", "SYSTEM(SPAMTRAP)x@a.com"},
		{"<a> = blacklisted", "a", "error: rejected"},
		{"gw.com = gw.com@pipe", "x@gw.com", "PIPE(x@gw.com)\"x@gw.com\"@pipe"},

		{"Relay:<*@a.com> = *@b.com", "x@a.com", "SMTP(b.com)x@b.com relay"},
		{"Relay:<*@a.com> = *@b.com", "x%c.com@a.com", "SMTP(b.com)x@c.com"},
		{"RelayAll:<*@a.com> = *@b.com", "x%c.com@a.com", "SMTP(b.com)x@c.com relay"},
		{"Relay:a.com = b.com", "x%c.com@a.com", "SMTP(b.com)x@c.com"},
		{"Relay:a.com = company.com", "x%c.com@a.com", "SMTP(c.com)x@c.com"},
		{"RelayAll:a.com = company.com", "x%c.com@a.com", "SMTP(c.com)x@c.com relay"},
		{"NoRelay:<a> = b@b.com", "a", "SMTP(b.com)b@b.com"},
		{"<a> = b@b.com", "a", "SMTP(b.com)b@b.com"},
		{"Relay:<a> = b\nNoRelay:<b> = b@b.com", "a", "SMTP(b.com)b@b.com relay"},
	} {
		if err := CheckTable(c.table); err != nil {
			if err.Error() != c.want {
				t.Errorf("%s: %v", c.table, err)
			}
			continue
		}
		r := newRouter(t, newFake(), c.table)
		if got := show(r.Route(t.Context(), Mail, parse(t, c.in))); got != c.want {
			t.Errorf("with %q, %s is routed to\n\t%s, want\n\t%s", c.table, c.in, got, c.want)
		}
	}
}

func TestFirstRecordThatAppliesWins(t *testing.T) {
	// The same name in every index, in an order that no index has by itself.
	for table, want := range map[string]string{
		"*.com = one.org\na.com = two.org\n<x@*.com> = three@far.org\n<x@a.com> = four@far.org": "one.org",
		"a.com = two.org\n*.com = one.org\n<x@a.com> = four@far.org\n<x@*.com> = three@far.org": "two.org",
		"<*@a.com> = three@far.org\n<x@a.com> = four@far.org\na.com = two.org":                  "far.org",
		"Signal:a.com = two.org\n<y@a.com> = four@far.org\nMail:a.com = one.org":                "one.org",
	} {
		route, err := newRouter(t, newFake(), table).Route(t.Context(), names.Mail, parse(t, "x@a.com"))
		if err != nil || route.Queue != want {
			t.Errorf("with %q the route is %v, %v, want queue %s", table, route, err, want)
		}
	}
}

func FuzzCheckTable(f *testing.F) {
	f.Add(StockTable + telephony)
	f.Add("R:M:<u-*@*.x> = *%*@\"a b\"._via ; c\n*.(3d)а.рф = x@y\n<\"a\\\"b\"> = <@a:b@c>")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := compileTable(text)
		if err != nil {
			var bad *TableError
			if !errors.As(err, &bad) || bad.Line < 1 || bad.Reason == "" {
				t.Fatalf("%q gives %v", text, err)
			}
			return
		}
		for _, r := range table.records {
			if again, err := parseRecord(r.String()); err != nil || again.String() != r.String() {
				t.Fatalf("record %q does not read back: %v", r, err)
			}
		}
	})
}

func FuzzRoute(f *testing.F) {
	f.Add("<u-*@*> = *@client.dom\nRelay:*.a = *._via", "u-x%y@client.dom")
	f.Add(telephony, "+1234567890@company.com")
	f.Add("Relay:a.com = a.com@fw._via\n<(1-3d)*> = \"* x\"@pipe", `"12 a@b"@company.com`)
	f.Fuzz(func(t *testing.T, table, in string) {
		compiled, err := compileTable(table)
		if err != nil {
			return
		}
		a, err := address.Parse(in)
		if err != nil {
			return
		}
		dir := newFake()
		delete(dir.objects, "jim@client.dom") // nothing but the table may set the mark
		mark := slices.ContainsFunc(compiled.records, func(r *record) bool { return r.relay >= relayMark })
		r := newRouter(t, dir, table)
		for _, op := range []Operation{Mail, Access, Signal} {
			route, err := r.Route(t.Context(), op, a)
			if err != nil {
				continue
			}
			if route.Module == "" || route.Queue == "" || route.Address.Domain == "" || strings.ContainsAny(route.String(), "\r\n\x00") {
				t.Fatalf("%q with %q is routed to %#v", in, table, route)
			}
			if route.Relay && !mark {
				t.Fatalf("%q with %q has found a relay: %#v", in, table, route)
			}
			steps, again, err := r.Explain(t.Context(), op, a)
			if err != nil || again != route || len(steps) > 2*maxRewrites {
				t.Fatalf("%q with %q is explained as %#v, %v", in, table, again, err)
			}
		}
	})
}

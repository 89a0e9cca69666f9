package router

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/router/names"
	"gatepost/server/fault"
)

// show writes a result in one line: the route and what stands beside it, or
// the kind of the error.
func show(r Route, err error) string {
	if err != nil {
		return "error: " + fault.KindOf(err).String()
	}
	s := r.String()
	for _, f := range []struct {
		name string
		set  bool
		v    any
	}{
		{"mailbox", r.Mailbox != "", r.Mailbox}, {"detail", r.Detail != "", r.Detail}, {"host", r.Host != "", r.Host}, {"port", r.Port != 0, r.Port},
	} {
		if f.set {
			s += fmt.Sprintf(" %s=%v", f.name, f.v)
		}
	}
	object := r.Name + "@" + r.Domain
	if r.All {
		object = "all@" + r.Domain
	}
	if ours := r.Module == LOCAL || r.Module == LIST; ours != (object == r.Queue) || !ours && object != "@" {
		s += " but the object is " + object
	}
	for name, set := range map[string]bool{"relay": r.Relay, "all": r.All, "unknown": r.Unknown, "direct": r.Direct} {
		if set {
			s += " " + name
		}
	}
	return s
}

const telephony = `
<+(7-20d)@*>    = +*@telnum              ; +nnnnn calls -> to telnum
Signal:telnum   = pstn                   ; unknown telnum -> PSTN
Signal:<*@pstn> = gatewaycaller{*}#pbx   ; start 'gatewaycaller' app
`

// TestWorkedExamples has the numbered examples of the specification.
func TestWorkedExamples(t *testing.T) {
	reroute := func(to string) func(*fakeDirectory) {
		return func(f *fakeDirectory) { f.policies["client.dom"] = names.Policy{Action: names.Reroute, Address: to} }
	}
	for _, c := range []struct {
		n     string
		table string
		op    Operation
		in    string
		want  string
		setup func(*fakeDirectory)
	}{
		{n: "1", in: "john@company.com", want: "LOCAL(john@company.com)john@company.com"},
		{n: "2", in: "john@mail.company.com", want: "LOCAL(john@company.com)john@company.com"},
		{n: "3", in: "John@[192.0.2.1]", want: "LOCAL(john@company.com)John@company.com"},
		{n: "4", in: "ann%client.dom@company.com", want: "LOCAL(ann@client.dom)ann@client.dom"},
		{n: "5", in: "<@company.com:ann@client.dom>", want: "LOCAL(ann@client.dom)ann@client.dom"},
		{n: "6", in: "joe@far.org", want: "SMTP(far.org)joe@far.org"},
		{n: "7", in: "joe%far.org@company.com", want: "SMTP(far.org)joe@far.org"},
		{n: "8", in: "joe@[198.51.100.7]", want: "SMTP([198.51.100.7])joe@[198.51.100.7] host=[198.51.100.7]"},
		{n: "9", table: "<group1@company.com> = group1#postmaster@company.com", in: "group1@company.com",
			want: `LOCAL(postmaster@company.com)group1#postmaster@company.com mailbox=group1`},
		{n: "10", table: "<director> = spamtrap", in: "director@company.com", want: "SYSTEM(SPAMTRAP)director@company.com"},
		{n: "11", table: "<director> = spamtrap", in: "director@client.dom", want: "error: not found"},
		{n: "12", table: "<sales> = john\n<john> = ann@client.dom", in: "sales@company.com", want: "LOCAL(ann@client.dom)ann@client.dom"},
		{n: "13", table: "<a> = b\n<b> = a", in: "a@company.com", want: "error: loop"},
		{n: "14", table: "old.com = client.dom", in: "ann@old.com", want: "LOCAL(ann@client.dom)ann@client.dom"},
		{n: "15", table: "*.old.com = client.dom", in: "ann@x.y.old.com", want: "LOCAL(ann@client.dom)ann@client.dom"},
		{n: "16", table: "*.old.com = client.dom", in: "ann@old.com", want: "SMTP(old.com)ann@old.com"},
		{n: "17", table: "Relay:friend.com = friend.com@friend.com._via", in: "joe@friend.com", want: "SMTP(friend.com)joe@friend.com host=friend.com relay"},
		{n: "17, short", table: "Relay:friend.com = friend.com._via", in: "joe@friend.com", want: "SMTP(friend.com)joe@friend.com host=friend.com relay"},
		{n: "18", table: "Relay:friend.com = friend.com@fw.friend.com._via", in: "joe@friend.com", want: "SMTP(fw.friend.com)joe@friend.com host=fw.friend.com relay"},
		{n: "19", table: "Relay:friend.com = friend.com@fw.friend.com.25._via", in: "joe@friend.com",
			want: "SMTP(fw.friend.com:25)joe@friend.com host=fw.friend.com port=25 relay"},
		{n: "20", setup: reroute("*%client.dom@old.srv._via"), in: "bob@client.dom", want: "SMTP(old.srv)bob@client.dom host=old.srv relay"},
		{n: "21", setup: reroute("*%client.dom@[11.22.33.44]"), in: "bob@client.dom", want: "SMTP([11.22.33.44])bob@client.dom host=[11.22.33.44] relay"},
		{n: "22", in: "jim@client.dom", want: "SMTP(other.com)john@other.com relay"},
		{n: "23", table: "uni.com = john.local", in: "any@uni.com", want: "LOCAL(john@company.com)any@uni.com"},
		{n: "24", table: "dept.com = ann@client.dom.domain", in: "x@dept.com", want: "LOCAL(ann@client.dom)x@dept.com"},
		{n: "25", table: "<u-*@client.dom> = *@client.dom", in: "u-ann@client.dom", want: "LOCAL(ann@client.dom)ann@client.dom"},
		{n: "26", table: `<robot> = "robot -q"@pipe`, in: "robot@company.com", want: `PIPE(robot -q)"robot -q"@pipe`},
		{n: "27", table: "bad.com = error", in: "x@bad.com", want: "error: rejected"},
		{n: "28", table: "<nobody> = null", in: "nobody@company.com", want: "SYSTEM(NULL)nobody@company.com"},
		{n: "29", table: "Signal:<7(10d)@*>=gatewaycaller{+7*,gwru}#pbx", op: Signal, in: "71234567890@company.com",
			want: `LOCAL(pbx@company.com)"gatewaycaller{+71234567890,gwru}#pbx"@company.com mailbox=gatewaycaller{+71234567890,gwru}`},
		{n: "30", table: "Signal:<7(10d)@*>=gatewaycaller{+7*,gwru}#pbx", in: "71234567890@company.com", want: "error: not found"},
		{n: "31", table: "<(3d)@gw.company.com> = gatewayincoming{*}#pbx@localhost\n<*@gw.company.com> = pbx#pbx@localhost", op: Signal, in: "205@gw.company.com",
			want: `LOCAL(pbx@company.com)gatewayincoming{205}#pbx@company.com mailbox=gatewayincoming{205}`},
		{n: "32", table: "<(3d)@gw.company.com> = gatewayincoming{*}#pbx@localhost\n<*@gw.company.com> = pbx#pbx@localhost", op: Signal, in: "2055@gw.company.com",
			want: `LOCAL(pbx@company.com)pbx#pbx@company.com mailbox=pbx`},
		{n: "33", table: "<000(3d)@*> = *@telnum" + telephony, op: Signal, in: "000401@company.com",
			want: `LOCAL(pbx@company.com)gatewaycaller{401}#pbx@company.com mailbox=gatewaycaller{401}`},
		{n: "34, pstn", table: "<+7(10d)@*> = 8*@telnum" + telephony, op: Signal, in: "+74951234567@company.com",
			want: `LOCAL(pbx@company.com)gatewaycaller{84951234567}#pbx@company.com mailbox=gatewaycaller{84951234567}`},
		{n: "34, owner", table: "<+7(10d)@*> = 8*@telnum" + telephony, op: Signal, in: "+74951234567@company.com",
			setup: func(f *fakeDirectory) { f.telnums["84951234567"] = "ann@client.dom" }, want: "LOCAL(ann@client.dom)ann@client.dom"},
		{n: "stock lines alone", table: telephony, op: Signal, in: "+4951234567@company.com",
			want: `LOCAL(pbx@company.com)gatewaycaller{+4951234567}#pbx@company.com mailbox=gatewaycaller{+4951234567}`},
		{n: "35", table: "<*@gw> = john\n<(3d)@gw> = ann@client.dom", in: "123@gw", want: "LOCAL(john@company.com)john@company.com"},
		{n: "36", table: "Access:<admin> = postmaster", op: Access, in: "admin", want: "LOCAL(postmaster@company.com)postmaster@company.com"},
		{n: "37", table: "Access:<admin> = postmaster", in: "admin@company.com", want: "error: not found"},
		{n: "38", in: "john+news@company.com", want: "LOCAL(john@company.com)john+news@company.com detail=news"},
		{n: "39", in: "Archive#john@company.com", want: "LOCAL(john@company.com)Archive#john@company.com mailbox=Archive"},
		{n: "40", in: "all@client.dom", want: "LOCAL(all@client.dom)all@client.dom all"},
		{n: "41", table: "<8(10d)@*> = 8*@telnum" + telephony, op: Signal, in: "84951234567@company.com",
			want: `LOCAL(pbx@company.com)gatewaycaller{84951234567}#pbx@company.com mailbox=gatewaycaller{84951234567}`},
	} {
		dir := newFake()
		if c.setup != nil {
			c.setup(dir)
		}
		r := newRouter(t, dir, c.table)
		if got := show(r.Route(t.Context(), c.op, parse(t, c.in))); got != c.want {
			t.Errorf("example %s: %s is routed to\n\t%s, want\n\t%s", c.n, c.in, got, c.want)
			steps, _, _ := r.Explain(t.Context(), c.op, parse(t, c.in))
			for _, s := range steps {
				t.Logf("\t%+v", s)
			}
		}
	}
}

// TestRelayVerdicts has what example 6, 7, 17 and 22 say about strangers.
func TestRelayVerdicts(t *testing.T) {
	r := newRouter(t, newFake(), "Relay:friend.com = friend.com._via\n<robot> = \"robot -q\"@pipe\nx.com = company.com")
	for in, want := range map[string]string{
		"joe@far.org":                      "relaying denied",
		"joe%far.org@company.com":          "relaying denied",
		"joe@friend.com":                   "",
		"jim@client.dom":                   "",
		"john@company.com":                 "",
		"robot@company.com":                "",
		`"robot -q"@pipe`:                  "relaying denied",
		`robot%pipe@company.com`:           "relaying denied",
		`robot%pipe@x.com`:                 "relaying denied",
		"joe%far.org@friend.com":           "relaying denied",
		`"joe@far.org"@friend.com`:         "relaying denied",
		"<@friend.com:joe@far.org>":        "relaying denied",
		"friend.com!far.org!joe":           "relaying denied",
		"joe@[198.51.100.7]":               "relaying denied",
		"joe@[IPv6:::ffff:198.51.100.7]":   "relaying denied",
		"joe@far.org._via":                 "relaying denied",
		"joe%far.org@[127.0.0.1]":          "relaying denied",
		"joe%far.org@localhost":            "relaying denied",
		"joe%far.org@client.dom":           "relaying denied",
		"joe@[10.0.0.1].25._via":           "relaying denied",
		"@[192.0.2.1],@company.com:a@b.cd": "relaying denied",
	} {
		route, err := r.Route(t.Context(), Mail, parse(t, in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if err := MayRelay(route, true); err != nil {
			t.Errorf("%s from a trusted source: %v", in, err)
		}
		got := ""
		if err := MayRelay(route, false); err != nil {
			got = fault.KindOf(err).String()
		}
		if got != want {
			t.Errorf("%s (%s) from a stranger: %q, want %q", in, show(route, nil), got, want)
		}
	}
}

func TestExplainNamesLinesAndMarks(t *testing.T) {
	r := newRouter(t, newFake(), "; comment\n\n  R:Ma: <Sales> = jim@client.dom ; the old team\r\nother.com=far.org")
	steps, route, err := r.Explain(t.Context(), Mail, parse(t, "sales@mail.company.com"))
	if err != nil || route.String() != "SMTP(far.org)john@far.org" || !route.Relay {
		t.Errorf("route is %v, %v", route, err)
	}
	var got strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&got, "%s -> %s | %d | %s | %v\n", s.From, s.To, s.Line, s.Text, s.Relay)
	}
	want := `sales@mail.company.com -> sales | 0 | Main Domain | false
sales -> jim@client.dom | 3 | Relay:Mail:<Sales> = jim@client.dom | true
jim@client.dom -> john@other.com | 0 | forwarder | true
john@other.com -> john@far.org | 4 | other.com = far.org | true
`
	if got.String() != want {
		t.Errorf("steps are\n%swant\n%s", got.String(), want)
	}

	steps, route, err = newRouter(t, newFake(), "").Explain(t.Context(), Mail, parse(t, "annie@client.dom"))
	if err != nil || len(steps) != 1 || steps[0].To != "ann@client.dom" || steps[0].Text != "account alias" || route.Address.Local != "annie" {
		t.Errorf("an alias: %+v, %v, %v", steps, route, err)
	}

	steps, _, err = newRouter(t, newFake(), "<a> = b\n<b> = a").Explain(t.Context(), Mail, parse(t, "a"))
	if !fault.Is(err, fault.Loop) || len(steps) != maxRewrites+1 {
		t.Errorf("a loop has %d steps and ends in %v", len(steps), err)
	}
}

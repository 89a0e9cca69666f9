package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

func TestSuffixesAndHosts(t *testing.T) {
	r := newRouter(t, newFake(), "uni.com = john.local\n*.uni.com = john.local\nsp.dom = corp.local")
	for _, c := range []struct {
		op       Operation
		in, want string
	}{
		{Mail, "joe@fw.com._via", "SMTP(fw.com)joe@fw.com host=fw.com"},
		{Mail, "joe@fw.com.via", "SMTP(fw.com)joe@fw.com host=fw.com"},
		{Mail, "joe@fw.com.smtp", "SMTP(fw.com)joe@fw.com host=fw.com"},
		{Mail, "joe@fw.com._smtp", "SMTP(fw.com)joe@fw.com host=fw.com"},
		{Signal, "joe@fw.com._via", "SIP(fw.com)joe@fw.com host=fw.com"},
		{Signal, "joe@far.org", "SIP(far.org)joe@far.org"},
		{Access, "joe@far.org", "SMTP(far.org)joe@far.org"},
		{Mail, "joe@far.org@fw.com._via", "SMTP(fw.com)joe@far.org host=fw.com"},
		{Mail, "joe%far.org@fw.com:2525._via", "SMTP(fw.com:2525)joe@far.org host=fw.com port=2525"},
		{Mail, "joe@fw.com.2525._via", "SMTP(fw.com:2525)joe@fw.com host=fw.com port=2525"},
		{Mail, "joe@[10.0.0.1]._via", "SMTP([10.0.0.1])joe@[10.0.0.1] host=[10.0.0.1]"},
		{Mail, "joe@[10.0.0.1].2525._via", "SMTP([10.0.0.1]:2525)joe@[10.0.0.1] host=[10.0.0.1] port=2525"},
		{Mail, "joe@[IPv6:2001:db8::1]:2525._via", "SMTP([IPv6:2001:db8::1]:2525)joe@[IPv6:2001:db8::1] host=[IPv6:2001:db8::1] port=2525"},
		{Mail, "joe@10.0.0.1._via", "SMTP([10.0.0.1])joe@[10.0.0.1] host=[10.0.0.1]"},
		{Mail, "joe@10.0.0.1.2525._via", "SMTP([10.0.0.1]:2525)joe@[10.0.0.1] host=[10.0.0.1] port=2525"},
		{Mail, "joe@far.org@b._via@a._via", "SMTP(a)joe@far.org@b._via host=a"},
		{Mail, "joe@fw.com.0._via", "error: invalid"},
		{Mail, "joe@fw.com.65536._via", "error: invalid"},
		{Mail, "joe@10.0.0.300._via", "error: invalid"},

		{Mail, "joe@127.0.0.1", "error: not found"},
		{Mail, "john@[127.0.0.1]", "LOCAL(john@company.com)john@company.com"},
		{Mail, "john@[0.0.0.0]", "LOCAL(john@company.com)john@company.com"},
		{Mail, "john@[IPv6:::1]", "LOCAL(john@company.com)john@company.com"},
		{Mail, "john@[IPv6:::ffff:127.0.0.1]", "LOCAL(john@company.com)john@company.com"},
		{Mail, "ann@[192.0.2.2]", "LOCAL(ann@client.dom)ann@client.dom"},
		{Mail, "joe@[127.0.0.2]", "SMTP([127.0.0.2])joe@[127.0.0.2] host=[127.0.0.2]"},

		{Mail, "any@uni.com", "LOCAL(john@company.com)any@uni.com"},
		{Mail, "any%uni.com@company.com", "LOCAL(john@company.com)any@uni.com"},
		{Mail, "a b@sub.uni.com", `LOCAL(john@company.com)"a b"@sub.uni.com`},
		{Mail, "any@401.local", "LOCAL(john@company.com)any@401.local"},
		{Mail, "any@nobody.local", "error: not found"},
		{Mail, "any@ann@client.dom.domain", `LOCAL(ann@client.dom)"any@ann"@client.dom.domain`},
		{Mail, "annie@client.alias.domain", "LOCAL(ann@client.dom)annie@client.alias.domain"},
		{Mail, "john@company.com.domain", "LOCAL(john@company.com)john@company.com.domain"},
		{Mail, "x@far.org.domain", "error: no such host"},
		{Mail, "x@sp.dom", "error: not found"}, // corp.local is a domain of ours

		{Mail, "joe@host", "SMTP(host.company.com)joe@host.company.com"},
		{Mail, "john@mail", "LOCAL(john@company.com)john@company.com"},
		{Mail, "joe@intranet", "error: not found"},
		{Mail, "123@telnum", "error: no such host"},
	} {
		a, err := address.Parse(c.in)
		if err != nil {
			a = address.Address{Local: strings.SplitN(c.in, "@", 2)[0], Domain: strings.SplitN(c.in, "@", 2)[1]}
		}
		if got := show(r.Route(t.Context(), c.op, a)); !sameRoute(got, c.want) {
			t.Errorf("%v of %s is routed to\n\t%s, want\n\t%s", c.op, c.in, got, c.want)
		}
	}
}

func TestComplexLocalPartsOnTheWayOut(t *testing.T) {
	r := newRouter(t, newFake(), "d.com = d.com@fw.com\n<x> = joe%d.com@fw.com\n<v-*@company.com> = d.com!*@fw.com")
	for in, want := range map[string]string{
		"joe%d.com@far.org": "SMTP(far.org)joe@d.com",
		"a!b@far.org":       "SMTP(far.org)a!b@far.org", // that system's to read (RFC 5321 2.3.11)
		"joe@d.com":         "SMTP(fw.com)joe@d.com",
		"x":                 "SMTP(fw.com)joe@d.com",
		"v-joe":             "SMTP(fw.com)joe@d.com",
		"joe%far.org":       "SMTP(far.org)joe@far.org",
	} {
		if got := show(r.Route(t.Context(), Mail, parse(t, in))); got != want {
			t.Errorf("%s is routed to\n\t%s, want\n\t%s", in, got, want)
		}
	}
}

// A record that applies and makes too long an address does not let the mail go
// where it would go without the record.
func TestTooLongRewritesAreRefused(t *testing.T) {
	r := newRouter(t, newFake(), "<long-*@company.com> = "+strings.Repeat("y", 200)+"*@long.com\n*.grow.com = *."+strings.Repeat("x.", 100)+"com\n<*@rec.com> = y*@rec.com")
	for _, in := range []string{"long-" + strings.Repeat("x", 100), "x@" + strings.Repeat("b.", 40) + "grow.com", "x@rec.com"} {
		if got := show(r.Route(t.Context(), Mail, parse(t, in))); got != "error: loop" {
			t.Errorf("%s is routed to %s", in, got)
		}
	}
}

// sameRoute compares results; an address that has to be quoted on the wire may be written plainly.
func sameRoute(got, want string) bool {
	return got == want || strings.ReplaceAll(got, `"`, "") == want
}

func TestObjects(t *testing.T) {
	r := newRouter(t, newFake(), "")
	for _, c := range []struct {
		op       Operation
		in, want string
	}{
		{Mail, "annie@client.dom", "LOCAL(ann@client.dom)annie@client.dom"},
		{Mail, "ANN@Client.Alias", "LOCAL(ann@client.dom)ANN@client.dom"},
		{Access, "annie%client.dom", "LOCAL(ann@client.dom)annie@client.dom"},
		{Access, "401", "LOCAL(john@company.com)401@company.com"},
		{Mail, "team@client.dom", "LIST(team@client.dom)team@client.dom"},
		{Mail, "News-On@client.dom", "LIST(news@client.dom)News-On@client.dom"},
		{Mail, "jim+x@client.dom", "SMTP(other.com)john@other.com relay"},
		{Mail, "Sent Items#john+x@company.com", "LOCAL(john@company.com)Sent Items#john+x@company.com mailbox=Sent Items detail=x"},
		{Mail, "a#b#john@company.com", "LOCAL(john@company.com)a#b#john@company.com mailbox=a#b"},
		{Mail, "box#@company.com", "error: not found"},
		{Mail, "#john@company.com", "error: not found"},
		{Mail, "+john@company.com", "error: not found"},
		{Mail, "../john@company.com", "error: not found"},
		{Mail, "Иван@company.com", "error: not found"},
		{Mail, "all", "LOCAL(all@company.com)all@company.com all"},
		{Mail, "ALL@client.alias", "LOCAL(all@client.dom)ALL@client.dom all"},
		{Access, "all@client.dom", "error: not found"},
		{Mail, "all+x@client.dom", "error: not found"},

		{Mail, "Postmaster", "LOCAL(postmaster@company.com)Postmaster@company.com"},
		{Mail, "postmaster@client.dom", "LOCAL(postmaster@company.com)postmaster@company.com"},
		{Mail, "abuse@client.dom", "LOCAL(postmaster@company.com)postmaster@company.com"},
		{Mail, "hostmaster", "LOCAL(postmaster@company.com)postmaster@company.com"},
		{Mail, "root", "error: not found"},
		{Access, "postmaster@client.dom", "error: not found"},
		{Access, "abuse", "error: not found"},

		{Mail, "x@null", "SYSTEM(NULL)x@null"},
		{Mail, "null@company.com", "SYSTEM(NULL)null@company.com"},
		{Access, "null", "error: rejected"},
		{Signal, "x@spamtrap", "error: rejected"},
		{Mail, "x@blacklisted", "error: rejected"},
		{Mail, "blacklisted", "error: rejected"},
		{Mail, "x@error", "error: rejected"},
	} {
		local, domain, _ := strings.Cut(c.in, "@")
		a, err := address.Parse(c.in)
		if err != nil {
			a = address.Address{Local: local, Domain: domain}
		}
		if got := show(r.Route(t.Context(), c.op, a)); !sameRoute(got, c.want) {
			t.Errorf("%v of %s is routed to\n\t%s, want\n\t%s", c.op, c.in, got, c.want)
		}
	}
}

func TestPostmasterRoutesUnderAnyPolicy(t *testing.T) {
	for _, p := range []names.Policy{{}, {Action: names.Discard}, {Action: names.AcceptAndBounce}, {Action: names.Reroute, Address: "error"}, {Action: names.Reroute, Address: "*@far.org"}} {
		dir := newFake()
		dir.policies["client.dom"], dir.policies["company.com"] = p, p
		r := newRouter(t, dir, StockTable)
		for _, in := range []string{"postmaster", "PostMaster@client.dom", "postmaster@client.alias", "postmaster@[192.0.2.2]", "abuse@client.dom", "hostmaster@company.com", "root", "mailer-daemon",
			"MAILER-DAEMON@client.dom", "mailer-daemon@client.alias"} {
			if got := show(r.Route(t.Context(), Mail, parse(t, in))); !strings.HasPrefix(got, "LOCAL(postmaster@company.com)") {
				t.Errorf("policy %v: %s is routed to %s", p, in, got)
			}
		}
	}
}

func TestUnknownNamePolicies(t *testing.T) {
	for _, c := range []struct {
		policy   names.Policy
		op       Operation
		in, want string
	}{
		{names.Policy{Action: names.Reject}, Mail, "bob", "error: not found"},
		{names.Policy{Action: names.Discard}, Mail, "bob", "SYSTEM(NULL)bob@client.dom"},
		{names.Policy{Action: names.Discard}, Access, "bob", "error: not found"},
		{names.Policy{Action: names.AcceptAndBounce}, Mail, "bob", "LOCAL(bob@client.dom)bob@client.dom unknown"},
		{names.Policy{Action: names.AcceptAndBounce}, Signal, "bob", "error: not found"},
		{names.Policy{Action: names.Reroute, Address: "spamtrap"}, Mail, "bob", "SYSTEM(SPAMTRAP)bob@client.dom relay"},
		{names.Policy{Action: names.Reroute, Address: "error"}, Access, "bob", "error: rejected"},
		{names.Policy{Action: names.Reroute, Address: "ann@client.dom"}, Mail, "bob", "LOCAL(ann@client.dom)ann@client.dom relay"},
		{names.Policy{Action: names.Reroute, Address: "*#ann@client.dom"}, Mail, "bob", "LOCAL(ann@client.dom)bob#ann@client.dom mailbox=bob relay"},
		{names.Policy{Action: names.Reroute, Address: "*-*@far.org"}, Mail, "bob", "SMTP(far.org)bob-bob@far.org relay"},
		{names.Policy{Action: names.Reroute, Address: "*@far.org"}, Mail, "box#bob+x", "SMTP(far.org)box#bob+x@far.org relay"},
		{names.Policy{Action: names.Reroute, Address: "*@far.org"}, Mail, "a b", `SMTP(far.org)"a b"@far.org relay`},
		{names.Policy{Action: names.Reroute, Address: "*%client.dom@old.srv._via"}, Mail, "a b", `SMTP(old.srv)"a b"@client.dom host=old.srv relay`},
		{names.Policy{Action: names.Reroute, Address: "*@far.org"}, Mail, "a:b", `SMTP(far.org)"a:b"@far.org`},
		{names.Policy{Action: names.Reroute, Address: "*@client.dom"}, Mail, "bob", "error: not found"},
		{names.Policy{Action: names.Reroute, Address: "*@client.alias"}, Mail, "bob", "error: not found"},
		{names.Policy{Action: names.Reroute, Address: "bob2@client.dom"}, Mail, "bob2", "error: not found"},
		{names.Policy{Action: names.Reroute, Address: "x*@client.dom"}, Mail, "bob", "error: loop"},
		{names.Policy{Action: names.Reroute, Address: "a b"}, Mail, "bob", "error: not found"},
		{names.Policy{Action: names.Reroute, Address: ""}, Mail, "bob", "error: not found"},
		{names.Policy{Action: names.Reroute, Address: strings.Repeat("y", 200) + "*@far.org"}, Mail, strings.Repeat("b", 100), "error: loop"},
	} {
		dir := newFake()
		dir.policies["client.dom"] = c.policy
		r := newRouter(t, dir, "")
		if got := show(r.Route(t.Context(), c.op, address.Address{Local: c.in, Domain: "client.dom"})); got != c.want {
			t.Errorf("policy %v: %v of %q is routed to\n\t%s, want\n\t%s", c.policy, c.op, c.in, got, c.want)
		}
	}
}

func TestRouteSaysWhetherTheAddressIsAsItWasGiven(t *testing.T) {
	r := newRouter(t, newFake(), "via.com = via.com@fw.com._via\n<old@far.org> = new@far.org")
	for in, want := range map[string]bool{
		"joe@far.org": true, `"a@b.com"@far.org`: true, "joe@[10.0.0.1]": true,
		"joe@via.com": false, "old@far.org": false, "joe%far.org@company.com": false,
	} {
		if route, err := r.Route(t.Context(), Mail, parse(t, in)); err != nil || route.AsGiven != want {
			t.Errorf("%s: %v %v", in, route.AsGiven, err)
		}
	}
}

func TestStrangersGetNoBounceOfUnknownNames(t *testing.T) {
	route := Route{Module: LOCAL, Unknown: true}
	if err := MayRelay(route, false); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger gets %v", err)
	}
	if err := MayRelay(route, true); err != nil {
		t.Errorf("our own user gets %v", err)
	}
}

func TestBlacklistedClientsReachWhatTheTableLetsIn(t *testing.T) {
	r := newRouter(t, newFake(), "<blacklist-admin*@blacklisted> = postmaster")
	for in, want := range map[string]string{
		"blacklist-admin%company.com@blacklisted": "LOCAL(postmaster@company.com)postmaster@company.com",
		"john%company.com@blacklisted":            "error: rejected",
	} {
		if got := show(r.Route(t.Context(), Mail, parse(t, in))); got != want {
			t.Errorf("%s is routed to %s, want %s", in, got, want)
		}
	}
}

func TestDirectoryFailuresAreTemporary(t *testing.T) {
	dir := newFake()
	dir.err = errors.New("disk on fire")
	r := newRouter(t, dir, "a.com = john.local")
	for _, in := range []string{"john", "x@a.com", "123@telnum"} {
		if _, err := r.Route(t.Context(), Mail, parse(t, in)); err == nil || !fault.KindOf(err).Temporary() {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestUnknownNameWaitsForThePolicyOfItsDomain(t *testing.T) {
	dir := newFake()
	dir.noPolicy = errors.New("disk on fire")
	r := newRouter(t, dir, "")
	if _, err := r.Route(t.Context(), Mail, parse(t, "nobody@client.dom")); err == nil || !fault.KindOf(err).Temporary() {
		t.Error(err)
	}
}

func TestBadForwarderIsTemporary(t *testing.T) {
	dir := newFake()
	dir.objects["bad@client.dom"] = names.Object{Kind: names.Forwarder, Name: "bad", Target: "a b"}
	dir.objects["self@client.dom"] = names.Object{Kind: names.Forwarder, Name: "self", Target: "self@client.dom"}
	r := newRouter(t, dir, "")
	if _, err := r.Route(t.Context(), Mail, parse(t, "bad@client.dom")); !fault.KindOf(err).Temporary() {
		t.Errorf("a forwarder with a bad address gives %v", err)
	}
	if _, err := r.Route(t.Context(), Mail, parse(t, "self@client.dom")); !fault.Is(err, fault.Loop) {
		t.Errorf("a forwarder to itself gives %v", err)
	}
}

func TestNullAddressIsRefused(t *testing.T) {
	r := newRouter(t, newFake(), "<*@*> = john")
	if _, err := r.Route(t.Context(), Mail, address.Address{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("Route of the null address gives %v", err)
	}
	if _, _, err := r.Explain(t.Context(), Mail, address.Address{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("Explain of the null address gives %v", err)
	}
}

func TestReloadKeepsTheOldTableAfterAnError(t *testing.T) {
	live := settings.NewLive(&Settings{Table: "<a> = john"})
	r, err := New(live, newFake(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = r.Reload(&Settings{Table: "<b> = john\n<c = john"})
	var bad *TableError
	if !errors.As(err, &bad) || bad.Line != 2 || !fault.Is(err, fault.Invalid) {
		t.Errorf("Reload of a bad table gives %v", err)
	}
	if _, err := r.Route(t.Context(), Mail, parse(t, "a")); err != nil || live.Get().Table != "<a> = john" {
		t.Errorf("the old table is gone: %v", err)
	}
	if err := r.Reload(&Settings{Table: "<b> = john", NonQualifiedSuffix: ".far.org"}); err != nil {
		t.Fatal(err)
	}
	if got := show(r.Route(t.Context(), Mail, parse(t, "a"))); got != "error: not found" {
		t.Errorf("the old table stays: %s", got)
	}
	if got := show(r.Route(t.Context(), Mail, parse(t, "x@host"))); got != "SMTP(host.far.org)x@host.far.org" {
		t.Errorf("the suffix is not used: %s", got)
	}
	if live.Get().Table != "<b> = john" {
		t.Error("the snapshot is not replaced")
	}
	if _, err := New(settings.NewLive(&Settings{Table: "x"}), newFake(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("New takes a bad table")
	}
}

func TestRouteWhileTheTableChanges(t *testing.T) {
	r := newRouter(t, newFake(), "<a> = john")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				route, err := r.Route(t.Context(), Mail, address.Address{Local: "a"})
				if q := route.Queue; err != nil || q != "john@company.com" && q != "ann@client.dom" {
					t.Errorf("route is %v, %v", route, err)
				}
			}
		})
	}
	for i := range 100 {
		if err := r.Reload(&Settings{Table: []string{"<a> = john", "<a> = b\n<b> = ann@client.dom"}[i%2]}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestSettings(t *testing.T) {
	if err := settings.Check(&Settings{}); err != nil {
		t.Error(err)
	}
	var s Settings
	err := settings.Load(&s, dataformat.Dict{"RouterTable": dataformat.String("<a> = b\nx")})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 2 of the Router Table: no left side") {
		t.Errorf("a bad table loads with %v", err)
	}
	if err := settings.Load(&s, dataformat.Dict{"RouterTable": dataformat.String(StockTable), "NonQualifiedSuffix": dataformat.String("a..b")}); err == nil {
		t.Error("a bad suffix loads")
	}
	if err := CheckTable(StockTable); err != nil {
		t.Errorf("stock table: %v", err)
	}
	// The samples must be right as well.
	uncommented := strings.ReplaceAll(StockTable, "\n; <", "\n<")
	uncommented = strings.NewReplacer("\n; Relay", "\nRelay", "\n; old.com", "\nold.com", "\n; client.com", "\nclient.com", "\n; Signal", "\nSignal").Replace(uncommented)
	if err := CheckTable(uncommented); err != nil || strings.Count(uncommented, "\n;") != strings.Count(StockTable, "\n;")-8 {
		t.Errorf("samples of the stock table: %v", err)
	}
}

// lines keeps what is logged.
type lines struct{ text []string }

func (l *lines) Line(line []byte, _ bool) { l.text = append(l.text, strings.TrimSpace(string(line))) }

func TestLog(t *testing.T) {
	for level, want := range map[int][]string{
		2: nil,
		3: {"3 ROUTER routing loop chain="},
		4: {
			"4 ROUTER sales@company.com -> sales (Main Domain)",
			"4 ROUTER sales -> jim@client.dom (line 2)",
			"4 ROUTER jim@client.dom -> john@other.com (forwarder, relay)",
			"4 ROUTER john@other.com -> x@far.org (line 3, relay)",
			"4 ROUTER a -> b (line 4)",
		},
		5: {"5 ROUTER line 1 is for Access only address=sales"},
	} {
		sink := new(lines)
		log := logs.New(sink, func() *logs.Levels { return &logs.Levels{Default: level} })
		table := "Access:<sales> = john\n<sales> = jim@client.dom\nRelay:<john@other.com> = x@far.org\n<a> = b\n<b> = a"
		r, err := New(settings.NewLive(&Settings{Table: table}), newFake(), log)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Route(t.Context(), Mail, parse(t, "sales@company.com")); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Route(t.Context(), Mail, parse(t, "a")); !fault.Is(err, fault.Loop) {
			t.Fatal(err)
		}
		all := strings.Join(sink.text, "\n")
		for _, w := range want {
			if !strings.Contains(all, w) {
				t.Errorf("level %d: no line %q in\n%s", level, w, all)
			}
		}
		if level == 2 && len(sink.text) > 0 {
			t.Errorf("level 2 logs\n%s", all)
		}
		if level == 3 && (len(sink.text) != 1 || strings.Count(all, "-> a") < 25) {
			t.Errorf("the chain of the loop is not in\n%s", all)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	var table strings.Builder
	table.WriteString(StockTable + telephony)
	for i := range 1000 {
		fmt.Fprintf(&table, "<alias%d> = john\nold%d.com = client.dom\n<u%d-*@client.dom> = *@client.dom\n", i, i, i)
	}
	r := newRouter(b, newFake(), table.String())
	small := newRouter(b, newFake(), StockTable)
	for _, c := range []struct {
		name string
		r    *Router
		in   string
	}{
		{"account", small, "john@company.com"}, {"account, 3000 records", r, "john@company.com"}, {"secondary", small, "ann@client.dom"},
		{"remote", small, "joe@far.org"}, {"forwarder", small, "jim@client.dom"}, {"alias, 3000 records", r, "alias999@company.com"},
		{"wildcard, 3000 records", r, "u999-ann@client.dom"}, {"unknown", small, "nobody@company.com"},
	} {
		a := parse(b, c.in)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.r.Route(context.Background(), Mail, a)
			}
		})
	}
}

// Only the table opens a program to strangers: objects and settings of a domain
// are written by its own administrators.
func TestDomainsDoNotOpenPrograms(t *testing.T) {
	f := newFake()
	f.objects["tool@client.dom"] = names.Object{Kind: names.Forwarder, Name: "tool", Target: `"rm -r x"@pipe`}
	f.objects["tool2@client.dom"] = names.Object{Kind: names.Forwarder, Name: "tool2", Target: "tool%client.dom@localhost"}
	f.objects["robot2@client.dom"] = names.Object{Kind: names.Forwarder, Name: "robot2", Target: "robot@company.com"}
	f.policies["client.dom"] = names.Policy{Action: names.Reroute, Address: `"run *"@pipe`}
	r := newRouter(t, f, "<robot> = \"robot -q\"@pipe\n<in> = tool@client.dom\nold.com = client.dom")
	for in, open := range map[string]bool{
		"tool@client.dom": false, "tool@client.alias": false, "tool2@client.dom": false, "nobody@client.dom": false,
		"in@company.com": false, "tool@old.com": false, "nobody@old.com": false,
		"robot@company.com": true, "robot2@client.dom": true,
	} {
		route, err := r.Route(t.Context(), Mail, parse(t, in))
		if err != nil || route.Module != PIPE {
			t.Errorf("%s: %v, %v", in, route, err)
			continue
		}
		if err := MayRelay(route, false); (err == nil) != open {
			t.Errorf("%s from a stranger: %v", in, err)
		}
		if err := MayRelay(route, true); err != nil {
			t.Errorf("%s from a trusted source: %v", in, err)
		}
	}
}

// TestRoutesLeaveInThePlainForm: the next hop is asked for the last address, not
// for a quoted rest of the route.
func TestRoutesLeaveInThePlainForm(t *testing.T) {
	r := newRouter(t, newFake(), "d.com = d.com@fw.com._via")
	for in, want := range map[string]string{
		"<@x.org:joe@far.org>":                        "SMTP(x.org)joe@far.org",
		"<@x.org,@company.com:john@company.com>":      "SMTP(x.org)john@company.com",
		"<@x.org,@y.org,@[192.0.2.9]:joe@far.org>":    "SMTP(x.org)joe@far.org",
		"<@x.org,@y.org:joe%d.com@far.org>":           "SMTP(x.org)joe%d.com@far.org",
		"<@company.com,@x.org,@y.org:joe@far.org>":    "SMTP(x.org)joe@far.org",
		"<@[198.51.100.7],@y.org:joe@far.org>":        "SMTP([198.51.100.7])joe@far.org host=[198.51.100.7]",
		"<@company.com,@client.dom:john@company.com>": "LOCAL(john@company.com)john@company.com",
		`<@x.org,@y.org:"joe@far.org"@z.org>`:         `SMTP(x.org)"joe@far.org"@z.org`,
	} {
		if got := show(r.Route(t.Context(), Mail, parse(t, in))); got != want {
			t.Errorf("%s is routed to\n\t%s, want\n\t%s", in, got, want)
		}
	}
}

package router

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/settings"
)

// fakeDirectory is the set-up of the worked examples: Main Domain company.com,
// also called mail.company.com, and the domain client.dom, also called
// client.alias.
type fakeDirectory struct {
	objects  map[string]names.Object // by name@domain
	policies map[string]names.Policy // by domain, for every operation
	assigned map[string]string       // domain by IP address
	telnums  map[string]string       // account@domain by number
	err      error                   // of look-ups
	noPolicy error                   // of UnknownPolicy
}

func newFake() *fakeDirectory {
	account := func(name string) names.Object { return names.Object{Kind: names.Account, Name: name} }
	return &fakeDirectory{
		objects: map[string]names.Object{
			"john@company.com":       account("john"),
			"postmaster@company.com": account("postmaster"),
			"pbx@company.com":        account("pbx"),
			"401@company.com":        {Kind: names.Alias, Name: "john"},
			"ann@client.dom":         account("ann"),
			"annie@client.dom":       {Kind: names.Alias, Name: "ann"},
			"jim@client.dom":         {Kind: names.Forwarder, Name: "jim", Target: "john@other.com"},
			"team@client.dom":        {Kind: names.Group, Name: "team"},
			"news@client.dom":        {Kind: names.List, Name: "news"},
			"news-on@client.dom":     {Kind: names.List, Name: "news"},
		},
		policies: map[string]names.Policy{},
		assigned: map[string]string{"192.0.2.1": "", "192.0.2.2": "client.dom"},
		telnums:  map[string]string{},
	}
}

func (f *fakeDirectory) MainDomain() string { return "company.com" }

func (f *fakeDirectory) DomainName(name string) (string, bool) {
	switch name {
	case "company.com", "mail.company.com":
		return "company.com", true
	case "client.dom", "client.alias":
		return "client.dom", true
	case "corp.local", "intranet":
		return name, true
	}
	return "", false
}

func (f *fakeDirectory) OwnIP(ip netip.Addr) (string, bool) {
	domain, own := f.assigned[ip.String()]
	return domain, own
}

func (f *fakeDirectory) Object(_ context.Context, domain, name string) (names.Object, error) {
	return f.objects[strings.ToLower(name)+"@"+domain], f.err
}

func (f *fakeDirectory) UnknownPolicy(domain string, _ names.Operation) (names.Policy, error) {
	return f.policies[domain], f.noPolicy
}

func (f *fakeDirectory) Telnum(_ context.Context, number string) (domain, account string, ok bool, err error) {
	account, domain, ok = strings.Cut(f.telnums[number], "@")
	return domain, account, ok, f.err
}

// newRouter returns a router over a directory, with a table.
func newRouter(t testing.TB, dir Directory, table string) *Router {
	t.Helper()
	r, err := New(settings.NewLive(&Settings{Table: table}), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

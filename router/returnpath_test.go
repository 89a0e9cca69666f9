package router

import (
	"strings"
	"testing"

	"gatepost/router/address"
	"gatepost/server/fault"
)

// TestReturnPathsLeadBack: a name that stands for a return-path leads there, and may be relayed to; others do not,
// and a name that somebody bears is his.
func TestReturnPathsLeadBack(t *testing.T) {
	r := newRouter(t, newFake(), "")
	r.UseReturnPaths(func(local string) (address.Address, bool) {
		return address.Address{Local: "ann", Domain: "far.test"}, strings.HasPrefix(local, "SRS0=good=") || local == "john"
	})
	for in, want := range map[string]string{
		"SRS0=good=x@company.com": "SMTP(far.test)ann@far.test relay",
		"SRS0=bad=x@company.com":  "unknown",
		"SRS0=good=x@client.dom":  "unknown",
		"john@company.com":        "LOCAL(john@company.com) ",
	} {
		route, err := r.Route(t.Context(), Mail, parse(t, in))
		got := string(route.Module) + "(" + route.Queue + ")"
		switch {
		case fault.Is(err, fault.NotFound):
			got = "unknown"
		case err != nil:
			got = err.Error()
		case route.Relay:
			got += route.Address.String() + " relay"
		default:
			got += " "
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestReportsLeadToTheirModule: in every domain, unless somebody bears the name.
func TestReportsLeadToTheirModule(t *testing.T) {
	r := newRouter(t, newFake(), "")
	r.UseReports(func(local string) bool { return local == "reports" || local == "john" })
	for in, want := range map[string]string{
		"Reports@company.com":  "REPORTS(company.com)",
		"reports+x@client.dom": "REPORTS(client.dom)",
		"john@company.com":     "LOCAL(john@company.com)",
		"reports@far.test":     "SMTP(far.test)",
	} {
		route, err := r.Route(t.Context(), Mail, parse(t, in))
		if got := string(route.Module) + "(" + route.Queue + ")"; err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
	if _, err := r.Route(t.Context(), Access, parse(t, "reports@company.com")); !fault.Is(err, fault.NotFound) {
		t.Errorf("a login: %v", err)
	}
}

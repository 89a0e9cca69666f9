package webadmin

import (
	"net/http"
	"strconv"
	"strings"

	"gatepost/server/dataformat"
)

// This file has the page of who sends mail in the name of a domain, as others report it.

func reportPages() []*page {
	return []*page{
		{path: "Users/Domains/{domain}/Reports", title: "Reports", call: "GETDMARCREPORTS", tab: true, get: (*call).reportsPage},
	}
}

type reportSource struct {
	Address, Passed, Failed, Rejected, First, Last, Reporters string
	Bad                                                       bool // some of its mail has failed
}

type reportsView struct {
	Domain, To, Days, Reports, More string
	Periods                         []string
	Sources                         []reportSource
}

// reportsPage shows the reports of the last days.
func (c *call) reportsPage() error {
	days, _ := strconv.Atoi(c.r.URL.Query().Get("days"))
	name := c.params["domain"]
	d, err := c.actor.DMARCReports(c.ctx(), name, max(0, days))
	if err != nil {
		return err
	}
	v := &reportsView{Domain: name, To: d.String("To"), Days: d.String("Days"), Reports: d.String("Reports"), Periods: []string{"7", "30", "90", "400"}}
	if more := d.String("MoreSources"); more != "0" {
		v.More = more
	}
	sources, _ := d["Sources"].(dataformat.Array)
	for _, e := range sources {
		s, _ := e.(dataformat.Dict)
		one := reportSource{Address: s.String("Address"), Passed: s.String("Passed"), Failed: s.String("Failed"), Rejected: s.String("Rejected"),
			First: s.String("First"), Last: s.String("Last"), Reporters: strings.Join(s.Strings("Reporters"), ", ")}
		one.Bad = one.Failed != "0"
		if one.Address == "" {
			one.Address = c.T("others")
		}
		v.Sources = append(v.Sources, one)
	}
	return c.show(http.StatusOK, "reports", c.T("Who sends in the name of %s", name), v)
}

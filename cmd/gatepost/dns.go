package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"gatepost/server/dataformat"
	"gatepost/server/dnsdoctor"
)

type dnsCommand struct {
	Records dnsRecords `cmd:"" default:"withargs" help:"Print the records, or check them (the default)."`
	Reports dnsReports `cmd:"" help:"Print who has sent mail in the name of the domain, as others report it."`
}

type dnsReports struct {
	Domain string `arg:"" optional:"" help:"The domain; without one, the Main Domain."`
	Days   int    `default:"30" help:"How many days back, at most 400."`
}

func (k *dnsReports) Run(c *commands) error {
	domain, err := domainOr(c, k.Domain)
	if err != nil {
		return err
	}
	if k.Days < 1 || k.Days > 400 {
		return wrongUse("--days must be 1 to 400")
	}
	v, err := ask(c, fmt.Sprintf("GETDMARCREPORTS %s DAYS %d", dataformat.Quote(domain), k.Days))
	if err != nil {
		return err
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("the answer of the server has no reports")
	}
	fmt.Printf("%s reports about %s of the last %s days\n", d.String("Reports"), domain, d.String("Days"))
	sources, _ := d["Sources"].(dataformat.Array)
	if len(sources) == 0 {
		if to := d.String("To"); to != "" {
			fmt.Printf("Others send them if the DMARC record of the domain has rua=mailto:%s; \"gatepost dns %s --check\" looks.\n", to, domain)
		}
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSOURCE\tPASSED\tFAILED\tREJECTED\tDAYS\tREPORTED BY")
	for _, e := range sources {
		s, _ := e.(dataformat.Dict)
		source := s.String("Address")
		if source == "" {
			source = "others"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s to %s\t%s\n", source, s.String("Passed"), s.String("Failed"), s.String("Rejected"), s.String("First"), s.String("Last"),
			shortened(strings.Join(s.Strings("Reporters"), ", ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more := d.String("MoreSources"); more != "0" {
		fmt.Printf("and %s more sources\n", more)
	}
	return nil
}

// domainOr is a domain that was given, or the Main Domain.
func domainOr(c *commands, domain string) (string, error) {
	if domain != "" {
		return domain, nil
	}
	v, err := ask(c, "MAINDOMAINNAME")
	domain, _ = dataformat.Text(v)
	return domain, err
}

type dnsRecords struct {
	Domain string `arg:"" optional:"" help:"The domain; without one, the Main Domain."`
	Zone   bool   `help:"Print the records as a zone file."`
	Check  bool   `help:"Compare the records with the DNS and look at this machine; exit code 1 if mail suffers."`
}

func (k *dnsRecords) Run(c *commands) error {
	if k.Zone && k.Check {
		return wrongUse("--zone and --check exclude each other")
	}
	domain, err := domainOr(c, k.Domain)
	if err != nil {
		return err
	}
	if k.Check {
		return checkDNS(c, domain)
	}
	v, err := ask(c, "GETDNSRECORDS "+dataformat.Quote(domain))
	if err != nil {
		return err
	}
	list, _ := v.(dataformat.Array)
	var records []dnsdoctor.Record
	for _, e := range list {
		d, ok := e.(dataformat.Dict)
		if !ok {
			return errors.New("the answer of the server has no records")
		}
		records = append(records, dnsdoctor.Record{Name: d.String("name"), Type: d.String("type"), Value: d.String("value"), Why: d.String("why"),
			Optional: d.String("optional") == "YES"})
	}
	if k.Zone {
		fmt.Print(dnsdoctor.Zone(domain, records))
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, optional := range []bool{false, true} {
		fmt.Fprintln(w, map[bool]string{false: "Needed:", true: "\nHelpful:"}[optional])
		for _, r := range records {
			if r.Optional == optional {
				fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", r.Name, r.Type, shortened(r.Value), r.Why)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("\n\"gatepost dns %s --zone\" prints them as a zone file, --check compares them with the DNS.\n", domain)
	return nil
}

// shortened is a value as it fits into a table; the zone file has all of it.
func shortened(value string) string {
	if len(value) > 60 {
		return value[:57] + "..."
	}
	return value
}

// checkDNS prints the findings about a domain and about the machine, the bad ones first.
func checkDNS(c *commands, domain string) error {
	records, err := ask(c, "CHECKDNSRECORDS "+dataformat.Quote(domain))
	if err != nil {
		return err
	}
	host, err := ask(c, "CHECKHOST")
	if err != nil {
		return err
	}
	a, _ := records.(dataformat.Array)
	b, _ := host.(dataformat.Array)
	bad, count := false, map[string]int{}
	for _, state := range []dnsdoctor.State{dnsdoctor.Problem, dnsdoctor.Unknown, dnsdoctor.Advice, dnsdoctor.OK} {
		for _, e := range append(append(dataformat.Array{}, a...), b...) {
			f, ok := e.(dataformat.Dict)
			if !ok || f.String("state") != string(state) {
				continue
			}
			count[string(state)]++
			fmt.Printf("%-8s %s\n         %s\n", state, f.String("subject"), f.String("text"))
			bad = bad || state == dnsdoctor.Problem
		}
	}
	fmt.Printf("\n%d problems, %d unknown, %d with advice, %d ok\n", count["problem"], count["unknown"], count["advice"], count["ok"])
	if bad {
		return errSaidNo
	}
	return nil
}

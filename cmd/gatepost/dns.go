package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"gatepost/server/dataformat"
	"gatepost/server/dnsdoctor"
)

type dnsCommand struct {
	Domain string `arg:"" optional:"" help:"The domain; without one, the Main Domain."`
	Zone   bool   `help:"Print the records as a zone file."`
	Check  bool   `help:"Compare the records with the DNS and look at this machine; exit code 1 if mail suffers."`
}

func (k *dnsCommand) Run(c *commands) error {
	if k.Zone && k.Check {
		return wrongUse("--zone and --check exclude each other")
	}
	domain := k.Domain
	if domain == "" {
		v, err := ask(c, "MAINDOMAINNAME")
		if err != nil {
			return err
		}
		domain, _ = dataformat.Text(v)
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

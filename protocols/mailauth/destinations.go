package mailauth

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"gatepost/router/address"
)

// Published is the DMARC record of a domain, as reports tell of it.
type Published struct {
	Domain                 string
	Policy, Below, Missing string // tags p, sp, np
	StrictDKIM, StrictSPF  bool
	Testing                bool
	Reports                []string // tag rua
}

// Record looks up the DMARC record of a domain itself. It is nil if there is none.
func (v *Verifier) Record(ctx context.Context, domain string) (*Published, error) {
	r, err := v.dmarcRecord(ctx, domain)
	if err != nil || r == nil {
		return nil, err
	}
	return &Published{domain, r.policy, r.below, r.missing, r.strictDKIM, r.strictSPF, r.testing, r.reports}, nil
}

// Destination is an address for aggregate reports.
type Destination struct {
	Address address.Address
	// Most is how many bytes a report for it may have; 0 is no bound.
	Most int64
}

// maxDestinations is how many addresses of a record get reports.
const maxDestinations = 4

// Destinations returns the addresses that reports about a domain go to: those of its record, but of others'
// organisations only who publishes that he takes them (RFC 7489 section 7.1). Otherwise anybody could have a
// stranger flooded with reports.
func (v *Verifier) Destinations(ctx context.Context, p *Published) ([]Destination, error) {
	var list []Destination
	steps, err := v.walk(ctx, p.Domain)
	if err != nil {
		return nil, err
	}
	org := organisation(p.Domain, steps)
	for i, uri := range p.Reports {
		if i >= maxDestinations {
			break
		}
		d, ok := parseDestination(uri)
		if !ok {
			continue
		}
		host := d.Address.Domain
		if within(host, org) {
			steps, err := v.walk(ctx, host)
			if err != nil {
				return nil, err
			}
			if organisation(host, steps) == org {
				list = append(list, d)
				continue
			}
		}
		texts, err := v.Resolver.LookupTXT(ctx, p.Domain+"._report._dmarc."+host)
		if notFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			r, ok := parseDMARC(text)
			if !ok {
				continue
			}
			for _, other := range r.reports { // the host may name another address of its own
				if o, ok := parseDestination(other); ok && o.Address.Domain == host {
					d = o
				}
			}
			list = append(list, d)
			break
		}
	}
	return list, nil
}

// parseDestination reads an address of a tag rua: mailto:name@host, perhaps with !10m for the largest report.
func parseDestination(uri string) (d Destination, ok bool) {
	scheme, rest, _ := strings.Cut(uri, ":")
	if !strings.EqualFold(scheme, "mailto") {
		return d, false
	}
	rest, size, limited := strings.Cut(rest, "!")
	if limited {
		if size = strings.ToLower(strings.TrimSpace(size)); size == "" {
			return d, false
		}
		shift := 10 * (strings.IndexByte("kmgt", size[len(size)-1]) + 1)
		if shift > 0 {
			size = size[:len(size)-1]
		}
		n, err := strconv.ParseUint(size, 10, 22)
		if err != nil && shift > 0 {
			return d, false
		}
		if err != nil { // a number of bytes
			if n, err = strconv.ParseUint(size, 10, 62); err != nil {
				return d, false
			}
		}
		d.Most = int64(n << shift)
	}
	rest, _, _ = strings.Cut(rest, "?")
	text, err := url.PathUnescape(rest)
	if err != nil {
		return d, false
	}
	if d.Address, err = address.Parse(text); err != nil || normal(d.Address.Domain) == "" {
		return d, false
	}
	return d, true
}

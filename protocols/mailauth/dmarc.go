package mailauth

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
)

// dmarcRecord is what a domain asks for (RFC 9989 section 4.7).
type dmarcRecord struct {
	policy, below, missing string // tags p, sp, np: for the domain, for those below it, for those that do not exist
	strictDKIM, strictSPF  bool
	psd                    string // "y": a public suffix, "n": an organisational domain, "u": unknown
	testing                bool
	reports                []string
}

// parseDMARC reads a record. It reports false for text that is none. A record whose policy is not valid
// counts as one with the policy none if it asks for reports, else as none at all.
func parseDMARC(text string) (*dmarcRecord, bool) {
	first, _, _ := strings.Cut(text, ";")
	if name, value, _ := strings.Cut(first, "="); strings.TrimSpace(name) != "v" || strings.TrimSpace(value) != "DMARC1" {
		return nil, false
	}
	r := &dmarcRecord{psd: "u"}
	valid := true
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || seen[name] {
			continue // section 4.7: what is not understood is ignored
		}
		seen[name] = true
		switch lower := strings.ToLower(value); name {
		case "p", "sp", "np":
			if lower != "none" && lower != "quarantine" && lower != "reject" {
				valid = false
				break
			}
			switch name {
			case "p":
				r.policy = lower
			case "sp":
				r.below = lower
			default:
				r.missing = lower
			}
		case "adkim":
			r.strictDKIM = lower == "s"
		case "aspf":
			r.strictSPF = lower == "s"
		case "psd":
			if lower == "y" || lower == "n" {
				r.psd = lower
			}
		case "t":
			r.testing = r.testing || lower == "y"
		case "pct": // RFC 7489; its other values never worked well, and are gone
			r.testing = r.testing || lower == "0"
		case "rua":
			for uri := range strings.SplitSeq(value, ",") {
				if uri = strings.TrimSpace(uri); strings.Contains(uri, ":") {
					r.reports = append(r.reports, uri)
				}
			}
		}
	}
	if !valid {
		if len(r.reports) == 0 {
			return nil, false
		}
		r.policy, r.below, r.missing = "none", "", ""
	}
	if r.policy == "" {
		r.policy = "none"
	}
	if r.below == "" {
		r.below = r.policy
	}
	if r.missing == "" {
		r.missing = r.below
	}
	return r, true
}

// step is a domain on the walk to the top, with its record if it has one.
type step struct {
	domain string
	record *dmarcRecord
}

// maxWalk is how many names a walk asks for (RFC 9989 section 4.10).
const maxWalk = 8

// walk looks for records from a domain up to the top, and not above a domain that says what it is. The
// steps that have no record are left out.
func (v *Verifier) walk(ctx context.Context, domain string) ([]step, error) {
	var steps []step
	name := domain
	for range maxWalk {
		record, err := v.dmarcRecord(ctx, name)
		if err != nil {
			return nil, err
		}
		if record != nil {
			steps = append(steps, step{name, record})
			if record.psd == "n" || record.psd == "y" && name != domain {
				break
			}
		}
		labels := strings.Split(name, ".")
		if labels = labels[1:]; len(labels) >= maxWalk {
			labels = labels[len(labels)-(maxWalk-1):]
		}
		if name = strings.Join(labels, "."); name == "" {
			break
		}
	}
	return steps, nil
}

// dmarcRecord is the record of a domain, or nil. Several records are none.
func (v *Verifier) dmarcRecord(ctx context.Context, domain string) (*dmarcRecord, error) {
	list, err := v.Resolver.LookupTXT(ctx, "_dmarc."+domain)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found *dmarcRecord
	for _, text := range list {
		r, ok := parseDMARC(text)
		if !ok {
			continue
		}
		if found != nil {
			return nil, nil
		}
		found = r
	}
	return found, nil
}

// notFound reports whether an error says that there is no such record.
func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// organisation is the organisational domain that a walk has found (RFC 9989 section 4.10.2).
func organisation(domain string, steps []step) string {
	for _, s := range steps {
		switch {
		case s.record.psd == "n":
			return s.domain
		case s.record.psd == "y" && s.domain != domain:
			below := strings.TrimSuffix(domain, "."+s.domain)
			return below[strings.LastIndexByte(below, '.')+1:] + "." + s.domain
		}
	}
	if len(steps) > 0 {
		return steps[len(steps)-1].domain
	}
	return domain
}

// dmarc evaluates DMARC for each author domain and returns the worst result: what a reader sees first
// is not known. No domain takes the time of another.
func (v *Verifier) dmarc(ctx context.Context, r *Results) DMARC {
	list := make([]DMARC, len(r.Authors))
	var wait sync.WaitGroup
	for i, author := range r.Authors {
		wait.Go(func() { list[i] = v.evaluate(ctx, r, author) })
	}
	wait.Wait()
	var worst DMARC
	for i, d := range list {
		if i == 0 || d.rank() > worst.rank() {
			worst = d
		}
	}
	return worst
}

// rank orders results from good to bad.
func (d DMARC) rank() int {
	if d.Result == Fail {
		return 10 + slices.Index([]string{"none", "quarantine", "reject"}, d.Policy)
	}
	return slices.Index([]Result{Pass, None, PermError, TempError}, d.Result)
}

// evaluate is DMARC for one author domain (RFC 9989 section 5.3).
func (v *Verifier) evaluate(ctx context.Context, r *Results, author string) DMARC {
	d := DMARC{Result: None, Author: author}
	if normal(author) == "" {
		d.Reason = "not a domain name"
		return d
	}
	steps, err := v.walk(ctx, author)
	if err != nil {
		d.Result, d.Reason = TempError, "the record could not be looked up"
		return d
	}
	if len(steps) == 0 {
		return d
	}
	org := organisation(author, steps)
	record := v.policy(ctx, author, org, steps, &d)
	if record == nil {
		return d
	}
	waiting := false
	try := func(domain string, result Result, strict bool) bool {
		if result != Pass && result != TempError || domain == "" {
			return false
		}
		aligned, err := v.aligned(ctx, domain, author, org, strict)
		if err != nil || aligned && result == TempError {
			waiting = true
		}
		return aligned && result == Pass
	}
	d.SPF = try(r.SPF.Domain, r.SPF.Result, record.strictSPF)
	for _, sig := range r.DKIM {
		if try(sig.Domain, sig.Result, record.strictDKIM) {
			d.DKIM = true
			break
		}
	}
	switch {
	case d.SPF || d.DKIM:
		d.Result = Pass
	case waiting:
		d.Result, d.Reason = TempError, "a look-up failed"
	default:
		d.Result = Fail
	}
	return d
}

// AuthorPolicy is what an author domain asks receivers to do with mail in its name that it has not sent: none, quarantine or
// reject; "" if it has no DMARC record. An error is temporary.
func (v *Verifier) AuthorPolicy(ctx context.Context, author string) (string, error) {
	if author = normal(author); author == "" {
		return "", nil
	}
	steps, err := v.walk(ctx, author)
	if err != nil || len(steps) == 0 {
		return "", err
	}
	var d DMARC
	v.policy(ctx, author, organisation(author, steps), steps, &d)
	return d.Policy, nil
}

// policy finds the record that holds for an author domain, and what it asks for.
func (v *Verifier) policy(ctx context.Context, author, org string, steps []step, d *DMARC) *dmarcRecord {
	at := func(domain string) *dmarcRecord {
		for _, s := range steps {
			if s.domain == domain {
				return s.record
			}
		}
		return nil
	}
	record := at(author)
	d.Record = author
	if record != nil {
		d.Policy = record.policy
	} else {
		if record, d.Record = at(org), org; record == nil {
			last := steps[len(steps)-1] // that of the public suffix above
			record, d.Record = last.record, last.domain
		}
		if d.Policy = record.below; record.missing != record.below && !v.exists(ctx, author) {
			d.Policy = record.missing
		}
	}
	d.Reports = record.reports
	if record.testing {
		switch d.Policy {
		case "reject":
			d.Policy = "quarantine"
		case "quarantine":
			d.Policy = "none"
		}
	}
	return record
}

// exists reports whether a domain has an address or an MX. A look-up that fails counts as one that has.
func (v *Verifier) exists(ctx context.Context, domain string) bool {
	if list, err := v.Resolver.LookupIPAddr(ctx, domain); len(list) > 0 || err != nil && !notFound(err) {
		return true
	}
	list, err := v.Resolver.LookupMX(ctx, domain)
	return len(list) > 0 || err != nil && !notFound(err)
}

// aligned reports whether an authenticated domain speaks for an author domain of an organisation.
func (v *Verifier) aligned(ctx context.Context, domain, author, org string, strict bool) (bool, error) {
	switch {
	case domain == author:
		return true, nil
	case strict, !within(domain, org):
		return false, nil
	case domain == org:
		return true, nil
	}
	steps, err := v.walk(ctx, domain)
	if err != nil {
		return false, err
	}
	return organisation(domain, steps) == org, nil
}

package mtasts

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/resolver"
)

const (
	// maxPolicies is how many policies are kept.
	maxPolicies = 10_000
	// maxFailed is how many domains are remembered whose policy cannot be fetched.
	maxFailed = 10_000
	// refreshAfter is the age at which a policy is fetched again although its ID is the same.
	refreshAfter = 24 * time.Hour
	// retryAfter is how long a fetch that failed is not repeated.
	retryAfter = 5 * time.Minute
	// saveAfter is how long changes wait until the file is written.
	saveAfter = time.Minute
)

// Options are what Policies stand on.
type Options struct {
	DNS  *resolver.Resolver
	File string // where policies are kept; empty: nowhere
	// Roots are those who may issue the certificate of a policy's host; nil for those of the system.
	Roots *x509.CertPool
	// Dial connects; nil for the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Log  *slog.Logger
}

// Policies has the policies of other domains. It is safe for use by many goroutines.
type Policies struct {
	o       Options
	log     *slog.Logger
	fetcher *fetcher

	mu      sync.Mutex
	known   map[string]*known
	failed  map[string]failure
	flights map[string]chan struct{} // closed when the fetch for a domain has ended
	dirty   bool
	timer   *time.Timer
	closed  bool
	saving  sync.WaitGroup
	write   sync.Mutex // one writes the file
}

// known is a policy with its ID. It is never changed but for used.
type known struct {
	policy  Policy
	id      string
	fetched time.Time
	used    time.Time // p.mu
}

func (k *known) expires() time.Time { return k.fetched.Add(k.policy.MaxAge) }

// failure is a fetch that failed.
type failure struct {
	at  time.Time
	id  string
	err error
}

// Found is what is known of a domain.
type Found struct {
	// Policy is in force; nil: there is none.
	Policy *Policy
	ID     string
	// Until is when it ends unless it is fetched again.
	Until time.Time
	// Problem is why the record or the policy could not be had now, though there seems to be one.
	Problem error
}

// Open returns the policies in a file.
func Open(o Options) *Policies {
	p := &Policies{o: o, log: logs.Component(o.Log, "MTASTS"), known: map[string]*known{}, failed: map[string]failure{}, flights: map[string]chan struct{}{}}
	p.fetcher = newFetcher(o)
	p.load()
	return p
}

// Of returns the policy that is in force for a domain. It takes no longer than a look-up and a fetch. Errors: ctx has ended.
func (p *Policies) Of(ctx context.Context, domain string) (Found, error) {
	domain = strings.ToLower(domain)
	answer, err := p.o.DNS.TXT(ctx, "_mta-sts."+domain)
	if ctx.Err() != nil {
		return Found{}, ctx.Err()
	}
	switch {
	case fault.Is(err, fault.NoHost), fault.Is(err, fault.Invalid):
		return p.inForce(domain, nil), nil
	case err != nil:
		return p.inForce(domain, errors.New(fault.Text(err))), nil
	}
	id, err := recordID(answer.Records)
	if err != nil {
		return p.inForce(domain, errors.New("_mta-sts."+domain+": "+err.Error())), nil
	}
	if id == "" {
		return p.inForce(domain, nil), nil
	}
	for {
		found, flight, mine := p.begin(domain, id)
		switch {
		case mine:
			policy, err := p.fetcher.fetch(ctx, domain)
			p.end(ctx, domain, id, policy, err)
			switch {
			case err == nil: // it counts now even if its max_age is nothing
				return Found{Policy: policy, ID: id, Until: time.Now().Add(policy.MaxAge)}, nil
			case ctx.Err() == nil:
				return p.inForce(domain, err), nil
			}
		case flight == nil:
			return found, nil
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return Found{}, ctx.Err()
		}
	}
}

// begin returns what is known if that will do, or the fetch to wait for; mine says that the caller makes it.
func (p *Policies) begin(domain, id string) (f Found, flight chan struct{}, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	k := p.known[domain]
	if k != nil && k.id == id && now.Before(k.expires()) && now.Sub(k.fetched) < refreshAfter {
		return p.found(domain, nil), nil, false
	}
	if failed, ok := p.failed[domain]; ok && failed.id == id && now.Sub(failed.at) < retryAfter {
		return p.found(domain, failed.err), nil, false
	}
	if flight = p.flights[domain]; flight != nil {
		return Found{}, flight, false
	}
	flight = make(chan struct{})
	p.flights[domain] = flight
	return Found{}, flight, true
}

// end takes in what a fetch has brought.
func (p *Policies) end(ctx context.Context, domain, id string, policy *Policy, err error) {
	p.mu.Lock()
	now := time.Now()
	switch {
	case err == nil:
		delete(p.failed, domain)
		p.known[domain] = &known{policy: *policy, id: id, fetched: now, used: now}
		p.evict()
		p.changed()
	case ctx.Err() == nil: // else it is not the domain's fault
		if len(p.failed) >= maxFailed {
			clear(p.failed)
		}
		p.failed[domain] = failure{now, id, err}
	}
	close(p.flights[domain])
	delete(p.flights, domain)
	p.mu.Unlock()
	if err != nil {
		p.log.Log(ctx, logs.LevelProblem, "a policy cannot be fetched", "domain", domain, logs.AttrError, err)
		return
	}
	p.log.Log(ctx, logs.LevelLowLevel, "a policy is fetched", "domain", domain, "mode", policy.Mode, "id", id, "max_age", policy.MaxAge)
}

// evict removes the policy that was used least lately while there are too many. p.mu is held.
func (p *Policies) evict() {
	for len(p.known) > maxPolicies {
		oldest := ""
		for domain, k := range p.known {
			if oldest == "" || k.used.Before(p.known[oldest].used) {
				oldest = domain
			}
		}
		delete(p.known, oldest)
	}
}

func (p *Policies) inForce(domain string, problem error) Found {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found(domain, problem)
}

// found is what is in force. p.mu is held.
func (p *Policies) found(domain string, problem error) Found {
	k := p.known[domain]
	if k == nil {
		return Found{Problem: problem}
	}
	now := time.Now()
	if !now.Before(k.expires()) {
		delete(p.known, domain)
		p.changed()
		return Found{Problem: problem}
	}
	k.used = now
	return Found{Policy: &k.policy, ID: k.id, Until: k.expires(), Problem: problem}
}

// Known counts the policies that are kept, by their mode.
func (p *Policies) Known() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := map[string]int{}
	for _, k := range p.known {
		n[k.policy.Mode]++
	}
	return n
}

// Package arriving looks at mail of strangers before the server takes it: it has the sender verified
// (package mailauth), puts the results before the message, and carries out what the domains
// of the recipients want done with mail that fails.
//
// # Who is checked
//
// Strangers: clients that are neither authenticated nor Client IPs. CheckClientIPs has those verified
// too; nothing of theirs is refused.
//
// # What becomes of a message
//
// The policies are settings of domains (accounts.SenderPolicy). Mail in the name of a domain of
// this server is decided by OwnDomain of that domain. Else DMARC decides, by the policies of the recipients'
// domains; where no DMARC record does, SPF. A message is refused if all of its recipients' domains want that.
// If some do, it goes into the Junk mailboxes: a message is refused as a whole or not at all.
//
// Exceptions, for those who pass mail on: a client in TrustedForwarders; an ARC chain that verifies, all of
// whose sealers are in TrustedSealers, the first of whom says that DMARC passed; a message of our own user
// that comes back through a list, which carries the proof that the server put into it when it
// left (mailauth.Proofs). Such mail is marked and never refused.
//
// A look-up that fails for now refuses nothing: the results say temperror. The exception is mail in our own name while the
// records of our own domain cannot be looked up, which were there before: the client is asked to try again.
package arriving

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/mailauth"
	"gatepost/protocols/mailauth/reports"
	"gatepost/protocols/smtp"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// Settings of the checks.
type Settings struct {
	Check             settings.Flag   `key:"CheckSenders" default:"YES" level:"basic" since:"0.2" help:"mail of strangers is verified with SPF, DKIM, DMARC and ARC"`
	CheckClientIPs    settings.Flag   `key:"CheckClientIPs" default:"NO" level:"advanced" since:"0.2" help:"mail of Client IPs is verified too, and never refused"`
	ReceivedSPF       settings.Flag   `key:"ReceivedSPF" default:"NO" level:"advanced" since:"0.2" help:"the result of SPF also stands in a Received-SPF field"`
	TrustedForwarders settings.IPList `key:"TrustedForwarders" level:"advanced" since:"0.2" help:"addresses of servers that pass mail on: what fails because of that is only marked"`
	TrustedSealers    []string        `key:"TrustedSealers" default:"(google.com, microsoft.com, messagingengine.com, ietf.org)" level:"advanced" since:"0.2" help:"domains whose ARC seals are believed"`
	TimeLimit         settings.Period `key:"TimeLimit" default:"20s" level:"expert" since:"0.2" help:"time for all look-ups of a message; what is not known then counts as a temporary error"`
}

// Validate checks the values.
func (s *Settings) Validate() error {
	if d := s.TimeLimit.Duration(); d < 1e9 || d > 60e9 {
		return settings.BadValue("TimeLimit", "must be 1s to 60s")
	}
	return nil
}

// Directory is what the check has to know of the server's domains.
type Directory interface {
	// DomainName returns the domain that a name stands for, if it is one of this server.
	DomainName(name string) (real string, ok bool)
	SenderPolicy(domain string) (accounts.SenderPolicy, error)
}

// Reports are what others report about mail in our name, see package reports.
type Reports interface {
	// Takes reports whether an address is one that reports are sent to.
	Takes(ctx context.Context, a address.Address) bool
	// Accepts says why a message that is sent to it is refused: it is no report. nil accepts it.
	Accepts(text io.ReaderAt, size int64) error
	// Count counts a message for the reports about others' domains.
	Count(m reports.Message)
}

// Check is the smtp.Check.
type Check struct {
	settings  *settings.Live[Settings]
	verifier  *mailauth.Verifier
	directory Directory
	proofs    *mailauth.Proofs
	reports   Reports
	log       *slog.Logger

	// leadsBack tells addresses that stand for a stranger's return-path (SRS), see UseReturnPaths; backwards counts what
	// comes for each.
	leadsBack func(address.Address) bool
	backwards *rate.Table[string]

	// published has the domains of this server that were seen to publish SPF or DMARC.
	published sync.Map // string → true
}

// maxBack is how much may come for an address that leads back, and maxBacks of how many addresses that is counted.
var maxBack = settings.Rate{Count: 100, Period: settings.Period(24 * time.Hour)}

const maxBacks = 20_000

// UseReturnPaths has strangers write to addresses that lead back to a return-path (SRS) as reports do only: with an empty
// return-path, and no more than there are reports. Whoever has a message forwarded learns such an address, and could send
// anything to its owner by this server otherwise. It is called before the check is used.
func (c *Check) UseReturnPaths(leadsBack func(address.Address) bool) {
	c.leadsBack, c.backwards = leadsBack, rate.New[string](maxBacks)
}

// refusesBack says why a message for an address that leads back is refused, or nil.
func (c *Check) refusesBack(m *smtp.Message) error {
	if c.leadsBack == nil {
		return nil
	}
	for _, r := range m.Envelope.Recipients {
		switch {
		case !c.leadsBack(r.Address):
		case !m.Envelope.ReturnPath.IsNull():
			return fault.New("arriving.Check", fault.Rejected, "this address takes reports about mail only, which have an empty return-path; write to the author's own address")
		case c.backwards.Take(strings.ToLower(r.Address.Local), maxBack) > 0:
			return fault.New("arriving.Check", fault.Unavailable, "too many reports for this address today")
		}
	}
	return nil
}

// New returns a check. reports may be nil.
func New(cfg *settings.Live[Settings], verifier *mailauth.Verifier, directory Directory, proofs *mailauth.Proofs, reports Reports, log *slog.Logger) *Check {
	return &Check{settings: cfg, verifier: verifier, directory: directory, proofs: proofs, reports: reports, log: logs.Component(log, "SENDERS")}
}

// Check verifies a message and says what becomes of it.
func (c *Check) Check(ctx context.Context, m *smtp.Message) (v smtp.Verdict, err error) {
	set := c.settings.Get()
	stranger := m.Account == nil && !m.Trusted
	if stranger {
		if v.Hide, err = mailauth.ForeignResults(m.Text, m.Size, c.ours(m.Name)); err != nil {
			return v, err
		}
	}
	if stranger {
		if v.Refuse = c.refusesBack(m); v.Refuse != nil {
			return v, nil
		}
	}
	report := false
	if v.Refuse, report = c.refusesReport(ctx, m); v.Refuse != nil {
		return v, nil
	}
	if !bool(set.Check) || m.Account != nil || m.Trusted && !bool(set.CheckClientIPs) {
		return v, nil
	}
	looking, cancel := context.WithTimeout(ctx, set.TimeLimit.Duration())
	defer cancel()
	returnPath := ""
	if !m.Envelope.ReturnPath.IsNull() {
		returnPath = m.Envelope.ReturnPath.String()
	}
	// Some of the time is left for what this server's own domains say.
	verifying, stop := context.WithTimeout(looking, set.TimeLimit.Duration()*3/4)
	defer stop()
	r, err := c.verifier.Verify(verifying, &mailauth.Message{Client: m.Client, HELO: m.HELO, ReturnPath: returnPath, Text: m.Text, Size: m.Size})
	if err != nil {
		return v, err
	}
	d := decision{action: mark}
	if stranger {
		if d, err = c.decide(looking, set, m, r); err != nil {
			return v, err
		}
		if report && d.action < refuse && !proven(r) {
			d = decision{action: refuse, reason: "a report has to be proved by SPF or DKIM of its author's domain"}
		}
	}
	c.log.LogAttrs(ctx, logs.LevelMajor, "sender verified", slog.Any(logs.AttrQueueID, m.ID), slog.String("spf", string(r.SPF.Result)),
		slog.String("dkim", dkimShown(r)), slog.String("dmarc", string(r.DMARC.Result)), slog.String("arc", string(r.ARC.Result)),
		slog.String("author_domain", r.DMARC.Author), slog.String("action", d.action.String()), slog.String("reason", d.reason))
	if stranger && !report && d.action != later && c.reports != nil {
		c.reports.Count(observed(m, r, d))
	}
	switch d.action {
	case refuse:
		v.Refuse = fault.New("arriving.Check", fault.Rejected, d.reason)
		return v, nil
	case later:
		v.Refuse = fault.New("arriving.Check", fault.Unavailable, d.reason)
		return v, nil
	case junk:
		v.Junk = true
	case nothing:
		return v, nil
	}
	v.Fields = []byte(r.AuthenticationResults(m.Name))
	if set.ReceivedSPF {
		v.Fields = append(v.Fields, r.ReceivedSPF(m.Name, m.Client, m.HELO, returnPath)...)
	}
	return v, nil
}

// observed is a message as reports tell of it.
func observed(m *smtp.Message, r *mailauth.Results, d decision) reports.Message {
	o := reports.Message{Results: r, Client: m.Client, From: m.Envelope.ReturnPath.Domain, Disposition: "none"}
	switch d.action {
	case refuse:
		o.Disposition = "reject"
	case junk:
		o.Disposition = "quarantine"
	}
	switch {
	case r.DMARC.Result == mailauth.Fail && o.Disposition == r.DMARC.Policy || r.DMARC.Result == mailauth.Pass && o.Disposition == "none":
	case d.forwarded:
		o.Reason = "trusted_forwarder"
	default:
		o.Reason = "local_policy"
	}
	return o
}

// refusesReport looks at mail for an address that takes reports: what is none is refused here, where its sender reads
// why, and nobody gets a bounce.
func (c *Check) refusesReport(ctx context.Context, m *smtp.Message) (refusal error, report bool) {
	if c.reports == nil || !slices.ContainsFunc(m.Envelope.Recipients, func(r envelope.Recipient) bool { return c.reports.Takes(ctx, r.Address) }) {
		return nil, false
	}
	return c.reports.Accepts(m.Text, m.Size), true
}

// proven reports whether the author domain is proved, also where it publishes no DMARC record. What cannot be looked up
// for now is let through.
func proven(r *mailauth.Results) bool {
	return r.DMARC.Result == mailauth.Pass || r.DMARC.Result == mailauth.TempError ||
		slices.ContainsFunc(r.Authors, func(a string) bool { return r.Authenticated(a) || r.Undecided(a) })
}

// ours tells names of this server.
func (c *Check) ours(name string) func(string) bool {
	return func(id string) bool {
		_, own := c.directory.DomainName(strings.ToLower(id))
		return own || strings.EqualFold(id, name)
	}
}

// dkimShown is the best result of the signatures, with its domain.
func dkimShown(r *mailauth.Results) string {
	best := "none"
	for i, d := range r.DKIM {
		if d.Result == mailauth.Pass {
			return "pass:" + d.Domain
		}
		if i == 0 {
			best = string(d.Result)
		}
	}
	return best
}

// action is what becomes of a message, from mild to strict.
type action int

const (
	nothing action = iota
	mark
	junk
	later // refused for now
	refuse
)

func (a action) String() string { return [...]string{"nothing", "mark", "junk", "later", "refuse"}[a] }

func parse(value string) action {
	switch value {
	case "Mark":
		return mark
	case "Junk":
		return junk
	case "Refuse":
		return refuse
	}
	return nothing
}

type decision struct {
	action action
	reason string
	// forwarded says that the message would have failed, and comes by somebody who is trusted.
	forwarded bool
}

// decide says what becomes of a stranger's message.
func (c *Check) decide(ctx context.Context, set *Settings, m *smtp.Message, r *mailauth.Results) (decision, error) {
	d, err := c.policy(ctx, m, r)
	if err != nil || d.action <= mark {
		return d, err
	}
	for _, exception := range []struct {
		holds bool
		text  string
	}{
		{set.TrustedForwarders.Contains(m.Client), "a trusted forwarder"},
		{r.PassedOn(set.TrustedSealers), "passed on by trusted sealers"},
		{c.proofs.Proves(m.Text, m.Size), "own mail that comes back"},
	} {
		if exception.holds {
			return decision{mark, exception.text + ": " + d.reason, true}, nil
		}
	}
	return d, nil
}

// policy is what the policies say.
func (c *Check) policy(ctx context.Context, m *smtp.Message, r *mailauth.Results) (decision, error) {
	if r.Unclear != "" {
		return decision{action: refuse, reason: "nobody can tell who wrote the message: " + r.Unclear}, nil
	}
	// Mail in our own name.
	for _, domain := range append(slices.Clone(r.Authors), m.Envelope.ReturnPath.Domain) {
		own, ours := c.directory.DomainName(domain)
		if domain == "" || !ours || r.Authenticated(domain) || r.DMARC.Result == mailauth.Pass && r.DMARC.Author == domain || r.Undecided(domain) {
			continue
		}
		policy, err := c.directory.SenderPolicy(own)
		if err != nil {
			return decision{}, err
		}
		published, err := c.verifier.Publishes(ctx, domain)
		switch _, before := c.published.Load(domain); {
		case err != nil && before && parse(policy.OwnDomain) == refuse:
			// The domain is known to say who may send for it, and cannot be asked just now: who is right comes again.
			return decision{action: later, reason: "the DNS does not say now whether this message is from " + domain + "; try again later"}, nil
		case err != nil || !published:
			continue
		}
		c.published.Store(domain, true)
		return decision{action: parse(policy.OwnDomain), reason: fmt.Sprintf("neither SPF nor DKIM proves that this message is from %s", domain)}, nil
	}
	switch {
	case r.DMARC.Result == mailauth.Fail && r.DMARC.Policy != "none":
		reason := fmt.Sprintf("the message fails DMARC of %s, which asks to %s it", r.DMARC.Author, r.DMARC.Policy)
		return c.ofRecipients(m, reason, func(p accounts.SenderPolicy) string {
			if r.DMARC.Policy == "reject" {
				return p.DMARCReject
			}
			return p.DMARCQuarantine
		})
	case r.SPF.Result == mailauth.Fail && r.DMARC.Result == mailauth.None && !r.Authenticated(r.SPF.Domain) && !r.Undecided(r.SPF.Domain):
		reason := fmt.Sprintf("SPF of %s does not allow %s to send this message", r.SPF.Domain, m.Client)
		return c.ofRecipients(m, reason, func(p accounts.SenderPolicy) string { return p.SPFFail })
	}
	return decision{action: mark}, nil
}

// ofRecipients is what the recipients' domains want: a message is refused if all of them refuse it.
func (c *Check) ofRecipients(m *smtp.Message, reason string, value func(accounts.SenderPolicy) string) (decision, error) {
	strict, mild := nothing, refuse
	for _, rcpt := range m.Envelope.Recipients {
		domain, ours := c.directory.DomainName(rcpt.Address.Domain)
		a := mark
		if ours || rcpt.Address.Domain == "" {
			policy, err := c.directory.SenderPolicy(domain)
			if err != nil {
				return decision{}, err
			}
			a = parse(value(policy))
		}
		strict, mild = max(strict, a), min(mild, a)
	}
	if strict == refuse && mild < refuse {
		strict = junk
	}
	return decision{action: strict, reason: reason}, nil
}

// Package router decides where an address leads: which module takes it, in
// which queue, under which address.
package router

import (
	"context"
	"log/slog"
	"net/netip"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// Directory is what the router asks about our domains. All domain names that
// it passes are in the form of address.Address.Domain.
type Directory interface {
	// MainDomain returns the name of the Main Domain.
	MainDomain() string
	// DomainName returns the real name of a domain of ours, given its name or
	// one of its aliases.
	DomainName(name string) (real string, ok bool)
	// OwnIP reports whether an IP address is one of this server's: of its
	// interfaces or assigned to a Domain; domain is that Domain, or empty.
	OwnIP(ip netip.Addr) (domain string, own bool)
	// Object looks a name up in a domain of ours, regardless of case. A name
	// that nobody has is of kind names.None, without an error.
	Object(ctx context.Context, domain, name string) (names.Object, error)
	// UnknownPolicy returns what a domain wants done with unknown names.
	UnknownPolicy(domain string, op names.Operation) names.Policy
}

// Module takes addresses and delivers to them.
type Module string

// The modules.
const (
	SMTP   Module = "SMTP"
	SIP    Module = "SIP"
	LOCAL  Module = "LOCAL"
	LIST   Module = "LIST"
	PIPE   Module = "PIPE"
	SYSTEM Module = "SYSTEM"
)

// Route is where an address leads.
type Route struct {
	Module  Module
	Queue   string          // LOCAL: account@domain; SMTP: the domain or host; SYSTEM: NULL or SPAMTRAP
	Address address.Address // LOCAL: Real-To; SMTP: the address to send to
	Mailbox string          // box of box#account
	Detail  string          // detail of account+detail
	Host    string          // SMTP: the host to connect to, if a record or a literal names it
	Port    int             // SMTP: its port; 0 means 25 and an MX look-up of Host, if that is a name
	Relay   bool            // the relay mark
	All     bool            // all@domain: the caller checks who may write to all
	Unknown bool            // nobody of that name: accept only to bounce
	Direct  bool            // PIPE: named by the sender himself, not by a record
}

// String returns module(queue)address.
func (r Route) String() string {
	return string(r.Module) + "(" + r.Queue + ")" + r.Address.String()
}

// Local reports whether the mail stays here.
func (r Route) Local() bool { return r.Module != SMTP && r.Module != SIP }

// MayRelay says whether a message may take the route, coming from a trusted source or not.
func MayRelay(r Route, trusted bool) error {
	return fault.New("router.MayRelay", fault.Unsupported, "")
}

// Settings of the router.
type Settings struct {
	Table              string
	NonQualifiedSuffix string
}

// Router routes addresses.
type Router struct{}

// New returns a Router.
func New(s *Settings, dir Directory, log *slog.Logger) (*Router, error) {
	return nil, fault.New("router.New", fault.Unsupported, "")
}

// CheckTable reports the first line of a Router Table that is wrong.
func CheckTable(text string) error { return fault.New("router.CheckTable", fault.Unsupported, "") }

// Reload replaces the settings; after an error the old ones stay.
func (r *Router) Reload(s *Settings) error { return fault.New("router.Reload", fault.Unsupported, "") }

// Route returns where an address leads.
func (r *Router) Route(ctx context.Context, op names.Operation, a address.Address) (Route, error) {
	return Route{}, fault.New("router.Route", fault.Unsupported, "")
}

// Step is one rewrite.
type Step struct {
	From, To string
	Line     int    // of the Router Table, or 0
	Text     string // the record or built-in rule
	Relay    bool   // the relay mark after this step
}

// Explain is Route with the steps that led there, also when it ends in an error.
func (r *Router) Explain(ctx context.Context, op names.Operation, a address.Address) ([]Step, Route, error) {
	return nil, Route{}, fault.New("router.Explain", fault.Unsupported, "")
}

package router

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Operation is what an address is routed for; see package names.
type Operation = names.Operation

// The operations.
const (
	Mail   = names.Mail
	Access = names.Access
	Signal = names.Signal
)

// Router routes addresses. Its methods may be called from any goroutine.
type Router struct {
	dir  Directory
	log  *slog.Logger
	live *settings.Live[Settings]
	now  atomic.Pointer[compiled]
	// back says which return-path a name of the Main Domain stands for, see UseReturnPaths.
	back func(local string) (address.Address, bool)
	// reports tells the names that reports are sent to, see UseReports.
	reports func(local string) bool
}

// New returns a router over a directory. An error names the line of the table
// that cannot be used, and why.
func New(s *settings.Live[Settings], dir Directory, log *slog.Logger) (*Router, error) {
	r := &Router{dir: dir, log: logs.Component(log, "ROUTER"), live: s}
	if err := r.Reload(s.Get()); err != nil {
		return nil, err
	}
	return r, nil
}

// UseReturnPaths has names of the Main Domain that nobody bears lead to the return-paths that they stand for
// (SRS): reports about mail that was passed on go back that way, whoever brings them. It is called
// before the router is used.
func (r *Router) UseReturnPaths(back func(local string) (address.Address, bool)) { r.back = back }

// UseReports has names that nobody bears lead to the module REPORTS, in every domain of ours. It is called before the
// router is used.
func (r *Router) UseReports(takes func(local string) bool) { r.reports = takes }

// Reload applies other settings, and puts them into the Live that New got. After
// an error, which names the line and the reason, the old settings stay.
func (r *Router) Reload(s *Settings) error {
	c, err := compile(s)
	if err != nil {
		return err
	}
	c.dir = r.dir
	r.now.Store(c)
	r.live.Set(s)
	return nil
}

// Route returns where an address leads. Errors: fault.NotFound for an unknown
// user account, fault.NoHost for a domain that has no route, fault.Loop,
// fault.Rejected for an address that the table or a domain refuses, fault.Invalid;
// and what the directory reports, temporary unless it says otherwise.
func (r *Router) Route(ctx context.Context, op Operation, a address.Address) (Route, error) {
	w := walk{ctx: ctx, r: r, c: r.now.Load(), op: op, addr: a, direct: true, log: r.log.Enabled(ctx, logs.LevelLowLevel)}
	if a.IsNull() {
		return Route{}, fault.New("router.Route", fault.Invalid, "empty address")
	}
	route, err := w.run()
	if fault.Is(err, fault.Loop) {
		r.logLoop(ctx, op, a)
	}
	return route, err
}

// Step is one rewrite.
type Step struct {
	From, To string
	Line     int    // of the Router Table, or 0
	Text     string // the record or the built-in rule
	Relay    bool   // the relay mark after this step
}

// Explain is Route with the rewrites that led there, also to an error.
func (r *Router) Explain(ctx context.Context, op Operation, a address.Address) ([]Step, Route, error) {
	if a.IsNull() {
		return nil, Route{}, fault.New("router.Explain", fault.Invalid, "empty address")
	}
	w := walk{ctx: ctx, r: r, c: r.now.Load(), op: op, addr: a, direct: true, explain: true}
	route, err := w.run()
	return w.steps, route, err
}

// logLoop logs all rewrites of an address that is rewritten in a loop. Loops are
// rare, so the address is routed again rather than the rewrites kept each time.
func (r *Router) logLoop(ctx context.Context, op Operation, a address.Address) {
	steps, _, _ := r.Explain(ctx, op, a)
	var chain strings.Builder
	chain.WriteString(a.String())
	for _, s := range steps {
		chain.WriteString(" -> " + s.To)
	}
	r.log.LogAttrs(ctx, logs.LevelProblem, "routing loop", slog.String("chain", chain.String()))
}

// compiled is the settings in the form that Route uses.
type compiled struct {
	table *table
	added string // to domains without a dot; empty for the Main Domain
	dir   Directory
}

func compile(s *Settings) (*compiled, error) {
	t, err := compileTable(s.Table)
	if err != nil {
		return nil, err
	}
	c := &compiled{table: t}
	if suffix := strings.TrimPrefix(s.NonQualifiedSuffix, "."); suffix != "" {
		if c.added, err = address.NormalizeDomain(suffix); err != nil {
			return nil, fault.Newf("router.New", fault.Invalid, "NonQualifiedSuffix: %s", fault.Text(err))
		}
	}
	return c, nil
}

func (c *compiled) main() string { return c.dir.MainDomain() }

func (c *compiled) suffix() string {
	if c.added != "" {
		return c.added
	}
	return c.main()
}

// realName returns the real name of a domain of ours, and "" for the Main
// Domain under any of its names.
func (c *compiled) realName(domain string) (real string, ours bool) {
	if domain == "" || domain == names.Localhost {
		return "", true
	}
	if real, ours = c.dir.DomainName(domain); ours && real == c.main() {
		real = ""
	}
	return real, ours
}

func (c *compiled) isMain(domain string) bool {
	real, ours := c.realName(domain)
	return ours && real == ""
}

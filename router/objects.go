package router

import (
	"log/slog"
	"strings"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// routeObject routes an address in a domain of ours, whose real name is given, by
// the objects of the domain.
func (w *walk) routeObject(domain string) (Route, bool, error) {
	if inner, ok := w.addr.Inner(); ok {
		return Route{}, false, w.rewriteInner(inner)
	}
	box, name, detail := splitLocal(w.addr.Local)
	name = strings.ToLower(name)
	if w.op == names.Mail && name == names.All && box == "" && detail == "" {
		return Route{Module: LOCAL, Queue: names.All + "@" + domain, Domain: domain, Address: w.qualified(w.addr), Relay: w.relay, All: true}, true, nil
	}
	o, err := w.lookUp(domain, name)
	if err != nil {
		return Route{}, false, err
	}
	switch o.Kind {
	case names.Alias:
		w.addStep(address.Address{Local: o.Name, Domain: domain}, 0, "account alias")
		return w.accountRoute(domain, o.Name, w.addr, box, detail), true, nil
	case names.Account:
		return w.accountRoute(domain, o.Name, w.addr, box, detail), true, nil
	case names.List, names.Group:
		if o.Disabled && w.op == names.Mail {
			return Route{}, false, fault.Newf("router.Route", fault.Rejected, "the %s takes no mail", o.Kind)
		}
		return Route{Module: LIST, Queue: o.Name + "@" + domain, Name: o.Name, Domain: domain, Address: w.qualified(w.addr), Detail: detail, Relay: w.relay}, true, nil
	case names.Forwarder:
		to, err := address.Parse(o.Target)
		if err != nil {
			return Route{}, false, &fault.Error{Op: "router.Route", Kind: fault.Corrupt, Text: "the address of the forwarder is not valid", Err: err}
		}
		// Whoever may edit the forwarders of a domain must not thereby make programs
		// reachable for strangers: that needs a record of the table.
		w.direct, w.localFromTable = true, true
		return Route{}, false, w.rewrite(to, 0, "forwarder", true)
	}
	return w.applyUnknownPolicy(domain, name)
}

// splitLocal splits box#name+detail. Names of objects have neither character;
// boxes may have both. A + in front belongs to a telephone number.
func splitLocal(local string) (box, name, detail string) {
	name = local
	if i := strings.LastIndexByte(name, '#'); i > 0 {
		box, name = name[:i], name[i+1:]
	}
	if i := strings.IndexByte(name, '+'); i > 0 {
		name, detail = name[:i], name[i+1:]
	}
	return box, name, detail
}

func (w *walk) lookUp(domain, name string) (names.Object, error) {
	if !address.ValidName(name) {
		return names.Object{}, nil
	}
	o, err := w.r.dir.Object(w.ctx, domain, name)
	return o, fault.Wrap("router.Route", fault.Internal, err)
}

// accountRoute is the route to an account; realTo is the recipient as it reached us.
func (w *walk) accountRoute(domain, name string, realTo address.Address, box, detail string) Route {
	return Route{
		Module: LOCAL, Queue: name + "@" + domain, Name: name, Domain: domain, Address: w.qualified(realTo),
		Mailbox: box, Detail: detail, Relay: w.relay,
	}
}

// routeUnified routes to the account that gets all mail of a domain. The
// address from before the domain was rewritten is kept as Real-To.
func (w *walk) routeUnified(domain, name string) (Route, bool, error) {
	o, err := w.lookUp(domain, strings.ToLower(name))
	if err != nil {
		return Route{}, false, err
	}
	if o.Kind != names.Account && o.Kind != names.Alias {
		return Route{}, false, fault.New("router.Route", fault.NotFound, textUnknownUser)
	}
	realTo := w.previous
	if realTo.IsNull() {
		realTo = w.addr
	}
	return w.accountRoute(domain, o.Name, realTo, "", ""), true, nil
}

// mailerDaemon is whom reports are from, in the name of each domain; somebody has to
// read what is answered to them (RFC 3464 section 2).
const mailerDaemon = "mailer-daemon"

// applyUnknownPolicy applies the policy of a domain for names that it does not know. Mail
// for the role names reaches the Main Domain's postmaster before that (RFC 5321
// 4.5.1, RFC 2142).
func (w *walk) applyUnknownPolicy(domain, name string) (Route, bool, error) {
	const postmaster = "postmaster"
	main := w.c.main()
	if w.op == names.Mail {
		switch name {
		case postmaster, "abuse", "hostmaster", mailerDaemon:
			if name != postmaster || domain != main {
				return Route{}, false, w.rewrite(address.Address{Local: postmaster}, 0, "role name", false)
			}
		}
		if domain == main && w.r.back != nil {
			if to, ok := w.r.back(w.addr.Local); ok {
				return Route{}, false, w.rewrite(to, 0, "return-path of mail that was passed on", true)
			}
		}
	}
	if w.op == names.Mail && w.r.reports != nil && w.r.reports(name) {
		return Route{Module: REPORTS, Queue: domain, Address: w.qualified(w.addr), Relay: w.relay}, true, nil
	}
	notFound := fault.New("router.Route", fault.NotFound, textUnknownUser)
	policy, err := w.r.dir.UnknownPolicy(domain, w.op)
	if err != nil {
		return Route{}, false, err
	}
	switch policy.Action {
	case names.Discard:
		if w.op == names.Mail {
			return Route{Module: SYSTEM, Queue: Null, Address: w.qualified(w.addr), Relay: w.relay}, true, nil
		}
	case names.AcceptAndBounce:
		if w.op == names.Mail {
			route := w.accountRoute(domain, name, w.addr, "", "")
			route.Unknown = true
			return route, true, nil
		}
	case names.Reroute:
		rt, err := compileRightSide(policy.Address, true, []string{"x"}, true)
		if err != nil {
			w.r.log.LogAttrs(w.ctx, logs.LevelProblem, "the address for unknown names is not valid", slog.String("domain", domain), slog.String("address", policy.Address), slog.Any(logs.AttrError, err))
			return Route{}, false, notFound
		}
		to, ok, err := rt.apply(w.addr, true, []string{w.addr.Local})
		if err != nil {
			return Route{}, false, err
		}
		if !ok || w.isSame(to) {
			return Route{}, false, notFound
		}
		// During a migration, mail for names that have not moved yet goes on to the
		// old server, whoever sent it. Programs are not reachable that way, as with forwarders.
		w.direct, w.localFromTable = true, w.localFromTable || rt.complex
		return Route{}, false, w.rewrite(to, 0, "unknown name", !mayHoldAddress(w.addr.Local))
	}
	return Route{}, false, notFound
}

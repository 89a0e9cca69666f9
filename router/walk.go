package router

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// maxRewrites is the loop guard.
const maxRewrites = 50

// walk routes one address. It belongs to one call.
type walk struct {
	ctx context.Context
	r   *Router
	c   *compiled
	op  names.Operation

	addr           address.Address
	previous       address.Address // before the last rewrite; zero before the first
	relay          bool            // the relay mark
	direct         bool            // the domain part was not written in the table
	localFromTable bool            // the table or an object of a domain wrote the local part as an address
	rewrites       int
	// unknownNumber is a telephone number that was looked up and belongs to nobody.
	unknownNumber string

	// real is the real name of at.Domain when that is a domain of ours that is not
	// the Main Domain.
	real string

	explain bool // keep steps
	steps   []Step
	log     bool // log steps
}

// run rewrites the address until there is a route or an error.
func (w *walk) run() (Route, error) {
	for {
		route, done, err := w.step()
		if done || err != nil {
			return route, err
		}
	}
}

// step makes one pass of the algorithm in the package comment. It either returns a route or an
// error, or rewrites the address once.
func (w *walk) step() (route Route, done bool, err error) {
	w.resolveDomain()
	if w.addr.Domain == "" {
		if inner, ok := w.addr.Inner(); ok {
			return Route{}, false, w.rewriteInner(inner)
		}
	}
	if word := w.specialName(); word != "" {
		route, err = w.routeSystem(word)
		return route, true, err
	}
	if w.addr.Domain == names.Telnum {
		if hit, err := w.telnum(); hit || err != nil {
			return Route{}, false, err
		}
	}
	if hit, err := w.applyTable(); hit || err != nil {
		return Route{}, false, err
	}
	switch {
	case w.addr.Domain == "":
		return w.routeObject(w.c.main())
	case w.addr.Domain == names.Blacklisted:
		route, err = w.routeSystem(w.addr.Domain)
		return route, true, err
	}
	if ip, ok := w.addr.Literal(); ok {
		return w.routeLiteral(ip)
	}
	if w.real != "" {
		if w.real != w.addr.Domain {
			return Route{}, false, w.rewrite(address.Address{Local: w.addr.Local, Domain: w.real}, 0, "domain alias", false)
		}
		return w.routeObject(w.real)
	}
	if route, done, err = w.routeSuffix(); done || err != nil {
		return route, done, err
	}
	if strings.IndexByte(w.addr.Domain, '.') >= 0 {
		return w.remoteRoute(w.addr.Domain, "", 0), true, nil
	}
	if w.addr.Domain == names.Telnum {
		return Route{}, false, fault.New("router.Route", fault.NoHost, "unknown telephone number")
	}
	full, err := address.NormalizeDomain(w.addr.Domain + "." + w.c.suffix())
	if err != nil {
		return Route{}, false, fault.New("router.Route", fault.NoHost, textUnknownHost)
	}
	return Route{}, false, w.rewrite(address.Address{Local: w.addr.Local, Domain: full}, 0, "domain without a dot", false)
}

const textUnknownHost = "unknown host name"

// resolveDomain cuts off the names of the Main Domain, and finds the real name
// of any other domain of ours.
func (w *walk) resolveDomain() {
	w.real = ""
	if w.addr.Domain == "" || w.addr.Domain[0] == '[' {
		return
	}
	real, ours := w.c.realName(w.addr.Domain)
	switch {
	case !ours:
	case real == "":
		main := w.addr
		main.Domain = ""
		w.addStep(main, 0, "Main Domain")
		w.addr = main
	default:
		w.real = real
	}
}

// specialName returns the built-in name that ends routing, in upper case, or "". The domain
// blacklisted is left to the table first: records for it let somebody in.
func (w *walk) specialName() string {
	word := w.addr.Domain
	if word == "" {
		word = w.addr.Local
	} else if word == names.Blacklisted {
		return ""
	}
	for _, s := range [...]string{names.Null, names.Error, names.Spamtrap, names.Blacklisted} {
		if len(s) == len(word) && strings.EqualFold(s, word) {
			return strings.ToUpper(s)
		}
	}
	return ""
}

// routeSystem routes to a built-in name.
func (w *walk) routeSystem(word string) (Route, error) {
	if w.op == names.Mail && (word == Null || word == Spamtrap) {
		a := w.previous
		if a.IsNull() {
			a = w.addr
		}
		return Route{Module: SYSTEM, Queue: word, Address: w.qualified(a), Relay: w.relay}, nil
	}
	return Route{}, fault.New("router.Route", fault.Rejected, "this address is not accepted here")
}

// telnum looks for the account that has a number.
func (w *walk) telnum() (hit bool, err error) {
	w.unknownNumber = w.addr.Local
	dir, ok := w.r.dir.(TelnumDirectory)
	if !ok {
		return false, nil
	}
	domain, account, ok, err := dir.Telnum(w.ctx, w.addr.Local)
	if err != nil || !ok {
		return false, fault.Wrap("router.Route", fault.Internal, err)
	}
	return true, w.rewrite(address.Address{Local: account, Domain: domain}, 0, "telephone number", false)
}

// applyTable applies the first record that applies. A record that sends a number back
// to telnum, where nobody has it, does not: <+(7-20d)@*> = +*@telnum would take
// the number away from the gateway again.
func (w *walk) applyTable() (hit bool, err error) {
	name := strings.ToLower(w.addr.Local)
	c := w.c.table.candidates(name, w.addr.Domain)
	for r := c.next(); r != nil; r = c.next() {
		fits := r.op == anyOperation || r.op == w.op
		if !fits && !w.log {
			continue
		}
		groups, ok := r.match(w.addr, name, w.c.isMain)
		if !ok {
			continue
		}
		if !fits {
			w.r.log.LogAttrs(w.ctx, logs.LevelAll, fmt.Sprintf("line %d is for %s only", r.line, r.op), slog.String("address", w.addr.String()))
			continue
		}
		to, ok, err := r.right.apply(w.addr, r.accountLevel, groups)
		if err != nil {
			return false, err
		}
		if !ok || w.isSame(to) || to.Domain == names.Telnum && to.Local == w.unknownNumber {
			continue
		}
		w.direct, w.localFromTable = !r.right.domain.fixed(), w.localFromTable || r.right.complex
		return true, w.rewrite(to, r.line, r, r.setsRelayMark(w.addr, groups))
	}
	return false, nil
}

// isSame reports whether a result is the address that we have, by whichever name
// of its domain: such a record would only go in circles.
func (w *walk) isSame(to address.Address) bool {
	if to.Local != w.addr.Local {
		return false
	}
	real, ours := w.c.realName(to.Domain)
	if !ours {
		return to.Domain == w.addr.Domain
	}
	return real == w.real && (real != "" || w.addr.Domain == "")
}

// routeLiteral routes an address whose domain part is an IP address.
func (w *walk) routeLiteral(ip netip.Addr) (Route, bool, error) {
	if domain, own := w.ownIP(ip); own {
		return Route{}, false, w.rewrite(address.Address{Local: w.addr.Local, Domain: domain}, 0, "own IP address", false)
	}
	return w.remoteRoute(w.addr.Domain, w.addr.Domain, 0), true, nil
}

// ownIP reports whether an IP address means this server, as the directory says
// and for the addresses that mean any host itself. The rest of 127/8 may be other servers.
func (w *walk) ownIP(ip netip.Addr) (domain string, own bool) {
	ip = ip.Unmap()
	if domain, own = w.r.dir.OwnIP(ip); own {
		return domain, true
	}
	return "", ip.IsUnspecified() || ip == netip.IPv6Loopback() || ip == loopback4
}

var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// rewriteInner goes on with the address that the local part is. Whatever
// rewrote it before, its domain was written by whoever wrote the local part.
func (w *walk) rewriteInner(inner address.Address) error {
	w.direct, w.localFromTable = true, false
	return w.rewrite(inner, 0, "local part is an address", false)
}

// rewrite replaces the address; rule names the reason.
func (w *walk) rewrite(to address.Address, line int, rule any, mark bool) error {
	w.relay = w.relay || mark
	w.addStep(to, line, rule)
	w.previous, w.addr = w.addr, to
	if w.rewrites++; w.rewrites > maxRewrites {
		return fault.New("router.Route", fault.Loop, "routing loop")
	}
	return nil
}

// addStep keeps a step for Explain, and logs it if the log level asks for it.
func (w *walk) addStep(to address.Address, line int, rule any) {
	if w.explain {
		w.steps = append(w.steps, Step{From: w.addr.String(), To: to.String(), Line: line, Text: fmt.Sprint(rule), Relay: w.relay})
	}
	if w.log {
		text := fmt.Sprintf("%v -> %v (", w.addr, to)
		if line > 0 {
			text += fmt.Sprintf("line %d", line)
		} else {
			text += fmt.Sprint(rule)
		}
		if w.relay {
			text += ", relay"
		}
		w.r.log.LogAttrs(w.ctx, logs.LevelLowLevel, text+")")
	}
}

// qualified gives an address its domain.
func (w *walk) qualified(a address.Address) address.Address {
	if a.Domain == "" {
		a.Domain = w.c.main()
	}
	return a
}

package relay

import (
	"cmp"
	"strings"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
)

// way is how mail leaves: whose hosts take it, and how they are reached.
type way struct {
	name     string // a domain, host or IP address
	port     int    // 0 for the usual one
	mx       bool   // the MX records of name say which hosts these are
	named    bool   // somebody here has named the host, not the sender
	tls      string
	lmtp     bool // the hosts speak LMTP
	source   source
	gateway  *Gateway
	bySender bool         // others' mail in the same queue may go another way
	dest     *Destination // nil: nothing special
	require  bool         // the messages ask for REQUIRETLS (RFC 8689)
	optional bool         // they want to arrive whatever others ask for (TLS-Required: No)
}

// choices are the settings that a way follows from.
type choices struct {
	*Settings
	gateways Gateways
}

func (t *Transport) choices() choices { return choices{t.settings.Get(), t.gateways.Get().Gateways} }

// wayOf returns the way of a recipient of a message: to the host that its route names, as its destination
// says, by the gateway of its return-path or the default one, to the smart host, or to the servers of its
// domain. A status says that there is none.
func (c choices) wayOf(env *envelope.Envelope, r *router.Route) (way, *envelope.Status) {
	if r.Host != "" {
		name := strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]")
		if len(name) > 5 && strings.EqualFold(name[:5], "IPv6:") {
			name = name[5:]
		}
		w := way{name: name, port: r.Port, mx: r.Port == 0 && !isIP(name), named: true}
		return c.finish(w, c.Destinations.of(r.Host)), nil
	}
	domain := r.Address.Domain
	dest := c.Destinations.of(domain)
	direct := way{name: domain, mx: true}
	switch {
	case dest == nil:
	case dest.Gateway != "":
		g := c.gateways.named(dest.Gateway)
		if g == nil || !bool(g.Enabled) {
			return way{}, &noGateway(dest.Gateway, g != nil).status
		}
		return c.through(g, false, dest), nil
	case !dest.Host.IsZero():
		return c.finish(way{name: dest.Host.Name, port: cmp.Or(dest.Host.Port, dest.Port), named: true, lmtp: dest.Host.LMTP}, dest), nil
	case bool(dest.Direct):
		return c.finish(direct, dest), nil
	}
	if g := c.gateways.of(env.ReturnPath); g != nil {
		return c.through(g, !bool(g.Default), dest), nil
	}
	switch {
	case !c.SmartHost.IsZero():
		tls := c.SmartHostTLS
		if tls == tlsRequired {
			tls = tlsVerified
		}
		return way{name: c.SmartHost.Name, port: c.SmartHost.Port, named: true, tls: tls, lmtp: c.SmartHost.LMTP, source: c.SourceIP.source(), dest: dest}, nil
	case c.WithoutHost != byMX:
		st := noHost(c.Settings)
		return way{}, &st
	}
	return c.finish(direct, dest), nil
}

// through returns the way by a gateway. Of the destination only its intervals count.
func (c choices) through(g *Gateway, bySender bool, dest *Destination) way {
	h := g.host()
	w := way{name: h.Name, port: h.Port, named: true, tls: g.TLS, lmtp: h.LMTP, gateway: g, bySender: bySender, dest: dest, source: g.SourceIP.source()}
	if w.source == (source{}) {
		w.source = c.SourceIP.source()
	}
	return w
}

// finish completes a way to other servers as the destination says.
func (c choices) finish(w way, dest *Destination) way {
	w.tls, w.source, w.dest = ifOffered, c.SourceIP.source(), dest
	if dest != nil {
		w.tls = dest.TLS
		if w.port == 0 {
			w.port = dest.Port
		}
		if s := dest.SourceIP.source(); s != (source{}) {
			w.source = s
		}
	}
	return w
}

// noGateway is the delay of mail whose gateway cannot be used.
func noGateway(name string, there bool) *noWay {
	text := "there is no gateway " + name
	if there {
		text = "the gateway " + name + " is disabled"
	}
	return &noWay{envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 4}, Text: text, Queue: true}}
}

// hop is how one host of the way is reached.
func (w way) hop(host string) hop {
	h := hop{host: Host{Name: host, Port: w.port, LMTP: w.lmtp}, tls: w.tls, source: w.source, login: w.gateway, require: w.require}
	if w.mx && w.tls == tlsVerified || w.mx && w.tls == tlsImplicit {
		h.domain = w.name
	}
	return h
}

// channels is how many connections there may be; 0 for those of the module.
func (w way) channels() int {
	switch {
	case w.gateway != nil:
		return w.gateway.Channels
	case w.dest != nil:
		return w.dest.Channels
	}
	return 0
}

// timed gives a delay what the way says about it.
func (w way) timed(st envelope.Status) envelope.Status {
	if w.bySender {
		st.Queue = false
	}
	return w.dest.timed(st)
}

// returnPath is the return-path of a message on its way.
func (w way) returnPath(it *queue.Item, rcpt int) (address.Address, string) {
	return w.gateway.returnPath(it.Envelope, rcpt)
}

package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Destination is how mail for one domain, or for all whose names end alike, is sent.
type Destination struct {
	Gateway  string          `key:"Gateway" help:"name of the gateway that takes the mail" since:"0.2"`
	Host     Host            `key:"Host" help:"host that takes the mail, as host or host:port, in place of the mail servers of the domain" since:"0.2"`
	Direct   settings.Flag   `key:"Direct" default:"NO" help:"the mail goes to the mail servers of the domain although there is a gateway or a smart host for it" since:"0.2"`
	Port     int             `key:"Port" default:"0" help:"port at the mail servers of the domain; 0 for the usual one" since:"0.2"`
	TLS      string          `key:"TLS" default:"If Offered" values:"Never|If Offered|Required|Verified|Implicit" help:"encryption: Required takes any certificate, Verified one of the host or of the domain, Implicit is Verified and from the first byte on" since:"0.2"`
	SourceIP SourceIPs       `key:"SourceIP" help:"addresses of this server to connect from, one of each family; none for those of the module" since:"0.2"`
	Channels int             `key:"Channels" default:"0" unit:"connections" help:"most connections at a time; 0 for ChannelsPerHost" since:"0.2"`
	First    queue.Delays    `key:"RetryFirst" help:"intervals after the first attempts; none for those of the module, or none at all if RetryEvery is given" since:"0.2"`
	Every    settings.Period `key:"RetryEvery" default:"0" help:"retry interval after the first attempts, at every age unless RetryThenEvery is given; 0 for that of the module" since:"0.2"`
	EveryFor settings.Period `key:"RetryEveryFor" default:"0" help:"age of a message until which RetryEvery applies; 0 for that of the module" since:"0.2"`
	Then     settings.Period `key:"RetryThenEvery" default:"0" help:"retry interval after that; 0 for that of the module, or for RetryEvery if that is given" since:"0.2"`
	Expire   settings.Period `key:"RetryFor" default:"0" help:"age at which a message that could not be sent is returned; 0 for that of the module" since:"0.2"`

	schedule *envelope.Schedule // nil for that of the module
}

// Validate checks the values together.
func (d *Destination) Validate() error {
	ways := 0
	for _, given := range []bool{d.Gateway != "", !d.Host.IsZero(), bool(d.Direct)} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return errors.New("of Gateway, Host and Direct one can be given")
	case d.Port < 0 || d.Port > 65535:
		return settings.BadValue("Port", "%d is not a port number", d.Port)
	case d.Channels < 0:
		return settings.BadValue("Channels", "it cannot be negative")
	case d.Every == settings.Never, d.Expire == settings.Never, d.EveryFor == settings.Never, d.Then == settings.Never:
		return errors.New("RetryEvery, RetryEveryFor, RetryThenEvery and RetryFor end at some time")
	}
	d.schedule = nil
	if len(d.First) > 0 || d.Every > 0 || d.EveryFor > 0 || d.Then > 0 {
		d.schedule = &envelope.Schedule{First: d.First, Every: d.Every.Duration(), EveryFor: d.EveryFor.Duration(), Then: d.Then.Duration()}
	}
	return nil
}

// Destinations are the special ones by domain: example.org, *.example.org for all names below it, and
// * for all.
type Destinations map[string]*Destination

// EntrySettings describes one of them.
func (Destinations) EntrySettings() []settings.Setting { return settings.Describe(new(Destination)) }

// SetValue reads a dictionary of dictionaries.
func (m *Destinations) SetValue(v dataformat.Value) error {
	out := Destinations{}
	err := eachEntry(v, func(name string, d dataformat.Dict) error {
		suffix, below := strings.CutPrefix(name, "*.")
		domain, err := address.NormalizeDomain(suffix)
		switch {
		case name == "*":
			domain = name
		case err != nil || below && strings.HasPrefix(domain, "["):
			return fmt.Errorf("%q is not a domain, *.domain or *", name)
		case below:
			domain = "*." + domain
		}
		if out[domain] != nil {
			return fmt.Errorf("%s is given twice", domain)
		}
		dest := new(Destination)
		out[domain] = dest
		return settings.Load(dest, d)
	})
	if err == nil {
		*m = out
	}
	return err
}

// DataValue is the dictionary.
func (m Destinations) DataValue() dataformat.Value {
	out := dataformat.Dict{}
	for name, d := range m {
		out[name] = settings.Explicit(d)
	}
	return out
}

// eachEntry calls do for the entries of a dictionary of dictionaries. The error names the entry.
func eachEntry(v dataformat.Value, do func(name string, d dataformat.Dict) error) error {
	if text, ok := dataformat.Text(v); ok && text == "" {
		return nil
	}
	all, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("a dictionary of dictionaries is expected")
	}
	for name, e := range all {
		d, ok := e.(dataformat.Dict)
		if !ok {
			return fmt.Errorf("%s: a dictionary is expected", name)
		}
		if err := do(name, d); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// of returns the destination of a domain, or nil: the one with its name, else the longest that ends
// alike.
func (m Destinations) of(domain string) *Destination {
	if len(m) == 0 {
		return nil
	}
	if d := m[domain]; d != nil {
		return d
	}
	for rest := domain; ; {
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			return m["*"]
		}
		if d := m["*."+after]; d != nil {
			return d
		}
		rest = after
	}
}

// timed gives a delay the intervals of the destination.
func (d *Destination) timed(st envelope.Status) envelope.Status {
	if d != nil && st.Action == envelope.ActionDelayed {
		st.Schedule, st.Expire = d.schedule, d.Expire.Duration()
	}
	return st
}

// SourceIPs are addresses of this server, at most one of each family.
type SourceIPs []netip.Addr

// SetValue reads an array of addresses; one string stands for a list of one.
func (l *SourceIPs) SetValue(v dataformat.Value) error {
	a, ok := v.(dataformat.Array)
	if s, one := dataformat.Text(v); one {
		a, ok = dataformat.Array{}, true
		if s != "" {
			a = dataformat.Array{v}
		}
	}
	if !ok {
		return errors.New("an array of addresses is expected")
	}
	var out SourceIPs
	for _, e := range a {
		s, _ := dataformat.Text(e)
		ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
		if err != nil {
			return fmt.Errorf("%q is not an IP address", s)
		}
		ip = ip.Unmap()
		if slices.ContainsFunc(out, func(o netip.Addr) bool { return o.Is4() == ip.Is4() }) {
			return errors.New("two addresses of one family")
		}
		out = append(out, ip)
	}
	*l = out
	return nil
}

// DataValue is the array.
func (l SourceIPs) DataValue() dataformat.Value {
	a := make(dataformat.Array, len(l))
	for i, ip := range l {
		a[i] = dataformat.String(ip.String())
	}
	return a
}

// source is a pair of addresses to connect from; a zero address leaves the choice to the system.
type source struct{ v4, v6 netip.Addr }

func (l SourceIPs) source() source {
	var s source
	for _, ip := range l {
		if ip.Is4() {
			s.v4 = ip
		} else {
			s.v6 = ip
		}
	}
	return s
}

// towards returns the address to connect from. ok is false when there is one of the other family only.
func (s source) towards(ip netip.Addr) (from netip.Addr, ok bool) {
	if s == (source{}) {
		return netip.Addr{}, true
	}
	from = s.v6
	if ip.Unmap().Is4() {
		from = s.v4
	}
	return from, from.IsValid()
}

package relay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Gateway is a server that takes mail for elsewhere, with a login if it wants one: a smart host with a name.
type Gateway struct {
	Enabled  settings.Flag `key:"Enabled" default:"YES" help:"the gateway is used; mail that would take another one goes by what comes after it" since:"0.2"`
	Host     Host          `key:"Host" help:"host name or IP address, with :port if it is not the usual one, and with lmtp: before it for LMTP, or lmtp:/path/of/socket" since:"0.2"`
	Port     int           `key:"Port" default:"0" help:"port; 0 for 24 with LMTP, 465 with TLS=Implicit, 587 with a User, else 25" since:"0.2"`
	TLS      string        `key:"TLS" default:"Verified" values:"Never|If Offered|Required|Verified|Implicit" help:"encryption: Required takes any certificate, Verified one of the host, Implicit is Verified and from the first byte on" since:"0.2"`
	User     string        `key:"User" help:"name to log in with; empty for no login" since:"0.2"`
	Password string        `key:"Password" secret:"yes" help:"password; it is stored sealed" since:"0.2"`
	Default  settings.Flag `key:"Default" default:"NO" help:"it takes all mail that no other gateway is for" since:"0.2"`
	Senders  []string      `key:"Senders" help:"return-paths whose mail it takes: addresses, and domains for all of their addresses" since:"0.2"`

	SenderAddress string        `key:"SenderAddress" help:"address to send with, where the gateway takes no other; empty for that of each message" since:"0.2"`
	SenderName    string        `key:"SenderName" help:"name beside SenderAddress; empty for that in From" since:"0.2"`
	SenderField   string        `key:"SenderField" default:"From" values:"From|Sender|None" help:"where SenderAddress goes: it replaces From, and replies go to the former one; or Sender, and From stays; or nowhere" since:"0.2"`
	ReturnPath    settings.Flag `key:"ReplaceReturnPath" default:"YES" help:"SenderAddress is the return-path too, unless that is null; reports of other servers go there" since:"0.2"`

	Channels int       `key:"Channels" default:"0" unit:"connections" help:"most connections at a time; 0 for ChannelsPerHost" since:"0.2"`
	SourceIP SourceIPs `key:"SourceIP" help:"addresses of this server to connect from, one of each family; none for those of the module" since:"0.2"`

	name   string
	sender address.Address // SenderAddress
}

// Validate checks the values together.
func (g *Gateway) Validate() error {
	switch {
	case g.Host.IsZero():
		return errors.New("a Host is needed")
	case isSocket(g.Host.Name) && (g.User != "" || g.Port != 0):
		return settings.BadValue("Host", "at a socket there is no Port and no User to log in with")
	case g.Port < 0 || g.Port > 65535:
		return settings.BadValue("Port", "%d is not a port number", g.Port)
	case g.Port != 0 && g.Host.Port != 0 && g.Port != g.Host.Port:
		return errors.New("Host and Port name different ports")
	case g.Channels < 0:
		return settings.BadValue("Channels", "it cannot be negative")
	case g.User == "" && g.Password != "":
		return errors.New("a Password needs a User")
	case g.User != "" && g.TLS == ifOffered:
		return errors.New("with a User TLS is Required, Verified or Implicit, so that nobody on the way can have the password sent in clear; Never sends it in clear where the server offers no better way")
	case hasControl(g.User), hasControl(g.SenderName):
		return errors.New("the values of User and SenderName are one line each")
	}
	if g.SenderAddress != "" {
		a, err := address.Parse(g.SenderAddress)
		if err != nil || a.Domain == "" {
			return settings.BadValue("SenderAddress", "%q is not a complete address", g.SenderAddress)
		}
		g.sender = a
	}
	for i, s := range g.Senders {
		name, err := senderKey(s)
		if err != nil {
			return settings.BadValue("Senders", "%q is neither an address nor a domain", s)
		}
		g.Senders[i] = name
	}
	return nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// senderKey is an address or a domain in the form in which they are compared.
func senderKey(s string) (string, error) {
	if !strings.Contains(s, "@") {
		return address.NormalizeDomain(s)
	}
	a, err := address.Parse(s)
	if err == nil && a.Domain == "" {
		err = errors.New("no domain")
	}
	return strings.ToLower(a.String()), err
}

// host is the host with its port.
func (g *Gateway) host() Host {
	h := g.Host
	switch {
	case h.Port != 0:
	case g.Port != 0:
		h.Port = g.Port
	case h.LMTP:
	case g.TLS == tlsImplicit:
		h.Port = portSMTPS
	case g.User != "":
		h.Port = portSubmission
	}
	return h
}

// senderInFrom is the SenderField of a gateway that replaces the author.
const senderInFrom = "From"

// rewrites reports whether messages are changed on their way.
func (g *Gateway) rewrites() bool {
	return g != nil && !g.sender.IsNull() && g.SenderField != "None"
}

// returnPath is what a message has there for a recipient on its way through the gateway.
func (g *Gateway) returnPath(env *envelope.Envelope, rcpt int) (a address.Address, local string) {
	if g == nil || g.sender.IsNull() || !bool(g.ReturnPath) || env.ReturnPath.IsNull() {
		return env.ReturnPathFor(rcpt)
	}
	return g.sender, ""
}

// GatewaySettings are those of the module Gateways.
type GatewaySettings struct {
	Gateways Gateways `key:"Gateways" level:"basic" since:"0.2" help:"servers that take mail for elsewhere, by their names; CREATEGATEWAY and its like change them one by one"`
}

// Gateways are all gateways by their names in lower case.
type Gateways map[string]*Gateway

// maxGateways bounds them.
const maxGateways = 1000

// EntrySettings describes one of them.
func (Gateways) EntrySettings() []settings.Setting { return settings.Describe(new(Gateway)) }

// ValidGatewayName reports whether a gateway can have a name: letters, digits, - _ and dots.
func ValidGatewayName(name string) bool { return address.ValidName(name) }

// SetValue reads a dictionary of dictionaries. There is one default at most, and one gateway for
// each sender, among those that are enabled.
func (m *Gateways) SetValue(v dataformat.Value) error {
	out := Gateways{}
	err := eachEntry(v, func(name string, d dataformat.Dict) error {
		key := strings.ToLower(name)
		switch {
		case !ValidGatewayName(name):
			return errors.New("this cannot be the name of a gateway: letters, digits, '-', '_' and dots can")
		case out[key] != nil:
			return errors.New("it is given twice")
		case len(out) == maxGateways:
			return fmt.Errorf("there are more than %d", maxGateways)
		}
		g := &Gateway{name: name}
		if err := settings.Load(g, d); err != nil {
			return err
		}
		g.name = name
		out[key] = g
		return nil
	})
	if err != nil {
		return err
	}
	claimed := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(out)) {
		g := out[key]
		if !g.Enabled {
			continue
		}
		claims := slices.Clone(g.Senders)
		if g.Default {
			claims = append(claims, "")
		}
		for _, c := range claims {
			if other, taken := claimed[c]; taken && c == "" {
				return fmt.Errorf("%s and %s are both the default", other, g.name)
			} else if taken && other != g.name {
				return fmt.Errorf("%s and %s are both for %s", other, g.name, c)
			}
			claimed[c] = g.name
		}
	}
	*m = out
	return nil
}

// DataValue is the dictionary.
func (m Gateways) DataValue() dataformat.Value {
	out := dataformat.Dict{}
	for _, g := range m {
		out[g.name] = settings.Explicit(g)
	}
	return out
}

// of returns the gateway for mail with a return-path, or nil: the one for the address, for its
// domain, or the default.
func (m Gateways) of(returnPath address.Address) *Gateway {
	var best *Gateway
	if len(m) == 0 {
		return nil
	}
	addr := strings.ToLower(returnPath.String())
	rank := 0
	for _, g := range m {
		if !g.Enabled {
			continue
		}
		n := 0
		switch {
		case !returnPath.IsNull() && slices.Contains(g.Senders, addr):
			n = 3
		case !returnPath.IsNull() && slices.Contains(g.Senders, returnPath.Domain):
			n = 2
		case bool(g.Default):
			n = 1
		}
		if n > rank {
			best, rank = g, n
		}
	}
	return best
}

// Sends reports whether an address is a sender of a gateway that is enabled.
func (m Gateways) Sends(a address.Address) bool {
	addr := strings.ToLower(a.String())
	for _, g := range m {
		if bool(g.Enabled) && (slices.Contains(g.Senders, addr) || slices.Contains(g.Senders, a.Domain) || !g.sender.IsNull() && strings.ToLower(g.sender.String()) == addr) {
			return true
		}
	}
	return false
}

// named returns the gateway with a name in any case.
func (m Gateways) named(name string) *Gateway { return m[strings.ToLower(name)] }

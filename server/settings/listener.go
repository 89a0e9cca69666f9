package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"gatepost/server/dataformat"
)

// TLSMode says when a listener's connections are encrypted.
type TLSMode uint8

// The modes.
const (
	TLSNone     TLSMode = iota // never
	TLSStart                   // when the client asks: STARTTLS, STLS
	TLSImplicit                // from the first byte
)

var tlsModes = [...]string{TLSNone: "none", TLSStart: "start", TLSImplicit: "implicit"}

func (m TLSMode) String() string { return tlsModes[m] }

// SetValue reads none, start or implicit.
func (m *TLSMode) SetValue(v dataformat.Value) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	for i, name := range tlsModes {
		if s == name {
			*m = TLSMode(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not none, start or implicit", s)
}

// DataValue is the mode's word.
func (m TLSMode) DataValue() dataformat.Value { return dataformat.String(m.String()) }

// Listener is one address and port that a module accepts connections on. In a
// file it is a dictionary:
//
//	{Address="0.0.0.0";Port=25;TLS=start;Allow="10.0.0.0/8";PerIP=10;}
type Listener struct {
	// Address is the local address, or empty for all.
	Address string `key:"Address" help:"local IP address; empty for all"`
	// Port is the number before a shift by the command line.
	Port int `key:"Port" help:"port number"`
	// TLS says when connections are encrypted.
	TLS TLSMode `key:"TLS" default:"start" help:"none, start (STARTTLS is offered) or implicit"`
	// Allow lists the peers that may connect; an empty list allows all.
	Allow IPList `key:"Allow" help:"addresses that may connect; empty for all"`
	// PerIP limits the open connections of one address that is not a Client IP; 0 is no limit.
	PerIP int `key:"PerIP" default:"0" help:"connections of one address at a time; 0 for no limit"`
	// Proxies lists the peers that are proxies: each of their connections begins with a PROXY header, which names the client.
	Proxies IPList `key:"Proxies" help:"proxies: each of their connections must begin with a PROXY header (versions 1 and 2), which names the client; from others such a header is no header"`
}

// Validate checks address and port.
func (l *Listener) Validate() error {
	if l.Address != "" {
		if _, err := netip.ParseAddr(l.Address); err != nil {
			return BadValue("Address", "%q is not an IP address", l.Address)
		}
	}
	if l.Port < 1 || l.Port > 65535 {
		return BadValue("Port", "%d is not a port number", l.Port)
	}
	if l.PerIP < 0 {
		return BadValue("PerIP", "a negative number of connections")
	}
	return nil
}

// String names the listener for people: 127.0.0.1:25, *:993.
func (l Listener) String() string {
	a := l.Address
	if a == "" {
		a = "*"
	} else if ip, err := netip.ParseAddr(a); err == nil && ip.Is6() {
		a = "[" + a + "]"
	}
	return a + ":" + strconv.Itoa(l.Port)
}

// SetValue reads the dictionary.
func (l *Listener) SetValue(v dataformat.Value) error {
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("a dictionary {Address; Port; TLS; Allow; PerIP; Proxies} is expected")
	}
	var n Listener
	if err := load(&n, d); err != nil {
		return err
	}
	*l = n
	return nil
}

// DataValue is the dictionary of what differs from the defaults.
func (l Listener) DataValue() dataformat.Value { return Explicit(&l) }

// Listeners is a module's list of listeners: an array of dictionaries.
type Listeners []Listener

// SetValue reads the array.
func (ls *Listeners) SetValue(v dataformat.Value) error {
	a, ok := v.(dataformat.Array)
	if !ok {
		return errors.New("an array of listeners is expected")
	}
	out := make(Listeners, len(a))
	for i, e := range a {
		if err := out[i].SetValue(e); err != nil {
			return fmt.Errorf("listener %d: %w", i+1, err)
		}
	}
	*ls = out
	return nil
}

// DataValue is the array.
func (ls Listeners) DataValue() dataformat.Value {
	a := make(dataformat.Array, len(ls))
	for i, l := range ls {
		a[i] = l.DataValue()
	}
	return a
}

package milter

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// Settings are those of one milter. In a file they are a dictionary:
//
//	{Enabled=YES;Name=OpenDKIM;Address="inet:8891@localhost";}
type Settings struct {
	Enabled    settings.Flag   `key:"Enabled" default:"NO" level:"basic" since:"0.2" help:"whether the milter is asked"`
	Name       string          `key:"Name" level:"basic" since:"0.2" help:"what the log calls it"`
	LogLevel   int             `key:"LogLevel" default:"3" level:"basic" since:"0.2" help:"records that are written, 0 to 5"`
	Address    Address         `key:"Address" level:"basic" since:"0.2" help:"its socket: inet:8891@localhost, localhost:8891, unix:/run/rspamd/milter.sock"`
	Timeout    settings.Period `key:"Timeout" default:"30s" level:"basic" since:"0.2" help:"how long a connection and each answer may take, 1s to 2m"`
	OnFailure  string          `key:"OnFailure" default:"tempfail" values:"accept|tempfail" level:"basic" since:"0.2" help:"what becomes of a message when the milter does not answer: the client is asked to try again, or the message goes on"`
	Quarantine string          `key:"Quarantine" default:"junk" values:"junk|reject|accept" level:"advanced" since:"0.2" help:"what becomes of a message that the milter puts into quarantine: it goes into the Junk mailboxes, is refused, or goes on"`

	given dataformat.Dict
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	switch d := s.Timeout.Duration(); {
	case s.LogLevel < 0 || s.LogLevel > 5:
		return settings.BadValue("LogLevel", "%d is not 0 to 5", s.LogLevel)
	case d < time.Second || d > 2*time.Minute:
		return settings.BadValue("Timeout", "%s is not 1s to 2m", s.Timeout)
	case bool(s.Enabled) && s.Address == Address{}:
		return settings.BadValue("Address", "a milter that is enabled needs one")
	case strings.ContainsAny(s.Name, "\r\n"):
		return settings.BadValue("Name", "a name has one line")
	}
	return nil
}

// SetValue reads the dictionary.
func (s *Settings) SetValue(v dataformat.Value) error {
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("a dictionary {Enabled; Name; Address; Timeout; OnFailure} is expected")
	}
	var n Settings
	if err := settings.Load(&n, d); err != nil {
		return errors.New(fault.Text(err))
	}
	n.given = d
	*s = n
	return nil
}

// DataValue is the dictionary as it was given.
func (s Settings) DataValue() dataformat.Value {
	if s.given == nil {
		return dataformat.Dict{}
	}
	return s.given
}

// List are all milters, in the order in which they are asked: an array of dictionaries.
type List []Settings

// SetValue reads the array; one dictionary stands for an array of one.
func (l *List) SetValue(v dataformat.Value) error {
	if text, ok := dataformat.Text(v); ok && text == "" {
		v = dataformat.Array{}
	}
	if d, ok := v.(dataformat.Dict); ok {
		v = dataformat.Array{d}
	}
	array, ok := v.(dataformat.Array)
	if !ok {
		return errors.New("an array of dictionaries {Enabled; Name; Address; ...} is expected")
	}
	out := make(List, len(array))
	for i, e := range array {
		if err := out[i].SetValue(e); err != nil {
			return fmt.Errorf("milter %d: %w", i+1, err)
		}
		if out[i].Name == "" {
			return fmt.Errorf("milter %d: it has no Name", i+1)
		}
		if slices.ContainsFunc(out[:i], func(s Settings) bool { return strings.EqualFold(s.Name, out[i].Name) }) {
			return fmt.Errorf("milter %d: there are two with the name %s", i+1, out[i].Name)
		}
	}
	*l = out
	return nil
}

// DataValue is the array.
func (l List) DataValue() dataformat.Value {
	array := make(dataformat.Array, len(l))
	for i := range l {
		array[i] = l[i].DataValue()
	}
	return array
}

// LogLevel is the highest level of the milters that are enabled, or -1.
func (l List) LogLevel() int {
	level := -1
	for i := range l {
		if l[i].Enabled {
			level = max(level, l[i].LogLevel)
		}
	}
	return level
}

// Address is a socket, as package net names it.
type Address struct{ Network, Where string }

// ParseAddress reads inet:port@host, inet6:port@host, unix:path, local:path, a path, or host:port.
func ParseAddress(s string) (Address, error) {
	s = strings.TrimSpace(s)
	bad := fmt.Errorf("%q is not a socket (such as inet:8891@localhost or unix:/run/milter.sock)", s)
	if s == "" {
		return Address{}, nil
	}
	kind, rest, ok := strings.Cut(s, ":")
	switch {
	case strings.HasPrefix(s, "/"):
		return Address{"unix", s}, nil
	case ok && (kind == "unix" || kind == "local"):
		if !strings.HasPrefix(rest, "/") {
			return Address{}, bad
		}
		return Address{"unix", rest}, nil
	case ok && (kind == "inet" || kind == "inet6"):
		port, host, at := strings.Cut(rest, "@")
		if !at {
			host, port, _ = cutPort(rest)
		}
		if host == "" {
			host = "localhost"
		}
		return newTCP(strings.Trim(host, "[]"), port, map[string]string{"inet": "tcp", "inet6": "tcp6"}[kind], bad)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, bad
	}
	return newTCP(host, port, "tcp", bad)
}

// cutPort splits host:port; a port alone has no host.
func cutPort(s string) (host, port string, ok bool) {
	if h, p, err := net.SplitHostPort(s); err == nil {
		return h, p, true
	}
	return "", s, false
}

func newTCP(host, port, network string, bad error) (Address, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsAny(host, " \t\r\n/@[]") {
		return Address{}, bad
	}
	return Address{network, net.JoinHostPort(host, strconv.FormatUint(n, 10))}, nil
}

func (a Address) String() string {
	switch {
	case a == Address{}:
		return ""
	case a.Network == "unix":
		return "unix:" + a.Where
	}
	host, port, err := net.SplitHostPort(a.Where)
	if err != nil {
		return a.Where
	}
	kind := "inet:"
	if a.Network == "tcp6" {
		kind = "inet6:"
	}
	return kind + port + "@" + host
}

// SetValue reads an address.
func (a *Address) SetValue(v dataformat.Value) error {
	text, ok := dataformat.Text(v)
	if !ok {
		return errors.New("a socket is expected")
	}
	parsed, err := ParseAddress(text)
	if err == nil {
		*a = parsed
	}
	return err
}

// DataValue is the address as String prints it.
func (a Address) DataValue() dataformat.Value { return dataformat.String(a.String()) }

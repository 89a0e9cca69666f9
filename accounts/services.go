package accounts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Services is a set of services (access modes): All, None or named ones. In a
// file it is a word or an array whose first element counts the services that
// existed when it was written; commands may leave the count out.
type Services struct {
	all  bool
	list []string
	// unknown is the first name that is no service. A list whose count is larger than
	// ours has none: it is of a server with more services.
	unknown string
}

// serviceNames are the services that can be switched, as scripts spell them.
var serviceNames = []string{
	"Mail", "Relay", "Signal", "Mobile", "TLS", "POP", "IMAP", "MAPI", "AirSync", "SIP", "XMPP", "WebMail",
	"XIMSS", "FTP", "ACAP", "PWD", "LDAP", "RADIUS", "S/MIME", "WebCAL", "WebSite", "PBX", "HTTP", "MobilePBX",
	"XMedia", "YMedia", "MobilePronto",
}

// ServiceNames lists the services that can be switched.
func ServiceNames() []string { return slices.Clone(serviceNames) }

// Has reports whether the set has a service. A name that is not a service
// cannot be switched off and belongs to every set.
func (s Services) Has(service string) bool {
	if s.all {
		return true
	}
	if slices.ContainsFunc(s.list, func(n string) bool { return strings.EqualFold(n, service) }) {
		return true
	}
	return !isService(service)
}

func isService(name string) bool {
	return slices.ContainsFunc(serviceNames, func(n string) bool { return strings.EqualFold(n, name) })
}

// SetValue reads All, None, or an array with or without the leading count.
// Names of services that this server does not know are kept, as they stand in
// files; check refuses them.
func (s *Services) SetValue(v dataformat.Value) error {
	if word, ok := dataformat.Text(v); ok {
		switch strings.ToLower(word) {
		case "all":
			*s = Services{all: true}
		case "none":
			*s = Services{}
		default:
			return fmt.Errorf("%q is neither All nor None nor an array of services", word)
		}
		return nil
	}
	a, ok := v.(dataformat.Array)
	if !ok {
		return errors.New("one of All, None or an array of services is expected")
	}
	var n Services
	count := 0
	for i, e := range a {
		name, ok := dataformat.Text(e)
		if !ok {
			return fmt.Errorf("element %d is not the name of a service", i+1)
		}
		if c, err := strconv.Atoi(strings.TrimPrefix(name, "#")); err == nil && i == 0 {
			count = c
			continue
		}
		if n.list = append(n.list, name); n.unknown == "" && count <= len(serviceNames) && !isService(name) {
			n.unknown = strconv.Quote(name)
		}
	}
	*s = n
	return nil
}

// check refuses a list that somebody gives with a name that is no service: it would
// switch off what was meant.
func (s Services) check(op, key string) error {
	if s.unknown == "" {
		return nil
	}
	return fault.Newf(op, fault.Invalid, "%s: %s is not a service", key, s.unknown)
}

// DataValue is the set as it is stored, with the count.
func (s Services) DataValue() dataformat.Value {
	switch {
	case s.all:
		return dataformat.String("All")
	case len(s.list) == 0:
		return dataformat.String("None")
	}
	a := dataformat.Array{dataformat.String(strconv.Itoa(len(serviceNames)))}
	for _, n := range s.list {
		a = append(a, dataformat.String(n))
	}
	return a
}

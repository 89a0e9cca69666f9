package accounts

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"gatepost/server/dataformat"
)

// AuthMethods is a setting with SASL mechanisms: All, or the names of some in capitals.
type AuthMethods []string

// allMethods stands for all.
const allMethods = "All"

// maxMethod is the longest name of a mechanism (RFC 4422 section 3.1).
const maxMethod = 20

// Has reports whether a mechanism, named in capitals, is one of them.
func (m AuthMethods) Has(mechanism string) bool {
	return slices.Contains(m, mechanism) || slices.Contains(m, allMethods)
}

// SetValue reads All, None, an array of names, or names with blanks or commas between them. Mechanisms that this server
// does not have are kept, for scripts of servers that have them.
func (m *AuthMethods) SetValue(v dataformat.Value) error {
	given, ok := v.(dataformat.Array)
	if !ok {
		given = dataformat.Array{v}
	}
	var n AuthMethods
	for _, e := range given {
		text, ok := dataformat.Text(e)
		if !ok {
			return fmt.Errorf("%s is not the name of a mechanism", dataformat.Compact(e))
		}
		for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			name = strings.ToUpper(name)
			bad := func(r rune) bool { return !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') }
			switch {
			case name == "NONE":
			case name == "ALL":
				n = append(n, allMethods)
			case len(name) > maxMethod || strings.ContainsFunc(name, bad):
				return fmt.Errorf("%q is not the name of a mechanism", name)
			case !slices.Contains(n, name):
				n = append(n, name)
			}
		}
	}
	*m = n
	return nil
}

// DataValue is All, None, or an array of the names.
func (m AuthMethods) DataValue() dataformat.Value {
	switch {
	case m.Has(allMethods):
		return dataformat.String(allMethods)
	case len(m) == 0:
		return dataformat.String("None")
	}
	a := dataformat.Array{}
	for _, name := range m {
		a = append(a, dataformat.String(name))
	}
	return a
}

// AuthMethods returns the SASL mechanisms that clients may use on connections to a domain: all, if it cannot be read now.
func (s *directory) AuthMethods(domain string) AuthMethods {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return AuthMethods{allMethods}
	}
	return d.settings.AUTHMethods
}

package accounts

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// HostName is a setting that names a host, in A-labels and lower case; empty for none.
type HostName string

// HostNames is a setting that names hosts, given as an array or as a text with spaces or commas between them. A first
// label * stands for any.
type HostNames []string

// maxHostNames bounds the names of one setting.
const maxHostNames = 100

// SetValue reads the names.
func (h *HostNames) SetValue(v dataformat.Value) error {
	given, ok := v.(dataformat.Array)
	if !ok {
		given = dataformat.Array{v}
	}
	var list []string
	for _, e := range given {
		text, ok := dataformat.Text(e)
		if !ok {
			return fmt.Errorf("%s is not a host name", dataformat.Compact(e))
		}
		list = append(list, strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })...)
	}
	if len(list) > maxHostNames {
		return fmt.Errorf("there are more than %d names", maxHostNames)
	}
	*h = nil
	for _, name := range list {
		var one HostName
		star, rest := "", name
		if after, ok := strings.CutPrefix(name, "*."); ok {
			star, rest = "*.", after
		}
		if err := one.SetValue(dataformat.String(rest)); err != nil || one == "" {
			return fmt.Errorf("%q is not a host name", name)
		}
		if !slices.Contains(*h, star+string(one)) {
			*h = append(*h, star+string(one))
		}
	}
	return nil
}

// DataValue is an array of the names.
func (h HostNames) DataValue() dataformat.Value {
	list := dataformat.Array{}
	for _, name := range h {
		list = append(list, dataformat.String(name))
	}
	return list
}

// SetValue reads a name as people type it.
func (h *HostName) SetValue(v dataformat.Value) error {
	text, ok := dataformat.Text(v)
	if !ok {
		return fmt.Errorf("%s is not a host name", dataformat.Compact(v))
	}
	if text == "" {
		*h = ""
		return nil
	}
	name, err := address.NormalizeDomain(text)
	if _, literal := (address.Address{Domain: name}).Literal(); err != nil || literal {
		return fmt.Errorf("%q is not a host name", text)
	}
	*h = HostName(name)
	return nil
}

// DataValue is the name.
func (h HostName) DataValue() dataformat.Value { return dataformat.String(h) }

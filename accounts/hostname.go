package accounts

import (
	"fmt"

	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// HostName is a setting that names a host, in A-labels and lower case; empty for none.
type HostName string

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

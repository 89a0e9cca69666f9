package mailrules

import (
	"slices"
	"testing"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/rules"
)

// A recipient cannot give a program an option.
func TestRecipientsAreNoOptions(t *testing.T) {
	env := &envelope.Envelope{Recipients: []envelope.Recipient{{Address: address.Address{Local: "-oQ", Domain: "a.test"}, Original: "rfc822;-x"}}}
	e := &execution{Execute: rules.Execute{Args: []string{"p"}, Recipients: true, Originals: true}, mail: &mail{env: env}}
	if got, want := e.args(), []string{"p", `"-oQ"@a.test`, `"-oQ"@a.test`}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

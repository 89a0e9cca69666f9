package relay

import (
	"net/netip"
	"testing"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// TestReturnPathOfMailThatIsPassedOn: a stranger's message that leads into another domain gets another
// return-path; one of a user, of a Client IP, a report, and one for the domain that was named do not.
func TestReturnPathOfMailThatIsPassedOn(t *testing.T) {
	parsed := func(s string) address.Address {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	stranger := envelope.Source{Tag: "SMTP", IP: netip.MustParseAddr("192.0.2.9")}
	client, user := stranger, stranger
	client.Trusted = true
	user.Account = "joe@company.com"
	for name, c := range map[string]struct {
		source     envelope.Source
		returnPath string
		to, want   string
	}{
		"passed on": {stranger, "joe@far.net", "ann@far.org", "SRS0=far.net=joe@company.com"},
		"relayed":   {stranger, "joe@far.net", "ann@client.dom", "joe@far.net"},
		"user":      {user, "joe@far.net", "ann@far.org", "joe@far.net"},
		"Client IP": {client, "joe@far.net", "ann@far.org", "joe@far.net"},
		"report":    {stranger, "", "ann@far.org", ""},
		"itself":    {envelope.Source{Tag: "RULE"}, "joe@far.net", "ann@far.org", "joe@far.net"},
		"too long":  {stranger, "long@far.net", "ann@far.org", "long@far.net"},
	} {
		env := &envelope.Envelope{Source: c.source, Recipients: []envelope.Recipient{{Address: parsed("ann@client.dom")}}}
		if c.returnPath != "" {
			env.ReturnPath = parsed(c.returnPath)
		}
		tr := transaction{item: &queue.Item{Envelope: env}, rcpts: []target{{rcpt: 0, to: parsed(c.to)}},
			passedOn: func(a address.Address) (address.Address, bool) {
				return address.Address{Local: "SRS0=" + a.Domain + "=" + a.Local, Domain: "company.com"}, a.Local != "long"
			}}
		got := ""
		if a := tr.returnPath(); !a.IsNull() {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

package rules

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// mail is a message of the tests.
type mail struct {
	env    envelope.Envelope
	rcpts  []int
	routes []string
	size   int64
	header string
	err    error
	method string
	asked  int // how often the header was asked for
}

func (m *mail) Envelope() *envelope.Envelope    { return &m.env }
func (m *mail) Recipients() []int               { return m.rcpts }
func (m *mail) Routes() []string                { return m.routes }
func (m *mail) Size() int64                     { return m.size }
func (m *mail) CalendarMethod() (string, error) { return m.method, nil }
func (m *mail) Decode(value []byte) string      { return message.DecodeHeader(value) }

func (m *mail) Header() ([]byte, error) {
	m.asked++
	return []byte(m.header), m.err
}

func (m *mail) Addresses(value []byte) []Mailbox {
	var out []Mailbox
	for a := range message.Addresses(value) {
		if a.Kind == message.Mailbox && len(a.Local) > 0 {
			addr := string(a.Local)
			if len(a.Domain) > 0 {
				addr += "@" + string(a.Domain)
			}
			out = append(out, Mailbox{Name: message.DecodeHeader(a.Name), Address: addr})
		}
	}
	return out
}

// newMail makes a message from lines of its header, from ann@far.org to joe@corp.com.
func newMail(lines ...string) *mail {
	m := &mail{header: strings.Join(append(lines, "", ""), "\r\n"), size: 1000}
	m.env.ReturnPath = addr("ann@far.org")
	m.env.Recipients = []envelope.Recipient{{Address: addr("joe@corp.com")}}
	m.env.Source = envelope.Source{Tag: "SMTP", IP: netip.MustParseAddr("192.0.2.1")}
	return m
}

func addr(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// office is an account of the tests: joe@corp.com with the alias j.doe.
type office struct {
	boxes []string
	sets  map[string][]string
	prefs map[string]string
	err   error
}

func (o *office) Owns(a address.Address) bool {
	return a.Domain == "corp.com" && (strings.EqualFold(a.Local, "joe") || strings.EqualFold(a.Local, "j.doe"))
}

func (o *office) Remembers(dataset, addr string) (bool, error) {
	return slices.ContainsFunc(o.sets[dataset], func(s string) bool { return strings.EqualFold(s, addr) }), o.err
}

func (o *office) Mailboxes() ([]string, error)  { return o.boxes, o.err }
func (o *office) Preference(name string) string { return o.prefs[name] }
func (o *office) FreeBusy() (string, error)     { return "Busy", o.err }

// noon is a Tuesday.
var noon = time.Date(2024, time.March, 5, 12, 0, 30, 0, time.FixedZone("CET", 3600))

func newOffice() *office {
	return &office{boxes: []string{"INBOX", "Junk", "Lists/Go"}, sets: map[string][]string{"RepliedAddresses": {"old@far.org"}},
		prefs: map[string]string{"Language": "English"}}
}

func input(m *mail, level Level) Input {
	in := Input{Message: m, Owner: addr("postmaster@corp.com"), MainDomain: "corp.com", Now: noon}
	if level != Server {
		in.Recipient, in.Owner, in.OwnerName = newOffice(), addr("joe@corp.com"), "Joe Doe"
	}
	return in
}

func data(t testing.TB, text string) dataformat.Value {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func parse(t testing.TB, level Level, text string) *Set {
	t.Helper()
	s, err := Parse(data(t, text), level)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// run returns what the rules do with a message, one action a line, and how it ends.
func run(t testing.TB, m *mail, level Level, rules string) string {
	t.Helper()
	return runSets(t, input(m, level), parse(t, level, rules), nil)
}

func runSets(t testing.TB, in Input, first, second *Set) string {
	t.Helper()
	var r Run
	r.Start(in, first, second)
	var b strings.Builder
	for step, ok := r.Next(); ok; step, ok = r.Next() {
		b.WriteString(step.Rule.Name + ": " + Describe(step.Action) + "\n")
	}
	if r.Err() != nil {
		return b.String() + "error: " + r.Err().Error()
	}
	out := r.Outcome()
	b.WriteString([...]string{"keep", "discarded", "rejected"}[out.Fate])
	if out.Text != "" {
		b.WriteString(" " + out.Text)
	}
	for _, f := range out.Flags {
		b.WriteString(" " + f)
	}
	return b.String()
}

func lines(all ...string) string { return strings.Join(all, "\n") }

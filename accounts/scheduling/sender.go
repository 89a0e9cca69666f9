package scheduling

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/authres"

	"gatepost/accounts/contentline"
	"gatepost/accounts/delivery"
	"gatepost/accounts/groupware"
	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// sender is who has sent a message.
type sender struct {
	address string // of From, in lower case; "" if there is not exactly one
	// proved says that it is true. local is an account of this server, and calendar says that its calendar has sent the message.
	proved, local, calendar bool
	quiet                   bool
}

// maxHeader is how much of a header is read.
const maxHeader = 256 << 10

// field is a header field.
type field struct{ name, value string }

// readFields reads the header of a message. Names are in lower case, values unfolded.
func readFields(r io.Reader) ([]field, error) {
	var list []field
	b := bufio.NewReader(io.LimitReader(r, maxHeader))
	for {
		text, err := b.ReadString('\n')
		line := strings.TrimRight(text, "\r\n")
		switch {
		case line == "":
		case line[0] == ' ' || line[0] == '\t':
			if len(list) > 0 {
				list[len(list)-1].value += " " + strings.TrimSpace(line)
			}
		default:
			name, value, _ := strings.Cut(line, ":")
			list = append(list, field{strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)})
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if line == "" || err != nil {
			return list, nil
		}
	}
}

// senderOf says who has sent a message.
func (s *Service) senderOf(ctx context.Context, m *delivery.Message) (from sender, err error) {
	text, err := m.Open()
	if err != nil {
		return from, err
	}
	defer text.Close()
	fields, err := readFields(text)
	if err != nil {
		return from, err
	}
	value := ""
	for _, f := range fields {
		if f.name != "from" {
			continue
		}
		if value != "" {
			return from, nil // nobody knows which one a reader believes
		}
		value = f.value
	}
	list, ambiguous := message.AuthorAddresses([]byte(value))
	if len(list) != 1 || ambiguous || len(list[0].Domain) == 0 || len(list[0].Route) > 0 {
		return from, nil
	}
	domain := strings.ToLower(string(list[0].Domain))
	from.address = strings.ToLower(string(list[0].Local)) + "@" + domain
	src := &m.Envelope.Source
	if src.Account != "" {
		name, at, _ := strings.Cut(src.Account, "@")
		account, err := s.Accounts.Account(ctx, at, name)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
			return from, nil
		}
		if err != nil {
			return from, err
		}
		authors, err := s.Accounts.Authors(ctx, account, []byte(value))
		if err != nil {
			return from, err
		}
		from.proved = authors.Own && authors.Count == 1
		from.local = from.proved
		from.calendar = from.proved && src.Tag == envelope.TagCalendar
		for _, f := range fields {
			from.quiet = from.quiet || from.calendar && strings.EqualFold(f.name, headerQuiet)
		}
		return from, nil
	}
	from.proved = src.Tag == "SMTP" && !src.Trusted && authenticated(fields, src.Domain, domain)
	return from, nil
}

// authenticated reports whether the server found, when it received the message, that it comes from a domain: the results are fields before the
// first Received field, which is ours too, under the name of the domain that took the message.
func authenticated(fields []field, server, domain string) bool {
	for _, f := range fields {
		if f.name == "received" {
			return false
		}
		if f.name != "authentication-results" {
			continue
		}
		id, results, err := authres.Parse(f.value)
		if err != nil || !strings.EqualFold(id, server) {
			continue
		}
		passed := false
		for _, one := range results {
			switch r := one.(type) {
			case *authres.DMARCResult:
				if r.Value == authres.ResultFail {
					return false
				}
				passed = passed || r.Value == authres.ResultPass && strings.EqualFold(r.From, domain)
			case *authres.DKIMResult:
				passed = passed || r.Value == authres.ResultPass && strings.EqualFold(r.Domain, domain)
			case *authres.SPFResult:
				_, at, found := strings.Cut(r.From, "@")
				if !found {
					at = r.From
				}
				passed = passed || r.Value == authres.ResultPass && strings.EqualFold(at, domain)
			}
		}
		return passed
	}
	return false
}

// maxKnownCards bounds the cards in which a sender is looked for.
const maxKnownCards = 1000

// knows reports whether the sender is an account of this server, or in the main address book.
func (in *incoming) knows(ctx context.Context) (bool, error) {
	if in.from.local {
		return true, nil
	}
	a := in.m.Account
	c, err := in.s.Groupware.Main(ctx, a, in.s.Groupware.Between(a, a), groupware.Contacts)
	if fault.Is(err, fault.NoMailbox) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	items, err := c.Items(ctx)
	if err != nil {
		return false, err
	}
	for i := range items[:min(len(items), maxKnownCards)] {
		_, text, err := c.Text(ctx, items[i].Name)
		if fault.Is(err, fault.NoMessage) {
			continue
		}
		if err != nil {
			return false, err
		}
		if !bytes.Contains(bytes.ToLower(text), []byte(in.from.address)) {
			continue
		}
		for scan := contentline.NewScanner(string(text)); ; {
			l, err := scan.Next()
			if err != nil {
				break
			}
			if l.Name == "EMAIL" && strings.EqualFold(strings.TrimPrefix(strings.TrimSpace(l.Value), "mailto:"), in.from.address) {
				return true, nil
			}
		}
	}
	return false, nil
}

package vcard

import (
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/server/fault"
)

// Limits of what is read.
const (
	MaxProperties = 20_000
	// MaxCards is the number of cards in a stream.
	MaxCards = 1_000_000
	// MaxUID is the length of a UID in bytes.
	MaxUID = 1024
)

// Property is a property as it was written; Value still has its escapes.
type Property = contentline.Line

// Card is one vCard. It does not change.
type Card struct {
	// Text is the card as it was read, from BEGIN to END with its line end.
	Text string
	// Version is 2.1, 3.0, 4.0, or what else VERSION says.
	Version    string
	Properties []Property

	line     int // of BEGIN
	from, to int // bytes of Text between the lines of BEGIN and END
	start    int // where Text began in what was parsed
}

func invalid(line int, format string, args ...any) error {
	return fault.Wrap("vcard", fault.Invalid, &contentline.SyntaxError{Line: line, Reason: fmt.Sprintf(format, args...)})
}

// Parse reads one card. An error is of kind fault.Invalid, or fault.TooMany for a limit, and says the line and the
// reason.
func Parse(text []byte) (*Card, error) {
	cards, err := parse(string(text), 1)
	if err != nil {
		return nil, err
	}
	return cards[0], nil
}

// ParseStream reads the cards of an export one after another.
func ParseStream(text []byte) ([]*Card, error) { return parse(string(text), MaxCards) }

func parse(text string, most int) ([]*Card, error) {
	var (
		cards []*Card
		open  *Card
		inner int // BEGIN inside of a card: the AGENT of vCard 2.1
	)
	s := contentline.NewScanner(text)
	s.Lenient = true
	for {
		l, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fault.Wrap("vcard", fault.Invalid, err)
		}
		isCard := strings.EqualFold(strings.TrimSpace(l.Value), "VCARD")
		switch {
		case l.Name == "BEGIN" && isCard && open != nil:
			inner++
		case l.Name == "BEGIN" && isCard:
			if len(cards) >= most {
				return nil, fault.Wrap("vcard", fault.TooMany, &contentline.SyntaxError{Line: l.Number, Reason: fmt.Sprintf("there are more than %d cards", most)})
			}
			open = &Card{line: l.Number, start: l.Start, from: l.End - l.Start}
		case open == nil:
			return nil, invalid(l.Number, "%.40s stands where BEGIN:VCARD must be", l.Name)
		case l.Name == "END" && isCard && inner > 0:
			inner--
		case l.Name == "END" && isCard:
			open.to = l.Start - open.start
			open.Text = text[open.start:l.End]
			open.Version = strings.TrimSpace(open.Value("VERSION"))
			cards = append(cards, open)
			open = nil
		case inner > 0:
		default:
			if len(open.Properties) >= MaxProperties {
				return nil, fault.Wrap("vcard", fault.TooMany, &contentline.SyntaxError{Line: l.Number, Reason: fmt.Sprintf("there are more than %d properties", MaxProperties)})
			}
			l.Start, l.End = l.Start-open.start, l.End-open.start
			open.Properties = append(open.Properties, l)
		}
	}
	if open != nil {
		return nil, invalid(open.line, "BEGIN:VCARD has no END:VCARD")
	}
	if len(cards) == 0 {
		return nil, invalid(0, "there is no VCARD")
	}
	return cards, nil
}

// Property returns the first property of a name, nil without one. The name is in upper case.
func (c *Card) Property(name string) *Property {
	for i := range c.Properties {
		if c.Properties[i].Name == name {
			return &c.Properties[i]
		}
	}
	return nil
}

// Value returns the value of the first property of a name as it was written.
func (c *Card) Value(name string) string {
	if p := c.Property(name); p != nil {
		return p.Value
	}
	return ""
}

// Text returns the value of a property without its escapes. Quoted-printable of vCard 2.1 is decoded.
func Text(p *Property) string { return contentline.UnescapeText(decoded(p)) }

// decoded undoes quoted-printable.
func decoded(p *Property) string {
	if !p.ParamIs("ENCODING", "QUOTED-PRINTABLE") {
		return p.Value
	}
	b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(p.Value)))
	if err != nil {
		return p.Value
	}
	text := string(b)
	if charset, ok := p.Param("CHARSET"); ok && strings.EqualFold(charset, "ISO-8859-1") {
		r := make([]rune, len(b))
		for i, c := range b {
			r[i] = rune(c)
		}
		text = string(r)
	}
	return strings.NewReplacer("\r\n", `\n`, "\n", `\n`).Replace(strings.ToValidUTF8(text, "\ufffd"))
}

// UID returns the identity of the card, "" without one.
func (c *Card) UID() string {
	if p := c.Property("UID"); p != nil {
		return strings.TrimSpace(Text(p))
	}
	return ""
}

// Validate says why a card may not be stored as an address object resource (RFC 6352 section 5.1), or nil: it is version
// 3.0 or 4.0 in UTF-8 with one UID and with FN. Errors are of kind fault.Invalid, or fault.Unsupported for another version.
func (c *Card) Validate() error {
	if err := contentline.ValidateText(c.Text, c.line); err != nil {
		return fault.Wrap("vcard", fault.Invalid, err)
	}
	if c.Version != "3.0" && c.Version != "4.0" {
		return fault.Wrap("vcard", fault.Unsupported, &contentline.SyntaxError{Line: c.line,
			Reason: fmt.Sprintf("VERSION is %.20q where 3.0 or 4.0 must be", c.Version)})
	}
	uids := 0
	for i := range c.Properties {
		p := &c.Properties[i]
		if p.Name == "UID" {
			if uids++; uids > 1 {
				return invalid(p.Number, "there is a second UID")
			}
		}
	}
	switch {
	case c.UID() == "":
		return invalid(c.line, "the card has no UID")
	case len(c.UID()) > MaxUID:
		return invalid(c.Property("UID").Number, "the UID is longer than %d bytes", MaxUID)
	case c.Property("FN") == nil:
		return invalid(c.line, "the card has no FN")
	}
	return nil
}

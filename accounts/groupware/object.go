package groupware

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/accounts/icalendar"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// object is what there is to know of the text of an item.
type object struct {
	text      []byte
	component string // VEVENT, VTODO ... ; "" for a card
	uid       string
	title     string
	from, to  int64
	summary   []byte // of a calendar object: icalendar.Object.Summary
}

func (o *object) mediaType() string {
	if o.component == "" {
		return "text/vcard"
	}
	return "text/calendar"
}

// etag is the strong ETag of a text: equal for equal bytes only.
func etag(text []byte) string {
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// ETag returns the strong ETag of a text.
func ETag(text []byte) string { return etag(text) }

// Rule is a condition on what may be stored (RFC 4791 section 5.3.2.1, RFC 6352 section 6.3.2.1).
type Rule uint8

// The rules.
const (
	ValidData     Rule = iota + 1 // the text is iCalendar or vCard
	ValidObject                   // it is a calendar object or a card as collections have them
	ComponentType                 // the collection has components of this type
	UniqueUID                     // no other item has this UID
	Size                          // the text is not too large
)

// Violation is the failure of a text that may not be stored.
type Violation struct {
	Rule Rule
	// Other is the name of the item that has the UID.
	Other string
	Err   error
}

func (v *Violation) Error() string { return v.Err.Error() }
func (v *Violation) Unwrap() error { return v.Err }

// violates makes a Violation.
func violates(r Rule, err error) error { return &Violation{Rule: r, Err: err} }

// parse reads the text of an item for a collection of a kind.
func parse(k Kind, text []byte) (*object, error) {
	if len(text) > maxText {
		return nil, violates(Size, fault.New("groupware.parse", fault.TooLarge, ""))
	}
	switch k {
	case Contacts:
		return parseCard(text)
	case Inbox:
		return parseMessage(text)
	}
	cal, err := icalendar.Parse(text)
	if err != nil {
		return nil, violates(ValidData, err)
	}
	if err := cal.Validate(); err != nil {
		if fault.Is(err, fault.Unsupported) {
			return nil, violates(ComponentType, err)
		}
		return nil, violates(ValidObject, err)
	}
	span, err := cal.Span()
	if err != nil {
		return nil, violates(ValidObject, err)
	}
	o := &object{text: text, component: cal.Type(), uid: cal.UID(), from: span.Start, to: span.End, summary: cal.Summary()}
	if o.to >= icalendar.MaxTime {
		o.to = mailbox.MaxTime
	}
	o.to = max(o.to, o.from+1)
	for _, c := range cal.Root.Components {
		if c.Name == o.component && o.title == "" {
			o.title = c.Text("SUMMARY")
		}
	}
	return o, nil
}

// parseCard reads a vCard: one, with UID and without cards inside.
func parseCard(text []byte) (*object, error) {
	const op = "groupware.parseCard"
	if err := contentline.ValidateText(string(text), 1); err != nil {
		return nil, violates(ValidData, fault.Wrap(op, fault.Invalid, err))
	}
	o := &object{text: text}
	s := contentline.NewScanner(string(text))
	depth, cards := 0, 0
	for {
		l, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, violates(ValidData, fault.Wrap(op, fault.Invalid, err))
		}
		switch name := strings.ToUpper(l.Name); {
		case name == "BEGIN" && strings.EqualFold(l.Value, "VCARD"):
			depth++
			cards++
		case name == "END" && strings.EqualFold(l.Value, "VCARD"):
			depth--
		case depth != 1:
			return nil, violates(ValidData, fault.Newf(op, fault.Invalid, "line %d is not part of a card", l.Number))
		case name == "UID" && o.uid == "":
			o.uid = contentline.UnescapeText(l.Value)
		case name == "FN" && o.title == "":
			o.title = contentline.UnescapeText(l.Value)
		}
		if depth < 0 || depth > 1 {
			return nil, violates(ValidData, fault.Newf(op, fault.Invalid, "line %d is not where it may be", l.Number))
		}
	}
	switch {
	case depth != 0 || cards == 0:
		return nil, violates(ValidData, fault.New(op, fault.Invalid, "the text is not a vCard: BEGIN:VCARD and END:VCARD must enclose it"))
	case cards > 1:
		return nil, violates(ValidObject, fault.New(op, fault.Invalid, "an item is one vCard"))
	case o.uid == "":
		return nil, violates(ValidObject, fault.New(op, fault.Invalid, "the vCard has no UID"))
	}
	return o, nil
}

// IsViolation returns the Violation in the chain of an error.
func IsViolation(err error) (*Violation, bool) {
	var v *Violation
	return v, errors.As(err, &v)
}

package message

import (
	"bytes"
	"time"
)

// Span is the range [Start, End) of a message's bytes.
type Span struct {
	Start, End int64
}

// Size is the number of bytes in the span.
func (s Span) Size() int64 { return s.End - s.Start }

// Param is one parameter of a Content-Type or Content-Disposition, with its
// name in lower case. Values are unquoted and otherwise unchanged. Part.Param, Part.Filename and
// AppendBodyStructure join parameters that RFC 2231 splits.
type Param struct {
	Name, Value string
}

// Part is one node of a message's MIME tree.
type Part struct {
	// Type and Subtype are in lower case and never empty: "text", "plain".
	Type, Subtype string
	Params        []Param
	// ID, Description, Location and MD5 are the fields Content-ID, -Description,
	// -Location and -MD5 as written, or empty.
	ID, Description, Location, MD5 string
	// Encoding is the Content-Transfer-Encoding in lower case; "7bit" if there is none.
	Encoding string
	// Disposition is in lower case, "inline" or "attachment" mostly, or empty.
	Disposition       string
	DispositionParams []Param
	Language          []string

	// Header is the part's header with the empty line that ends it, Body what
	// follows. The line end before a boundary belongs to the boundary.
	Header, Body Span
	// Lines is the number of lines in Body; a last line without an end counts.
	Lines int64

	// Children are the parts of a multipart: at least one there, none elsewhere.
	Children []*Part
	// Message is what a message/rfc822 or message/global holds, nil elsewhere.
	Message *Embedded
}

// Embedded is a message within a message/rfc822 part.
type Embedded struct {
	// Envelope is its IMAP ENVELOPE, as in Summary.
	Envelope []byte
	// Root is its root part.
	Root *Part
}

// Head is the part of a summary that comes from the message's header, which is all that most clients ask for. It
// is the beginning of the stored form, so that it can be read without the rest
// (UnmarshalHead, ScanHead).
type Head struct {
	// Size is the number of bytes of the message.
	Size int64
	// Date is the first Date field with the zone that it names. HasDate says that it could be read.
	Date    time.Time
	HasDate bool
	// HeaderOnly says that the message ends within its header: there is no empty line and no body.
	HeaderOnly bool
	// Envelope is the text of the IMAP ENVELOPE item with its parentheses (RFC
	// 9051 section 7.5.2). Encoded-words and dates stand as in the header.
	Envelope []byte
	// Headers holds the CachedFields, raw, in their order and with their folding,
	// without the empty line.
	Headers []byte
}

// Summary is the result of Scan. It is immutable.
type Summary struct {
	Head
	// HasMedia says that a part is an attachment.
	HasMedia bool
	// Root is the MIME tree.
	Root *Part

	// Subject is the first Subject field, decoded to UTF-8, on one line.
	Subject string
	// MessageID is the first Message-ID field with its angle brackets, or empty.
	MessageID string
	// Preview is the beginning of the message's text, at most MaxPreview
	// characters of UTF-8 on one line.
	Preview string
}

// Section names a piece of a part, as in BODY[1.MIME].
type Section uint8

// The sections (RFC 9051 section 6.4.5.1).
const (
	// Whole is the part's body; of the message itself it is all of it.
	Whole Section = iota
	// Header is the header of the message, or of the message in a message/rfc822 part.
	Header
	// Text is the body of the message, or of the message in a message/rfc822 part.
	Text
	// MIME is the header of the part.
	MIME
)

// Part returns the part with an IMAP part number, such as [2 1] for "2.1". The empty
// path is the root. A message that is not a multipart has one part, number 1, which is its
// body (RFC 9051 section 6.4.5.1).
func (s *Summary) Part(path []int) (*Part, bool) {
	p := s.Root
	whole := true // p is a message: its body is numbered like a part of it
	for _, n := range path {
		if !whole && p.Message != nil {
			p, whole = p.Message.Root, true
		}
		switch {
		case n < 1:
			return nil, false
		case len(p.Children) > 0:
			if n > len(p.Children) {
				return nil, false
			}
			p = p.Children[n-1]
		case n > 1 || !whole:
			return nil, false
		}
		whole = false
	}
	return p, true
}

// Section returns the span of BODY[path.section], and false if it does
// not exist.
func (s *Summary) Section(path []int, section Section) (Span, bool) {
	p, ok := s.Part(path)
	if !ok {
		return Span{}, false
	}
	if len(path) == 0 {
		switch section {
		case Whole:
			return Span{0, s.Size}, true
		case Header:
			return p.Header, true
		case Text:
			return p.Body, true
		}
		return Span{}, false
	}
	switch {
	case section == Whole:
		return p.Body, true
	case section == MIME:
		return p.Header, true
	case p.Message == nil:
		return Span{}, false
	case section == Header:
		return p.Message.Root.Header, true
	}
	return p.Message.Root.Body, true
}

// Param returns the value of a parameter of the Content-Type, or "". Continuations (RFC 2231)
// are joined. A value with a charset is not converted, since
// programs read it.
func (p *Part) Param(name string) string {
	if v := param(p.Params, name); v != "" {
		return v
	}
	raw, _, _ := joined(p.Params, name)
	return string(bytes.TrimSpace(raw))
}

func param(params []Param, name string) string {
	for _, q := range params {
		if q.Name == name {
			return q.Value
		}
	}
	return ""
}

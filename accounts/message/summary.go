package message

import (
	"io"
	"time"

	"gatepost/server/fault"
)

// Span is the range [Start, End) of a message's bytes.
type Span struct {
	Start, End int64
}

// Size is the number of bytes in the span.
func (s Span) Size() int64 { return s.End - s.Start }

// Param is one parameter of a Content-Type or Content-Disposition, with its
// name in lower case. Values are unquoted and otherwise as written; the
// continuations and charsets of RFC 2231 are left to the reader.
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
	// Lines is the number of lines in Body, which is wanted for text and
	// message/rfc822.
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

// Summary is what Scan finds out about a message. It is not changed once made.
type Summary struct {
	// Size is the number of bytes read.
	Size int64
	// Envelope is the text of the IMAP ENVELOPE item with its parentheses (RFC
	// 9051 section 7.5.2). Encoded-words and dates stand as in the header.
	Envelope []byte
	// Headers holds the CachedFields, raw, in their order and with their folding, without the
	// empty line.
	Headers []byte
	// Root is the MIME tree.
	Root *Part

	// Subject is the first Subject field, decoded to UTF-8, on one line.
	Subject string
	// MessageID is the first Message-ID field with its angle brackets, or empty.
	MessageID string
	// Date is the first Date field with the zone that it names; zero if it can't be read.
	Date time.Time
	// Preview is the beginning of the message's text, at most MaxPreview
	// characters of UTF-8 on one line.
	Preview string
	// HasMedia says that there is a part that a person would call an attachment.
	HasMedia bool
}

// Options change the limits of Scan; zero means the package's constant.
type Options struct {
	MaxDepth, MaxParts, MaxHeader int
}

// Scan reads a message to its end and says what is in it. Lines end in CRLF; a
// bare LF ends a line too. The error is r's, if any.
func Scan(r io.Reader, o Options) (*Summary, error) {
	return nil, fault.New("message.Scan", fault.Unsupported, "")
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

// Part finds a part by its IMAP number, such as [2 1] for "2.1". The empty
// path is the root.
func (s *Summary) Part(path []int) (*Part, bool) { return nil, false }

// Section finds the bytes that BODY[path.section] names; false where the
// message has none.
func (s *Summary) Section(path []int, section Section) (Span, bool) { return Span{}, false }

// Cached reports whether all the fields are CachedFields, so that
// HeaderFields(s.Headers, names, false) answers for the whole header.
func Cached(names []string) bool { return false }

// HeaderFields returns the raw fields of a header that have one of the names, or
// with not those that have none of them, in their order, and an empty line at
// the end: what IMAP calls HEADER.FIELDS and HEADER.FIELDS.NOT. The letters'
// case is ignored.
func HeaderFields(header []byte, names []string, not bool) []byte { return nil }

// AppendBodyStructure appends the IMAP text of a part: BODYSTRUCTURE if
// extended, else BODY.
func AppendBodyStructure(dst []byte, p *Part, extended bool) []byte { return dst }

// Marshal returns the stored form.
func (s *Summary) Marshal() []byte { return nil }

// Unmarshal reads what Marshal wrote. The summary may share b's memory. Bytes that Marshal did
// not write are fault.Corrupt.
func Unmarshal(b []byte) (*Summary, error) {
	return nil, fault.New("message.Unmarshal", fault.Unsupported, "")
}

// Decode undoes a Content-Transfer-Encoding. Damaged input gives what can be
// read of it, never an error of its own. An unknown encoding changes nothing.
func Decode(r io.Reader, encoding string) io.Reader { return r }

// ToUTF8 converts text from a charset to UTF-8. Unknown charsets are read as
// windows-1252 where they are not valid UTF-8. For search and display.
func ToUTF8(r io.Reader, charset string) io.Reader { return r }

// DecodeHeader returns the value of a header field for people and for search:
// unfolded, encoded-words (RFC 2047) decoded, valid UTF-8, no line ends.
func DecodeHeader(value []byte) string { return string(value) }

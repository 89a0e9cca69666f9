// Package dataformat reads and writes the text form of settings, command
// parameters and answers.
package dataformat

import (
	"net/netip"
	"time"

	"gatepost/server/fault"
)

// Value is one object: a String, Data, Number, Time, IP, Null, Opaque, Array,
// Dict or XML. A nil Value prints as Null.
type Value any

// The kinds of objects.
type (
	String string           // text in UTF-8, without zero bytes
	Data   []byte           // a datablock, [base64]
	Number int64            // #123
	Array  []Value          // (a, b)
	Dict   map[string]Value // {k=v;}
	XML    string           // one XML element, as written
	Opaque string           // #(text): an object without a text form
	Null   struct{}         // #NULL#
)

// TimeKind tells an instant from the infinitely remote ones.
type TimeKind uint8

// The kinds of time stamps.
const (
	Instant TimeKind = iota
	Past             // #TPAST
	Future           // #TFUTURE
)

// Time is a time stamp in UTC, to the second.
type Time struct {
	T    time.Time
	Kind TimeKind
}

// IP is an IP address with an optional port.
type IP struct {
	Addr    netip.Addr
	Port    uint16
	HasPort bool
}

// SyntaxError says where a text breaks the syntax. It is of kind fault.Invalid.
type SyntaxError struct {
	Offset int // of the offending byte
	Line   int // counted from 1
	Msg    string
}

func (e *SyntaxError) Error() string { return e.Msg }

func (e *SyntaxError) Unwrap() error { return &fault.Error{Kind: fault.Invalid, Text: e.Msg} }

// Parse reads a multi-line text that holds one object.
func Parse(text []byte) (Value, error) {
	return nil, fault.New("dataformat.Parse", fault.Unsupported, "")
}

// Decoder reads the objects of a single-line text one by one.
type Decoder struct {
	line string
}

// NewDecoder returns a Decoder at the start of line.
func NewDecoder(line string) *Decoder { return &Decoder{line: line} }

// Value reads the next object.
func (d *Decoder) Value() (Value, error) {
	return nil, fault.New("dataformat.Value", fault.Unsupported, "")
}

// Word reads a keyword, name or address, quoted or not.
func (d *Decoder) Word() (string, error) {
	return "", fault.New("dataformat.Word", fault.Unsupported, "")
}

// Rest returns what was not read yet, without leading blanks.
func (d *Decoder) Rest() string { return d.line }

// AtEnd reports whether only blanks remain.
func (d *Decoder) AtEnd() bool { return true }

// Style is a printed form.
type Style uint8

// The styles.
const (
	StylePretty  Style = iota // Pretty
	StyleOld                  // PrettyOld
	StyleCompact              // Compact
)

// Compact returns the single-line form.
func Compact(v Value) string { return "" }

// Pretty returns the multi-line form of version 6, without a final line end.
func Pretty(v Value) string { return "" }

// PrettyOld returns the multi-line form of version 5, without a final line end.
func PrettyOld(v Value) string { return "" }

// AppendCompact appends what Compact returns.
func AppendCompact(dst []byte, v Value) []byte { return dst }

// Quote returns a string as it is printed: bare if it can be, else quoted.
func Quote(s string) string { return s }

// Text returns the text of a String, or a Number in decimal.
func Text(v Value) (string, bool) { return "", false }

// Int returns an integer in any of the forms that clients send: 5, "5", #5, "#5".
func Int(v Value) (int64, bool) { return 0, false }

// String returns the text under key, or "".
func (d Dict) String(key string) string { return "" }

// Strings returns the texts of the array under key; a single text is an array of one.
func (d Dict) Strings(key string) []string { return nil }

// ReadFile reads the object of a file. A missing file is (nil, nil).
func ReadFile(path string) (Value, error) {
	return nil, fault.New("dataformat.ReadFile", fault.Unsupported, "")
}

// WriteFile replaces a file atomically and durably.
func WriteFile(path string, v Value, style Style) error {
	return fault.New("dataformat.WriteFile", fault.Unsupported, "")
}

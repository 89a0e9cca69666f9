// Package dataformat reads and writes the text form of objects that settings
// files, command parameters and answers, and helper protocols are made of.
//
//	abc  "a b"           a String: bare when it can be, else quoted
//	[HcqHfHI=]           Data in Base64
//	#-50                 a Number
//	#T22-10-2009_15:24:45, #TPAST, #TFUTURE     a Time, in UTC
//	#I[10.0.44.55]:25    an IP with a port, or without
//	#NULL#               Null
//	#(...)               Opaque: an object that has no text form
//	(a, b)               an Array
//	{k=v; k2=v2;}        a Dict; the last ; is needed as well
//	<tag>text</tag>      XML: one element
//
// Most numbers in settings are strings of digits, and booleans are the strings
// YES and NO; Text and Int read either.
//
// # Two contexts
//
// A file, or an answer of many lines, is multi-line text: Parse reads it. Blanks,
// TABs, line ends and comments (// to the end of the line, /* to */) separate.
// A command line is single-line text: a Decoder takes its words and objects
// one by one, and only blanks separate. Pieces of quoted text that follow each
// other are one string inside an array or a dictionary and in files, but two
// words of a command.
//
// # Three printed forms
//
// Compact is the single-line form: no spaces at all, since there are clients
// that split at commas and don't trim. Pretty is the multi-line form of version
// 6, two spaces per level. PrettyOld is that of version 5: " Key = value;" and
// everything below on the same line; scripts read account settings line by line
// in that form. Keys are sorted by their bytes. For every value that was
// parsed, each form reads back as the same value.
//
// # Strings
//
// A string prints bare when it consists of letters, digits and . _ @ - and
// does not start with -. In quotes, \e is a line end (LF), \r CR, \t TAB, \ddd
// a byte in decimal, \u'hex' a character. A string never holds a zero byte:
// reading refuses one, printing leaves it out.
//
// # Limits
//
// Objects nest to MaxDepth. The strings of a value share the memory of the
// text that it was parsed from.
package dataformat

import (
	"net/netip"
	"strconv"
	"time"

	"gatepost/server/fault"
)

// MaxDepth is how deep arrays, dictionaries and XML elements may nest.
const MaxDepth = 100

// Value is one object: a String, Data, Number, Time, IP, Null, Opaque, Array,
// Dict or XML. A nil Value prints as Null.
type Value any

// The kinds of objects.
type (
	String string           // text in UTF-8, without zero bytes
	Data   []byte           // binary data, [base64]
	Number int64            // #123
	Array  []Value          // (a, b)
	Dict   map[string]Value // {k=v;}
	XML    string           // one element; line ends in it are character references
	Opaque string           // what stands in #(...)
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

// Time is a time stamp in UTC, to the second. T means something only for an
// Instant; years outside 0 to 9999 print as remote past or future.
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

// SyntaxError says where a text breaks the syntax. It is of kind
// fault.Invalid, and its Msg may be shown to whoever wrote the text.
type SyntaxError struct {
	Offset int // of the offending byte
	Line   int // counted from 1
	Msg    string
}

func (e *SyntaxError) Error() string {
	return "line " + strconv.Itoa(e.Line) + ", offset " + strconv.Itoa(e.Offset) + ": " + e.Msg
}

// Unwrap gives the error its kind.
func (e *SyntaxError) Unwrap() error {
	return &fault.Error{Op: "dataformat.Parse", Kind: fault.Invalid, Text: e.Msg}
}

// Text returns the text of a String, or a Number in decimal.
func Text(v Value) (string, bool) {
	switch v := v.(type) {
	case String:
		return string(v), true
	case Number:
		return strconv.FormatInt(int64(v), 10), true
	}
	return "", false
}

// Int returns an integer in any of the forms that clients send: 5, "5", #5, "#5".
func Int(v Value) (int64, bool) {
	switch v := v.(type) {
	case Number:
		return int64(v), true
	case String:
		s := string(v)
		if len(s) > 0 && s[0] == '#' {
			s = s[1:]
		}
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// String returns the text under key, or "".
func (d Dict) String(key string) string {
	s, _ := Text(d[key])
	return s
}

// Strings returns the texts of the array under key; a single text is an array
// of one. Elements that are no text are left out.
func (d Dict) Strings(key string) []string {
	a, ok := d[key].(Array)
	if !ok {
		if s, ok := Text(d[key]); ok {
			return []string{s}
		}
		return nil
	}
	texts := make([]string, 0, len(a))
	for _, v := range a {
		if s, ok := Text(v); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

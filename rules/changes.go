package rules

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Changes are what the actions of a run, and the filters that it asked, change of a message.
type Changes struct {
	Tag    string  // stands before the subject
	Fields []Field // stand at the end of the header
}

// Changes are those so far. What is stored or sent after them has them.
func (r *Run) Changes() Changes {
	c := r.changes
	c.Fields = c.Fields[:len(c.Fields):len(c.Fields)]
	return c
}

// Empty reports whether nothing is changed.
func (c *Changes) Empty() bool { return c.Tag == "" && len(c.Fields) == 0 }

// Apply returns a header with the changes. The header may have the empty line that ends it; then
// the result has it too.
func (c *Changes) Apply(header []byte) []byte {
	out := make([]byte, 0, len(header)+256)
	tagged := c.Tag == ""
	rest := header
	for len(rest) > 0 && !bytes.HasPrefix(rest, []byte("\r\n")) && rest[0] != '\n' {
		f, after := cutField(rest)
		if !tagged && f.named("Subject") {
			tagged = true
			out = append(append(append(out, f.name...), ": "...), tagSubject(c.Tag, f.value)...)
			out = append(out, "\r\n"...)
		} else {
			out = append(out, rest[:len(rest)-len(after)]...)
		}
		rest = after
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, "\r\n"...)
	}
	if !tagged {
		out = AppendFields(out, []Field{{"Subject", c.Tag}})
	}
	return append(AppendFields(out, c.Fields), rest...)
}

// tagSubject puts a text before the raw value of a Subject field. Encoded words stay as they are,
// which needs a blank on both sides of each, and none is seen between two (RFC 2047 sections 5 and
// 6.2).
func tagSubject(tag string, value []byte) []byte {
	value = bytes.TrimLeft(value, " \t")
	blank := strings.HasSuffix(tag, " ")
	text := strings.TrimRight(tag, " ")
	switch encoded := bytes.HasPrefix(value, []byte("=?")); {
	case isASCII(tag) && (blank || !encoded):
		return append([]byte(tag), value...)
	case encoded:
		return append([]byte(encodedWords(tag)+" "), value...)
	case blank:
		return append([]byte(encodedWords(text)+" "), value...)
	}
	// The first word of the subject becomes part of what is encoded.
	end := bytes.IndexAny(value, " \t\r\n")
	if end < 0 {
		end = len(value)
	}
	first := string(value[:end])
	if bytes.HasPrefix(bytes.TrimLeft(value[end:], " \t\r\n"), []byte("=?")) {
		first += " "
	}
	return append([]byte(encodedWords(tag+first)), value[end:]...)
}

// encodedWords is a text as encoded words, also where it is ASCII (RFC 2047 section 2: of 75
// characters at most).
func encodedWords(s string) string {
	var words []string
	for s != "" {
		n := min(len(s), 45)
		for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, "\r\n ")
}

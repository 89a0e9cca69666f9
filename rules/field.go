package rules

import (
	"fmt"
	"mime"
	"strings"
)

// Field is a header field. Its value is UTF-8 on one line.
type Field struct{ Name, Value string }

// maxFieldValue bounds a value.
const maxFieldValue = 8000

// ParseFields reads header fields, one a line, as Add Header and the answer of an External Filter
// have them. Lines end in LF or CRLF; empty ones are left out, and a line that begins with a blank
// goes on with the field before it.
func ParseFields(text string) ([]Field, error) {
	var out []Field
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			continue
		}
		if (line[0] == ' ' || line[0] == '\t') && len(out) > 0 {
			f := &out[len(out)-1]
			f.Value = clip(f.Value+" "+oneLine(strings.TrimLeft(line, " \t")), maxFieldValue)
			continue
		}
		f, ok := parseField(line)
		if !ok {
			return nil, fmt.Errorf("%q is not a header field, Name: value", clip(line, maxShownLength))
		}
		out = append(out, f)
	}
	return out, nil
}

// parseField reads a field on one line.
func parseField(line string) (Field, bool) {
	name, val, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || name == "" {
		return Field{}, false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' { // RFC 5322 section 2.2
			return Field{}, false
		}
	}
	return Field{name, clip(oneLine(strings.TrimSpace(val)), maxFieldValue)}, true
}

// AppendFields appends fields as they stand in a message: what is not ASCII becomes encoded words
// (RFC 2047), long lines are folded.
func AppendFields(dst []byte, fields []Field) []byte {
	for _, f := range fields {
		dst = appendFolded(dst, f.Name, encodeWords(f.Value))
	}
	return dst
}

// encodeWords encodes the words that are not ASCII, and leaves others as they are, so that it also
// serves fields with addresses. Quotation marks around encoded words have no place there (RFC 2047
// section 5).
func encodeWords(value string) string {
	if isASCII(value) {
		return value
	}
	var out, run []string
	end := func() {
		if text := strings.Join(run, " "); len(run) > 0 {
			if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
				text = text[1 : len(text)-1]
			}
			out = append(out, mime.BEncoding.Encode("utf-8", text))
			run = run[:0]
		}
	}
	for word := range strings.SplitSeq(value, " ") {
		if isASCII(word) {
			end()
			out = append(out, word)
		} else {
			run = append(run, word)
		}
	}
	end()
	return strings.Join(out, " ")
}

const (
	lineLength = 76  // where a line is folded (RFC 5322 section 2.1.1)
	maxWord    = 900 // where a word is cut, so that no line is longer than RFC 5322 section 2.1.1 lets it be
)

// appendFolded appends a field, with line ends before blanks where lines would get long.
func appendFolded(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ':')
	column := len(name) + 1
	for word := range strings.SplitSeq(value, " ") {
		for {
			piece := word[:min(len(word), maxWord)]
			if column+1+len(piece) > lineLength && column > len(name)+1 && piece != "" {
				dst = append(dst, "\r\n"...)
				column = 0
			}
			dst = append(append(dst, ' '), piece...)
			column += 1 + len(piece)
			if word = word[len(piece):]; word == "" {
				break
			}
		}
	}
	return append(dst, "\r\n"...)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

package pop3

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A client without UTF8 gets headers that are ASCII (RFC 6856 section 5): raw UTF-8 in them becomes encoded-words, parameters get the form of
// RFC 2231, and an address that is not ASCII becomes an empty group with that address as its name (RFC 6857 section 3.1.8, RFC 6858): nobody can
// answer to it by a program that does not know such addresses. Bytes that are no UTF-8 are of an old charset, and stay as they are.

// needsDowngrade reports whether a header has raw UTF-8.
func needsDowngrade(header []byte) bool { return !isASCII(header) && utf8.Valid(header) }

func isASCII[S ~string | ~[]byte](s S) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// headerEnd returns the length of the header with the empty line, or 0 if that is not there.
func headerEnd(text []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			return 0
		}
		if line := bytes.TrimRight(text[at:at+n], "\r"); len(line) == 0 {
			return at + n + 1
		}
		at += n + 1
	}
}

// downgradeHeader returns a header in ASCII.
func downgradeHeader(header []byte) []byte {
	out := make([]byte, 0, len(header)+len(header)/2)
	for len(header) > 0 {
		n := fieldLen(header)
		field := header[:n]
		header = header[n:]
		colon := bytes.IndexByte(field, ':')
		if isASCII(field) || colon < 0 {
			out = append(out, asciiOnly(field)...)
			continue
		}
		name := asciiOnly(field[:colon])
		value := strings.TrimSpace(folding.ReplaceAllString(string(field[colon+1:]), "$1"))
		out = append(append(out, name...), ": "...)
		switch key := strings.ToLower(strings.TrimSpace(string(name))); {
		case addressFields[strings.TrimPrefix(key, "resent-")]:
			value = downgradeAddresses(value)
		case strings.HasPrefix(key, "content-") && strings.Contains(value, ";"):
			value = downgradeParameters(value)
		default:
			value = downgradeText(value)
		}
		out = append(append(out, value...), "\r\n"...)
	}
	return out
}

// fieldLen returns the length of the first field with its continuation lines, at least 1.
func fieldLen(header []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(header[at:], '\n')
		if n < 0 {
			return len(header)
		}
		if at += n + 1; at == len(header) || header[at] != ' ' && header[at] != '\t' {
			return at
		}
	}
}

var (
	folding       = regexp.MustCompile(`\r?\n([ \t])`)
	addressFields = map[string]bool{"from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "bcc": true,
		"disposition-notification-to": true, "return-path": true, "delivered-to": true}
	// foreignWords are words with other characters than ASCII, and what lies between them.
	foreignWords = regexp.MustCompile(`[^\s]*[^\x00-\x7f\s][^\s]*(?:[ \t]+[^\s]*[^\x00-\x7f\s][^\s]*)*`)
	parameter    = regexp.MustCompile(`(;[ \t]*)([!-:<>-~]+)=("(?:[^"\\]|\\.)*"|[^;\s]*)`)
	// addressToken is a quoted string, an address in angle brackets, a comment, or a word.
	addressToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"(?:@[^\s,;<>]+)?|<[^>]*>|\([^()]*\)|[^\s,;:<>()"]+`)
	escaped      = regexp.MustCompile(`\\(.)`)
)

// asciiOnly puts a question mark in place of what is not ASCII.
func asciiOnly(b []byte) []byte {
	if isASCII(b) {
		return b
	}
	return []byte(strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, string(b)))
}

// encodedWords returns a text as encoded-words (RFC 2047), one on a line.
func encodedWords(text string) string {
	return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", text), "?= =?", "?=\r\n =?")
}

func downgradeText(value string) string {
	return foreignWords.ReplaceAllStringFunc(value, encodedWords)
}

func downgradeAddresses(value string) string {
	return addressToken.ReplaceAllStringFunc(value, func(token string) string {
		switch {
		case isASCII(token):
			return token
		case token[0] == '<':
			return encodedWords(strings.Trim(token, "<>")) + ":;"
		case token[0] == '(':
			return "(" + encodedWords(strings.Trim(token, "()")) + ")"
		case token[0] == '"' && strings.HasSuffix(token, `"`):
			return encodedWords(escaped.ReplaceAllString(token[1:len(token)-1], "$1"))
		case strings.Contains(token, "@"):
			return encodedWords(token) + ":;"
		}
		return encodedWords(token)
	})
}

func downgradeParameters(value string) string {
	value = parameter.ReplaceAllStringFunc(value, func(p string) string {
		if isASCII(p) {
			return p
		}
		m := parameter.FindStringSubmatch(p)
		text := m[3]
		if strings.HasPrefix(text, `"`) {
			text = escaped.ReplaceAllString(text[1:len(text)-1], "$1")
		}
		return m[1] + m[2] + "*=utf-8''" + percent(text)
	})
	return string(asciiOnly([]byte(value)))
}

// percent encodes a text for RFC 2231.
func percent(text string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '.' || c == '-' || c == '_' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

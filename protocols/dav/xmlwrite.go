package dav

import (
	"bufio"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// xmlWriter writes XML with our prefixes. The first error stays.
type xmlWriter struct {
	w   io.Writer
	err error
}

func (x *xmlWriter) raw(s string) {
	if x.err == nil {
		_, x.err = io.WriteString(x.w, s)
	}
}

func (x *xmlWriter) bytes(b []byte) {
	if x.err == nil {
		_, x.err = x.w.Write(b)
	}
}

// escape writes text. A carriage return is kept as a reference, since readers make line feeds of others; what XML cannot hold
// becomes U+FFFD.
func (x *xmlWriter) escape(s string) {
	from := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		with := ""
		switch {
		case r == '&':
			with = "&amp;"
		case r == '<':
			with = "&lt;"
		case r == '>':
			with = "&gt;"
		case r == '"':
			with = "&quot;"
		case r == '\r':
			with = "&#13;"
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\n' && r != '\t', r == 0xfffe, r == 0xffff:
			with = "\ufffd"
		}
		if with != "" {
			x.raw(s[from:i])
			x.raw(with)
			from = i + n
		}
		i += n
	}
	x.raw(s[from:])
}

// tag returns how an element is written, and the declaration of its namespace if it has no prefix of ours.
func tag(n xml.Name) (name, declaration string) {
	if p := prefixes[n.Space]; p != "" {
		return p + ":" + n.Local, ""
	}
	var b strings.Builder
	(&xmlWriter{w: &b}).escape(n.Space)
	return n.Local, ` xmlns="` + b.String() + `"`
}

func (x *xmlWriter) open(n xml.Name, attrs ...xml.Attr) {
	name, declaration := tag(n)
	x.raw("<" + name + declaration)
	for _, a := range attrs {
		switch {
		case a.Name.Space == "xmlns" || a.Name.Local == "xmlns":
			continue
		case a.Name.Space == "xml" || a.Name.Space == "http://www.w3.org/XML/1998/namespace":
			x.raw(" xml:" + a.Name.Local + `="`)
		case a.Name.Space != "":
			continue
		default:
			x.raw(" " + a.Name.Local + `="`)
		}
		x.escape(a.Value)
		x.raw(`"`)
	}
	x.raw(">")
}

func (x *xmlWriter) close(n xml.Name) {
	name, _ := tag(n)
	x.raw("</" + name + ">")
}

func (x *xmlWriter) empty(n xml.Name) {
	name, declaration := tag(n)
	x.raw("<" + name + declaration + "/>")
}

// leaf writes an element that holds text.
func (x *xmlWriter) leaf(n xml.Name, text string) {
	x.open(n)
	x.escape(text)
	x.close(n)
}

// href writes a DAV:href.
func (x *xmlWriter) href(h string) { x.leaf(d("href"), h) }

// multistatus is the answer 207 on its way to the client. Until its first 32 KB are full, a failure can still become the answer.
type multistatus struct {
	xmlWriter
	buffer *bufio.Writer
}

// beginning sends the header of a multistatus before its first bytes.
type beginning struct{ e *exchange }

func (b beginning) Write(p []byte) (int, error) {
	if !b.e.begun {
		b.e.begun = true
		b.e.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
		b.e.w.WriteHeader(http.StatusMultiStatus)
	}
	return b.e.w.Write(p)
}

func (e *exchange) newMultistatus() *multistatus {
	m := &multistatus{buffer: bufio.NewWriterSize(beginning{e}, 32<<10)}
	m.w = m.buffer
	m.raw(`<?xml version="1.0" encoding="utf-8"?>` + "\n<D:multistatus" + declarations + ">\n")
	return m
}

func (m *multistatus) end() error {
	m.raw("</D:multistatus>\n")
	if m.err != nil {
		return m.err
	}
	return m.buffer.Flush()
}

// status writes the response for a resource as a whole.
func (m *multistatus) status(href string, code int) {
	m.raw("<D:response>")
	m.href(href)
	m.raw("<D:status>" + statusLine(code) + "</D:status></D:response>\n")
}

// statusLine is the text of a DAV:status. Thunderbird compares that of 200.
func statusLine(code int) string {
	digits := string([]byte{byte('0' + code/100), byte('0' + code/10%10), byte('0' + code%10)})
	return "HTTP/1.1 " + digits + " " + http.StatusText(code)
}

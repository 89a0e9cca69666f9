package dav

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"gatepost/server/fault"
)

// The bounds of an XML body.
const (
	maxXML      = 4 << 20   // bytes
	maxToken    = 256 << 10 // bytes of a tag with its attributes, or of a text
	maxDepth    = 32
	maxElements = 100_000 // with the attributes
)

// xmlBytes is a body of bounded size and bounded tokens: the decoder holds a whole tag, with an attribute of each four bytes, in memory.
type xmlBytes struct {
	from  *bufio.Reader
	total int
	token int // since the last <
}

// ReadByte is what the decoder reads with.
func (b *xmlBytes) ReadByte() (byte, error) {
	c, err := b.from.ReadByte()
	if err != nil {
		return 0, err
	}
	b.total++
	if b.token++; c == '<' {
		b.token = 0
	}
	if b.total > maxXML || b.token > maxToken {
		return 0, fault.New("dav.readXML", fault.TooLarge, "The XML of the request is too large.")
	}
	return c, nil
}

// Read is there for io.Reader.
func (b *xmlBytes) Read(p []byte) (n int, err error) {
	for ; n < len(p) && err == nil; n++ {
		if p[n], err = b.ReadByte(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// element is an element of a body.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     string // the character data directly in it
	children []*element
}

// child returns the first child of a name, or nil.
func (e *element) child(n xml.Name) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == n {
			return c
		}
	}
	return nil
}

// attr returns the value of an attribute without a namespace.
func (e *element) attr(local string) string {
	for _, a := range e.attrs {
		if a.Name.Local == local && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// readXML reads the body of a request; nil if it is empty. Entities of a document type are not known, so that none grows.
func readXML(r io.Reader) (*element, error) {
	const op = "dav.readXML"
	dec := xml.NewDecoder(&xmlBytes{from: bufio.NewReader(r)})
	var root *element
	var open []*element
	var texts []*strings.Builder
	count := 0
	for {
		t, err := dec.Token()
		if err == io.EOF {
			if len(open) > 0 {
				return nil, fault.New(op, fault.Invalid, "The XML of the request has no end.")
			}
			return root, nil
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				if root == nil && strings.Contains(syntax.Msg, "unexpected EOF") && syntax.Line <= 1 {
					return nil, nil
				}
				return nil, fault.Newf(op, fault.Invalid, "The XML of the request is not valid: line %d: %s.", syntax.Line, syntax.Msg)
			}
			if fault.KindOf(err) != fault.Internal {
				return nil, err
			}
			return nil, &fault.Error{Op: op, Kind: fault.Invalid, Text: "The XML of the request cannot be read.", Err: err}
		}
		switch t := t.(type) {
		case xml.StartElement:
			if count += 1 + len(t.Attr); count > maxElements || len(open) == maxDepth {
				return nil, fault.Newf(op, fault.TooLarge, "The XML of the request has more than %d elements and attributes, or is more than %d deep.", maxElements, maxDepth)
			}
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" && a.Value == "" { // XML Namespaces 1.0 section 5
					return nil, fault.Newf(op, fault.Invalid, "The XML of the request declares no namespace for %s.", a.Name.Local)
				}
			}
			e := &element{name: t.Name, attrs: t.Copy().Attr}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, fault.New(op, fault.Invalid, "The XML of the request has a second root.")
			default:
				root = e
			}
			open, texts = append(open, e), append(texts, new(strings.Builder))
		case xml.EndElement:
			n := len(open) - 1
			open[n].text = texts[n].String()
			open, texts = open[:n], texts[:n]
		case xml.CharData:
			switch {
			case len(texts) > 0:
				texts[len(texts)-1].Write(t)
			case len(bytes.TrimSpace(t)) > 0:
				return nil, fault.New(op, fault.Invalid, "The XML of the request has text outside of its root.")
			}
		case xml.Directive:
			return nil, fault.New(op, fault.Invalid, "The XML of the request has a document type.")
		}
	}
}

// source writes the content of an element, for a property that is kept as it came.
func (e *element) source() string {
	var b strings.Builder
	x := &xmlWriter{w: &b}
	x.escape(e.text)
	for _, c := range e.children {
		c.write(x)
	}
	return b.String()
}

func (e *element) write(x *xmlWriter) {
	x.open(e.name, e.attrs...)
	x.escape(e.text)
	for _, c := range e.children {
		c.write(x)
	}
	x.close(e.name)
}

package interchange

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/accounts/vcard"
)

// Text is an object that can be stored.
type Text struct {
	Bytes []byte

	lines []lineOf
}

// lineOf says which line of the file a line of the text and those after it come from.
type lineOf struct{ text, file int }

// Line returns the line of the file that a line of the text comes from.
func (t *Text) Line(n int) int {
	line := 0
	for _, l := range t.lines {
		if l.text > n {
			break
		}
		line = l.file + n - l.text
	}
	return line
}

// MaxObject is the largest object that is read, in bytes.
const MaxObject = 7 << 20

// Text reads an object. The error is a *contentline.SyntaxError for an object that cannot be stored, with the line of the
// file, or that of the reader.
func (f *File) Text(o *Object) (*Text, error) {
	size := int64(0)
	for _, p := range o.parts {
		size += p.end - p.start
	}
	if size > MaxObject {
		return nil, &contentline.SyntaxError{Line: o.Line, Reason: "the object is larger than 7 MB"}
	}
	if o.Component == "VCARD" {
		b, err := f.part(o.parts[0])
		if err != nil {
			return nil, err
		}
		if b, err = card(b, o); err != nil {
			return nil, err
		}
		return &Text{b, []lineOf{{1, o.Line}}}, nil
	}
	var bodies [][]byte
	var zones []string
	for _, p := range o.parts {
		b, err := f.part(p)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, b)
		zones = zonesOf(zones, b)
	}
	t := &Text{}
	product := f.roots[o.root].product
	if product == "" {
		product = "-//Gatepost//Gatepost//EN"
	}
	t.Bytes = contentline.Fold([]byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"), "PRODID:"+product)
	add := func(b []byte, p part) {
		t.lines = append(t.lines, lineOf{1 + bytes.Count(t.Bytes, []byte("\n")), p.line})
		t.Bytes = append(t.Bytes, b...)
	}
	for _, id := range zones {
		p, ok := f.roots[o.root].zones[id]
		for i := 0; !ok && i < len(f.roots); i++ {
			p, ok = f.roots[i].zones[id]
		}
		if !ok {
			continue // the server may know the name
		}
		b, err := f.part(p)
		if err != nil {
			return nil, err
		}
		add(b, p)
	}
	for i, b := range bodies {
		if o.UID == "" {
			begin := bytes.IndexByte(b, '\n') + 1
			uid := "UID:" + identity(b) + "\r\n"
			add(b[:begin], o.parts[i])
			t.Bytes = append(append(t.Bytes, uid...), b[begin:]...)
			t.lines = append(t.lines, lineOf{1 + bytes.Count(t.Bytes[:len(t.Bytes)-len(b[begin:])], []byte("\n")), o.parts[i].line + 1})
			continue
		}
		add(b, o.parts[i])
	}
	t.Bytes = append(t.Bytes, "END:VCALENDAR\r\n"...)
	return t, nil
}

// part reads a component; its lines end in CRLF.
func (f *File) part(p part) ([]byte, error) {
	b := make([]byte, p.end-p.start)
	if _, err := io.ReadFull(io.NewSectionReader(f.r, p.start, p.end-p.start), b); err != nil {
		return nil, err
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	if !bytes.HasSuffix(b, []byte("\n")) {
		b = append(b, '\n')
	}
	return mendFolds(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))), nil
}

// mendFolds moves folds that lie within the bytes of a character behind it: such text cannot be returned in XML.
func mendFolds(b []byte) []byte {
	const fold = "\r\n "
	continues := func(i int) bool { return i < len(b) && b[i]&0xc0 == 0x80 }
	for i := 1; i+len(fold) < len(b); i++ {
		if b[i] != '\r' || b[i-1] < 0x80 || b[i+1] != '\n' || b[i+2] != ' ' && b[i+2] != '\t' || !continues(i+len(fold)) {
			continue
		}
		end := i + len(fold)
		for continues(end) {
			end++
		}
		tail := bytes.Clone(b[i+len(fold) : end])
		copy(b[i:], tail)
		copy(b[i+len(tail):], fold)
		i += len(tail)
	}
	return b
}

// zonesOf appends the time zones that a component names.
func zonesOf(zones []string, b []byte) []string {
	s := contentline.NewScanner(string(b))
	for {
		l, err := s.Next()
		if err != nil {
			return zones // the server says what is wrong with it
		}
		if id, ok := l.Param("TZID"); ok && !slices.Contains(zones, id) {
			zones = append(zones, id)
		}
	}
}

// identity is the UID of an object without one.
func identity(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// card makes a card fit for storage.
func card(b []byte, o *Object) ([]byte, error) {
	c, err := vcard.Parse(b)
	if err != nil {
		return nil, inFile(err, o)
	}
	add := ""
	if o.UID == "" {
		add = "UID:" + identity(b) + "\r\n"
	}
	if c.Property("FN") == nil {
		name := nameOf(c)
		if name == "" {
			return nil, &contentline.SyntaxError{Line: o.Line, Reason: "the card has no name, no organization and no e-mail address"}
		}
		add += string(contentline.Fold(nil, "FN:"+contentline.EscapeText(name)))
	}
	if c.Version != "3.0" && c.Version != "4.0" {
		if b, err = c.Convert("3.0"); err != nil {
			return nil, inFile(err, o)
		}
	}
	if add != "" {
		end := bytes.LastIndex(bytes.ToUpper(b), []byte("END:VCARD"))
		b = append(append(bytes.Clone(b[:end]), add...), b[end:]...)
	}
	return b, nil
}

// inFile gives the error of a card the line of the file.
func inFile(err error, o *Object) error {
	var syntax *contentline.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	return &contentline.SyntaxError{Line: o.Line + max(0, syntax.Line-1), Reason: syntax.Reason}
}

// nameOf is what a card without FN is called.
func nameOf(c *vcard.Card) string {
	if p := c.Property("N"); p != nil {
		parts := contentline.Split(vcard.Text(p), ';')
		for len(parts) < 5 {
			parts = append(parts, "")
		}
		name := strings.Join(strings.Fields(parts[3]+" "+parts[1]+" "+parts[2]+" "+parts[0]+" "+parts[4]), " ")
		if name != "" {
			return name
		}
	}
	for _, property := range []string{"ORG", "NICKNAME", "EMAIL", "TEL"} {
		if p := c.Property(property); p != nil {
			if name := strings.Trim(strings.ReplaceAll(vcard.Text(p), ";", " "), " "); name != "" {
				return name
			}
		}
	}
	return ""
}

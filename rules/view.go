package rules

import (
	"bytes"
	"strings"
)

// maxHeader bounds what is looked at of a header.
const maxHeader = 1 << 20

// view is the header of a message, with what rules have added to it. Everything is made when it is
// asked for, and kept.
type view struct {
	message Message
	err     error // the first failure; conditions mean nothing after it

	loaded  bool
	fields  []rawField
	values  [cachedValues]value
	lists   [cachedLists]list
	toAndCc []candidate
	joined  bool // toAndCc is made
	machine string
	judged  bool // machine is made
}

// rawField is a field as it stands in the header.
type rawField struct {
	name, value []byte
	line        text // "Name: value", once somebody has asked
}

type value struct {
	text        text
	found, made bool
}

type list struct {
	mailboxes   []Mailbox
	first       text // the first address
	found, made bool // found: the message has the field
}

// The values that are kept.
const (
	subject = iota
	messageID
	cachedValues
)

// The address lists that are kept, of the first field of each name.
const (
	from = iota
	sender
	replyTo
	to
	cc
	cachedLists
)

var (
	valueNames = [cachedValues]string{"Subject", "Message-ID"}
	listNames  = [cachedLists]string{"From", "Sender", "Reply-To", "To", "Cc"}
)

// reset starts with another message; memory is kept.
func (v *view) reset(m Message) {
	*v = view{message: m, fields: v.fields[:0], toAndCc: v.toAndCc[:0]}
}

// load reads the header.
func (v *view) load() {
	if v.loaded {
		return
	}
	v.loaded = true
	header, err := v.message.Header()
	if err != nil {
		v.err = err
		return
	}
	if len(header) > maxHeader {
		header = header[:maxHeader]
	}
	for len(header) > 0 {
		var f rawField
		if f, header = cutField(header); f.name != nil {
			v.fields = append(v.fields, f)
		}
	}
}

// cutField takes the first field of a header, with its folded lines. What is no field has no name.
func cutField(header []byte) (f rawField, rest []byte) {
	end := 0
	for {
		i := bytes.IndexByte(header[end:], '\n')
		if i < 0 {
			end = len(header)
			break
		}
		end += i + 1
		if end == len(header) || header[end] != ' ' && header[end] != '\t' {
			break
		}
	}
	name, val, ok := bytes.Cut(header[:end], []byte(":"))
	if name = bytes.TrimRight(name, " \t"); !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n") {
		return rawField{}, header[end:]
	}
	return rawField{name: name, value: bytes.TrimRight(val, "\r\n")}, header[end:]
}

// named reports whether a field has a name, in any letter case.
func (f *rawField) named(name string) bool {
	return len(f.name) == len(name) && strings.EqualFold(string(f.name), name)
}

// find returns the number of the first field with a name, or -1.
func (v *view) find(name string) int {
	v.load()
	for i := range v.fields {
		if v.fields[i].named(name) {
			return i
		}
	}
	return -1
}

// add puts fields at the end of the header.
func (v *view) add(fields []Field) {
	v.load()
	for _, f := range fields {
		v.fields = append(v.fields, rawField{name: []byte(f.Name), value: []byte(f.Value)})
	}
	v.changed()
}

// tag puts a text before the subject.
func (v *view) tag(text string) {
	if i := v.find(valueNames[subject]); i >= 0 {
		v.fields[i] = rawField{name: v.fields[i].name, value: tagSubject(text, v.fields[i].value)}
	} else {
		v.fields = append(v.fields, rawField{name: []byte(valueNames[subject]), value: []byte(text)})
	}
	v.changed()
}

// changed forgets what was made of the fields.
func (v *view) changed() {
	v.values, v.lists = [cachedValues]value{}, [cachedLists]list{}
	v.toAndCc, v.joined = v.toAndCc[:0], false
	v.machine, v.judged = "", false
}

// value is the value of the first field of a kind.
func (v *view) value(kind int) (text, bool) {
	c := &v.values[kind]
	if !c.made {
		c.made = true
		if i := v.find(valueNames[kind]); i >= 0 {
			c.text, c.found = newText(v.message.Decode(v.fields[i].value)), true
		}
	}
	return c.text, c.found
}

// list is the addresses of the first field of a kind.
func (v *view) list(kind int) *list {
	c := &v.lists[kind]
	if !c.made {
		c.made = true
		if i := v.find(listNames[kind]); i >= 0 {
			if c.mailboxes, c.found = v.message.Addresses(v.fields[i].value), true; len(c.mailboxes) > 0 {
				c.first = newText(c.mailboxes[0].Address)
			}
		}
	}
	return c
}

// first is the first address of a list.
func (v *view) first(kind int) (Mailbox, bool) {
	if l := v.list(kind); len(l.mailboxes) > 0 {
		return l.mailboxes[0], true
	}
	return Mailbox{}, false
}

// toOrCc is the addresses of all To and Cc fields.
func (v *view) toOrCc() []candidate {
	if v.joined {
		return v.toAndCc
	}
	v.joined = true
	v.load()
	for i := range v.fields {
		if f := &v.fields[i]; f.named("To") || f.named("Cc") {
			for _, m := range v.message.Addresses(f.value) {
				v.toAndCc = append(v.toAndCc, candidate{value: newText(m.Address)})
			}
		}
	}
	return v.toAndCc
}

// fieldLine is a field on one line with its name.
func (v *view) fieldLine(i int) text {
	f := &v.fields[i]
	if f.line.shown == "" {
		f.line = newText(string(f.name) + ": " + v.message.Decode(f.value))
	}
	return f.line
}

// mayBegin reports whether the line of a field may begin with a text of ASCII in lower case. It is told from the
// name alone, so that most fields are never decoded.
func (f *rawField) mayBegin(start string) bool {
	n := min(len(start), len(f.name))
	for i := range n {
		if byte(foldASCII(f.name[i])) != start[i] {
			return false
		}
	}
	return len(start) == n || start[n] == ':'
}

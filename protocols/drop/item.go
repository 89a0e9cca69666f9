package drop

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/text/encoding/htmlindex"

	"gatepost/router/address"
	"gatepost/server/fault"
)

// Item is one mail as a program has written it.
type Item struct {
	Time, Sender, Address, Topic, Content string
}

// timeForm is the form of times in files: day.month.year, local time.
const timeForm = "02.01.2006 15:04:05"

// timeForms are those that are read; a database writes the others.
var timeForms = []string{timeForm, "2.1.2006 15:04:05", "2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05"}

// fields are the elements of an item in XML.
func (it *Item) fields() []struct {
	name string
	text *string
} {
	return []struct {
		name string
		text *string
	}{{"fld_time", &it.Time}, {"fld_sender", &it.Sender}, {"fld_address", &it.Address}, {"fld_topic", &it.Topic}, {"fld_content", &it.Content}}
}

// maxItems bounds the items of a file.
const maxItems = 10_000

// errCut is the failure of a file that ends too early: its program may still be writing it.
var errCut = fault.New("drop.Parse", fault.Invalid, "the file is not whole")

func badXML(format string, args ...any) error {
	return fault.Newf("drop.Parse", fault.Invalid, format, args...)
}

// ParseItems reads a file of items:
//
//	<list><item><fld_time/><fld_sender/><fld_address/><fld_topic/><fld_content/></item>...</list>
//
// Other elements are skipped. Errors: fault.Invalid, with errCut for a file that ends too early.
func ParseItems(text []byte) ([]Item, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(label string, r io.Reader) (io.Reader, error) {
		e, err := htmlindex.Get(label)
		if err != nil {
			return nil, err
		}
		return e.NewDecoder().Reader(r), nil
	}
	root, err := nextElement(d)
	switch {
	case err != nil:
		return nil, unreadable(err)
	case root == nil:
		return nil, errCut
	case root.Name.Local != "list":
		return nil, badXML("the outermost element is <%.50s>, not <list>", root.Name.Local)
	}
	var items []Item
	for {
		e, err := nextElement(d)
		switch {
		case err != nil:
			return nil, unreadable(err)
		case e == nil:
			if _, err := d.Token(); !errors.Is(err, io.EOF) {
				if e, err = nextElement(d); err != nil || e != nil {
					return nil, badXML("there is more after </list>")
				}
			}
			return items, nil
		case e.Name.Local != "item":
			err = d.Skip()
		case len(items) == maxItems:
			return nil, badXML("it has more than %d items", maxItems)
		default:
			var it Item
			if it, err = parseItem(d); err == nil {
				items = append(items, it)
			}
		}
		if err != nil {
			return nil, unreadable(err)
		}
	}
}

func parseItem(d *xml.Decoder) (it Item, err error) {
	fields := it.fields()
	for {
		e, err := nextElement(d)
		if err != nil || e == nil {
			return it, err
		}
		var into *string
		for _, f := range fields {
			if f.name == e.Name.Local {
				into = f.text
			}
		}
		if into == nil {
			err = d.Skip()
		} else {
			err = d.DecodeElement(into, e)
		}
		if err != nil {
			return it, err
		}
	}
}

// nextElement is the next element inside the present one; nil at its end, or at that of the file.
func nextElement(d *xml.Decoder) (*xml.StartElement, error) {
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, badXML("there is text between the elements")
			}
		}
	}
}

// unreadable is the failure to read XML.
func unreadable(err error) error {
	if syntax := new(xml.SyntaxError); errors.As(err, &syntax) && syntax.Msg == "unexpected EOF" || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	if fault.Is(err, fault.Invalid) {
		return err
	}
	return badXML("this is no list of items: %v", err)
}

// AppendItems appends items as a file has them.
func AppendItems(out []byte, items []Item) []byte {
	b := bytes.NewBuffer(append(out, xml.Header+"<list>\n"...))
	for _, it := range items {
		b.WriteString("<item>\n")
		for _, f := range it.fields() {
			fmt.Fprintf(b, "  <%s>", f.name)
			_ = xml.EscapeText(b, []byte(*f.text)) // a Buffer takes all
			fmt.Fprintf(b, "</%s>\n", f.name)
		}
		b.WriteString("</item>\n")
	}
	b.WriteString("</list>\n")
	return b.Bytes()
}

// parsed is what an item says.
type parsed struct {
	time     time.Time // zero if it says none
	from, to address.Address
	topic    string // one line
	content  string
}

// parse reads the values. Errors: fault.Invalid.
func (it *Item) parse() (p parsed, err error) {
	const op = "drop.Item"
	if p.from, err = addressOf("fld_sender", it.Sender); err != nil {
		return p, err
	}
	if p.to, err = addressOf("fld_address", it.Address); err != nil {
		return p, err
	}
	if text := strings.TrimSpace(it.Time); text != "" {
		if p.time, err = parseTime(text); err != nil {
			return p, fault.Newf(op, fault.Invalid, "fld_time: %.100q is not a time such as 17.10.2011 00:00:11", text)
		}
	}
	p.topic, p.content = strings.Join(strings.Fields(it.Topic), " "), it.Content
	return p, nil
}

func addressOf(field, text string) (address.Address, error) {
	a, err := address.Parse(strings.TrimSpace(text))
	if err == nil && (a.Domain == "" || a.IsNull()) {
		err = fault.New("drop.Item", fault.Invalid, "it has no domain")
	}
	if err != nil {
		return a, fault.Newf("drop.Item", fault.Invalid, "%s: %.200q is not a complete address: %s", field, text, fault.Text(err))
	}
	return a, nil
}

func parseTime(text string) (t time.Time, err error) {
	for _, form := range timeForms {
		if t, err = time.ParseInLocation(form, text, time.Local); err == nil {
			break
		}
	}
	return t, err
}

// isFrom reports whether the item has a sender; "" and "@" are every sender.
func (it *Item) isFrom(sender string) bool {
	return sender == "" || sender == "@" || strings.EqualFold(strings.Trim(strings.TrimSpace(it.Sender), "<>"), sender)
}

// line describes an item that waits, as smailer lists it: time, a number that tells items apart, sender and address.
func (it *Item) line() string {
	text := strings.TrimSpace(it.Time)
	if t, err := parseTime(text); err == nil {
		text = t.Format(timeForm)
	}
	text = strings.NewReplacer(" ", "", ":", "", "\t", "", "\n", "", "\r", "").Replace(text)
	sum := sha256.New()
	for _, f := range it.fields() {
		fmt.Fprintf(sum, "%d %s", len(*f.text), *f.text)
	}
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return fmt.Sprintf("%.40s_%X: (%.320s => %.320s)", text, sum.Sum(nil)[:8], oneLine(it.Sender), oneLine(it.Address))
}

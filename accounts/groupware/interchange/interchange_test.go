package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gatepost/accounts/contentline"
	"gatepost/accounts/icalendar"
	"gatepost/accounts/vcard"
)

func open(t *testing.T, text string) *File {
	t.Helper()
	f, err := Open(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// found lists objects and problems by their lines.
func found(f *File) string {
	var all []string
	for _, o := range f.Objects {
		all = append(all, fmt.Sprintf("%d %s %s x%d", o.Line, o.Component, o.UID, len(o.parts)))
	}
	for _, p := range f.Problems {
		all = append(all, fmt.Sprintf("%d! %s", p.Line, p.Reason))
	}
	return strings.Join(all, "\n")
}

func TestOpen(t *testing.T) {
	const event = "BEGIN:VEVENT\nUID:%s\nDTSTART:20260101T000000Z\nEND:VEVENT\n"
	e := func(uid string) string { return fmt.Sprintf(event, uid) }
	const begin, end = "BEGIN:VCALENDAR\nVERSION:2.0\n", "END:VCALENDAR\n"
	for _, c := range []struct{ name, text, want string }{
		{"one", begin + e("1") + end, "3 VEVENT 1 x1"},
		{"parts of one far apart", begin + e("1") + e("2") + e("1") + end + begin + e("1") + end, "3 VEVENT 1 x3\n7 VEVENT 2 x1"},
		{"folded UID", begin + "BEGIN:VEVENT\nUID:long\n er\nEND:VEVENT\n" + end, "3 VEVENT longer x1"},
		{"UID of an alarm", begin + "BEGIN:VEVENT\nBEGIN:VALARM\nUID:alarm\nEND:VALARM\nUID:1\nEND:VEVENT\n" + end, "3 VEVENT 1 x1"},
		{"UID with a parameter", begin + "BEGIN:VEVENT\nuid;X-A=1:1:2\nEND:VEVENT\n" + end, "3 VEVENT 1:2 x1"},
		{"lower case", strings.ToLower(begin + e("1") + end), "3 VEVENT 1 x1"},
		{"byte order mark, CR LF", "\ufeff" + strings.ReplaceAll(begin+e("1")+end, "\n", "\r\n"), "3 VEVENT 1 x1"},
		{"a task and an event of one UID", begin + e("1") + strings.ReplaceAll(e("1"), "VEVENT", "VTODO") + end, "3 VEVENT 1 x1\n7 VTODO 1 x1"},
		{"empty", "", "1! there is neither a calendar nor a card in the file"},
		{"text", "hello\nworld\n", "1! \"hello\" stands outside of a calendar or card\n2! \"world\" stands outside of a calendar or card"},
		{"calendar without end", begin + e("1"), "3 VEVENT 1 x1\n6! VCALENDAR has no END"},
		{"event without end", begin + "BEGIN:VEVENT\nUID:1\n" + e("2") + end, "5 VEVENT 2 x1\n3! VEVENT has no END"},
		{"cut off", begin + e("1") + "BEGIN:VEVENT\nUID:2\nSUMM", "3 VEVENT 1 x1\n7! VEVENT has no END"},
		{"alarm without end", begin + "BEGIN:VEVENT\nUID:1\nBEGIN:VALARM\nEND:VEVENT\n" + e("2") + end, "7 VEVENT 2 x1\n3! VEVENT is not well-formed: its BEGIN and END do not match"},
		{"end without begin", begin + "END:VEVENT\n" + e("2") + end, "4 VEVENT 2 x1"},
		{"calendar in calendar", begin + e("1") + begin + e("2") + end, "3 VEVENT 1 x1\n9 VEVENT 2 x1\n7! VCALENDAR has no END"},
		{"cards", "BEGIN:VCARD\nUID:1\nEND:VCARD\n\nBEGIN:VCARD\nitem1.UID:2\nEND:VCARD\n", "1 VCARD 1 x1\n5 VCARD 2 x1"},
		{"card in card", "BEGIN:VCARD\nAGENT:\nBEGIN:VCARD\nUID:inner\nEND:VCARD\nUID:1\nEND:VCARD\n", "1 VCARD 1 x1"},
	} {
		if got := found(open(t, c.text)); got != c.want {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestTextOfACalendarObject(t *testing.T) {
	zone := func(id string) string {
		return "BEGIN:VTIMEZONE\nTZID:" + id + "\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\n"
	}
	f := open(t, "BEGIN:VCALENDAR\nMETHOD:PUBLISH\nPRODID:-//x\nX-WR-CALNAME:all\n"+zone("A")+zone("B")+
		"BEGIN:VEVENT\nUID:1\nDTSTART;TZID=B:20260101T000000\nSUMMARY:\xc3\n \x84rger\nEND:VEVENT\nEND:VCALENDAR\n")
	text, err := f.Text(&f.Objects[0])
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x\n"+zone("B")+
		"BEGIN:VEVENT\nUID:1\nDTSTART;TZID=B:20260101T000000\nSUMMARY:Ä\n rger\nEND:VEVENT\nEND:VCALENDAR\n", "\n", "\r\n")
	if string(text.Bytes) != want {
		t.Errorf("got\n%s\nwant\n%s", text.Bytes, want)
	}
	o, err := icalendar.Parse(text.Bytes)
	if err == nil {
		err = o.Validate()
	}
	if err != nil {
		t.Error(err)
	}
	for line, want := range map[int]int{1: 0, 4: 13, 12: 21, 14: 23} {
		if got := text.Line(line); got != want {
			t.Errorf("line %d is line %d of the file, want %d", line, got, want)
		}
	}
}

// An object without UID gets the same one each time, and other lines the numbers of the file.
func TestObjectWithoutUID(t *testing.T) {
	read := func(text string) *Text {
		f := open(t, text)
		got, err := f.Text(&f.Objects[len(f.Objects)-1])
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const event = "BEGIN:VEVENT\nDTSTART:20260101T000000Z\nSUMMARY:x\nEND:VEVENT\n"
	a := read("BEGIN:VCALENDAR\n" + event + "END:VCALENDAR\n")
	b := read(strings.ReplaceAll("BEGIN:VCALENDAR\nX-A:1\nBEGIN:VEVENT\nUID:1\nEND:VEVENT\n"+event+"END:VCALENDAR\n", "\n", "\r\n"))
	if !bytes.Equal(a.Bytes, b.Bytes) {
		t.Errorf("two files give\n%s\nand\n%s", a.Bytes, b.Bytes)
	}
	if o, err := icalendar.Parse(a.Bytes); err != nil || o.Validate() != nil || len(o.UID()) != 32 {
		t.Errorf("%v\n%s", err, a.Bytes)
	}
	if a.Line(4) != 2 || a.Line(6) != 3 || a.Line(7) != 4 {
		t.Errorf("lines %d %d %d", a.Line(4), a.Line(6), a.Line(7))
	}
}

func TestTextOfACard(t *testing.T) {
	for _, c := range []struct{ text, has, err string }{
		{"BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:x\nEND:VCARD\n", "UID:1\r\nFN:x\r\nEND", ""},
		{"BEGIN:VCARD\nVERSION:3.0\nUID:1\nN:Doe;Jane;Q.;Dr.;PhD\nEND:VCARD", "FN:Dr. Jane Q. Doe PhD\r\nEND", ""},
		{"BEGIN:VCARD\nVERSION:4.0\nUID:1\nORG:Example;Sales\nEND:VCARD", "FN:Example Sales\r\n", ""},
		{"BEGIN:VCARD\nVERSION:2.1\nN:Doe;Jane\nTEL;HOME:1\nPHOTO;BASE64:\n AAAA\n\nEND:VCARD", "VERSION:3.0\r\n", ""},
		{"BEGIN:VCARD\nVERSION:3.0\nUID:1\nNOTE:x\nEND:VCARD\n", "", "line 1: the card has no name, no organization and no e-mail address"},
		{"BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:x\nTEL;A=\"x:1\nEND:VCARD\n", "", "line 5: "},
	} {
		f := open(t, c.text)
		if len(f.Objects) != 1 {
			t.Fatalf("%q: %s", c.text, found(f))
		}
		text, err := f.Text(&f.Objects[0])
		var syntax *contentline.SyntaxError
		if c.err != "" {
			if !errors.As(err, &syntax) || !strings.HasPrefix(syntax.Error(), c.err) {
				t.Errorf("%q: %v, want %s", c.text, err, c.err)
			}
			continue
		}
		if err != nil || !bytes.Contains(text.Bytes, []byte(c.has)) {
			t.Errorf("%q: %v\n%s", c.text, err, text.Bytes)
			continue
		}
		if card, err := vcard.Parse(text.Bytes); err != nil || card.Validate() != nil {
			t.Errorf("%q: may not be stored: %v, %v\n%s", c.text, err, card.Validate(), text.Bytes)
		}
	}
}

func TestObjectsHaveABound(t *testing.T) {
	f := open(t, "BEGIN:VCARD\nUID:1\nNOTE:"+strings.Repeat("x", MaxObject)+"\nEND:VCARD\nBEGIN:VCARD\nUID:2\nEND:VCARD\n")
	if found(f) != "1 VCARD 1 x1\n5 VCARD 2 x1" {
		t.Error(found(f))
	}
	var syntax *contentline.SyntaxError
	if _, err := f.Text(&f.Objects[0]); !errors.As(err, &syntax) || syntax.Line != 1 {
		t.Error(err)
	}
	f = open(t, strings.Repeat("x\n", 10*maxProblems))
	if len(f.Problems) != maxProblems+1 {
		t.Errorf("%d problems", len(f.Problems))
	}
}

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, "Ann, at work")
	if err := w.Close(); err != nil || b.String() != "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Gatepost//Gatepost//EN\r\nX-WR-CALNAME:Ann\\, at work\r\nEND:VCALENDAR\r\n" {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// FuzzOpen reads any file: objects lie within it and their texts can be read again.
func FuzzOpen(f *testing.F) {
	f.Add("BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:A\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:1\nDTSTART;TZID=A:20260101T000000\nEND:VEVENT\nEND:VCALENDAR\n")
	f.Add("BEGIN:VCARD\nVERSION:2.1\nN;QUOTED-PRINTABLE:=C3=\n=84;x\nEND:VCARD\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Open(strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if len(file.Objects)+len(file.Problems) == 0 {
			t.Fatal("neither an object nor a problem")
		}
		for i := range file.Objects {
			o := &file.Objects[i]
			got, err := file.Text(o)
			var syntax *contentline.SyntaxError
			if err != nil && !errors.As(err, &syntax) {
				t.Fatal(err)
			}
			if err != nil {
				continue
			}
			again, err := Open(bytes.NewReader(got.Bytes), int64(len(got.Bytes)))
			if err != nil || len(again.Objects) != 1 || len(again.Problems) != 0 || again.Objects[0].Component != o.Component || o.UID != "" && again.Objects[0].UID != o.UID {
				t.Fatalf("%+v is written as\n%q\nand read as\n%s", o, got.Bytes, found(again))
			}
		}
	})
}

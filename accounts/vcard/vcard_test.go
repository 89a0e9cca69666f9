package vcard

import (
	"reflect"
	"strings"
	"testing"

	"gatepost/accounts/contentline"
)

const card3 = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u1\r\nFN:Anna Ärger\r\nN:Ärger;Anna;;;\r\nEMAIL;TYPE=INTERNET,HOME,PREF:anna@example.com\r\n" +
	"item1.TEL:+49 30 1\r\nitem1.X-ABLabel:Boat\r\nPHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQ\r\nBDAY:1985-04-12\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n" +
	"X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:m1\r\nORG:Example\\, Inc.;Sales\r\nEND:VCARD\r\n"

const card4 = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u1\r\nFN:Anna Ärger\r\nN:Ärger;Anna;;;\r\nEMAIL;TYPE=home;PREF=1:anna@example.com\r\n" +
	"item1.TEL:+49 30 1\r\nitem1.X-ABLabel:Boat\r\nPHOTO:data:image/jpeg;base64,/9j/4AAQ\r\nBDAY:19850412\r\nKIND:group\r\n" +
	"MEMBER:urn:uuid:m1\r\nORG:Example\\, Inc.;Sales\r\nEND:VCARD\r\n"

func mustParse(t *testing.T, text string) *Card {
	t.Helper()
	c, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConvert(t *testing.T) {
	c := mustParse(t, card3)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Convert("4.0"); err != nil || string(got) != card4 {
		t.Errorf("%v\n%s", err, got)
	}
	if got, err := c.Convert("3.0"); err != nil || string(got) != card3 {
		t.Errorf("%v\n%s", err, got)
	}
	back, err := mustParse(t, card4).Convert("3.0")
	want := strings.NewReplacer("TYPE=INTERNET,HOME,PREF", "TYPE=home;TYPE=PREF").Replace(card3)
	if err != nil || string(back) != want {
		t.Errorf("%v\n%s", err, back)
	}
}

func TestVersion21(t *testing.T) {
	c := mustParse(t, "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;QUOTED-PRINTABLE:=C3=84rger;An=\nna\nTEL;HOME;VOICE:1\nFN:x\nEND:VCARD\n")
	if c.Validate() == nil {
		t.Error("2.1 may be stored")
	}
	got, err := c.Convert("4.0")
	want := "BEGIN:VCARD\r\nVERSION:4.0\r\nN:Ärger;Anna\r\nTEL;TYPE=home;TYPE=voice:1\r\nFN:x\r\nEND:VCARD\r\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestBadCards(t *testing.T) {
	for _, text := range []string{"", "BEGIN:VCARD\n", "FN:x\n", card3 + card3, "BEGIN:VCARD\nVERSION:3.0\nFN;A=B\nEND:VCARD\n"} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, gone := range []string{"UID:u1\r\n", "FN:Anna Ärger\r\n", "VERSION:3.0\r\n"} {
		if mustParse(t, strings.Replace(card3, gone, "", 1)).Validate() == nil {
			t.Errorf("a card without %q is taken", gone)
		}
	}
}

func TestFilterPartSummary(t *testing.T) {
	c := mustParse(t, card3)
	text := func(v string, mode contentline.Mode, negate bool) []contentline.TextMatch {
		return []contentline.TextMatch{{Value: v, Collation: contentline.UnicodeCasemap, Mode: mode, Negate: negate}}
	}
	for i, x := range []struct {
		f    PropFilter
		want bool
	}{
		{PropFilter{Name: "FN", Texts: text("ÄRGER", contentline.EndsWith, false)}, true},
		{PropFilter{Name: "FN", Texts: text("anna", contentline.Equals, false)}, false},
		{PropFilter{Name: "FN", Texts: text("anna", contentline.StartsWith, true)}, false},
		{PropFilter{Name: "NOTE", IsNotDefined: true}, true},
		{PropFilter{Name: "NOTE"}, false},
		{PropFilter{Name: "EMAIL", All: true, Texts: text("example", contentline.Contains, false),
			Params: []ParamFilter{{Name: "TYPE", Text: &text("home", contentline.Equals, false)[0]}}}, true},
		{PropFilter{Name: "EMAIL", Params: []ParamFilter{{Name: "TYPE", IsNotDefined: true}}}, false},
	} {
		if got := c.Match(&Filter{Props: []PropFilter{x.f}}); got != x.want {
			t.Errorf("%d: %v", i, got)
		}
		if got := c.Match(&Filter{All: true, Props: []PropFilter{x.f, {Name: "UID"}}}); got != x.want {
			t.Errorf("%d with UID: %v", i, got)
		}
	}
	if got, want := string(c.Retrieve([]Part{{Name: "UID"}, {Name: "EMAIL", NoValue: true}})),
		"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u1\r\nEMAIL;TYPE=INTERNET,HOME,PREF:\r\nEND:VCARD\r\n"; got != want {
		t.Errorf("part:\n%s", got)
	}
	s := c.Summary()
	back, err := UnmarshalSummary(s.Marshal())
	if err != nil || !reflect.DeepEqual(s, back) || s.FN != "Anna Ärger" || s.Kind != "group" || len(s.Emails) != 1 {
		t.Errorf("%v %+v %+v", err, s, back)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(card3))
	f.Add([]byte(card4))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		c.Validate()
		c.Retrieve([]Part{{Name: "UID"}})
		s := c.Summary()
		if _, err := UnmarshalSummary(s.Marshal()); err != nil {
			t.Fatal(err)
		}
		for _, v := range []string{"3.0", "4.0"} {
			b, err := c.Convert(v)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(b); err != nil && v != c.Version {
				t.Fatalf("%v\n%q", err, b)
			}
		}
	})
}

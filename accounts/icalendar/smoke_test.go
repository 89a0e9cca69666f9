package icalendar

import (
	"strings"
	"testing"
	"time"
)

func event(lines ...string) string {
	return strings.Join(append(append([]string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z"}, lines...),
		"END:VEVENT", "END:VCALENDAR", ""), "\r\n")
}

func mustParse(t testing.TB, text string) *Object {
	t.Helper()
	o, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func rangeOf(from, until string) Range {
	f, _ := parseMoment(from)
	u, _ := parseMoment(until)
	return Range{f.Civil, u.Civil}
}

func TestInstancesOfARuleOverAChangeOfTheClock(t *testing.T) {
	o := mustParse(t, event("DTSTART;TZID=America/New_York:19970902T090000", "DTEND;TZID=America/New_York:19970902T100000",
		"RRULE:FREQ=WEEKLY;INTERVAL=8;COUNT=4"))
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	got, err := o.Instances(Always, nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, i := range got {
		s = append(s, time.Unix(i.Start, 0).UTC().Format("20060102T150405Z"))
	}
	if want := "19970902T130000Z 19971028T140000Z 19971223T140000Z 19980217T140000Z"; strings.Join(s, " ") != want {
		t.Errorf("got %s, want %s", s, want)
	}
	span, err := o.Span()
	if err != nil {
		t.Fatal(err)
	}
	if span != rangeOf("19970902T130000Z", "19980217T150000Z") {
		t.Errorf("span %v", span)
	}
}

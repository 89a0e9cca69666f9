package scheduling

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatepost/server/fault"
)

// What grows with attendees, instances and exceptions has bounds, and below them it is done in time.
func TestLargeEvents(t *testing.T) {
	event := func(attendees, overrides, dates int) string {
		var people, parts, except strings.Builder
		people.WriteString("ORGANIZER:mailto:ann@company.com")
		for i := range attendees {
			fmt.Fprintf(&people, "\nATTENDEE:mailto:u%d@far.net", i)
		}
		at := time.Date(2030, 1, 1, 9, 0, 0, 0, time.UTC)
		for i := range dates {
			fmt.Fprintf(&except, "\nEXDATE:%s", at.AddDate(0, 0, 2*i+1).Format("20060102T150405Z"))
		}
		for i := range overrides {
			id := at.AddDate(0, 0, 2*i)
			parts.WriteString(vevent("m", "RECURRENCE-ID:"+id.Format("20060102T150405Z"), "DTSTART:"+id.Add(time.Hour).Format("20060102T150405Z"), "DURATION:PT1H",
				"ORGANIZER:mailto:ann@company.com", fmt.Sprintf("ATTENDEE:mailto:u%d@far.net", i)))
		}
		main := vevent("m", "DTSTART:20300101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY", people.String()+except.String())
		return crlf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n" + main + parts.String() + "END:VCALENDAR\n")
	}
	own := func(a string) bool { return a == "ann@company.com" }
	parse := func(text string) *object {
		o, err := parseObject([]byte(text))
		must(t, err)
		return o
	}
	for _, n := range [][3]int{{maxAttendees + 1, 0, 0}, {1, maxParts, 0}, {1, 0, maxDates + 1}} {
		if err := parse(event(n[0], n[1], n[2])).bounded(); !fault.Is(err, fault.TooMany) {
			t.Errorf("%v: %v", n, err)
		}
	}
	text := event(200, 200, 500)
	old, next := parse(text), parse(strings.Replace(text, "SUMMARY:Meeting", "SUMMARY:New", 1))
	must(t, next.bounded())
	began := time.Now()
	c := organizerChange{old: old, next: next, own: own}
	must(t, c.prepare())
	n := c.notices()
	t.Logf("%d messages in %v", len(n), time.Since(began))
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%d messages took %v", len(n), took)
	}
}

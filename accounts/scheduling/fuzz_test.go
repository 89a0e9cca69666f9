package scheduling

import (
	"strings"
	"testing"
	"time"

	"gatepost/accounts/icalendar"
)

// FuzzITIP has texts of strangers compared with what is stored, merged into it and sent again. What comes out is an object that is read again.
func FuzzITIP(f *testing.F) {
	stored := crlf(meeting("m", daily, byAnn, withBob, withJoe))
	f.Add(stored, crlf(itip("REQUEST", "20400101T000000Z", starts, byAnn, withBob)))
	f.Add(stored, crlf(itip("REPLY", "20400101T000000Z", "RECURRENCE-ID;TZID=Europe/Berlin:20300313T090000", byAnn, "ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO=\"mailto:x@y\":mailto:joe@far.net")))
	f.Add(stored, crlf(itip("CANCEL", "20400101T000000Z", "RECURRENCE-ID:20300313T080000Z", byAnn, withBob)))
	f.Add(stored, crlf(itip("CANCEL", "20400101T000000Z", "EXDATE:20300313T080000Z,20300314T080000Z", "RDATE;VALUE=PERIOD:20300313T080000Z/PT1H", byAnn)))
	own := func(a string) bool { return a == "ann@company.com" }
	bob := func(a string) bool { return a == "bob@company.com" }
	f.Fuzz(func(t *testing.T, first, second string) {
		if len(first)+len(second) > 20_000 {
			return
		}
		old, err := parseObject([]byte(first))
		if err != nil {
			return
		}
		next, err := parseObject([]byte(second))
		if err != nil {
			return
		}
		read := func(text []byte) {
			if _, err := icalendar.Parse(text); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
		}
		in := &incoming{object: next, own: bob, from: sender{address: "joe@far.net", proved: true}}
		if o := in.merge(old); o != nil {
			read(o.bytes())
		}
		for _, n := range next.parts {
			if o, err := parseObject([]byte(first)); err == nil {
				in.answered(o, n)
				read(o.bytes())
			}
		}
		c := attendeeChange{old: old, next: next, own: bob}
		if c.prepare() == nil {
			for _, n := range c.notices() {
				read(n.calendarText(time.Unix(0, 0), bob, ""))
			}
		}
		fresh, err := parseObject([]byte(second))
		if err != nil {
			t.Fatal(err)
		}
		change := organizerChange{old: old, next: fresh, own: own}
		if change.prepare() == nil {
			fresh.mark(map[string]string{"bob@company.com": "1.1"})
			read(fresh.bytes())
			for _, n := range change.notices() {
				text := n.calendarText(time.Unix(0, 0), own, "x@y")
				read(text)
				if strings.Contains(string(text), "SCHEDULE-AGENT") && !strings.Contains(first+second, "X-") {
					t.Log("kept") // in another property
				}
			}
		}
		tagOf(fresh, own)
	})
}

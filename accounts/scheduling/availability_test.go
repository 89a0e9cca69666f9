package scheduling

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/icalendar"
)

func TestAvailability(t *testing.T) {
	at := func(s string) int64 { v, err := time.Parse("20060102T150405Z", s); must(t, err); return v.Unix() }
	text := func(busy []icalendar.Period) string {
		var b strings.Builder
		for _, p := range busy {
			fmt.Fprintf(&b, "%s %s-%s\n", p.Type, time.Unix(p.Start, 0).UTC().Format("02T15"), time.Unix(p.End, 0).UTC().Format("02T15"))
		}
		return b.String()
	}
	calendar := func(parts string) []byte {
		return []byte(crlf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n" + parts + "END:VCALENDAR\n"))
	}
	// Monday the 11th of March 2030 to Wednesday.
	when := icalendar.Range{Start: at("20300311T000000Z"), End: at("20300313T000000Z")}
	work := "BEGIN:VAVAILABILITY\nUID:a\nDTSTAMP:20300101T000000Z\nPRIORITY:%d\n%sBEGIN:AVAILABLE\nUID:b\nDTSTAMP:20300101T000000Z\nDTSTART:20300304T090000Z\nDTEND:20300304T170000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR\nEND:AVAILABLE\nEND:VAVAILABILITY\n"
	for _, test := range []struct{ parts, want string }{
		{fmt.Sprintf(work, 5, ""), "BUSY-UNAVAILABLE 11T00-11T09\nBUSY-UNAVAILABLE 11T17-12T09\nBUSY-UNAVAILABLE 12T17-13T00\n"},
		// A holiday decides for its day.
		{fmt.Sprintf(work, 5, "") + "BEGIN:VAVAILABILITY\nUID:h\nDTSTAMP:20300101T000000Z\nPRIORITY:1\nBUSYTYPE:BUSY\nDTSTART:20300312T000000Z\nDTEND:20300313T000000Z\nEND:VAVAILABILITY\n",
			"BUSY 12T00-13T00\nBUSY-UNAVAILABLE 11T00-11T09\nBUSY-UNAVAILABLE 11T17-12T00\n"},
		{fmt.Sprintf(work, 5, "DTSTART:20300312T000000Z\n"), "BUSY-UNAVAILABLE 12T00-12T09\nBUSY-UNAVAILABLE 12T17-13T00\n"},
		{"", ""},
	} {
		if got := text(unavailable(calendar(test.parts), when, nil)); got != test.want {
			t.Errorf("%s: %s", test.parts, got)
		}
	}
}

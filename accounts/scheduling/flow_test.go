package scheduling

import (
	"strings"
	"testing"
)

const (
	starts   = "DTSTART:20300310T090000Z\nDTEND:20300310T100000Z"
	daily    = "DTSTART;TZID=Europe/Berlin:20300311T090000\nDTEND;TZID=Europe/Berlin:20300311T100000\nRRULE:FREQ=DAILY;COUNT=5"
	byAnn    = "ORGANIZER;CN=Ann:mailto:ann@company.com\nATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@company.com"
	withBob  = "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@company.com"
	withCay  = "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:cay@company.com"
	withJoe  = "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:joe@far.net"
	bobSaysY = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@company.com"
)

// Three accounts and somebody elsewhere: invite, accept, change one instance, cancel, delegate.
func TestInvitationOfManyKinds(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.put("ann", "m.ics", meeting("m1", daily, byAnn, withBob, withJoe))
	o.wants("ann", "m1", "SCHEDULE-STATUS=1.1:mailto:bob@company.com", "SCHEDULE-STATUS=1.1:mailto:joe@far.net")
	o.wants("bob", "m1", "SUMMARY:Meeting", "mailto:joe@far.net", "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob", "!METHOD", "!SCHEDULE-STATUS")
	if len(o.away) != 1 || !strings.Contains(o.away[0], "method=REQUEST") || o.awayE[0].ReturnPath.String() != "ann@company.com" {
		t.Fatalf("mail to elsewhere: %q\n%s", o.away, o.log)
	}

	// Bob accepts in his client.
	text := strings.Replace(o.event("bob", "m1"), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob", "PARTSTAT=ACCEPTED:mailto:bob", 1)
	o.put("bob", o.item("bob", "m1"), text)
	o.wants("ann", "m1", "PARTSTAT=ACCEPTED", "SCHEDULE-STATUS=2.0")

	// Joe accepts by mail.
	reply := func(status, more string) string {
		return "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:m1\nDTSTAMP:20300102T000000Z\nSEQUENCE:0\nORGANIZER:mailto:ann@company.com\n" +
			more + "ATTENDEE;PARTSTAT=" + status + ":mailto:joe@far.net\nEND:VEVENT\nEND:VCALENDAR\n"
	}
	o.receive("joe@far.net", "ann@company.com", proof, "REPLY", reply("ACCEPTED", ""))
	if n := strings.Count(o.event("ann", "m1"), "PARTSTAT=ACCEPTED"); n != 3 {
		t.Errorf("%d have accepted\n%s\n%s", n, o.event("ann", "m1"), o.log)
	}
	if n := strings.Count(o.event("bob", "m1"), "PARTSTAT=ACCEPTED"); n != 3 {
		t.Errorf("bob sees %d who have accepted\n%s\n%s", n, o.event("bob", "m1"), o.log)
	}

	// One instance is moved, and Cay invited to it.
	text = o.event("ann", "m1")
	text = strings.Replace(text, "END:VCALENDAR\n", vevent("m1", "RECURRENCE-ID;TZID=Europe/Berlin:20300313T090000", "DTSTART;TZID=Europe/Berlin:20300313T140000",
		"DTEND;TZID=Europe/Berlin:20300313T150000", byAnn, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@company.com", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:joe@far.net", withCay)+"END:VCALENDAR\n", 1)
	o.put("ann", "m.ics", text)
	o.wants("bob", "m1", "RECURRENCE-ID;TZID=Europe/Berlin:20300313T090000", "T140000", "PARTSTAT=NEEDS-ACTION")
	o.wants("cay", "m1", "RECURRENCE-ID", "T140000", "!RRULE")
	if len(o.away) != 2 || !strings.Contains(o.away[1], "method=REQUEST") || !strings.Contains(o.away[1], "Subject: Changed: Meeting") {
		t.Errorf("mail to elsewhere: %q", o.away[1:])
	}

	// Cay sends Bob's colleague, outside, in her place.
	text = o.event("cay", "m1")
	at := strings.Index(text, "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:cay@company.com")
	if at < 0 {
		t.Fatalf("cay has\n%s", text)
	}
	text = strings.Replace(text, "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:cay@company.com",
		"ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO=\"mailto:room@company.com\":mailto:cay@company.com\nATTENDEE;DELEGATED-FROM=\"mailto:cay@company.com\":mailto:room@company.com", 1)
	o.put("cay", o.item("cay", "m1"), text)
	o.wants("room", "m1", "T140000", "DELEGATED-FROM")
	o.wants("ann", "m1", "PARTSTAT=DELEGATED", "mailto:room@company.com")

	// It is cancelled.
	o.remove("ann", "m.ics")
	o.wants("bob", "m1", "STATUS:CANCELLED", "SEQUENCE:1")
	o.wants("cay", "m1", "STATUS:CANCELLED")
	if last := o.away[len(o.away)-1]; !strings.Contains(last, "method=CANCEL") {
		t.Errorf("mail to elsewhere: %q", last)
	}
}

package scheduling

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts/access"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// What attendees are told of a change: method, addressees, keys of the components.
func TestWhatAttendeesAreTold(t *testing.T) {
	own := func(a string) bool { return a == "ann@company.com" }
	series := func(people string, lines ...string) string {
		return vevent("m", append([]string{"DTSTART:20300311T090000Z", "DTEND:20300311T100000Z", "RRULE:FREQ=DAILY;COUNT=5", byAnn, people}, lines...)...)
	}
	one := func(day, people string, lines ...string) string {
		return vevent("m", append([]string{"RECURRENCE-ID:203003" + day + "T090000Z", "DTSTART:203003" + day + "T090000Z", "DTEND:203003" + day + "T100000Z", byAnn, people}, lines...)...)
	}
	both := withBob + "\n" + withJoe
	tests := []struct{ name, old, next, want string }{
		{"new", "", series(both), "REQUEST bob,joe main"},
		{"nothing", series(both), series(both), ""},
		{"an alarm", series(both), strings.Replace(series(both), "END:VEVENT", "BEGIN:VALARM\nACTION:AUDIO\nTRIGGER:-PT5M\nEND:VALARM\nEND:VEVENT", 1), ""},
		{"properties of a program", series(both), series(both, "X-MOZ-GENERATION:4", "TRANSP:TRANSPARENT", "LAST-MODIFIED:20300101T000000Z"), ""},
		{"answers", series(both), strings.Replace(series(both), "NEEDS-ACTION", "ACCEPTED", 1), ""},
		{"a text", series(both), series(both, "DESCRIPTION:more"), "REQUEST bob,joe main"},
		{"one leaves", series(both), series(withBob), "REQUEST bob main\nCANCEL joe main"},
		{"one comes", series(withBob), series(both), "REQUEST bob,joe main"},
		{"all leave", series(both), vevent("m", "DTSTART:20300311T090000Z", "DTEND:20300311T100000Z", "RRULE:FREQ=DAILY;COUNT=5"), "CANCEL bob,joe main"},
		{"gone", series(both), "", "CANCEL bob,joe main"},
		{"cancelled", series(both), series(both, "STATUS:CANCELLED"), "CANCEL bob,joe main"},
		{"cancelled before", series(both, "STATUS:CANCELLED"), "", ""},
		{"an exception", series(both), series(both, "EXDATE:20300312T090000Z"), "CANCEL bob,joe 12"},
		{"an exception and a text", series(both), series(both, "EXDATE:20300312T090000Z", "LOCATION:x"), "REQUEST bob,joe main"},
		{"an exception less", series(both, "EXDATE:20300312T090000Z"), series(both), "REQUEST bob,joe main"},
		{"an exception that is none", series(both), series(both, "EXDATE:20300312T093000Z"), ""},
		{"an instance", series(both), series(both) + one("12", both, "LOCATION:x"), "REQUEST bob,joe 12"},
		{"an instance as it was", series(both), series(both) + one("12", both), ""},
		{"two instances", series(both), series(both) + one("12", both, "LOCATION:x") + one("13", both, "LOCATION:x"), "REQUEST bob,joe 12,13"},
		{"an instance is as the others again", series(both) + one("12", both, "LOCATION:x"), series(both), "REQUEST bob,joe main"},
		{"an instance with others", series(withBob), series(withBob) + one("12", both), "REQUEST bob,joe 12"},
		{"an instance without one", series(both), series(both) + one("12", withBob), "REQUEST bob 12\nCANCEL joe 12"},
		{"an instance is cancelled", series(both), series(both) + one("12", both, "STATUS:CANCELLED"), "CANCEL bob,joe 12"},
		{"who has one instance alone", series(withBob) + one("12", both), series(withBob), "REQUEST bob main\nCANCEL joe 12"},
		{"client", "", strings.ReplaceAll(series(both), "RSVP=TRUE", "SCHEDULE-AGENT=CLIENT"), ""},
		{"unknown agent", "", strings.Replace(series(both), "RSVP=TRUE", "SCHEDULE-AGENT=X-FOO", 1), "REQUEST joe main"},
		{"forced", series(both), strings.Replace(series(both), "RSVP=TRUE", "SCHEDULE-FORCE-SEND=REQUEST", 1), "REQUEST bob main"},
	}
	for _, test := range tests {
		parse := func(parts string) *object {
			if parts == "" {
				return nil
			}
			o, err := parseObject([]byte(crlf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n" + parts + "END:VCALENDAR\n")))
			must(t, err)
			return o
		}
		c := organizerChange{old: parse(test.old), next: parse(test.next), own: own}
		if c.next != nil {
			must(t, c.prepare())
		}
		var got []string
		for _, n := range c.notices() {
			var to, keys []string
			for _, a := range n.to {
				to = append(to, a[:3])
			}
			for _, p := range n.parts {
				key := "main"
				if id := p.value("RECURRENCE-ID"); id != "" {
					key = id[6:8]
				}
				keys = append(keys, key)
			}
			slices.Sort(keys)
			got = append(got, n.method+" "+strings.Join(to, ",")+" "+strings.Join(keys, ","))
		}
		want := strings.Split(test.want, "\n")
		slices.Sort(got)
		slices.Sort(want)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got %q, want %q", test.name, got, want)
		}
	}
}

// Answers to single instances are seen by the organizer and the others.
func TestAnswersToInstances(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.put("ann", "m.ics", meeting("m", daily, byAnn, withBob, withCay))
	accepted := replaced(o.event("bob", "m"), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob", "PARTSTAT=ACCEPTED:mailto:bob")
	o.put("bob", o.item("bob", "m"), accepted)
	// He takes one instance out, and perhaps comes to another.
	text := replaced(o.event("bob", "m"), "RRULE:FREQ=DAILY;COUNT=5", "RRULE:FREQ=DAILY;COUNT=5\nEXDATE;TZID=Europe/Berlin:20300312T090000")
	text = replaced(text, "END:VCALENDAR", vevent("m", "RECURRENCE-ID;TZID=Europe/Berlin:20300314T090000", "DTSTART;TZID=Europe/Berlin:20300314T090000", "DTEND;TZID=Europe/Berlin:20300314T100000",
		byAnn, "ATTENDEE;PARTSTAT=TENTATIVE:mailto:bob@company.com", "ATTENDEE;PARTSTAT=DECLINED:mailto:cay@company.com")+"END:VCALENDAR")
	o.put("bob", o.item("bob", "m"), text)
	o.wants("ann", "m", "RECURRENCE-ID;TZID=Europe/Berlin:20300312T090000", "PARTSTAT=DECLINED;SCHEDULE-STATUS=2.0", "RECURRENCE-ID;TZID=Europe/Berlin:20300314T090000", "PARTSTAT=TENTATIVE;SCHEDULE-STATUS=2.0")
	o.wants("cay", "m", "RECURRENCE-ID;TZID=Europe/Berlin:20300312T090000", "PARTSTAT=DECLINED:mailto:bob", "PARTSTAT=TENTATIVE:mailto:bob", "!PARTSTAT=DECLINED:mailto:cay")
	// What he says of others does not count, in his own copy neither.
	o.wants("bob", "m", "!PARTSTAT=DECLINED:mailto:cay")
	// Ann takes an instance out: it is cancelled for both.
	o.put("ann", "m.ics", replaced(o.event("ann", "m"), "RRULE:FREQ=DAILY;COUNT=5", "RRULE:FREQ=DAILY;COUNT=5\nEXDATE;TZID=Europe/Berlin:20300315T090000"))
	o.wants("bob", "m", "RECURRENCE-ID;TZID=Europe/Berlin:20300315T090000", "STATUS:CANCELLED")
	o.wants("cay", "m", "RECURRENCE-ID;TZID=Europe/Berlin:20300315T090000", "STATUS:CANCELLED")
	// Bob deletes his copy: he declines what is left.
	o.remove("bob", o.item("bob", "m"))
	o.wants("ann", "m", "PARTSTAT=DECLINED;SCHEDULE-STATUS=2.0")
	if n := strings.Count(o.event("ann", "m"), "PARTSTAT=DECLINED;"); n != 2 {
		t.Errorf("%d are declined\n%s", n, o.event("ann", "m"))
	}
}

// What attendees may change.
func TestAttendeesMayNotChangeTimes(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.put("ann", "m.ics", meeting("m", daily, byAnn, withBob))
	stored := o.event("bob", "m")
	try := func(text string, may bool) {
		t.Helper()
		_, err := o.s.Put(context.Background(), o.account("bob"), o.calendar("bob"), Put{Put: putOf(o.item("bob", "m"), text)})
		o.settle()
		var no *NotAllowed
		if errors.As(err, &no) == may || err != nil && may {
			t.Errorf("%v for\n%s", err, text)
		}
	}
	try(replaced(stored, "20300311T090000", "20300311T080000"), false)
	try(replaced(stored, "COUNT=5", "COUNT=6"), false)
	try(replaced(stored, "ORGANIZER;CN=Ann:mailto:ann@company.com", "ORGANIZER:mailto:bob@company.com"), false)
	try(replaced(stored, "ORGANIZER;CN=Ann:mailto:ann@company.com\n", ""), false)
	try(replaced(stored, "END:VCALENDAR", vevent("m", "RECURRENCE-ID;TZID=Europe/Berlin:20300411T090000", "DTSTART;TZID=Europe/Berlin:20300411T090000", byAnn, withBob)+"END:VCALENDAR"), false)
	try(replaced(stored, "SUMMARY:Meeting", "SUMMARY:Mine\nCATEGORIES:x"), true)
	try(replaced(stored, "END:VEVENT", "BEGIN:VALARM\nACTION:AUDIO\nTRIGGER:-PT5M\nEND:VALARM\nEND:VEVENT"), true)
	// Alarms stay when the organizer changes the event, and the answer when the times stay.
	try(replaced(o.event("bob", "m"), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob", "PARTSTAT=ACCEPTED:mailto:bob"), true)
	o.put("ann", "m.ics", replaced(o.event("ann", "m"), "SUMMARY:Meeting", "SUMMARY:Other"))
	o.wants("bob", "m", "SUMMARY:Other", "BEGIN:VALARM", "PARTSTAT=ACCEPTED:mailto:bob")
	o.put("ann", "m.ics", strings.ReplaceAll(o.event("ann", "m"), "20300311T", "20300318T"))
	o.wants("bob", "m", "20300318T090000", "BEGIN:VALARM", "PARTSTAT=NEEDS-ACTION", "SEQUENCE:1")
	// The answer F tells the organizer nothing.
	_, err := o.s.Put(context.Background(), o.account("bob"), o.calendar("bob"), Put{NoReply: true, Put: putOf(o.item("bob", "m"), strings.Replace(o.event("bob", "m"), "PARTSTAT=NEEDS-ACTION", "PARTSTAT=DECLINED", 1))})
	must(t, err)
	o.settle()
	o.wants("ann", "m", "PARTSTAT=NEEDS-ACTION")
}

// Who may change somebody's calendar invites and answers for him.
func TestAssistants(t *testing.T) {
	o := newOffice(t, t.TempDir())
	ann, cay := o.account("ann"), o.account("cay")
	o.calendar("ann")
	must(t, ann.Mail().ChangeACL(t.Context(), "Calendar", func(mailbox.ACL) (mailbox.ACL, error) {
		return mailbox.ACL{{Identifier: "cay", Rights: uint32(access.Lookup | access.Read | access.Insert | access.Delete)}}, nil
	}))
	c, err := o.s.Groupware.Main(t.Context(), cay, o.s.Groupware.Between(cay, ann), groupware.Calendar)
	must(t, err)
	_, err = o.s.Put(t.Context(), cay, c, Put{Put: putOf("m.ics", meeting("m", starts, byAnn, withBob, withJoe))})
	must(t, err)
	o.settle()
	o.wants("bob", "m", "ORGANIZER;CN=Ann;SENT-BY=\"mailto:cay@company.com\":mailto:ann@company.com")
	if len(o.away) != 1 || !strings.Contains(o.away[0], "From: \"Ann\" <ann@company.com>") || !strings.Contains(o.away[0], "Sender: <cay@company.com>") {
		t.Errorf("%q", o.away)
	}
	must(t, ann.Mail().ChangeACL(t.Context(), "Calendar", func(mailbox.ACL) (mailbox.ACL, error) { return nil, nil }))
	c, err = o.s.Groupware.Main(t.Context(), cay, o.s.Groupware.Between(cay, ann), groupware.Calendar)
	if !fault.Is(err, fault.NoMailbox) {
		t.Errorf("without rights: %v", err)
	}
	_ = c
}

// Tasks are given to others like events; an invitation of Outlook, with its time zones and encodings, is understood.
func TestTasksAndOtherPrograms(t *testing.T) {
	o := newOffice(t, t.TempDir())
	ann := o.account("ann")
	tasks, err := o.s.Groupware.Main(t.Context(), ann, o.s.Groupware.Between(ann, ann), groupware.Tasks)
	must(t, err)
	task := strings.ReplaceAll(meeting("t", "DUE:20300310T090000Z", byAnn, withBob), "VEVENT", "VTODO")
	_, err = o.s.Put(t.Context(), ann, tasks, Put{Put: putOf("t.ics", task)})
	must(t, err)
	o.settle()
	bob := o.account("bob")
	his, err := o.s.Groupware.Main(t.Context(), bob, o.s.Groupware.Between(bob, bob), groupware.Tasks)
	must(t, err)
	if _, err := his.ByUID(t.Context(), "t"); err != nil {
		t.Errorf("%v\n%s", err, o.log)
	}

	outlook := "BEGIN:VCALENDAR\nMETHOD:REQUEST\nPRODID:Microsoft Exchange Server 2010\nVERSION:2.0\nBEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T030000\n" +
		"TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n" +
		"RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\nBEGIN:VEVENT\nORGANIZER;CN=Joe:mailto:joe@far.net\n" +
		"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=room@company.com:MAILTO:room@company.com\nUID:040000008200E00074C5B7101A82E008\nSUMMARY;LANGUAGE=de-DE:Besprechung =C3=BCber\n" +
		"DTSTART;TZID=W. Europe Standard Time:20300311T090000\nDTEND;TZID=W. Europe Standard Time:20300311T100000\nCLASS:PUBLIC\nPRIORITY:5\nDTSTAMP:20300301T000000Z\nTRANSP:OPAQUE\nSTATUS:CONFIRMED\nSEQUENCE:0\n" +
		"X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE\nEND:VEVENT\nEND:VCALENDAR\n"
	o.room(map[string]dataValue{"BookedBy": str("Everybody")})
	body := "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: text/calendar; charset=\"utf-8\"; method=REQUEST\nContent-Transfer-Encoding: quoted-printable\n\n" +
		strings.ReplaceAll(strings.ReplaceAll(outlook, "=", "=3D"), "=3DC3=3DBC", "=C3=BC") + "\n--b--\n"
	o.receiveBody("joe@far.net", "room@company.com", proof, body)
	o.wants("room", "040000008200E00074C5B7101A82E008", "Besprechung über", "PARTSTAT=ACCEPTED", "TZID:W. Europe Standard Time")
	if len(o.away) != 1 || !strings.Contains(o.away[0], "method=REPLY") || !strings.Contains(o.away[0], "To: <joe@far.net>") {
		t.Errorf("%q\n%s", o.away, o.log)
	}
}

package scheduling

import (
	"context"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

func (o *office) setAccount(name string, d dataformat.Dict) {
	o.t.Helper()
	must(o.t, o.acc.AccountSettings("company.com", name).Update(context.Background(), d))
}

func str(s string) dataformat.String { return dataformat.String(s) }

const withRoom = "ATTENDEE;CUTYPE=ROOM;PARTSTAT=NEEDS-ACTION:mailto:room@company.com"

// day is a time of an event some days ahead.
func (o *office) room(d dataformat.Dict) {
	set := dataformat.Dict{"CalendarUserType": str("ROOM"), "BookingHorizon": str("3650d")}
	for k, v := range d {
		set[k] = v
	}
	o.setAccount("room", set)
}

func TestRoomAnswersByWhetherItIsFree(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.room(nil)
	o.put("ann", "a.ics", meeting("a", starts, byAnn, withRoom))
	o.wants("ann", "a", "PARTSTAT=ACCEPTED;SCHEDULE-STATUS=2.0")
	o.wants("room", "a", "PARTSTAT=ACCEPTED:mailto:room", "!TRANSPARENT")

	// The same time is taken.
	byBob := "ORGANIZER:mailto:bob@company.com"
	o.put("bob", "b.ics", meeting("b", "DTSTART:20300310T093000Z\nDTEND:20300310T103000Z", byBob, withRoom))
	o.wants("bob", "b", "PARTSTAT=DECLINED")
	o.wants("room", "b", "TRANSP:TRANSPARENT")
	// Just after it is free.
	o.put("bob", "c.ics", meeting("c", "DTSTART:20300310T100000Z\nDTEND:20300310T110000Z", byBob, withRoom))
	o.wants("bob", "c", "PARTSTAT=ACCEPTED")

	// Ann moves hers to where Bob's is: it is declined, and hers is free again.
	o.put("ann", "a.ics", strings.ReplaceAll(strings.ReplaceAll(o.event("ann", "a"), "T100000Z", "T110000Z"), "T090000Z", "T103000Z"))
	o.wants("ann", "a", "PARTSTAT=DECLINED")
	o.put("bob", "b.ics", strings.Replace(o.event("bob", "b"), "T093000Z", "T091500Z", 1))
	o.wants("bob", "b", "PARTSTAT=DECLINED") // c begins before it ends
	o.put("bob", "b.ics", strings.Replace(o.event("bob", "b"), "T103000Z", "T100000Z", 1))
	o.wants("bob", "b", "PARTSTAT=ACCEPTED")

	// What is cancelled is free.
	o.remove("bob", "b.ics")
	o.put("ann", "d.ics", meeting("d", starts, byAnn, withRoom))
	o.wants("ann", "d", "PARTSTAT=ACCEPTED;SCHEDULE-STATUS")
}

func TestRoomDeclinesInstances(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.room(nil)
	o.put("bob", "b.ics", meeting("b", "DTSTART:20300313T080000Z\nDTEND:20300313T090000Z", "ORGANIZER:mailto:bob@company.com", withRoom))
	o.wants("bob", "b", "PARTSTAT=ACCEPTED")
	// 9 to 10 in Berlin is 8 to 9 in UTC: the third of five.
	o.put("ann", "a.ics", meeting("a", daily, byAnn, withRoom))
	o.wants("ann", "a", "PARTSTAT=ACCEPTED;SCHEDULE-STATUS=2.0", "PARTSTAT=DECLINED", "RECURRENCE-ID;TZID=Europe/Berlin:20300313T090000")
	o.wants("room", "a", "PARTSTAT=ACCEPTED:mailto:room", "PARTSTAT=DECLINED:mailto:room")
	// Most of a series is taken: all of it is declined.
	o.put("bob", "c.ics", meeting("c", strings.Replace(daily, "COUNT=5", "COUNT=6", 1), "ORGANIZER:mailto:bob@company.com", withRoom))
	o.wants("bob", "c", "PARTSTAT=DECLINED", "!RECURRENCE-ID")
	// Days of a series.
	o.put("ann", "d.ics", meeting("d", "DTSTART;VALUE=DATE:20300312\nRRULE:FREQ=DAILY;COUNT=9", byAnn, withRoom))
	o.wants("ann", "d", "RECURRENCE-ID;VALUE=DATE:20300315")
}

func TestWhoMayBookRooms(t *testing.T) {
	o := newOffice(t, t.TempDir())
	request := func(uid, by string) string {
		return strings.Replace(meeting(uid, starts, "ORGANIZER:mailto:"+by, withRoom), "PRODID", "METHOD:REQUEST\nPRODID", 1)
	}
	o.room(dataformat.Dict{"BookingMaxLength": str("2h")})
	o.receive("joe@far.net", "room@company.com", proof, "REQUEST", request("j1", "joe@far.net"))
	if len(o.away) != 1 || !strings.Contains(o.away[0], "Subject: Declined: Meeting") {
		t.Fatalf("%q\n%s", o.away, o.log)
	}
	o.room(dataformat.Dict{"BookedBy": str("List"), "Bookers": dataformat.Array{str("joe@far.net")}})
	o.receive("joe@far.net", "room@company.com", proof, "REQUEST", request("j2", "joe@far.net"))
	if len(o.away) != 2 || !strings.Contains(o.away[1], "Subject: Accepted: Meeting") {
		t.Fatalf("%q\n%s", o.away, o.log)
	}
	// Nobody is answered in somebody else's name.
	o.receive("joe@far.net", "room@company.com", "", "REQUEST", request("j3", "joe@far.net"))
	o.receive("joe@far.net", "room@company.com", proof, "REQUEST", request("j4", "eve@far.net"))
	if len(o.away) != 2 || o.event("room", "j3")+o.event("room", "j4") != "" {
		t.Errorf("%q\n%s", o.away[2:], o.log)
	}
	// Too long, too far.
	o.put("ann", "l.ics", meeting("l", "DTSTART:20300410T090000Z\nDTEND:20300410T120000Z", byAnn, withRoom))
	o.wants("ann", "l", "PARTSTAT=DECLINED")
	o.room(dataformat.Dict{"BookingHorizon": str("10d"), "BookedBy": str("Domain"), "BookingMaxLength": str("0")})
	o.put("ann", "f.ics", meeting("f", "DTSTART:20300410T090000Z\nDTEND:20300410T120000Z", byAnn, withRoom))
	o.wants("ann", "f", "PARTSTAT=DECLINED")
	// Who looks after it answers.
	o.room(dataformat.Dict{"BookingPolicy": str("Ask")})
	o.put("ann", "q.ics", meeting("q", "DTSTART:20300510T090000Z\nDTEND:20300510T120000Z", byAnn, withRoom))
	o.wants("ann", "q", "PARTSTAT=NEEDS-ACTION;SCHEDULE-STATUS=1.1:mailto:room")
	o.wants("room", "q", "PARTSTAT=NEEDS-ACTION")
	// Two rooms in one event do not answer each other for ever.
	o.setAccount("cay", dataformat.Dict{"CalendarUserType": str("RESOURCE"), "BookingHorizon": str("3650d")})
	o.room(dataformat.Dict{"BookingPolicy": str("Automatic")})
	o.put("ann", "two.ics", meeting("two", "DTSTART:20300610T090000Z\nDTEND:20300610T120000Z", byAnn, withRoom, withCay))
	if n := strings.Count(o.event("ann", "two"), "PARTSTAT=ACCEPTED"); n != 3 {
		t.Errorf("%d have accepted: %s", n, o.event("ann", "two"))
	}
}

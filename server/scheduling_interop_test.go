package server_test

import (
	"strings"
	"testing"
)

// schedulingExamples invite, answer, look who is free and cancel as python3-caldav does it: a library that many programs stand on.
const schedulingExamples = `
import sys, time
import caldav
from caldav.lib import error
from datetime import datetime, timezone, timedelta

url, password = sys.argv[1], sys.argv[2]
def login(name):
    return caldav.DAVClient(url=url, username=name + "@corp.test", password=password).principal()
alice, bob = login("alice"), login("bob")
def until(what, tell):
    for _ in range(200):
        v = what()
        if v:
            return v
        time.sleep(0.05)
    assert False, tell

assert "mailto:alice@corp.test" in alice.calendar_user_address_set()
start = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3)
end = start + timedelta(hours=1)
mine, his = alice.calendar("Calendar"), bob.calendar("Calendar")
text = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Test//EN
BEGIN:VEVENT
UID:planning-1
DTSTAMP:20260101T000000Z
DTSTART:%s
DTEND:%s
SUMMARY:Planning
END:VEVENT
END:VCALENDAR
""" % (start.strftime("%Y%m%dT%H%M%SZ"), end.strftime("%Y%m%dT%H%M%SZ"))
mine.save_with_invites(text, ["bob@corp.test", "room@corp.test", "mailto:nobody@corp.test"])
event = mine.event_by_uid("planning-1")
def unfolded(e):
    e.load()
    return e.data.replace("\r\n", "\n").replace("\n ", "")
assert "SCHEDULE-STATUS=3.7" in unfolded(event), event.data

# The room has answered.
until(lambda: "PARTSTAT=ACCEPTED" in [l for l in unfolded(event).split("\n") if "room@" in l][0], "the room does not answer: " + event.data)

# Bob has it in his inbox and in his calendar, and accepts.
items = until(lambda: [i for i in bob.schedule_inbox().get_items()], "nothing is in the inbox")
for i in items:
    i.load()
invites = [i for i in items if i.is_invite_request()]
assert invites, [i.data for i in items]
copy = his.event_by_uid("planning-1")
assert "PARTSTAT=NEEDS-ACTION" in unfolded(copy)
invites[0].accept_invite(calendar=his)
invites[0].delete()
assert "PARTSTAT=ACCEPTED" in [l for l in unfolded(copy).split("\n") if "bob@" in l][0], copy.data
until(lambda: "PARTSTAT=ACCEPTED" in [l for l in unfolded(event).split("\n") if "bob@" in l][0], "the answer does not come: " + event.data)

# Who is free?
found = alice.freebusy_request(start - timedelta(hours=2), end + timedelta(hours=2), ["mailto:bob@corp.test", "mailto:nobody@corp.test"])
assert "2.0;Success" in str(found) or found is not None, found

# It is cancelled.
event.load()
event.delete()
until(lambda: "STATUS:CANCELLED" in unfolded(copy), "it is not cancelled: " + copy.data)
`

func TestInteropPythonCaldavScheduling(t *testing.T) {
	needPrograms(t, "/usr/bin/python3", "curl")
	r := start(t)
	r.cli(t, `CREATEACCOUNT room {Password="`+testPassword+`"; CalendarUserType=ROOM;}`)
	run(t, nil, nil, "/usr/bin/python3", "-c", schedulingExamples, "http://"+r.addr(8100)+"/", testPassword)
	mail := r.waitFor(t, "bob", "Invitation: Planning")
	for _, want := range []string{"From: ", "alice@corp.test", "Content-Type: text/calendar; charset=utf-8; method=REQUEST"} {
		if !strings.Contains(mail, want) {
			t.Errorf("%q is missing in\n%s", want, mail)
		}
	}
	r.waitFor(t, "bob", "Cancelled: Planning")
}

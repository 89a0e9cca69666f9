package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What programs for calendars and contacts do, against a whole server.

func interopEvent(uid, more string) string {
	return crlf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Interop//EN\nBEGIN:VEVENT\nUID:" + uid + "\nDTSTAMP:20261201T000000Z\n" + more + "END:VEVENT\nEND:VCALENDAR\n")
}

func interopCard(uid, name string) string {
	return crlf("BEGIN:VCARD\nVERSION:3.0\nUID:" + uid + "\nFN:" + name + "\nN:" + name + ";;;;\nEMAIL:" + uid + "@example.com\nEND:VCARD\n")
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// dav makes one request as alice and returns its status and the body of the answer.
func (r *running) dav(t *testing.T, method, path, body string, more ...string) (status, answer string) {
	t.Helper()
	args := append([]string{"-sS", "--user", "alice@" + testDomain + ":" + testPassword, "-X", method, "-w", "\n%{http_code}"}, more...)
	if body != "" {
		args = append(args, "--data-binary", "@-")
	}
	out := run(t, strings.NewReader(body), nil, "curl", append(args, "http://"+r.addr(8100)+path)...)
	i := strings.LastIndexByte(out, '\n')
	return out[i+1:], out[:i]
}

// vdirsyncer syncs calendars and address books two ways and settles conflicts; khal lists what it has brought.
func TestInteropVdirsyncer(t *testing.T) {
	needPrograms(t, "vdirsyncer", "khal", "curl")
	r := start(t)
	dir := t.TempDir()
	env := []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir, "LC_ALL=C.UTF-8", "TZ=UTC"}
	write(t, dir, "config", fmt.Sprintf(`[general]
status_path = "%[1]s/status/"

[pair calendars]
a = "near_calendars"
b = "far_calendars"
collections = ["from a", "from b"]
metadata = ["displayname", "color"]
conflict_resolution = "b wins"

[storage near_calendars]
type = "filesystem"
path = "%[1]s/calendars/"
fileext = ".ics"

[storage far_calendars]
type = "caldav"
url = "http://%[2]s/"
username = "alice@%[3]s"
password = "%[4]s"

[pair contacts]
a = "near_contacts"
b = "far_contacts"
collections = ["from a", "from b"]
conflict_resolution = "a wins"

[storage near_contacts]
type = "filesystem"
path = "%[1]s/contacts/"
fileext = ".vcf"

[storage far_contacts]
type = "carddav"
url = "http://%[2]s/.well-known/carddav"
username = "alice@%[3]s"
password = "%[4]s"
`, dir, r.addr(8100), testDomain, testPassword))
	sync := func() string {
		return run(t, nil, env, "vdirsyncer", "-c", filepath.Join(dir, "config"), "sync")
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same := func(name, want string) {
		t.Helper()
		got, err := os.ReadFile(path(name))
		if want == "" && err != nil {
			return
		}
		if err != nil || crlf(strings.ReplaceAll(string(got), "\r\n", "\n")) != want {
			t.Errorf("%s: %v, %q, want %q", name, err, got, want)
		}
	}
	far := func(name, status, want string) {
		t.Helper()
		if got, text := r.dav(t, "GET", name, ""); got != status || want != "" && text != want {
			t.Errorf("%s: status %s, want %s: %q, want %q", name, got, status, text, want)
		}
	}
	// The server's collections are found, and one that is only here is made there.
	if err := os.MkdirAll(path("calendars/work"), 0o700); err != nil {
		t.Fatal(err)
	}
	put("calendars/work/color", "#00ff00")
	run(t, strings.NewReader(strings.Repeat("y\n", 20)), env, "vdirsyncer", "-c", path("config"), "discover")
	for _, name := range []string{"calendars/Calendar", "calendars/Tasks", "contacts/Contacts"} {
		if _, err := os.Stat(path(name)); err != nil {
			t.Errorf("%s was not found: %v", name, err)
		}
	}

	// What is new goes both ways, also to other components than events.
	weekly := interopEvent("weekly", "DTSTART:20261207T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3\nSUMMARY:Besprechung ü\n")
	lunch := interopEvent("lunch", "DTSTART:20261208T120000Z\nDTEND:20261208T130000Z\nSUMMARY:Lunch\n")
	todo := strings.ReplaceAll(interopEvent("todo", "DUE:20261210T120000Z\nSUMMARY:Buy bread\n"), "VEVENT", "VTODO")
	zoe := interopCard("zoe", "Zoë Quinn")
	put("calendars/work/weekly.ics", weekly)
	put("calendars/Tasks/todo.ics", todo)
	put("contacts/Contacts/zoe.vcf", zoe)
	put("contacts/Contacts/max.vcf", interopCard("max", "Max"))
	if status, text := r.dav(t, "PUT", "/CalDAV/work/lunch.ics", lunch); status != "201" {
		t.Fatal(status, text)
	}
	sync()
	far("/CalDAV/work/weekly.ics", "200", weekly)
	far("/CalDAV/Tasks/todo.ics", "200", todo)
	far("/CardDAV/Contacts/zoe.vcf", "200", zoe)
	same("calendars/work/lunch.ics", lunch)
	run(t, nil, env, "vdirsyncer", "-c", path("config"), "metasync")
	color := `<propfind xmlns="DAV:"><prop><x:calendar-color xmlns:x="http://apple.com/ns/ical/"/></prop></propfind>`
	if _, text := r.dav(t, "PROPFIND", "/CalDAV/work/", color, "-H", "Depth: 0"); !strings.Contains(strings.ToLower(text), "#00ff00") {
		t.Errorf("the colour is not there: %s", text)
	}

	// khal lists what was synced.
	write(t, dir, "khal", fmt.Sprintf("[calendars]\n[[work]]\npath = %s\n[sqlite]\npath = %s\n[locale]\nlocal_timezone = UTC\ndefault_timezone = UTC\ntimeformat = %%H:%%M\ndateformat = %%Y-%%m-%%d\nlongdateformat = %%Y-%%m-%%d\ndatetimeformat = %%Y-%%m-%%d %%H:%%M\nlongdatetimeformat = %%Y-%%m-%%d %%H:%%M\n", path("calendars/work"), path("khal.db")))
	agenda := run(t, nil, env, "khal", "-c", path("khal"), "list", "--format", "{start} {title}", "--day-format", "", "2026-12-01", "30d")
	if want := "2026-12-07 09:00 Besprechung ü\n2026-12-08 12:00 Lunch\n2026-12-14 09:00 Besprechung ü\n2026-12-21 09:00 Besprechung ü\n"; agenda != want {
		t.Errorf("khal lists %q, want %q", agenda, want)
	}

	// Changes and removals go both ways.
	later := strings.Replace(weekly, "T090000Z", "T100000Z", 1)
	put("calendars/work/weekly.ics", later)
	if status, text := r.dav(t, "DELETE", "/CalDAV/work/lunch.ics", ""); status != "204" {
		t.Fatal(status, text)
	}
	if err := os.Remove(path("contacts/Contacts/zoe.vcf")); err != nil {
		t.Fatal(err)
	}
	sync()
	far("/CalDAV/work/weekly.ics", "200", later)
	same("calendars/work/lunch.ics", "")
	far("/CardDAV/Contacts/zoe.vcf", "404", "")

	// Who has changed the same is settled as the file of each pair says.
	put("contacts/Contacts/zoe.vcf", zoe)
	sync()
	nearText, farText := strings.Replace(later, "ü", "here", 1), strings.Replace(later, "ü", "there", 1)
	nearCard, farCard := interopCard("zoe", "Zoë Here"), interopCard("zoe", "Zoë There")
	put("calendars/work/weekly.ics", nearText)
	put("contacts/Contacts/zoe.vcf", nearCard)
	for name, text := range map[string]string{"/CalDAV/work/weekly.ics": farText, "/CardDAV/Contacts/zoe.vcf": farCard} {
		if status, answer := r.dav(t, "PUT", name, text); status != "204" {
			t.Fatal(name, status, answer)
		}
	}
	sync()
	far("/CalDAV/work/weekly.ics", "200", farText)
	same("calendars/work/weekly.ics", farText)
	far("/CardDAV/Contacts/zoe.vcf", "200", nearCard)
	same("contacts/Contacts/zoe.vcf", nearCard)
}

// calendarExamples does what the documentation of the Python library caldav shows.
const calendarExamples = `
import sys, caldav
from datetime import date, datetime, timezone
from caldav.lib import error
client = caldav.DAVClient(url=sys.argv[1], username="alice@corp.test", password=sys.argv[2])
me = client.principal()
assert sorted(c.name for c in me.calendars()) == ["Calendar", "Tasks"], [c.name for c in me.calendars()]
try:
    me.calendar(name="Test calendar")
    assert False, "found what there is none of"
except error.NotFoundError:
    pass
made = me.make_calendar(name="Test calendar", cal_id="test")
assert made.get_display_name() == "Test calendar"
assert sorted(made.get_supported_components()) == ["VEVENT", "VJOURNAL", "VTODO"]
fireworks = made.save_event("""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example Corp.//CalDAV Client//EN
BEGIN:VEVENT
UID:20200516T060000Z-123401@example.com
DTSTAMP:20200516T060000Z
DTSTART:20200517T060000Z
DTEND:20200517T230000Z
RRULE:FREQ=YEARLY
SUMMARY:Do the needful
END:VEVENT
END:VCALENDAR
""")
work = made.save_event(dtstart=datetime(2020, 5, 17, 8, tzinfo=timezone.utc), dtend=datetime(2020, 5, 17, 9, tzinfo=timezone.utc), summary="Do the needful", rrule={"FREQ": "YEARLY"})
# With and without expansion, by the old way and the new.
for found in (made.date_search(start=datetime(2026, 5, 16), end=datetime(2028, 5, 18), expand=True),
        made.search(start=datetime(2026, 5, 16), end=datetime(2028, 5, 18), event=True, expand=True)):
    starts = sorted(str(v["DTSTART"].dt) for e in found for v in e.icalendar_instance.walk("VEVENT"))
    assert starts == sorted("%d-05-17 %s:00:00+00:00" % (y, h) for y in (2026, 2027, 2028) for h in ("06", "08")), starts
assert len(made.search(start=datetime(2026, 5, 16), end=datetime(2028, 5, 18), event=True, expand=False)) == 2
assert len(made.search(start=datetime(2026, 6, 16), end=datetime(2026, 7, 18), event=True, expand=False)) == 0
assert len(made.search(event=True, summary="needful")) == 2
# A change by one object is seen by another.
work.vobject_instance.vevent.summary.value = "Norwegian national day celebratiuns"
work.save()
same = made.event_by_url(work.url)
assert "celebratiuns" in same.data
same.icalendar_instance.subcomponents[0]["summary"] = same.icalendar_instance.subcomponents[0]["summary"].replace("celebratiuns", "celebrations")
same.save()
work.load()
assert "celebrations" in work.data
assert len(made.events()) == 2
# By UID and by the state of a collection.
assert made.event_by_uid("20200516T060000Z-123401@example.com").url == fireworks.url
before = made.objects_by_sync_token(load_objects=True)
assert len(list(before)) == 2
gone = fireworks.url
fireworks.delete()
new = made.save_event(dtstart=datetime(2020, 5, 18, 8, tzinfo=timezone.utc), dtend=datetime(2020, 5, 18, 9, tzinfo=timezone.utc), summary="New")
updated, deleted = before.sync()
assert [o.url for o in updated] == [new.url] and [o.url for o in deleted] == [gone], (updated, deleted)
try:
    made.event_by_url(gone)
    assert False, "a deleted event is there"
except error.NotFoundError:
    pass
# Tasks have a list of their own.
tasks = me.make_calendar(name="Tasks to do", cal_id="todo", supported_calendar_component_set=["VTODO"])
assert tasks.get_supported_components() == ["VTODO"]
tasks.save_todo(summary="A task", due=date(2026, 12, 24), categories=["OUTDOOR", "FAMILY"])
second = tasks.save_todo(summary="Another", dtstart=date(2026, 12, 1), due=date(2026, 12, 2))
assert [str(t.icalendar_instance.subcomponents[0]["SUMMARY"]) for t in tasks.todos()] == ["Another", "A task"]
assert len(tasks.search(todo=True, category="FAMILY")) == 1
assert len(tasks.search(start=datetime(2026, 12, 23), end=datetime(2026, 12, 25), todo=True)) == 1
second.complete()
assert len(tasks.todos()) == 1
assert len(tasks.todos(include_completed=True)) == 2
try:
    tasks.save_event(dtstart=datetime(2020, 5, 18, 8, tzinfo=timezone.utc), summary="No task")
    assert False, "an event is in a task list"
except error.AuthorizationError:
    pass
made.save_journal(dtstart=date(2026, 12, 1), summary="A note")
assert len(made.journals()) == 1
busy = made.freebusy_request(datetime(2026, 5, 17), datetime(2026, 5, 18))
assert "20260517T080000Z" in busy.data, busy.data
again = client.calendar(url=made.url)
assert again.get_display_name() == "Test calendar"
made.set_properties([caldav.elements.dav.DisplayName("Renamed")])
assert made.get_display_name() == "Renamed"
made.delete()
tasks.delete()
assert sorted(c.name for c in me.calendars()) == ["Calendar", "Tasks"]
`

func TestInteropPythonCaldav(t *testing.T) {
	needPrograms(t, "/usr/bin/python3")
	r := start(t)
	for _, url := range []string{"/", "/CalDAV/", "/UserDAV/alice@" + testDomain + "/"} {
		run(t, nil, nil, "/usr/bin/python3", "-c", calendarExamples, "http://"+r.addr(8100)+url, testPassword)
	}
}

// cadaver looks through the folders, stores files and fetches them.
func TestInteropCadaver(t *testing.T) {
	needPrograms(t, "cadaver", "curl")
	r := start(t)
	dir := t.TempDir()
	write(t, dir, ".netrc", fmt.Sprintf("machine 127.0.0.1\nlogin alice@%s\npassword \"%s\"\n", testDomain, testPassword))
	lunch := interopEvent("lunch", "DTSTART:20261208T120000Z\nDTEND:20261208T130000Z\nSUMMARY:Lunch\n")
	write(t, dir, "lunch.ics", lunch)
	env := []string{"HOME=" + dir, "LC_ALL=C"}
	cadaver := func(commands string, failures int) string {
		t.Helper()
		out := run(t, strings.NewReader("lcd "+dir+"\n"+commands+"quit\n"), env, "cadaver", "http://"+r.addr(8100)+"/CalDAV/")
		if n := strings.Count(out, "failed"); n != failures {
			t.Errorf("%d failures, want %d, in\n%s", n, failures, out)
		}
		return out
	}
	out := cadaver("ls\ncd Calendar\nput lunch.ics\nls\nget lunch.ics back.ics\nmove lunch.ics dinner.ics\nmkcol /CalDAV/Second\ncopy dinner.ics /CalDAV/Second/supper.ics\n"+
		"propset dinner.ics color red\nls\nls /CalDAV/Second\nmove dinner.ics /CalDAV/Second/late.ics\ndelete /CalDAV/Second/supper.ics\nmove dinner.ics /CalDAV/Second/late.ics\n", 2)
	for _, want := range []string{"Coll:   Calendar", "Coll:   Tasks", " lunch.ics ", " dinner.ics ", " supper.ics "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "back.ics")); err != nil || string(got) != lunch {
		t.Errorf("fetched %q, %v", got, err)
	}
	if status, text := r.dav(t, "GET", "/CalDAV/Second/late.ics", ""); status != "200" || text != lunch {
		t.Errorf("moved: %s %q", status, text)
	}
	out = cadaver("rmcol Second\nls\n", 0)
	if strings.Contains(out, "Coll:   Second") {
		t.Errorf("a deleted folder is listed:\n%s", out)
	}
	// Parts of the tree that are not below a calendar.
	if status, _ := r.dav(t, "PUT", "/CalDAV/none/x.ics", lunch); status != "409" {
		t.Errorf("PUT below nothing: %s", status)
	}
	if status, text := r.dav(t, "GET", "/CalDAV/", ""); status != "200" || !strings.HasPrefix(text, "BEGIN:VCALENDAR\r\n") {
		t.Errorf("GET of the main calendar: %s %q", status, text)
	}
	if status, text := r.dav(t, "OPTIONS", "/CalDAV/", "", "-i"); status != "200" || !strings.Contains(text, "calendar-access") {
		t.Errorf("OPTIONS: %s %s", status, text)
	}
}

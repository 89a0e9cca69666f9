package dav

import (
	"strings"
	"testing"
)

// A calendar as a whole: GET reads it, PUT replaces its content.
func TestWholeCalendar(t *testing.T) {
	f := newFixture(t)
	stock(f)
	have := func(want ...string) {
		t.Helper()
		body := f.want(200, f.do("GET", "/CalendarData/Calendar.ics", "")).body
		if n := strings.Count(body, "BEGIN:VEVENT"); n != len(want) {
			t.Errorf("%d events, want %q:\n%s", n, want, body)
		}
		for _, uid := range want {
			if !strings.Contains(body, "UID:"+uid+"\r\n") {
				t.Errorf("%s is missing:\n%s", uid, body)
			}
		}
	}
	have("free", "once", "weekly")
	a := f.want(200, f.do("GET", "/CalendarData/", ""))
	tag := a.header.Get("ETag")
	f.want(304, f.do("GET", "/CalendarData/Calendar", "", "If-None-Match", tag))
	before := f.want(200, f.do("GET", "/CalDAV/Calendar/once.ics", "")).header.Get("ETag")

	one := func(uid string) string {
		return "BEGIN:VEVENT\r\nUID:" + uid + "\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260210T120000Z\r\nSUMMARY:of the file\r\nEND:VEVENT\r\n"
	}
	file := func(inside string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:PUBLISH\r\n" + inside + "END:VCALENDAR\r\n"
	}
	// What is not right as a whole changes nothing.
	for name, text := range map[string]string{
		"empty": "", "no calendar": "hello\r\n", "cut": "BEGIN:VCALENDAR\r\n" + one("new"), "one bad": file(one("new") + "BEGIN:VEVENT\r\nUID:bad\r\nDTSTART:never\r\nEND:VEVENT\r\n"),
		"task": file("BEGIN:VTODO\r\nUID:t\r\nDTSTAMP:20260101T000000Z\r\nEND:VTODO\r\n"), "card": "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c\r\nFN:c\r\nEND:VCARD\r\n",
	} {
		if a := f.do("PUT", "/CalendarData/Calendar", text); a.status/100 != 4 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	have("free", "once", "weekly")
	f.want(412, f.do("PUT", "/CalendarData/Calendar", file(one("new")), "If-Match", `"other"`))

	f.want(204, f.do("PUT", "/CalendarData/Calendar.ics", file(one("once")+one("new")), "If-Match", tag))
	have("once", "new")
	if now := f.want(200, f.do("GET", "/CalDAV/Calendar/once.ics", "")); now.header.Get("ETag") == before || !strings.Contains(now.body, "of the file") {
		t.Errorf("the item was not replaced: %s", now.body)
	}
	// The same file again changes nothing.
	tag = f.want(200, f.do("GET", "/CalendarData/", "")).header.Get("ETag")
	f.want(204, f.do("PUT", "/CalendarData/", file(one("once")+one("new"))))
	f.want(304, f.do("GET", "/CalendarData/", "", "If-None-Match", tag))

	// Another's calendar by its rights.
	for _, c := range []struct {
		rights   string
		get, put int
	}{{"", 404, 404}, {"l", 403, 403}, {"lr", 200, 403}, {"lri", 200, 403}, {"lrid", 200, 204}} {
		f.give("ann", "Calendar", c.rights)
		f.user = "bob@company.com"
		if a := f.do("GET", "/CalendarData/~ann/Calendar", ""); a.status != c.get {
			t.Errorf("%q: GET %d, want %d", c.rights, a.status, c.get)
		}
		if a := f.do("PUT", "/CalendarData/~ann/Calendar", file(one("bob"))); a.status != c.put {
			t.Errorf("%q: PUT %d, want %d: %s", c.rights, a.status, c.put, a.body)
		}
	}
	f.user = "ann@company.com"
	have("bob")
	f.want(204, f.do("PUT", "/CalendarData/Calendar", file("")))
	have()
	f.want(404, f.do("GET", "/CalendarData/None", ""))
	f.user = ""
	f.want(401, f.do("GET", "/CalendarData/Calendar", ""))
	f.user = "none@company.com"
	f.want(403, f.do("GET", "/CalendarData/Calendar", ""))
}

package dav

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// stock puts events and a task into the calendars of ann.
func stock(f *fixture) {
	f.t.Helper()
	for name, more := range map[string]string{
		"weekly": "DTSTART:20260105T090000Z\r\nDTEND:20260105T100000Z\r\nRRULE:FREQ=WEEKLY;COUNT=10\r\nSUMMARY:Team meeting\r\n",
		"once":   "DTSTART:20260210T120000Z\r\nDTEND:20260210T130000Z\r\nSUMMARY:Lunch\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@company.com\r\n",
		"free":   "DTSTART:20260210T140000Z\r\nDTEND:20260210T150000Z\r\nSUMMARY:Reading\r\nTRANSP:TRANSPARENT\r\n",
	} {
		f.want(201, f.do("PUT", "/CalDAV/Calendar/"+name+".ics", event(name, strings.ReplaceAll(more, "\r\n", "\n")), "If-None-Match", "*", "Content-Type", "text/calendar"))
	}
}

func query(filter, data string) string {
	return `<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/>` + data + `</D:prop><C:filter><C:comp-filter name="VCALENDAR">` +
		filter + `</C:comp-filter></C:filter></C:calendar-query>`
}

func vevent(inner string) string { return `<C:comp-filter name="VEVENT">` + inner + `</C:comp-filter>` }

// The filters of RFC 4791 section 9.7.
func TestCalendarQuery(t *testing.T) {
	f := newFixture(t)
	stock(f)
	february := `<C:time-range start="20260201T000000Z" end="20260301T000000Z"/>`
	for filter, want := range map[string]string{
		"":               "free once weekly",
		vevent(""):       "free once weekly",
		vevent(february): "free once weekly",
		vevent(`<C:time-range start="20260401T000000Z" end="20260501T000000Z"/>`):                                                                       "",
		vevent(`<C:time-range start="20260111T000000Z" end="20260112T090000Z"/>`):                                                                       "",
		vevent(`<C:time-range start="20260112T090000Z"/>`):                                                                                              "free once weekly",
		`<C:comp-filter name="VTODO"/>`:                                                                                                                 "",
		`<C:comp-filter name="VTODO"><C:is-not-defined/></C:comp-filter>`:                                                                               "free once weekly",
		vevent(`<C:prop-filter name="SUMMARY"><C:text-match>MEET</C:text-match></C:prop-filter>`):                                                       "weekly",
		vevent(`<C:prop-filter name="SUMMARY"><C:text-match collation="i;octet">MEET</C:text-match></C:prop-filter>`):                                   "",
		vevent(`<C:prop-filter name="SUMMARY"><C:text-match negate-condition="yes">meet</C:text-match></C:prop-filter>`):                                "free once",
		vevent(`<C:prop-filter name="RRULE"><C:is-not-defined/></C:prop-filter>` + february):                                                            "free once",
		vevent(`<C:prop-filter name="ATTENDEE"><C:param-filter name="PARTSTAT"><C:text-match>accepted</C:text-match></C:param-filter></C:prop-filter>`): "once",
	} {
		a := f.want(207, f.do("REPORT", "/CalDAV/Calendar/", query(filter, ""), "Depth", "1"))
		var got []string
		for _, name := range []string{"free", "once", "weekly"} {
			if strings.Contains(a.body, "/"+name+".ics") {
				got = append(got, name)
			}
		}
		if have := strings.Join(got, " "); have != want {
			t.Errorf("%s\nfound %q, want %q", filter, have, want)
		}
	}
	for _, bad := range []string{
		vevent(`<C:time-range/>`), vevent(`<C:time-range start="today"/>`), vevent(`<C:time-range start="20260201T000000Z" end="20260101T000000Z"/>`),
		vevent(`<C:nonsense/>`), vevent(`<C:prop-filter/>`), vevent(`<C:prop-filter name="X"><C:text-match collation="i;other">x</C:text-match></C:prop-filter>`),
		vevent(strings.Repeat(`<C:prop-filter name="X"/>`, maxFilter)),
	} {
		f.want(403, f.do("REPORT", "/CalDAV/Calendar/", query(bad, ""), "Depth", "1"))
	}
}

// RFC 4791 section 9.6: parts of an object, and its instances in a time.
func TestCalendarData(t *testing.T) {
	f := newFixture(t)
	stock(f)
	week := `start="20260112T000000Z" end="20260119T000000Z"`
	filter := vevent(`<C:time-range ` + week + `/>`)
	a := f.want(207, f.do("REPORT", "/CalDAV/Calendar/", query(filter, `<C:calendar-data><C:expand `+week+`/></C:calendar-data>`), "Depth", "1"))
	if strings.Contains(a.body, "RRULE") || strings.Count(a.body, "BEGIN:VEVENT") != 1 || !strings.Contains(a.body, "DTSTART:20260112T090000Z") || !strings.Contains(a.body, "RECURRENCE-ID:20260112T090000Z") {
		t.Errorf("expanded: %s", a.body)
	}
	a = f.want(207, f.do("REPORT", "/CalDAV/Calendar/", query(filter, `<C:calendar-data><C:comp name="VCALENDAR"><C:comp name="VEVENT"><C:prop name="SUMMARY"/></C:comp></C:comp></C:calendar-data>`), "Depth", "1"))
	if !strings.Contains(a.body, "SUMMARY:Team meeting") || strings.Contains(a.body, "RRULE") || strings.Contains(a.body, "VERSION") {
		t.Errorf("in part: %s", a.body)
	}
	f.want(403, f.do("REPORT", "/CalDAV/Calendar/", query(filter, `<C:calendar-data><C:expand start="20260112T000000Z"/></C:calendar-data>`), "Depth", "1"))
}

func TestFreeBusyQuery(t *testing.T) {
	f := newFixture(t)
	stock(f)
	ask := func(span string) string {
		return `<C:free-busy-query xmlns:C="urn:ietf:params:xml:ns:caldav"><C:time-range ` + span + `/></C:free-busy-query>`
	}
	a := f.want(200, f.do("REPORT", "/CalDAV/Calendar/", ask(`start="20260209T000000Z" end="20260212T000000Z"`), "Depth", "1"))
	for _, want := range []string{"BEGIN:VFREEBUSY", "20260209T090000Z/20260209T100000Z", "20260210T120000Z/20260210T130000Z"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%s is not in %s", want, a.body)
		}
	}
	if strings.Contains(a.body, "20260210T140000Z") {
		t.Errorf("a transparent event is busy: %s", a.body)
	}
	f.want(403, f.do("REPORT", "/CalDAV/Calendar/", ask(`start="20260209T000000Z"`), "Depth", "1"))
}

// What a hostile or a broken client sends has an answer of its own, and costs little.
func TestHostileRequests(t *testing.T) {
	f := newFixture(t)
	stock(f)
	ics := event("new", "DTSTART:20260210T120000Z\nSUMMARY:x\n")
	bomb := event("bomb", "DTSTART:20260210T120000Z\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30\nSUMMARY:x\n")
	hrefs := strings.Repeat("<D:href>/CalDAV/Calendar/once.ics</D:href>", maxHrefs+1)
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             []int
	}{
		"document type": {"PROPFIND", "/CalDAV/", `<!DOCTYPE x [<!ENTITY a "aaaa">]><propfind xmlns="DAV:"><allprop/></propfind>`, nil, []int{400}},
		"deep":          {"PROPFIND", "/CalDAV/", strings.Repeat("<a>", 10_000), nil, []int{400, 413}},
		"no XML":        {"PROPFIND", "/CalDAV/", "nonsense", []string{"Depth", "0"}, []int{400}},
		"many hrefs":    {"REPORT", "/CalDAV/Calendar/", `<C:calendar-multiget xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/></D:prop>` + hrefs + `</C:calendar-multiget>`, nil, []int{403}},
		"dots":          {"GET", "/CalDAV/../Calendar/once.ics", "", nil, []int{400, 404}},
		"hidden dots":   {"GET", "/CalDAV/%2e%2e/once.ics", "", nil, []int{400, 404}},
		"hidden slash":  {"PUT", "/CalDAV/Calendar/a%2fb.ics", ics, nil, []int{400, 403, 404, 409}},
		"forged token":  {"REPORT", "/CalDAV/Calendar/", `<D:sync-collection xmlns:D="DAV:"><D:sync-token>data:,gatepost-1-99999999999</D:sync-token><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>`, nil, []int{403}},
		"wrong ETag":    {"PUT", "/CalDAV/Calendar/once.ics", ics, []string{"If-Match", `"x"`}, []int{412}},
		"there already": {"PUT", "/CalDAV/Calendar/once.ics", ics, []string{"If-None-Match", "*"}, []int{412}},
		"deleted other": {"DELETE", "/CalDAV/Calendar/once.ics", "", []string{"If-Match", `"x"`}, []int{412}},
		"no calendar":   {"PUT", "/CalDAV/Calendar/x.ics", "nonsense", nil, []int{403}},
		"same UID":      {"PUT", "/CalDAV/Calendar/x.ics", event("once", "DTSTART:20260210T120000Z\n"), nil, []int{403, 409}},
		"endless rule":  {"PUT", "/CalDAV/Calendar/bomb.ics", bomb, nil, []int{201, 403}},
		"too large":     {"PUT", "/CalDAV/Calendar/large.ics", event("large", "DTSTART:20260210T120000Z\nDESCRIPTION:"+strings.Repeat("x", 11<<20)+"\n"), nil, []int{403, 413}},
		"no such":       {"DELETE", "/CalDAV/Calendar/none.ics", "", nil, []int{404}},
		"no method":     {"BREW", "/CalDAV/Calendar/", "", nil, []int{405, 501}},
	} {
		a := f.do(c.method, c.path, c.body, c.header...)
		if !strings.Contains(fmt.Sprint(c.status), fmt.Sprint(a.status)) {
			t.Errorf("%s: status %d, want one of %v: %.300s", name, a.status, c.status, a.body)
		}
	}
	f.want(207, f.do("REPORT", "/CalDAV/Calendar/", query(vevent(`<C:time-range start="20270201T000000Z" end="20270301T000000Z"/>`), ""), "Depth", "1"))
}

// Others see nothing of a calendar without rights, and who may not use WebCAL has none.
func TestWhoMay(t *testing.T) {
	f := newFixture(t)
	stock(f)
	f.user = "bob@company.com"
	for _, path := range []string{"/CalDAV/~ann/Calendar/", "/CalDAV/~ann@company.com/Calendar/once.ics"} {
		for _, method := range []string{"PROPFIND", "GET", "DELETE", "REPORT"} {
			body := ""
			if method == "REPORT" {
				body = query("", "")
			}
			if a := f.do(method, path, body); a.status != 404 && a.status != 403 {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
		}
		if a := f.do("PUT", path, event("b", "DTSTART:20260210T120000Z\n")); a.status < 400 || a.status >= 500 {
			t.Errorf("PUT %s: %d", path, a.status)
		}
	}
	f.user = "none@company.com"
	f.want(403, f.do("PROPFIND", "/CalDAV/", "", "Depth", "0"))
	f.want(403, f.do("PUT", "/CalDAV/Calendar/x.ics", event("b", "DTSTART:20260210T120000Z\n")))
}

// Floating times and days are in the zone of the query, else of the calendar, else of the account.
func TestFloatingTimesHaveTheZoneOfTheCalendar(t *testing.T) {
	f := newFixture(t)
	f.want(201, f.do("PUT", "/CalDAV/Calendar/lunch.ics", event("lunch", "DTSTART:20260210T120000\nDTEND:20260210T130000\nSUMMARY:Lunch\n")))
	f.want(201, f.do("PUT", "/CalDAV/Calendar/day.ics", event("day", "DTSTART;VALUE=DATE:20260212\nSUMMARY:Day\n")))
	zone := func(name, offset string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:" + name + "\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:" +
			offset + "\r\nTZOFFSETTO:" + offset + "\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nEND:VCALENDAR\r\n"
	}
	look := func(from, until, more string) string {
		t.Helper()
		q := strings.Replace(query(vevent(`<C:time-range start="`+from+`" end="`+until+`"/>`),
			`<C:calendar-data><C:expand start="`+from+`" end="`+until+`"/></C:calendar-data>`), "</C:filter>", "</C:filter>"+more, 1)
		a := f.want(207, f.do("REPORT", "/CalDAV/Calendar/", q, "Depth", "1"))
		return a.body
	}
	busy := func(from, until string) string {
		t.Helper()
		a := f.want(200, f.do("REPORT", "/CalDAV/Calendar/",
			`<C:free-busy-query xmlns:C="urn:ietf:params:xml:ns:caldav"><C:time-range start="`+from+`" end="`+until+`"/></C:free-busy-query>`, "Depth", "1"))
		return a.body
	}
	check := func(why, hour, more string) {
		t.Helper()
		for h, want := range map[string]bool{hour: true, "0500": false} {
			from := "20260210T" + h + "00Z"
			if got := look(from, strings.Replace(from, "00Z", "01Z", 1), more); strings.Contains(got, "lunch.ics") != want {
				t.Errorf("%s: %s: found is %v\n%s", why, from, !want, got)
			} else if want && !strings.Contains(got, "DTSTART:20260210T120000&#13;") {
				t.Errorf("%s: the expanded time does not float:\n%s", why, got)
			}
		}
	}
	set := func(prop string) {
		t.Helper()
		f.want(207, f.do("PROPPATCH", "/CalDAV/Calendar/", `<D:propertyupdate xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>`+prop+`</D:prop></D:set></D:propertyupdate>`))
	}
	prefs := func(z string) {
		t.Helper()
		must(t, f.accounts.AccountPrefs("company.com", "ann").Update(t.Context(), dataformat.Dict{"TimeZone": dataformat.String(z)}))
	}
	prefs("Asia/Tokyo")
	check("preference", "0300", "")
	if got := busy("20260210T000000Z", "20260211T000000Z"); !strings.Contains(got, "FREEBUSY:20260210T030000Z/20260210T040000Z") {
		t.Errorf("busy in Tokyo:\n%s", got)
	}
	if !strings.Contains(look("20260211T150000Z", "20260211T150001Z", ""), "day.ics") || strings.Contains(look("20260212T150000Z", "20260212T150001Z", ""), "day.ics") {
		t.Error("a day is not that of Tokyo")
	}
	check("timezone-id of the query", "1700", "<C:timezone-id>America/New_York</C:timezone-id>")
	check("timezone of the query", "0800", "<C:timezone>"+zone("Camp", "+0400")+"</C:timezone>")
	set("<C:calendar-timezone>" + zone("Camp &lt;here&gt;", "+0200") + "</C:calendar-timezone>")
	check("calendar-timezone", "1000", "")
	if got := busy("20260210T000000Z", "20260211T000000Z"); !strings.Contains(got, "FREEBUSY:20260210T100000Z/20260210T110000Z") {
		t.Errorf("busy in the camp:\n%s", got)
	}
	set("<C:calendar-timezone-id>America/New_York</C:calendar-timezone-id>")
	check("calendar-timezone-id", "1700", "")
}

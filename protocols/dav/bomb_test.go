package dav

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Requests that are made to cost much: each gets a clear answer, soon, and for little memory.
func TestBombs(t *testing.T) {
	longest := 5 * time.Second
	if raceDetector {
		longest = 30 * time.Second
	}
	f := newFixture(t)
	stock(f)
	propfind := func(inside string) string {
		return `<D:propfind xmlns:D="DAV:"><D:prop>` + inside + `</D:prop></D:propfind>`
	}
	var laughs strings.Builder
	laughs.WriteString(`<!DOCTYPE x [<!ENTITY a0 "ha">`)
	for i := range 10 {
		fmt.Fprintf(&laughs, `<!ENTITY a%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
	}
	laughs.WriteString(`]>` + propfind(`<x>&a10;</x>`))
	var wide strings.Builder // attributes of one element
	for i := range 400_000 {
		fmt.Fprintf(&wide, " a%d=''", i)
	}
	long := strings.Repeat("x", 9<<20)
	var expand strings.Builder // an href leads to a response with hrefs
	expand.WriteString(`<D:expand-property xmlns:D="DAV:">`)
	for range 25 {
		expand.WriteString(`<D:property name="owner"><D:property name="principal-URL"/><D:property name="current-user-principal"/>`)
	}
	expand.WriteString(strings.Repeat(`</D:property>`, 25) + `</D:expand-property>`)
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             []int
	}{
		"entities":                 {"PROPFIND", "/CalDAV/", laughs.String(), nil, []int{400}},
		"entity alone":             {"PROPFIND", "/CalDAV/", propfind(`<x>&a;</x>`), nil, []int{400}},
		"external entity":          {"PROPFIND", "/CalDAV/", `<!DOCTYPE x SYSTEM "http://127.0.0.1/x">` + propfind(""), nil, []int{400}},
		"deep":                     {"PROPFIND", "/CalDAV/", strings.Repeat("<a>", 1_000_000), nil, []int{413}},
		"many elements":            {"PROPFIND", "/CalDAV/", propfind(strings.Repeat("<a/>", 900_000)), nil, []int{413}},
		"many attributes":          {"PROPFIND", "/CalDAV/", "<a" + wide.String() + "/>", nil, []int{413}},
		"elements with attributes": {"PROPFIND", "/CalDAV/", propfind(strings.Repeat("<a b='' c='' d='' e='' f=''/>", 100_000)), nil, []int{413}},
		"long text":                {"PROPFIND", "/CalDAV/", propfind("<a>" + long + "</a>"), nil, []int{413}},
		"long comment":             {"PROPFIND", "/CalDAV/", "<!--" + long + "-->", nil, []int{413}},
		"many properties":          {"PROPFIND", "/CalDAV/", propfind(strings.Repeat("<a/>", 1000)), []string{"Depth", "0"}, []int{403}},
		"too large":                {"REPORT", "/CalDAV/Calendar/", strings.Repeat(" ", 11<<20), nil, []int{413}},
		"a million hrefs":          {"REPORT", "/CalDAV/Calendar/", `<C:calendar-multiget xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/></prop>` + strings.Repeat("<href/>", 1_000_000) + `</C:calendar-multiget>`, nil, []int{413}},
		"ten thousand hrefs":       {"REPORT", "/CalDAV/Calendar/", `<C:calendar-multiget xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/></prop>` + strings.Repeat("<href>/CalDAV/Calendar/none.ics</href>", 10_001) + `</C:calendar-multiget>`, nil, []int{403}},
		"chains of properties":     {"REPORT", "/CalDAV/Calendar/", expand.String(), nil, []int{207, 400, 403, 413}},
		"filters":                  {"REPORT", "/CalDAV/Calendar/", query(strings.Repeat(`<C:comp-filter name="VEVENT">`, 20)+strings.Repeat(`</C:comp-filter>`, 20), ""), nil, []int{207, 403}},
		"conditions":               {"PUT", "/CalDAV/Calendar/new.ics", event("new", "DTSTART:20260210T120000Z\n"), []string{"If", strings.Repeat("(Not <a>)", 200)}, []int{400}},
		"nested components":        {"PUT", "/CalDAV/Calendar/new.ics", strings.Repeat("BEGIN:VEVENT\r\n", 500_000), nil, []int{403, 413}},
		"long line":                {"PUT", "/CalDAV/Calendar/new.ics", event("new", "DTSTART:20260210T120000Z\nDESCRIPTION:"+long+"\n"), nil, []int{201, 204, 403, 413}},
		"many lines":               {"PUT", "/CalDAV/Calendar/new.ics", event("new", "DTSTART:20260210T120000Z\n"+strings.Repeat("X-A:b\n", 1_000_000)), nil, []int{201, 204, 403, 413}},
		"many dates":               {"PUT", "/CalDAV/Calendar/new.ics", event("new", "DTSTART:20260210T120000Z\nRDATE:20260211T120000Z"+strings.Repeat(",20260211T120000Z", 400_000)+"\n"), nil, []int{201, 204, 403, 413}},
		"nested cards":             {"PUT", "/CardDAV/Contacts/new.vcf", strings.Repeat("BEGIN:VCARD\r\n", 500_000), nil, []int{403, 413}},
		"above the root":           {"GET", "/CalDAV/../../etc/passwd", "", nil, []int{400, 404}},
		"above, escaped":           {"GET", "/CalDAV/%2e%2e/%2e%2e/x", "", nil, []int{400, 404}},
		"slash in a name":          {"PUT", "/CalDAV/Calendar/..%2f..%2fx.ics", event("x", "DTSTART:20260210T120000Z\n"), nil, []int{400}},
		"NUL in a name":            {"PUT", "/CalDAV/Calendar/x%00.ics", event("x", "DTSTART:20260210T120000Z\n"), nil, []int{400, 403}},
		"long name":                {"PUT", "/CalDAV/Calendar/" + strings.Repeat("x", 5000) + ".ics", event("x", "DTSTART:20260210T120000Z\n"), nil, []int{400, 403, 414}},
		"long path":                {"MKCOL", "/CalDAV" + strings.Repeat("/x", 3000), "", nil, []int{400, 403, 409}},
		"destination above":        {"COPY", "/CalDAV/Calendar/once.ics", "", []string{"Destination", "/CalDAV/Calendar/..%2fx.ics"}, []int{400}},
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		a := f.do(c.method, c.path, c.body, c.header...)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		if !slices.Contains(c.status, a.status) {
			t.Errorf("%s: status %d, want one of %v: %.300s", name, a.status, c.status, a.body)
		}
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 150 || took > longest {
			t.Errorf("%s: %v, %d MB", name, took, mb)
		}
	}
}

// Rules that have countless instances, or none that are soon found, cost a query a bounded time; the events are there still.
func TestRecurrenceBombs(t *testing.T) {
	f := newFixture(t)
	rules := []string{"FREQ=SECONDLY", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MINUTELY;BYDAY=MO;BYHOUR=25", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
		"FREQ=SECONDLY;INTERVAL=7;COUNT=2000000000", "FREQ=DAILY;BYSETPOS=-366;BYHOUR=1,2,3", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=6"}
	var kept int
	for i := range 60 {
		name := fmt.Sprintf("bomb%d", i)
		a := f.do("PUT", "/CalDAV/Calendar/"+name+".ics", event(name, "DTSTART:19700101T000000Z\nRRULE:"+rules[i%len(rules)]+"\n"))
		switch a.status {
		case 201:
			kept++
		case 403:
		default:
			t.Fatalf("%s: %d %s", rules[i%len(rules)], a.status, a.body)
		}
	}
	t.Logf("%d of 60 are kept", kept)
	year := `start="20400101T000000Z" end="20410101T000000Z"`
	for name, body := range map[string]string{
		"query":  query(vevent(`<C:time-range `+year+`/>`), ""),
		"expand": query(vevent(`<C:time-range `+year+`/>`), `<C:calendar-data><C:expand `+year+`/></C:calendar-data>`),
		"busy":   `<C:free-busy-query xmlns:C="urn:ietf:params:xml:ns:caldav"><C:time-range ` + year + `/></C:free-busy-query>`,
	} {
		began := time.Now()
		a := f.do("REPORT", "/CalDAV/Calendar/", body, "Depth", "1")
		if took := time.Since(began); a.status != 207 && a.status != 200 && a.status != 403 || took > 10*time.Second {
			t.Errorf("%s: status %d after %v: %.300s", name, a.status, took, a.body)
		}
	}
}

// FuzzRequest sends any request: the answer is never a failure of the server, and XML that can be read.
func FuzzRequest(f *testing.F) {
	methods := []string{"PROPFIND", "REPORT", "PROPPATCH", "MKCALENDAR", "MKCOL", "PUT", "GET", "DELETE", "COPY", "MOVE", "OPTIONS"}
	for _, seed := range []struct {
		method                    uint8
		path, header, value, body string
	}{
		{0, "/CalDAV/Calendar/", "Depth", "1", `<propfind xmlns="DAV:"><prop><getetag/><x:y xmlns:x="z"/></prop></propfind>`},
		{1, "/CalDAV/Calendar/", "Prefer", "return=minimal", query(vevent(`<C:time-range start="20260101T000000Z" end="20270101T000000Z"/>`), `<C:calendar-data><C:expand start="20260101T000000Z" end="20270101T000000Z"/></C:calendar-data>`)},
		{1, "/CardDAV/Contacts/", "Depth", "1", `<C:addressbook-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><D:prop><C:address-data><C:prop name="FN"/></C:address-data></D:prop><C:filter test="anyof"><C:prop-filter name="FN"><C:text-match match-type="starts-with">a</C:text-match></C:prop-filter></C:filter></C:addressbook-query>`},
		{1, "/CalDAV/Calendar/", "Depth", "0", `<sync-collection xmlns="DAV:"><sync-token/><sync-level>1</sync-level><limit><nresults>1</nresults></limit><prop><getetag/></prop></sync-collection>`},
		{1, "/UserDAV/ann@company.com/", "Depth", "0", `<expand-property xmlns="DAV:"><property name="calendar-home-set" namespace="urn:ietf:params:xml:ns:caldav"><property name="owner"/></property></expand-property>`},
		{2, "/CalDAV/Calendar/", "If", `(<data:,gatepost-1-1> ["x"])`, `<propertyupdate xmlns="DAV:"><set><prop><displayname>x</displayname></prop></set></propertyupdate>`},
		{3, "/CalDAV/x/", "Depth", "0", `<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop><D:displayname>x</D:displayname></D:prop></D:set></C:mkcalendar>`},
		{5, "/CalDAV/Calendar/x.ics", "If-Match", `"a", W/"b", *`, event("x", "DTSTART:20260210T120000Z\nRRULE:FREQ=DAILY\n")},
		{8, "/CalDAV/Calendar/once.ics", "Destination", "/CalDAV/Calendar/a%20b.ics", ""},
		{6, "/CalDAV/~bob/Calendar.ics", "If-None-Match", "*", ""},
	} {
		f.Add(seed.method, seed.path, seed.header, seed.value, seed.body)
	}
	x := newFixture(f)
	stock(x)
	f.Fuzz(func(t *testing.T, method uint8, path, header, value, body string) {
		req, err := http.NewRequest(methods[int(method)%len(methods)], "http://company.com:8100/"+strings.TrimPrefix(path, "/"), strings.NewReader(body))
		if err != nil {
			return
		}
		if !strings.HasPrefix(req.URL.Path, "/CalDAV/") && !strings.HasPrefix(req.URL.Path, "/CardDAV/") && !strings.HasPrefix(req.URL.Path, "/UserDAV/") {
			return
		}
		req.SetBasicAuth("ann@company.com", "secret 1")
		req.Header[http.CanonicalHeaderKey(header)] = []string{value}
		resp, err := x.client.Do(req)
		if err != nil {
			return // of the client: a header that cannot be sent
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented && resp.StatusCode != http.StatusInsufficientStorage {
			t.Fatalf("%s %s: %d, %v: %s", req.Method, path, resp.StatusCode, err, b)
		}
		if resp.StatusCode == http.StatusMultiStatus {
			var any struct{}
			if err := xml.Unmarshal(b, &any); err != nil {
				t.Fatalf("%s %s: %v in %s", req.Method, path, err, b)
			}
		}
	})
}

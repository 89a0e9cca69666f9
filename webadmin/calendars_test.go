package webadmin

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// upload sends a form with a file.
func (c *client) upload(path, file string, pairs ...string) *client {
	c.t.Helper()
	c.get(path)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	must(c.t, w.WriteField("token", c.token()))
	for i := 0; i+1 < len(pairs); i += 2 {
		must(c.t, w.WriteField(pairs[i], pairs[i+1]))
	}
	part, err := w.CreateFormFile("file", "some.ics")
	must(c.t, err)
	_, err = part.Write([]byte(file))
	must(c.t, err)
	must(c.t, w.Close())
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+path, &b)
	must(c.t, err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	return c.send(req)
}

func icalendar(component string, from, to int) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x\r\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "BEGIN:%s\r\nUID:%s-%d\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nSUMMARY:Number %d\r\nEND:%s\r\n", component, component, i, i, component)
	}
	return b.String() + "END:VCALENDAR\r\n"
}

// Calendars and contacts of an account come in from files, and go out again.
func TestCalendarsAndContacts(t *testing.T) {
	s := newSite(t)
	c := s.master()
	const page = "/Users/Domains/own.com/Objects/user/Calendars"
	c.get(page).sees(200, "no calendars and address books yet", "Import a file")
	events := icalendar("VEVENT", 0, 450)
	c.upload(page, "", "do", "try").sees(422, "The file is empty.")
	c.upload(page, events, "do", "try").sees(200, "Nothing was changed.", "imported: 450")
	c.get(page).sees(200, "Calendar")
	c.upload(page, events, "do", "import").sees(200, "The import has given:", "imported: 450")
	c.upload(page, icalendar("VEVENT", 449, 451)+icalendar("VTODO", 0, 2)+"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c\r\nFN:Carl\r\nEND:VCARD\r\n", "do", "import").
		sees(200, "imported: 4", "unchanged: 1")
	c.get(page).sees(200, "451", "Task list", "Address book", "main one")

	// What is wrong does not keep the others out, and is named.
	c.upload(page, icalendar("VEVENT", 451, 452)+"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:bad\r\n", "do", "import", "target", "calendar Calendar").sees(200, "imported: 1", "not taken: 1", "VEVENT has no END")
	c.upload(page, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:d\r\nFN:Dora\r\nEND:VCARD\r\n", "do", "import", "target", "calendar Calendar").sees(200, "not taken: 1", "does not belong into Calendar")
	c.upload(page, events, "do", "import", "target", "calendar Nowhere").sees(422, "Nowhere")

	// Another version stays, unless the form says otherwise.
	other := strings.ReplaceAll(icalendar("VEVENT", 7, 8), "Number 7", "Another 7")
	c.upload(page, other, "do", "import").sees(200, "kept as they were: 1")
	c.get(page + "/Export?kind=calendar&mailbox=Calendar")
	if c.status != 200 || strings.Count(c.body, "BEGIN:VEVENT") != 452 || strings.Count(c.body, "BEGIN:VCALENDAR") != 1 || !strings.Contains(c.body, "Number 7\r") || !strings.HasSuffix(c.body, "END:VCALENDAR\r\n") {
		t.Errorf("%d, %d events", c.status, strings.Count(c.body, "BEGIN:VEVENT"))
	}
	if got := c.head.Get("Content-Disposition"); got != "attachment; filename=Calendar.ics" || !strings.HasPrefix(c.head.Get("Content-Type"), "text/calendar") {
		t.Errorf("%v", c.head)
	}
	c.upload(page, other, "do", "import", "replace", "on").sees(200, "replaced: 1")
	c.get(page+"/Export?kind=calendar&mailbox=Calendar").sees(200, "Another 7")
	c.get(page+"/Export?kind=contacts&mailbox=Contacts").sees(200, "FN:Carl")
	c.get(page + "/Export?kind=contacts&mailbox=Calendar").sees(400)
	c.get(page + "/Export?kind=calendar&mailbox=Nowhere").sees(404)
	c.get(page + "/Export?kind=nothing&mailbox=Calendar").sees(400)
}

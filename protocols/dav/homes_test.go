package dav

import (
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// Mailbox aliases bring the homes of those who show something, and no others; a right that is taken away ends that at once.
func TestHomesOfMailboxAliases(t *testing.T) {
	f := newFixture(t)
	stock(f)
	f.give("ann", "Calendar", "lr")
	must(t, f.accounts.SetMailboxAliases(t.Context(), "company.com", "bob", dataformat.Dict{
		"Ann": dataformat.String("~ann/Calendar"), "Again": dataformat.String("~ann@company.com/x"), "Nobody": dataformat.String("~nobody/x"), "Me": dataformat.String("~bob/x"),
	}))
	f.user = "bob@company.com"
	homes := func(prop, ns string) (out []string) {
		a := f.want(207, f.do("PROPFIND", "/UserDAV/bob@company.com/", `<propfind xmlns="DAV:"><prop><h:`+prop+` xmlns:h="`+ns+`"/></prop></propfind>`, "Depth", "0"))
		for _, part := range strings.Split(a.body, "href>") {
			if strings.HasPrefix(part, "/C") {
				out = append(out, strings.TrimRight(part, "</D:"))
			}
		}
		return out
	}
	compare := func(want string, got []string) {
		t.Helper()
		if g := strings.Join(got, " "); g != want {
			t.Errorf("homes %q, want %q", g, want)
		}
	}
	compare("/CalDAV /CalDAV/~ann@company.com", homes("calendar-home-set", "urn:ietf:params:xml:ns:caldav"))
	compare("/CardDAV", homes("addressbook-home-set", "urn:ietf:params:xml:ns:carddav"))
	f.give("ann", "Calendar", "")
	compare("/CalDAV", homes("calendar-home-set", "urn:ietf:params:xml:ns:caldav"))
}

// A mailbox alias is a path of its own, and shows what its target shows.
func TestPathsOfMailboxAliases(t *testing.T) {
	f := newFixture(t)
	f.want(201, f.do("MKCALENDAR", "/CalDAV/Team/", ""))
	f.want(201, f.do("PUT", "/CalDAV/Team/a.ics", event("a", "DTSTART:20260210T120000Z\n")))
	must(t, f.accounts.SetMailboxAliases(t.Context(), "company.com", "bob", dataformat.Dict{"shared": dataformat.String("~ann/Team")}))
	f.user = "bob@company.com"
	f.want(404, f.do("PROPFIND", "/CalDAV/shared/", "", "Depth", "0"))
	f.give("ann", "Team", "lr")
	a := f.want(207, f.do("PROPFIND", "/CalDAV/shared/", `<propfind xmlns="DAV:"><prop><owner/><getetag/></prop></propfind>`, "Depth", "1"))
	for _, want := range []string{"/UserDAV/ann@company.com/", "/CalDAV/shared/a.ics"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%s is missing in %s", want, a.body)
		}
	}
	f.want(200, f.do("GET", "/CalDAV/shared/a.ics", ""))
	f.want(200, f.do("GET", "/CalDAV/shared.ics", ""))
	f.want(200, f.do("GET", "/CalendarData/shared.ics", ""))
	f.want(403, f.do("PUT", "/CalDAV/shared/b.ics", event("b", "DTSTART:20260210T120000Z\n")))
	f.want(404, f.do("PROPFIND", "/CardDAV/shared/", "", "Depth", "0"))
	f.give("ann", "Team", "lrswipcda")
	f.want(201, f.do("PUT", "/CalDAV/shared/b.ics", event("b", "DTSTART:20260210T120000Z\n")))
	f.want(403, f.do("DELETE", "/CalDAV/shared/", ""))
	f.give("ann", "Team", "")
	f.want(404, f.do("GET", "/CalDAV/shared/a.ics", ""))
}

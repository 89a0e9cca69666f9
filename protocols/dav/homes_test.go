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

package dav

import (
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// What the rights of a mailbox let another user do over CalDAV: the answers to each method.
func TestRights(t *testing.T) {
	f := newFixture(t)
	stock(f)
	const at = "/CalDAV/~ann@company.com/Calendar/"
	multiget := `<C:calendar-multiget xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><C:calendar-data/></D:prop><D:href>` + at + `once.ics</D:href></C:calendar-multiget>`
	for _, c := range []struct {
		rights                                      string
		list, home, get, report, make, change, drop int
		privileges                                  string
	}{
		{"", 404, 404, 404, 404, 409, 409, 404, ""},
		{"l", 207, 207, 403, 403, 403, 403, 403, "write-properties"},
		{"lr", 207, 207, 200, 207, 403, 403, 403, "read write-properties"},
		{"lri", 207, 207, 200, 207, 201, 403, 403, "read bind write-properties"},
		{"li", 207, 207, 403, 403, 201, 403, 403, "bind write-properties"},
		{"lrd", 207, 207, 200, 207, 403, 403, 204, "read unbind write-properties"},
		{"lrid", 207, 207, 200, 207, 201, 204, 204, "read bind unbind write-content write-properties"},
		{"lrswid", 207, 207, 200, 207, 201, 204, 204, "read bind unbind write-content write-properties write"},
	} {
		f.user = "ann@company.com"
		f.do("DELETE", "/CalDAV/Calendar/new.ics", "")
		f.want(207, f.do("PROPFIND", "/CalDAV/Calendar/", "", "Depth", "0"))
		if a := f.do("PUT", "/CalDAV/Calendar/once.ics", event("once", "DTSTART:20260210T120000Z\nSUMMARY:"+c.rights+"\n")); a.status != 201 && a.status != 204 {
			t.Fatal(a)
		}
		f.give("ann", "Calendar", c.rights)
		f.user = "bob@company.com"
		check := func(what string, want int, a answer) string {
			if a.status != want {
				t.Errorf("%q: %s: status %d, want %d: %.300s", c.rights, what, a.status, want, a.body)
			}
			return a.body
		}
		body := check("PROPFIND", c.list, f.do("PROPFIND", at, `<propfind xmlns="DAV:"><prop><current-user-privilege-set/><owner/></prop></propfind>`, "Depth", "0"))
		var names []string
		for _, part := range strings.Split(body, "<D:privilege><D:")[1:] {
			if name := part[:strings.IndexByte(part, '/')]; name != "read-current-user-privilege-set" {
				names = append(names, name)
			}
		}
		if got := strings.Join(names, " "); got != c.privileges {
			t.Errorf("%q: privileges %q, want %q", c.rights, got, c.privileges)
		}
		check("PROPFIND of the home", c.home, f.do("PROPFIND", "/CalDAV/~ann@company.com/", "", "Depth", "1"))
		check("GET", c.get, f.do("GET", at+"once.ics", ""))
		check("GET of all", c.get, f.do("GET", at, ""))
		check("REPORT", c.report, f.do("REPORT", at, multiget))
		check("PUT of a new one", c.make, f.do("PUT", at+"new.ics", event("new", "DTSTART:20260210T120000Z\n"), "If-None-Match", "*"))
		check("PUT", c.change, f.do("PUT", at+"once.ics", event("once", "DTSTART:20260210T120000Z\nSUMMARY:changed\n")))
		check("DELETE", c.drop, f.do("DELETE", at+"once.ics", ""))
		if a := f.do("PROPPATCH", at, `<propertyupdate xmlns="DAV:"><set><prop><x:calendar-color xmlns:x="http://apple.com/ns/ical/">#112233</x:calendar-color></prop></set></propertyupdate>`); a.status != c.list {
			t.Errorf("%q: PROPPATCH: %d", c.rights, a.status)
		}
		if a := f.do("DELETE", at, ""); a.status != 404 && a.status != 403 {
			t.Errorf("%q: DELETE of the calendar: %d", c.rights, a.status)
		}
		f.user = "ann@company.com"
		if a := f.do("PROPFIND", "/CalDAV/Calendar/", `<propfind xmlns="DAV:"><prop><x:calendar-color xmlns:x="http://apple.com/ns/ical/"/></prop></propfind>`, "Depth", "0"); strings.Contains(a.body, "#112233") {
			t.Errorf("%q: the colour of one user is that of another", c.rights)
		}
	}
}

func TestPrincipals(t *testing.T) {
	f := newFixture(t)
	must(t, f.accounts.CreateAccount(t.Context(), "company.com", "eve", dataformat.Dict{"Password": dataformat.String("secret 1"), "MaxAccountSize": dataformat.String("1M")}))
	must(t, f.accounts.SetAccountAliases(t.Context(), "company.com", "eve", []string{"eva"}))
	must(t, f.accounts.SetDomainAliases(t.Context(), "company.com", []string{"company.net"}))
	f.user = "eve@company.com"
	f.want(207, f.do("PROPFIND", "/CalDAV/", "", "Depth", "1")) // makes the calendar
	f.give("eve", "Calendar", "lr")
	f.vars["megabyte"] = strings.Repeat("x", 1<<20)
	f.play("principals.txt")
}

func TestACLMethod(t *testing.T) { newFixture(t).play("acl.txt") }

// Who looks for others finds them by their whole address, and by a part of it or of their name where the domain wants that.
func TestPrincipalSearch(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	must(t, f.accounts.AccountSettings("company.com", "bob").Update(ctx, dataformat.Dict{"RealName": dataformat.String("Robert Smith")}))
	must(t, f.accounts.CreateDomain(ctx, "other.com", nil))
	must(t, f.accounts.CreateAccount(ctx, "other.com", "robert", nil))
	found := func(property, match string) string {
		t.Helper()
		a := f.want(207, f.do("REPORT", "/UserDAV/", `<principal-property-search xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:S="http://calendarserver.org/ns/"><property-search><prop><`+property+
			`/></prop><match>`+match+`</match></property-search><prop><displayname/></prop></principal-property-search>`))
		var names []string
		for _, part := range strings.Split(a.body, "<D:response><D:href>/UserDAV/")[1:] {
			names = append(names, part[:strings.Index(part, "/")])
		}
		return strings.Join(names, " ")
	}
	for _, on := range []string{"NO", "YES"} {
		must(t, f.accounts.DomainSettings("company.com").Update(ctx, dataformat.Dict{"PrincipalSearch": dataformat.String(on)}))
		for _, c := range []struct{ property, match, off, on string }{
			{"displayname", "robert", "", "bob@company.com"},
			{"displayname", "SMITH", "", "bob@company.com"},
			{"displayname", "r", "", ""},
			{"displayname", "", "ann@company.com", "ann@company.com"},
			{"C:calendar-user-address-set", "bob@company.com", "bob@company.com", "bob@company.com"},
			{"C:calendar-user-address-set", "mailto:BOB@company.com", "bob@company.com", "bob@company.com"},
			{"S:email-address-set", "bo", "", "bob@company.com"},
			{"S:email-address-set", "@company.com", "ann@company.com", "ann@company.com bob@company.com none@company.com postmaster@company.com"},
			{"S:email-address-set", "robert@other.com", "", ""},
			{"C:calendar-home-set", "bob@company.com", "", ""},
		} {
			want := c.off
			if on == "YES" {
				want = c.on
			}
			if got := found(c.property, c.match); got != want {
				t.Errorf("PrincipalSearch %s, %s %q: %q, want %q", on, c.property, c.match, got, want)
			}
		}
	}
}

package dav

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	httpd "gatepost/protocols/http"
	"gatepost/server/dataformat"
)

// A MOVE that the user may not make leaves no copy.
func TestMoveWithoutDelete(t *testing.T) {
	f := newFixture(t)
	stock(f)
	f.give("ann", "Calendar", "lr")
	f.user = "bob@company.com"
	f.want(207, f.do("PROPFIND", "/CalDAV/", "", "Depth", "1"))
	f.want(403, f.do("MOVE", "/CalDAV/~ann@company.com/Calendar/once.ics", "", "Destination", "/CalDAV/Calendar/once.ics"))
	f.want(404, f.do("GET", "/CalDAV/Calendar/once.ics", ""))
	f.want(201, f.do("COPY", "/CalDAV/~ann@company.com/Calendar/once.ics", "", "Destination", "/CalDAV/Calendar/once.ics"))
}

// Users of one domain do not learn which accounts another one has, unless these show them something.
func TestPrincipalsOfOtherDomains(t *testing.T) {
	f := newFixture(t)
	must(t, f.accounts.CreateDomain(t.Context(), "client.dom", nil))
	must(t, f.accounts.CreateAccount(t.Context(), "client.dom", "kim", dataformat.Dict{"Password": dataformat.String("secret 1"), "RealName": dataformat.String("Kim Hidden")}))
	const body = `<propfind xmlns="DAV:"><prop><displayname/></prop></propfind>`
	there := f.want(404, f.do("PROPFIND", "/UserDAV/kim@client.dom/", body, "Depth", "0"))
	none := f.want(404, f.do("PROPFIND", "/UserDAV/nobody@client.dom/", body, "Depth", "0"))
	if there.body != none.body {
		t.Errorf("the answers differ: %q, %q", there.body, none.body)
	}
	f.want(207, f.do("PROPFIND", "/UserDAV/bob@company.com/", body, "Depth", "0"))

	f.user = "kim@client.dom"
	f.want(207, f.do("PROPFIND", "/CalDAV/", "", "Depth", "1"))
	kim, err := f.accounts.Account(t.Context(), "client.dom", "kim")
	must(t, err)
	must(t, kim.Mail().ChangeACL(t.Context(), "Calendar", func(mailbox.ACL) (mailbox.ACL, error) {
		r, err := access.ParseRights("l")
		return mailbox.ACL{{Identifier: "ann@company.com", Rights: uint32(r)}}, err
	}))
	f.user = "ann@company.com"
	if a := f.want(207, f.do("PROPFIND", "/UserDAV/kim@client.dom/", body, "Depth", "0")); !strings.Contains(a.body, "Kim Hidden") {
		t.Error(a.body)
	}
}

// principal-match compares every member with every property that it names.
func TestManyPropertiesToMatch(t *testing.T) {
	f := newFixture(t)
	stock(f)
	f.want(403, f.do("REPORT", "/CalDAV/Calendar/", `<principal-match xmlns="DAV:"><principal-property>`+strings.Repeat("<owner/>", 50_000)+`</principal-property><prop><owner/></prop></principal-match>`))
	one := `<property-search><prop><displayname/></prop><match>ann</match></property-search>`
	f.want(207, f.do("REPORT", "/UserDAV/", `<principal-property-search xmlns="DAV:">`+one+`<prop><displayname/></prop></principal-property-search>`))
	f.want(403, f.do("REPORT", "/UserDAV/", `<principal-property-search xmlns="DAV:">`+strings.Repeat(one, 100)+`<prop><displayname/></prop></principal-property-search>`))
}

// counted counts what is read.
type counted struct {
	from io.Reader
	n    int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += n
	return n, err
}

// The text of an item is bounded even where requests are not.
func TestItemWithoutRequestLimit(t *testing.T) {
	f := newFixture(t)
	body := &counted{from: bytes.NewReader(make([]byte, 12<<20))}
	r, err := http.NewRequestWithContext(context.Background(), "PUT", "/CalDAV/Calendar/large.ics", body)
	must(t, err)
	ann, err := f.accounts.Account(t.Context(), "company.com", "ann")
	must(t, err)
	f.want(207, f.do("PROPFIND", "/CalDAV/", "", "Depth", "1"))
	at, err := f.server.resolve(t.Context(), ann, calRealm, []string{"Calendar", "large.ics"})
	must(t, err)
	e := &exchange{s: f.server, r: r, q: &httpd.Request{Account: ann}, realm: calRealm, at: at}
	if p := asPrecondition(e.put(), false); p == nil || p.name != cal("max-resource-size") {
		t.Errorf("%v", p)
	}
	if body.n > maxBody+1<<20 {
		t.Errorf("%d bytes were read", body.n)
	}
}

// Whoever deletes an item that is gone does not delete the calendar of this name beside it.
func TestDeleteWithSuffix(t *testing.T) {
	f := newFixture(t)
	stock(f)
	f.want(201, f.do("MKCALENDAR", "/CalDAV/Calendar/Work/", ""))
	f.want(404, f.do("DELETE", "/CalDAV/Calendar/Work.ics", ""))
	f.want(207, f.do("PROPFIND", "/CalDAV/Calendar/Work/", "", "Depth", "0"))
	f.want(204, f.do("DELETE", "/CalDAV/Calendar/Work/", ""))
}

// A calendar that cannot have its properties is not made.
func TestMakeIsWhole(t *testing.T) {
	f := newFixture(t)
	stock(f)
	var props strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&props, "<x:p%d xmlns:x='urn:x'>%s</x:p%d>", i, strings.Repeat("v", 1000), i)
	}
	body := `<C:mkcalendar xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><set><prop>` + props.String() + `</prop></set></C:mkcalendar>`
	if a := f.do("MKCALENDAR", "/CalDAV/Many/", body); a.status/100 != 4 && a.status != 507 {
		t.Errorf("status %d: %.300s", a.status, a.body)
	}
	f.want(404, f.do("PROPFIND", "/CalDAV/Many/", "", "Depth", "0"))
	f.want(201, f.do("MKCALENDAR", "/CalDAV/Many/", ""))
}

// The prop element of principal-match may be missing (RFC 3744 section 9.3).
func TestPrincipalMatchWithoutProp(t *testing.T) {
	f := newFixture(t)
	if a := f.want(207, f.do("REPORT", "/UserDAV/", `<principal-match xmlns="DAV:"><self/></principal-match>`)); !strings.Contains(a.body, "<D:href>/UserDAV/ann@company.com/</D:href>") {
		t.Error(a.body)
	}
}

// An account that shows nothing is answered like one that there is not, in status and text.
func TestAccountsThatShowNothing(t *testing.T) {
	f := newFixture(t)
	stock(f)
	f.user = "bob@company.com"
	for _, root := range []string{"/CalDAV/", "/CalendarData/", "/CardDAV/"} {
		for _, below := range []string{"", "Calendar", "Calendar/", "Calendar/once.ics", "None/", "None/x.ics"} {
			for _, method := range []string{"GET", "PROPFIND", "PUT", "DELETE", "REPORT", "PROPPATCH", "MOVE", "MKCALENDAR", "MKCOL"} {
				body := ""
				if method == "PUT" {
					body = event("x", "DTSTART:20260210T120000Z\n")
				}
				there := f.do(method, root+"~ann/"+below, body, "Depth", "0")
				none := f.do(method, root+"~nobody/"+below, body, "Depth", "0")
				if there.status != none.status || there.body != none.body {
					t.Errorf("%s %s~/%s: %d %q, and %d %q", method, root, below, there.status, there.body, none.status, none.body)
				}
			}
		}
	}
}

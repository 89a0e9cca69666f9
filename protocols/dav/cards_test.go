package dav

import (
	"strings"
	"testing"
)

// RFC 6352: the filters of section 10.5, and what section 10.4 asks for of a card.
func TestAddressbookQuery(t *testing.T) {
	f := newFixture(t)
	for name, lines := range map[string]string{
		"ann": "VERSION:3.0\nUID:ann\nFN:Ann Müller\nN:Müller;Ann;;;\nEMAIL;TYPE=INTERNET,PREF:ann@far.org\n",
		"joe": "VERSION:4.0\nUID:joe\nFN:Joe Doe\nTEL;TYPE=cell:+1 555\n",
	} {
		f.want(201, f.do("PUT", "/CardDAV/Contacts/"+name+".vcf", strings.ReplaceAll("BEGIN:VCARD\n"+lines+"END:VCARD\n", "\n", "\r\n")))
	}
	ask := func(filter, data, more string) string {
		return `<A:addressbook-query xmlns:D="DAV:" xmlns:A="urn:ietf:params:xml:ns:carddav"><D:prop><D:getetag/>` + data + `</D:prop><A:filter>` + filter + `</A:filter>` + more + `</A:addressbook-query>`
	}
	for filter, want := range map[string]string{
		"":                              "ann joe",
		`<A:prop-filter name="EMAIL"/>`: "ann",
		`<A:prop-filter name="EMAIL"><A:is-not-defined/></A:prop-filter>`:                                                          "joe",
		`<A:prop-filter name="FN"><A:text-match>MÜLLER</A:text-match></A:prop-filter>`:                                             "ann",
		`<A:prop-filter name="FN"><A:text-match match-type="starts-with">doe</A:text-match></A:prop-filter>`:                       "",
		`<A:prop-filter name="FN"><A:text-match match-type="ends-with">doe</A:text-match></A:prop-filter>`:                         "joe",
		`<A:prop-filter name="TEL"><A:param-filter name="TYPE"><A:text-match>CELL</A:text-match></A:param-filter></A:prop-filter>`: "joe",
	} {
		a := f.want(207, f.do("REPORT", "/CardDAV/Contacts/", ask(filter, "", ""), "Depth", "1"))
		var got []string
		for _, name := range []string{"ann", "joe"} {
			if strings.Contains(a.body, "/"+name+".vcf") {
				got = append(got, name)
			}
		}
		if have := strings.Join(got, " "); have != want {
			t.Errorf("%s\nfound %q, want %q", filter, have, want)
		}
	}
	a := f.want(207, f.do("REPORT", "/CardDAV/Contacts/", ask("", "", `<A:limit><A:nresults>1</A:nresults></A:limit>`), "Depth", "1"))
	if strings.Count(a.body, ".vcf") != 1 || !strings.Contains(a.body, "507") {
		t.Errorf("limited: %s", a.body)
	}
	a = f.want(207, f.do("REPORT", "/CardDAV/Contacts/", ask("", `<A:address-data content-type="text/vcard" version="4.0"/>`, ""), "Depth", "1"))
	if strings.Count(a.body, "VERSION:4.0") != 2 || strings.Contains(a.body, "VERSION:3.0") {
		t.Errorf("converted: %s", a.body)
	}
	a = f.want(207, f.do("REPORT", "/CardDAV/Contacts/", ask(`<A:prop-filter name="EMAIL"/>`, `<A:address-data><A:prop name="FN"/></A:address-data>`, ""), "Depth", "1"))
	if !strings.Contains(a.body, "FN:Ann") || strings.Contains(a.body, "EMAIL") {
		t.Errorf("in part: %s", a.body)
	}
	for _, bad := range []string{`<A:nonsense/>`, `<A:prop-filter/>`, `<A:prop-filter name="FN"><A:text-match collation="i;other">x</A:text-match></A:prop-filter>`} {
		f.want(403, f.do("REPORT", "/CardDAV/Contacts/", ask(bad, "", ""), "Depth", "1"))
	}
	f.want(403, f.do("REPORT", "/CardDAV/Contacts/", ask("", `<A:address-data version="5.0"/>`, ""), "Depth", "1"))
}

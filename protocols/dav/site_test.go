package dav

import (
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// Everybody reads a personal site, and nothing else of the account.
func TestPersonalSite(t *testing.T) {
	f := newFixture(t)
	for path, text := range map[string]string{"a.txt": "plain", "default.html": "<h1>home</h1>", "dir/default.html": "inner", "dir/x.html": "<script>1</script>", "private/s": "secret", "empty/x": "x"} {
		if dir, _, ok := strings.Cut(path, "/"); ok {
			f.do("MKCOL", "/WebDAV/"+dir, "") // it may be there
		}
		f.want(201, f.do("PUT", "/WebDAV/"+path, text))
	}
	owner := f.user
	f.user = ""
	f.want(404, f.do("GET", "/~ann/a.txt", "")) // the domain has no personal sites yet
	must(t, f.accounts.DomainSettings("company.com").Update(t.Context(), dataformat.Dict{"PersonalSites": dataformat.String("YES")}))
	for path, want := range map[string]string{
		"/~ann/a.txt": "plain", "/~ann/": "<h1>home</h1>", "/~ann@company.com/": "<h1>home</h1>", "/~ann/dir/": "inner", "/~ann/dir/x.html": "<script>1</script>",
	} {
		a := f.want(200, f.do("GET", path, ""))
		if a.body != want || !strings.HasPrefix(a.header.Get("Content-Security-Policy"), "sandbox") || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %q, %v", path, a.body, a.header)
		}
	}
	if a := f.want(301, f.do("GET", "/~ann/dir", "")); a.header.Get("Location") != "/~ann/dir/" {
		t.Errorf("%v", a.header)
	}
	gone := f.want(404, f.do("GET", "/~nobody/", ""))
	for _, path := range []string{"/~ann/none", "/~ann/private/s", "/~ann/private", "/~ann/PRIVATE/none", "/~ann/empty/", "/~nobody/a.txt", "/~/a.txt", "/~ann@else.where/", "/~a%20b@c@d/"} {
		if a := f.do("GET", path, ""); a.status != 404 || a.body != gone.body {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
	}
	f.want(405, f.do("PUT", "/~ann/a.txt", "x"))
	if a := f.want(206, f.do("GET", "/~ann/a.txt", "", "Range", "bytes=1-2")); a.body != "la" {
		t.Error(a.body)
	}
	must(t, f.accounts.AccountSettings("company.com", "ann").Update(t.Context(), dataformat.Dict{"DefaultWebPage": dataformat.String("a.txt")}))
	if a := f.want(200, f.do("GET", "/~ann/", "")); a.body != "plain" {
		t.Error(a.body)
	}
	must(t, f.accounts.AccountSettings("company.com", "ann").Update(t.Context(), dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("Mail"), dataformat.String("IMAP")}}))
	f.want(404, f.do("GET", "/~ann/a.txt", ""))
	f.user = owner
}

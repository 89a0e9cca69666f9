// Package webadmin is the administrators' pages: an http.Handler that protocols/http mounts on
// the module HTTPA.
//
// # A page
//
// pages.go has the tree of all pages as a table. A page is a path, a title, the call of package
// admin that it stands on, a function that shows it, and one function per button. To add pages:
//
//   - write a file of its own with a list of pages and their functions;
//   - name that list in the table (tree, pages.go);
//   - put the template beside the others (templates/NAME.html, which defines "content");
//   - translate its words (catalogue/ru.data); a test finds those that are missing.
//
// Nothing else has to change: navigation, path, search, rights and the test that shows every page to
// everybody follow from the table.
//
// # Forms
//
// A form of settings is made of their declarations (admin.Sheet): form.go draws it, compares what
// comes back with what was shown, and passes on what the administrator has changed, in one call. Modules that
// have settings therefore have a page without a line here; place.go says where it stands.
//
// What a field shows is its state: "=" and the text of an own value, or "~" and the text of what is
// inherited. The state goes with the form and comes back beside the new one, so that a change that
// somebody else has made meanwhile is seen.
//
// # Rights
//
// There are none here. Each look and each change is a call of admin.Actor, which decides and writes the
// record; pages ask Actor.May only to leave out what would be refused.
//
// # Sessions
//
// A login makes a session (session.go): a random number in a cookie, of which only the hash is kept. It ends
// when it is idle, after SessionLifetime, when its account changes its password, and when its account may not
// log in any more. POST requests carry the token of their session besides what protocols/http
// checks (RFC 6265bis, Fetch Metadata).
//
// # First run
//
// While postmaster has no password, every path leads to the page that sets it (firstrun.go). It opens for the
// one-time link that the server prints at its start, and for loopback.
//
// # Words
//
// Texts are English in code and templates; catalogue/ru.data has the Russian ones by their English.
// Nothing outside of the server is loaded, no style and no script stands in a page, and every form works without
// the script.
package webadmin

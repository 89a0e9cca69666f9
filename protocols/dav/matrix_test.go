package dav

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// matrixRights are the rights that are tried: each alone, with those that clients need to see anything, and all.
var matrixRights = []string{"", "l", "r", "s", "w", "i", "p", "c", "d", "a", "lr", "lrs", "lrw", "lri", "lrd", "lrwi", "lrid", "lrc", "lrcd", "lra", "lrswipcda"}

// A matrixRequest is one request of bob about the collection of ann at BOX, or between it and his own at MINE; ITEM is the item in each.
type matrixRequest struct {
	name         string
	method, path string
	body         string
	header       []string
}

// matrixOf are the requests of a realm: every method, and every way by which a method shows or changes something.
func matrixOf(rl realm) []matrixRequest {
	const ns = `xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="urn:ietf:params:xml:ns:carddav"`
	data, query, multiget := "C:calendar-data", "C:calendar-query", "C:calendar-multiget"
	filter := `<C:filter><C:comp-filter name="VCALENDAR"/></C:filter>`
	fresh, other := event("fresh", "DTSTART:20260210T120000Z\n"), event("once", "DTSTART:20260210T120000Z\nSUMMARY:other\n")
	maker := "MKCALENDAR"
	if rl == cardRealm {
		data, query, multiget = "A:address-data", "A:addressbook-query", "A:addressbook-multiget"
		filter = `<A:filter><A:prop-filter name="UID"/></A:filter>`
		fresh, other = card4("fresh", "Fresh"), card4("once", "Other")
		maker = "MKCOL"
	}
	asks := "<prop><getetag/><" + data + "/></prop>"
	list := []matrixRequest{
		{"OPTIONS", "OPTIONS", "BOX/", "", nil},
		{"PROPFIND of the collection", "PROPFIND", "BOX/", `<propfind xmlns="DAV:"><prop><displayname/></prop></propfind>`, []string{"Depth", "0"}},
		{"PROPFIND of the state", "PROPFIND", "BOX/", `<propfind xmlns="DAV:"><prop><sync-token/></prop></propfind>`, []string{"Depth", "0"}},
		{"PROPFIND of the acl", "PROPFIND", "BOX/", `<propfind xmlns="DAV:"><prop><acl/></prop></propfind>`, []string{"Depth", "0"}},
		{"PROPFIND of the items", "PROPFIND", "BOX/", "", []string{"Depth", "1"}},
		{"PROPFIND of the home", "PROPFIND", "HOME/", "", []string{"Depth", "1"}},
		{"PROPFIND of an item", "PROPFIND", "BOX/ITEM", "", []string{"Depth", "0"}},
		{"PROPFIND of no item", "PROPFIND", "BOX/none", "", []string{"Depth", "0"}},
		{"GET of an item", "GET", "BOX/ITEM", "", nil},
		{"HEAD of an item", "HEAD", "BOX/ITEM", "", nil},
		{"GET of no item", "GET", "BOX/none", "", nil},
		{"GET of the collection", "GET", "BOX/", "", nil},
		{"PUT of a new item", "PUT", "BOX/fresh", fresh, []string{"If-None-Match", "*"}},
		{"PUT of a changed item", "PUT", "BOX/ITEM", other, nil},
		{"PUT of a changed item, if it is there", "PUT", "BOX/ITEM", other, []string{"If-Match", "*"}},
		{"PUT with the UID of another item", "PUT", "BOX/fresh", other, nil},
		{"DELETE of an item", "DELETE", "BOX/ITEM", "", nil},
		{"DELETE of no item", "DELETE", "BOX/none", "", nil},
		{"DELETE of the collection", "DELETE", "BOX/", "", nil},
		{"PROPPATCH of the collection", "PROPPATCH", "BOX/", `<propertyupdate xmlns="DAV:"><set><prop><x xmlns="y">1</x></prop></set></propertyupdate>`, nil},
		{"PROPPATCH of an item", "PROPPATCH", "BOX/ITEM", `<propertyupdate xmlns="DAV:"><set><prop><x xmlns="y">1</x></prop></set></propertyupdate>`, nil},
		{"REPORT sync-collection", "REPORT", "BOX/", `<sync-collection ` + ns + `><sync-token/><sync-level>1</sync-level>` + asks + `</sync-collection>`, nil},
		{"REPORT multiget", "REPORT", "BOX/", "<" + multiget + " " + ns + ">" + asks + "<href>BOX/ITEM</href></" + multiget + ">", nil},
		{"REPORT multiget at an own collection", "REPORT", "MINE/", "<" + multiget + " " + ns + ">" + asks + "<href>BOX/ITEM</href></" + multiget + ">", nil},
		{"REPORT query", "REPORT", "BOX/", "<" + query + " " + ns + ">" + asks + filter + "</" + query + ">", []string{"Depth", "1"}},
		{"REPORT expand-property", "REPORT", "BOX/", `<expand-property xmlns="DAV:"><property name="displayname"/><property name="owner"><property name="displayname"/></property></expand-property>`, nil},
		{"REPORT principal-match", "REPORT", "BOX/", `<principal-match xmlns="DAV:"><principal-property><owner/></principal-property><prop><getetag/></prop></principal-match>`, nil},
		{"COPY of an item to an own collection", "COPY", "BOX/ITEM", "", []string{"Destination", "MINE/copied"}},
		{"MOVE of an item to an own collection", "MOVE", "BOX/ITEM", "", []string{"Destination", "MINE/moved"}},
		{"COPY of an own item into it", "COPY", "MINE/ITEM", "", []string{"Destination", "BOX/copied"}},
		{"COPY of an own item over one of it", "COPY", "MINE/ITEM", "", []string{"Destination", "BOX/ITEM"}},
		{"MOVE of an own item into it", "MOVE", "MINE/ITEM", "", []string{"Destination", "BOX/moved"}},
		{"MOVE of an item to another name in it", "MOVE", "BOX/ITEM", "", []string{"Destination", "BOX/renamed"}},
		{maker + " in it", maker, "BOX/sub/", "", nil},
		{maker + " beside it", maker, "OUTER/sub/", "", nil},
		{"ACL of the collection", "ACL", "BOX/", `<acl xmlns="DAV:"><ace><principal><authenticated/></principal><grant><privilege><all/></privilege></grant></ace></acl>`, nil},
		{"ACL of an item", "ACL", "BOX/ITEM", `<acl xmlns="DAV:"/>`, nil},
		{"POST", "POST", "BOX/", other, []string{"Content-Type", "text/calendar"}},
		{"LOCK", "LOCK", "BOX/ITEM", `<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>`, nil},
	}
	if rl == calRealm {
		list = append(list,
			matrixRequest{"REPORT free-busy-query", "REPORT", "BOX/", `<C:free-busy-query ` + ns + `><C:time-range start="20260101T000000Z" end="20270101T000000Z"/></C:free-busy-query>`, []string{"Depth", "1"}},
			matrixRequest{"GET of /CalendarData/", "GET", "DATA", "", nil},
			matrixRequest{"PUT of /CalendarData/", "PUT", "DATA", fresh, nil},
		)
	}
	return list
}

func card4(uid, name string) string {
	return "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:" + uid + "\r\nFN:" + name + "\r\nEND:VCARD\r\n"
}

// Every request is tried with every right to the collection of another account. What is let in is in testdata/access-*.golden: "shown" says that the answer
// has something of the item, "changed" that the collection is another one afterwards. A look at its difference says what a change means.
func TestAccessMatrix(t *testing.T) {
	for _, c := range []struct {
		name, root, suffix string
		realm              realm
	}{{"calendars", "/CalDAV", ".ics", calRealm}, {"contacts", "/CardDAV", ".vcf", cardRealm}} {
		t.Run(c.name, func(t *testing.T) {
			m := &matrix{fixture: newFixture(t), root: c.root, suffix: c.suffix, realm: c.realm}
			var out strings.Builder
			fmt.Fprintf(&out, "# Made by go test ./protocols/dav -run AccessMatrix -update: the answer to a request about a collection of another account, by the rights to it.\n")
			m.fresh()
			for _, r := range matrixOf(c.realm) {
				out.WriteString(r.name + "\n")
				writeMatrix(&out, matrixRights, func(rights string) string { return m.answer(r, rights) })
			}
			sameAs(t, "testdata/access-"+c.name+".golden", out.String())
		})
	}
}

// fileMatrixRights are tried on a directory in private, and on one that all may read.
var fileMatrixRights = []string{"", "l", "r", "w", "d", "a", "lr", "lrw", "lrd", "lrwd", "lwd", "lra", "lrwda", "lrwda -r", "lrwda -lr"}

// fileMatrix are the requests of bob about the directory DIR of ann, with the file FILE in it, and the directory MINE of his own.
var fileMatrix = []matrixRequest{
	{"OPTIONS", "OPTIONS", "DIR/", "", nil},
	{"GET of a file", "GET", "FILE", "", nil},
	{"HEAD of a file", "HEAD", "FILE", "", nil},
	{"GET of a part", "GET", "FILE", "", []string{"Range", "bytes=0-5"}},
	{"GET of no file", "GET", "DIR/none", "", nil},
	{"GET of the directory", "GET", "DIR/", "", nil},
	{"PROPFIND of a file", "PROPFIND", "FILE", "", []string{"Depth", "0"}},
	{"PROPFIND of the directory", "PROPFIND", "DIR/", "", []string{"Depth", "1"}},
	{"PROPFIND of the acl", "PROPFIND", "DIR/", `<propfind xmlns="DAV:"><prop><acl/></prop></propfind>`, []string{"Depth", "0"}},
	{"PROPFIND of the directory above", "PROPFIND", "UP/", "", []string{"Depth", "1"}},
	{"PROPPATCH of a file", "PROPPATCH", "FILE", `<propertyupdate xmlns="DAV:"><set><prop><x xmlns="y">1</x></prop></set></propertyupdate>`, nil},
	{"PROPPATCH of the directory", "PROPPATCH", "DIR/", `<propertyupdate xmlns="DAV:"><set><prop><x xmlns="y">1</x></prop></set></propertyupdate>`, nil},
	{"PUT of a new file", "PUT", "DIR/new", "new", nil},
	{"PUT over a file", "PUT", "FILE", "other", nil},
	{"PUT of a part", "PUT", "FILE", "part", []string{"Content-Range", "bytes 0-3/*"}},
	{"PUT below", "PUT", "DIR/sub/new", "new", nil},
	{"MKCOL", "MKCOL", "DIR/made/", "", nil},
	{"DELETE of a file", "DELETE", "FILE", "", nil},
	{"DELETE of a directory in it", "DELETE", "DIR/sub/", "", nil},
	{"DELETE of the directory", "DELETE", "DIR/", "", nil},
	{"COPY of a file to an own directory", "COPY", "FILE", "", []string{"Destination", "MINE/copied"}},
	{"MOVE of a file to an own directory", "MOVE", "FILE", "", []string{"Destination", "MINE/moved"}},
	{"COPY of an own file into it", "COPY", "MINE/file", "", []string{"Destination", "DIR/copied"}},
	{"COPY of an own file over one", "COPY", "MINE/file", "", []string{"Destination", "FILE"}},
	{"MOVE of an own file into it", "MOVE", "MINE/file", "", []string{"Destination", "DIR/moved"}},
	{"COPY of a file within", "COPY", "FILE", "", []string{"Destination", "DIR/copied"}},
	{"COPY of a directory within", "COPY", "DIR/sub", "", []string{"Destination", "DIR/sub2"}},
	{"COPY of a file over a directory", "COPY", "FILE", "", []string{"Destination", "DIR/sub"}},
	{"MOVE of a file within", "MOVE", "FILE", "", []string{"Destination", "DIR/moved"}},
	{"MOVE of the directory", "MOVE", "DIR", "", []string{"Destination", "UP/elsewhere"}},
	{"LOCK of a file", "LOCK", "FILE", `<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope><locktype><write/></locktype></lockinfo>`, nil},
	{"LOCK of a new file", "LOCK", "DIR/new", `<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope><locktype><write/></locktype></lockinfo>`, nil},
	{"UNLOCK", "UNLOCK", "FILE", "", []string{"Lock-Token", "<urn:uuid:1>"}},
	{"ACL", "ACL", "DIR/", `<acl xmlns="DAV:"><ace><principal><authenticated/></principal><grant><privilege><all/></privilege></grant></ace></acl>`, nil},
	{"GET with a condition on the file", "GET", "MINE/file", "", []string{"If", "<FILE> ([ETAG])"}},
}

func TestFileAccessMatrix(t *testing.T) {
	var out strings.Builder
	fmt.Fprintf(&out, "# Made by go test ./protocols/dav -run AccessMatrix -update: the answer to a request about a directory of another account, by the rights to it. After - is what is taken from anyone.\n")
	f := newFixture(t)
	for _, top := range []string{"private", "open"} {
		f.freshFiles()
		for _, r := range fileMatrix {
			out.WriteString(top + ": " + r.name + "\n")
			writeMatrix(&out, fileMatrixRights, func(rights string) string { return f.fileAnswer(top, r, rights) })
		}
	}
	sameAs(t, "testdata/access-files.golden", out.String())
}

// freshFiles gives ann and bob directories with files.
func (f *fixture) freshFiles() {
	f.t.Helper()
	for _, user := range []string{"ann", "bob"} {
		f.user = user + "@company.com"
		for _, top := range []string{"private", "open"} {
			f.do("DELETE", "/WebDAV/"+top+"/", "") // it may not be there
			for _, dir := range []string{top, top + "/dir", top + "/dir/sub"} {
				f.want(201, f.do("MKCOL", "/WebDAV/"+dir+"/", ""))
			}
			text := "mine"
			if user == "ann" {
				text = secret
			}
			f.want(201, f.do("PUT", "/WebDAV/"+top+"/dir/file", text))
		}
	}
}

// fileState is what ann has.
func (f *fixture) fileState(top string) string {
	user := f.user
	defer func() { f.user = user }()
	f.user = "ann@company.com"
	state := ""
	for _, dir := range []string{"", "dir/", "dir/sub/"} {
		a := f.do("PROPFIND", "/WebDAV/"+top+"/"+dir, `<propfind xmlns="DAV:"><prop><getetag/><acl/><x xmlns="y"/></prop></propfind>`, "Depth", "1")
		state += a.body
	}
	return state
}

func (f *fixture) fileAnswer(top string, r matrixRequest, rights string) string {
	f.t.Helper()
	f.user = "ann@company.com"
	given, taken, _ := strings.Cut(rights, " -")
	ann, err := f.accounts.Account(f.t.Context(), "company.com", "ann")
	must(f.t, err)
	area, err := f.storage.Open(ann)
	must(f.t, err)
	must(f.t, area.ChangeACL(top+"/dir", func(mailbox.ACL) (acl mailbox.ACL, err error) {
		if acl, err = access.Change(acl, "bob", given); err == nil {
			acl, err = access.Change(acl, "-anyone", taken)
		}
		return acl, err
	}))
	area.Close()
	etag := f.do("HEAD", "/WebDAV/"+top+"/dir/file", "").header.Get("ETag")
	before := f.fileState(top)
	home := "/WebDAV/~ann@company.com/" + top
	at := strings.NewReplacer("FILE", home+"/dir/file", "DIR", home+"/dir", "UP", home, "MINE", "/WebDAV/"+top+"/dir", "ETAG", etag)
	f.user = "bob@company.com"
	header := append([]string(nil), r.header...)
	for i := 1; i < len(header); i += 2 {
		header[i] = at.Replace(header[i])
	}
	a := f.do(r.method, at.Replace(r.path), r.body, header...)
	text := fmt.Sprint(a.status)
	if a.status == 207 {
		for _, status := range []string{"403", "404", "507", "200"} {
			if strings.Contains(a.body, "HTTP/1.1 "+status) {
				text += " with " + status
			}
		}
	}
	if strings.Contains(a.body, secret) || r.method == "HEAD" && a.header.Get("ETag") != "" {
		text += " shown"
	}
	if strings.Contains(a.body, top+"/dir/") && !strings.Contains(r.name, "a file") {
		text += " listed"
	}
	if f.fileState(top) != before {
		text += " changed"
	}
	if r.method == "LOCK" && a.status < 300 {
		f.want(204, f.do("UNLOCK", at.Replace(r.path), "", "Lock-Token", a.header.Get("Lock-Token")))
	}
	for _, name := range []string{"copied", "moved"} {
		f.user = "bob@company.com"
		if f.do("GET", "/WebDAV/"+top+"/dir/"+name, "").body == secret {
			text += " taken"
		}
	}
	if strings.Contains(text, "changed") || strings.Contains(text, "taken") {
		f.freshFiles()
	}
	return text
}

// writeMatrix writes the answers with the rights that have each.
func writeMatrix(out *strings.Builder, of []string, answer func(rights string) string) {
	answers := map[string][]string{}
	var order []string
	for _, rights := range of {
		a := answer(rights)
		if answers[a] == nil {
			order = append(order, a)
		}
		if rights == "" {
			rights = "none"
		}
		answers[a] = append(answers[a], rights)
	}
	for _, a := range order {
		fmt.Fprintf(out, "  %-18s %s\n", a, strings.Join(answers[a], " "))
	}
}

func sameAs(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != text {
		t.Errorf("%s differs (%v) from\n%s", path, err, text)
	}
}

type matrix struct {
	*fixture
	root, suffix string
	realm        realm
	base         string // the collection as fresh leaves it
}

const secret = "SECRET"

// fresh gives ann a collection with an item, and bob one.
func (m *matrix) fresh() {
	m.t.Helper()
	method := "MKCALENDAR"
	theirs, mine := event("once", "DTSTART:20260210T120000Z\nSUMMARY:"+secret+"\n"), event("mine", "DTSTART:20260210T120000Z\n")
	if m.realm == cardRealm {
		method, theirs, mine = "MKCOL", card4("once", secret), card4("mine", "Mine")
	}
	for _, user := range []string{"ann", "bob"} {
		m.user = user + "@company.com"
		for _, name := range []string{"Outer/Box/sub", "Outer/Box", "Outer/sub", "Outer"} {
			m.do("DELETE", m.root+"/"+name+"/", "") // it may not be there
		}
		m.want(201, m.do(method, m.root+"/Outer/", ""))
		m.want(201, m.do(method, m.root+"/Outer/Box/", ""))
		text := mine
		if user == "ann" {
			text = theirs
		}
		m.want(201, m.do("PUT", m.root+"/Outer/Box/item"+m.suffix, text))
	}
	m.base = m.state()
}

// state is all that ann sees of the collection and beside it.
func (m *matrix) state() string {
	user := m.user
	defer func() { m.user = user }()
	m.user = "ann@company.com"
	home := m.do("PROPFIND", m.root+"/", `<propfind xmlns="DAV:"><prop><resource-id/></prop></propfind>`, "Depth", "1")
	all := m.do("PROPFIND", m.root+"/Outer/Box/", `<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>`, "Depth", "1")
	own := m.do("PROPFIND", m.root+"/Outer/Box/", `<propfind xmlns="DAV:"><prop><x xmlns="y"/><acl/></prop></propfind>`, "Depth", "0")
	return home.body + all.body + own.body
}

// answer is what comes of a request with rights to the collection and to the one around it.
func (m *matrix) answer(r matrixRequest, rights string) string {
	m.t.Helper()
	m.give("ann", "Outer/Box", rights)
	m.give("ann", "Outer", rights)
	before := m.state()
	home := m.root + "/~ann@company.com"
	at := strings.NewReplacer("BOX/ITEM", home+"/Outer/Box/item"+m.suffix, "BOX/none", home+"/Outer/Box/none"+m.suffix, "BOX", home+"/Outer/Box", "OUTER", home+"/Outer",
		"HOME", home, "MINE/ITEM", m.root+"/Outer/Box/item"+m.suffix, "MINE", m.root+"/Outer/Box", "DATA", "/CalendarData/~ann@company.com/Outer/Box.ics")
	m.user = "bob@company.com"
	header := append([]string(nil), r.header...)
	for i := 1; i < len(header); i += 2 {
		header[i] = at.Replace(header[i])
	}
	a := m.do(r.method, at.Replace(r.path), at.Replace(r.body), header...)
	text := fmt.Sprint(a.status)
	if a.status == 207 {
		for _, status := range []string{"403", "404", "507"} {
			if strings.Contains(a.body, "HTTP/1.1 "+status) {
				text += " with " + status
			}
		}
		if strings.Contains(a.body, "HTTP/1.1 200") {
			text += " with 200"
		}
	}
	if strings.Contains(a.body, secret) || a.header.Get("ETag") != "" && a.status == 200 {
		text += " shown"
	}
	if a.status == 207 && !strings.Contains(text, "shown") && strings.Contains(a.body, "<D:getetag>") {
		text += " listed"
	}
	if strings.Contains(a.body, "FREEBUSY:") {
		text += " busy"
	}
	changed := m.state() != before
	m.user = "bob@company.com"
	mine := m.do("GET", m.root+"/Outer/Box/", "")
	if strings.Contains(mine.body, secret) {
		text += " taken"
	}
	if changed {
		text += " changed"
	}
	if changed || strings.Contains(mine.body, secret) || !strings.Contains(mine.body, "UID:mine") {
		m.fresh()
	}
	return text
}

// give changes what bob may do with a mailbox of another account.
func (f *fixture) give(owner, box, rights string) {
	f.t.Helper()
	a, err := f.accounts.Account(f.t.Context(), "company.com", owner)
	must(f.t, err)
	must(f.t, a.Mail().ChangeACL(f.t.Context(), box, func(mailbox.ACL) (mailbox.ACL, error) {
		if rights == "" {
			return nil, nil
		}
		r, err := access.ParseRights(rights)
		return mailbox.ACL{{Identifier: "bob@company.com", Rights: uint32(r)}}, err
	}))
}

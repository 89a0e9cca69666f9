package webadmin

import (
	"context"
	"testing"

	"gatepost/server/admin"
)

// Accounts come in from a table, and go out as one.
func TestImportAndExportOfAccounts(t *testing.T) {
	s := newSite(t)
	c := s.master()
	const page = "/Users/Domains/own.com/Import"
	c.get(page).sees(200, "A table with tabs")
	c.upload(page, "", "do", "import").sees(422, "The file is empty.")
	c.upload(page, "Name\tFoo\na\tb\n", "do", "import").sees(422, "unknown column")
	c.upload(page, "Name\tRealName\nnew1\tOne\nuser\tTwo\n", "do", "try")
	c.get(page).sees(200, "Nothing was changed.", "Created: 1 account.", "already exists")
	c.get("/Users/Domains/own.com/Objects/new1").sees(404)
	c.upload(page, "\ufeffname\tREALNAME\ttelephoneNumber\r\nnew1\tOne\t5\r\nuser\tTwo\r\nnew2\t<b>\r\n", "do", "import", "attributes", "telephoneNumber")
	c.get(page).sees(200, "Created: 2 accounts.", "already exists")
	if got := s.setting("own.com", "new1", "telephoneNumber"); got != "5" {
		t.Error(got)
	}
	c.post(page, "do", "export").sees(200, "Name RealName Password", "new1 One 5", "new2")
}

// A long import goes on when the browser has its answer, and can be ended.
func TestALongImportIsEnded(t *testing.T) {
	s := newSite(t)
	c := s.master()
	const page = "/Users/Domains/own.com/Import"
	all := s.app.imports
	ctx, cancel := context.WithCancel(t.Context())
	j := &importJob{imports: all, cancel: cancel, done: make(chan struct{}), importView: importView{Domain: "own.com", Begun: true, Running: true, Lines: 1000, Done: 64, Created: 63}}
	all.jobs["own.com"] = j
	go func() {
		<-ctx.Done()
		j.run(ctx, nil, make([]admin.AccountRow, 936))
	}()
	c.get(page).sees(200, "The import is running: 64 of 1000 lines are done.", "End the import")
	c.post(page, "do", "import", "text", "Name\nx\n").sees(422, "An import into the domain is running.")
	c.post(page, "do", "cancel")
	c.get(page).sees(200, "Created: 63 accounts.", "The import was ended after 64 of 1000 lines.")
	c.post(page, "do", "import", "text", "Name\nx\n")
	c.get(page).sees(200, "Created: 1 account.")
}

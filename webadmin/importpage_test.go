package webadmin

import (
	"fmt"
	"strings"
	"testing"
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
	var b strings.Builder
	b.WriteString("Name\tPassword\n")
	const lines = 3000
	for i := range lines {
		fmt.Fprintf(&b, "n%d\tsome password\n", i)
	}
	c.upload(page, b.String(), "do", "import")
	c.get(page).sees(200, "The import is running", "End the import")
	c.upload(page, "Name\nx\n", "do", "import").sees(422, "An import into the domain is running.")
	c.post(page, "do", "cancel")
	c.get(page).sees(200, "The import was ended after")
	if _, err := s.acc.Account(t.Context(), "own.com", fmt.Sprintf("n%d", lines-1)); err == nil {
		t.Error("it went on")
	}
}

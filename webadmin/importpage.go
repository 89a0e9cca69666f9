package webadmin

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the import of accounts from a table: tab-separated UTF-8 text whose first line names the columns.

func importPages() []*page {
	return []*page{
		{path: "Users/Domains/{domain}/Import", title: "Import", call: "CREATEACCOUNT", tab: true, get: (*call).importPage, post: map[string]func(*call) error{"import": (*call).importAccounts}},
	}
}

// maxImport bounds the lines of one file: the answer comes when all of them are made.
const maxImport = 10_000

type importView struct {
	Domain  string
	Error   string
	Done    bool
	Created int
	Failed  []importFailure
	More    int // failures that are not shown
}

type importFailure struct {
	Line       int
	Name, Text string
}

func (c *call) importPage() error {
	return c.show(http.StatusOK, "import", c.T("Import"), &importView{Domain: c.params["domain"]})
}

func (c *call) importAccounts() error {
	v := &importView{Domain: c.params["domain"]}
	text := c.field("text")
	if c.r.MultipartForm != nil {
		defer c.r.MultipartForm.RemoveAll()
		if f, _, err := c.r.FormFile("file"); err == nil {
			defer f.Close()
			b, err := io.ReadAll(io.LimitReader(f, MaxBody))
			if err != nil {
				return fault.Wrap("webadmin.Import", fault.Internal, err)
			}
			if len(b) > 0 {
				text = string(b)
			}
		}
	}
	if err := c.importTable(v, text); err != nil {
		return err
	}
	status := http.StatusOK
	if v.Error != "" {
		status = http.StatusUnprocessableEntity
	}
	return c.show(status, "import", c.T("Import"), v)
}

// importTable makes the accounts of a table. A column that nobody knows refuses all of it; a line that is wrong
// refuses itself.
func (c *call) importTable(v *importView, text string) error {
	lines := bufio.NewScanner(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	lines.Buffer(nil, 64<<10)
	if !lines.Scan() || strings.TrimSpace(lines.Text()) == "" {
		v.Error = c.T("The file is empty.")
		return nil
	}
	columns := strings.Split(strings.TrimRight(lines.Text(), "\r"), "\t")
	nameAt := -1
	names := accounts.AccountSettingNames()
	for i, col := range columns {
		col = strings.TrimSpace(col)
		switch s, known := names.Find(col); {
		case strings.EqualFold(col, "Name"):
			nameAt, columns[i] = i, ""
		case strings.EqualFold(col, "Aliases"):
			columns[i] = "Aliases"
		case known:
			columns[i] = s.Key
		default:
			v.Error = c.T("There is no column %s: use Name, Aliases, or names of settings such as RealName, Password, MaxAccountSize.", col)
			return nil
		}
	}
	if nameAt < 0 {
		v.Error = c.T("The first line has no column Name.")
		return nil
	}
	v.Done = true
	for n := 2; lines.Scan(); n++ {
		if n > maxImport {
			v.Error = c.T("The file has more than %d lines; the rest was left out.", maxImport)
			break
		}
		if c.ctx().Err() != nil {
			return fault.Wrap("webadmin.Import", fault.Canceled, c.ctx().Err())
		}
		line := strings.TrimRight(lines.Text(), "\r")
		if strings.TrimSpace(line) == "" {
			continue
		}
		cells := strings.Split(line, "\t")
		name := ""
		if nameAt < len(cells) {
			name = strings.TrimSpace(cells[nameAt])
		}
		err := c.importLine(v.Domain, name, columns, cells)
		switch {
		case err == nil:
			v.Created++
		case !kept(err):
			return err
		case len(v.Failed) < 200:
			v.Failed = append(v.Failed, importFailure{n, name, c.reason(err)})
		default:
			v.More++
		}
	}
	if lines.Err() != nil {
		v.Error = c.T("A line is too long; the rest was left out.")
	}
	return nil
}

func (c *call) importLine(domain, name string, columns, cells []string) error {
	const op = "webadmin.Import"
	if len(cells) > len(columns) {
		return fault.New(op, fault.Invalid, c.T("the line has more cells than the first one"))
	}
	given := dataformat.Dict{}
	var aliases []string
	names := accounts.AccountSettingNames()
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		switch key := columns[i]; {
		case key == "" || cell == "":
		case key == "Aliases":
			aliases = strings.FieldsFunc(cell, func(r rune) bool { return r == ',' || r == ' ' })
		default:
			s, _ := names.Find(key)
			if s.Secret || s.Type == "string" {
				given[key] = dataformat.String(cell)
				continue
			}
			value, err := valueOf(s, cell)
			if err != nil {
				return fault.Newf(op, fault.Invalid, "%s: %s", key, c.reason(err))
			}
			given[key] = value
		}
	}
	n := admin.Name{Local: name, Domain: domain}
	if err := c.actor.CreateAccount(c.ctx(), n, given, admin.Storage{}); err != nil {
		return err
	}
	if slices.ContainsFunc(aliases, func(a string) bool { return a != "" }) {
		if err := c.actor.SetAccountAliases(c.ctx(), n, aliases); err != nil {
			return fault.Newf(op, fault.KindOf(err), "%s: %s", c.T("created without its aliases"), c.reason(err))
		}
	}
	return nil
}

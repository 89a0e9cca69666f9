package webadmin

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatepost/server/admin"
)

// This file has the realm Master.

func masterPages() []*page {
	return []*page{
		{path: "Master/Access Rights", title: "Access Rights", call: "GETACCOUNTPLAINPASSWORD", may: (*call).isMaster, menu: true, get: (*call).adminsPage,
			post: map[string]func(*call) error{"open": (*call).openRights}},
		{path: "Master/Check", title: "Check", call: "CHECK", menu: true, get: (*call).checkPage, post: map[string]func(*call) error{"check": (*call).check}},
	}
}

// isMaster reports whether somebody has all rights.
func (c *call) isMaster() bool {
	return c.actor.May(c.ctx(), "GETACCOUNTPLAINPASSWORD", admin.Name{})
}

type adminRow struct{ Name, Domain, Rights string }

type adminsView struct {
	Rows   []adminRow
	Domain string
	Name   string
	Error  string
}

func (c *call) adminsPage() error { return c.drawAdmins(http.StatusOK, "", "") }

func (c *call) drawAdmins(status int, name, problem string) error {
	v := &adminsView{Name: name, Error: problem}
	v.Domain = c.r.URL.Query().Get("domain")
	if v.Domain == "" {
		v.Domain = c.Accounts.MainDomain()
	}
	list, err := c.actor.Administrators(c.ctx(), v.Domain)
	if err != nil {
		return err
	}
	for _, n := range slices.Sorted(maps.Keys(list)) {
		v.Rows = append(v.Rows, adminRow{n, v.Domain, strings.Join(list[n], ", ")})
	}
	return c.show(status, "admins", c.T("Access Rights"), v)
}

// openRights leads to the page of an account's rights.
func (c *call) openRights() error {
	n := admin.ParseName(strings.ToLower(strings.TrimSpace(c.field("name"))))
	if n.Domain == "" {
		n.Domain = c.Accounts.MainDomain()
	}
	if _, err := c.actor.AccountRights(c.ctx(), n); err != nil {
		if !kept(err) {
			return err
		}
		return c.drawAdmins(http.StatusUnprocessableEntity, c.field("name"), c.reason(err))
	}
	return c.redirect(link("Users", "Domains", n.Domain, "Objects", n.Local, "Access Rights"))
}

type checkView struct {
	Done  bool
	Lines []string
}

func (c *call) checkPage() error {
	return c.show(http.StatusOK, "check", c.T("Check"), &checkView{})
}

// check compares the index with the files. It changes nothing.
func (c *call) check() error {
	lines, err := c.actor.Check(c.ctx())
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "check", c.T("Check"), &checkView{Done: true, Lines: lines})
}

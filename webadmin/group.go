package webadmin

import (
	"net/http"
	"strings"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file has the page of a group.

func groupPages() []*page {
	return []*page{
		formPage(page{path: "Users/Domains/{domain}/Groups/{object}", call: "GETGROUP", post: map[string]func(*call) error{
			"rename": (*call).renameGroup, "remove": (*call).removeGroup}}, (*call).groupForm),
	}
}

// groupExtra is what the page has beside the form.
type groupExtra struct {
	Name, Error string
	May         bool
}

func (c *call) groupForm() *formOf {
	n := c.target()
	return &formOf{
		title: c.address(), content: "group", extra: &groupExtra{Name: n.Local, May: c.may("SETGROUP")},
		sheet: func() (*admin.Sheet, error) { return c.actor.GroupSheet(c.ctx(), n) },
		update: func(d dataformat.Dict) error {
			before, err := c.actor.Group(c.ctx(), n)
			if err != nil {
				return err
			}
			return c.actor.SetGroup(c.ctx(), n, settings.Merge(before, d))
		},
		verb: "SETGROUP " + c.address(),
	}
}

func (c *call) renameGroup() error {
	name := strings.ToLower(strings.TrimSpace(c.field("name")))
	if err := c.actor.RenameGroup(c.ctx(), c.target(), name); err != nil {
		return err
	}
	return c.done(link("Users", "Domains", c.params["domain"], "Groups", name), &flash{Text: c.T("The group is called %s now.", name), Command: "RENAMEGROUP " + c.address() + " INTO " + name})
}

func (c *call) removeGroup() error {
	if err := c.actor.DeleteGroup(c.ctx(), c.target()); err != nil {
		return err
	}
	return c.done(link("Users", "Domains", c.params["domain"], "Objects"), &flash{Text: c.T("The group %s is removed.", c.address()), Command: "DELETEGROUP " + c.address()})
}

func (c *call) createGroup() error {
	domain := c.params["domain"]
	typed := newObject{Group: strings.ToLower(strings.TrimSpace(c.field("name")))}
	err := c.actor.CreateGroup(c.ctx(), admin.Name{Local: typed.Group, Domain: domain}, nil)
	if err != nil {
		if !kept(err) || fault.Is(err, fault.NoDomain) {
			return err
		}
		typed.GroupError = c.reason(err)
		return c.drawObjects(http.StatusUnprocessableEntity, typed)
	}
	return c.done(link("Users", "Domains", domain, "Groups", typed.Group), &flash{Text: c.T("The group %s has been created.", typed.Group+"@"+domain), Command: "CREATEGROUP " + typed.Group + "@" + domain})
}

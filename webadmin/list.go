package webadmin

import (
	"net/http"
	"strings"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the pages of a mailing list but for those of its subscribers and of what waits for its owner.

const listPath = "Users/Domains/{domain}/Lists/{object}"

func listPages() []*page {
	return []*page{
		{path: listPath, call: "LISTSUBSCRIBERS", get: (*call).listPage},
		{path: listPath + "/Subscribers", title: "Subscribers", call: "LISTSUBSCRIBERS", tab: true, get: (*call).subscribersPage,
			post: map[string]func(*call) error{"add": (*call).addSubscriber, "mode": (*call).changeModes, "posting": (*call).changePostings,
				"end": (*call).endSubscriptions, "import": (*call).importSubscribers}},
		{path: listPath + "/Subscriber", title: "Subscriber", call: "GETSUBSCRIBERINFO", get: (*call).subscriberPage,
			post: map[string]func(*call) error{"update": (*call).updateSubscriber, "end": (*call).endSubscriptions}},
		{path: listPath + "/Moderation", title: "Moderation", call: "LISTWAITING", tab: true, get: (*call).moderationPage,
			post: map[string]func(*call) error{"approve": (*call).approveWaiting, "reject": (*call).rejectWaiting}},
		{path: listPath + "/Moderation/{token}", call: "READWAITING", get: (*call).waitingPage},
		formPage(page{path: listPath + "/Settings", title: "Settings", call: "GETLIST", tab: true,
			post: map[string]func(*call) error{"rename": (*call).renameList}}, (*call).listForm),
		{path: listPath + "/Remove", title: "Remove Mailing List", call: "DELETELIST", get: (*call).removeListPage,
			post: map[string]func(*call) error{"remove": (*call).removeList}},
	}
}

// listLink is the address of a page of the list that the path names.
func (c *call) listLink(words ...string) string {
	return link(append([]string{"Users", "Domains", c.params["domain"], "Lists", c.params["object"]}, words...)...)
}

func (c *call) listPage() error { return c.redirect(c.listLink("Subscribers")) }

// listHeadings are above the first setting of each part of a list's settings.
var listHeadings = map[string]string{
	"Subscribe": "Subscribing", "Postings": "Posting", "Reply": "What Subscribers Get", "TillConfirmed": "Mail That Comes Back",
	"Store": "Archive", "DigestPeriod": "Digests",
}

// listExtra is what the page of a list's settings has beside the form.
type listExtra struct {
	Name   string
	May    bool
	Remove string
}

func (c *call) listForm() *formOf {
	n := c.target()
	return &formOf{
		title: c.address(), content: "list", extra: &listExtra{Name: n.Local, May: c.may("RENAMELIST"), Remove: c.listLink("Remove")},
		sheet:    func() (*admin.Sheet, error) { return c.actor.ListSheet(c.ctx(), n) },
		update:   func(d dataformat.Dict) error { return c.actor.UpdateList(c.ctx(), n, d) },
		headings: listHeadings, verb: "UPDATELIST " + c.address(), file: c.domainFile("Lists/" + n.Local + ".list"),
	}
}

func (c *call) renameList() error {
	name := strings.ToLower(strings.TrimSpace(c.field("name")))
	if err := c.actor.RenameList(c.ctx(), c.target(), name); err != nil {
		return err
	}
	command := "RENAMELIST " + c.address() + " INTO " + name
	c.params["object"] = name
	return c.done(c.listLink("Settings"), &flash{Text: c.T("The mailing list is called %s now.", name), Command: command})
}

func (c *call) listRemoval() (*removal, error) {
	counts, err := c.actor.SubscriberCounts(c.ctx(), c.target())
	if err != nil {
		return nil, err
	}
	return &removal{
		What: c.T("the mailing list"), Name: c.address(), Back: c.listLink("Settings"), Command: "DELETELIST " + c.address(),
		Lines: []string{count(c.prefs.Language, counts.Subscribers(), "subscriber"), c.T("The archive stays with the owner of the list.")},
	}, nil
}

func (c *call) removeListPage() error {
	r, err := c.listRemoval()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "remove", c.T("Remove Mailing List"), r)
}

func (c *call) removeList() error {
	r, err := c.listRemoval()
	if err != nil {
		return err
	}
	if r.Typed = strings.TrimSpace(c.field("name")); !strings.EqualFold(r.Typed, r.Name) {
		r.Error = c.T("This is not the name. Nothing was removed.")
		return c.show(http.StatusUnprocessableEntity, "remove", c.T("Remove Mailing List"), r)
	}
	if err := c.actor.DeleteList(c.ctx(), c.target()); err != nil {
		return err
	}
	return c.done(link("Users", "Domains", c.params["domain"], "Objects"), &flash{Text: c.T("The mailing list %s is removed.", c.address()), Command: r.Command})
}

func (c *call) createList() error {
	domain := c.params["domain"]
	typed := newObject{List: strings.ToLower(strings.TrimSpace(c.field("name"))), Owner: strings.ToLower(strings.TrimSpace(c.field("owner")))}
	err := c.actor.CreateList(c.ctx(), admin.Name{Local: typed.List, Domain: domain}, typed.Owner, nil)
	if err != nil {
		if !kept(err) || fault.Is(err, fault.NoDomain) {
			return err
		}
		typed.ListError = c.reason(err)
		return c.drawObjects(http.StatusUnprocessableEntity, typed)
	}
	c.params["object"] = typed.List
	return c.done(c.listLink("Settings"), &flash{
		Text: c.T("The mailing list %s has been created.", c.address()), Command: "CREATELIST " + c.address() + " FOR " + typed.Owner})
}

package webadmin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/router/names"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the list of a domain's objects, and the forms that make new ones.

type objectRow struct {
	Name, Kind string
	Target     string // of an alias or a forwarder
	RealName   string
	LastLogin  time.Time
	Storage    int64
	Rights     bool
	Link       string // of a mailing list, for those who may see it
	Error      string
}

type objectList struct {
	Domain                        string
	Suspended                     bool
	Rows                          []objectRow
	Accounts, Aliases, Forwarders int
	Groups, Lists                 int
	Filter, Show                  string
	Kinds                         []choice
	First                         bool
	Next                          string // the address of the page that follows
	MayAccount, MayForwarder      bool
	MayGroup, MayList             bool
	New                           newObject
	Zone                          *time.Location
}

// newObject is what was typed to make an object, and what was wrong with it.
type newObject struct {
	Name, RealName, Target     string
	AccountError, ForwardError string
	Group, GroupError          string
	List, Owner, ListError     string
}

func (c *call) objectsPage() error { return c.drawObjects(http.StatusOK, newObject{}) }

func (c *call) drawObjects(status int, typed newObject) error {
	query := c.r.URL.Query()
	name := c.params["domain"]
	list := &objectList{
		Domain: name, Filter: query.Get("filter"), Show: query.Get("show"), First: query.Get("after") == "", New: typed, Zone: c.prefs.Zone,
		MayAccount: c.may("CREATEACCOUNT"), MayForwarder: c.may("CREATEFORWARDER"), MayGroup: c.may("CREATEGROUP"), MayList: c.may("CREATELIST"), Suspended: c.Accounts.Suspended(name),
	}
	for _, k := range [][2]string{{"", "All objects"}, {"accounts", "Accounts"}, {"aliases", "Aliases"}, {"forwarders", "Forwarders"}, {"groups", "Groups"}, {"lists", "Mailing Lists"}} {
		list.Kinds = append(list.Kinds, choice{k[0], c.T(k[1]), k[0] == list.Show})
	}
	o := accounts.ListOptions{Filter: strings.TrimSpace(list.Filter), Limit: c.prefs.Rows, After: query.Get("after")}
	o.Accounts = list.Show == "" || list.Show == "accounts"
	o.Aliases = list.Show == "" || list.Show == "aliases"
	o.Forwarders = list.Show == "" || list.Show == "forwarders"
	o.Groups = list.Show == "" || list.Show == "groups"
	o.Lists = list.Show == "" || list.Show == "lists"
	found, err := c.actor.ListObjects(c.ctx(), name, o)
	if err != nil {
		return err
	}
	list.Groups, list.Lists = found.Groups, found.Lists
	list.Accounts, list.Aliases, list.Forwarders = found.Accounts, found.Aliases, found.Forwarders
	for _, n := range found.Names {
		list.Rows = append(list.Rows, c.objectRow(name, n, found.Objects[n]))
	}
	if found.More {
		query.Set("after", found.Names[len(found.Names)-1])
		list.Next = c.r.URL.EscapedPath() + "?" + query.Encode()
	}
	return c.show(status, "objects", c.T("Objects"), list)
}

func (c *call) objectRow(domain, name string, o names.Object) objectRow {
	row := objectRow{Name: name}
	switch o.Kind {
	case names.Account:
		row.Kind = "account"
	case names.Forwarder:
		row.Kind, row.Target = "forwarder", o.Target
		return row
	case names.Alias:
		row.Kind, row.Target = "alias", o.Name
		return row
	case names.List:
		row.Kind = "list"
		n := admin.Name{Local: name, Domain: domain}
		if !c.actor.May(c.ctx(), "READSUBSCRIBERS", n) {
			return row
		}
		row.Link = link("Users", "Domains", domain, "Lists", name, "Subscribers")
		counts, err := c.actor.SubscriberCounts(c.ctx(), n)
		if err != nil {
			row.Error = c.reason(err)
			return row
		}
		row.Target = count(c.prefs.Language, counts.Subscribers(), "subscriber")
		return row
	default:
		row.Kind, row.Target = o.Kind.String(), o.Name
		return row
	}
	n := admin.Name{Local: name, Domain: domain}
	v, err := c.actor.AccountSetting(c.ctx(), n, "RealName")
	if err != nil {
		row.Error = c.reason(err)
		return row
	}
	row.RealName, _ = dataformat.Text(v)
	info, err := c.actor.AccountInfo(c.ctx(), n)
	if err != nil {
		row.Error = c.reason(err)
		return row
	}
	row.Storage, _ = strconv.ParseInt(info.String("StorageUsed"), 10, 64)
	if t, ok := info["LastLogin"].(dataformat.Time); ok {
		row.LastLogin = t.T
	}
	return row
}

func (c *call) createAccount() error {
	domain := c.params["domain"]
	typed := newObject{Name: strings.TrimSpace(c.field("name")), RealName: strings.TrimSpace(c.field("realname"))}
	given := dataformat.Dict{}
	if typed.RealName != "" {
		given["RealName"] = dataformat.String(typed.RealName)
	}
	pass := c.r.PostForm.Get("password")
	problem := ""
	switch {
	case typed.Name == "":
		problem = c.T("The account needs a name.")
	case pass != c.r.PostForm.Get("again"):
		problem = c.T("The two passwords differ.")
	}
	if problem != "" {
		typed.AccountError = problem
		return c.drawObjects(http.StatusUnprocessableEntity, typed)
	}
	if pass != "" {
		given["Password"] = dataformat.String(pass)
	}
	n := admin.Name{Local: typed.Name, Domain: domain}
	if err := c.actor.CreateAccount(c.ctx(), n, given, admin.Storage{}); err != nil {
		if !kept(err) || fault.Is(err, fault.NoDomain) {
			return err
		}
		typed.AccountError = c.reason(err)
		return c.drawObjects(http.StatusUnprocessableEntity, typed)
	}
	name := strings.ToLower(typed.Name)
	if pass != "" {
		given["Password"] = dataformat.String("...")
	}
	command := "CREATEACCOUNT " + name + "@" + domain
	if len(given) > 0 {
		command += " " + dataformat.Compact(given)
	}
	return c.done(link("Users", "Domains", domain, "Objects", name, "Settings"), &flash{Text: c.T("The account %s has been created.", name+"@"+domain), Command: command})
}

func (c *call) createForwarder() error {
	domain := c.params["domain"]
	typed := newObject{Name: strings.TrimSpace(c.field("name")), Target: strings.TrimSpace(c.field("target"))}
	if err := c.actor.CreateForwarder(c.ctx(), admin.Name{Local: typed.Name, Domain: domain}, typed.Target); err != nil {
		if !kept(err) || fault.Is(err, fault.NoDomain) {
			return err
		}
		typed.ForwardError = c.reason(err)
		return c.drawObjects(http.StatusUnprocessableEntity, typed)
	}
	return c.done(link("Users", "Domains", domain, "Objects"), &flash{
		Text:    c.T("The forwarder %s has been created.", typed.Name+"@"+domain),
		Command: "CREATEFORWARDER " + typed.Name + "@" + domain + " TO " + typed.Target,
	})
}

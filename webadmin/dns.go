package webadmin

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatepost/server/dataformat"
)

// This file has the page of a domain's DNS records and DKIM keys.

func dnsPages() []*page {
	return []*page{
		{path: "Users/Domains/{domain}/DNS", title: "DNS", call: "GETDNSRECORDS", tab: true, get: (*call).dnsPage, post: map[string]func(*call) error{
			"check": (*call).checkDNS, "create": (*call).createKey, "activate": (*call).activateKey, "retire": (*call).retireKey, "delete": (*call).deleteKey}},
	}
}

// finding is what a check says.
type finding struct{ State, Subject, Text, Class string }

type keyRow struct{ Selector, Algorithm, State, Since string }

type dnsView struct {
	Domain   string
	Rows     []dnsRecord
	Findings []finding
	Keys     []keyRow
	MayKeys  bool
	Checked  bool
	Error    string
}

func (c *call) dnsPage() error { return c.drawDNS(http.StatusOK, false, "") }

func (c *call) checkDNS() error { return c.drawDNS(http.StatusOK, true, "") }

func (c *call) drawDNS(status int, check bool, problem string) error {
	name := c.params["domain"]
	v := &dnsView{Domain: name, MayKeys: c.may("CREATEDKIMKEY"), Checked: check, Error: problem}
	var err error
	if v.Rows, v.Findings, err = c.records(name, check); err != nil {
		return err
	}
	keys, err := c.actor.DKIMKeys(c.ctx(), name)
	if err != nil {
		return err
	}
	for _, selector := range slices.Sorted(maps.Keys(keys)) {
		d, _ := keys[selector].(dataformat.Dict)
		v.Keys = append(v.Keys, keyRow{selector, d.String("Algorithm"), d.String("State"), d.String("Since")})
	}
	return c.show(status, "dns", c.T("DNS records of %s", name), v)
}

// records are those that a domain needs, and what a check has found.
func (c *call) records(domain string, check bool) (rows []dnsRecord, found []finding, err error) {
	list, err := c.actor.DNSRecords(c.ctx(), domain)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range list {
		d, _ := e.(dataformat.Dict)
		rows = append(rows, dnsRecord{d.String("name"), d.String("type"), d.String("value"), c.T(d.String("why"))})
	}
	if !check {
		return rows, nil, nil
	}
	result, err := c.actor.CheckDNS(c.ctx(), domain)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range result {
		d, _ := e.(dataformat.Dict)
		found = append(found, findingOf(d.String("state"), d.String("subject"), d.String("text")))
	}
	return rows, found, nil
}

func findingOf(state, subject, text string) finding {
	f := finding{State: state, Subject: subject, Text: text, Class: "warn"}
	switch strings.ToLower(state) {
	case "ok":
		f.Class = "good"
	case "problem":
		f.Class = "bad"
	}
	return f
}

// keyChanged tells of a change of a key, or shows the page again with what was wrong.
func (c *call) keyChanged(err error, text, command string) error {
	if err != nil {
		if !kept(err) {
			return err
		}
		return c.drawDNS(http.StatusUnprocessableEntity, false, c.reason(err))
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: text, Command: command, File: "DKIM/"})
}

func (c *call) createKey() error {
	name, algorithm := c.params["domain"], c.field("algorithm")
	made, err := c.actor.CreateDKIMKey(c.ctx(), name, strings.TrimSpace(c.field("selector")), algorithm)
	return c.keyChanged(err, c.T("The key %s is made. Publish its record, then activate it.", made), "CREATEDKIMKEY "+name+" SELECTOR "+made+" ALGORITHM "+algorithm)
}

func (c *call) activateKey() error {
	name, selector := c.params["domain"], c.field("selector")
	return c.keyChanged(c.actor.ActivateDKIMKey(c.ctx(), name, selector), c.T("The key %s signs now.", selector), "ACTIVATEDKIMKEY "+name+" "+selector)
}

func (c *call) retireKey() error {
	name, selector := c.params["domain"], c.field("selector")
	return c.keyChanged(c.actor.RetireDKIMKey(c.ctx(), name, selector), c.T("The key %s signs no longer.", selector), "RETIREDKIMKEY "+name+" "+selector)
}

func (c *call) deleteKey() error {
	name, selector := c.params["domain"], c.field("selector")
	return c.keyChanged(c.actor.DeleteDKIMKey(c.ctx(), name, selector), c.T("The key %s is removed.", selector), "DELETEDKIMKEY "+name+" "+selector)
}

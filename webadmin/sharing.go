package webadmin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatepost/accounts/access"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has who else uses the mailboxes of an account: the ACL of each, secret links to its calendars, and the mailbox aliases of the account.

const (
	mailboxesPath = accountPath + "/Mailboxes"
	sharingPath   = mailboxesPath + "/Sharing"
)

// aclWords are the rights to a mailbox in words of people.
var aclWords = []struct{ letter, word string }{
	{"l", "sees it in lists"}, {"r", "reads it"}, {"s", "marks messages as read"}, {"w", "flags messages"}, {"i", "adds messages"},
	{"p", "sends mail to it"}, {"c", "makes mailboxes in it"}, {"d", "deletes messages"}, {"a", "changes these rights"},
}

type aclRow struct {
	Identifier, Letters string
	Ticks               []choice
}

type sharing struct {
	Mailbox, Address string
	May              bool
	Was              string // the ACL as it was shown
	Rows             []aclRow
	New              aclRow
	Error            string
	// Calendar says that the mailbox can have a secret link, Since when it got the one that it has.
	Calendar, Linked, MayLink bool
	Since                     time.Time
	// Made is the path of the link that was just made.
	Made string
}

func (c *call) aclRow(identifier, letters string) aclRow {
	row := aclRow{Identifier: identifier, Letters: letters}
	for _, w := range aclWords {
		row.Ticks = append(row.Ticks, choice{w.letter, c.T(w.word), strings.Contains(letters, w.letter)})
	}
	return row
}

// sharingOf reads the page about a mailbox.
func (c *call) sharingOf(box string) (*sharing, error) {
	acl, err := c.actor.MailboxACL(c.ctx(), c.target(), admin.Name{}, box)
	if err != nil {
		return nil, err
	}
	s := &sharing{Mailbox: box, Address: c.address(), May: c.may("SETMAILBOXACL"), Was: dataformat.Compact(acl), New: c.aclRow("", "")}
	for _, id := range slices.Sorted(maps.Keys(acl)) {
		letters, _ := dataformat.Text(acl[id])
		s.Rows = append(s.Rows, c.aclRow(id, letters))
	}
	all, err := c.actor.Collections(c.ctx(), c.target(), dataformat.Dict{})
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		s.Calendar = s.Calendar || one.Name == box && one.Kind != "contacts"
	}
	if s.Calendar {
		links, err := c.actor.CalendarLinks(c.ctx(), c.target())
		if err != nil {
			return nil, err
		}
		s.MayLink = c.may("CREATECALENDARLINK")
		if link, ok := links[box].(dataformat.Dict); ok {
			s.Linked = true
			if made, ok := link["Created"].(dataformat.Time); ok {
				s.Since = made.T
			}
		}
	}
	return s, nil
}

func (c *call) sharingPage() error {
	s, err := c.sharingOf(c.r.URL.Query().Get("mailbox"))
	if err != nil {
		return err
	}
	return c.drawSharing(http.StatusOK, s)
}

func (c *call) drawSharing(status int, s *sharing) error {
	return c.show(status, "sharing", c.T("Sharing: %s", s.Mailbox), s)
}

// setSharing stores the ticks. An identifier without any goes.
func (c *call) setSharing() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	box := c.field("mailbox")
	s, err := c.sharingOf(box)
	if err != nil {
		return err
	}
	change, shown := dataformat.Dict{}, s.Rows
	refuse := func(text string) error {
		s.Error, s.Rows = text, shown
		return c.drawSharing(http.StatusUnprocessableEntity, s)
	}
	for i := range shown {
		letters := strings.Join(c.r.PostForm[fmt.Sprint("right.", i)], "")
		if c.field(fmt.Sprint("id.", i)) == shown[i].Identifier && letters != shown[i].Letters {
			change[shown[i].Identifier] = dataformat.String(letters)
			shown[i] = c.aclRow(shown[i].Identifier, letters)
		}
	}
	s.New = c.aclRow(strings.TrimSpace(c.field("id.new")), strings.Join(c.r.PostForm["right.new"], ""))
	switch {
	case c.field("was") != s.Was:
		return refuse(c.T("somebody else has changed this meanwhile") + ": " + s.Was)
	case s.New.Identifier == "" && s.New.Letters != "":
		return refuse(c.T("Say who gets the rights."))
	case s.New.Identifier != "" && s.New.Letters == "":
		return refuse(c.T("Tick what %s may do.", s.New.Identifier))
	case s.New.Identifier != "":
		id, err := access.ParseIdentifier(s.New.Identifier)
		if err != nil {
			return refuse(c.reason(err))
		}
		change[id.String()] = dataformat.String(s.New.Letters)
	}
	to := link(c.page.fill(c.params)...) + "?" + url.Values{"mailbox": {box}}.Encode()
	if len(change) == 0 {
		return c.done(to, &flash{Text: c.T("Nothing has changed.")})
	}
	if err := c.actor.SetMailboxACL(c.ctx(), c.target(), admin.Name{}, box, change); err != nil {
		if !kept(err) {
			return err
		}
		return refuse(c.reason(err))
	}
	return c.done(to, &flash{Text: c.T("The rights are stored."), Command: fmt.Sprintf("SETMAILBOXACL %s MAILBOX %q %s", c.address(), box, dataformat.Compact(change))})
}

// makeLink makes the secret link to a calendar. Its page is the answer itself: nothing keeps the secret for a second one.
func (c *call) makeLink() error {
	box := c.field("mailbox")
	made, err := c.actor.CreateCalendarLink(c.ctx(), c.target(), box)
	if err != nil {
		return err
	}
	s, err := c.sharingOf(box)
	if err != nil {
		return err
	}
	s.Made = made
	return c.drawSharing(http.StatusOK, s)
}

func (c *call) endLink() error {
	box := c.field("mailbox")
	if err := c.actor.DeleteCalendarLink(c.ctx(), c.target(), box); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return c.done(link(c.page.fill(c.params)...)+"?"+url.Values{"mailbox": {box}}.Encode(),
		&flash{Text: c.T("The secret link to %s leads nowhere any more.", box), Command: fmt.Sprintf("DELETECALENDARLINK %s MAILBOX %q", c.address(), box)})
}

// mailboxRow is a line of the list of mailboxes.
type mailboxRow struct {
	Name, Link       string
	Messages, Unseen uint32
	Size             int64
}

type mailboxList struct {
	Rows    []mailboxRow
	Address string
	// ShowAliases says that the actor may see the mailbox aliases, May that they can be changed.
	ShowAliases, May    bool
	Aliases, Was, Error string
}

func (c *call) mailboxesPage() error {
	return c.drawMailboxes(http.StatusOK, &mailboxList{})
}

func (c *call) drawMailboxes(status int, v *mailboxList) error {
	list, err := c.actor.Mailboxes(c.ctx(), c.target(), admin.Name{})
	if err != nil {
		return err
	}
	v.Address, v.May, v.ShowAliases = c.address(), c.may("SETMAILBOXALIASES"), c.may("GETMAILBOXALIASES")
	for i := range list {
		row := mailboxRow{Name: list[i].Name, Messages: list[i].Messages, Unseen: list[i].Unseen, Size: list[i].Size}
		if c.may("GETMAILBOXACL") {
			row.Link = link(append(c.page.fill(c.params), "Sharing")...) + "?" + url.Values{"mailbox": {row.Name}}.Encode()
		}
		v.Rows = append(v.Rows, row)
	}
	if v.ShowAliases && v.Error == "" {
		aliases, err := c.actor.MailboxAliases(c.ctx(), c.target())
		if err != nil {
			return err
		}
		v.Aliases = aliasLines(aliases)
		v.Was = v.Aliases
	}
	return c.show(status, "mailboxes", c.T("Mailboxes"), v)
}

// aliasLines writes mailbox aliases as people do.
func aliasLines(aliases dataformat.Dict) string {
	var b strings.Builder
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		target, _ := dataformat.Text(aliases[alias])
		b.WriteString(alias + " = " + target + "\n")
	}
	return b.String()
}

// setMailboxAliases stores the lines of the form.
func (c *call) setMailboxAliases() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	v := &mailboxList{Aliases: c.field("aliases"), Was: c.field("was")}
	refuse := func(text string) error {
		v.Error = text
		return c.drawMailboxes(http.StatusUnprocessableEntity, v)
	}
	now, err := c.actor.MailboxAliases(c.ctx(), c.target())
	if err != nil {
		return err
	}
	if aliasLines(now) != v.Was {
		return refuse(c.T("somebody else has changed this meanwhile") + ": " + aliasLines(now))
	}
	want := dataformat.Dict{}
	for line := range strings.SplitSeq(v.Aliases, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		alias, target, ok := strings.Cut(line, "=")
		alias, target = strings.TrimSpace(alias), strings.TrimSpace(target)
		switch _, twice := want[alias]; {
		case !ok || alias == "" || target == "":
			return refuse(c.T("%s: a line is a name, an equals sign, and a mailbox of another account", line))
		case twice:
			return refuse(c.T("%s is there twice", alias))
		}
		want[alias] = dataformat.String(target)
	}
	to := c.r.URL.EscapedPath()
	if aliasLines(want) == v.Was {
		return c.done(to, &flash{Text: c.T("Nothing has changed.")})
	}
	if err := c.actor.SetMailboxAliases(c.ctx(), c.target(), want); err != nil {
		if !kept(err) {
			return err
		}
		return refuse(c.reason(err))
	}
	return c.done(to, &flash{Text: c.T("The mailbox aliases are stored."), Command: "SETMAILBOXALIASES " + c.address() + " " + dataformat.Compact(want)})
}

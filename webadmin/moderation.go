package webadmin

import (
	"io"
	"net/http"
	"strings"
	"time"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the pages of what waits for the owner of a mailing list.

type waitingRow struct {
	Token, Author, RealName, Subject, Mode string
	Posting                                bool
	Since                                  time.Time
	Link                                   string
}

type waitingList struct {
	Rows    []waitingRow
	More    bool
	May     bool
	Zone    *time.Location
	Command string
	File    string
}

func (c *call) waitingRow(w *admin.Waiting) waitingRow {
	row := waitingRow{Token: w.Token, Author: w.Author, RealName: w.RealName, Subject: w.Subject, Posting: w.Posting, Since: w.Since, Link: c.listLink("Moderation", w.Token)}
	if !w.Posting {
		row.Mode = c.modeText(w.Mode)
	}
	return row
}

func (c *call) moderationPage() error {
	all, err := c.actor.Waiting(c.ctx(), c.target(), c.prefs.Rows+1)
	if err != nil {
		return err
	}
	v := &waitingList{May: c.may("APPROVEWAITING"), Zone: c.prefs.Zone, Command: "LISTWAITING " + c.address()}
	if v.More = len(all) > c.prefs.Rows; v.More {
		all = all[:c.prefs.Rows]
	}
	for i := range all {
		v.Rows = append(v.Rows, c.waitingRow(&all[i]))
	}
	return c.show(http.StatusOK, "moderation", c.T("Moderation"), v)
}

// maxShown is how much of a posting that waits a page shows.
const maxShown = 64 << 10

type waitingView struct {
	Token, Text string
	Cut         bool
	May         bool
	Back        string
	Command     string
}

func (c *call) waitingPage() error {
	token := c.params["token"]
	r, err := c.actor.OpenWaiting(c.ctx(), c.target(), token)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxShown+1))
	if err != nil {
		return fault.Wrap("webadmin.Waiting", fault.Internal, err)
	}
	v := &waitingView{Token: token, May: c.may("APPROVEWAITING"), Back: c.listLink("Moderation"), Cut: len(b) > maxShown, Command: "APPROVEWAITING " + c.address() + " TOKEN " + token}
	v.Text = strings.ToValidUTF8(strings.ReplaceAll(string(b[:min(len(b), maxShown)]), "\r\n", "\n"), "\ufffd")
	return c.show(http.StatusOK, "waiting", c.T("A posting that waits"), v)
}

func (c *call) approveWaiting() error {
	token := c.field("waits")
	if err := c.actor.Approve(c.ctx(), c.target(), token); err != nil {
		return err
	}
	return c.done(c.listLink("Moderation"), &flash{Text: c.T("Approved."), Command: "APPROVEWAITING " + c.address() + " TOKEN " + token})
}

func (c *call) rejectWaiting() error {
	token, reason := c.field("waits"), strings.TrimSpace(c.field("reason"))
	if err := c.actor.Reject(c.ctx(), c.target(), token, reason); err != nil {
		return err
	}
	command := "REJECTWAITING " + c.address() + " TOKEN " + token
	if reason != "" {
		command += " TEXT " + dataformat.Compact(dataformat.String(reason))
	}
	return c.done(c.listLink("Moderation"), &flash{Text: c.T("Rejected."), Command: command})
}

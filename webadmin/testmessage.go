package webadmin

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// This file has the steps of the first run that prove that mail flows: a test message with its way through the
// server, and what mail programs need.

// testJourney is the way of a test message.
type testJourney struct {
	To, ID  string
	Steps   []testStep
	Waiting bool   // it is not over
	Link    string // to the message in the queue
}

// testStep is one stage of it. State is good, bad, warn, or empty for what is to come.
type testStep struct{ State, Title, Text string }

func (c *call) startMessage() error {
	s := c.start("Start/Message")
	s.Test = &testJourney{To: c.r.URL.Query().Get("to"), ID: c.r.URL.Query().Get("message")}
	if s.Test.ID != "" {
		if err := c.follow(s.Test); err != nil {
			return err
		}
		if s.Test.Waiting {
			// The page is asked for again, but not for ever: what is deferred is tried again in minutes.
			if c.r.URL.Query().Get("again") != "........" {
				c.w.Header().Set("Refresh", "2; url="+testLink(s.Test, c.r.URL.Query().Get("again")+"."))
			}
		}
	}
	return c.show(http.StatusOK, "start-message", c.T("Test message"), s)
}

func testLink(t *testJourney, again string) string {
	return "/Start/Message?" + url.Values{"message": {t.ID}, "to": {t.To}, "again": {again}}.Encode()
}

func (c *call) sendTest() error {
	s := c.start("Start/Message")
	s.Test = &testJourney{To: strings.TrimSpace(c.field("to"))}
	id, err := c.actor.SendTestMessage(c.ctx(), s.Test.To)
	if err != nil {
		if fault.Is(err, fault.Denied) {
			return err
		}
		s.Error = s.Test.To + ": " + c.reason(err)
		return c.show(http.StatusUnprocessableEntity, "start-message", c.T("Test message"), s)
	}
	s.Test.ID = id
	return c.redirect(testLink(s.Test, ""))
}

// follow says how far a message has come: from the queue while it is there, else from the log.
func (c *call) follow(t *testJourney) error {
	t.Steps = append(t.Steps, testStep{"good", c.T("Accepted"), c.T("The server has the message %s and answers for it.", t.ID)})
	d, err := c.actor.QueueMessage(c.ctx(), t.ID)
	switch {
	case fault.Is(err, fault.NoMessage):
		return c.followLog(t)
	case err != nil:
		return err
	}
	t.Link, t.Waiting = link("Monitors", "Queue", t.ID), true
	list, _ := d["recipients"].(dataformat.Array)
	for _, e := range list {
		r, _ := e.(dataformat.Dict)
		if module := r.String("module"); module != "" {
			t.Steps = append(t.Steps, testStep{"good", c.T("In the queue"), module + "(" + r.String("queue") + ") " + r.String("recipient")})
		}
		text := strings.TrimSpace(r.String("result") + " " + r.String("reply"))
		switch {
		case r.String("lastError") != "":
			t.Steps = append(t.Steps, testStep{"warn", c.T("Deferred"), r.String("lastError")})
		case text != "":
			t.Steps = append(t.Steps, testStep{"", r.String("state"), text})
		default:
			t.Steps = append(t.Steps, testStep{"", c.T("Being delivered"), ""})
		}
	}
	return nil
}

// followLog reads what came of a message that has left the queue.
func (c *call) followLog(t *testJourney) error {
	now := time.Now()
	found := false
	for _, day := range []time.Time{now, now.AddDate(0, 0, -1)} {
		p, err := c.actor.ReadLog(c.ctx(), logs.Query{File: day.Format("2006-01-02") + ".log", Level: 5, Tag: "DEQUEUER", Text: "[" + t.ID + "]", After: -1, Limit: 20})
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range p.Records {
			_, text, _ := strings.Cut(r.Text, "["+t.ID+"] ")
			step := testStep{"", c.T("Result"), text}
			switch {
			case strings.Contains(text, "failed"):
				step.State, step.Title = "bad", c.T("Failed")
			case strings.Contains(text, "delivered"), strings.Contains(text, "relayed"):
				step.State, step.Title = "good", c.T("Delivered")
			}
			t.Steps, found = append(t.Steps, step), true
		}
		if found {
			return nil
		}
	}
	t.Steps = append(t.Steps, testStep{"good", c.T("Done"), c.T("The message has left the queue; the log has no record of it.")})
	return nil
}

// mailClient is what one kind of program needs.
type mailClient struct {
	Name, Help string
	Rows       [][2]string
}

func (c *call) startClients() error {
	s := c.start("Start/Clients")
	user := "alice@" + s.Domain
	imap := [2]string{"IMAP", s.Host + ":993, SSL/TLS"}
	smtp := [2]string{"SMTP", s.Host + ":465, SSL/TLS (" + c.T("or") + " 587, STARTTLS)"}
	pop := [2]string{"POP3", s.Host + ":995, SSL/TLS"}
	name := [2]string{c.T("User name"), user}
	s.Clients = []mailClient{
		{"Thunderbird", c.T("New account: name, address and password. It finds the rest once the DNS records are there; else “Configure manually”."), [][2]string{imap, smtp, name}},
		{"Outlook", c.T("Add account, “Let me set up my account manually”, IMAP."), [][2]string{imap, smtp, name}},
		{c.T("iPhone, iPad, Mac"), c.T("Settings, Mail, Accounts, Add Account, Other; the user name is needed for both servers."), [][2]string{imap, smtp, name}},
		{c.T("Android"), c.T("Gmail or another program: Add account, Other, IMAP."), [][2]string{imap, smtp, name}},
		{c.T("Other programs"), c.T("POP3 takes the mail off the server; IMAP leaves it there for all devices."), [][2]string{imap, pop, smtp, name}},
	}
	return c.show(http.StatusOK, "start-clients", c.T("Mail programs"), s)
}

package webadmin

import (
	"net/http"
	"strings"
	"time"

	"gatepost/server/dataformat"
)

// This file has the page of one message of the queue.

func messagePages() []*page {
	return []*page{
		{path: "Monitors/Queue/{message}", call: "QUEUESHOW", get: (*call).messagePage, post: map[string]func(*call) error{
			"hold": (*call).holdMessage, "free": (*call).freeMessage, "reject": (*call).rejectMessage, "reroute": (*call).rerouteMessage}},
	}
}

type messageView struct {
	ID                             string
	OnHold                         bool
	ReturnPath, Source, Account    string
	Submitted                      time.Time
	Size                           int64
	Header                         string
	Recipients                     []recipientRow
	MayHold, MayReject, MayReroute bool
}

type recipientRow struct {
	Address, State, Where, LastError string
	NextTry                          time.Time
	Waits                            bool
}

func (c *call) messagePage() error {
	id := c.params["message"]
	d, err := c.actor.QueueMessage(c.ctx(), id)
	if err != nil {
		return err
	}
	v := &messageView{
		ID: id, OnHold: d.String("onHold") == "YES", ReturnPath: d.String("returnPath"), Source: d.String("source"), Account: d.String("account"), Header: d.String("header"),
		MayHold: c.may("QUEUEHOLD"), MayReject: c.may("REJECTQUEUEMESSAGE"), MayReroute: c.may("QUEUEREROUTE"),
	}
	v.Size, _ = dataformat.Int(d["size"])
	if t, ok := d["submitted"].(dataformat.Time); ok {
		v.Submitted = t.T
	}
	list, _ := d["recipients"].(dataformat.Array)
	for _, e := range list {
		r, _ := e.(dataformat.Dict)
		row := recipientRow{Address: r.String("recipient"), State: r.String("state"), LastError: r.String("lastError"), Waits: r.String("module") != ""}
		if row.Waits {
			row.Where = r.String("module") + " " + r.String("queue")
		}
		if t, ok := r["nextTry"].(dataformat.Time); ok {
			row.NextTry = t.T
		}
		v.Recipients = append(v.Recipients, row)
	}
	return c.show(http.StatusOK, "message", c.T("Message %s", id), v)
}

// this is the selection of the one message.
func (c *call) this() dataformat.Dict {
	return dataformat.Dict{"IDs": dataformat.Array{dataformat.String(c.params["message"])}}
}

func (c *call) holdMessage() error {
	if _, err := c.actor.HoldMessages(c.ctx(), c.this()); err != nil {
		return err
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The message waits until it is released.")})
}

func (c *call) freeMessage() error {
	if _, err := c.actor.ReleaseMessages(c.ctx(), c.this()); err != nil {
		return err
	}
	return c.done("/Monitors/Queue?by=message", &flash{Text: c.T("The message is tried now.")})
}

func (c *call) rejectMessage() error {
	id, text := c.params["message"], strings.TrimSpace(c.field("text"))
	if err := c.actor.RejectMessage(c.ctx(), id, text, c.r.PostForm.Has("report")); err != nil {
		return err
	}
	return c.done("/Monitors/Queue?by=message", &flash{Text: c.T("The message %s is rejected.", id), Command: "REJECTQUEUEMESSAGE " + id})
}

func (c *call) rerouteMessage() error {
	id, from, to := c.params["message"], c.field("from"), strings.TrimSpace(c.field("to"))
	again, err := c.actor.RerouteMessage(c.ctx(), id, from, to)
	if err != nil {
		return err
	}
	return c.done("/Monitors/Queue?by=message", &flash{Text: c.T("Sent on to %s as message %s.", to, again)})
}

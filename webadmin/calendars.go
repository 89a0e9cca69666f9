package webadmin

import (
	"cmp"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/accounts/groupware/interchange"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calendars, task lists and address books of an account: how many items they have, import and export.

const calendarsPath = accountPath + "/Calendars"

// kindNames are the kinds in words of people.
var kindNames = map[string]string{"calendar": "Calendar", "tasks": "Task list", "contacts": "Address book"}

type collectionRow struct {
	Name, Kind, Link string
	Main             bool
	Items            int
}

type calendarList struct {
	Rows    []collectionRow
	May     bool
	Targets []choice
	Replace bool
	Error   string
	// Report says that the rest is about an import, Tried that it has changed nothing.
	Report, Tried bool
	Counts        []string
	Failed        []importFailure
	More          int
	Address       string
}

// Bad is how many were not taken.
func (l *calendarList) Bad() int { return len(l.Failed) + l.More }

func (c *call) calendarsPage() error {
	return c.drawCalendars(http.StatusOK, &calendarList{}, "")
}

func (c *call) drawCalendars(status int, v *calendarList, target string) error {
	all, err := c.actor.Collections(c.ctx(), c.target(), dataformat.Dict{})
	if err != nil {
		return err
	}
	v.Address, v.May = c.address(), c.may("IMPORTITEMS")
	v.Targets = []choice{{"", c.T("the main ones of the account, by what the file has"), target == ""}}
	export := c.page.fill(c.params)
	export = append(export[:len(export):len(export)], "Export")
	for _, one := range all {
		row := collectionRow{Name: one.Name, Kind: c.T(kindNames[one.Kind]), Main: one.Main, Items: one.Items}
		if c.may("READITEMS") {
			row.Link = link(export...) + "?" + url.Values{"kind": {one.Kind}, "mailbox": {one.Name}}.Encode()
		}
		v.Rows = append(v.Rows, row)
		key := one.Kind + " " + one.Name
		v.Targets = append(v.Targets, choice{key, row.Kind + ": " + one.Name, target == key})
	}
	return c.show(status, "calendars", c.T("Calendars and contacts"), v)
}

// maxFailed bounds the objects that a report names.
const maxFailed = 200

// batchItems and batchBytes bound what one call of package admin imports.
const (
	batchItems = 200
	batchBytes = 1 << 20
)

// importItems imports a file, or says what an import would do. What is not understood does not keep the others out.
func (c *call) importItems() error {
	v := &calendarList{Replace: c.r.PostForm.Has("replace"), Tried: c.field("do") == "try"}
	target := c.field("target")
	refuse := func(text string) error {
		v.Error = text
		return c.drawCalendars(http.StatusUnprocessableEntity, v, target)
	}
	text, err := c.fileOr(c.field("text"))
	if err != nil {
		return err
	}
	if strings.TrimSpace(text) == "" {
		return refuse(c.T("The file is empty."))
	}
	file, err := interchange.Open(strings.NewReader(text), int64(len(text)))
	if err != nil {
		return fault.Wrap("webadmin.Calendars", fault.Internal, err)
	}
	w := &itemImport{call: c, view: v, file: file, counts: map[string]int{}}
	w.kind, w.mailbox, _ = strings.Cut(target, " ")
	if err := w.run(); err != nil {
		if !kept(err) && !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NoMailbox) {
			return err
		}
		v.Error = c.reason(err)
	}
	v.Report = true
	for _, one := range []struct{ word, text string }{{"imported", "imported: %d"}, {"replaced", "replaced: %d"}, {"unchanged", "unchanged: %d"}, {"kept", "kept as they were: %d"}} {
		if n := w.counts[one.word]; n > 0 {
			v.Counts = append(v.Counts, c.T(one.text, n))
		}
	}
	slices.SortStableFunc(v.Failed, func(a, b importFailure) int { return cmp.Compare(a.Line, b.Line) })
	status := http.StatusOK
	if v.Error != "" {
		status = http.StatusUnprocessableEntity
	}
	return c.drawCalendars(status, v, target)
}

// itemImport is an import under way.
type itemImport struct {
	call          *call
	view          *calendarList
	file          *interchange.File
	kind, mailbox string // of the form; empty for the main ones
	counts        map[string]int
}

// pendingItem is an object of a batch.
type pendingItem struct {
	object *interchange.Object
	text   *interchange.Text
}

func (w *itemImport) failed(line int, what, reason string) {
	if len(w.view.Failed) == maxFailed {
		w.view.More++
		return
	}
	w.view.Failed = append(w.view.Failed, importFailure{line, what, reason})
}

func (w *itemImport) run() error {
	for _, p := range w.file.Problems {
		w.failed(p.Line, "", p.Reason)
	}
	batches := map[string][]pendingItem{}
	size := 0
	flush := func() error {
		for _, kind := range []string{"calendar", "tasks", "contacts"} {
			if err := w.store(kind, batches[kind]); err != nil {
				return err
			}
		}
		clear(batches)
		size = 0
		return nil
	}
	for n := range w.file.Objects {
		o := &w.file.Objects[n]
		kind := "calendar"
		switch o.Component {
		case "VCARD":
			kind = "contacts"
		case "VTODO":
			kind = "tasks"
		}
		if w.kind != "" && (kind == "contacts") != (w.kind == "contacts") {
			w.failed(o.Line, o.Component, w.call.T("it does not belong into %s", w.mailbox))
			continue
		}
		text, err := w.file.Text(o)
		var syntax *contentline.SyntaxError
		if errors.As(err, &syntax) {
			w.failed(syntax.Line, o.Component, syntax.Reason)
			continue
		}
		if err != nil {
			return fault.Wrap("webadmin.Calendars", fault.Internal, err)
		}
		if len(batches[kind]) == batchItems || size > 0 && size+len(text.Bytes) > batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		size += len(text.Bytes)
		batches[kind] = append(batches[kind], pendingItem{o, text})
	}
	return flush()
}

// store imports a batch.
func (w *itemImport) store(kind string, batch []pendingItem) error {
	if len(batch) == 0 {
		return nil
	}
	c := w.call
	if err := c.ctx().Err(); err != nil {
		return fault.Wrap("webadmin.Calendars", fault.Canceled, err)
	}
	yes := map[bool]dataformat.Value{true: dataformat.String("YES"), false: dataformat.String("NO")}
	request := (&collectionQuery{kind, w.mailbox}).request()
	request["replace"], request["dryrun"] = yes[w.view.Replace], yes[w.view.Tried]
	texts := make(dataformat.Array, len(batch))
	for i := range batch {
		texts[i] = dataformat.Data(batch[i].text.Bytes)
	}
	request["texts"] = texts
	list, err := c.actor.ImportItems(c.ctx(), c.target(), request)
	if err != nil {
		return err
	}
	for i, one := range list {
		d, _ := one.(dataformat.Dict)
		outcome := d.String("Outcome")
		if outcome != "refused" {
			w.counts[outcome]++
			continue
		}
		line := batch[i].object.Line
		if n, ok := dataformat.Int(d["Line"]); ok && n > 0 {
			line = cmp.Or(batch[i].text.Line(int(n)), line)
		}
		w.failed(line, batch[i].object.Component, d.String("Reason"))
	}
	return nil
}

// exportItems sends all items of a collection as one file.
func (c *call) exportItems() error {
	q := collectionQuery{c.r.URL.Query().Get("kind"), c.r.URL.Query().Get("mailbox")}
	names, err := c.actor.Items(c.ctx(), c.target(), q.request())
	if err != nil {
		return err
	}
	h := c.w.Header()
	kind, suffix := "text/calendar; charset=utf-8", ".ics"
	if q.kind == "contacts" {
		kind, suffix = "text/vcard; charset=utf-8", ".vcf"
	}
	out := interchange.NewWriter(c.w, q.mailbox)
	for begun := false; len(names) > 0; {
		request := q.request()
		some := dataformat.Array{}
		for _, name := range names[:min(len(names), batchItems)] {
			some = append(some, dataformat.String(name))
		}
		request["names"] = some
		texts, err := c.actor.ReadItems(c.ctx(), c.target(), request)
		switch {
		case err != nil && !begun:
			return err
		case err != nil || len(texts) == 0:
			panic(http.ErrAbortHandler) // the browser must not take what it has for all of it
		}
		if !begun {
			begun = true
			c.startFile(kind, q.mailbox+suffix)
		}
		for _, text := range texts {
			if len(text) == 0 { // removed meanwhile
				continue
			}
			if err := out.Add(text); err != nil {
				return fault.Wrap("webadmin.Calendars", fault.Canceled, err)
			}
		}
		names = names[len(texts):]
	}
	if h.Get("Content-Disposition") == "" {
		c.startFile(kind, q.mailbox+suffix)
	}
	if q.kind == "contacts" {
		return nil // a file without a card is empty, and has no end
	}
	return fault.Wrap("webadmin.Calendars", fault.Canceled, out.Close())
}

// startFile says that what follows is a file to be stored.
func (c *call) startFile(kind, name string) {
	h := c.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", cmp.Or(mime.FormatMediaType("attachment", map[string]string{"filename": strings.ReplaceAll(name, "/", "-")}), "attachment"))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
}

// collectionQuery names a collection.
type collectionQuery struct{ kind, mailbox string }

func (q *collectionQuery) request() dataformat.Dict {
	return dataformat.Dict{"kind": dataformat.String(q.kind), "mailbox": dataformat.String(q.mailbox)}
}

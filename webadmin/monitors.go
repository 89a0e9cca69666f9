package webadmin

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/logs"
)

// This file has the realm Monitors: the queue, the log, and what administrators have changed.

func monitorPages() []*page {
	return []*page{
		{path: "Monitors/Queue", title: "Queue", call: "QUEUELIST", menu: true, get: (*call).queuePage,
			post: map[string]func(*call) error{"release": (*call).releaseQueue, "kick": (*call).kickQueues}},
		{path: "Monitors/Logs", title: "Logs", call: "LISTLOGS", menu: true, get: (*call).logsPage},
		{path: "Monitors/Logs/{file}", call: "READLOG", get: (*call).logPage},
		{path: "Monitors/Changes", title: "Changes", call: "READCHANGES", menu: true, get: (*call).changesPage},
	}
}

// queueRow is a recipient that waits, queueGroup all that wait for one destination.
type queueRow struct {
	ID                    int64
	Age                   string
	Size                  int64
	ReturnPath, Recipient string
	Module, Queue         string
	NextTry               time.Time
	LastError             string
	seconds               int64
}

type queueGroup struct {
	Module, Queue string
	Messages      int
	Size          int64
	Oldest        string
	NextTry       time.Time
	LastError     string
	seconds       int64
}

type queueView struct {
	Rows       []queueRow
	Groups     []queueGroup
	Total      int
	Found      int
	Filter     string
	By         string
	Kinds      []choice
	MayRelease bool
	Next       int // the place of the page that follows, or 0
	From       int
	Link       string
	Zone       *time.Location
	Self       string
	Token      string
}

func (c *call) queuePage() error {
	list, err := c.actor.QueueList(c.ctx(), nil)
	if err != nil {
		return err
	}
	query := c.r.URL.Query()
	v := &queueView{Filter: strings.TrimSpace(query.Get("filter")), By: query.Get("by"), MayRelease: c.may("RELEASESMTPQUEUE"), Zone: c.prefs.Zone, Total: len(list), Link: "/Monitors/Queue",
		Self: c.r.URL.EscapedPath(), Token: c.session.token}
	v.Kinds = []choice{{"", c.T("by destination"), v.By == ""}, {"message", c.T("by message"), v.By == "message"}}
	var rows []queueRow
	filter := strings.ToLower(v.Filter)
	for _, e := range list {
		row, ok := c.queueRow(e)
		if !ok || filter != "" && !row.has(filter) {
			continue
		}
		rows = append(rows, row)
	}
	v.Found = len(rows)
	if v.By == "message" {
		v.From, _ = strconv.Atoi(query.Get("from"))
		v.From = max(0, min(v.From, len(rows)))
		rows = rows[v.From:]
		if len(rows) > c.prefs.Rows {
			rows = rows[:c.prefs.Rows]
			v.Next = v.From + c.prefs.Rows
		}
		v.Rows = rows
	} else {
		v.Groups = c.groups(rows)
	}
	return c.show(http.StatusOK, "queue", c.T("Queue"), v)
}

func (c *call) queueRow(e dataformat.Value) (queueRow, bool) {
	d, ok := e.(dataformat.Dict)
	number := func(key string) int64 { n, _ := dataformat.Int(d[key]); return n }
	row := queueRow{
		ID: number("id"), Size: number("size"), ReturnPath: d.String("returnPath"), Recipient: d.String("recipient"),
		Module: d.String("module"), Queue: d.String("queue"), LastError: d.String("lastError"), seconds: number("age"),
	}
	row.Age = ageText(row.seconds)
	if t, ok := d["nextTry"].(dataformat.Time); ok {
		row.NextTry = t.T
	}
	return row, ok
}

func (r queueRow) has(filter string) bool {
	return slices.ContainsFunc([]string{strconv.FormatInt(r.ID, 10), r.ReturnPath, r.Recipient, r.Queue, r.LastError}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), filter)
	})
}

// groups joins what waits for one destination, the one that waits for longest first.
func (c *call) groups(rows []queueRow) []queueGroup {
	index := map[[2]string]int{}
	var out []queueGroup
	for _, r := range rows {
		k := [2]string{r.Module, r.Queue}
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k] = i
			out = append(out, queueGroup{Module: r.Module, Queue: r.Queue})
		}
		g := &out[i]
		g.Messages++
		g.Size += r.Size
		g.seconds = max(g.seconds, r.seconds)
		if g.LastError == "" {
			g.LastError = r.LastError
		}
		if g.NextTry.IsZero() || !r.NextTry.IsZero() && r.NextTry.Before(g.NextTry) {
			g.NextTry = r.NextTry
		}
	}
	for i := range out {
		out[i].Oldest = ageText(out[i].seconds)
	}
	slices.SortStableFunc(out, func(a, b queueGroup) int { return cmp.Compare(b.seconds, a.seconds) })
	return out[:min(len(out), maxRows)]
}

// ageText is a length of time with its two largest units.
func ageText(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case d < time.Minute:
		return strconv.FormatInt(seconds, 10) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 24*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h " + strconv.Itoa(int(d.Minutes())%60) + "m"
	}
	return strconv.Itoa(int(d.Hours())/24) + "d " + strconv.Itoa(int(d.Hours())%24) + "h"
}

func (c *call) releaseQueue() error {
	queue := c.field("queue")
	if err := c.actor.ReleaseQueue(c.ctx(), queue); err != nil {
		return err
	}
	return c.done("/Monitors/Queue", &flash{Text: c.T("The queue %s tries now.", queue), Command: "RELEASESMTPQUEUE " + queue})
}

func (c *call) kickQueues() error {
	if err := c.actor.KickQueues(c.ctx()); err != nil {
		return err
	}
	return c.done("/Monitors/Queue", &flash{Text: c.T("All queues try now."), Command: "GATEPOST QUEUE KICK"})
}

type logFiles struct {
	Rows []logs.FileInfo
	Zone *time.Location
}

func (c *call) logsPage() error {
	list, err := c.actor.LogFiles(c.ctx())
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "logs", c.T("Logs"), &logFiles{list, c.prefs.Zone})
}

// logView is a log file with its filters.
type logView struct {
	File                    string
	Current                 bool
	Levels                  []choice
	Tag, Text, Since, Until string
	Regexp                  bool
	Rows                    []logRow
	Cut                     bool
	Next                    int64
	Source                  string // the address of what follows
	Error                   string
	Limit                   int
	Today                   string
}

type logRow struct {
	Time, Level, Tag, Session string
	Class                     string
	Pieces                    []piece
	Link                      string // to the records of the session
}

// piece is a part of a record's text; Queue is the queue ID that it names.
type piece struct{ Text, Queue string }

var levelNames = []string{"Crashes", "Failures", "Major & Failures", "Problems", "Low-Level", "All Info"}

func (c *call) logPage() error {
	query := c.r.URL.Query()
	file := c.params["file"]
	v := &logView{File: file, Tag: query.Get("tag"), Text: query.Get("text"), Since: query.Get("since"), Until: query.Get("until"), Regexp: query.Has("regexp")}
	v.Limit = 500
	if n, err := strconv.Atoi(query.Get("limit")); err == nil && n >= 10 && n <= 5000 {
		v.Limit = n
	}
	level := 5
	if n, err := strconv.Atoi(query.Get("level")); err == nil && n >= 0 && n <= 5 {
		level = n
	}
	for n, name := range levelNames {
		v.Levels = append(v.Levels, choice{strconv.Itoa(n), strconv.Itoa(n) + " " + c.T(name), n == level})
	}
	q := logs.Query{File: file, Level: level, Tag: v.Tag, Text: v.Text, Regexp: v.Regexp, Since: v.Since, Until: v.Until, After: -1, Limit: v.Limit}
	if from, err := strconv.ParseInt(query.Get("from"), 10, 64); err == nil && from >= 0 {
		q.After = from
	}
	p, err := c.actor.ReadLog(c.ctx(), q)
	if err != nil {
		if q.After < 0 && kept(err) && v.Regexp {
			v.Error = c.reason(err)
			p, err = &logs.Page{}, nil
		} else {
			return err
		}
	}
	for _, r := range p.Records {
		v.Rows = append(v.Rows, logRowOf(file, r))
	}
	v.Cut, v.Next = p.Cut, p.Next
	if q.After >= 0 { // what has come since
		c.w.Header().Set("X-Next", strconv.FormatInt(p.Next, 10))
		return c.fragment("log", "rows", v)
	}
	follow := c.r.URL.Query()
	follow.Del("from")
	v.Source = c.r.URL.EscapedPath() + "?" + follow.Encode()
	if list, err := c.actor.LogFiles(c.ctx()); err == nil {
		v.Current = slices.ContainsFunc(list, func(f logs.FileInfo) bool { return f.Current && f.Name == file })
	}
	return c.show(http.StatusOK, "log", file, v)
}

func logRowOf(file string, r logs.Record) logRow {
	row := logRow{Time: r.Time, Level: strconv.Itoa(r.Level), Tag: r.Tag, Session: r.Session(), Class: "l" + strconv.Itoa(r.Level)}
	row.Link = link("Monitors", "Logs", file) + "?tag=" + url.QueryEscape(row.Session)
	row.Tag = strings.TrimPrefix(r.Tag, row.Session)
	text := r.Text
	// A queue ID stands first, in brackets.
	if id, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && strings.HasPrefix(text, "[") {
		if _, err := strconv.ParseUint(id, 10, 64); err == nil {
			row.Pieces = append(row.Pieces, piece{"[" + id + "]", link("Monitors", "Logs", file) + "?text=" + url.QueryEscape("["+id+"]")})
			text = rest
		}
	}
	row.Pieces = append(row.Pieces, piece{Text: text})
	return row
}

// changeRow is a change that an administrator has made.
type changeRow struct{ Time, Call, Target, By, From, Old, New string }

type changesView struct {
	Rows   []changeRow
	Files  []choice
	Filter string
	Cut    bool
}

func (c *call) changesPage() error {
	list, err := c.actor.LogFiles(c.ctx())
	if err != nil {
		return err
	}
	query := c.r.URL.Query()
	v := &changesView{Filter: strings.TrimSpace(query.Get("filter"))}
	file := query.Get("file")
	for i, f := range list {
		if file == "" && i == 0 {
			file = f.Name
		}
		v.Files = append(v.Files, choice{f.Name, strings.TrimSuffix(f.Name, ".log"), f.Name == file})
	}
	if file == "" {
		return c.show(http.StatusOK, "changes", c.T("Changes"), v)
	}
	p, err := c.actor.ReadChanges(c.ctx(), logs.Query{File: file, Level: 5, Text: v.Filter, After: -1, Limit: 500})
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(p.Records) {
		values := r.Values()
		verb, _, _ := strings.Cut(r.Text, " ")
		_, from, _ := strings.Cut(r.Tag, "(")
		row := changeRow{Time: r.Time, Call: verb, Target: values["target"], By: values["by"], From: strings.Trim(from, "()[]"), Old: values["old"], New: values["new"]}
		if row.By == "" {
			row.By = c.T("owner of the base directory")
		}
		v.Rows = append(v.Rows, row)
	}
	v.Cut = p.Cut
	return c.show(http.StatusOK, "changes", c.T("Changes"), v)
}

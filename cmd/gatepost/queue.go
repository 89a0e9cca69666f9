package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"gatepost/server/dataformat"
)

type queueCommand struct {
	List    queueListCommand    `cmd:"" aliases:"search" help:"List waiting recipients, or those that are selected."`
	Show    queueShowCommand    `cmd:"" help:"Show a message: its recipients, and what the last attempts came to."`
	Hold    queueHoldCommand    `cmd:"" help:"Have messages wait until they are released."`
	Release queueReleaseCommand `cmd:"" help:"End the hold of messages, and try them now."`
	Reject  queueRejectCommand  `cmd:"" help:"End messages: who still waits does not get them."`
	Reroute queueRerouteCommand `cmd:"" help:"Send a message to another address in the place of a recipient."`
	Kick    queueKickCommand    `cmd:"" help:"Try a logical queue now, or all to other servers."`
	Export  queueExportCommand  `cmd:"" help:"Write a message to standard output or to a file (.eml)."`
}

// queueSelection selects messages.
type queueSelection struct {
	Sender    string `help:"Return-path; * stands for any text, <> is the null one." placeholder:"ADDRESS"`
	Account   string `help:"Authenticated sender." placeholder:"ADDRESS"`
	Recipient string `help:"Recipient that waits." placeholder:"ADDRESS"`
	Domain    string `help:"Domain of the recipient." placeholder:"NAME"`
	Queue     string `help:"Logical queue: a host, or an account with its domain." placeholder:"NAME"`
	Older     string `help:"Older than an age such as 30m, 2h, 1d." placeholder:"AGE"`
	Younger   string `help:"Younger than an age." placeholder:"AGE"`
	Larger    string `help:"Larger than a size such as 100K." placeholder:"SIZE"`
	Smaller   string `help:"Smaller than a size." placeholder:"SIZE"`
	OnHold    bool   `help:"On hold."`
	Error     string `help:"With this text in the last error." placeholder:"TEXT"`
}

// dict is the selection as the server takes it.
func (q *queueSelection) dict(ids []string) dataformat.Dict {
	d := dataformat.Dict{}
	for key, text := range map[string]string{"Sender": q.Sender, "Account": q.Account, "Recipient": q.Recipient, "Domain": q.Domain, "Queue": q.Queue,
		"OlderThan": q.Older, "YoungerThan": q.Younger, "Larger": q.Larger, "Smaller": q.Smaller, "Error": q.Error} {
		if text != "" {
			d[key] = dataformat.String(text)
		}
	}
	if q.OnHold {
		d["OnHold"] = dataformat.String("YES")
	}
	if len(ids) > 0 {
		list := make(dataformat.Array, len(ids))
		for i, id := range ids {
			list[i] = dataformat.String(id)
		}
		d["IDs"] = list
	}
	return d
}

type queueListCommand struct {
	queueSelection
	JSON bool `name:"json" help:"Print JSON."`
}

func (l *queueListCommand) Run(c *commands) error {
	v, err := ask(c, "GATEPOST QUEUE LIST "+dataformat.Compact(l.dict(nil)))
	if err != nil {
		return err
	}
	rows, ok := v.(dataformat.Array)
	if !ok {
		return errors.New("the answer of the server has no list")
	}
	if l.JSON {
		return printJSON(rows)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ID\tAGE\tSIZE\tRETURN-PATH\tRECIPIENT\tQUEUE\tNEXT TRY\tLAST ERROR")
	for _, r := range rows {
		d, _ := r.(dataformat.Dict)
		fmt.Fprintf(out, "%d\t%s\t%d\t<%s>\t<%s>\t%s(%s)\t%s\t%s\n", number(d, "id"), age(d),
			number(d, "size"), d.String("returnPath"), d.String("recipient"), d.String("module"), d.String("queue"), nextTry(d), d.String("lastError"))
	}
	return out.Flush()
}

func number(d dataformat.Dict, key string) int64 {
	n, _ := dataformat.Int(d[key])
	return n
}

func age(d dataformat.Dict) time.Duration { return time.Duration(number(d, "age")) * time.Second }

// nextTry says when a recipient is tried.
func nextTry(d dataformat.Dict) string {
	switch t, ok := d["nextTry"].(dataformat.Time); {
	case d.String("onHold") == "YES":
		return "on hold"
	case d.String("active") == "YES":
		return "under way"
	case ok:
		return t.T.Local().Format(time.DateTime)
	}
	return "now"
}

type queueShowCommand struct {
	ID     string `arg:"" help:"Number of the message."`
	Header bool   `help:"Also print the header of the message."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

func (s *queueShowCommand) Run(c *commands) error {
	v, err := ask(c, "GATEPOST QUEUE SHOW "+dataformat.Quote(s.ID))
	if err != nil {
		return err
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("the answer of the server has no message")
	}
	if s.JSON {
		return printJSON(d)
	}
	submitted, _ := d["submitted"].(dataformat.Time)
	fmt.Printf("message      %d, %d bytes\nsubmitted    %s, %s ago, by %s\n", number(d, "id"), number(d, "size"),
		submitted.T.Local().Format(time.DateTime), age(d), d.String("source"))
	if account := d.String("account"); account != "" {
		fmt.Println("account     ", account)
	}
	if id := d.String("envelopeID"); id != "" {
		fmt.Println("envelope ID ", id)
	}
	fmt.Printf("return-path  <%s>\n", d.String("returnPath"))
	if d.String("onHold") == "YES" {
		fmt.Println("on hold      until 'gatepost queue release'")
	}
	recipients, _ := d["recipients"].(dataformat.Array)
	for _, r := range recipients {
		rcpt, _ := r.(dataformat.Dict)
		showRecipient(rcpt, d.String("onHold") == "YES")
	}
	if s.Header {
		fmt.Printf("\n%s", d.String("header"))
	}
	return nil
}

func showRecipient(r dataformat.Dict, onHold bool) {
	fmt.Printf("\nrecipient    <%s> %s\n", r.String("recipient"), r.String("state"))
	if text := r.String("original"); text != "" {
		fmt.Println("  original  ", text)
	}
	if module := r.String("module"); module != "" {
		fmt.Printf("  queue      %s(%s)\n", module, r.String("queue"))
		if !onHold {
			fmt.Println("  next try  ", nextTry(r))
		}
		for _, key := range []string{"waitsFor", "lastError"} {
			if text := r.String(key); text != "" {
				fmt.Printf("  %-10s %s\n", map[string]string{"waitsFor": "waits", "lastError": "error"}[key], text)
			}
		}
	}
	if n := number(r, "warned"); n > 0 {
		fmt.Printf("  warned     the sender was told of the delay %d times\n", n)
	}
	showAttempt(r, "tried", " by "+r.String("triedBy"))
	earlier, _ := r["earlier"].(dataformat.Array)
	for _, e := range earlier {
		d, _ := e.(dataformat.Dict)
		showAttempt(d, "before", "")
	}
}

// showAttempt prints what came of one attempt.
func showAttempt(r dataformat.Dict, word, by string) {
	tried, ok := r["triedAt"].(dataformat.Time)
	if !ok {
		return
	}
	fmt.Printf("  %-10s %s%s: %s %s\n", word, tried.T.Local().Format(time.DateTime), by, r.String("status"), r.String("result"))
	if host := r.String("remote"); host != "" {
		fmt.Println("  host      ", host)
	}
	for line := range strings.SplitSeq(r.String("reply"), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Println("  reply     ", line)
		}
	}
}

// queueChange is what the commands have in common that change messages.
type queueChange struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Numbers of messages."`
	queueSelection
	All    bool `help:"All messages."`
	DryRun bool `help:"Only count the messages."`
}

// run gives a command about the selected messages, and prints how many there were.
func (q *queueChange) run(c *commands, word, text, done string) error {
	d := q.dict(q.IDs)
	switch {
	case len(d) == 0 && !q.All:
		return wrongUse("say which messages: by their numbers, by a selection, or --all")
	case len(d) == 0:
		d["All"] = dataformat.String("YES")
	}
	if q.DryRun {
		d["DryRun"], done = dataformat.String("YES"), "would be "+done
	}
	v, err := ask(c, strings.TrimSpace("GATEPOST QUEUE "+word+" "+dataformat.Compact(d)+" "+text))
	if err != nil {
		return err
	}
	n, _ := dataformat.Text(v)
	fmt.Println(n, "messages", done)
	return nil
}

type queueHoldCommand struct{ queueChange }

func (h *queueHoldCommand) Run(c *commands) error { return h.run(c, "HOLD", "", "on hold") }

type queueReleaseCommand struct{ queueChange }

func (r *queueReleaseCommand) Run(c *commands) error { return r.run(c, "RELEASE", "", "released") }

type queueRejectCommand struct {
	queueChange
	Report   string `help:"Text for the report to the sender." placeholder:"TEXT"`
	NoReport bool   `help:"The sender gets no report."`
}

func (r *queueRejectCommand) Run(c *commands) error {
	text := ""
	switch {
	case r.NoReport && r.Report != "":
		return wrongUse("--report and --no-report exclude each other")
	case r.NoReport:
		text = "NONDN"
	case r.Report != "":
		text = dataformat.Quote(r.Report)
	}
	return r.run(c, "REJECT", text, "rejected")
}

type queueRerouteCommand struct {
	ID   string `arg:"" help:"Number of the message."`
	From string `arg:"" help:"Recipient that waits."`
	To   string `arg:"" help:"Address that gets the message."`
}

func (r *queueRerouteCommand) Run(c *commands) error {
	v, err := ask(c, "GATEPOST QUEUE REROUTE "+dataformat.Quote(r.ID)+" "+dataformat.Quote(r.From)+" "+dataformat.Quote(r.To))
	if err != nil {
		return err
	}
	id, _ := dataformat.Text(v)
	fmt.Printf("message %s goes to <%s>\n", id, r.To)
	return nil
}

type queueKickCommand struct {
	Queue string `arg:"" optional:"" help:"Logical queue: a host, or an account with its domain."`
}

func (k *queueKickCommand) Run(c *commands) error {
	command := "GATEPOST QUEUE KICK"
	if k.Queue != "" {
		command += " " + dataformat.Quote(k.Queue)
	}
	return order(c, command)
}

type queueExportCommand struct {
	ID   string `arg:"" help:"Number of the message."`
	File string `arg:"" optional:"" help:"File to write; it must not exist."`
}

func (e *queueExportCommand) Run(c *commands) (err error) {
	v, err := ask(c, "GATEPOST QUEUE FILE "+dataformat.Quote(e.ID))
	if err != nil {
		return err
	}
	d, _ := v.(dataformat.Dict)
	f, err := os.Open(d.String("File"))
	if err != nil {
		return err
	}
	defer f.Close()
	out := os.Stdout
	if e.File != "" {
		if out, err = os.OpenFile(e.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	_, err = io.Copy(out, io.NewSectionReader(f, number(d, "Offset"), number(d, "Size")))
	return err
}

// printJSON prints data as JSON. Times are in RFC 3339, numbers are numbers.
func printJSON(v dataformat.Value) error {
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(plain(v))
}

func plain(v dataformat.Value) any {
	switch v := v.(type) {
	case dataformat.Dict:
		out := make(map[string]any, len(v))
		for key, e := range v {
			out[key] = plain(e)
		}
		return out
	case dataformat.Array:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case dataformat.Number:
		return int64(v)
	case dataformat.Time:
		return v.T.Format(time.RFC3339)
	}
	text, _ := dataformat.Text(v)
	return text
}

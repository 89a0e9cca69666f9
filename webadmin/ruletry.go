package webadmin

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file tries rules on a message: nothing of what they would do is done.

// maxTried is how much of a message is tried. The rules see its size; of its body they only look for a calendar part.
const maxTried = 2 << 20

// tryForm is the page.
type tryForm struct {
	Base, Level                string
	Target                     string
	TargetFixed                bool
	Source                     string // text, mailbox or queue
	MayStored                  bool
	Owner, Mailbox, UID, Queue string
	Text, From, To, As         string
	Error                      string
	Verdict                    *verdict
}

// verdict is what the rules would do.
type verdict struct {
	Rules    []triedRule
	Notes    []string
	Problems []string
	Changes  []string
	Result   string
	Good     bool // the message is delivered
}

type triedRule struct {
	Name, Link string
	Priority   int
	Level      string
	Matched    bool
	Conditions []rules.ConditionTrace
	Actions    []string
}

func (c *call) tryDraft() *tryForm {
	s := c.ruleSet()
	f := &tryForm{Base: s.base, Level: s.level.String(), Source: "text", Mailbox: "INBOX", MayStored: c.may("QUEUEEXPORT")}
	if s.level == rules.Account {
		f.Target, f.TargetFixed = s.of, true
		if f.MayStored {
			f.Source = "mailbox"
		}
	}
	return f
}

func (c *call) tryPage() error {
	f := c.tryDraft()
	if id := c.r.URL.Query().Get("queue"); id != "" {
		f.Source, f.Queue = "queue", id
	}
	return c.show(http.StatusOK, "ruletry", c.T("Try Rules"), f)
}

// tryRules shows what the rules would do.
func (c *call) tryRules() error {
	f := c.tryDraft()
	for name, to := range map[string]*string{"source": &f.Source, "owner": &f.Owner, "mailbox": &f.Mailbox, "uid": &f.UID, "queue": &f.Queue,
		"text": &f.Text, "from": &f.From, "to": &f.To, "as": &f.As} {
		*to = strings.TrimSpace(c.field(name))
	}
	if !f.TargetFixed {
		f.Target = strings.TrimSpace(c.field("target"))
	}
	request, err := c.trial(f)
	if err == nil {
		var v *rules.Verdict
		if v, err = c.actor.TryRules(c.ctx(), request); err == nil {
			f.Verdict = c.verdict(v)
			return c.show(http.StatusOK, "ruletry", c.T("Try Rules"), f)
		}
	}
	if !kept(err) && !fault.Is(err, fault.NoMessage) && !fault.Is(err, fault.NoMailbox) {
		return err
	}
	f.Error = c.reason(err)
	return c.show(http.StatusUnprocessableEntity, "ruletry", c.T("Try Rules"), f)
}

// trial is the request of the form.
func (c *call) trial(f *tryForm) (dataformat.Dict, error) {
	d := dataformat.Dict{"level": dataformat.String(f.Level)}
	target := f.Target
	if target != "" && !strings.Contains(target, "@") && c.params["domain"] != "" {
		target += "@" + c.params["domain"]
	}
	given := map[string]string{"target": target, "from": f.From, "as": f.As}
	switch f.Source {
	case "queue":
		if f.Queue == "" {
			return nil, fault.New("webadmin.Try", fault.Invalid, c.T("The number of a message is expected."))
		}
		given["queue"] = f.Queue
	case "mailbox":
		given["owner"], given["mailbox"], given["uid"] = f.Owner, f.Mailbox, f.UID
	default:
		text, size, err := c.message(f)
		if err != nil {
			return nil, err
		}
		given["message"], d["size"] = text, dataformat.Number(size)
	}
	for key, v := range given {
		if v != "" {
			d[key] = dataformat.String(v)
		}
	}
	list := dataformat.Array{}
	for _, a := range strings.FieldsFunc(f.To, func(r rune) bool { return strings.ContainsRune(",; \n\t", r) }) {
		list = append(list, dataformat.String(a))
	}
	if len(list) > 0 {
		d["to"] = list
	}
	return d, nil
}

// message is the file or the text of the form, with CRLF line ends, and how long all of it is.
func (c *call) message(f *tryForm) (string, int64, error) {
	text := []byte(f.Text)
	if c.r.MultipartForm != nil {
		if file, _, err := c.r.FormFile("file"); err == nil {
			defer file.Close()
			b, err := io.ReadAll(file) // the form has a limit
			if err != nil {
				return "", 0, fault.Wrap("webadmin.Try", fault.Invalid, err)
			}
			if len(b) > 0 {
				text = b
			}
		}
	}
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if len(text) == 0 {
		return "", 0, fault.New("webadmin.Try", fault.Invalid, c.T("A message is expected: a file, or its text."))
	}
	return string(text[:min(len(text), maxTried)]), int64(len(text)), nil
}

func (c *call) verdict(v *rules.Verdict) *verdict {
	s := c.ruleSet()
	out := &verdict{Notes: v.Notes, Problems: v.Problems, Changes: v.Changes, Result: c.T(v.Result)}
	out.Good = !strings.HasPrefix(v.Result, "discarded") && !strings.HasPrefix(v.Result, "refused")
	for i := range v.Trace.Rules {
		t := &v.Trace.Rules[i]
		one := triedRule{Name: t.Rule.Name, Priority: t.Rule.Priority, Level: t.Rule.Level.String(), Matched: t.Matched, Conditions: t.Conditions}
		if t.Rule.Level == s.level {
			one.Link = ruleLink(s.base, t.Rule.Name)
		}
		for _, a := range t.Actions {
			one.Actions = append(one.Actions, rules.Describe(a))
		}
		out.Rules = append(out.Rules, one)
	}
	return out
}

package rules

import (
	"bytes"
	"errors"
	"mime/quotedprintable"
	"slices"
	"strings"

	"gatepost/router/address"
)

// reply is Reply with, Reply to All with and React with: a new message from a text with macros.
type reply struct {
	kind   Kind
	fields []templateField // of the text itself
	body   template
}

type templateField struct {
	name  string
	value template
}

func newReply(kind Kind) func(string, Level) (action, error) {
	return func(param string, _ Level) (action, error) {
		a := &reply{kind: kind}
		body := a.cutFields(cutCharset(param))
		a.body = newTemplate(body)
		if kind == KindReact && !slices.ContainsFunc(a.fields, templateField.destination) {
			return nil, errors.New("it has no To: its text begins with a + and header fields")
		}
		return a, nil
	}
}

// charsets are the beginnings of the names of charsets: a text may also begin with another word in
// brackets.
var charsets = [...]string{"utf-", "us-ascii", "iso-", "windows-", "koi8-", "gb", "big5", "shift_jis", "euc-"}

// cutCharset takes the charset from the beginning of a text. What is sent is UTF-8 whatever it
// says.
func cutCharset(text string) string {
	name, rest, ok := strings.Cut(text, "]")
	name, bracket := strings.CutPrefix(name, "[")
	if !ok || !bracket || strings.ContainsAny(name, " \t\r\n") {
		return text
	}
	name = strings.ToLower(name)
	for _, prefix := range charsets {
		if strings.HasPrefix(name, prefix) {
			return rest
		}
	}
	return text
}

// cutFields takes the header fields from a text that begins with a +, and returns the rest. A text
// whose first line is no field is one that happens to begin with a +.
func (a *reply) cutFields(text string) string {
	rest, ok := strings.CutPrefix(text, "+")
	if !ok {
		return text
	}
	for first := true; rest != ""; first = false {
		line, after, _ := strings.Cut(rest, "\n")
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			return after
		}
		if n := len(a.fields); !first && (line[0] == ' ' || line[0] == '\t') {
			f := &a.fields[n-1]
			f.value = append(f.value, newTemplate(" "+strings.TrimLeft(line, " \t"))...)
		} else if f, ok := parseField(line); ok {
			a.fields = append(a.fields, templateField{f.Name, newTemplate(f.Value)})
		} else if first {
			return text
		} else {
			return rest
		}
		rest = after
	}
	return ""
}

// destination reports whether the field names recipients.
func (f templateField) destination() bool {
	return strings.EqualFold(f.name, "To") || strings.EqualFold(f.name, "Cc") || strings.EqualFold(f.name, "Bcc")
}

// ofSubmission reports whether a field is one that the submission writes, whatever a text has.
func ofSubmission(name string) bool {
	switch strings.ToLower(name) {
	case "date", "message-id", "received", "return-path", "delivered-to":
		return true
	}
	return false
}

// maxReplies is how many people a Reply to All reaches. A message to more is one that somebody sent
// to many, and they do not want to read that somebody is on vacation.
const maxReplies = 50

func (a *reply) do(r *Run) Action {
	if why := a.refused(r); why != "" {
		return Skipped{a.kind, why}
	}
	d := draft{run: r}
	for _, f := range a.fields {
		if !ofSubmission(f.name) {
			d.set(f.name, oneLine(f.value.expand(r, nil)))
		}
	}
	if why := a.address(r, &d); why != "" {
		return Skipped{a.kind, why}
	}
	a.complete(r, &d)
	return Submit{kind: a.kind, Recipients: d.recipients, Message: d.message(a.body.expand(r, nil))}
}

// refused says why nothing is sent.
func (a *reply) refused(r *Run) string {
	if why := r.ownMessage(); why != "" {
		return why
	}
	if a.kind == KindReact {
		if r.madeBy("Reply", "React") {
			return "the message was made by a rule"
		}
		return ""
	}
	if why := r.noReply(); why != "" {
		return why
	}
	if r.rule.Name == VacationName && r.in.Recipient != nil {
		return r.notToMe()
	}
	return ""
}

// address finds out who gets the message: those that the text names; for a reply, else the first
// Reply-To address, else From. The null return-path of what is sent makes sure that it is not
// answered.
func (a *reply) address(r *Run, d *draft) string {
	if a.kind != KindReact && !d.has("To") {
		m, ok := r.first(replyTo)
		if !ok {
			m, ok = r.first(from)
		}
		if !ok {
			return "the message names nobody to reply to"
		}
		if local, _, _ := strings.Cut(m.Address, "@"); machine(local) {
			return "the reply would go to a program"
		}
		d.setMailboxes("To", []Mailbox{m})
		if a.kind == KindReplyAll {
			var others []Mailbox
			for _, c := range r.toOrCc() {
				if !strings.EqualFold(c.value.shown, m.Address) {
					others = append(others, Mailbox{Address: c.value.shown})
				}
			}
			if len(others) > maxReplies {
				return "the message has too many recipients for a reply to all"
			}
			d.setMailboxes("Cc", others)
		}
	}
	for _, name := range []string{"To", "Cc", "Bcc"} {
		d.collect(name)
	}
	switch {
	case len(d.recipients) == 0:
		return "there is nobody to send it to"
	case len(d.recipients) > MaxAddresses:
		return "there are too many to send it to"
	}
	return ""
}

// complete adds the fields that a reply has, where the text does not have them.
func (a *reply) complete(r *Run, d *draft) {
	if !d.has("From") {
		d.set("From", r.ownerMailbox())
	} else if list := r.message.Addresses([]byte(d.get("From"))); len(list) != 1 || !r.mine(list[0].Address) {
		d.set("Sender", "<"+r.written(r.in.Owner)+">") // RFC 5322 section 3.6.2
	}
	if a.kind != KindReact {
		has, _ := r.subject()
		subject := has.shown
		if !d.has("Subject") {
			if len(subject) < 3 || !strings.EqualFold(subject[:3], "re:") {
				subject = "Re: " + subject
			}
			d.set("Subject", oneLine(subject))
		}
		if id := r.macro('I'); id != "" {
			if !d.has("In-Reply-To") {
				d.set("In-Reply-To", id)
			}
			if !d.has("References") {
				d.set("References", strings.TrimSpace(r.lastReferences()+" "+id))
			}
		}
	}
	submitted, made := "auto-replied", "Reply" // RFC 3834 section 5
	if a.kind == KindReact {
		submitted, made = "auto-generated", "React"
	}
	d.set("Auto-Submitted", submitted)
	d.set(autogenerated, made)
}

// maxReferences bounds what a reply repeats of the References field.
const maxReferences = 2000

// lastReferences is the References field of the message, or its last part when it is long.
func (r *Run) lastReferences() string {
	s := strings.Join(strings.Fields(r.raw("References")), " ")
	if len(s) <= maxReferences {
		return s
	}
	_, s, _ = strings.Cut(s[len(s)-maxReferences:], " ")
	return s
}

// draft is a message that is being made.
type draft struct {
	run        *Run
	fields     []Field
	recipients []address.Address
}

func (d *draft) find(name string) int {
	return slices.IndexFunc(d.fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
}

func (d *draft) has(name string) bool { return d.find(name) >= 0 }

func (d *draft) get(name string) string {
	if i := d.find(name); i >= 0 {
		return d.fields[i].Value
	}
	return ""
}

func (d *draft) set(name, value string) {
	value = strings.TrimSpace(value)
	if i := d.find(name); i >= 0 {
		d.fields[i].Value = value
	} else {
		d.fields = append(d.fields, Field{name, value})
	}
}

func (d *draft) setMailboxes(name string, list []Mailbox) {
	var texts []string
	for _, m := range list {
		if a, err := address.Parse(m.Address); err == nil && !d.run.owns(a) {
			text := "<" + a.String() + ">"
			if m.Name != "" {
				text = phrase(oneLine(m.Name)) + " " + text
			}
			texts = append(texts, text)
		}
	}
	if texts != nil {
		d.set(name, strings.Join(texts, ", "))
	}
}

// collect takes the recipients from a field. An address of the account itself gets nothing; Bcc is
// not sent.
func (d *draft) collect(name string) {
	i := d.find(name)
	if i < 0 {
		return
	}
	for _, m := range d.run.message.Addresses([]byte(d.fields[i].Value)) {
		a, err := address.Parse(m.Address)
		if a = d.run.qualified(a); err == nil && !d.run.owns(a) && !slices.Contains(d.recipients, a) {
			d.recipients = append(d.recipients, a)
		}
	}
	if name == "Bcc" {
		d.fields = slices.Delete(d.fields, i, i+1)
	}
}

// message is the text of the message: 7-bit, whatever the body is.
func (d *draft) message(body string) []byte {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	body = strings.ReplaceAll(strings.ToValidUTF8(body, "\ufffd"), "\r", "\n")
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	body = strings.ReplaceAll(body, "\n", "\r\n")
	if !d.has("MIME-Version") {
		d.set("MIME-Version", "1.0")
	}
	encode := false
	if !d.has("Content-Transfer-Encoding") {
		encode = !isASCII(body) || longLines(body)
		if encode {
			d.set("Content-Transfer-Encoding", "quoted-printable")
		}
	}
	if !d.has("Content-Type") {
		d.set("Content-Type", "text/plain; charset=utf-8")
	}
	out := append(AppendFields(nil, d.fields), "\r\n"...)
	if !encode {
		return append(out, body...)
	}
	b := bytes.NewBuffer(out)
	w := quotedprintable.NewWriter(b)
	_, _ = w.Write([]byte(body)) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// longLines reports whether a text has lines that are too long (RFC 5322 section 2.1.1).
func longLines(s string) bool {
	for line := range strings.SplitSeq(s, "\r\n") {
		if len(line) > 998 {
			return true
		}
	}
	return false
}

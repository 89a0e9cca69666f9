package lists

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/message"
	"gatepost/accounts/subscribers"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// command is a request by mail.
type command uint8

const (
	cmdNone command = iota
	cmdSubscribe
	cmdLeave
	cmdMode
	cmdConfirm
	cmdReject
	cmdHelp
)

// asked is what a message asks for.
type asked struct {
	cmd   command
	mode  subscribers.Mode
	token string
}

// serviceCommand is what a service address stands for. The words are those of accounts.ListServices.
func serviceCommand(word, token string, subject string) asked {
	switch word {
	case "on", "subscribe":
		return asked{cmd: cmdSubscribe}
	case "off", "unsubscribe":
		return asked{cmd: cmdLeave, token: token}
	case "feed", "digest", "index", "null":
		mode, _ := subscribers.ParseMode(word)
		return asked{cmd: cmdMode, mode: mode}
	case "confirm":
		a := asked{cmd: cmdConfirm, token: token}
		if token == "" {
			a.token = tokenIn(subject)
		}
		// The mark may have lost its case on the way.
		if len(a.token) > len(rejectMark) && strings.EqualFold(a.token[:len(rejectMark)], rejectMark) {
			a.cmd, a.token = cmdReject, a.token[len(rejectMark):]
		}
		return a
	case "request":
		return subjectCommand(subject)
	}
	return asked{}
}

// subjectCommand is what a subject asks for, where it is one word, or "confirm TOKEN".
func subjectCommand(subject string) asked {
	words := strings.Fields(strings.ToLower(subject))
	if len(words) == 2 && words[0] == "confirm" {
		return serviceCommand("confirm", words[1], "")
	}
	if len(words) != 1 {
		return asked{}
	}
	switch words[0] {
	case "help", "info":
		return asked{cmd: cmdHelp}
	case "subscribe", "on", "unsubscribe", "off", "feed", "digest", "index", "null":
		return serviceCommand(words[0], "", "")
	}
	return asked{}
}

// tokenIn finds the token in the subject of a reply, which ends in "(TOKEN)". rand.Text has 26 letters and digits.
func tokenIn(subject string) string {
	for _, word := range strings.FieldsFunc(subject, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') }) {
		if len(word) == 26 {
			return word
		}
	}
	return ""
}

// serve carries out what a message to a service address wants. A nil status says that the recipient has one.
func (t *Transport) serve(ctx context.Context, it *queue.Item, l *accounts.MailingList, word, token string, rcpt int) (*envelope.Status, error) {
	if word == "report" {
		return t.report(ctx, it, l, token, rcpt)
	}
	h, err := readHeader(it)
	if err != nil {
		return nil, err
	}
	subject := ""
	if values := h.values("subject"); len(values) > 0 {
		subject = message.DecodeHeader(values[0])
	}
	a := serviceCommand(word, token, subject)
	if a.cmd == cmdNone {
		return nil, t.toOwner(ctx, it, l, h, word, rcpt)
	}
	// A link of a subscriber's own ends the subscription whatever program follows it.
	if a.cmd == cmdLeave && a.token != "" {
		outcome, err := t.manager.SetMode(ctx, l, a.token, subscribers.None)
		return t.answer(ctx, it, l, rcpt, outcome, err)
	}
	// Programs do not subscribe, confirm or approve: an automatic reply must not answer a question.
	if it.Envelope.ReturnPath.IsNull() || h.automatic() != "" {
		st := envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "an automatic message; the list does nothing"}
		return &st, nil
	}
	from, name := authorOf(it, h)
	r := Request{Address: from, RealName: name, Mode: a.mode, Proven: from != "" && strings.EqualFold(it.Envelope.Source.Account, from)}
	var outcome Outcome
	switch a.cmd {
	case cmdSubscribe, cmdMode:
		outcome, err = t.manager.Subscribe(ctx, l, r)
	case cmdLeave:
		outcome, err = t.manager.Unsubscribe(ctx, l, r)
	case cmdConfirm:
		outcome, err = t.manager.Confirm(ctx, l, a.token)
	case cmdReject:
		reason := ""
		if low := strings.ToLower(strings.TrimSpace(subject)); !strings.Contains(low, strings.ToLower(a.token)) {
			_, reason = cutReply(oneLine(subject))
		}
		err = t.manager.Reject(ctx, l, a.token, reason)
	case cmdHelp:
		err = t.manager.help(ctx, l, from)
	}
	return t.answer(ctx, it, l, rcpt, outcome, err)
}

// answer stores a request with the owner, if the list keeps such requests, and makes its status. A refusal is reported to the
// sender in the way of all mail, so that nobody else can be made to get the report.
func (t *Transport) answer(ctx context.Context, it *queue.Item, l *accounts.MailingList, rcpt int, o Outcome, failure error) (*envelope.Status, error) {
	if failure != nil && (fault.KindOf(failure).Temporary() || ctx.Err() != nil) {
		return nil, failure
	}
	st := envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "the request is " + o.String()}
	if o == Asked || o == Waits {
		st.Text = "the request " + o.String()
	}
	if failure != nil {
		st = t.statusOf(ctx, it, l.Address().String(), failure)
	}
	keep := l.Settings().SaveRequests
	if keep == "all" || keep == "accepted" && failure == nil || keep == "rejected" && failure != nil {
		return nil, t.keep(ctx, it, l, boxRequests, rcpt, st)
	}
	return &st, nil
}

// keep stores a message in a mailbox of the owner below the archive, with the result of the recipient: once, whatever crashes.
func (t *Transport) keep(ctx context.Context, it *queue.Item, l *accounts.MailingList, box string, rcpt int, st envelope.Status) error {
	to, err := t.manager.storedIn(ctx, l, box)
	if err != nil {
		return err
	}
	return t.copyTo(ctx, it, l, &envelope.Envelope{
		Source: envelope.Source{Tag: tagList, Domain: l.Domain, Trusted: true}, ReturnPath: it.Envelope.ReturnPath, ReturnPathLocal: it.Envelope.ReturnPathLocal,
		Body: it.Envelope.Body, SMTPUTF8: it.Envelope.SMTPUTF8, Recipients: []envelope.Recipient{to},
	}, nil, rcpt, st)
}

// toOwner sends a message on to the owner.
func (t *Transport) toOwner(ctx context.Context, it *queue.Item, l *accounts.MailingList, h *header, word string, rcpt int) error {
	self := l.Service(word).String()
	if h.has("delivered-to", self) {
		return fault.New("lists.Owner", fault.Loop, "mail loop: the message was sent to the owner of the list before")
	}
	from := it.Envelope
	env := &envelope.Envelope{
		Source: from.Source, ReturnPath: from.ReturnPath, ReturnPathLocal: from.ReturnPathLocal, Body: from.Body, SMTPUTF8: from.SMTPUTF8,
		ID: from.ID, Return: from.Return,
		Recipients: []envelope.Recipient{{Address: t.manager.owner(l), Notify: from.Recipients[rcpt].Notify, Original: from.Recipients[rcpt].Original}},
	}
	env.Source.Tag, env.Source.Domain = tagGroup, l.Domain
	st := envelope.Status{Action: envelope.ActionExpanded, Code: envelope.Code{2, 0, 0}, Text: "sent to the owner of the list", Passed: true}
	return t.copyTo(ctx, it, l, env, []byte("Delivered-To: "+self+"\r\n"), rcpt, st)
}

// copyTo sends a message on behind trace fields.
func (t *Transport) copyTo(ctx context.Context, it *queue.Item, l *accounts.MailingList, env *envelope.Envelope, trace []byte, rcpt int, st envelope.Status) error {
	sub, err := it.SendOn(ctx, env)
	if err != nil {
		return err
	}
	defer sub.Abort()
	sub.Unattended()
	var b bytes.Buffer
	b.Write(trace)
	b.WriteString("Received: by " + l.Domain + " (Gatepost) for the mailing list\r\n  id " + sub.ID().String() + "; " + time.Now().Format(time.RFC1123Z) + "\r\n")
	if _, err := sub.Write(b.Bytes()); err != nil {
		return err
	}
	f, err := os.Open(it.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(sub, io.NewSectionReader(f, it.Offset, it.Size)); err != nil {
		return err
	}
	return it.Pass(ctx, sub, []int{rcpt}, st)
}

package lists

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"os"
	"slices"
	"time"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// tagGroup marks messages that groups send.
const tagGroup = "GROUP"

// Groups are the groups of the server.
type Groups interface {
	// Get returns a group. Errors: NoDomain, NotFound, and temporary ones.
	Get(ctx context.Context, domain, name string) (*accounts.Group, error)
}

// Router routes members.
type Router interface {
	Route(ctx context.Context, op names.Operation, a address.Address) (router.Route, error)
}

// Transport delivers for the LIST module. It is asked once: queue.Item.Pass keeps what it does.
type Transport struct {
	groups   Groups
	manager  *Manager // nil: there are no mailing lists
	router   Router
	settings *settings.Live[Settings]
	log      *slog.Logger
}

// New returns the transport of the LIST module. Without a manager there are groups only.
func New(groups Groups, m *Manager, r Router, cfg *settings.Live[Settings], log *slog.Logger) *Transport {
	return &Transport{groups: groups, manager: m, router: r, settings: cfg, log: logs.Component(log, "LIST")}
}

// Deliver sends the messages of a batch to the members of their groups.
func (t *Transport) Deliver(ctx context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		// An alias may have led here too: each group has the message once.
		var done []string
		for i := range it.Recipients {
			r := &it.Routes[i]
			name := r.Name + "@" + r.Domain
			if slices.Contains(done, name) {
				continue
			}
			if ctx.Err() != nil {
				return
			}
			done = append(done, name)
			var rcpts []int
			for j, other := range it.Recipients {
				if it.Routes[j].Name == r.Name && it.Routes[j].Domain == r.Domain {
					rcpts = append(rcpts, other)
				}
			}
			t.distribute(ctx, it, r.Domain, r.Name, rcpts)
		}
	}
}

func failed(code envelope.Code, text string) envelope.Status {
	return envelope.Status{Action: envelope.ActionFailed, Code: code, Text: text}
}

var alreadySent = envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "the group has the message already"}

// distribute sends a message to the members of a group or to the subscribers of a list, for recipients that lead to it.
func (t *Transport) distribute(ctx context.Context, it *queue.Item, domain, name string, rcpts []int) {
	st, err := t.send(ctx, it, domain, name, rcpts)
	if t.manager != nil && fault.Is(err, fault.NotFound) {
		var l *accounts.MailingList
		if l, err = t.manager.o.Store.Lists().Get(ctx, domain, name); err == nil {
			st, err = t.deliverToList(ctx, it, l, rcpts)
		}
	}
	if ctx.Err() != nil && (err != nil || st == nil) {
		return
	}
	if err != nil {
		s := t.statusOf(ctx, it, name+"@"+domain, err)
		st = &s
	}
	if st != nil {
		it.ReportAll(rcpts, *st)
	}
}

// statusOf is the status for an error: a refusal, or a delay.
func (t *Transport) statusOf(ctx context.Context, it *queue.Item, to string, err error) envelope.Status {
	switch kind := fault.KindOf(err); {
	case kind == fault.NotFound, kind == fault.NoDomain:
		return failed(envelope.Code{5, 1, 1}, cmp.Or(fault.Text(err), "unknown user account"))
	case kind == fault.Loop:
		return failed(envelope.Code{5, 4, 6}, fault.Text(err))
	case kind == fault.TooLarge:
		return failed(envelope.Code{5, 2, 3}, fault.Text(err))
	case !kind.Temporary():
		return failed(envelope.Code{5, 7, 1}, fault.Text(err))
	}
	t.log.LogAttrs(ctx, logs.LevelFailure, "a message was not sent to a group or a list", slog.Uint64(logs.AttrQueueID, uint64(it.ID)),
		slog.String("group", to), slog.Any(logs.AttrError, err))
	return envelope.Status{Code: envelope.Code{4, 3, 0}, Text: fault.Text(err)}
}

// send sends the copy. The status is that of all recipients that have none yet; nil means that all have one.
func (t *Transport) send(ctx context.Context, it *queue.Item, domain, name string, rcpts []int) (*envelope.Status, error) {
	g, err := t.groups.Get(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	set := g.Settings()
	if set.EmailDisabled {
		return nil, fault.New("lists.Send", fault.Rejected, "the group takes no mail")
	}
	h, err := readHeader(it)
	if err != nil {
		return nil, err
	}
	switch {
	case h.has("delivered-to", g.Address().String()) && it.Envelope.Source.Tag == tagGroup:
		return &alreadySent, nil
	case h.has("delivered-to", g.Address().String()):
		return nil, fault.New("lists.Send", fault.Loop, "mail loop: the message was sent to the group before")
	case bool(set.RejectAutomatic) && (it.Envelope.ReturnPath.IsNull() || h.automatic() != ""):
		return nil, fault.New("lists.Send", fault.Rejected, "the group takes no automatic messages")
	case len(set.Members) == 0:
		st := failed(envelope.Code{5, 2, 4}, "the group has no members")
		return &st, nil
	}
	to, err := t.members(ctx, g, h)
	if err != nil {
		return nil, err
	}
	st := envelope.Status{Action: envelope.ActionExpanded, Code: envelope.Code{2, 0, 0}, Text: "sent to the members of the group", Passed: true}
	if set.FinalDelivery {
		st.Action, st.Text, st.Passed = envelope.ActionDelivered, "Delivered to the group", false
	}
	if len(to) == 0 { // the author is the only member
		st.Passed = false
		return &st, nil
	}
	return t.pass(ctx, it, g, h, to, rcpts, st)
}

// pass writes the copy and hands it to the queue.
func (t *Transport) pass(ctx context.Context, it *queue.Item, g *accounts.Group, h *header, to []address.Address, rcpts []int, st envelope.Status) (*envelope.Status, error) {
	sub, err := it.SendOn(ctx, copyEnvelope(it, g, to, rcpts))
	if err != nil {
		return nil, err
	}
	defer sub.Abort()
	sub.Unattended() // members that lead nowhere are reported
	if err := writeCopy(sub, it, g, h); err != nil {
		return nil, err
	}
	if err := it.Pass(ctx, sub, rcpts, st); err != nil {
		return nil, err
	}
	t.log.LogAttrs(ctx, logs.LevelMajor, "sent to a group", slog.Uint64(logs.AttrQueueID, uint64(it.ID)),
		slog.String("group", g.Address().String()), slog.Int("members", len(to)), slog.Uint64("copy", uint64(sub.ID())))
	return nil, nil
}

// copyEnvelope is the envelope of the copy. The source stays that of the message, and with it who may
// be reported to and who may write to all@.
func copyEnvelope(it *queue.Item, g *accounts.Group, to []address.Address, rcpts []int) *envelope.Envelope {
	from := it.Envelope
	env := &envelope.Envelope{
		Source: from.Source, ReturnPath: from.ReturnPath, ReturnPathLocal: from.ReturnPathLocal,
		Body: from.Body, SMTPUTF8: from.SMTPUTF8 || g.Address().NeedsUTF8(), Bulk: from.Bulk,
		Recipients: make([]envelope.Recipient, len(to)),
	}
	env.Source.Tag, env.Source.Domain = tagGroup, g.Domain
	var rcpt envelope.Recipient
	if !bool(g.Settings().FinalDelivery) {
		env.ID, env.Return = from.ID, from.Return
		for _, r := range rcpts {
			rcpt.Notify |= from.Recipients[r].Notify
		}
		// RFC 3461 section 5.2.7.3: the sender knows the address that he wrote to.
		first := &from.Recipients[rcpts[0]]
		if rcpt.Original = first.Original; rcpt.Original == "" && !first.Address.NeedsUTF8() {
			rcpt.Original = "rfc822;" + first.Address.Written(first.Local)
		}
	}
	for i, a := range to {
		rcpt.Address = a
		env.Recipients[i] = rcpt
		env.SMTPUTF8 = env.SMTPUTF8 || a.NeedsUTF8()
	}
	return env
}

// writeCopy writes the trace fields and the message, with another Reply-To if the group has it so.
func writeCopy(w queueWriter, it *queue.Item, g *accounts.Group, h *header) error {
	trace := fmt.Sprintf("Delivered-To: %s\r\nReceived: by %s (Gatepost) for the group\r\n  id %d; %s\r\n",
		g.Address(), g.Domain, w.ID(), time.Now().Format(time.RFC1123Z))
	if _, err := io.WriteString(w, trace); err != nil {
		return err
	}
	replace := bool(g.Settings().SetReplyTo)
	for i := range h.fields {
		if f := &h.fields[i]; !replace || f.name != "reply-to" {
			if _, err := w.Write(f.text); err != nil {
				return err
			}
		}
	}
	if replace {
		if _, err := io.WriteString(w, replyTo(g)); err != nil {
			return err
		}
	}
	f, err := os.Open(it.File)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, io.NewSectionReader(f, it.Offset+h.size, it.Size-h.size))
	return err
}

// queueWriter is a queue.Submission.
type queueWriter interface {
	io.Writer
	ID() envelope.QueueID
}

// maxName is how long a name may be in Reply-To.
const maxName = 200

// replyTo is the Reply-To field of a group.
func replyTo(g *accounts.Group) string {
	name := g.Settings().RealName
	if name == "" || len(name) > maxName {
		return "Reply-To: <" + g.Address().String() + ">\r\n"
	}
	if quoted, ok := quotePhrase(name); ok {
		name = quoted
	} else {
		name = mime.BEncoding.Encode("utf-8", name)
	}
	return "Reply-To: " + name + "\r\n <" + g.Address().String() + ">\r\n"
}

// quotePhrase returns a name as a quoted string, if it has only ASCII and no control characters.
func quotePhrase(name string) (string, bool) {
	out := make([]byte, 0, len(name)+2)
	out = append(out, '"')
	for i := range len(name) {
		c := name[i]
		if c < ' ' || c > '~' {
			return "", false
		}
		if c == '"' || c == '\\' {
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	return string(append(out, '"')), true
}

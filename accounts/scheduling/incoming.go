package scheduling

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gatepost/accounts/delivery"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// incoming is a message that LOCAL delivers to an account.
type incoming struct {
	s      *Service
	m      *delivery.Message
	from   sender
	object *object
	method string
	wish   delivery.Schedule
	own    func(string) bool
	now    time.Time
}

// refused is why a message changes nothing: it stays a message.
type refused string

func (r refused) Error() string { return string(r) }

// Concerns reports whether a message may have an iTIP text.
func (s *Service) Concerns(sum *message.Summary) bool {
	return s.On() && (calendarPart(sum.Root) != nil || tnefPart(sum.Root) != nil)
}

// tnefPart finds the first winmail.dat.
func tnefPart(p *message.Part) *message.Part {
	if p == nil || p.Type == "application" && (p.Subtype == "ms-tnef" || p.Subtype == "vnd.ms-tnef") {
		return p
	}
	for _, child := range p.Children {
		if found := tnefPart(child); found != nil {
			return found
		}
	}
	return nil
}

// calendarPart finds the first text/calendar part.
func calendarPart(p *message.Part) *message.Part {
	if p == nil {
		return nil
	}
	if p.Type == "text" && p.Subtype == "calendar" {
		return p
	}
	for _, child := range p.Children {
		if found := calendarPart(child); found != nil {
			return found
		}
	}
	return nil
}

// Process takes over what a message says, and returns what LOCAL is to do with it besides. It may be called again for the same message. An
// error puts the delivery off.
func (s *Service) Process(ctx context.Context, m *delivery.Message, wish delivery.Schedule) (actions []delivery.Action, taken bool, err error) {
	if !m.Account.Enabled("WebCAL") {
		return nil, false, nil
	}
	in := &incoming{s: s, m: m, wish: wish, own: s.owns(ctx, m.Account), now: time.Now()}
	actions, err = in.process(ctx)
	if err == nil && in.object != nil && !in.from.quiet {
		var stored delivery.Action
		if stored, err = in.inbox(ctx); stored != nil {
			actions = append([]delivery.Action{stored}, actions...)
		}
	}
	if in.from.quiet && (err == nil || !passes(err)) {
		actions = append(actions, delivery.Discard{})
	}
	attrs := []slog.Attr{slog.Uint64(logs.AttrQueueID, uint64(m.ID)), slog.String(logs.AttrAccount, m.Account.Address()), slog.String("method", in.method),
		slog.String("sender", in.from.address), slog.Bool("proved", in.from.proved)}
	if in.object != nil {
		attrs = append(attrs, slog.String("uid", in.object.uid()))
	}
	var no refused
	switch {
	case errors.As(err, &no):
		s.counts.Refused.Inc()
		s.log.LogAttrs(ctx, logs.LevelMajor, "not taken over: "+string(no), attrs...)
		return actions, false, nil
	case err != nil && passes(err):
		return nil, false, err
	case err != nil:
		s.log.LogAttrs(ctx, logs.LevelProblem, "not taken over", append(attrs, slog.Any(logs.AttrError, err))...)
		return actions, false, nil
	case in.object == nil:
		return actions, false, nil
	}
	s.counts.Taken.Inc()
	s.log.LogAttrs(ctx, logs.LevelMajor, "taken over", attrs...)
	if strings.EqualFold(m.Account.Preference("KeepInvitations"), "NO") {
		actions = append(actions, delivery.Discard{})
	}
	return actions, true, nil
}

// maxInbox bounds the messages of the scheduling inbox: the oldest ones go. Many clients never look there.
const maxInbox = 100

// inbox makes the action that puts the message into the scheduling inbox. Nothing is, if the account is full or uses the mailbox otherwise.
func (in *incoming) inbox(ctx context.Context) (delivery.Action, error) {
	c, err := in.s.Groupware.Inbox(ctx, in.m.Account)
	if err == nil {
		var list []mailbox.Item
		if list, err = c.Items(ctx); err == nil && len(list) >= maxInbox {
			slices.SortFunc(list, func(a, b mailbox.Item) int { return a.Modified.Compare(b.Modified) })
			for i := range list[:len(list)-maxInbox+1] {
				if err := c.DeleteItem(ctx, list[i].Name, nil); err != nil && !fault.Is(err, fault.NoMessage) {
					return nil, err
				}
			}
		}
	}
	switch {
	case err == nil:
		return delivery.Store{Mailbox: groupware.InboxName}, nil
	case passes(err):
		return nil, err
	}
	return nil, nil
}

// passes reports whether a failure will pass, so that the message is put off.
func passes(err error) bool {
	var no refused
	if _, violates := groupware.IsViolation(err); violates || errors.As(err, &no) {
		return false
	}
	switch fault.KindOf(err) {
	case fault.NotFound, fault.NoMailbox, fault.Invalid, fault.OverQuota, fault.TooMany, fault.Denied, fault.Unsupported, fault.TooLarge, fault.Exists:
		return false
	}
	return true
}

func (in *incoming) process(ctx context.Context) (actions []delivery.Action, err error) {
	if in.from, err = in.s.senderOf(ctx, in.m); err != nil {
		return nil, err
	}
	text, method, err := in.text()
	if err != nil || text == nil {
		return nil, err
	}
	o, err := parseObject(text)
	if err != nil {
		return nil, refused(fault.Explain(err))
	}
	in.method = strings.ToUpper(strings.TrimSpace(o.root.value("METHOD")))
	switch {
	case in.method == "" && method == "", in.method == "PUBLISH":
		return nil, nil // a file, no message
	case method != "" && method != in.method:
		return nil, refused("the METHOD of the calendar is not that of the part")
	case !scheduled(o.kind()):
		return nil, nil
	case o.uid() == "":
		return nil, refused("there is no UID")
	}
	if err := o.bounded(); err != nil {
		return nil, refused(fault.Explain(err))
	}
	in.object = o
	if err := in.valid(); err != nil {
		return nil, err
	}
	take := map[string]func(context.Context) ([]delivery.Action, error){
		"REQUEST": in.request, "REPLY": in.reply, "CANCEL": in.cancel, "REFRESH": in.refresh, "ADD": in.addition,
	}[in.method]
	if take == nil {
		in.object = nil
		return nil, nil // COUNTER and DECLINECOUNTER are for people
	}
	for range maxTries {
		if actions, err = take(ctx); !errors.Is(err, errRaced) {
			return actions, err
		}
	}
	return nil, err
}

// valid looks whether the object, without its METHOD, is one that a calendar can have.
func (in *incoming) valid() error {
	o := in.object
	uid := o.uid()
	for _, n := range o.parts {
		if n.text("UID") != uid || n.name != o.kind() {
			return refused("the components are not about one event")
		}
	}
	return nil
}

// text returns the calendar in UTF-8, and the method that the header of its part names; nil if there is none after all.
func (in *incoming) text() ([]byte, string, error) {
	p := calendarPart(in.m.Summary.Root)
	if p == nil {
		return in.tnef(tnefPart(in.m.Summary.Root))
	}
	if p.Body.Size() > 2*maxCalendar {
		return nil, "", refused("the calendar is too large")
	}
	f, err := in.m.Open()
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	r := message.Decode(io.NewSectionReader(f, p.Body.Start, p.Body.Size()), p.Encoding)
	text, err := io.ReadAll(io.LimitReader(message.ToUTF8(r, p.Param("charset")), maxCalendar+1))
	if err != nil {
		return nil, "", err
	}
	if len(text) > maxCalendar {
		return nil, "", refused("the calendar is too large")
	}
	return text, strings.ToUpper(strings.TrimSpace(p.Param("method"))), nil
}

// maxTNEF is how much of a winmail.dat is read: attachments stand behind the properties.
const maxTNEF = 1 << 20

// tnef returns the calendar that a winmail.dat comes to.
func (in *incoming) tnef(p *message.Part) ([]byte, string, error) {
	f, err := in.m.Open()
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(message.Decode(io.NewSectionReader(f, p.Body.Start, p.Body.Size()), p.Encoding), maxTNEF))
	if err != nil {
		return nil, "", err
	}
	sent := in.m.Envelope.Submitted // the same each time that the message is looked at
	text := calendarOfTNEF(data, in.from.address, strings.ToLower(in.m.Account.Address()), sent)
	if text == nil {
		in.s.log.LogAttrs(context.Background(), logs.LevelLowLevel, "a winmail.dat is not taken over: it holds no single event", slog.Uint64(logs.AttrQueueID, uint64(in.m.ID)),
			slog.String(logs.AttrAccount, in.m.Account.Address()))
	}
	return text, "", nil
}

// load returns the object of the account with the UID of the message, nil for none.
func (in *incoming) load(ctx context.Context) (*stored, *object, error) {
	found, err := in.s.find(ctx, in.m.Account, in.object.uid())
	if err != nil || found == nil {
		return nil, nil, err
	}
	item, text, err := found.c.Text(ctx, found.item.Name)
	if fault.Is(err, fault.NoMessage) {
		return nil, nil, errRaced
	}
	if err != nil {
		return nil, nil, err
	}
	found.item = item
	o, err := parseObject(text)
	if err != nil {
		return nil, nil, refused("the event in the calendar cannot be read")
	}
	if err := o.bounded(); err != nil {
		return nil, nil, refused("the event in the calendar is too large: " + fault.Explain(err))
	}
	return found, o, nil
}

// store puts an object into the place of one that was loaded, or into a calendar.
func (in *incoming) store(ctx context.Context, at *stored, c *groupware.Collection, o *object) error {
	p := groupware.Put{Text: o.bytes()}
	etag := ""
	if at != nil {
		c, p.Name, etag = at.c, at.item.Name, at.item.ETag
	} else {
		p.Name = c.NameFor(o.uid())
	}
	p.If = func(present *mailbox.Item) error {
		if (present == nil) != (at == nil) || present != nil && present.ETag != etag {
			return errRaced
		}
		return nil
	}
	_, _, err := c.Put(ctx, p)
	return err
}

// calendarFor returns the calendar, or the task list, that new objects of a kind go into.
func (in *incoming) calendarFor(ctx context.Context) (*groupware.Collection, error) {
	kind := groupware.Calendar
	if in.object.kind() == "VTODO" {
		kind = groupware.Tasks
	}
	a := in.m.Account
	if kind == groupware.Calendar {
		c, err := in.s.DefaultCalendar(ctx, a)
		if c != nil || err != nil {
			return c, err
		}
	}
	return in.s.Groupware.Main(ctx, a, in.s.Groupware.Between(a, a), kind)
}

// older reports whether a component of a message is older than what is stored.
func older(n, than *node) bool {
	if n.number("SEQUENCE") != than.number("SEQUENCE") {
		return n.number("SEQUENCE") < than.number("SEQUENCE")
	}
	return n.value("DTSTAMP") < than.value("DTSTAMP") // both in UTC, of one length
}

// send makes the action that sends a notice of the account.
func (in *incoming) send(ctx context.Context, n notice, quiet bool) []delivery.Action {
	w := writing{s: in.s, owner: in.m.Account, own: in.own, now: in.now, quiet: quiet}
	env := w.address(ctx, &n, map[string]string{})
	to := make([]address.Address, 0, len(env.Recipients))
	for _, r := range env.Recipients {
		to = append(to, r.Address)
	}
	if len(to) == 0 {
		return nil
	}
	if in.s.Accounts.Sent().Take(in.m.Account.ID, in.m.Account.Settings().MailOutFlow) > 0 {
		in.s.log.LogAttrs(ctx, logs.LevelProblem, "not sent: the account has sent too many messages", slog.String(logs.AttrAccount, in.m.Account.Address()), slog.String("method", n.method))
		return nil
	}
	in.s.counts.Sent.Inc()
	return []delivery.Action{delivery.Send{ReturnPath: env.ReturnPath, To: to, Text: w.letter(&n), Tag: envelope.TagCalendar}}
}

// self returns the line of the attendee that is the account.
func self(n *node, own func(string) bool) *line {
	for i := range n.lines {
		if l := &n.lines[i]; l.Name == "ATTENDEE" && own(l.address()) {
			return l
		}
	}
	return nil
}

// invites reports whether the message names the account as an attendee.
func (in *incoming) invites() bool { return slices.ContainsFunc(in.object.attendees(), in.own) }

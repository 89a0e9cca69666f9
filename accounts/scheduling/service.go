package scheduling

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Queue is what scheduling needs of the queue.
type Queue interface {
	BeginHeld(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Publish(id envelope.QueueID) error
	Drop(id envelope.QueueID) error
}

// Options are what a Service works with.
type Options struct {
	Accounts  *accounts.Store
	Groupware *groupware.Store
	Access    *access.Resolver
	Router    *router.Router
	Queue     Queue
	Settings  *settings.Live[Settings]
	Log       *slog.Logger
}

// Service schedules. It may be used by many goroutines at once.
type Service struct {
	Options
	log    *slog.Logger
	counts Counts
}

// New returns a Service.
func New(o Options) *Service {
	return &Service{Options: o, log: logs.Component(o.Log, "CALENDAR")}
}

// Put is an item that a client stores.
type Put struct {
	groupware.Put
	// Tags are those of If-Schedule-Tag-Match; one of them has to be that of the item. Replies that the client may not have seen are kept then.
	Tags []string
	// NoReply says that the organizer is told nothing (Schedule-Reply: F).
	NoReply bool
}

// Result is what has become of it.
type Result struct {
	Item    mailbox.Item
	Created bool
	// Tag is the Schedule-Tag, "" if the item has none.
	Tag string
	// Rewritten says that the text is not that of the client.
	Rewritten bool
}

// ErrTag is the failure when no Schedule-Tag matches.
var ErrTag = errors.New("the item has another Schedule-Tag")

// errRaced says that the item has changed since it was read.
var errRaced = errors.New("the item has changed meanwhile")

// maxTries bounds how often a change that meets others is computed anew.
const maxTries = 8

// held is the messages of a change, held by the queue.
type held struct {
	ids []uint64
	// status has the SCHEDULE-STATUS of each addressee.
	status map[string]string
}

// Put stores an item and sends what follows from it. Errors: those of groupware.Collection.Put, a *NotAllowed, ErrTag, TooMany, RateLimited.
func (s *Service) Put(ctx context.Context, user *accounts.Account, c *groupware.Collection, p Put) (r Result, err error) {
	for range maxTries {
		if r, err = s.put(ctx, user, c, p); !errors.Is(err, errRaced) {
			return r, err
		}
	}
	return r, fault.Wrap("scheduling.Put", fault.Busy, err)
}

func (s *Service) put(ctx context.Context, user *accounts.Account, c *groupware.Collection, p Put) (Result, error) {
	next, err := parseObject(p.Text)
	if err != nil || !bool(s.Settings.Get().Schedule) || !scheduled(next.kind()) && len(p.Tags) == 0 {
		item, created, err := c.Put(ctx, p.Put) // it says what is wrong
		return Result{Item: item, Created: created}, err
	}
	owner := c.Owner.Account
	own, err := s.owned(ctx, owner, c)
	if err != nil {
		return Result{}, err
	}
	old, before, err := current(ctx, own, p.Name)
	if err != nil {
		return Result{}, err
	}
	owns := s.owns(ctx, owner)
	if len(p.Tags) > 0 && (old == nil || !slices.Contains(p.Tags, tagOf(old, owns))) {
		return Result{}, ErrTag
	}
	unchanged := next.bytes()
	w := writing{s: s, user: user, owner: owner, own: owns, now: time.Now()}
	var list []notice
	if old != nil && old.uid() != next.uid() {
		list = append(list, w.gone(old, p.NoReply)...)
		old = nil
	}
	more, err := w.changed(ctx, c, old, next, p)
	if err != nil {
		return Result{}, err
	}
	h, err := w.hold(ctx, append(list, more...))
	if err != nil {
		return Result{}, err
	}
	next.mark(h.status)
	text := next.bytes()
	r := Result{Rewritten: !bytes.Equal(text, unchanged), Tag: tagOf(next, owns)}
	if r.Rewritten {
		p.Text = text
	}
	check := p.If
	p.If = func(present *mailbox.Item) error {
		if (present == nil) != (before == nil) || present != nil && present.ETag != before.ETag {
			return errRaced
		}
		if check != nil {
			return check(present)
		}
		return nil
	}
	p.Sent = h.ids
	r.Item, r.Created, err = c.Put(ctx, p.Put)
	return r, s.settle(ctx, h.ids, err)
}

// Delete removes an item and sends what follows from it. Errors: those of groupware.Collection.DeleteItem, ErrTag, RateLimited.
func (s *Service) Delete(ctx context.Context, user *accounts.Account, c *groupware.Collection, name string, tags []string, noReply bool, check func(mailbox.Item) error) error {
	err := errRaced
	for try := 0; try < maxTries && errors.Is(err, errRaced); try++ {
		err = s.delete(ctx, user, c, name, tags, noReply, check)
	}
	if errors.Is(err, errRaced) {
		return fault.Wrap("scheduling.Delete", fault.Busy, err)
	}
	return err
}

func (s *Service) delete(ctx context.Context, user *accounts.Account, c *groupware.Collection, name string, tags []string, noReply bool, check func(mailbox.Item) error) error {
	owner := c.Owner.Account
	own, err := s.owned(ctx, owner, c)
	if err != nil {
		return err
	}
	old, before, err := current(ctx, own, name)
	if err != nil {
		return err
	}
	w := writing{s: s, user: user, owner: owner, own: s.owns(ctx, owner), now: time.Now()}
	if len(tags) > 0 && (old == nil || !slices.Contains(tags, tagOf(old, w.own))) {
		return ErrTag
	}
	var h held
	if old != nil && scheduled(old.kind()) && bool(s.Settings.Get().Schedule) {
		if h, err = w.hold(ctx, w.gone(old, noReply)); err != nil {
			return err
		}
	}
	err = c.DeleteSending(ctx, name, h.ids, func(present mailbox.Item) error {
		if before == nil || present.ETag != before.ETag {
			return errRaced
		}
		if check != nil {
			return check(present)
		}
		return nil
	})
	return s.settle(ctx, h.ids, err)
}

// settle publishes what is held after its commit, or drops it.
func (s *Service) settle(ctx context.Context, ids []uint64, err error) error {
	switch {
	case err == nil:
		for _, id := range ids {
			if err := s.Queue.Publish(envelope.QueueID(id)); err != nil {
				// It has its record: the next start publishes it.
				s.log.LogAttrs(ctx, logs.LevelFailure, "a message waits for the next start of the server", slog.Uint64(logs.AttrQueueID, id), slog.Any(logs.AttrError, err))
				continue
			}
			s.counts.Sent.Inc()
		}
	case fault.Is(err, fault.Unavailable):
		// Nobody knows whether the commit is on the disk. The next start does.
	default:
		for _, id := range ids {
			if err := s.Queue.Drop(envelope.QueueID(id)); err != nil {
				s.log.LogAttrs(ctx, logs.LevelFailure, "a message that is not sent is not removed", slog.Uint64(logs.AttrQueueID, id), slog.Any(logs.AttrError, err))
			}
		}
	}
	return err
}

// owned returns a collection as its owner sees it.
func (s *Service) owned(ctx context.Context, owner *accounts.Account, c *groupware.Collection) (*groupware.Collection, error) {
	if !c.Owner.Foreign() {
		return c, nil
	}
	return s.Groupware.Collection(ctx, owner, s.Groupware.Between(owner, owner), c.Name)
}

// current returns what is stored under a name: nil for nothing, or for what cannot be read.
func current(ctx context.Context, c *groupware.Collection, name string) (*object, *mailbox.Item, error) {
	item, text, err := c.Text(ctx, name)
	if fault.Is(err, fault.NoMessage) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	o, err := parseObject(text)
	if err != nil {
		return nil, &item, nil
	}
	return o, &item, nil
}

// scheduled tells the components that people are invited to.
func scheduled(kind string) bool { return kind == "VEVENT" || kind == "VTODO" }

// owns returns what tells the account's own addresses. An address that cannot be looked up is another's.
func (s *Service) owns(ctx context.Context, a *accounts.Account) func(string) bool {
	known := map[string]bool{}
	return func(addr string) bool {
		own, seen := known[addr]
		if !seen {
			parsed, err := address.Parse(addr)
			if err == nil && parsed.Domain != "" {
				own, err = s.Accounts.OwnsAddress(ctx, a, parsed)
				own = own && err == nil
			}
			known[addr] = own
		}
		return own
	}
}

// Tag returns the Schedule-Tag of an item's text for the owner of its collection (RFC 6638 section 3.2.10); "" for what is no scheduling
// object. It is made of the text without what attendees say of themselves.
func (s *Service) Tag(ctx context.Context, owner *accounts.Account, text []byte) string {
	o, err := parseObject(text)
	if err != nil {
		return ""
	}
	return tagOf(o, s.owns(ctx, owner))
}

func tagOf(o *object, own func(string) bool) string {
	organizer, _ := o.organizer()
	if organizer == "" || !scheduled(o.kind()) {
		return ""
	}
	h := sha256.New()
	var add func(n *node)
	add = func(n *node) {
		h.Write([]byte("BEGIN:" + n.name + "\r\n"))
		for i := range n.lines {
			switch l := &n.lines[i]; {
			case l.Name == "DTSTAMP" || l.Name == "LAST-MODIFIED":
			case l.Name == "ATTENDEE" && !own(l.address()), l.Name == "ORGANIZER":
				h.Write([]byte(l.Name + ":" + l.address() + "\r\n"))
			default:
				h.Write([]byte(l.raw))
			}
		}
		for _, inner := range n.inner {
			add(inner)
		}
		h.Write([]byte("END\r\n"))
	}
	for _, n := range o.parts {
		if own(organizer) && n.line("RECURRENCE-ID") != nil && repliesOnly(o, n) {
			continue // it is there for a reply alone
		}
		add(n)
	}
	return `"` + hex.EncodeToString(h.Sum(nil)[:12]) + `"`
}

// repliesOnly reports whether an override says of the instance what the main component says: it is there for the answers of attendees.
func repliesOnly(o *object, n *node) bool {
	main := o.part(mainKey)
	if main == nil || len(n.inner) != len(main.inner) {
		return false
	}
	made, ok := o.instance(main, n.line("RECURRENCE-ID"))
	what := func(l *line) bool { return l.Name != "DTSTAMP" && l.Name != "LAST-MODIFIED" && l.Name != "CREATED" }
	return ok && made.signature(what) == n.signature(what)
}

// writing is one change of the owner's calendar by a user.
type writing struct {
	s     *Service
	user  *accounts.Account
	owner *accounts.Account
	own   func(string) bool
	now   time.Time
	quiet bool
}

// changed returns what is to be sent because of a new or changed object, and puts into it what the server decides.
func (w *writing) changed(ctx context.Context, c *groupware.Collection, old, next *object, p Put) ([]notice, error) {
	organizer, same := next.organizer()
	was := ""
	if old != nil && old.bounded() != nil {
		old = nil // it was imported, and nobody was told of it
	}
	if old != nil {
		was, _ = old.organizer()
	}
	if !same {
		return nil, &NotAllowed{Rule: "same-organizer-in-all-components", Text: "All components of an event have one organizer."}
	}
	if organizer == "" && was == "" {
		return nil, nil
	}
	if err := next.bounded(); err != nil {
		return nil, err
	}
	if err := w.elsewhere(ctx, c, next.uid()); err != nil {
		return nil, err
	}
	switch {
	case was != "" && w.own(was) && organizer != "" && !w.own(organizer):
		return nil, &NotAllowed{Rule: "allowed-organizer-scheduling-object-change", Text: "An event that others were invited to keeps its organizer."}
	case was != "" && !w.own(was) && w.own(organizer) && slices.ContainsFunc(old.attendees(), w.own):
		return nil, notAllowed("The organizer of an event that others see cannot be changed.")
	case w.own(organizer), organizer == "" && w.own(was):
		change := organizerChange{old: old, next: next, own: w.own, now: w.now, merge: len(p.Tags) > 0}
		if err := change.prepare(); err != nil {
			return nil, err
		}
		return change.notices(), nil
	}
	change := attendeeChange{old: old, next: next, own: w.own}
	if old != nil && was == "" {
		change.old = nil
	}
	if !slices.ContainsFunc(next.attendees(), w.own) && (change.old == nil || !slices.ContainsFunc(change.old.attendees(), w.own)) {
		return nil, nil // a copy of somebody else's event
	}
	if err := change.prepare(); err != nil {
		return nil, err
	}
	if p.NoReply {
		return nil, nil
	}
	return change.notices(), nil
}

// elsewhere refuses a second object of a UID in the calendars of the owner (RFC 6638 section 3.2.4.1).
func (w *writing) elsewhere(ctx context.Context, c *groupware.Collection, uid string) error {
	found, err := w.s.find(ctx, w.owner, uid)
	if err != nil || found == nil || found.c.Name == c.Name {
		return err
	}
	return &NotAllowed{Rule: "unique-scheduling-object-resource", Text: "The event is in another calendar.", Other: found.item.Name, Collection: found.c.Name}
}

// gone returns what is to be sent because an object is deleted.
func (w *writing) gone(old *object, noReply bool) []notice {
	organizer, _ := old.organizer()
	switch {
	case organizer == "":
		return nil
	case old.bounded() != nil: // it was imported, and nobody was told of it
		return nil
	case w.own(organizer):
		change := organizerChange{old: old, own: w.own, now: w.now}
		return change.notices()
	case noReply:
		return nil
	}
	change := attendeeChange{old: old, own: w.own}
	return change.notices()
}

// hold writes the messages and has them held.
func (w *writing) hold(ctx context.Context, list []notice) (h held, err error) {
	h.status = map[string]string{}
	defer func() {
		if err != nil {
			_ = w.s.settle(ctx, h.ids, err)
			h.ids = nil
		}
	}()
	for i := range list {
		n := &list[i]
		env := w.address(ctx, n, h.status)
		if len(env.Recipients) == 0 {
			continue
		}
		if w.s.Accounts.Sent().Take(w.owner.ID, w.owner.Settings().MailOutFlow) > 0 {
			return h, fault.New("scheduling.hold", fault.RateLimited, "The account has sent too many messages, try again later.")
		}
		text := w.letter(n)
		sub, err := w.s.Queue.BeginHeld(ctx, env)
		if err != nil {
			return h, err
		}
		_, err = fmt.Fprintf(sub, "Received: by %s (Gatepost) (calendar of %s)\r\n  id %d; %s\r\n", w.owner.Domain, w.owner.Address(), sub.ID(), w.now.Format(time.RFC1123Z))
		if err == nil {
			_, err = sub.Write(text)
		}
		if err == nil {
			err = sub.Hold(ctx)
		}
		if err != nil {
			sub.Abort()
			return h, err
		}
		h.ids = append(h.ids, uint64(sub.ID()))
		w.s.log.LogAttrs(ctx, logs.LevelMajor, "message to attendees", slog.Uint64(logs.AttrQueueID, uint64(sub.ID())), slog.String(logs.AttrAccount, w.owner.Address()),
			slog.String("method", n.method), slog.Int("recipients", len(env.Recipients)), slog.String("uid", n.from.uid()))
	}
	return h, nil
}

// identity is the owner's address in a notice.
func (w *writing) identity(n *notice) string {
	for _, p := range n.parts {
		for i := range p.lines {
			l := &p.lines[i]
			if (l.Name == "ATTENDEE" && n.method == "REPLY" || l.Name == "ORGANIZER" && n.method != "REPLY") && w.own(l.address()) {
				return l.address()
			}
		}
	}
	return strings.ToLower(w.owner.Address())
}

// address makes the envelope of a notice, and notes how it goes to each addressee: 1.1 it is on its way, 3.7 there is no such
// address, 3.8 the owner may not send there.
func (w *writing) address(ctx context.Context, n *notice, status map[string]string) *envelope.Envelope {
	env := &envelope.Envelope{Source: envelope.Source{Tag: envelope.TagCalendar, Account: w.owner.Address(), Domain: w.owner.Domain, Trusted: true}}
	if from, err := address.Parse(w.identity(n)); err == nil {
		env.ReturnPath, env.SMTPUTF8 = from, from.NeedsUTF8()
	}
	for _, to := range n.to {
		a, err := address.Parse(to)
		if err != nil || a.Domain == "" {
			status[to] = "3.7"
			continue
		}
		route, err := w.s.Router.Route(ctx, router.Mail, a)
		switch {
		case err != nil && !fault.KindOf(err).Temporary(), err == nil && route.All:
			status[to] = "3.7"
			continue
		case err == nil && route.Module == router.SMTP && !w.owner.Enabled("Relay"):
			status[to] = "3.8"
			continue
		}
		status[to] = "1.1"
		env.SMTPUTF8 = env.SMTPUTF8 || a.NeedsUTF8()
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, Notify: envelope.NotifyFailure})
	}
	return env
}

// letter makes the mail of a notice.
func (w *writing) letter(n *notice) []byte {
	m := letter{owner: w.owner, from: w.identity(n), to: n.to, method: n.method, object: n.from, part: n.parts[0], now: w.now, quiet: w.quiet}
	if w.user != nil && w.user.ID != w.owner.ID {
		m.sender = w.user.Address()
	}
	m.calendar = n.calendarText(w.now, w.own, m.sender)
	return m.bytes()
}

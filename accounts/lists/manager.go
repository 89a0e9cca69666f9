package lists

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Queue takes messages that lists write.
type Queue interface {
	Begin(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	BeginHeld(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Held() []envelope.QueueID
	Publish(id envelope.QueueID) error
	Drop(id envelope.QueueID) error
}

// Options are for NewManager.
type Options struct {
	Store  *accounts.Store
	Router Router
	Queue  Queue
	// Policy is what the DMARC record of an author's domain asks receivers to do with mail that others send in
	// its name: none, quarantine or reject; "" if it has none. nil: nobody is asked.
	Policy func(ctx context.Context, domain string) (string, error)
	// Pages is the address of the pages of lists on the web, without the name of the list: such as
	// https://mail.company.com/Lists. "" or nil: there are none that people could reach.
	Pages func(domain string) string
	Log   *slog.Logger
}

// Manager is what mail, pages and the command line do with mailing lists. Its methods may be called from any goroutine.
type Manager struct {
	o   Options
	log *slog.Logger
}

// NewManager returns the manager of the mailing lists of a store.
func NewManager(o Options) *Manager {
	return &Manager{o: o, log: logs.Component(o.Log, "LIST")}
}

// page is the address of a page of a list, or "".
func (m *Manager) page(l *accounts.MailingList, rest string) string {
	if m.o.Pages == nil {
		return ""
	}
	base := m.o.Pages(l.Domain)
	if base == "" {
		return ""
	}
	return strings.TrimSuffix(base, "/") + "/" + l.Name + rest
}

// The kinds of questions of mailing lists.
const (
	KindSubscribe = "on"     // to whoever asked to be subscribed, or for another mode
	KindLeave     = "off"    // to a subscriber who asked to leave
	KindResume    = "resume" // to a subscriber who gets no postings after bounces
	KindAdmit     = "admit"  // to the owner: a subscription
	KindPost      = "post"   // to the owner: a posting
	kindHelp      = "help"   // remembers whom the help was sent; its token is not sent
)

// How long questions wait for an answer.
const (
	askPeople = 3 * 24 * time.Hour
	askOwner  = 30 * 24 * time.Hour
	helpAgain = 24 * time.Hour
)

// Request is what somebody wants of a list.
type Request struct {
	Address, RealName string
	// Mode is what is wished for; None is the mode that the list gives to new subscribers.
	Mode subscribers.Mode
	// Proven says that the request is known to come from the reader of the address, who need not confirm it.
	Proven bool
}

// Outcome is what has become of a request that was not refused.
type Outcome uint8

// The outcomes.
const (
	Done      Outcome = iota // it is carried out
	Unchanged                // it was so before
	Asked                    // a question was sent to the address, or was sent before
	Waits                    // for the owner
)

func (o Outcome) String() string {
	return [...]string{"done", "unchanged", "waits for confirmation", "waits for the owner"}[o]
}

// checkAddress returns the normal form of a subscriber's address, and its route if it can be found now.
func (m *Manager) checkAddress(ctx context.Context, l *accounts.MailingList, text string) (address.Address, *router.Route, error) {
	const op = "lists.Address"
	a, err := address.Parse(text)
	switch {
	case err != nil:
		return a, nil, fault.Newf(op, fault.Invalid, "%q is not a mail address", text)
	case a.Domain == "" || a.Local == "":
		return a, nil, fault.Newf(op, fault.Invalid, "%q has no domain", text)
	case ownAddress(l, a):
		return a, nil, fault.New(op, fault.Invalid, "a list cannot be subscribed to itself")
	}
	r, err := m.o.Router.Route(ctx, names.Mail, a)
	switch kind := fault.KindOf(err); {
	case err != nil && (kind.Temporary() || ctx.Err() != nil):
		return a, nil, err
	case err != nil:
		return a, nil, fault.Newf(op, fault.Invalid, "no mail can be sent to %s: %s", a, fault.Text(err))
	case r.All:
		return a, nil, fault.New(op, fault.Denied, "the address of all accounts cannot be subscribed")
	case r.Module == router.PIPE && r.Direct:
		return a, nil, fault.New(op, fault.Denied, "programs cannot be subscribed, unless a record of the Router Table leads to them")
	case r.Module == router.LIST && r.Name == l.Name && r.Domain == l.Domain:
		return a, nil, fault.New(op, fault.Invalid, "a list cannot be subscribed to itself")
	}
	return a, &r, nil
}

// ownAddress reports whether an address is that of the list or one of its service addresses.
func ownAddress(l *accounts.MailingList, a address.Address) bool {
	if !strings.EqualFold(a.Domain, l.Domain) {
		return false
	}
	_, _, ok := service(l, a)
	return ok
}

// Subscribe subscribes an address, or changes the mode of a subscriber. What is not proven is asked for, if the list wants
// confirmation. Errors: Invalid, Denied, and temporary ones.
func (m *Manager) Subscribe(ctx context.Context, l *accounts.MailingList, r Request) (Outcome, error) {
	const op = "lists.Subscribe"
	set := l.Settings()
	a, route, err := m.checkAddress(ctx, l, r.Address)
	if err != nil {
		return 0, err
	}
	r.Address = a.String()
	if r.Mode == subscribers.None {
		r.Mode, _ = subscribers.ParseMode(set.Distribution)
	}
	if err := archived(l, r.Mode); err != nil {
		return 0, err
	}
	s, err := l.Subscribers().Get(r.Address)
	switch {
	case err != nil:
		return 0, err
	case s.Mode == subscribers.Banned:
		return 0, fault.New(op, fault.Denied, "the owner of the list does not want this address to be subscribed")
	case s.Mode == r.Mode && !s.Paused(time.Now()):
		return Unchanged, nil
	case s.Mode == subscribers.None && set.Subscribe == accounts.SubscribeNobody:
		return 0, fault.New(op, fault.Denied, "only the owner of the list subscribes people to it")
	case s.Mode == subscribers.None && set.Subscribe == accounts.SubscribeThisDomain && (route.Module != router.LOCAL || route.Domain != l.Domain):
		return 0, fault.Newf(op, fault.Denied, "only accounts of %s may subscribe", l.Domain)
	case s.Mode == subscribers.None && set.Subscribe == accounts.SubscribeLocals && route.Module != router.LOCAL:
		return 0, fault.New(op, fault.Denied, "only accounts of this server may subscribe")
	}
	if bool(set.Confirmation) && !r.Proven {
		return m.ask(ctx, l, subscribers.Question{Address: r.Address, RealName: r.RealName, Mode: r.Mode, Kind: KindSubscribe})
	}
	return m.admit(ctx, l, r)
}

// help sends the help to an address, once a day, however often somebody asks in its name.
func (m *Manager) help(ctx context.Context, l *accounts.MailingList, to string) error {
	now := time.Now()
	if _, err := address.Parse(to); err != nil {
		return err
	}
	_, again, err := l.Subscribers().Ask(ctx, subscribers.Question{Address: to, Kind: kindHelp, Expire: now.Add(helpAgain)}, now)
	if err != nil || again {
		return err
	}
	return m.notify(ctx, l, notice{to: to, text: textHelp})
}

// archived refuses modes that need an archive which the list does not have.
func archived(l *accounts.MailingList, mode subscribers.Mode) error {
	if (mode == subscribers.Digest || mode == subscribers.Index) && !bool(l.Settings().Store) {
		return fault.Newf("lists.Subscribe", fault.Invalid, "the list has no archive, and so no mode %s", mode)
	}
	return nil
}

// ask sends a question to its address. An address is asked once, however often somebody wants it.
func (m *Manager) ask(ctx context.Context, l *accounts.MailingList, q subscribers.Question) (Outcome, error) {
	now := time.Now()
	q.Expire = now.Add(askPeople)
	q, again, err := l.Subscribers().Ask(ctx, q, now)
	if err != nil {
		return 0, err
	}
	if again {
		m.logAbout(ctx, l, "asked before, and not asked again", q.Address)
		return Asked, nil
	}
	kind := textConfirm
	if q.Kind == KindLeave {
		kind = textConfirmLeave
	}
	return Asked, m.notify(ctx, l, notice{to: q.Address, text: kind, token: q.Token, mode: q.Mode, name: q.RealName})
}

// admit subscribes an address that wants it, or asks the owner.
func (m *Manager) admit(ctx context.Context, l *accounts.MailingList, r Request) (Outcome, error) {
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return 0, err
	}
	if l.Settings().Subscribe != accounts.SubscribeModerated || s.Mode != subscribers.None {
		return m.set(ctx, l, r, false)
	}
	now := time.Now()
	q, again, err := l.Subscribers().Ask(ctx, subscribers.Question{Address: r.Address, RealName: r.RealName, Mode: r.Mode, Kind: KindAdmit, Expire: now.Add(askOwner)}, now)
	if err != nil || again {
		return Waits, err
	}
	return Waits, m.notify(ctx, l, notice{to: m.owner(l).String(), text: textAdmit, token: q.Token, mode: q.Mode, name: q.RealName, about: q.Address, approval: true})
}

// set gives an address a mode; that of a new subscriber is welcomed, unless it is silent.
func (m *Manager) set(ctx context.Context, l *accounts.MailingList, r Request, silent bool) (Outcome, error) {
	const op = "lists.SetMode"
	set := l.Settings()
	var before subscribers.Mode
	err := l.Subscribers().Change(ctx, r.Address, func(s *subscribers.Subscriber) error {
		if before = s.Mode; before == subscribers.None {
			*s = subscribers.Subscriber{Address: r.Address, Since: time.Now().UTC(), Moderated: set.FirstModerated}
		}
		if before == subscribers.Banned && !silent {
			return fault.New(op, fault.Denied, "the owner of the list does not want this address to be subscribed")
		}
		s.Mode = r.Mode
		if r.RealName != "" {
			s.RealName = oneLine(r.RealName)
		}
		if r.Mode != subscribers.Banned {
			s.PausedUntil, s.Warned, s.Bounces = time.Time{}, time.Time{}, 0
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	m.logAbout(ctx, l, "mode of a subscriber: "+r.Mode.String(), r.Address)
	if before == r.Mode {
		return Unchanged, nil
	}
	if before != subscribers.None || silent || r.Mode == subscribers.Banned {
		return Done, nil
	}
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return Done, err
	}
	return Done, m.notify(ctx, l, notice{to: r.Address, text: textPolicy, mode: r.Mode, name: s.RealName, secret: s.Secret})
}

// SetMode changes the mode of a subscriber, who is known by a secret; None ends the subscription. Errors: NotFound, Invalid, Denied.
func (m *Manager) SetMode(ctx context.Context, l *accounts.MailingList, secret string, mode subscribers.Mode) (Outcome, error) {
	const op = "lists.SetMode"
	s, err := l.Subscribers().BySecret(secret)
	switch {
	case err != nil:
		return 0, err
	case s.Mode == subscribers.None:
		return 0, fault.New(op, fault.NotFound, "nobody is subscribed with this link; perhaps the subscription has ended already")
	case s.Mode == subscribers.Banned || mode == subscribers.Banned:
		return 0, fault.New(op, fault.Denied, "only the owner of the list may do that")
	case mode == subscribers.None:
		return m.remove(ctx, l, s.Address, false)
	}
	if err := archived(l, mode); err != nil {
		return 0, err
	}
	return m.set(ctx, l, Request{Address: s.Address, Mode: mode}, false)
}

// SetName changes the name of a subscriber, who is known by a secret; "" removes it. Errors: NotFound.
func (m *Manager) SetName(ctx context.Context, l *accounts.MailingList, secret, name string) error {
	s, err := l.Subscribers().BySecret(secret)
	if err != nil {
		return err
	}
	if name = oneLine(name); s.RealName == name && s.Mode != subscribers.None {
		return nil
	}
	return l.Subscribers().Change(ctx, s.Address, func(s *subscribers.Subscriber) error {
		if s.Mode == subscribers.None {
			return fault.New("lists.SetName", fault.NotFound, "nobody is subscribed with this link; perhaps the subscription has ended already")
		}
		s.RealName = name
		return nil
	})
}

// Unsubscribe ends a subscription. What is not proven is asked for, if the list wants confirmation. Errors: NotFound.
func (m *Manager) Unsubscribe(ctx context.Context, l *accounts.MailingList, r Request) (Outcome, error) {
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return 0, err
	}
	if s.Mode == subscribers.None || s.Mode == subscribers.Banned {
		return 0, notSubscribed(r.Address)
	}
	if bool(l.Settings().Confirmation) && !r.Proven {
		return m.ask(ctx, l, subscribers.Question{Address: s.Address, RealName: s.RealName, Kind: KindLeave})
	}
	return m.remove(ctx, l, s.Address, false)
}

func notSubscribed(address string) error {
	return fault.Newf("lists.Unsubscribe", fault.NotFound, "%s is not a subscriber of the list", oneLine(address))
}

// remove ends a subscription at once.
func (m *Manager) remove(ctx context.Context, l *accounts.MailingList, address string, silent bool) (Outcome, error) {
	var was subscribers.Subscriber
	err := l.Subscribers().Change(ctx, address, func(s *subscribers.Subscriber) error {
		was = *s
		s.Mode = subscribers.None
		return nil
	})
	if err != nil || was.Mode == subscribers.None {
		return Unchanged, err
	}
	m.logAbout(ctx, l, "a subscription has ended", address)
	if silent || was.Mode == subscribers.Banned {
		return Done, nil
	}
	return Done, m.notify(ctx, l, notice{to: was.Address, text: textBye, name: was.RealName})
}

// Change is what an administrator or the owner does with an address: any mode, None to end the subscription. confirm has the
// address asked first; silently sends it no word. Errors: Invalid, Denied, NotFound.
func (m *Manager) Change(ctx context.Context, l *accounts.MailingList, r Request, silently, confirm bool) (Outcome, error) {
	if r.Mode == subscribers.None {
		s, err := l.Subscribers().Get(r.Address)
		if err != nil {
			return 0, err
		}
		if s.Mode == subscribers.None {
			return 0, notSubscribed(r.Address)
		}
		if confirm && s.Mode != subscribers.Banned {
			return m.ask(ctx, l, subscribers.Question{Address: s.Address, RealName: s.RealName, Kind: KindLeave})
		}
		return m.remove(ctx, l, s.Address, silently)
	}
	a, _, err := m.checkAddress(ctx, l, r.Address)
	if err != nil && r.Mode != subscribers.Banned { // whoever is banned need not be reachable
		return 0, err
	}
	if !a.IsNull() {
		r.Address = a.String()
	}
	if err := archived(l, r.Mode); err != nil {
		return 0, err
	}
	if confirm && r.Mode != subscribers.Banned {
		return m.ask(ctx, l, subscribers.Question{Address: r.Address, RealName: r.RealName, Mode: r.Mode, Kind: KindSubscribe})
	}
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return 0, err
	}
	outcome, err := m.set(ctx, l, r, true)
	if err != nil || silently || s.Mode != subscribers.None || r.Mode == subscribers.Banned {
		return outcome, err
	}
	if s, err = l.Subscribers().Get(r.Address); err != nil {
		return outcome, err
	}
	return outcome, m.notify(ctx, l, notice{to: r.Address, text: textPolicy, mode: r.Mode, name: s.RealName, secret: s.Secret})
}

// Operate carries out an operation as the command line names it: subscribe, unsubscribe or a mode. The subscriber may be written
// with a name: Name <address>. See Change.
func (m *Manager) Operate(ctx context.Context, l *accounts.MailingList, operation, subscriber string, silently, confirm bool) error {
	const op = "lists.Operate"
	var mode subscribers.Mode
	switch {
	case strings.EqualFold(operation, "subscribe"):
		mode, _ = subscribers.ParseMode(l.Settings().Distribution)
	default:
		var ok bool
		if mode, ok = subscribers.ParseMode(operation); !ok {
			return fault.Newf(op, fault.Invalid, "%q is no operation on a subscriber", operation)
		}
	}
	name, addr := nameAndAddress(subscriber)
	if addr == "" {
		return fault.New(op, fault.Invalid, "the address of the subscriber is missing")
	}
	_, err := m.Change(ctx, l, Request{Address: addr, RealName: name, Mode: mode}, silently, confirm)
	return err
}

// nameAndAddress reads address, Name <address> or "Name" <address>.
func nameAndAddress(text string) (name, addr string) {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '<'); i >= 0 && strings.HasSuffix(text, ">") {
		return strings.Trim(strings.TrimSpace(text[:i]), `"`), strings.TrimSpace(text[i+1 : len(text)-1])
	}
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	return "", strings.TrimSpace(text)
}

// Confirm carries out what a question is about: whoever has the token has read the mail that it was sent with. Errors: NotFound.
func (m *Manager) Confirm(ctx context.Context, l *accounts.MailingList, token string) (Outcome, error) {
	q, err := l.Subscribers().Question(strings.ToUpper(token), time.Now())
	if err != nil {
		return 0, err
	}
	return m.carryOut(ctx, l, q)
}

// carryOut does what a question is about, and then removes it, so that a crash between the two loses nothing.
func (m *Manager) carryOut(ctx context.Context, l *accounts.MailingList, q subscribers.Question) (o Outcome, err error) {
	switch q.Kind {
	case KindSubscribe:
		o, err = m.admit(ctx, l, Request{Address: q.Address, RealName: q.RealName, Mode: q.Mode, Proven: true})
	case KindAdmit:
		o, err = m.set(ctx, l, Request{Address: q.Address, RealName: q.RealName, Mode: q.Mode}, false)
	case KindLeave:
		o, err = m.remove(ctx, l, q.Address, false)
	case KindResume:
		err = l.Subscribers().Change(ctx, q.Address, func(s *subscribers.Subscriber) error {
			s.PausedUntil, s.Warned, s.Bounces = time.Time{}, time.Time{}, 0
			return nil
		})
	case KindPost:
		// The list answers the question itself when it has sent the posting.
		return Done, m.release(ctx, l, q)
	default:
		return 0, fault.Newf("lists.Confirm", fault.Corrupt, "a question has the unknown kind %q", q.Kind)
	}
	if err != nil {
		return 0, err
	}
	_, err = l.Subscribers().Answer(ctx, q.Token, time.Now())
	if fault.Is(err, fault.NotFound) {
		err = nil // somebody answered at the same time
	}
	return o, err
}

// forOwner returns a question that the owner is asked.
func (m *Manager) forOwner(l *accounts.MailingList, token string) (subscribers.Question, error) {
	q, err := l.Subscribers().Question(strings.ToUpper(token), time.Now())
	if err == nil && q.Kind != KindPost && q.Kind != KindAdmit {
		err = fault.New("lists.Question", fault.NotFound, "the question is not one for the owner of the list")
	}
	return q, err
}

// Approve accepts a posting or a subscription that waits for the owner. Errors: NotFound.
func (m *Manager) Approve(ctx context.Context, l *accounts.MailingList, token string) error {
	q, err := m.forOwner(l, token)
	if err != nil {
		return err
	}
	_, err = m.carryOut(ctx, l, q)
	return err
}

// Reject refuses a posting or a subscription that waits for the owner, and tells who asked. A reason may be given. Errors: NotFound.
func (m *Manager) Reject(ctx context.Context, l *accounts.MailingList, token, reason string) error {
	q, err := m.forOwner(l, token)
	if err != nil {
		return err
	}
	if q, err = l.Subscribers().Answer(ctx, q.Token, time.Now()); err != nil {
		return err
	}
	n := notice{to: q.Address, text: textRejectedRequest, name: q.RealName, reason: reason}
	if q.Kind == KindPost {
		if err := m.forgetPending(ctx, l, q.Token); err != nil {
			return err
		}
		n.to, n.text, n.about = author(&q), textRejectedPosting, q.Value
	}
	m.logAbout(ctx, l, "rejected by the owner", n.to)
	if n.to == "" {
		return nil
	}
	return m.notify(ctx, l, n)
}

// owner is the address of the owner of a list.
func (m *Manager) owner(l *accounts.MailingList) address.Address {
	return address.Address{Local: strings.ToLower(l.Settings().Owner), Domain: l.Domain}
}

func (m *Manager) logAbout(ctx context.Context, l *accounts.MailingList, text, who string) {
	m.log.LogAttrs(ctx, logs.LevelMajor, text, slog.String("list", l.Address().String()), slog.String("subscriber", who))
}

// service returns the service word and the token of an address of a list: name-on+TOKEN. The word of the list's own address is "".
func service(l *accounts.MailingList, a address.Address) (word, token string, ok bool) {
	local, token, _ := strings.Cut(a.Local, "+")
	if i := strings.LastIndexByte(local, '#'); i >= 0 {
		local = local[i+1:]
	}
	local = strings.ToLower(local)
	if local == l.Name {
		return "", token, true
	}
	word, found := strings.CutPrefix(local, l.Name+"-")
	if !found {
		return "", "", false
	}
	for _, s := range accounts.ListServices {
		if s == word {
			return word, token, true
		}
	}
	return "", "", false
}

// oneLine makes a text that people have sent fit for a header field, a log or a line of a message.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "")
	}
	return s
}

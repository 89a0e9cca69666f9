package lists

import (
	"context"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// This file has the questions that people and owners are asked, and what their answers do.

// The kinds of questions of mailing lists.
const (
	KindSubscribe = "on"     // to whoever asked to be subscribed, or for another mode
	KindLeave     = "off"    // to a subscriber who asked to leave
	KindResume    = "resume" // to a subscriber who gets no postings after bounces
	KindAdmit     = "admit"  // to the owner: a subscription
	KindPost      = "post"   // to the owner: a posting
	kindHelp      = "help"   // remembers whom the help was sent; its token is not sent
	kindLink      = "link"   // remembers who was sent his link
)

// How long questions wait for an answer.
const (
	askPeople = 3 * 24 * time.Hour
	askOwner  = 30 * 24 * time.Hour
	helpAgain = 24 * time.Hour
	linkAgain = time.Hour
)

// ask sends a question to its address. An address is asked once, however often somebody wants it, and the first question stays.
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

// help sends the help to an address, once a day, however often somebody asks in its name.
func (m *Manager) help(ctx context.Context, l *accounts.MailingList, to string) error {
	now := time.Now()
	if _, err := address.Parse(to); err != nil {
		return err
	}
	_, again, err := l.Subscribers().Ask(ctx, subscribers.Question{Address: to, Kind: kindHelp, Expire: now.Add(helpAgain), Stranger: true}, now)
	if err != nil || again {
		return err
	}
	return m.notify(ctx, l, notice{to: to, text: textHelp})
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

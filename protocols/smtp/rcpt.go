package smtp

import (
	"context"
	"log/slog"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/protection"
)

// The texts of the replies to RCPT, by the reason why the recipient is accepted. Odd as it is, tools that
// read logs match the text for a local recipient.
const (
	textLocal  = "will leave the Internet"
	textUser   = "will relay mail for an authenticated user"
	textClient = "accepting mail from a client address"
	textMarked = "will relay mail for this address"
	textBackup = "will relay mail for a domain that is backed up here"
)

// rcpt is RCPT.
func (s *session) rcpt(arg string) {
	if !s.inTransaction() {
		return
	}
	if s.tx.body != nil {
		s.reply(replyDataAndBdat)
		return
	}
	path, ok := afterColon(arg, "TO")
	if !ok {
		s.reply(replyRcptSyntax)
		return
	}
	to, rest, err := address.ParsePath(path)
	if err == nil && to.IsNull() {
		err = fault.New("smtp.rcpt", fault.Invalid, "a recipient cannot be <>")
	}
	if err != nil {
		s.reply(refusal(501, 5, 1, 3, fault.Text(err)))
		return
	}
	rcpt := envelope.Recipient{Address: to, Local: address.WrittenLocal(path, to), Notify: envelope.NotifyDefault, State: envelope.Waiting}
	bad := parseRcptParams(rest, &rcpt)
	if bad == nil && rest != "" && !s.esmtp {
		bad = &replyNeedsEHLO
	}
	if bad != nil {
		s.reply(*bad)
		return
	}
	s.answerRcpt(rcpt)
}

// answerRcpt accepts or refuses a recipient.
func (s *session) answerRcpt(rcpt envelope.Recipient) {
	about := shown(rcpt.Address)
	if err := s.limitRecipients(rcpt.Address); err != nil {
		s.refuseRcpt(about, err)
		return
	}
	if list := s.listed(); list != "" {
		s.listedRcpt(rcpt, list)
		return
	}
	route, err := s.srv.router.Route(s.ctx, router.Mail, rcpt.Address)
	if err = s.mayReach(route, err); err == nil {
		err = s.acceptsSize(route, s.tx.size)
	}
	if err == nil {
		err = s.greylist(rcpt.Address)
	}
	if err != nil {
		s.refuseRcpt(about, err)
		return
	}
	s.addRecipient(rcpt, route)
	if s.lmtp {
		s.answers = append(s.answers, about)
	}
	s.replyAbout(about, reply{code: 250, text: s.acceptedText(route)})
}

// mayReach refuses a route that the client may not use; err is why there is none.
func (s *session) mayReach(route router.Route, err error) error {
	switch {
	case err != nil:
	case s.lmtp:
		err = s.mayTake(route)
	case route.Queue == router.Wakeup && route.Module == router.SMTP:
		err = s.mayWakeUp()
	default:
		if err = router.MayRelay(route, s.tx.env.Source.Trusted); fault.Is(err, fault.RelayDenied) {
			err = s.relayToBackedUp(route, err)
		}
	}
	if err == nil {
		err = s.srv.handles(route.Module)
	}
	if err == nil && route.All {
		// The queue asks again; here a stranger is told before anything is sent.
		err = s.srv.accounts.MayWriteToAll(route.Domain, s.tx.env.Source.Account, s.tx.env.Source.Trusted)
	}
	return err
}

// relayToBackedUp lets mail for a domain pass whose MX records name this server, if the settings
// want that; denied is why it may not pass otherwise.
func (s *session) relayToBackedUp(route router.Route, denied error) error {
	if !bool(s.srv.cfg.Get().RelayToBackedUp) || s.submission || route.Module != router.SMTP || route.Host != "" {
		return denied
	}
	ctx, cancel := context.WithTimeout(s.ctx, backupLimit)
	defer cancel()
	switch ok, err := s.srv.backsUp(ctx, route.Address.Domain); {
	case err != nil:
		return &fault.Error{Op: "smtp.rcpt", Kind: fault.Unavailable, Text: "the mail servers of the domain are not known now", Err: err}
	case !ok:
		return denied
	}
	return nil
}

// backupLimit is how long a client waits for the DNS at most.
const backupLimit = 20 * time.Second

// limitRecipients refuses a recipient before it is routed.
func (s *session) limitRecipients(to address.Address) error {
	n := len(s.tx.env.Recipients)
	switch {
	case to.NeedsUTF8() && !s.tx.env.SMTPUTF8:
		return &replyNeedsUTF8
	case n >= s.recipientsLimit():
		return fault.New("smtp.rcpt", fault.TooMany, "too many recipients")
	case n >= 1 && s.tx.env.ReturnPath.IsNull() && s.stranger():
		return fault.New("smtp.rcpt", fault.TooMany, "a message with the null return-path may have one recipient")
	}
	return nil
}

// refuseRcpt answers a recipient that is not accepted. What a trusted client
// does not know about its addressees is no abuse and does not count.
func (s *session) refuseRcpt(about string, err error) {
	r, kind := rcptRefusal(err), fault.KindOf(err)
	if kind != fault.TooMany || !s.tx.full { // a client may name thousands more
		s.log.LogAttrs(s.ctx, logs.LevelProblem, "recipient refused", slog.String(logs.AttrRecipient, about),
			slog.String(logs.AttrReturnPath, shown(s.tx.env.ReturnPath)), slog.Int(logs.AttrStatus, r.code), slog.Any(logs.AttrError, err))
	}
	s.refused(err, &r)
	s.tx.full = s.tx.full || kind == fault.TooMany
	if !s.stranger() {
		s.send(about, r)
		return
	}
	switch kind {
	case fault.NotFound:
		s.unknown++
	case fault.RelayDenied:
		s.relaying++
	}
	if cause, counts := causeOf(err); counts {
		s.offend(cause)
	}
	s.replyAbout(about, r)
}

// rcptRefusal is the reply to a recipient that is not accepted.
func rcptRefusal(err error) reply {
	r := replyTo(err)
	if kind := fault.KindOf(err); kind == fault.Loop || kind == fault.Unsupported {
		r.code = 550 // it is about this recipient; 554 would be about the transaction
	}
	return r
}

// acceptsSize refuses a recipient that a message of a size could never be delivered to. A size of 0
// is not known.
func (s *session) acceptsSize(route router.Route, size int64) error {
	if size == 0 || route.Module != router.LOCAL || route.All || route.Unknown {
		return nil
	}
	acc, err := s.srv.accounts.Account(s.ctx, route.Domain, route.Name)
	if err != nil {
		return nil // the delivery meets it too, and knows what becomes of the message
	}
	err = acc.AcceptsSize(size)
	if err == nil {
		return nil
	}
	r := refusal(552, 5, 2, 3, fault.Text(err))
	if fault.Is(err, fault.OverQuota) {
		r.enhanced = envelope.Code{5, 2, 2}
	}
	return &r
}

// refusedByAll returns why all recipients of a message would refuse it, so that the client learns it
// instead of a report to a return-path that may be forged; nil if one accepts it.
func (s *session) refusedByAll(routes []router.Route, size int64) (err error) {
	for _, route := range routes {
		if err = s.acceptsSize(route, size); err == nil {
			return nil
		}
	}
	return err
}

// addRecipient adds an accepted recipient. One that is there already, or that leads where another one
// leads, is not added again: the sender gets the reports that either asked for.
func (s *session) addRecipient(rcpt envelope.Recipient, route router.Route) {
	env := s.tx.env
	if route.Module == router.SYSTEM && route.Queue == router.Spamtrap {
		s.markSpamtrap(rcpt.Address)
	}
	for i := range env.Recipients {
		if env.Recipients[i].Address == rcpt.Address || sameDestination(s.tx.routes[i], route) {
			env.Recipients[i].Notify |= rcpt.Notify
			return
		}
	}
	env.Recipients = append(env.Recipients, rcpt)
	s.tx.routes = append(s.tx.routes, route)
}

// sameDestination reports whether two routes lead to one recipient: an address, and a forwarder to it.
func sameDestination(a, b router.Route) bool {
	a.Relay, a.Direct, a.AsGiven = b.Relay, b.Direct, b.AsGiven // about the way there
	return a == b
}

// markSpamtrap notes a spamtrap among the recipients. The client learns nothing.
// A message of one of our users is not dropped: the user has made a mistake, or the password was
// stolen, and the log has it. The queue drops only that recipient.
func (s *session) markSpamtrap(to address.Address) {
	attrs := []slog.Attr{slog.String(logs.AttrRecipient, to.String())}
	if s.account != nil {
		attrs = append(attrs, slog.String(logs.AttrAccount, s.account.Address()))
	}
	s.log.LogAttrs(s.ctx, logs.LevelMajor, "spamtrap addressed", attrs...)
	s.tx.spamtrap = s.tx.spamtrap || s.account == nil
	if s.stranger() && s.open() {
		s.srv.protection.Report(s.remote, protection.Spamtrap) // the session goes on: the client learns nothing
	}
}

func (s *session) acceptedText(route router.Route) string {
	switch {
	case route.Local():
		return textLocal
	case s.account != nil && s.account.Enabled("Relay"):
		return textUser
	case s.isClient():
		return textClient
	case !route.Relay:
		return textBackup
	}
	return textMarked
}

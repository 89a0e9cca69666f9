package smtp

import (
	"log/slog"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// transaction is what MAIL began.
type transaction struct {
	env *envelope.Envelope
	// routes are those of env.Recipients.
	routes   []router.Route
	size     int64 // declared by SIZE, or 0
	spamtrap bool  // a recipient is a spamtrap: nobody gets the message
	full     bool  // there was a recipient too many
	body     *body // once DATA or BDAT began
	lines    lineScanner
}

// abort drops what has been received. A nil transaction has nothing.
func (t *transaction) abort() {
	if t != nil && t.body != nil {
		t.body.abort()
	}
}

// inTransaction reports whether MAIL has begun a transaction, and refuses the command if not.
func (s *session) inTransaction() bool {
	switch {
	case !s.greeted:
		s.reply(replyNoHello)
	case s.tx == nil:
		s.reply(replyNoMail)
	default:
		return true
	}
	return false
}

var (
	replyMailSyntax = reply{501, envelope.Code{5, 1, 7}, "MAIL FROM:<address> is expected"}
	replyRcptSyntax = reply{501, envelope.Code{5, 1, 3}, "RCPT TO:<address> is expected"}
	replyNeedsUTF8  = reply{553, envelope.Code{5, 6, 7}, "the address needs SMTPUTF8"}
	errTooLarge     = fault.New("smtp.receive", fault.TooLarge, "message is too large")
)

// afterColon returns what follows FROM: or TO:.
func afterColon(arg, word string) (string, bool) {
	if len(arg) < len(word) || !strings.EqualFold(arg[:len(word)], word) {
		return "", false
	}
	rest := strings.TrimLeft(arg[len(word):], " \t")
	if !strings.HasPrefix(rest, ":") {
		return "", false
	}
	return rest[1:], true
}

// mail is MAIL.
func (s *session) mail(arg string) {
	switch {
	case !s.greeted:
		s.reply(replyNoHello)
		return
	case s.tx != nil:
		s.reply(replyNested)
		return
	case !s.writeReplyDue():
		return
	}
	path, ok := afterColon(arg, "FROM")
	if !ok {
		s.reply(replyMailSyntax)
		return
	}
	from, rest, err := address.ParseReturnPath(path)
	if err != nil {
		s.reply(refusal(501, 5, 1, 7, fault.Text(err)))
		return
	}
	from = s.qualified(from)
	params, bad := parseMailParams(rest)
	if bad == nil && rest != "" && !s.esmtp {
		bad = &replyNeedsEHLO
	}
	if bad == nil && params.requireTLS && !s.offersRequireTLS() {
		bad = &replyUnknownParam
	}
	if bad != nil {
		s.reply(*bad)
		return
	}
	s.domainClient = s.open() && s.account == nil && s.srv.accounts.DomainClientIP(from.Domain, s.remote)
	if err = s.countMessage(); err == nil {
		err = s.checkReturnPath(from, params)
	}
	if err != nil {
		s.refuseSender(from, err)
		s.domainClient = false
		return
	}
	s.chunkFailed, s.answers = false, nil
	s.tx = &transaction{size: params.size, env: &envelope.Envelope{
		Source:          s.source(),
		ReturnPath:      from,
		ReturnPathLocal: address.WrittenLocal(path, from),
		ID:              params.id,
		Return:          params.ret,
		Body:            params.body,
		SMTPUTF8:        params.smtpUTF8,
		RequireTLS:      params.requireTLS,
	}}
	s.replyAbout(shown(from), reply{code: 250, text: "sender accepted"})
}

// qualified gives the return-path of an account the domain that is missing (RFC 6409 section
// 4.2): outside of this server it would be read as a name of the reader's own.
func (s *session) qualified(from address.Address) address.Address {
	switch {
	case s.account == nil || from.IsNull():
	case from.Domain == "":
		from.Domain = s.account.Domain
	case from.Domain == names.Localhost:
		from.Domain = s.srv.accounts.MainDomain()
	}
	return from
}

// shown is an address as replies have it.
func shown(a address.Address) string {
	if a.IsNull() {
		return "<>"
	}
	return a.String()
}

// source says for the queue where the message comes from.
func (s *session) source() envelope.Source {
	src := envelope.Source{Tag: "SMTP", IP: s.remote, Domain: s.name, LocalIP: s.local, Trusted: s.trusted()}
	if s.account != nil {
		src.Account = s.account.Address()
	}
	return src
}

// refuseSender answers MAIL with a return-path that is not accepted.
func (s *session) refuseSender(from address.Address, err error) {
	r := replyTo(err)
	attrs := []slog.Attr{slog.String(logs.AttrReturnPath, shown(from)), slog.Int(logs.AttrStatus, r.code), slog.Any(logs.AttrError, err)}
	if s.account != nil {
		attrs = append(attrs, slog.String(logs.AttrAccount, s.account.Address()))
	}
	s.log.LogAttrs(s.ctx, logs.LevelProblem, "sender refused", attrs...)
	s.refused(err, &r)
	s.replyAbout(shown(from), r)
}

// checkReturnPath refuses a return-path with which the client may not send. The text of the
// refusal follows the address.
func (s *session) checkReturnPath(from address.Address, p mailParams) error {
	if err := s.checkClient(); err != nil {
		return err
	}
	if limit := s.sizeLimit(); limit >= 0 && p.size > limit {
		return errTooLarge
	}
	if from.IsNull() {
		if s.account == nil {
			return s.checkHELO()
		}
		return nil
	}
	if from.NeedsUTF8() && !p.smtpUTF8 {
		return &replyNeedsUTF8
	}
	if s.account == nil && !s.submission {
		if err := s.checkHELO(); err != nil {
			return err
		}
		return s.verifyReturnPath(from)
	}
	if !s.isQualified(from) {
		r := refusal(550, 5, 1, 7, "the domain of the return-path is not fully qualified")
		return &r
	}
	if s.account == nil {
		return s.verifyReturnPath(from)
	}
	return s.checkOwner(from)
}

// isQualified reports whether a domain has a dot, is a literal, or is one of ours.
func (s *session) isQualified(a address.Address) bool {
	if strings.ContainsAny(a.Domain, ".[") {
		return true
	}
	_, ours := s.srv.accounts.DomainName(a.Domain)
	return ours && a.Domain != ""
}

// checkClient refuses a client that may not send now at all.
func (s *session) checkClient() error {
	if s.account == nil {
		if s.submission && !(s.client && bool(s.cfg.ClientSubmission)) {
			r := replies[fault.AuthRequired]
			if s.mayStartTLS() && !s.mayAuth() {
				r.text = "authentication required, and STARTTLS before it"
			}
			return &r
		}
		return nil
	}
	// The account may have changed since it logged in.
	acc, err := s.srv.accounts.Current(s.ctx, s.account)
	switch {
	case err == nil:
		s.account = acc
	case !fault.KindOf(err).Temporary():
		s.account = nil
		r := replies[fault.AuthRequired]
		return &r
	default:
		return err
	}
	if s.srv.sent.Wait(acc.ID, acc.Settings().MailOutFlow) > 0 {
		return fault.New("smtp.mail", fault.RateLimited, "")
	}
	return nil
}

// checkOwner refuses a return-path that is not the account's own where mail is submitted.
func (s *session) checkOwner(from address.Address) error {
	if !s.submission || !bool(s.account.Settings().SenderAddressRequired) {
		return nil
	}
	own, err := s.srv.accounts.OwnsAddress(s.ctx, s.account, from)
	switch {
	case err != nil:
		return err
	case !own:
		r := refusal(550, 5, 7, 1, "is not an address of "+s.account.Address())
		return &r
	}
	return nil
}

// verifyReturnPath refuses a return-path that cannot be right, as far as that is known without DNS.
func (s *session) verifyReturnPath(from address.Address) error {
	noDomain := refusal(550, 5, 1, 7, "the return-path needs a domain")
	if from.Domain == "" {
		return &noDomain
	}
	if ip, ok := from.Literal(); ok && s.stranger() && ip != s.remote {
		r := refusal(550, 5, 1, 8, "the address literal is not the address of the client")
		return &r
	}
	route, err := s.srv.router.Route(s.ctx, router.Mail, from)
	if err != nil || route.Address != from || route.Local() {
		// It is in one of our domains, or may be.
		if err := s.checkForcedAuth(from); err != nil {
			return err
		}
	}
	if !appliesTo(s.cfg.VerifyReturnPath, s.isClient()) {
		return nil
	}
	if err != nil {
		if replyTo(err).code < 500 {
			return err
		}
		r := refusal(550, 5, 1, 8, "return-path refused: "+fault.Text(err))
		return &r
	}
	if route.Module == router.SYSTEM && route.Queue != router.Null {
		r := refusal(550, 5, 1, 8, "return-path refused")
		return &r
	}
	if route.Address != from || route.Local() || !s.open() {
		return nil
	}
	if appliesTo(s.cfg.LookUpReturnPath, s.isClient()) {
		if err := s.verifyDomain(from); err != nil {
			return err
		}
	}
	return s.callBack(from)
}

// checkForcedAuth refuses a return-path in a domain of ours whose users have to log in.
func (s *session) checkForcedAuth(from address.Address) error {
	domain, ours := s.srv.accounts.DomainName(from.Domain)
	if !ours {
		return nil
	}
	set, err := s.srv.accounts.DomainEffectiveSettings(domain)
	if err != nil {
		return err
	}
	if appliesTo(set.String("ForceSMTPAUTH"), s.isClient()) {
		r := refusal(530, 5, 7, 0, "authentication required for this return-path")
		return &r
	}
	return nil
}

// recipientsLimit is how many recipients a message of this client may have.
func (s *session) recipientsLimit() int {
	if s.stranger() {
		return min(s.cfg.StrangersRecipients, s.cfg.RecipientsLimit)
	}
	return s.cfg.RecipientsLimit
}

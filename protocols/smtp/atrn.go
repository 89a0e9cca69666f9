package smtp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Turner sends mail through a connection that a client has turned around.
type Turner interface {
	// HasMail reports whether mail waits for a domain. Errors: fault.Busy while another connection takes it.
	HasMail(domain string) (bool, error)
	// Turn sends what waits for domains through a connection, host being the other side as reports name it. It
	// returns when there is no more, or the connection or ctx has ended.
	Turn(ctx context.Context, c net.Conn, host string, domains []string) error
}

// mayFetch lists the domains whose mail an account may fetch.
func (s *Settings) mayFetch(account string) (domains []string) {
	for _, entry := range s.ATRNAccounts {
		if domain, owner, err := parseFetcher(entry); err == nil && strings.EqualFold(owner, account) {
			domains = append(domains, domain)
		}
	}
	return domains
}

// parseFetcher reads an entry of ATRNAccounts.
func parseFetcher(entry string) (domain, account string, err error) {
	domain, account, ok := strings.Cut(entry, "=")
	name, err := address.NormalizeDomain(strings.TrimSpace(domain))
	account = strings.TrimSpace(account)
	a, bad := address.Parse(account)
	if !ok || err != nil || name == "" || strings.ContainsAny(name, " \t*") || bad != nil || a.Local == "" || a.Domain == "" {
		return "", "", settings.BadValue("ATRNAccounts", "%q is not a domain and an account, such as client.com=client@example.org", entry)
	}
	return name, account, nil
}

// offersATRN reports whether ATRN may work for the client, now or after AUTH.
func (s *session) offersATRN() bool {
	switch {
	case s.lmtp || len(s.cfg.ATRNAccounts) == 0:
		return false
	case s.account == nil:
		return s.mayAuth()
	}
	return len(s.cfg.mayFetch(s.account.Address())) > 0
}

// The replies of ATRN (RFC 2645 section 5.2.1).
var (
	replyATRNAuth    = reply{530, envelope.Code{5, 7, 0}, "authentication required"}
	replyATRNRefused = reply{450, envelope.Code{4, 7, 1}, "ATRN request refused: the account may not fetch the mail of "}
	replyATRNBusy    = reply{451, envelope.Code{4, 3, 2}, "another connection takes the mail now, try again later"}
	replyATRNNone    = reply{453, envelope.Code{4, 0, 0}, "you have no mail"}
	replyATRNTurned  = reply{code: 250, text: "OK now reversing the connection"}
)

// atrn is ATRN (RFC 2645): the client fetches the mail of its domains. It becomes the server, and what waits
// is sent to it. The session ends after that.
func (s *session) atrn(arg string) {
	switch {
	case s.lmtp || len(s.cfg.ATRNAccounts) == 0:
		s.reply(replyNotImplemented)
		return
	case !s.greeted || !s.esmtp:
		s.reply(refusal(503, 5, 5, 1, "send EHLO first"))
		return
	case s.account == nil:
		s.reply(replyATRNAuth)
		return
	case s.tx != nil:
		s.reply(replyNested)
		return
	}
	domains, err := s.domainsToFetch(arg)
	if err == nil {
		domains, err = s.withMail(domains)
	}
	switch {
	case err != nil:
		s.reply(replyTo(err))
		return
	case len(domains) == 0:
		s.reply(replyATRNNone)
		return
	case len(s.in.window()) > 0:
		s.reply(refusal(503, 5, 5, 1, "nothing may follow ATRN before its reply"))
		return
	}
	s.reply(replyATRNTurned)
	s.closing = true
	if err := s.flush(); err != nil {
		s.disconnect(err)
		return
	}
	s.log.LogAttrs(s.ctx, logs.LevelMajor, "the connection is turned", slog.String("account", s.account.Address()), slog.String("domains", strings.Join(domains, ",")))
	if err := s.srv.turner.Turn(s.ctx, s.conn, s.literal, domains); err != nil {
		s.log.LogAttrs(s.ctx, logs.LevelProblem, "no mail was sent", slog.Any(logs.AttrError, err))
	}
}

// domainsToFetch reads the parameter of ATRN; without one it is all domains of the account.
func (s *session) domainsToFetch(arg string) ([]string, error) {
	mine := s.cfg.mayFetch(s.account.Address())
	if arg == "" {
		if len(mine) == 0 {
			r := replyATRNRefused
			r.text += "any domain"
			return nil, &r
		}
		return mine, nil
	}
	var domains []string
	for name := range strings.SplitSeq(arg, ",") {
		domain, err := address.NormalizeDomain(strings.Trim(name, " \t"))
		if err != nil || domain == "" || strings.ContainsAny(domain, " \t") {
			return nil, fault.New("smtp.atrn", fault.Invalid, "ATRN takes domains with commas between them")
		}
		if !slices.Contains(mine, domain) {
			r := replyATRNRefused
			r.text += domain
			return nil, &r
		}
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	return domains, nil
}

// withMail returns the domains for which mail waits. A domain whose mail another connection takes is an error
// only if there is no other.
func (s *session) withMail(domains []string) (waiting []string, err error) {
	busy := false
	for _, domain := range domains {
		has, err := s.srv.turner.HasMail(domain)
		switch {
		case fault.Is(err, fault.Busy):
			busy = true
		case err != nil:
			return nil, err
		case has:
			waiting = append(waiting, domain)
		}
	}
	if busy && len(waiting) == 0 {
		r := replyATRNBusy
		return nil, &r
	}
	return waiting, nil
}

// validateFetchers checks ATRNAccounts.
func (s *Settings) validateFetchers() error {
	var errs []error
	for _, entry := range s.ATRNAccounts {
		_, _, err := parseFetcher(entry)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Issuer is whom a domain has vouch for its accounts: a server of OpenID Connect whose tokens let in.
type Issuer struct {
	URL                    string
	Audience               []string // whom its tokens are for; without one none is accepted
	Claim                  string   // which claim names the account
	Scope                  string   // what the tokens have to allow, with blanks between; "" for nothing
	ClientID, ClientSecret string   // with which tokens are asked about that only the issuer can read; "" for not
}

// Equal reports whether two issuers are one, with one way to name accounts.
func (i Issuer) Equal(o Issuer) bool {
	return i.URL == o.URL && i.Claim == o.Claim && i.Scope == o.Scope && i.ClientID == o.ClientID && slices.Equal(i.Audience, o.Audience)
}

// ErrExpired is the cause when a token was right, until its time was over.
var ErrExpired = errors.New("the token has expired")

// Tokens verifies tokens.
type Tokens interface {
	// Verify returns what the issuer's claim names: a name in the domain, or an address. Errors: fault.BadCredentials with the reason,
	// which never has the token, and the cause ErrExpired if that is all that is wrong; fault.Denied when it is right and does not allow what the scope says; fault.Unavailable.
	Verify(ctx context.Context, i Issuer, token string) (name string, err error)
}

// IssuerURL is a setting with the address of an issuer.
type IssuerURL string

// maxURL is the longest address of an issuer.
const maxURL = 500

// SetValue reads a URL.
func (u *IssuerURL) SetValue(v dataformat.Value) error {
	text, ok := dataformat.Text(v)
	if !ok {
		return fmt.Errorf("%s is not a URL", dataformat.Compact(v))
	}
	if text != "" {
		if err := CheckIssuerURL(text); err != nil {
			return err
		}
	}
	*u = IssuerURL(text)
	return nil
}

// DataValue is the URL.
func (u IssuerURL) DataValue() dataformat.Value { return dataformat.String(u) }

// CheckIssuerURL returns an error unless tokens or keys may be fetched or verified by a URL: with https, or with http on this machine.
func CheckIssuerURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("%.60q is not a URL such as https://login.example.com/realm", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("a URL without a user name, a query and a fragment is expected")
	case u.Scheme == "https" || u.Scheme == "http" && onThisMachine(u.Hostname()):
		return nil
	}
	return errors.New("https is needed: whoever could change the answers would let himself in")
}

func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// issuer is the domain's.
func (s *DomainSettings) issuer() Issuer {
	return Issuer{string(s.OAuthIssuer), s.OAuthAudience, s.OAuthClaim, s.OAuthScope, s.OAuthClientID, s.OAuthClientSecret}
}

// Issuer returns whose tokens let accounts of a domain in; false if none do.
func (s *directory) Issuer(domain string) (Issuer, bool) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil || d.settings.OAuthIssuer == "" {
		return Issuer{}, false
	}
	return d.settings.issuer(), true
}

// SharesIssuer reports whether a token that is good in a domain would be good in another one too, so that a name in it without a
// domain could be that of either.
func (s *directory) SharesIssuer(ctx context.Context, domain string) (bool, error) {
	domain = s.realDomain(domain)
	i, ok := s.Issuer(domain)
	if !ok {
		return false, nil
	}
	st := s.state.Load()
	others := st.issuersOf
	if hasIssuer(st.domainDefaults) {
		var err error
		if others, err = s.Domains(ctx); err != nil {
			return false, err
		}
	}
	for _, other := range others {
		o, ok := s.Issuer(other)
		if ok && other != domain && o.URL == i.URL && slices.ContainsFunc(o.Audience, func(a string) bool { return slices.Contains(i.Audience, a) }) {
			return true, nil
		}
	}
	return false, nil
}

// HasIssuers reports whether some domain has an issuer, or domains inherit one.
func (s *serverFiles) HasIssuers() bool { return s.state.Load().issuers }

// keyIssuers is the reserved key of DomainDefault.settings with the domains that have an issuer of their own.
const keyIssuers = "#Issuers"

// hasIssuer tells whether settings of a domain, or what domains inherit, have an issuer.
func hasIssuer(d dataformat.Dict) bool {
	text, _ := dataformat.Text(d["OAuthIssuer"])
	return text != "" && !strings.EqualFold(text, "default")
}

// noteIssuer keeps whether a domain has an issuer of its own; explicit are its settings, nil when there is no such domain any more.
func (s *serverFiles) noteIssuer(domain string, explicit dataformat.Dict) error {
	has := hasIssuer(explicit)
	if slices.Contains(s.state.Load().issuersOf, domain) == has {
		return nil
	}
	return s.editState(domainDefaultFile, func(d dataformat.Dict) error {
		list := slices.DeleteFunc(d.Strings(keyIssuers), func(name string) bool { return name == domain })
		if has {
			list = append(list, domain)
		}
		var a dataformat.Array
		for _, name := range list {
			a = append(a, dataformat.String(name))
		}
		if d[keyIssuers] = a; len(a) == 0 {
			delete(d, keyIssuers)
		}
		return nil
	})
}

// moveIssuer keeps the issuer of a domain that has another name now.
func (s *serverFiles) moveIssuer(from, to string) error {
	if !slices.Contains(s.state.Load().issuersOf, from) {
		return nil
	}
	return errors.Join(s.noteIssuer(to, dataformat.Dict{"OAuthIssuer": dataformat.String("its own")}), s.noteIssuer(from, nil))
}

// token is a token of an issuer as a voucher.
type token Issuer

func (t token) objection(now *Account) string {
	if now.domain.settings.OAuthIssuer == "" || !now.domain.settings.issuer().Equal(Issuer(t)) {
		return "the domain of the account has another issuer of tokens"
	}
	return ""
}

// VerifyToken returns the account that a token names, as Tokens.Verify does.
func (l *Logins) VerifyToken(ctx context.Context, i Issuer, text string) (string, error) {
	if l.store.tokens == nil {
		return "", fault.New("accounts.VerifyToken", fault.Unavailable, "nobody verifies tokens here")
	}
	return l.store.tokens.Verify(ctx, i, text)
}

// LoginByToken lets in the account that a token of the issuer names. Errors: BadCredentials, Busy, Canceled.
func (l *Logins) LoginByToken(ctx context.Context, p Peer, domain, name string, i Issuer) (*Account, error) {
	return l.vouched(ctx, p, domain, name, token(i))
}

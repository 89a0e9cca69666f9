package auth

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"gatepost/accounts"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// oauthExchange is OAUTHBEARER (RFC 7628) and XOAUTH2, which has the same in another form: the client shows a token that the issuer of its
// domain has given it. Whose it is follows from the token alone; a name that the client gives has to be that account's.
type oauthExchange struct {
	exchange
	tls    *tls.ConnectionState
	google bool  // XOAUTH2
	failed error // what the client hears once it has answered the challenge with the reason
}

func (e *oauthExchange) Next(response []byte) ([]byte, bool, error) {
	if e.failed != nil { // whatever it answers (RFC 7628 section 3.2.3)
		return nil, false, e.failed
	}
	if e.steps++; response == nil && e.steps == 1 {
		return []byte{}, false, nil
	}
	parse := parseOAuthBearer
	if e.google {
		parse = parseXOAuth2
	}
	name, token, err := parse(response)
	if err != nil {
		return nil, false, err
	}
	domain := e.domainNamed(name)
	i, ok := e.acc.Issuer(domain)
	if token == "" { // it asks where to get one (RFC 7628 section 4.3)
		return e.refuse(i, "invalid_token")
	}
	logins := e.acc.Logins()
	claimed, err := e.claimed(name, domain)
	if err != nil {
		return nil, false, err
	}
	if logins.ProofBlocked(e.ctx, e.peer, claimed.domain, claimed.name) {
		return e.refuse(i, "invalid_token")
	}
	if !ok {
		logins.ProofFailed(e.ctx, e.peer, claimed.domain, claimed.name, "the domain has no issuer of tokens")
		return e.refuse(i, "invalid_token")
	}
	said, err := logins.VerifyToken(e.ctx, i, token)
	switch {
	case errors.Is(err, accounts.ErrExpired):
		logins.ProofExpired(e.peer, claimed.domain, claimed.name, fault.Text(err))
		return e.refuse(i, "invalid_token")
	case fault.Is(err, fault.BadCredentials):
		logins.ProofFailed(e.ctx, e.peer, claimed.domain, claimed.name, fault.Text(err))
		return e.refuse(i, "invalid_token")
	case fault.Is(err, fault.Denied):
		logins.ProofFailed(e.ctx, e.peer, claimed.domain, claimed.name, fault.Text(err))
		return e.refuse(i, "insufficient_scope")
	case err != nil:
		e.sessionLog().LogAttrs(e.ctx, logs.LevelProblem, "a token could not be verified", slog.String("issuer", i.URL), slog.Any(logs.AttrError, err))
		return nil, false, err
	}
	who, err := e.named(said, domain)
	switch {
	case errors.Is(err, errAmbiguous):
		logins.ProofFailed(e.ctx, e.peer, claimed.domain, claimed.name, err.Error())
		return e.refuse(i, "invalid_token")
	case err != nil:
		return nil, false, err
	}
	if !who.known || name != "" && (claimed.domain != who.domain || claimed.name != who.name) {
		logins.ProofFailed(e.ctx, e.peer, claimed.domain, claimed.name, "the token is that of "+said)
		return e.refuse(i, "invalid_token")
	}
	acc, err := logins.LoginByToken(e.ctx, e.peer, who.domain, who.name, i)
	switch {
	case fault.Is(err, fault.BadCredentials):
		return e.refuse(i, "invalid_token")
	case err != nil:
		return nil, false, err
	}
	e.account, e.mailbox = acc, claimed.mailbox
	return nil, true, nil
}

// domainNamed is the domain of the account that the client names, else that of the connection.
func (e *oauthExchange) domainNamed(name string) string {
	if i := strings.LastIndexAny(name, "@%"); i >= 0 {
		if domain, ok := e.acc.DomainName(name[i+1:]); ok {
			return domain
		}
	}
	return e.domainOf(e.peer, e.tls)
}

// claimed is the account that the client names; nobody in the domain if it names none.
func (e *oauthExchange) claimed(name, domain string) (identity, error) {
	if name == "" {
		return identity{domain: domain, name: unknownMark}, nil
	}
	if !strings.ContainsAny(name, "@%") {
		name += "@" + domain
	}
	return e.resolve(e.ctx, e.peer, name)
}

var errAmbiguous = errors.New("the token names no domain, and more than one domain has its issuer")

// named is the account that a token names: by its own name or an alias, in the domain where the token is good or in the one that it names. It is
// no address that mail is sent to: details and the Router Table have no part in it, as the issuer's users would become others by them.
func (e *oauthExchange) named(said, domain string) (identity, error) {
	name := said
	if i := strings.LastIndexAny(said, "@%"); i >= 0 {
		var ok bool
		if name = said[:i]; name == "" {
			return identity{}, nil
		}
		if domain, ok = e.acc.DomainName(said[i+1:]); !ok {
			return identity{}, nil
		}
	} else if shared, err := e.acc.SharesIssuer(e.ctx, domain); err != nil {
		return identity{}, err
	} else if shared {
		return identity{}, errAmbiguous
	}
	o, err := e.acc.Object(e.ctx, domain, name)
	switch {
	case fault.Is(err, fault.NoDomain):
		return identity{}, nil
	case err != nil:
		return identity{}, err
	}
	return identity{domain: domain, name: o.Name, known: o.Kind == names.Account || o.Kind == names.Alias}, nil
}

// refuse returns the challenge with the reason (RFC 7628 section 3.2.2).
func (e *oauthExchange) refuse(i accounts.Issuer, status string) ([]byte, bool, error) {
	e.failed = fault.New("auth.OAUTHBEARER", fault.BadCredentials, "")
	said := map[string]string{"status": status}
	if e.google {
		said = map[string]string{"status": "401", "schemes": "bearer"}
	} else if i.URL != "" {
		said["openid-configuration"] = strings.TrimSuffix(i.URL, "/") + "/.well-known/openid-configuration"
	}
	if i.Scope != "" {
		said["scope"] = i.Scope
	}
	text, err := json.Marshal(said)
	if err != nil {
		return nil, false, fault.Wrap("auth.OAUTHBEARER", fault.Internal, err)
	}
	return text, false, nil
}

// kvsep separates the parts of a response.
const kvsep = "\x01"

// parseOAuthBearer reads n,a=NAME,^Aauth=Bearer TOKEN^A^A (RFC 7628 section 3.1). The token is empty if the client has none.
func parseOAuthBearer(response []byte) (name, token string, err error) {
	const op = "auth.OAUTHBEARER"
	header, rest, ok := bytes.Cut(response, []byte(kvsep))
	parts := strings.Split(string(header), ",")
	if !ok || len(parts) != 3 || parts[2] != "" || parts[0] != "n" && parts[0] != "y" {
		return "", "", malformed(op, "malformed OAUTHBEARER response")
	}
	if parts[1] != "" {
		name, ok = strings.CutPrefix(parts[1], "a=")
		if name, ok = saslName(name, ok); !ok {
			return "", "", malformed(op, "malformed name in OAUTHBEARER response")
		}
	}
	token, err = bearer(op, rest)
	return name, token, err
}

// parseXOAuth2 reads user=NAME^Aauth=Bearer TOKEN^A^A.
func parseXOAuth2(response []byte) (name, token string, err error) {
	const op = "auth.XOAUTH2"
	header, rest, ok := bytes.Cut(response, []byte(kvsep))
	name, is := strings.CutPrefix(string(header), "user=")
	if !ok || !is || name == "" {
		return "", "", malformed(op, "malformed XOAUTH2 response")
	}
	token, err = bearer(op, rest)
	return name, token, err
}

// saslName reads a name in which =2C and =3D stand for a comma and an equals sign (RFC 5801 section 4).
func saslName(text string, ok bool) (string, bool) {
	if !ok || text == "" || strings.Contains(strings.NewReplacer("=2C", "", "=3D", "").Replace(text), "=") {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(text), true
}

// bearer reads key=value pairs, each with a kvsep behind it, and one more at the end, and returns the token of auth.
func bearer(op string, pairs []byte) (token string, err error) {
	rest, ok := strings.CutSuffix(string(pairs), kvsep)
	if !ok {
		return "", malformed(op, "the response does not end as it should")
	}
	found := false
	for rest != "" {
		var pair string
		if pair, rest, ok = strings.Cut(rest, kvsep); !ok {
			return "", malformed(op, "a part of the response does not end as it should")
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
			return "", malformed(op, "malformed part of the response")
		}
		if key != "auth" {
			continue // host, port and the like
		}
		if found {
			return "", malformed(op, "auth is given twice")
		}
		if found = true; value == "" {
			continue
		}
		scheme, rest, _ := strings.Cut(value, " ")
		token = strings.Trim(rest, " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsFunc(token, func(r rune) bool { return !strings.ContainsRune(tokenCharacters, r) }) {
			return "", malformed(op, "auth is no bearer token")
		}
	}
	if !found {
		return "", malformed(op, "the response has no auth")
	}
	return token, nil
}

// tokenCharacters are those of a bearer token (RFC 6750 section 2.1).
const tokenCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

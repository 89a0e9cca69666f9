package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/server/fault"

	"github.com/go-jose/go-jose/v4/jwt"
)

// maxAsking is how many tokens issuers are asked about at a time.
const maxAsking = 16

// introspect asks the issuer about a token that it alone can read (RFC 7662).
func (v *Verifier) introspect(ctx context.Context, i accounts.Issuer, token string) (string, error) {
	const op = "oidc.Verify"
	if i.ClientID == "" {
		return "", refused("the token is no JWT, and there is no OAuthClientID to ask the issuer with")
	}
	known, err := v.know(ctx, i.URL, func(*issuer) bool { return true })
	if err != nil {
		return "", err
	}
	known.mu.Lock()
	endpoint := known.introspect
	known.mu.Unlock()
	if endpoint == "" {
		return "", refused("the token is no JWT, and the issuer cannot be asked about it (introspection_endpoint)")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	select {
	case v.asking <- struct{}{}:
		defer func() { <-v.asking }()
	case <-ctx.Done():
		return "", fault.Wrap(op, fault.Unavailable, ctx.Err())
	}
	body := url.Values{"token": {token}, "token_type_hint": {"access_token"}}.Encode()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return "", fault.Wrap(op, fault.Unavailable, err)
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret)) // RFC 6749 section 2.3.1
	var raw json.RawMessage
	if err := v.do(q, &raw); err != nil {
		return "", fault.Wrap(op, fault.Unavailable, err)
	}
	return readIntrospection(raw, i, time.Now())
}

// readIntrospection reads the issuer's answer (RFC 7662 section 2.2). Of its members only active has to be there, and whom the token is for
// or was given to.
func readIntrospection(raw []byte, i accounts.Issuer, now time.Time) (string, error) {
	var c claims
	if json.Unmarshal(raw, &c.standard) != nil || json.Unmarshal(raw, &c.all) != nil {
		return "", fault.New("oidc.Verify", fault.Unavailable, "the issuer's answer about a token cannot be read")
	}
	if c.all["active"] != true {
		return "", refused("the issuer says that the token is not in force")
	}
	client, _ := c.all["client_id"].(string)
	if len(c.standard.Audience) == 0 && slices.Contains(i.Audience, client) {
		c.standard.Audience = jwt.Audience{client}
	}
	if c.standard.Issuer == "" {
		c.standard.Issuer = i.URL
	}
	if c.standard.Expiry == nil {
		c.standard.Expiry = jwt.NewNumericDate(now)
	}
	return c.name(i, now)
}

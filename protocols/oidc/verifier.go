package oidc

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatepost/accounts"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Options are for New.
type Options struct {
	// Resolve looks up the addresses of a host. Nil: the system's way.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Roots are the authorities of issuers' certificates. Nil: those of the system.
	Roots *x509.CertPool
	Log   *slog.Logger
}

// Verifier verifies tokens. Its methods may be called by many goroutines at once.
type Verifier struct {
	client *http.Client
	log    *slog.Logger
	asking chan struct{} // a slot per token that an issuer is asked about

	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup // fetches

	mu      sync.Mutex
	issuers map[string]*issuer // by URL
}

// New returns a Verifier.
func New(o Options) *Verifier {
	v := &Verifier{client: newClient(o), log: logs.Component(o.Log, "ACCOUNT"), asking: make(chan struct{}, maxAsking), issuers: map[string]*issuer{}}
	v.life, v.end = context.WithCancel(context.Background())
	return v
}

// Close gives up what is under way. Nobody calls Verify any more.
func (v *Verifier) Close() {
	v.end()
	v.work.Wait()
}

// algorithms are those that are accepted, all with keys of two parts.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}

// leeway is how far clocks may differ.
const leeway = time.Minute

// maxTries is how many keys are tried for a token that does not say which one it is of.
const maxTries = 10

func refused(format string, args ...any) error {
	return fault.Newf("oidc.Verify", fault.BadCredentials, format, args...)
}

// Verify implements accounts.Tokens.
func (v *Verifier) Verify(ctx context.Context, i accounts.Issuer, token string) (string, error) {
	if len(i.Audience) == 0 {
		return "", refused("OAuthAudience is empty")
	}
	if strings.Count(token, ".") != 2 {
		return v.introspect(ctx, i, token)
	}
	t, err := jwt.ParseSigned(token, algorithms)
	if err != nil || len(t.Headers) != 1 {
		return "", refused("the token is no JWT with a signature of RS256, ES256 or EdDSA")
	}
	h := t.Headers[0]
	if !typeFits(h) {
		return "", refused("the token is of another type")
	}
	keys, err := v.keys(ctx, i.URL, h.KeyID)
	if err != nil {
		return "", err
	}
	var c claims
	verified := false
	for n, k := range keys {
		if n == maxTries {
			break
		}
		if k.fits(h) && t.Claims(k.public, &c.standard, &c.all) == nil {
			verified = true
			break
		}
	}
	if !verified {
		return "", refused("the signature of the token is wrong")
	}
	return c.name(i, time.Now())
}

// typeFits tells whether a token is an access token (RFC 9068), or does not say what it is for.
func typeFits(h jose.Header) bool {
	kind, ok := h.ExtraHeaders[jose.HeaderType]
	if !ok {
		return true
	}
	text, _ := kind.(string)
	switch strings.TrimPrefix(strings.ToLower(text), "application/") {
	case "jwt", "at+jwt":
		return true
	}
	return false
}

// claims are what a token says.
type claims struct {
	standard jwt.Claims
	all      map[string]any
}

// name checks the claims and returns the one that names the account.
func (c *claims) name(i accounts.Issuer, now time.Time) (string, error) {
	if c.standard.Expiry == nil {
		return "", refused("the token has no end (exp)")
	}
	switch err := c.standard.ValidateWithLeeway(jwt.Expected{Issuer: i.URL, AnyAudience: jwt.Audience(i.Audience), Time: now}, leeway); err {
	case nil:
	case jwt.ErrInvalidIssuer:
		return "", refused("the token is of another issuer: %.100q", c.standard.Issuer)
	case jwt.ErrInvalidAudience:
		return "", refused("the token is for somebody else: %.200q", []string(c.standard.Audience))
	case jwt.ErrExpired:
		return "", &fault.Error{Op: "oidc.Verify", Kind: fault.BadCredentials, Err: accounts.ErrExpired,
			Text: "the token has expired at " + c.standard.Expiry.Time().UTC().Format(time.RFC3339)}
	default:
		return "", refused("the token is not in force: %v", err)
	}
	return c.subject(i)
}

// subject returns the claim that names the account, if the scope is right.
func (c *claims) subject(i accounts.Issuer) (string, error) {
	if !c.allows(i.Scope) {
		return "", fault.Newf("oidc.Verify", fault.Denied, "the token does not allow %q", i.Scope)
	}
	name, ok := c.all[i.Claim].(string)
	switch {
	case !ok || name == "":
		return "", refused("the token has no claim %q with a name", i.Claim)
	case len(name) > 320 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", refused("the claim %q is no name", i.Claim)
	}
	if verified, said := c.all["email_verified"]; i.Claim == "email" && said && verified != true && verified != "true" {
		return "", refused("the issuer has not verified the address in the token")
	}
	return name, nil
}

// allows tells whether the token has all words of a scope: in scope (RFC 9068 section 2.2.3), or in scp, as some issuers write it.
func (c *claims) allows(wanted string) bool {
	have := map[string]bool{}
	for _, key := range []string{"scope", "scp"} {
		switch v := c.all[key].(type) {
		case string:
			for word := range strings.FieldsSeq(v) {
				have[word] = true
			}
		case []any:
			for _, one := range v {
				if word, ok := one.(string); ok {
					have[word] = true
				}
			}
		}
	}
	for word := range strings.FieldsSeq(wanted) {
		if !have[word] {
			return false
		}
	}
	return true
}

// dialer connects by the server's resolver.
func dialer(o Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: fetchLimit}
	if o.Resolve == nil {
		return d.DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
			return d.DialContext(ctx, network, address)
		}
		list, err := o.Resolve(ctx, host)
		if err != nil {
			return nil, err
		}
		err = fault.New("oidc.Dial", fault.Unavailable, host+" has no address")
		for _, ip := range list[:min(len(list), 4)] {
			var c net.Conn
			if c, err = d.DialContext(ctx, network, net.JoinHostPort(ip.String(), port)); err == nil {
				return c, nil
			}
		}
		return nil, err
	}
}

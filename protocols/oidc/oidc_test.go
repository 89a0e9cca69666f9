package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// site is an issuer on loopback.
type site struct {
	*httptest.Server
	t    testing.TB
	keys map[string]any // private, by kid

	mu       sync.Mutex
	set      []any // what is published besides the keys
	hide     map[string]bool
	issuer   string // what it calls itself, if not its URL
	jwks     string // where its keys are, if not there
	status   int    // of the keys
	length   int    // of the answer with the keys
	fetches  atomic.Int64
	answer   string // about tokens
	asked    string // what it was asked about
	withAuth string
}

var (
	rsaKey  = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	weakKey = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 1024); return k })
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSite(t testing.TB) *site {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s := &site{t: t, keys: map[string]any{"rsa": rsaKey(), "ec": ec, "ed": ed, "large": large}, hide: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.URL.Path {
	case wellKnown:
		about := map[string]string{"issuer": s.URL, "jwks_uri": s.URL + "/keys", "introspection_endpoint": s.URL + "/ask"}
		if s.issuer != "" {
			about["issuer"] = s.issuer
		}
		if s.jwks != "" {
			about["jwks_uri"] = s.jwks
		}
		_ = json.NewEncoder(w).Encode(about)
	case "/keys":
		s.fetches.Add(1)
		if s.status != 0 {
			w.WriteHeader(s.status)
		}
		list := append([]any{}, s.set...)
		for id, k := range s.keys {
			if !s.hide[id] {
				list = append(list, jose.JSONWebKey{Key: k.(crypto.Signer).Public(), KeyID: id, Use: "sig"})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": list, "filler": strings.Repeat("x", s.length)})
	case "/ask":
		s.asked, s.withAuth = r.FormValue("token"), r.Header.Get("Authorization")
		_, _ = w.Write([]byte(s.answer))
	case "/moved":
		http.Redirect(w, r, "/keys", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

// claimsNow are those of a good token.
func (s *site) claimsNow() map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": s.URL, "aud": "gatepost", "exp": now + 600, "iat": now, "email": "u@c.com", "scope": "openid mail"}
}

// token signs claims.
func (s *site) token(alg jose.SignatureAlgorithm, kid string, key any, claims map[string]any) string {
	s.t.Helper()
	o := &jose.SignerOptions{}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, o.WithType("JWT"))
	must(s.t, err)
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	must(s.t, err)
	return text
}

func (s *site) verifier() *Verifier {
	v := New(Options{Log: slog.New(slog.DiscardHandler)})
	s.t.Cleanup(v.Close)
	return v
}

func (s *site) as() accounts.Issuer {
	return accounts.Issuer{URL: s.URL, Audience: []string{"other", "gatepost"}, Claim: "email"}
}

// with returns good claims with others in their place; nil takes one away.
func (s *site) with(change map[string]any) map[string]any {
	c := s.claimsNow()
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

type claimsOf = map[string]any

func TestGoodTokens(t *testing.T) {
	s := newSite(t)
	v := s.verifier()
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		token  string
		change func(*accounts.Issuer)
		want   string
	}{
		"RS256":           {s.token(jose.RS256, "rsa", s.keys["rsa"], s.claimsNow()), nil, "u@c.com"},
		"ES256":           {s.token(jose.ES256, "ec", s.keys["ec"], s.claimsNow()), nil, "u@c.com"},
		"EdDSA":           {s.token(jose.EdDSA, "ed", s.keys["ed"], s.claimsNow()), nil, "u@c.com"},
		"without kid":     {s.token(jose.EdDSA, "", s.keys["ed"], s.claimsNow()), nil, "u@c.com"},
		"many audiences":  {s.token(jose.ES256, "ec", s.keys["ec"], s.with(claimsOf{"aud": []string{"x", "gatepost"}})), nil, "u@c.com"},
		"just expired":    {s.token(jose.ES256, "ec", s.keys["ec"], s.with(claimsOf{"exp": now - 30})), nil, "u@c.com"},
		"another claim":   {s.token(jose.ES256, "ec", s.keys["ec"], s.with(claimsOf{"preferred_username": "joe"})), func(i *accounts.Issuer) { i.Claim = "preferred_username" }, "joe"},
		"verified":        {s.token(jose.ES256, "ec", s.keys["ec"], s.with(claimsOf{"email_verified": true})), nil, "u@c.com"},
		"scope":           {s.token(jose.ES256, "ec", s.keys["ec"], s.claimsNow()), func(i *accounts.Issuer) { i.Scope = "mail" }, "u@c.com"},
		"scope in a list": {s.token(jose.ES256, "ec", s.keys["ec"], s.with(claimsOf{"scope": nil, "scp": []string{"mail", "x"}})), func(i *accounts.Issuer) { i.Scope = "x mail" }, "u@c.com"},
	} {
		i := s.as()
		if c.change != nil {
			c.change(&i)
		}
		if got, err := v.Verify(t.Context(), i, c.token); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if n := s.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// forged makes a token by hand.
func forged(header, claims map[string]any, signature []byte) string {
	enc := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return enc(header) + "." + enc(claims) + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestBadTokens(t *testing.T) {
	s := newSite(t)
	s.keys["weak"] = weakKey()
	s.set = []any{
		map[string]string{"kty": "oct", "kid": "shared", "k": base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))},
		map[string]string{"kty": "unheard of"}, "no key", nil,
		jose.JSONWebKey{Key: s.keys["ec"].(crypto.Signer).Public(), KeyID: "encrypts", Use: "enc"},
		jose.JSONWebKey{Key: s.keys["rsa"].(crypto.Signer).Public(), KeyID: "pss", Algorithm: "PS256"},
	}
	v := s.verifier()
	now := time.Now().Unix()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	good := s.token(jose.ES256, "ec", s.keys["ec"], s.claimsNow())
	parts := strings.Split(good, ".")
	public, err := x509.MarshalPKIXPublicKey(s.keys["rsa"].(crypto.Signer).Public())
	must(t, err)
	ec := func(change claimsOf) string { return s.token(jose.ES256, "ec", s.keys["ec"], s.with(change)) }
	embedded := func() string {
		o := &jose.SignerOptions{EmbedJWK: true}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: other}, o)
		must(t, err)
		text, err := jwt.Signed(signer).Claims(s.claimsNow()).Serialize()
		must(t, err)
		return text
	}
	typed := func(kind string) string {
		o := &jose.SignerOptions{}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.keys["ec"], KeyID: "ec"}}, o.WithType(jose.ContentType(kind)))
		must(t, err)
		text, err := jwt.Signed(signer).Claims(s.claimsNow()).Serialize()
		must(t, err)
		return text
	}
	for name, c := range map[string]struct{ token, reason string }{
		"none":                          {forged(claimsOf{"alg": "none"}, s.claimsNow(), nil), "no JWT with a signature"},
		"None":                          {forged(claimsOf{"alg": "None"}, s.claimsNow(), nil), "no JWT with a signature"},
		"none with a kid":               {forged(claimsOf{"alg": "none", "kid": "ec"}, s.claimsNow(), []byte("x")), "no JWT with a signature"},
		"without a signature":           {parts[0] + "." + parts[1] + ".", "signature of the token is wrong"},
		"HS256 with the public key":     {s.token(jose.HS256, "rsa", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), s.claimsNow()), "no JWT with a signature"},
		"HS256 with the shared key":     {s.token(jose.HS256, "shared", []byte(strings.Repeat("k", 32)), s.claimsNow()), "no JWT with a signature"},
		"the shared key's ID":           {s.token(jose.ES256, "shared", other, s.claimsNow()), "no key"},
		"RS512":                         {s.token(jose.RS512, "rsa", s.keys["rsa"], s.claimsNow()), "no JWT with a signature"},
		"ES384":                         {s.token(jose.ES384, "large", s.keys["large"], s.claimsNow()), "no JWT with a signature"},
		"key of 1024 bits":              {s.token(jose.RS256, "weak", s.keys["weak"], s.claimsNow()), "no key"},
		"key for encryption":            {s.token(jose.ES256, "encrypts", s.keys["ec"], s.claimsNow()), "no key"},
		"key for another algorithm":     {s.token(jose.RS256, "pss", s.keys["rsa"], s.claimsNow()), "no key"},
		"another's key":                 {s.token(jose.ES256, "ec", other, s.claimsNow()), "signature of the token is wrong"},
		"key of another algorithm":      {s.token(jose.ES256, "rsa", other, s.claimsNow()), "signature of the token is wrong"},
		"key in the token":              {embedded(), "signature of the token is wrong"},
		"kid that is a path":            {s.token(jose.ES256, "../../../../dev/null", other, s.claimsNow()), "no key"},
		"kid that is a URL":             {s.token(jose.ES256, "https://evil.test/key", other, s.claimsNow()), "no key"},
		"changed":                       {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"email":"boss@c.com"}`)) + "." + parts[2], "signature of the token is wrong"},
		"two dots":                      {"..", "no JWT"},
		"not base64":                    {"a.b.c", "no JWT"},
		"encrypted":                     {"a.b.c.d.e", "no JWT"},
		"opaque":                        {"abcdef", "no OAuthClientID"},
		"expired":                       {ec(claimsOf{"exp": now - 120}), "has expired"},
		"without an end":                {ec(claimsOf{"exp": nil}), "has no end"},
		"expired and another's":         {s.token(jose.ES256, "ec", other, s.with(claimsOf{"exp": now - 120})), "signature of the token is wrong"},
		"expired and for others":        {ec(claimsOf{"exp": now - 120, "aud": "webshop"}), "for somebody else"},
		"of the future":                 {ec(claimsOf{"nbf": now + 300}), "not in force"},
		"issued in the future":          {ec(claimsOf{"iat": now + 300}), "not in force"},
		"of another issuer":             {ec(claimsOf{"iss": "https://evil.test"}), "of another issuer"},
		"with a slash more":             {ec(claimsOf{"iss": s.URL + "/"}), "of another issuer"},
		"for another audience":          {ec(claimsOf{"aud": "webshop"}), "for somebody else"},
		"for nobody":                    {ec(claimsOf{"aud": nil}), "for somebody else"},
		"for a client, not an audience": {ec(claimsOf{"aud": "webshop", "azp": "gatepost", "client_id": "gatepost"}), "for somebody else"},
		"without an address":            {ec(claimsOf{"email": nil}), "no claim"},
		"with a number as address":      {ec(claimsOf{"email": 5}), "no claim"},
		"with an empty address":         {ec(claimsOf{"email": ""}), "no claim"},
		"with a line end in it":         {ec(claimsOf{"email": "u@c.com\r\nx"}), "is no name"},
		"with a long one":               {ec(claimsOf{"email": strings.Repeat("x", 400)}), "is no name"},
		"address not verified":          {ec(claimsOf{"email_verified": false}), "not verified"},
		"address not verified, as text": {ec(claimsOf{"email_verified": "false"}), "not verified"},
		"token for a logout":            {typed("logout+jwt"), "another type"},
		"token of the DPoP proof":       {typed("dpop+jwt"), "another type"},
	} {
		got, err := v.Verify(t.Context(), s.as(), c.token)
		if got != "" || !fault.Is(err, fault.BadCredentials) || !strings.Contains(fault.Text(err), c.reason) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if errors.Is(err, accounts.ErrExpired) != (name == "expired") {
			t.Errorf("%s: its time is over: %v", name, err)
		}
		if err != nil && len(c.token) > 20 && strings.Contains(err.Error(), c.token[:20]) {
			t.Errorf("%s: the token is in the error: %v", name, err)
		}
	}
	i := s.as()
	i.Scope = "mail admin"
	if _, err := v.Verify(t.Context(), i, good); !fault.Is(err, fault.Denied) {
		t.Errorf("without the scope: %v", err)
	}
	i = s.as()
	i.Audience = nil
	if _, err := v.Verify(t.Context(), i, good); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("without an audience: %v", err)
	}
	if _, err := v.Verify(t.Context(), s.as(), typed("at+jwt")); err != nil {
		t.Errorf("an access token: %v", err)
	}
	if _, err := v.Verify(t.Context(), s.as(), good); err != nil {
		t.Errorf("the good token: %v", err)
	}
	if n := s.fetches.Load(); n > 2 {
		t.Errorf("%d fetches for keys that are not there", n)
	}
}

func TestIssuersThatAreWrong(t *testing.T) {
	for name, change := range map[string]func(*site){
		"another issuer":     func(s *site) { s.issuer = "https://evil.test" },
		"keys elsewhere":     func(s *site) { s.jwks = "http://192.0.2.1/keys" },
		"keys in a file":     func(s *site) { s.jwks = "file:///etc/passwd" },
		"no keys":            func(s *site) { s.hide["rsa"], s.hide["ec"], s.hide["ed"] = true, true, true },
		"an error":           func(s *site) { s.status = 500 },
		"a redirection":      func(s *site) { s.jwks = s.URL + "/moved" },
		"too long an answer": func(s *site) { s.length = maxAnswer },
		"not there":          func(s *site) { s.Close() },
	} {
		s := newSite(t)
		token := s.token(jose.ES256, "ec", s.keys["ec"], s.claimsNow())
		change(s)
		v := s.verifier()
		for range 3 {
			if got, err := v.Verify(t.Context(), s.as(), token); got != "" || !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if n := s.fetches.Load(); n > 1 {
			t.Errorf("%s: %d fetches at once", name, n)
		}
	}
}

// fakeTransport answers without a network, so that time is the test's.
type fakeTransport struct{ s *site }

func (f fakeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	f.s.ServeHTTP(w, r)
	return w.Result(), nil
}

// Keys are used for an hour, then fetched anew; an unknown kid has them fetched once a minute; while they cannot be fetched, those at hand
// serve for a day.
func TestKeysAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		_, ed, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		s := &site{t: t, Server: &httptest.Server{URL: "https://login.test"}, keys: map[string]any{"ec": ec, "next": ed}, hide: map[string]bool{"next": true}}
		v := New(Options{Log: slog.New(slog.DiscardHandler)})
		v.client.Transport = fakeTransport{s}
		defer v.Close()
		verify := func(kid string, wantFetches int64) error {
			t.Helper()
			alg := jose.ES256
			if kid == "next" {
				alg = jose.EdDSA
			}
			_, err := v.Verify(t.Context(), s.as(), s.token(alg, kid, s.keys[kid], s.claimsNow()))
			synctest.Wait()
			if n := s.fetches.Load(); n != wantFetches {
				t.Errorf("%d fetches, want %d", n, wantFetches)
			}
			return err
		}
		must(t, verify("ec", 1))
		time.Sleep(59 * time.Minute)
		must(t, verify("ec", 1))
		time.Sleep(2 * time.Minute)
		must(t, verify("ec", 2)) // in the background
		for range 5 {
			if err := verify("next", 2); !fault.Is(err, fault.BadCredentials) {
				t.Error(err)
			}
		}
		time.Sleep(kidsAfter)
		if err := verify("next", 3); !fault.Is(err, fault.BadCredentials) {
			t.Error(err)
		}
		s.mu.Lock()
		s.hide["next"] = false
		s.mu.Unlock()
		time.Sleep(kidsAfter)
		must(t, verify("next", 4))
		s.mu.Lock()
		s.status = 503
		s.mu.Unlock()
		time.Sleep(23 * time.Hour)
		must(t, verify("ec", 5))
		must(t, verify("ec", 5)) // not again at once
		time.Sleep(2 * time.Hour)
		if err := verify("ec", 6); !fault.Is(err, fault.Unavailable) {
			t.Errorf("keys of yesterday: %v", err)
		}
		s.mu.Lock()
		s.status = 0
		s.mu.Unlock()
		time.Sleep(retryAfter)
		must(t, verify("ec", 7))
	})
}

// One that waits in vain gives up with its session, and the others get the keys by one fetch.
func TestOneFetchForMany(t *testing.T) {
	s := newSite(t)
	v := s.verifier()
	token := s.token(jose.ES256, "ec", s.keys["ec"], s.claimsNow())
	s.mu.Lock() // holds the answer
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 11)
	go func() {
		_, err := v.Verify(ctx, s.as(), token)
		errs <- err
	}()
	cancel()
	if err := <-errs; !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
	for range 10 {
		go func() {
			_, err := v.Verify(t.Context(), s.as(), token)
			errs <- err
		}()
	}
	s.mu.Unlock()
	for range 10 {
		must(t, <-errs)
	}
	if n := s.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestIssuersAreBounded(t *testing.T) {
	v := New(Options{Log: slog.New(slog.DiscardHandler)})
	defer v.Close()
	for n := range maxIssuers + 50 {
		v.issuer(fmt.Sprint("https://login.test/", n)).tried = time.Unix(int64(n), 0)
	}
	if n := len(v.issuers); n != maxIssuers || v.issuers["https://login.test/0"] != nil {
		t.Errorf("%d issuers are known", n)
	}
}

func TestIntrospection(t *testing.T) {
	s := newSite(t)
	v := s.verifier()
	i := s.as()
	i.ClientID, i.ClientSecret = "mail server", "s:cret"
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		answer, want string
		kind         fault.Kind
	}{
		"in force":             {fmt.Sprintf(`{"active":true,"aud":"gatepost","email":"u@c.com","exp":%d}`, now+60), "u@c.com", 0},
		"by its client":        {`{"active":true,"client_id":"gatepost","email":"u@c.com"}`, "u@c.com", 0},
		"of another client":    {`{"active":true,"client_id":"webshop","email":"u@c.com"}`, "", fault.BadCredentials},
		"for nobody":           {`{"active":true,"email":"u@c.com"}`, "", fault.BadCredentials},
		"for another audience": {`{"active":true,"aud":"webshop","client_id":"gatepost","email":"u@c.com"}`, "", fault.BadCredentials},
		"of another issuer":    {`{"active":true,"iss":"https://evil.test","aud":"gatepost","email":"u@c.com"}`, "", fault.BadCredentials},
		"expired":              {fmt.Sprintf(`{"active":true,"aud":"gatepost","email":"u@c.com","exp":%d}`, now-120), "", fault.BadCredentials},
		"not in force":         {`{"active":false,"aud":"gatepost","email":"u@c.com"}`, "", fault.BadCredentials},
		"in force as a text":   {`{"active":"true","aud":"gatepost","email":"u@c.com"}`, "", fault.BadCredentials},
		"nothing":              {`{}`, "", fault.BadCredentials},
		"no JSON":              {`<html>`, "", fault.Unavailable},
		"a list":               {`[true]`, "", fault.Unavailable},
		"too long":             {`{"active":true,"x":"` + strings.Repeat("x", maxAnswer) + `"}`, "", fault.Unavailable},
	} {
		s.mu.Lock()
		s.answer = c.answer
		s.mu.Unlock()
		got, err := v.Verify(t.Context(), i, "opaque-token")
		if got != c.want || (err != nil) != (c.want == "") || err != nil && !fault.Is(err, c.kind) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "opaque-token") {
			t.Errorf("%s: the token is in the error: %v", name, err)
		}
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("mail+server:s%3Acret")); s.withAuth != want || s.asked != "opaque-token" {
		t.Errorf("asked with %s about %s", s.withAuth, s.asked)
	}
}

func FuzzVerify(f *testing.F) {
	s := newSite(f)
	v := s.verifier()
	i := s.as()
	good := s.token(jose.ES256, "ec", s.keys["ec"], s.claimsNow())
	for _, text := range []string{"", "..", "a.b.c", good[:len(good)-4] + "AAAA", forged(claimsOf{"alg": "ES256", "kid": 5}, nil, nil), forged(claimsOf{"alg": "ES256", "crit": []string{"exp"}}, nil, []byte("x"))} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if name, err := v.Verify(t.Context(), i, token); err == nil && name != "u@c.com" {
			t.Errorf("%q lets %q in", token, name)
		}
	})
}

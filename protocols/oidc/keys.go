package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatepost/accounts"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

const (
	fetchLimit = 15 * time.Second // for one fetch, of two documents
	maxAnswer  = 1 << 20          // bytes of a document
	maxKeys    = 100
	maxIssuers = 1000

	freshFor   = time.Hour        // then keys are fetched anew
	usableFor  = 24 * time.Hour   // keys that cannot be fetched anew
	retryAfter = 30 * time.Second // when a fetch has failed
	kidsAfter  = time.Minute      // when a token names a key that is not there
)

// wellKnown is where an issuer describes itself (OpenID Connect Discovery 1.0 section 4).
const wellKnown = "/.well-known/openid-configuration"

// ConfigurationURL is where an issuer describes itself.
func ConfigurationURL(issuer string) string { return strings.TrimSuffix(issuer, "/") + wellKnown }

// issuer is what is known of one issuer.
type issuer struct {
	url string

	mu         sync.Mutex // guards the rest, never held over network I/O
	keys       []key
	introspect string    // where it is asked about tokens
	fetched    time.Time // when keys came last
	tried      time.Time
	err        error         // of the last try
	under      chan struct{} // closed when the fetch under way has ended; nil for none
}

// key is a public key of an issuer.
type key struct {
	id, algorithm string
	public        any
}

// fits tells whether a token may be signed by the key. The algorithm follows from the key, and not from what a token says.
func (k key) fits(h jose.Header) bool {
	return (h.KeyID == "" || h.KeyID == k.id) && h.Algorithm == k.algorithm
}

// readKey reads a key of a set (RFC 7517). Keys that are of no use here are left out.
func readKey(raw json.RawMessage) (key, bool) {
	var j jose.JSONWebKey
	if j.UnmarshalJSON(raw) != nil || !j.Valid() || !j.IsPublic() || j.Use != "" && j.Use != "sig" {
		return key{}, false
	}
	k := key{id: j.KeyID, public: j.Key}
	switch p := j.Key.(type) {
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < 2048 || n > 8192 {
			return key{}, false
		}
		k.algorithm = string(jose.RS256)
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return key{}, false
		}
		k.algorithm = string(jose.ES256)
	case ed25519.PublicKey:
		k.algorithm = string(jose.EdDSA)
	default:
		return key{}, false
	}
	return k, j.Algorithm == "" || j.Algorithm == k.algorithm
}

// keys returns the issuer's keys, among them the one with an ID, if it is not empty.
func (v *Verifier) keys(ctx context.Context, url, id string) ([]key, error) {
	i, err := v.know(ctx, url, func(i *issuer) bool { return i.has(id) })
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.has(id) {
		return nil, refused("the issuer has no key %.60q", id)
	}
	if id == "" {
		return i.keys, nil
	}
	var list []key
	for _, k := range i.keys {
		if k.id == id {
			list = append(list, k)
		}
	}
	return list, nil
}

// has tells whether there is a key with an ID; the caller holds the lock.
func (i *issuer) has(id string) bool {
	for _, k := range i.keys {
		if id == "" || k.id == id {
			return true
		}
	}
	return false
}

// know returns what is known of an issuer, fetched if need be. enough tells whether that is what the caller needs; it is called with
// the lock.
func (v *Verifier) know(ctx context.Context, url string, enough func(*issuer) bool) (*issuer, error) {
	i := v.issuer(url)
	for {
		i.mu.Lock()
		now := time.Now()
		age, since := now.Sub(i.fetched), now.Sub(i.tried)
		usable := !i.fetched.IsZero() && age < usableFor
		waits := i.err != nil && since < retryAfter
		satisfied := usable && enough(i)
		switch {
		case satisfied && age < freshFor:
			i.mu.Unlock()
			return i, nil
		case i.under == nil && !waits && (!usable || age >= freshFor || since >= kidsAfter):
			v.start(i, now)
		case i.under == nil: // it was looked lately
			err := i.err
			i.mu.Unlock()
			if usable {
				return i, nil
			}
			return nil, fault.Wrap("oidc.Verify", fault.Unavailable, err)
		}
		under := i.under
		i.mu.Unlock()
		if satisfied { // the new ones come meanwhile
			return i, nil
		}
		select {
		case <-under:
		case <-ctx.Done():
			return nil, fault.Wrap("oidc.Verify", fault.Canceled, ctx.Err())
		}
	}
}

// issuer returns what is known of an issuer so far. Of too many, the one that was not asked for the longest time is dropped.
func (v *Verifier) issuer(url string) *issuer {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := v.issuers[url]; i != nil {
		return i
	}
	if len(v.issuers) >= maxIssuers {
		var oldest *issuer
		var at time.Time
		for _, i := range v.issuers {
			i.mu.Lock()
			tried := i.tried
			i.mu.Unlock()
			if oldest == nil || tried.Before(at) {
				oldest, at = i, tried
			}
		}
		delete(v.issuers, oldest.url)
	}
	i := &issuer{url: url}
	v.issuers[url] = i
	return i
}

// start begins a fetch; the caller holds the issuer's lock.
func (v *Verifier) start(i *issuer, now time.Time) {
	under := make(chan struct{})
	i.under, i.tried = under, now // after Close the fetch fails at once
	v.work.Go(func() {
		ctx, cancel := context.WithTimeout(v.life, fetchLimit)
		defer cancel()
		keys, introspect, err := v.fetch(ctx, i.url)
		if err != nil {
			v.log.LogAttrs(v.life, logs.LevelProblem, "the keys of an issuer of tokens could not be fetched", slog.String("issuer", i.url), slog.Any(logs.AttrError, err))
		} else {
			v.log.LogAttrs(v.life, logs.LevelLowLevel, "the keys of an issuer of tokens were fetched", slog.String("issuer", i.url), slog.Int("keys", len(keys)))
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.err = err; err == nil {
			i.keys, i.introspect, i.fetched = keys, introspect, time.Now()
		}
		i.under = nil
		close(under)
	})
}

// fetch reads the issuer's documents.
func (v *Verifier) fetch(ctx context.Context, url string) (keys []key, introspect string, err error) {
	var about struct {
		Issuer        string `json:"issuer"`
		Keys          string `json:"jwks_uri"`
		Introspection string `json:"introspection_endpoint"`
	}
	if err := v.get(ctx, ConfigurationURL(url), &about); err != nil {
		return nil, "", err
	}
	if about.Issuer != url {
		return nil, "", fmt.Errorf("%s is of the issuer %.200q", ConfigurationURL(url), about.Issuer)
	}
	if err := accounts.CheckIssuerURL(about.Keys); err != nil {
		return nil, "", fmt.Errorf("jwks_uri of %s: %w", ConfigurationURL(url), err)
	}
	if about.Introspection != "" && accounts.CheckIssuerURL(about.Introspection) == nil {
		introspect = about.Introspection
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := v.get(ctx, about.Keys, &set); err != nil {
		return nil, "", err
	}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		if k, ok := readKey(raw); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, "", fmt.Errorf("%s has no key for RS256, ES256 or EdDSA", about.Keys)
	}
	return keys, introspect, nil
}

func newClient(o Options) *http.Client {
	return &http.Client{
		Timeout: fetchLimit,
		Transport: &http.Transport{
			DialContext: dialer(o), TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get reads a JSON document.
func (v *Verifier) get(ctx context.Context, url string, into any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return v.do(q, into)
}

// do sends a request and reads the JSON in its answer. Errors name the URL.
func (v *Verifier) do(q *http.Request, into any) error {
	q.Header.Set("Accept", "application/json")
	wrong := func(err error) error { return fmt.Errorf("%s: %w", q.URL, err) }
	answer, err := v.client.Do(q)
	if err != nil {
		return err // has the URL
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return wrong(fmt.Errorf("the answer is %d, and 200 is expected", answer.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return wrong(err)
	case len(text) > maxAnswer:
		return wrong(errors.New("the answer is longer than 1 MB"))
	}
	if err := json.Unmarshal(text, into); err != nil {
		return wrong(errors.New("the answer is not the JSON that is expected"))
	}
	return nil
}

package auth

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// fakeTokens takes a token "as-NAME" as one of NAME.
type fakeTokens struct{ asked []accounts.Issuer }

func (f *fakeTokens) Verify(_ context.Context, i accounts.Issuer, token string) (string, error) {
	f.asked = append(f.asked, i)
	name, ok := strings.CutPrefix(token, "as-")
	switch {
	case token == "later":
		return "", fault.New("fake", fault.Unavailable, "the issuer does not answer")
	case token == "old":
		return "", &fault.Error{Op: "fake", Kind: fault.BadCredentials, Text: "the token has expired", Err: accounts.ErrExpired}
	case token == "little":
		return "", fault.New("fake", fault.Denied, "the token does not allow it")
	case !ok:
		return "", fault.New("fake", fault.BadCredentials, "the signature of the token is wrong")
	}
	return strings.NewReplacer("-at-", "@").Replace(name), nil
}

// newTokens is newAuth where c.com has an issuer.
func newTokens(t testing.TB) (*Authenticator, *accounts.Store, *fakeTokens) {
	f := &fakeTokens{}
	a, acc := newAuth(t, "alias.test = c.com", func(o *accounts.Options) { o.Tokens = f })
	must(t, acc.DomainSettings("c.com").Update(ctx, issuerSettings("https://login.c.com")))
	must(t, acc.CreateAccount(ctx, "c.com", "v", dataformat.Dict{}))
	must(t, acc.SetAccountAliases(ctx, "c.com", "u", []string{"nick"}))
	return a, acc, f
}

func issuerSettings(url string) dataformat.Dict {
	return dataformat.Dict{"OAuthIssuer": dataformat.String(url), "OAuthAudience": dataformat.Array{dataformat.String("gatepost")}, "OAuthScope": dataformat.String("mail")}
}

// show runs a mechanism with one response, and answers a challenge as clients do.
func show(t testing.TB, a *Authenticator, p accounts.Peer, mech, response string) (who *accounts.Account, challenge string, err error) {
	t.Helper()
	e, err := a.Start(ctx, mech, p, nil, "c.com")
	must(t, err)
	defer e.Cancel()
	text, done, err := e.Next([]byte(response))
	if err != nil || done {
		return e.Account(), "", err
	}
	if _, done, err = e.Next([]byte("\x01")); err == nil || done || e.Account() != nil {
		t.Errorf("after the challenge %s: %v %v", text, done, err)
	}
	return nil, string(text), err
}

func TestTokens(t *testing.T) {
	a, _, f := newTokens(t)
	if got := a.Mechanisms(ctx, peer, true, nil); !slices.Contains(got, OAuthBearer) || !slices.Contains(got, XOAuth2) {
		t.Errorf("%v are offered", got)
	}
	if got := a.Mechanisms(ctx, peer, false, nil); slices.Contains(got, OAuthBearer) {
		t.Error("offered where the token would be sent in clear")
	}
	clear := accounts.Peer{IP: fromElsewhere, Service: "IMAP"}
	if _, err := a.Start(ctx, OAuthBearer, clear, nil, "c.com"); !fault.Is(err, fault.TLSRequired) {
		t.Errorf("in clear: %v", err)
	}
	const invalid = `{"openid-configuration":"https://login.c.com/.well-known/openid-configuration","scope":"mail","status":"invalid_token"}`
	const google = `{"schemes":"bearer","scope":"mail","status":"401"}`
	for name, c := range map[string]struct {
		mech, response, want, challenge string
		kind                            fault.Kind
	}{
		"OAUTHBEARER":             {OAuthBearer, "n,a=u@c.com,\x01host=c.com\x01port=143\x01auth=Bearer as-u-at-c.com\x01\x01", "u@c.com", "", 0},
		"without a name":          {OAuthBearer, "n,,\x01auth=Bearer as-u-at-c.com\x01\x01", "u@c.com", "", 0},
		"name without a domain":   {OAuthBearer, "n,a=u,\x01auth=bearer as-u\x01\x01", "u@c.com", "", 0},
		"an alias":                {OAuthBearer, "n,a=nick@alias.test,\x01auth=Bearer as-u\x01\x01", "u@c.com", "", 0},
		"an alias in the token":   {OAuthBearer, "n,a=u@c.com,\x01auth=Bearer as-nick\x01\x01", "u@c.com", "", 0},
		"XOAUTH2":                 {XOAuth2, "user=u@c.com\x01auth=Bearer as-u-at-c.com\x01\x01", "u@c.com", "", 0},
		"without a password":      {XOAuth2, "user=v@c.com\x01auth=Bearer as-v\x01\x01", "v@c.com", "", 0},
		"wrong token":             {OAuthBearer, "n,a=u@c.com,\x01auth=Bearer bad\x01\x01", "", invalid, fault.BadCredentials},
		"wrong token, XOAUTH2":    {XOAuth2, "user=u@c.com\x01auth=Bearer bad\x01\x01", "", google, fault.BadCredentials},
		"too little scope":        {OAuthBearer, "n,,\x01auth=Bearer little\x01\x01", "", strings.Replace(invalid, "invalid_token", "insufficient_scope", 1), fault.BadCredentials},
		"another's token":         {OAuthBearer, "n,a=u@c.com,\x01auth=Bearer as-v\x01\x01", "", invalid, fault.BadCredentials},
		"another's, XOAUTH2":      {XOAuth2, "user=postmaster\x01auth=Bearer as-u\x01\x01", "", google, fault.BadCredentials},
		"nobody's token":          {OAuthBearer, "n,,\x01auth=Bearer as-nosuch\x01\x01", "", invalid, fault.BadCredentials},
		"nobody's name":           {OAuthBearer, "n,a=nosuch@c.com,\x01auth=Bearer as-u\x01\x01", "", invalid, fault.BadCredentials},
		"of another domain":       {OAuthBearer, "n,,\x01auth=Bearer as-u-at-d.com\x01\x01", "", invalid, fault.BadCredentials},
		"domain without issuer":   {OAuthBearer, "n,a=u@d.com,\x01auth=Bearer as-u-at-d.com\x01\x01", "", `{"status":"invalid_token"}`, fault.BadCredentials},
		"a foreign domain":        {OAuthBearer, "n,a=u@elsewhere.test,\x01auth=Bearer as-u-at-elsewhere.test\x01\x01", "", invalid, fault.BadCredentials},
		"asks where":              {OAuthBearer, "n,a=u@c.com,\x01auth=\x01\x01", "", invalid, fault.BadCredentials},
		"issuer does not answer":  {OAuthBearer, "n,,\x01auth=Bearer later\x01\x01", "", "", fault.Unavailable},
		"empty":                   {OAuthBearer, "", "", "", fault.Invalid},
		"a binding":               {OAuthBearer, "p=tls-exporter,,\x01auth=Bearer as-u\x01\x01", "", "", fault.Invalid},
		"no header":               {OAuthBearer, "auth=Bearer as-u\x01\x01", "", "", fault.Invalid},
		"no end":                  {OAuthBearer, "n,,\x01auth=Bearer as-u\x01", "", "", fault.Invalid},
		"no end at all":           {OAuthBearer, "n,,\x01auth=Bearer as-u", "", "", fault.Invalid},
		"two tokens":              {OAuthBearer, "n,,\x01auth=Bearer as-u\x01auth=Bearer as-v\x01\x01", "", "", fault.Invalid},
		"no token":                {OAuthBearer, "n,,\x01host=x\x01\x01", "", "", fault.Invalid},
		"another scheme":          {OAuthBearer, "n,,\x01auth=Basic dTpy\x01\x01", "", "", fault.Invalid},
		"a blank in the token":    {OAuthBearer, "n,,\x01auth=Bearer as u\x01\x01", "", "", fault.Invalid},
		"a line end in the token": {OAuthBearer, "n,,\x01auth=Bearer as-u\r\nx\x01\x01", "", "", fault.Invalid},
		"a bad key":               {OAuthBearer, "n,,\x01a b=c\x01auth=Bearer as-u\x01\x01", "", "", fault.Invalid},
		"a bad name":              {OAuthBearer, "n,a=u=2x,\x01auth=Bearer as-u\x01\x01", "", "", fault.Invalid},
		"a name in the wrong way": {OAuthBearer, "n,u,\x01auth=Bearer as-u\x01\x01", "", "", fault.Invalid},
		"XOAUTH2 without a name":  {XOAuth2, "user=\x01auth=Bearer as-u\x01\x01", "", "", fault.Invalid},
		"one in the other's form": {XOAuth2, "n,,\x01auth=Bearer as-u\x01\x01", "", "", fault.Invalid},
	} {
		acc, challenge, err := show(t, a, peer, c.mech, c.response)
		if (acc == nil) != (c.want == "") || acc != nil && acc.Address() != c.want || challenge != c.challenge || (err != nil) != (c.want == "") || err != nil && !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, %s, %v", name, acc, challenge, err)
		}
		if challenge != "" && !json.Valid([]byte(challenge)) {
			t.Errorf("%s: the challenge is no JSON", name)
		}
	}
	for _, i := range f.asked {
		if i.URL != "https://login.c.com" || i.Claim != "email" || !slices.Equal(i.Audience, []string{"gatepost"}) {
			t.Errorf("asked about a token of %v", i)
		}
	}
	if name, ok := saslName("a=2Cb=3Dc", true); name != "a,b=c" || !ok {
		t.Errorf("a name is read as %q", name)
	}
}

// An issuer vouches for the accounts of the domains that have it, and for no others.
func TestIssuerOfAnotherDomain(t *testing.T) {
	a, acc, _ := newTokens(t)
	login := func() error {
		_, _, err := show(t, a, peer, OAuthBearer, "n,,\x01auth=Bearer as-u-at-d.com\x01\x01") // to c.com
		return err
	}
	must(t, acc.DomainSettings("d.com").Update(ctx, issuerSettings("https://login.d.com")))
	if err := login(); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("the issuer of c.com lets into d.com: %v", err)
	}
	other := issuerSettings("https://login.c.com")
	other["OAuthClaim"] = dataformat.String("sub")
	must(t, acc.DomainSettings("d.com").Update(ctx, other))
	if err := login(); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("by a claim that does not count in d.com: %v", err)
	}
	must(t, acc.DomainSettings("d.com").Update(ctx, dataformat.Dict{"OAuthClaim": dataformat.String("default")}))
	must(t, login())
}

func TestSessionsOfAToken(t *testing.T) {
	a, acc, _ := newTokens(t)
	login := func() *accounts.Account {
		who, _, err := show(t, a, peer, XOAuth2, "user=v@c.com\x01auth=Bearer as-v\x01\x01")
		must(t, err)
		return who
	}
	ended := ""
	w := acc.Sessions().Watch(login(), peer, func(reason string) { ended = reason })
	defer w.Stop()
	must(t, acc.AccountSettings("c.com", "v").Update(ctx, dataformat.Dict{"Password": dataformat.String("new")}))
	if w.Check(); ended != "" {
		t.Errorf("it ended: %s", ended)
	}
	must(t, acc.DomainSettings("c.com").Update(ctx, dataformat.Dict{"OAuthIssuer": dataformat.String("")}))
	if w.Check(); !strings.Contains(ended, "another issuer") {
		t.Errorf("after a change of the issuer it ended: %q", ended)
	}
}

// Failed tokens count for the address: no account is locked for others, and one that knows the address still gets in from it.
func TestFailedTokensCountForTheAddress(t *testing.T) {
	a, acc, f := newTokens(t)
	must(t, acc.AccountDefaults("c.com").Update(ctx, dataformat.Dict{"FailedLoginFlow": dataformat.Array{dataformat.String("3"), dataformat.String("1h")}}))
	var log strings.Builder
	p := accounts.Peer{IP: fromElsewhere, TLS: true, Service: "IMAP", Log: slog.New(slog.NewTextHandler(&log, nil))}
	wrong := "user=u@c.com\x01auth=Bearer bad-secret\x01\x01"
	if _, _, err := show(t, a, p, XOAuth2, "user=v@c.com\x01auth=Bearer as-v\x01\x01"); err != nil { // v knows the address now
		t.Fatal(err)
	}
	for range 60 { // neither what was right once, nor what comes from an address that the account knows
		for _, response := range []string{strings.Replace(wrong, "bad-secret", "old", 1), strings.Replace(wrong, "u@", "v@", 1)} {
			if _, challenge, err := show(t, a, p, XOAuth2, response); !fault.Is(err, fault.BadCredentials) || challenge == "" {
				t.Fatal(err)
			}
		}
	}
	f.asked = nil
	if _, _, err := show(t, a, p, XOAuth2, "user=u@c.com\x01auth=Bearer as-u\x01\x01"); err != nil {
		t.Errorf("after old tokens: %v", err)
	}
	p.IP = p.IP.Next() // an address that u does not know
	if _, _, err := show(t, a, p, XOAuth2, "user=v@c.com\x01auth=Bearer as-v\x01\x01"); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		_, _, err := show(t, a, p, XOAuth2, wrong)
		if !fault.Is(err, fault.BadCredentials) {
			t.Fatal(err)
		}
	}
	if n := len(f.asked); n > 40 {
		t.Errorf("%d tokens were looked at", n)
	}
	if !strings.Contains(log.String(), "reason=\"the signature of the token is wrong\"") || !strings.Contains(log.String(), "blocked by") || strings.Contains(log.String(), "secret") {
		t.Error(log.String())
	}
	if _, _, err := show(t, a, p, XOAuth2, "user=u@c.com\x01auth=Bearer as-u\x01\x01"); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("a stranger from the address: %v", err)
	}
	if _, _, err := show(t, a, p, XOAuth2, "user=v@c.com\x01auth=Bearer as-v\x01\x01"); err != nil {
		t.Errorf("one that knows the address: %v", err)
	}
	other := p
	other.IP = p.IP.Next()
	if _, err := a.Plain(ctx, other, "u@c.com", "right"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

func FuzzOAuth(f *testing.F) {
	for _, s := range []string{"", "n,a=u@c.com,\x01host=c.com\x01auth=Bearer as-u\x01\x01", "user=u\x01auth=Bearer as-u\x01\x01", "n,,\x01auth=\x01\x01", "y,a==2C,\x01\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		for _, parse := range []func([]byte) (string, string, error){parseOAuthBearer, parseXOAuth2} {
			name, token, err := parse(response)
			if err == nil && (strings.ContainsAny(token, " \r\n\x00\x01") || strings.Contains(name, kvsep)) {
				t.Errorf("%q is read as %q and %q", response, name, token)
			}
		}
	})
}

// A name without a domain in a token could be that of either domain with the issuer: it is nobody's, whatever domain the client names.
func TestNameWithoutADomainInAToken(t *testing.T) {
	a, acc, _ := newTokens(t)
	set := issuerSettings("https://login.c.com")
	login := func(name string) error {
		_, _, err := show(t, a, peer, OAuthBearer, "n,a="+name+",\x01auth=Bearer as-u\x01\x01")
		return err
	}
	must(t, login("u@c.com"))
	must(t, acc.DomainSettings("d.com").Update(ctx, set))
	for _, name := range []string{"u@c.com", "u@d.com"} {
		if err := login(name); !fault.Is(err, fault.BadCredentials) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// For whom else a token is good is told by audience too.
	set["OAuthAudience"] = dataformat.Array{dataformat.String("another")}
	must(t, acc.DomainSettings("d.com").Update(ctx, set))
	must(t, login("u@c.com"))
	// Inherited by all.
	must(t, acc.DomainSettings("d.com").Update(ctx, dataformat.Dict{"OAuthIssuer": dataformat.String("default"), "OAuthAudience": dataformat.String("default")}))
	must(t, login("u@c.com"))
	must(t, acc.DomainDefaults().Update(ctx, issuerSettings("https://login.c.com")))
	if err := login("u@c.com"); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("inherited: %v", err)
	}
}

// What a token says is a name or an alias, and no address: a user of the issuer who is called u+x is not u.
func TestDetailInAToken(t *testing.T) {
	a, _, _ := newTokens(t)
	for _, said := range []string{"u+x", "u+x-at-c.com", "-at-c.com"} {
		who, _, err := show(t, a, peer, OAuthBearer, "n,,\x01auth=Bearer as-"+said+"\x01\x01")
		if !fault.Is(err, fault.BadCredentials) {
			t.Errorf("%s: %v %v", said, who, err)
		}
	}
}

package webadmin

import (
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/server/certificates"
	"gatepost/server/dataformat"
)

// The settings of logins stand on the page of the domain, take what people type, and come back as they were.
func TestLoginSettingsOfADomain(t *testing.T) {
	s := newSite(t)
	c := s.master()
	const page = "/Users/Domains/own.com/Domain%20Settings"
	key, err := certificates.GenerateKey("ECDSA P-256")
	must(t, err)
	der, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: "host.test"}, time.Hour)
	must(t, err)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c.get(page+"?level=expert").sees(200, "AUTH Methods", "Ask for Client Certificates", "Authorities of Client Certificates", "OAuth Issuer", "OAuth Audience", "OAuth Client Secret")
	for field, bad := range map[string][2]string{
		"f.ClientCertCA": {"nonsense", "certificate"}, "f.OAuthIssuer": {"http://login.test", "https is needed"}, "f.AUTHMethods": {"a;b", "is not the name of a mechanism"},
	} {
		c.get(page)
		c.postRaw(page, c.form(field, bad[0])).sees(422, "Nothing was stored", bad[1])
	}
	c.get(page)
	c.postRaw(page, c.form("f.ClientCertReq", "=YES", "f.ClientCertCA", strings.ReplaceAll(authority, "\n", "\r\n"), "f.OAuthIssuer", "https://login.test/realm", "f.OAuthAudience", "one\r\ntwo", "f.OAuthClientSecret", "geheim", "f.AUTHMethods", "plain\r\nSCRAM-SHA-256")).sees(200)
	if strings.Contains(c.body, "geheim") {
		t.Error("the page has the secret")
	}
	settings, err := s.acc.DomainSettings("own.com").Get(t.Context())
	must(t, err)
	for name, want := range map[string]string{"ClientCertReq": "YES", "OAuthIssuer": "https://login.test/realm", "OAuthAudience": "(one,two)", "OAuthClientSecret": "geheim"} {
		if got := dataformat.Compact(settings[name]); strings.Trim(got, `"`) != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	if pool := s.acc.ClientAuthorities("own.com"); pool == nil {
		t.Error("clients are not asked for certificates")
	}
	if m := s.acc.AuthMethods("own.com"); !m.Has("PLAIN") || !m.Has("SCRAM-SHA-256") || m.Has("LOGIN") {
		t.Errorf("AUTHMethods are %v", m)
	}
	if i, ok := s.acc.Issuer("own.com"); !ok || !i.Equal(accounts.Issuer{URL: "https://login.test/realm", Audience: []string{"one", "two"}, Claim: "email"}) {
		t.Errorf("the issuer is %v", i)
	}
	c.get(page)
	c.postRaw(page, c.form()).sees(200, "Nothing has changed")
}

package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/server/certificates"
)

// testIssuer is an issuer of tokens on loopback.
type testIssuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newTestIssuer(t *testing.T) *testIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &testIssuer{key: key}
	mux := http.NewServeMux()
	answer := func(path string, what func() any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(what()) })
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	answer("/.well-known/openid-configuration", func() any { return map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"} })
	answer("/keys", func() any {
		return map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "kid": "1", "x": enc(point[1:33]), "y": enc(point[33:])}}}
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// token is one of a mail address, with so much else in it.
func (i *testIssuer) token(t *testing.T, email string, lives time.Duration, filler int) string {
	t.Helper()
	part := func(v map[string]any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]any{"alg": "ES256", "kid": "1", "typ": "JWT"}) + "." +
		part(map[string]any{"iss": i.URL, "aud": "mail", "email": email, "exp": time.Now().Add(lives).Unix(), "groups": strings.Repeat("x", filler)})
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Tokens of an issuer let in at SMTP, IMAP and POP, over the whole server.
func TestTokensLetIn(t *testing.T) {
	r := start(t)
	i := newTestIssuer(t)
	r.cli(t, `UPDATEDOMAINSETTINGS `+testDomain+` {OAuthIssuer="`+i.URL+`";OAuthAudience=(mail);}`)
	encoded := func(token string) string {
		return base64.StdEncoding.EncodeToString([]byte("n,a=alice@" + testDomain + ",\x01auth=Bearer " + token + "\x01\x01"))
	}
	const long = 6500 // tokens of large organisations list groups
	good, old := i.token(t, "alice@"+testDomain, time.Minute, long), i.token(t, "alice@"+testDomain, -time.Hour, long)
	connect := func(port int) *dialogue {
		c, err := net.Dial("tcp", r.addr(port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return talk(c)
	}
	d := connect(143)
	if got := d.ask(t, "", "* OK"); !strings.Contains(got, " AUTH=OAUTHBEARER AUTH=XOAUTH2") {
		t.Error(got)
	}
	if got := d.ask(t, "1 AUTHENTICATE OAUTHBEARER "+encoded(old), "+ ", "1 "); !strings.HasPrefix(got, "+ ") {
		t.Error(got)
	} else if text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(got[2:])); err != nil || !strings.Contains(string(text), `"status":"invalid_token"`) {
		t.Errorf("the challenge: %s %v", text, err)
	}
	if got := d.ask(t, "AQ==", "1 "); !strings.HasPrefix(got, "1 NO") {
		t.Error(got)
	}
	if got := d.ask(t, "2 AUTHENTICATE OAUTHBEARER "+encoded(good), "2 "); !strings.HasPrefix(got, "2 OK") {
		t.Error(got)
	}
	d = connect(110)
	d.ask(t, "", "+OK")
	d.ask(t, "AUTH OAUTHBEARER", "+ ") // commands are no longer than 255 bytes (RFC 5034 section 4)
	d.ask(t, encoded(old), "+ ", "-ERR")
	if got := d.ask(t, "AQ==", "+OK", "-ERR"); !strings.HasPrefix(got, "-ERR [AUTH]") {
		t.Error(got)
	}
	d.ask(t, "AUTH OAUTHBEARER", "+ ")
	if got := d.ask(t, encoded(good), "+OK", "-ERR", "+ "); !strings.HasPrefix(got, "+OK") {
		t.Error(got)
	}
	d = connect(587)
	d.ask(t, "", "220 ")
	d.ask(t, "EHLO laptop.test", "250 ")
	d.ask(t, "AUTH OAUTHBEARER "+encoded(old), "334 ")
	if got := d.ask(t, "AQ==", "2", "4", "5"); !strings.HasPrefix(got, "535 5.7.8") {
		t.Error(got)
	}
	if got := d.ask(t, "AUTH OAUTHBEARER "+encoded(good), "2", "3", "4", "5"); !strings.HasPrefix(got, "235 ") {
		t.Error(got)
	}
}

// While the keys of an issuer cannot be fetched, programs are asked to try again later, and nothing counts as a failed login.
func TestIssuerThatIsDown(t *testing.T) {
	r := start(t)
	i := newTestIssuer(t)
	token := base64.StdEncoding.EncodeToString([]byte("user=alice@" + testDomain + "\x01auth=Bearer " + i.token(t, "alice@"+testDomain, time.Minute, 0) + "\x01\x01"))
	i.Close()
	r.cli(t, `UPDATEDOMAINSETTINGS `+testDomain+` {OAuthIssuer="`+i.URL+`";OAuthAudience=(mail);}`)
	for _, c := range []struct {
		port                              int
		greeting, before, command, answer string
	}{
		{143, "* OK", "", "1 AUTHENTICATE XOAUTH2 " + token, "1 NO [UNAVAILABLE]"},
		{587, "220 ", "EHLO laptop.test", "AUTH XOAUTH2 " + token, "454 4.7.0"},
		{110, "+OK", "AUTH XOAUTH2", token, "-ERR [SYS/TEMP]"},
	} {
		conn, err := net.Dial("tcp", r.addr(c.port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		d := talk(conn)
		d.ask(t, "", c.greeting)
		if c.before != "" {
			d.ask(t, c.before, "250 ", "+ ")
		}
		if got := d.ask(t, c.command, "1 ", "2", "3", "4", "5", "+", "-"); !strings.HasPrefix(got, c.answer) {
			t.Errorf("%d: %s, want %s", c.port, got, c.answer)
		}
	}
	r.halt(t) // writes the log
	defer r.launch(t)
	if text := r.log(t); strings.Contains(text, "login failed") || !strings.Contains(text, "the keys of an issuer of tokens could not be fetched") || strings.Contains(text, token[:60]) {
		t.Errorf("the log:\n%s", text)
	}
}

// Programs of others log in with each mechanism that they have.
func TestInteropSASL(t *testing.T) {
	needPrograms(t, "gsasl", "curl", "msmtp")
	r := start(t)
	dir := t.TempDir()
	ca, i := newClientAuthority(t), newTestIssuer(t)
	r.cli(t, `UPDATEDOMAINSETTINGS `+testDomain+` {OAuthIssuer="`+i.URL+`";OAuthAudience=(mail);ClientCertReq=YES;ClientCertCA="`+strings.ReplaceAll(ca.pem(), "\n", `\e`)+`";}`)
	r.cli(t, "UPDATEACCOUNTSETTINGS alice {UseCertificateAuth=YES;}")
	user := "alice@" + testDomain
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := ca.of(t, user)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := file("client.pem", certificates.EncodeCertificates(pair.Certificate...)), file("client.key", certificates.EncodeKey(pkcs8))
	for _, mech := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL"} {
		for wire, port := range map[string]int{"--imap": 143, "--smtp": 587} {
			t.Run("gsasl "+wire+" "+mech, func(t *testing.T) {
				args := []string{"--client", wire, "--connect=127.0.0.1:" + r.port(port), "--mechanism=" + mech, "--authentication-id=" + user, "--password=" + testPassword, "--x509-ca-file=", "--verbose"}
				if !strings.HasSuffix(mech, "-PLUS") {
					args = append(args, "--no-cb") // else it says, rightly, that somebody has taken PLUS off the list
				}
				if mech == "EXTERNAL" {
					args = append(args, "--x509-cert-file="+cert, "--x509-key-file="+key, "--authorization-id="+user)
				}
				out := run(t, strings.NewReader(""), nil, "gsasl", args...)
				if !strings.Contains(out, "235 ") && !strings.Contains(out, " OK [CAPABILITY ") {
					t.Error(out)
				}
			})
		}
	}
	token := i.token(t, user, time.Hour, 500)
	for _, scheme := range []string{"imap", "pop3", "smtp"} {
		port := r.port(map[string]int{"imap": 993, "pop3": 995, "smtp": 465}[scheme])
		for name, args := range map[string][]string{
			"OAUTHBEARER": {"--user", user, "--oauth2-bearer", token}, "XOAUTH2": {"--user", user, "--oauth2-bearer", token},
			"EXTERNAL": {"--user", user + ":", "--cert", cert, "--key", key},
		} {
			t.Run("curl "+scheme+" "+name, func(t *testing.T) {
				out := run(t, nil, nil, "curl", append(args, "--silent", "--show-error", "--insecure", "--verbose", "--login-options", "AUTH="+name, scheme+"s://127.0.0.1:"+port+"/")...)
				if !strings.Contains(out, "AUTH") || strings.Contains(out, "denied") {
					t.Error(out)
				}
			})
		}
		t.Run("curl "+scheme+" with an old token", func(t *testing.T) {
			args := []string{"--user", user, "--oauth2-bearer", i.token(t, user, -time.Hour, 500), "--silent", "--insecure", "--login-options", "AUTH=OAUTHBEARER", scheme + "s://127.0.0.1:" + port + "/"}
			if out, err := exec.Command("curl", args...).CombinedOutput(); err == nil {
				t.Errorf("it gets in:\n%s", out)
			}
		})
	}
	for name, settings := range map[string]string{
		"scram-sha-1": "", "scram-sha-256": "", "external": "tls_cert_file " + cert + "\ntls_key_file " + key + "\n", "oauthbearer": "", "xoauth2": "", "plain": "", "login": "",
	} {
		t.Run("msmtp "+name, func(t *testing.T) {
			secret := "password " + testPassword
			if strings.Contains(name, "oauth") {
				secret = "passwordeval cat " + file("token", token)
			}
			config := file("msmtp-"+name, "account default\nhost 127.0.0.1\nport "+r.port(587)+"\ntls on\ntls_certcheck off\nauth "+name+"\nuser "+user+"\n"+secret+"\nfrom "+user+"\n"+settings)
			subject, text := message(user, "bob@"+testDomain)
			run(t, strings.NewReader(text), nil, "msmtp", "-C", config, "bob@"+testDomain)
			r.waitFor(t, "bob", subject)
		})
	}
}

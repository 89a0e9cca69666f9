package leaving

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/protocols/mailauth"
	"gatepost/protocols/relay"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// directory is a Directory of domains and whether they sign.
type directory map[string]bool

func (d directory) DomainName(name string) (string, bool) { _, ok := d[name]; return name, ok }

func (d directory) SenderPolicy(domain string) (accounts.SenderPolicy, error) {
	return accounts.SenderPolicy{SignMail: settings.Flag(d[domain])}, nil
}

func (d directory) MainDomain() string { return "main.test" }

const text = "From: Ann <ann@here.test>\r\nMessage-ID: <1@here.test>\r\n\r\ntext\r\n"

type stage struct {
	*Signer
	set      *Settings
	zone     *resolvertest.Zone
	verifier *mailauth.Verifier
	log      bytes.Buffer
	next     envelope.QueueID
}

func newStage(t *testing.T) *stage {
	s := &stage{set: new(Settings), zone: resolvertest.New(t, "")}
	if err := settings.Load(s.set, nil); err != nil {
		t.Fatal(err)
	}
	s.verifier = &mailauth.Verifier{Resolver: mailauth.DNS(s.zone.Resolver())}
	s.Signer = New(settings.NewLive(s.set), mailauth.OpenKeys(filepath.Join(t.TempDir(), "DKIM")), s.verifier,
		directory{"here.test": true, "main.test": true, "quiet.test": false},
		&mailauth.Proofs{Secrets: func() [][]byte { return [][]byte{{1}} }}, slog.New(slog.NewTextHandler(&s.log, nil)))
	return s
}

// send signs a message and verifies the result with the keys published.
func (s *stage) send(t *testing.T, source envelope.Source, returnPath, text string) (string, *mailauth.Results) {
	t.Helper()
	a, err := address.Parse(returnPath)
	if err != nil {
		t.Fatal(err)
	}
	s.next++
	m := &relay.Message{ID: s.next, Host: "far.test", Envelope: &envelope.Envelope{Source: source, ReturnPath: a},
		Text: strings.NewReader(text), Size: int64(len(text))}
	fields, err := s.Sign(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	var records strings.Builder
	for _, domain := range []string{"here.test", "main.test", "quiet.test"} {
		list, err := s.keys.List(domain)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			half := len(r.Text) / 2 // as a record of several strings
			io.WriteString(&records, r.Name+". TXT \""+r.Text[:half]+"\" \""+r.Text[half:]+"\"\n")
		}
	}
	s.zone.Set(t, records.String())
	text = string(fields) + text
	r, err := s.verifier.Verify(t.Context(), &mailauth.Message{Client: netip.MustParseAddr("192.0.2.1"), HELO: "h", ReturnPath: returnPath,
		Text: strings.NewReader(text), Size: int64(len(text))})
	if err != nil {
		t.Fatal(err)
	}
	return string(fields), r
}

var user = envelope.Source{Tag: "SMTP", IP: netip.MustParseAddr("198.51.100.1"), Account: "ann@here.test", Trusted: true}

func TestMailOfUsersIsSigned(t *testing.T) {
	s := newStage(t)
	fields, r := s.send(t, user, "ann@here.test", text)
	if len(r.DKIM) != 2 || r.DKIM[0].Result != mailauth.Pass || r.DKIM[1].Result != mailauth.Pass || r.DKIM[0].Domain != "here.test" {
		t.Errorf("%+v", r.DKIM)
	}
	if !strings.Contains(fields, "X-Origin-Proof: ") {
		t.Errorf("%q", fields)
	}
	// The level of these records is a setting of the module, which goes by their tag.
	if got := strings.Count(s.log.String(), "tag=DKIM domain=here.test"); got != 2 {
		t.Errorf("%d records of keys:\n%s", got, &s.log)
	}
	// The keys stay.
	if _, r := s.send(t, user, "ann@here.test", text); len(r.DKIM) != 2 || r.DKIM[0].Result != mailauth.Pass {
		t.Errorf("%+v", r.DKIM)
	}
}

func TestWhoSigns(t *testing.T) {
	for _, c := range []struct {
		name, from, returnPath, want string
	}{
		{"author", "ann@here.test", "ann@main.test", "here.test"},
		{"return-path", "ann@elsewhere.test", "ann@here.test", "here.test"},
		{"nobody", "ann@elsewhere.test", "ann@elsewhere.test", ""},
		{"a domain that does not sign", "ann@quiet.test", "ann@here.test", ""},
	} {
		s := newStage(t)
		_, r := s.send(t, user, c.returnPath, strings.Replace(text, "ann@here.test", c.from, 1))
		got := ""
		if len(r.DKIM) > 0 {
			got = r.DKIM[0].Domain
		}
		if got != c.want {
			t.Errorf("%s: signed by %q, want %q", c.name, got, c.want)
		}
	}
}

// Who a gateway has made the author signs, and nobody else; each gateway's message has a signature of its own.
func TestAuthorOfAGatewaySigns(t *testing.T) {
	s := newStage(t)
	for author, signs := range map[string]bool{"shop@here.test": true, "shop@isp.test": false, "shop@quiet.test": false} {
		a, err := address.Parse(author)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(text, "ann@here.test", author, 1)
		m := &relay.Message{ID: 1, Host: "far.test", Author: a, Text: strings.NewReader(text), Size: int64(len(text)),
			Envelope: &envelope.Envelope{Source: user, ReturnPath: address.Address{Local: "ann", Domain: "here.test"}}}
		fields, err := s.Sign(t.Context(), m)
		if err != nil || strings.Contains(string(fields), "d="+a.Domain) != signs || !signs && len(fields) > 0 {
			t.Errorf("%s: %q %v", author, fields, err)
		}
	}
}

func TestMailOfStrangersIsSealed(t *testing.T) {
	s := newStage(t)
	stranger := envelope.Source{Tag: "SMTP", IP: netip.MustParseAddr("192.0.2.1")}
	_, r := s.send(t, stranger, "ann@here.test", text)
	if len(r.DKIM) != 0 || r.ARC.Result != mailauth.Pass || r.ARC.Sets[0].Sealer != "main.test" {
		t.Errorf("%+v", r)
	}
	s.set.Seal = false
	if fields, _ := s.send(t, stranger, "ann@here.test", text); fields != "" {
		t.Errorf("%q", fields)
	}
}

func TestNoKeys(t *testing.T) {
	s := newStage(t)
	s.set.MakeKeys = false
	if fields, _ := s.send(t, user, "ann@here.test", text); fields != "" {
		t.Errorf("%q", fields)
	}
}

// TestMessageIsSignedOnce whatever the number of hosts, and what is kept has a bound.
func TestMessageIsSignedOnce(t *testing.T) {
	s := newStage(t)
	first, _ := s.send(t, user, "ann@here.test", text)
	s.next = 0
	if again, _ := s.send(t, user, "ann@here.test", text); again != first {
		t.Error("another signature")
	}
	for range 2 * maxMade {
		s.send(t, user, "ann@elsewhere.test", "From: ann@elsewhere.test\r\n\r\n")
	}
	if len(s.made) > maxMade || len(s.last) > maxMade {
		t.Errorf("%d messages kept", len(s.made))
	}
}

package leaving

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/mailauth"
	"gatepost/protocols/relay"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// directory is a Directory of domains and whether they sign.
type directory struct {
	signs    map[string]bool
	rotation *settings.Period
}

func (d directory) DomainName(name string) (string, bool) { _, ok := d.signs[name]; return name, ok }

func (d directory) SenderPolicy(domain string) (accounts.SenderPolicy, error) {
	return accounts.SenderPolicy{SignMail: settings.Flag(d.signs[domain]), KeyRotation: *d.rotation}, nil
}

func (d directory) MainDomain() string { return "main.test" }

const text = "From: Ann <ann@here.test>\r\nMessage-ID: <1@here.test>\r\n\r\ntext\r\n"

type stage struct {
	*Signer
	set      *Settings
	zone     *resolvertest.Zone
	verifier *mailauth.Verifier
	log      bytes.Buffer
	rotation settings.Period
	next     envelope.QueueID
}

func newStage(t *testing.T) *stage {
	s := &stage{set: new(Settings), zone: resolvertest.New(t, "")}
	if err := settings.Load(s.set, nil); err != nil {
		t.Fatal(err)
	}
	s.verifier = &mailauth.Verifier{Resolver: mailauth.DNS(s.zone.Resolver())}
	s.rotation = settings.Never
	s.Signer = New(settings.NewLive(s.set), mailauth.OpenKeys(filepath.Join(t.TempDir(), "DKIM")), s.verifier,
		directory{map[string]bool{"here.test": true, "main.test": true, "quiet.test": false}, &s.rotation},
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

// TestKeysAreRotated goes through a rotation: made, waiting, published, old, removed; without the DNS it waits.
func TestKeysAreRotated(t *testing.T) {
	s := newStage(t)
	s.rotation = settings.Period(90 * 24 * time.Hour)
	if err := s.MakeKeys("here.test"); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s.now = func() time.Time { return now }
	s.keys.SetClock(s.now)
	inDNS, answers := map[string]bool{}, true
	reminded := map[string]time.Time{}
	step := func(after time.Duration) string {
		t.Helper()
		now = now.Add(after)
		s.log.Reset()
		err := s.rotateAll(t.Context(), func(_ context.Context, k mailauth.KeyRecord) (bool, string) {
			return answers && inDNS[k.Name], "The key is not published."
		}, reminded)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.keys.List("here.test")
		if err != nil {
			t.Fatal(err)
		}
		count := map[mailauth.KeyState]int{}
		for _, k := range list {
			count[k.State]++
		}
		return fmt.Sprintf("next %d, active %d, old %d; %d records", count[mailauth.KeyNext], count[mailauth.KeyActive], count[mailauth.KeyOld], strings.Count(s.log.String(), "tag=DKIM"))
	}
	publish := func() {
		list, _ := s.keys.List("here.test")
		for _, k := range list {
			inDNS[k.Name] = true
		}
	}
	const days = 24 * time.Hour
	for i, c := range []struct {
		after time.Duration
		do    func()
		want  string
	}{
		{0, nil, "next 0, active 2, old 0; 0 records"},
		{91 * days, nil, "next 2, active 2, old 0; 2 records"},      // made
		{time.Hour, nil, "next 2, active 2, old 0; 0 records"},      // and nobody is reminded each hour
		{25 * time.Hour, nil, "next 2, active 2, old 0; 2 records"}, // but each day
		{time.Hour, func() { publish(); answers = false }, "next 2, active 2, old 0; 0 records"},
		{time.Hour, func() { answers = true }, "next 0, active 2, old 2; 2 records"},
		{13 * days, nil, "next 0, active 2, old 2; 0 records"},
		{2 * days, nil, "next 0, active 2, old 0; 2 records"},
		{80 * days, nil, "next 2, active 2, old 0; 2 records"}, // the next round
	} {
		if c.do != nil {
			c.do()
		}
		if got := step(c.after); got != c.want {
			t.Errorf("step %d: %s, want %s\n%s", i, got, c.want, &s.log)
		}
	}
	s.rotation = settings.Never
	if got := step(300 * days); got != "next 2, active 2, old 0; 0 records" {
		t.Errorf("switched off: %s", got)
	}
}

// TestMailBetweenOwnDomains: it is signed in the name of its author when the setting says so, and inside of a domain it is not.
func TestMailBetweenOwnDomains(t *testing.T) {
	s := newStage(t)
	sign := func(source envelope.Source, domain string) string {
		t.Helper()
		fields, err := s.SignLocal(t.Context(), 1, &envelope.Envelope{Source: source}, strings.NewReader(text), int64(len(text)), domain)
		if err != nil {
			t.Fatal(err)
		}
		return string(fields)
	}
	if s.SignsLocal() {
		t.Error("it signs without the setting")
	}
	if got := sign(user, "main.test"); strings.Count(got, "DKIM-Signature: ") != 2 || !strings.Contains(got, "d=here.test;") {
		t.Errorf("%q", got)
	}
	if got := sign(user, "here.test"); got != "" {
		t.Errorf("inside of a domain: %q", got)
	}
	if got := sign(envelope.Source{IP: netip.MustParseAddr("192.0.2.1")}, "main.test"); got != "" {
		t.Errorf("of a stranger: %q", got)
	}
}

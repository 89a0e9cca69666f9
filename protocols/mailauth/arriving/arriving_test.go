package arriving

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/protocols/mailauth"
	"gatepost/protocols/smtp"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// directory is a Directory of two domains, one of which has an alias.
type directory map[string]accounts.SenderPolicy

func (d directory) DomainName(name string) (string, bool) {
	if name == "alias.test" {
		name = "here.test"
	}
	_, ok := d[name]
	return name, ok
}

func (d directory) SenderPolicy(domain string) (accounts.SenderPolicy, error) { return d[domain], nil }

// zone is what the DNS has.
const zone = `
author.test. TXT "v=spf1 ip4:192.0.2.7 -all"
_dmarc.author.test. TXT "v=DMARC1; p=reject"
careful.test. TXT "v=spf1 -all"
_dmarc.careful.test. TXT "v=DMARC1; p=quarantine"
spfonly.test. TXT "v=spf1 -all"
list.test. TXT "v=spf1 ip4:192.0.2.1 -all"
here.test. TXT "v=spf1 ip4:192.0.2.9 -all"
alias.test. TXT "v=spf1 ip4:192.0.2.9 -all"
`

// stage is a check with its parts.
type stage struct {
	directory directory
	check     *Check
	verifier  *mailauth.Verifier
	proofs    *mailauth.Proofs
	settings  *Settings
}

func newStage(t *testing.T, more string) *stage {
	s := &stage{directory: directory{}, settings: new(Settings)}
	if err := settings.Load(s.settings, nil); err != nil {
		t.Fatal(err)
	}
	stock := new(accounts.SenderPolicy)
	if err := settings.Load(stock, nil); err != nil {
		t.Fatal(err)
	}
	s.directory["here.test"], s.directory["other.test"] = *stock, *stock
	s.verifier = &mailauth.Verifier{Resolver: mailauth.DNS(resolvertest.New(t, zone+more).Resolver())}
	s.proofs = &mailauth.Proofs{Secrets: func() [][]byte { return [][]byte{[]byte("secret")} }}
	s.check = New(settings.NewLive(s.settings), s.verifier, s.directory, s.proofs, nil, slog.New(slog.DiscardHandler))
	return s
}

// run checks a message of a client at 192.0.2.1.
func (s *stage) run(t *testing.T, from, text string, rcpts ...string) smtp.Verdict {
	t.Helper()
	env := &envelope.Envelope{}
	if from != "" {
		env.ReturnPath = parsed(t, from)
	}
	for _, r := range rcpts {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: parsed(t, r)})
	}
	v, err := s.check.Check(t.Context(), &smtp.Message{
		Envelope: env, Client: netip.MustParseAddr("192.0.2.1"), HELO: "mx.list.test", Name: "here.test",
		Text: strings.NewReader(text), Size: int64(len(text)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parsed(t *testing.T, s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// outcome is what a verdict says in one word.
func outcome(v smtp.Verdict) string {
	switch {
	case v.Refuse != nil:
		return "refuse"
	case v.Junk:
		return "junk"
	case strings.HasPrefix(string(v.Fields), "Authentication-Results: here.test;"):
		return "mark"
	}
	return "nothing"
}

func letter(from string) string {
	return "From: " + from + "\r\nMessage-ID: <1@x.test>\r\nSubject: s\r\n\r\ntext\r\n"
}

func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		name, returnPath, from, want string
		rcpts                        []string
		policy                       func(*stage)
	}{
		{name: "passes", returnPath: "a@list.test", from: "a@list.test", want: "mark"},
		{name: "reject", returnPath: "a@list.test", from: "a@author.test", want: "refuse"},
		{name: "quarantine", returnPath: "a@list.test", from: "a@careful.test", want: "junk"},
		{name: "spf", returnPath: "a@spfonly.test", from: "a@spfonly.test", want: "mark"},
		{name: "spf refused", returnPath: "a@spfonly.test", from: "a@spfonly.test", want: "refuse", policy: func(s *stage) {
			p := s.directory["here.test"]
			p.SPFFail = "Refuse"
			s.directory["here.test"] = p
		}},
		{name: "report", returnPath: "", from: "MAILER-DAEMON@list.test", want: "mark"},
		{name: "own From", returnPath: "a@list.test", from: "boss@here.test", want: "refuse"},
		{name: "own alias in From", returnPath: "a@list.test", from: "boss@alias.test", want: "refuse"},
		{name: "own return-path", returnPath: "boss@here.test", from: "a@list.test", want: "refuse"},
		{name: "own domain that publishes nothing", returnPath: "a@list.test", from: "boss@other.test", want: "mark"},
		{name: "two From fields", returnPath: "a@list.test", from: "a@list.test\r\nFrom: b@list.test", want: "refuse"},
		{name: "two authors", returnPath: "a@list.test", from: "a@list.test, b@author.test", want: "refuse"},
		{name: "a header that is too large", returnPath: "a@list.test", from: "boss@here.test\r\n" + strings.Repeat("X: y\r\n", 5001) + "Y: z", want: "refuse"},
		{name: "authors of many domains", returnPath: "a@list.test", from: "boss@here.test, a@1.test, a@2.test, a@3.test, a@4.test", want: "refuse"},
		{name: "another author whose domain is not valid", returnPath: "a@list.test", from: "boss@here.test, a@b..test", want: "refuse"},
		{name: "domains differ", returnPath: "a@list.test", from: "a@author.test", rcpts: []string{"u@here.test", "u@other.test"}, want: "junk", policy: func(s *stage) {
			p := s.directory["other.test"]
			p.DMARCReject = "Nothing"
			s.directory["other.test"] = p
		}},
		{name: "domains agree", returnPath: "a@list.test", from: "a@author.test", rcpts: []string{"u@here.test", "u@other.test"}, want: "refuse"},
		{name: "marked only", returnPath: "a@list.test", from: "a@author.test", want: "mark", policy: func(s *stage) {
			p := s.directory["here.test"]
			p.DMARCReject = "Mark"
			s.directory["here.test"] = p
		}},
		{name: "nothing", returnPath: "a@list.test", from: "a@author.test", want: "nothing", policy: func(s *stage) {
			p := s.directory["here.test"]
			p.DMARCReject = "Nothing"
			s.directory["here.test"] = p
		}},
		{name: "trusted forwarder", returnPath: "a@list.test", from: "a@author.test", want: "mark", policy: func(s *stage) {
			list, err := settings.ParseIPList("192.0.2.0/24")
			if err != nil {
				t.Fatal(err)
			}
			s.settings.TrustedForwarders = list
		}},
		{name: "switched off", returnPath: "a@list.test", from: "a@author.test", want: "nothing", policy: func(s *stage) { s.settings.Check = false }},
	} {
		s := newStage(t, "")
		if c.policy != nil {
			c.policy(s)
		}
		if c.rcpts == nil {
			c.rcpts = []string{"u@here.test"}
		}
		if v := s.run(t, c.returnPath, letter(c.from), c.rcpts...); outcome(v) != c.want {
			t.Errorf("%s: %s, want %s: %v %s", c.name, outcome(v), c.want, v.Refuse, v.Fields)
		} else if v.Refuse != nil && fault.KindOf(v.Refuse) != fault.Rejected {
			t.Errorf("%s: %v", c.name, v.Refuse)
		}
	}
}

// signer makes a key of a domain and its record.
func signer(t *testing.T, domain string) (mailauth.Key, string) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return mailauth.Key{Domain: domain, Selector: "s", Signer: private},
		"s._domainkey." + domain + ". TXT \"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public) + "\"\n"
}

func signed(t *testing.T, text string, key mailauth.Key) string {
	head, err := mailauth.Sign(strings.NewReader(text), int64(len(text)), []mailauth.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	return string(head) + text
}

func TestOwnMailThatIsSigned(t *testing.T) {
	key, record := signer(t, "here.test")
	s := newStage(t, record)
	if v := s.run(t, "a@list.test", signed(t, letter("boss@here.test"), key), "u@here.test"); outcome(v) != "mark" {
		t.Errorf("%v", v.Refuse)
	}
}

// TestOwnPostThatComesBack: a list changes what a user of this server has sent, and sends it to another one.
func TestOwnPostThatComesBack(t *testing.T) {
	key, record := signer(t, "here.test")
	for dmarc, want := range map[string]string{"": "mark", "_dmarc.here.test. TXT \"v=DMARC1; p=reject\"\n": "mark"} {
		s := newStage(t, record+dmarc)
		text := letter("ann@here.test")
		proof, err := s.proofs.Field(strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		text = strings.Replace(signed(t, proof+text, key), "Subject: ", "Subject: [list] ", 1) + "-- \r\nlist\r\n"
		if v := s.run(t, "bounce@list.test", text, "bob@here.test"); outcome(v) != want {
			t.Errorf("%s: %v", outcome(v), v.Refuse)
		}
		if v := s.run(t, "bounce@list.test", strings.Replace(text, "ann@", "boss@", 1), "bob@here.test"); outcome(v) != "refuse" {
			t.Errorf("another author: %s", outcome(v))
		}
	}
}

func TestTrustedSealers(t *testing.T) {
	author, a := signer(t, "author.test")
	list, b := signer(t, "list.test")
	s := newStage(t, a+b)
	text := signed(t, letter("a@author.test"), author)
	r, err := s.verifier.Verify(t.Context(), &mailauth.Message{Client: netip.MustParseAddr("192.0.2.7"), HELO: "x", ReturnPath: "a@author.test",
		Text: strings.NewReader(text), Size: int64(len(text))})
	if err != nil || r.DMARC.Result != mailauth.Pass {
		t.Fatalf("%+v, %v", r, err)
	}
	// The list changes the message and then seals what it sends.
	changed := text + "footer\r\n"
	head, err := mailauth.Seal(strings.NewReader(changed), int64(len(changed)), list, "mx.list.test", r, time.Now())
	if err != nil || len(head) == 0 {
		t.Fatalf("%q, %v", head, err)
	}
	sealed := string(head) + changed
	if v := s.run(t, "x@list.test", sealed, "u@here.test"); outcome(v) != "refuse" {
		t.Errorf("a sealer whom nobody trusts: %s", outcome(v))
	}
	s.settings.TrustedSealers = []string{"list.test"}
	if v := s.run(t, "x@list.test", sealed, "u@here.test"); outcome(v) != "mark" || !strings.Contains(string(v.Fields), "arc=pass") {
		t.Errorf("a trusted sealer: %s %s", outcome(v), v.Fields)
	}
}

func TestForeignResults(t *testing.T) {
	s := newStage(t, "")
	text := "X: y\r\nAuthentication-Results: HERE.test; dmarc=pass\r\nauthentication-results: (x) alias.test 1;\r\n dkim=pass\r\n" +
		"Authentication-Results: elsewhere.test; spf=pass\r\n" + letter("a@list.test")
	v := s.run(t, "a@list.test", text, "u@here.test")
	if len(v.Hide) != 2 || v.Hide[0] != int64(strings.Index(text, "Auth")) || v.Hide[1] != int64(strings.Index(text, "auth")) {
		t.Errorf("%v", v.Hide)
	}
}

// TestLookUpsThatFail: a dead name server refuses nothing.
func TestLookUpsThatFail(t *testing.T) {
	s := newStage(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	text := letter("a@author.test")
	v, err := s.check.Check(ctx, &smtp.Message{Envelope: &envelope.Envelope{ReturnPath: parsed(t, "a@author.test"),
		Recipients: []envelope.Recipient{{Address: parsed(t, "u@here.test")}}}, Client: netip.MustParseAddr("192.0.2.1"), Name: "here.test",
		Text: strings.NewReader(text), Size: int64(len(text))})
	if err != nil || outcome(v) != "mark" || !strings.Contains(string(v.Fields), "temperror") {
		t.Errorf("%s %s, %v", outcome(v), v.Fields, err)
	}
}

// TestLookUpsThatFailForOwnMail: what would have proved mail in our own name cannot be looked up for now, while other
// records of the domain can.
func TestLookUpsThatFailForOwnMail(t *testing.T) {
	key, record := signer(t, "other.test")
	dns := resolvertest.New(t, zone+record+"other.test. TXT \"v=spf1 include:_spf.service.test -all\"\n")
	s := newStage(t, "")
	s.verifier.Resolver = mailauth.DNS(dns.Resolver())
	dns.Fail("_spf.service.test")
	if v := s.run(t, "boss@other.test", letter("boss@other.test"), "u@here.test"); outcome(v) != "mark" {
		t.Errorf("SPF: %s %v", outcome(v), v.Refuse)
	}
	dns.Work("_spf.service.test")
	if v := s.run(t, "boss@other.test", letter("boss@other.test"), "u@here.test"); outcome(v) != "refuse" {
		t.Errorf("SPF decides: %s", outcome(v))
	}
	dns.Fail("s._domainkey.other.test")
	text := signed(t, letter("boss@other.test"), key)
	if v := s.run(t, "a@list.test", text, "u@here.test"); outcome(v) != "mark" {
		t.Errorf("DKIM: %s %v", outcome(v), v.Refuse)
	}
	// A selector that is no name cannot be looked up later either.
	text = strings.Replace(text, "s=s;", "s="+strings.Repeat("x", 70)+";", 1)
	if v := s.run(t, "a@list.test", text, "u@here.test"); outcome(v) != "refuse" {
		t.Errorf("a selector that is no name: %s %s", outcome(v), v.Fields)
	}
}

// TestRecordHasItsTag: the level of the record is a setting of the module, which goes by the tag.
func TestRecordHasItsTag(t *testing.T) {
	s := newStage(t, "")
	var log bytes.Buffer
	s.check = New(settings.NewLive(s.settings), s.verifier, s.directory, s.proofs, nil, slog.New(slog.NewTextHandler(&log, nil)))
	s.run(t, "a@list.test", letter("a@author.test"), "u@here.test")
	for _, want := range []string{"tag=SENDERS", "spf=pass", "dmarc=fail", "author_domain=author.test", "action=refuse"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in %s", want, &log)
		}
	}
}

// TestAddressesThatLeadBackTakeReports: what stands for a stranger's return-path takes no mail of others, and not more
// than there are reports.
func TestAddressesThatLeadBackTakeReports(t *testing.T) {
	s := newStage(t, "")
	s.check.UseReturnPaths(func(a address.Address) bool { return strings.HasPrefix(a.Local, "SRS0=") })
	report := "From: mailer-daemon@list.test\r\n\r\nreport\r\n"
	if v := s.run(t, "a@list.test", report, "SRS0=x=y=far.test=ann@here.test"); !fault.Is(v.Refuse, fault.Rejected) {
		t.Errorf("a return-path: %v", v.Refuse)
	}
	if v := s.run(t, "a@list.test", report, "ann@here.test"); v.Refuse != nil {
		t.Errorf("another address: %v", v.Refuse)
	}
	for i := range 100 {
		if v := s.run(t, "", report, "SRS0=x=y=far.test=ann@here.test"); v.Refuse != nil {
			t.Fatalf("report %d: %v", i, v.Refuse)
		}
	}
	if v := s.run(t, "", report, "srs0=X=y=far.test=ann@here.test"); v.Refuse != nil && !fault.Is(v.Refuse, fault.Unavailable) {
		t.Errorf("%v", v.Refuse)
	}
	if v := s.run(t, "", report, "SRS0=x=y=far.test=ann@here.test"); !fault.Is(v.Refuse, fault.Unavailable) {
		t.Errorf("too many: %v", v.Refuse)
	}
}

// TestOwnNameWhileOurDNSFails: a domain that was seen to publish its senders is not open to strangers while it cannot be asked.
func TestOwnNameWhileOurDNSFails(t *testing.T) {
	s := newStage(t, "")
	dns := resolvertest.New(t, zone+"_dmarc.here.test. TXT \"v=DMARC1; p=reject\"\n")
	s.verifier.Resolver = mailauth.DNS(dns.Resolver())
	forged := letter("boss@here.test")
	dns.Fail("_dmarc.here.test")
	if v := s.run(t, "a@list.test", forged, "u@here.test"); outcome(v) != "mark" {
		t.Errorf("not known yet: %s %v", outcome(v), v.Refuse)
	}
	dns.Work("_dmarc.here.test")
	if v := s.run(t, "a@list.test", forged, "u@here.test"); !fault.Is(v.Refuse, fault.Rejected) {
		t.Errorf("known: %v", v.Refuse)
	}
	dns.Fail("_dmarc.here.test")
	if v := s.run(t, "a@list.test", forged, "u@here.test"); !fault.Is(v.Refuse, fault.Unavailable) {
		t.Errorf("not to be asked: %v", v.Refuse)
	}
}

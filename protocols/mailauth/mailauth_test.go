package mailauth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// names is a Resolver over a table: "TXT name", "MX name", "A name" and "PTR address" lead to values. The
// value "!" is a look-up that fails for now.
type names map[string][]string

func (n names) look(kind, name string) ([]string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	list := n[kind+" "+name]
	switch {
	case len(list) == 0:
		return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
	case list[0] == "!":
		return nil, &net.DNSError{Err: "server failure", Name: name, IsTemporary: true}
	}
	return list, nil
}

func (n names) LookupTXT(_ context.Context, name string) ([]string, error) {
	return n.look("TXT", name)
}

func (n names) LookupMX(_ context.Context, name string) (list []*net.MX, err error) {
	hosts, err := n.look("MX", name)
	for _, h := range hosts {
		list = append(list, &net.MX{Host: h, Pref: 10})
	}
	return list, err
}

func (n names) LookupIPAddr(_ context.Context, host string) (list []net.IPAddr, err error) {
	ips, err := n.look("A", host)
	for _, ip := range ips {
		list = append(list, net.IPAddr{IP: net.ParseIP(ip)})
	}
	return list, err
}

func (n names) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return n.look("PTR", addr)
}

// key makes a key and publishes it.
func (n names) key(t testing.TB, domain, selector string, rsaKey bool) Key {
	t.Helper()
	k := Key{Domain: domain, Selector: selector}
	if rsaKey {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		k.Signer = private
		n["TXT "+selector+"._domainkey."+domain] = []string{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)}
		return k
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k.Signer = private
	n["TXT "+selector+"._domainkey."+domain] = []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}
	return k
}

// verify verifies a message that a client at 192.0.2.1 gives with a return-path.
func (n names) verify(t testing.TB, returnPath, text string) *Results {
	t.Helper()
	v := &Verifier{Resolver: n}
	r, err := v.Verify(t.Context(), &Message{
		Client: netip.MustParseAddr("192.0.2.1"), HELO: "mx.sender.test", ReturnPath: returnPath,
		Text: strings.NewReader(text), Size: int64(len(text)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const letter = "From: Ann <ann@author.test>\r\nTo: bob@other.test\r\nSubject:  a   letter\r\n\tthat is folded\r\n" +
	"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@author.test>\r\n\r\nHello  Bob,\r\n\r\nyours \r\nAnn\r\n\r\n\r\n"

func sign(t testing.TB, text string, keys ...Key) string {
	t.Helper()
	head, err := Sign(strings.NewReader(text), int64(len(text)), keys)
	if err != nil {
		t.Fatal(err)
	}
	return string(head) + text
}

func seal(t testing.TB, n names, text string, key Key) string {
	t.Helper()
	r := n.verify(t, "x@list.test", text)
	head, err := Seal(strings.NewReader(text), int64(len(text)), key, "mx."+key.Domain, r, time.Unix(1_790_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return string(head) + text
}

func TestSignedMessageVerifies(t *testing.T) {
	n := names{}
	keys := []Key{n.key(t, "author.test", "r1", true), n.key(t, "author.test", "e1", false)}
	for name, text := range map[string]string{
		"letter":           letter,
		"empty body":       "From: a@author.test\r\n\r\n",
		"all header":       "From: a@author.test\r\nSubject: x\r\n\r\n\r\n\r\n",
		"no end of line":   "From: a@author.test\r\n\r\nno end",
		"space at the end": "From: a@author.test\r\n\r\n x\t \r\n \r\n",
	} {
		signed := sign(t, text, keys...)
		r := n.verify(t, "ann@author.test", signed)
		if len(r.DKIM) != 2 || r.DKIM[0].Result != Pass || r.DKIM[1].Result != Pass {
			t.Errorf("%s: %+v", name, r.DKIM)
		}
		for change, text := range map[string]string{
			"body":          strings.Replace(signed, "\r\n\r\n", "\r\n\r\nX", 1),
			"second From":   strings.Replace(signed, "From: ", "From: eve@evil.test\r\nFrom: ", 1),
			"added Subject": "Subject: y\r\n" + signed,
		} {
			for _, d := range n.verify(t, "ann@author.test", text).DKIM {
				if d.Result != Fail {
					t.Errorf("%s, %s changed: %+v", name, change, d)
				}
			}
		}
	}
}

// A message that is all header has no empty line when it comes: it is signed all the same, and does not wait for ever.
func TestMessageWithoutEmptyLine(t *testing.T) {
	n := names{}
	signed := sign(t, "From: a@author.test\r\nSubject: x\r\n", n.key(t, "author.test", "r1", true), n.key(t, "author.test", "e1", false))
	for _, text := range []string{signed, signed + "\r\n"} {
		for _, d := range n.verify(t, "ann@author.test", text).DKIM {
			if d.Result != Pass {
				t.Errorf("%q: %+v", text, d)
			}
		}
	}
}

func TestKeysThatDoNotVerify(t *testing.T) {
	n := names{}
	signed := sign(t, letter, n.key(t, "author.test", "e1", false))
	record := "TXT e1._domainkey.author.test"
	good := n[record][0]
	for value, want := range map[string]Result{
		good: Pass, "!": TempError, "": PermError, "v=DKIM1; k=ed25519; p=": PermError, "v=DKIM2; " + good: PermError,
		good + "; h=sha1": PermError, good + "; s=tlsrpt": PermError, good + strings.Repeat(" ", 5000): PermError,
	} {
		if n[record] = []string{value}; value == "" {
			delete(n, record)
		}
		if r := n.verify(t, "", signed); r.DKIM[0].Result != want {
			t.Errorf("%.60q: %+v", value, r.DKIM)
		}
	}
}

func TestManySignatures(t *testing.T) {
	n := names{}
	signed := sign(t, letter, n.key(t, "author.test", "e1", false))
	head := strings.TrimSuffix(signed, letter)
	r := n.verify(t, "", strings.Repeat(head, 30)+letter)
	if len(r.DKIM) != maxSignatures+1 || r.DKIM[maxSignatures].Result != PermError || r.DKIM[0].Result != Pass {
		t.Errorf("%d results, the last %+v", len(r.DKIM), r.DKIM[len(r.DKIM)-1])
	}
}

func TestLargeHeaders(t *testing.T) {
	n := names{}
	signed := sign(t, letter, n.key(t, "author.test", "e1", false))
	for name, head := range map[string]string{
		"many bytes": "X: " + strings.Repeat("x", maxHeader) + "\r\n",
		"many lines": "X: x\r\n" + strings.Repeat(" x\r\n", 3*maxHeaderLines),
		"no end":     strings.Repeat("X: y\r\n", 2*maxHeaderLines),
	} {
		r := n.verify(t, "", head+signed)
		if r.DKIM[0].Result != PermError || r.DMARC.Result != PermError {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestSPF(t *testing.T) {
	n := names{
		"TXT good.test": {"v=spf1 ip4:192.0.2.0/24 -all"}, "TXT bad.test": {"v=spf1 -all"}, "TXT soft.test": {"v=spf1 ~all"},
		"TXT broken.test": {"v=spf1 a:"}, "TXT late.test": {"!"}, "TXT mx.sender.test": {"v=spf1 a -all"}, "A mx.sender.test": {"192.0.2.1"},
		"TXT xn--bcher-kva.test": {"v=spf1 +all"}, "TXT macro.test": {"v=spf1 exists:%{l}.%{d}.x.test -all"}, "A a.macro.test.x.test": {"127.0.0.2"},
	}
	for from, want := range map[string]Result{
		"a@good.test": Pass, "a@GOOD.test": Pass, "a@bad.test": Fail, "a@soft.test": SoftFail, "a@broken.test": PermError, "a@late.test": TempError,
		"a@none.test": None, "": Pass, "a@bücher.test": Pass, "a@macro.test": Pass, "b@macro.test": Fail, "a@[192.0.2.1]": None, "a@local": None,
	} {
		if r := n.verify(t, from, letter); r.SPF.Result != want {
			t.Errorf("%q: %+v", from, r.SPF)
		}
	}
}

func TestDMARC(t *testing.T) {
	for _, c := range []struct {
		name, from, returnPath string // From's address; the return-path, for which SPF passes
		records                names
		want                   Result
		policy, record         string
	}{
		{name: "no record", from: "a@author.test", want: None},
		{name: "aligned", from: "a@author.test", returnPath: "b@author.test", records: names{"author.test": {"v=DMARC1; p=reject"}}, want: Pass, policy: "reject", record: "author.test"},
		{name: "not aligned", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=reject"}}, want: Fail, policy: "reject", record: "author.test"},
		{name: "below", from: "a@x.author.test", returnPath: "b@y.author.test", records: names{"author.test": {"v=DMARC1; p=none; sp=quarantine"}}, want: Pass, policy: "quarantine", record: "author.test"},
		{name: "strict", from: "a@author.test", returnPath: "b@y.author.test", records: names{"author.test": {"v=DMARC1; p=reject; aspf=s"}}, want: Fail, policy: "reject", record: "author.test"},
		{name: "missing name", from: "a@gone.author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=none; np=reject"}}, want: Fail, policy: "reject", record: "author.test"},
		{name: "name is there", from: "a@y.author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=none; np=reject"}}, want: Fail, policy: "none", record: "author.test"},
		{name: "test time", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=reject; t=y"}}, want: Fail, policy: "quarantine", record: "author.test"},
		{name: "old test time", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=quarantine; pct=0"}}, want: Fail, policy: "none", record: "author.test"},
		{name: "public suffix", from: "a@x.one.suffix", returnPath: "b@two.suffix", records: names{"suffix": {"v=DMARC1; p=reject; psd=y"}}, want: Fail, policy: "reject", record: "suffix"},
		{name: "organisation below", from: "a@x.dep.author.test", returnPath: "b@author.test", records: names{"author.test": {"v=DMARC1; p=reject"}, "dep.author.test": {"v=DMARC1; p=quarantine; psd=n"}},
			want: Fail, policy: "quarantine", record: "dep.author.test"},
		{name: "two records", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=reject", "v=DMARC1; p=none"}}, want: None},
		{name: "other texts", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC10; p=reject", "v=spf1 -all", "v=DMARC1; p=none"}}, want: Fail, policy: "none", record: "author.test"},
		{name: "bad policy", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=refuse"}}, want: None},
		{name: "bad policy with reports", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=refuse; rua=mailto:r@author.test"}}, want: Fail, policy: "none", record: "author.test"},
		{name: "no policy", from: "a@author.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1;"}}, want: Fail, policy: "none", record: "author.test"},
		{name: "look-up fails", from: "a@author.test", records: names{"author.test": {"!"}}, want: TempError},
		{name: "deep name", from: "a@a.b.c.d.e.f.g.h.i.author.test", returnPath: "b@author.test", records: names{"author.test": {"v=DMARC1; p=reject"}}, want: Pass, policy: "reject", record: "author.test"},
		{name: "two authors", from: "a@author.test, b@good.test", returnPath: "b@good.test", records: names{"author.test": {"v=DMARC1; p=reject"}, "good.test": {"v=DMARC1; p=reject"}}, want: Fail, policy: "reject", record: "author.test"},
		{name: "international", from: "a@bücher.test", returnPath: "b@xn--bcher-kva.test", records: names{"xn--bcher-kva.test": {"v=DMARC1; p=reject"}}, want: Pass, policy: "reject", record: "xn--bcher-kva.test"},
	} {
		n := names{"A y.author.test": {"192.0.2.9"}}
		for domain, record := range c.records {
			n["TXT _dmarc."+domain] = record
		}
		if _, domain, ok := strings.Cut(c.returnPath, "@"); ok {
			n["TXT "+domain] = []string{"v=spf1 +all"}
		}
		d := n.verify(t, c.returnPath, "From: "+c.from+"\r\n\r\nx\r\n").DMARC
		if d.Result != c.want || d.Policy != c.policy || d.Record != c.record {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestWalkAsksForFewNames(t *testing.T) {
	n := names{}
	asked := 0
	v := &Verifier{Resolver: counting{n, &asked}}
	if _, err := v.walk(t.Context(), strings.Repeat("a.", 100)+"test"); err != nil || asked != maxWalk {
		t.Errorf("%d look-ups, error %v", asked, err)
	}
}

type counting struct {
	Resolver
	asked *int
}

func (c counting) LookupTXT(ctx context.Context, name string) ([]string, error) {
	*c.asked++
	return c.Resolver.LookupTXT(ctx, name)
}

func TestAuthors(t *testing.T) {
	for from, want := range map[string]string{
		"From: a@x.test\r\n": "x.test", "From: A <a@X.test>, B <b@x.test>\r\n": "x.test", "From: g: a@x.test, b@y.test;\r\n": "x.test y.test",
		"from : a@x.test\r\n": "x.test", "From: \"b@y.test\" <a@x.test>\r\n": "x.test",
		"From: a@x.test\r\nFROM: b@y.test\r\n": "there is more than one From field", "": "there is no From field", "From: nobody\r\n": "the field From has an address whose domain is not valid",
		"From: g:;\r\n": "there is no address in From",
		"From: a@a.test, a@b.test, a@c.test, a@d.test, a@e.test\r\n": "there are addresses of too many domains in From",
	} {
		fields, _, err := readHeader(strings.NewReader(from+"\r\n"), int64(len(from)+2))
		if err != nil {
			t.Fatal(err)
		}
		list, err := authors(fields)
		got := strings.Join(list, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", from, got, want)
		}
	}
}

func TestARC(t *testing.T) {
	n := names{"TXT list.test": {"v=spf1 +all"}, "TXT _dmarc.author.test": {"v=DMARC1; p=reject"}}
	author, list, second := n.key(t, "author.test", "e1", false), n.key(t, "list.test", "a1", true), n.key(t, "second.test", "a2", false)
	signed := sign(t, letter, author)
	if r := n.verify(t, "ann@author.test", signed); r.ARC.Result != None || r.DMARC.Result != Pass {
		t.Fatalf("%+v", r)
	}
	// The list seals what it got, then changes it, then seals again what it sends.
	sealed := seal(t, n, signed, list)
	r := n.verify(t, "x@list.test", sealed)
	if r.ARC.Result != Pass || len(r.ARC.Sets) != 1 || r.ARC.Sets[0].Sealer != "list.test" || !strings.Contains(r.ARC.Sets[0].Results, "dmarc=pass") {
		t.Fatalf("%+v", r.ARC)
	}
	twice := seal(t, n, sealed, second)
	r = n.verify(t, "x@list.test", twice)
	if r.ARC.Result != Pass || len(r.ARC.Sets) != 2 || r.ARC.Sets[1].Sealer != "second.test" {
		t.Fatalf("%+v", r.ARC)
	}
	for name, c := range map[string]struct{ old, new string }{
		"body":             {"yours", "Yours"},
		"subject":          {"a   letter", "another letter"},
		"results":          {"dmarc=pass", "dmarc=fail"},
		"set missing":      {"i=1", "i=3"},
		"set twice":        {"i=2", "i=1"},
		"instance":         {"ARC-Seal: i=2", "ARC-Seal: i=x"},
		"cv":               {"cv=pass", "cv=none"},
		"failed":           {"cv=pass", "cv=fail"},
		"seal with h":      {"cv=pass", "h=from; cv=pass"},
		"seal's domain":    {"cv=pass; d=second.test", "cv=pass; d=list.test"},
		"tag twice":        {"cv=pass;", "cv=pass; cv=pass;"},
		"no seal":          {"ARC-Seal: i=2", "X-Seal: i=2"},
		"only a signature": {"ARC-Message-Signature: i=1", "ARC-Message-Signature: i=4"},
	} {
		changed := strings.Replace(twice, c.old, c.new, 1)
		if changed == twice {
			t.Fatalf("%s: nothing changed", name)
		}
		if r := n.verify(t, "x@list.test", changed); r.ARC.Result != Fail {
			t.Errorf("%s: %+v", name, r.ARC)
		}
		// A broken chain is not sealed.
		if again := seal(t, n, changed, list); again != changed {
			t.Errorf("%s: the broken chain was sealed", name)
		}
	}
	n["TXT a1._domainkey.list.test"] = []string{"!"}
	if r := n.verify(t, "x@list.test", twice); r.ARC.Result != TempError {
		t.Errorf("key not to be had: %+v", r.ARC)
	}
}

func TestAuthenticationResults(t *testing.T) {
	n := names{"TXT author.test": {"v=spf1 +all"}, "TXT _dmarc.author.test": {"v=DMARC1; p=reject"}}
	signed := sign(t, letter, n.key(t, "author.test", "e1", false))
	r := n.verify(t, "ann@author.test", signed)
	b := r.DKIM[0].Signature
	want := "Authentication-Results: mx.here.test;\r\n\tspf=pass smtp.mailfrom=author.test;\r\n\t" +
		"dkim=pass header.d=author.test header.s=e1 header.b=\"" + b + "\";\r\n\tdmarc=pass (p=reject) header.from=author.test\r\n"
	if got := r.AuthenticationResults("mx.here.test"); got != want || len(b) != 8 {
		t.Errorf("got %q", got)
	}
	evil := Results{SPF: SPF{Result: Fail, Domain: "a;spf=pass"}, DKIM: []DKIM{{Result: Fail, Domain: "x", Selector: "s\r\nX: y", Reason: "bad (\r\n) text"}}, DMARC: DMARC{Result: None}}
	want = "Authentication-Results: here;\r\n\tspf=fail smtp.mailfrom=invalid;\r\n\tdkim=fail (bad [??] text) header.d=x header.s=invalid;\r\n\tdmarc=none\r\n"
	if got := evil.AuthenticationResults("here"); !strings.HasPrefix(got, want[:len(want)-2]) {
		t.Errorf("got %q", got)
	}
}

func FuzzVerify(f *testing.F) {
	n := names{"TXT list.test": {"v=spf1 +all"}, "TXT _dmarc.author.test": {"v=DMARC1; p=reject"}}
	signed := sign(f, letter, n.key(f, "author.test", "e1", false))
	f.Add(signed)
	f.Add(seal(f, n, signed, n.key(f, "list.test", "a1", false)))
	f.Fuzz(func(t *testing.T, text string) {
		r := n.verify(t, "x@list.test", text)
		field := r.AuthenticationResults("here.test")
		lines := strings.Split(strings.TrimSuffix(field, "\r\n"), "\r\n\t")
		for _, line := range lines {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%q", field)
			}
		}
	})
}

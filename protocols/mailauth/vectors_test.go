package mailauth

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// dinner is the message of RFC 8463 appendix A.3, with its two signatures.
var dinner = strings.ReplaceAll(`DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`, "\n", "\r\n")

// footballKeys are the records of appendix A.2.
func footballKeys() names {
	return names{
		"TXT brisbane._domainkey.football.example.com": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
		"TXT test._domainkey.football.example.com": {"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/b" +
			"yYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"},
	}
}

// TestRFC8463: both signatures of its example verify, and neither does when the message or its key is another.
func TestRFC8463(t *testing.T) {
	n := footballKeys()
	r := n.verify(t, "joe@football.example.com", dinner)
	if len(r.DKIM) != 2 || r.DKIM[0].Result != Pass || r.DKIM[1].Result != Pass || r.DKIM[0].Selector != "brisbane" || r.DKIM[1].Selector != "test" {
		t.Errorf("%+v", r.DKIM)
	}
	for _, d := range n.verify(t, "joe@football.example.com", strings.Replace(dinner, "hungry", "angry", 1)).DKIM {
		if d.Result != Fail {
			t.Errorf("changed: %+v", d)
		}
	}
	n["TXT brisbane._domainkey.football.example.com"], n["TXT test._domainkey.football.example.com"] =
		n["TXT test._domainkey.football.example.com"], n["TXT brisbane._domainkey.football.example.com"]
	for _, d := range n.verify(t, "joe@football.example.com", dinner).DKIM {
		if d.Result == Pass {
			t.Errorf("the key of the other algorithm: %+v", d)
		}
	}
}

// TestHostileSignatures is class 11: what a signature may say, and what its key may be.
func TestHostileSignatures(t *testing.T) {
	const tail = "b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
	if !strings.Contains(dinner, tail) {
		t.Fatal("the example has changed")
	}
	for name, c := range map[string]struct{ old, new string }{
		"b of one byte":        {tail, "b=/g==\r\n"},
		"b that is empty":      {tail, "b=\r\n"},
		"no b":                 {tail, "x=\r\n"},
		"b that is no base64":  {tail, "b=?\r\n"},
		"a part of the body":   {"bh=2jUS", "l=5; bh=2jUS"},
		"an empty body by l=":  {"bh=2jUS", "l=0; bh=2jUS"},
		"SHA-1":                {"a=ed25519-sha256", "a=ed25519-sha1"},
		"From is not signed":   {"h=from : to :\r\n subject : date : message-id : from : subject : date", "h=to :\r\n subject : date"},
		"another identity":     {"i=@football.example.com", "i=@example.net"},
		"a tag twice":          {"s=brisbane;", "s=brisbane; s=brisbane;"},
		"it has expired":       {"t=1528637909", "t=1528637909; x=1528637910"},
		"a version":            {"v=1;", "v=2;"},
		"a second From":        {"From: Joe", "From: Eve <eve@example.net>\r\nFrom: Joe"},
		"a short bh":           {"bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=", "bh=2jU="},
		"an unknown algorithm": {"a=ed25519-sha256", "a=none"},
	} {
		changed := strings.Replace(dinner, c.old, c.new, 1)
		if changed == dinner {
			t.Fatalf("%s: nothing changed", name)
		}
		if r := footballKeys().verify(t, "joe@football.example.com", changed); len(r.DKIM) == 0 || r.DKIM[0].Result == Pass {
			t.Errorf("%s: %+v", name, r.DKIM)
		}
	}
	for name, record := range map[string]string{
		"a huge record":  "v=DKIM1; k=ed25519; n=" + strings.Repeat("x", maxKeyRecord) + "; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"a revoked key":  "v=DKIM1; k=ed25519; p=",
		"a short key":    "v=DKIM1; k=ed25519; p=11qYAYKx",
		"for SHA-1 only": "v=DKIM1; k=ed25519; h=sha1; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"not for mail":   "v=DKIM1; k=ed25519; s=calls; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	} {
		n := footballKeys()
		n["TXT brisbane._domainkey.football.example.com"] = []string{record}
		if r := n.verify(t, "joe@football.example.com", dinner); r.DKIM[0].Result == Pass || r.DKIM[1].Result != Pass {
			t.Errorf("%s: %+v", name, r.DKIM)
		}
	}
}

// TestRFC7489AppendixB has its examples of alignment (B.1) and of policies (B.2).
func TestRFC7489AppendixB(t *testing.T) {
	const relaxed, strict = "v=DMARC1; p=reject", "v=DMARC1; p=reject; adkim=s; aspf=s"
	for name, c := range map[string]struct {
		record     string // of example.com
		from       string // the author
		spf, dkim  string // domains that pass
		want       Result
		wantPolicy string
	}{
		"B.1.1 example 1":             {relaxed, "sender@example.com", "example.com", "", Pass, "reject"},
		"B.1.1 example 1, strict":     {strict, "sender@example.com", "example.com", "", Pass, "reject"},
		"B.1.1 example 2":             {relaxed, "sender@example.com", "child.example.com", "", Pass, "reject"},
		"B.1.1 example 2, strict":     {strict, "sender@example.com", "child.example.com", "", Fail, "reject"},
		"B.1.1 example 3":             {relaxed, "sender@child.example.com", "example.net", "", Fail, "reject"},
		"B.1.2 example 1":             {relaxed, "sender@example.com", "", "example.com", Pass, "reject"},
		"B.1.2 example 2":             {relaxed, "sender@child.example.com", "", "example.com", Pass, "reject"},
		"B.1.2 example 2, strict":     {strict, "sender@child.example.com", "", "example.com", Fail, "reject"},
		"B.1.2 example 3":             {relaxed, "sender@child.example.com", "", "sample.net", Fail, "reject"},
		"B.2.1 monitoring":            {"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com", "a@example.com", "x.net", "", Fail, "none"},
		"B.2.4 a policy for below":    {"v=DMARC1; p=quarantine; sp=reject", "a@child.example.com", "x.net", "", Fail, "reject"},
		"B.2.4 sampling is no longer": {"v=DMARC1; p=quarantine; pct=25", "a@example.com", "x.net", "", Fail, "quarantine"},
	} {
		n := names{"TXT _dmarc.example.com": {c.record}, "A child.example.com": {"192.0.2.5"}, "A example.com": {"192.0.2.5"}}
		r := &Results{Authors: []string{c.from[strings.IndexByte(c.from, '@')+1:]}}
		if c.spf != "" {
			r.SPF = SPF{Result: Pass, Domain: c.spf}
		}
		if c.dkim != "" {
			r.DKIM = []DKIM{{Result: Pass, Domain: c.dkim}}
		}
		d := (&Verifier{Resolver: n}).dmarc(t.Context(), r)
		if d.Result != c.want || d.Policy != c.wantPolicy {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestReportDestinations has B.2.2 and B.2.3: others' addresses have to agree, so that nobody has reports sent to a
// stranger.
func TestReportDestinations(t *testing.T) {
	n := names{
		"TXT _dmarc.example.com":     {"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net!10m"},
		"TXT _dmarc.sub.example.com": {"v=DMARC1; p=none; rua=mailto:a@example.com"},
		"TXT _dmarc.many.test":       {"v=DMARC1; p=none; rua=mailto:1@many.test,mailto:2@many.test,mailto:3@many.test,mailto:4@many.test,mailto:5@many.test"},
		"TXT _dmarc.odd.test":        {"v=DMARC1; p=none; rua=https://odd.test/,mailto:,mailto:x,mailto:a%20b%0d%0aRCPT@odd.test,mailto:ok%2bx@odd.test?subject=x,mailto:b@odd.test!x"},
	}
	v := &Verifier{Resolver: n}
	got := func(domain string) string {
		t.Helper()
		p, err := v.Record(t.Context(), domain)
		if err != nil || p == nil {
			t.Fatalf("%+v, %v", p, err)
		}
		list, err := v.Destinations(t.Context(), p)
		if err != nil {
			return "wait"
		}
		var out []string
		for _, d := range list {
			out = append(out, fmt.Sprint(d.Address, " ", d.Most))
		}
		return strings.Join(out, ", ")
	}
	for _, c := range []struct{ domain, third, want string }{
		{"example.com", "", "dmarc-feedback@example.com 0"},
		{"example.com", "v=DMARC1", "dmarc-feedback@example.com 0, tld-test@thirdparty.example.net 10485760"},
		{"example.com", "v=spf1", "dmarc-feedback@example.com 0"},
		{"example.com", "v=DMARC1; rua=mailto:other@thirdparty.example.net", "dmarc-feedback@example.com 0, other@thirdparty.example.net 0"},
		{"example.com", "v=DMARC1; rua=mailto:x@victim.test", "dmarc-feedback@example.com 0, tld-test@thirdparty.example.net 10485760"},
		{"example.com", "!", "wait"},
		{"sub.example.com", "", "a@example.com 0"},
		{"many.test", "", "1@many.test 0, 2@many.test 0, 3@many.test 0, 4@many.test 0"},
	} {
		n["TXT example.com._report._dmarc.thirdparty.example.net"] = []string{c.third}
		if c.third == "" {
			delete(n, "TXT example.com._report._dmarc.thirdparty.example.net")
		}
		if g := got(c.domain); g != c.want {
			t.Errorf("%s, %q: %s", c.domain, c.third, g)
		}
	}
	if g := got("odd.test"); strings.ContainsAny(g, "\r\n") || strings.Contains(g, "b@odd.test") {
		t.Errorf("%q", g)
	}
}

// TestSPFOfInternationalDomains is the punycode part of class 12: a U-label and its A-label are one domain for SPF,
// alignment and the records that are asked for.
func TestInternationalDomainsAlign(t *testing.T) {
	n := names{"TXT xn--bcher-kva.test": {"v=spf1 ip4:192.0.2.1 -all"}, "TXT _dmarc.xn--bcher-kva.test": {"v=DMARC1; p=reject"}}
	for _, from := range []string{"a@bücher.test", "a@xn--bcher-kva.test", "a@BÜCHER.test"} {
		text := "From: <" + from + ">\r\n\r\ntext\r\n"
		r, err := (&Verifier{Resolver: n}).Verify(t.Context(), &Message{Client: netip.MustParseAddr("192.0.2.1"), HELO: "x", ReturnPath: "a@bücher.test",
			Text: strings.NewReader(text), Size: int64(len(text))})
		if err != nil || r.DMARC.Result != Pass || r.DMARC.Author != "xn--bcher-kva.test" {
			t.Errorf("%s: %+v, %v", from, r, err)
		}
	}
}

// TestARCChains are cases of RFC 8617 sections 4 and 5.
func TestARCChains(t *testing.T) {
	n := names{"TXT list.test": {"v=spf1 +all"}, "TXT _dmarc.author.test": {"v=DMARC1; p=reject"}}
	author := n.key(t, "author.test", "e1", false)
	signed := sign(t, letter, author)
	keys := []Key{n.key(t, "one.test", "s", true), n.key(t, "two.test", "s", false), n.key(t, "three.test", "s", false)}
	chain := func(count int) string {
		text := signed
		for i := range count {
			text = seal(t, n, text, keys[i%len(keys)])
		}
		return text
	}
	result := func(text string) ARC { t.Helper(); return n.verify(t, "x@list.test", text).ARC }
	for _, count := range []int{1, 2, 3, maxARCVerified} {
		if r := result(chain(count)); r.Result != Pass || len(r.Sets) != count {
			t.Errorf("%d sets: %+v", count, r)
		}
	}
	three := chain(3)
	// without drops the fields of an instance.
	without := func(text string, prefixes ...string) string {
		fields, body, err := readHeader(strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, f := range fields {
			drop := false
			for _, p := range prefixes {
				drop = drop || strings.HasPrefix(f.raw, p)
			}
			if !drop {
				b.WriteString(f.raw)
			}
		}
		return b.String() + "\r\n" + text[body:]
	}
	// reversed has the fields in another order, which counts for nothing: instances number them.
	reversed := func(text string) string {
		fields, body, _ := readHeader(strings.NewReader(text), int64(len(text)))
		var arc, rest strings.Builder
		for i := len(fields) - 1; i >= 0; i-- {
			if strings.HasPrefix(fields[i].name, "arc-") {
				arc.WriteString(fields[i].raw)
			}
		}
		for _, f := range fields {
			if !strings.HasPrefix(f.name, "arc-") {
				rest.WriteString(f.raw)
			}
		}
		return arc.String() + rest.String() + "\r\n" + text[body:]
	}
	if r := result(reversed(three)); r.Result != Pass {
		t.Errorf("in another order: %+v", r)
	}
	var many strings.Builder
	for i := range maxARCSets + 1 {
		fmt.Fprintf(&many, "ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=x.test; s=s; b=AA==\r\nARC-Message-Signature: i=%[1]d; a=rsa-sha256; d=x.test; s=s; h=from; bh=AA==; b=AA==\r\n"+
			"ARC-Authentication-Results: i=%[1]d; x.test; none\r\n", i+1)
	}
	for name, text := range map[string]string{
		"the set in the middle is missing":  without(three, "ARC-Seal: i=2", "ARC-Message-Signature: i=2", "ARC-Authentication-Results: i=2"),
		"the first set is missing":          without(three, "ARC-Seal: i=1", "ARC-Message-Signature: i=1", "ARC-Authentication-Results: i=1"),
		"a seal is missing":                 without(three, "ARC-Seal: i=1"),
		"a signature is missing":            without(three, "ARC-Message-Signature: i=3"),
		"results are missing":               without(three, "ARC-Authentication-Results: i=2"),
		"an older seal is broken":           strings.Replace(three, "ARC-Seal: i=1; a=rsa-sha256;", "ARC-Seal: i=1; a=rsa-sha256; x=y;", 1),
		"older results are changed":         strings.Replace(three, "ARC-Authentication-Results: i=1; ", "ARC-Authentication-Results: i=1; evil.test; ", 1),
		"the newest says that it failed":    strings.Replace(three, "ARC-Seal: i=3; a=ed25519-sha256; cv=pass", "ARC-Seal: i=3; a=ed25519-sha256; cv=fail", 1),
		"an older one says that it failed":  strings.Replace(three, "ARC-Seal: i=2; a=ed25519-sha256; cv=pass", "ARC-Seal: i=2; a=ed25519-sha256; cv=fail", 1),
		"the first says pass":               strings.Replace(three, "ARC-Seal: i=1; a=rsa-sha256; cv=none", "ARC-Seal: i=1; a=rsa-sha256; cv=pass", 1),
		"without cv":                        strings.Replace(three, "cv=pass; ", "", 1),
		"instance 0":                        strings.Replace(three, "ARC-Seal: i=3", "ARC-Seal: i=0", 1),
		"51 sets":                           many.String() + signed,
		"more sets than are verified":       chain(maxARCVerified + 1),
		"the body changed after the last":   strings.Replace(three, "yours", "Yours", 1),
		"a seal of another's domain":        strings.Replace(three, "cv=pass; d=three.test", "cv=pass; d=one.test", 1),
		"a signature over a part":           strings.Replace(three, "ARC-Message-Signature: i=3;", "ARC-Message-Signature: i=3; l=1;", 1),
		"the fields of two chains together": three + "",
	} {
		if name == "the fields of two chains together" {
			other := seal(t, n, signed, keys[1])
			text = other[:strings.Index(other, "DKIM-Signature")] + three
		} else if text == three {
			t.Fatalf("%s: nothing changed", name)
		}
		if r := result(text); r.Result != Fail {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

package scheduling

import (
	"strings"
	"testing"
)

// The results as SMTP writes them before a message.
func TestAuthenticated(t *testing.T) {
	const received = "Received: from mx.far.net ([192.0.2.1]) by company.com (Gatepost) with SMTP id 1\r\n  for <ann@company.com>; Tue, 1 Dec 2026 10:00:00 +0000\r\n"
	results := func(name string, methods ...string) string {
		return "Authentication-Results: " + name + ";\r\n\t" + strings.Join(methods, ";\r\n\t") + "\r\n"
	}
	const (
		spf     = "spf=pass smtp.mailfrom=far.net"
		noSPF   = "spf=none smtp.mailfrom=far.net"
		helo    = "spf=pass smtp.helo=far.net"
		dkim    = `dkim=pass header.d=far.net header.s=s1 header.b="aGVsbG8="`
		foreign = `dkim=pass header.d=evil.net header.s=s1 header.b="aGVsbG8="`
		noDKIM  = "dkim=none"
		dmarc   = "dmarc=pass (p=reject) header.from=far.net"
		noDMARC = "dmarc=none header.from=far.net"
		fail    = "dmarc=fail (p=none) header.from=far.net"
		soft    = "dmarc=temperror (a look-up has failed) header.from=far.net"
	)
	for _, test := range []struct {
		name, header string
		want         bool
	}{
		{"DMARC", results("company.com", spf, dkim, dmarc) + received, true},
		{"DKIM without DMARC", results("company.com", noSPF, foreign, dkim, noDMARC) + received, true},
		{"SPF without DMARC", results("company.com", spf, noDKIM, noDMARC) + received, true},
		{"SPF of the client's name", results("company.com", helo, noDKIM, noDMARC) + received, false},
		{"nothing", results("company.com", noSPF, noDKIM, noDMARC) + received, false},
		{"DKIM of another", results("company.com", noSPF, foreign, noDMARC) + received, false},
		{"DMARC fails", results("company.com", spf, dkim, fail) + received, false},
		{"a look-up fails", results("company.com", noSPF, noDKIM, soft) + received, false},
		{"another server", results("far.net", spf, dkim, dmarc) + received, false},
		{"below", received + results("company.com", spf, dkim, dmarc), false},
		{"not there", received, false},
	} {
		fields, err := readFields(strings.NewReader(test.header + "From: <joe@far.net>\r\n\r\nbody"))
		must(t, err)
		if got := authenticated(fields, "company.com", "far.net"); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

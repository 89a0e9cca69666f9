package dnsdoctor

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"gatepost/server/resolver/resolvertest"
)

func facts() Facts {
	return Facts{
		Domain: "here.test", Host: "mx.here.test", Name: "mx.here.test",
		IPs:        []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		Keys:       []Key{{"s1._domainkey.here.test", "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 300), true}},
		Services:   []Service{{Name: "_imaps", Port: 993}, {Name: "_caldavs", Port: 443, Path: "/UserDAV/"}},
		Autoconfig: true, TLSA: "ab12", Policy: "0123456789", Reports: "postmaster@here.test", Aggregate: "dmarc-reports@here.test",
	}
}

// TestZoneIsWhatIsNeeded: a zone that was made of the records has no findings.
func TestZoneIsWhatIsNeeded(t *testing.T) {
	f := facts()
	text := strings.ReplaceAll(Zone(f.Domain, Records(f)), "; in another zone: ", "")
	zone := resolvertest.New(t, text)
	for _, x := range Check(t.Context(), zone.Resolver(), f) {
		if x.State != OK {
			t.Errorf("%+v\n%s", x, text)
		}
	}
	if !strings.Contains(text, strings.Repeat("A", 237)+`" "`+strings.Repeat("A", 63)+`"`) {
		t.Errorf("the long text is not in two strings:\n%s", text)
	}
}

func TestNothingPublished(t *testing.T) {
	list := Check(t.Context(), resolvertest.New(t, "").Resolver(), facts())
	problems := 0
	for _, x := range list {
		if x.State == OK || x.State == Unknown {
			t.Errorf("%+v", x)
		}
		if x.State == Problem {
			problems++
		}
	}
	if problems != 10 || Worst(list) != Problem {
		t.Errorf("%d problems in %+v", problems, list)
	}
}

func TestWrongRecords(t *testing.T) {
	for _, c := range []struct{ records, subject, text string }{
		{"here.test. MX 10 other.test.", "here.test MX", "goes to other.test. and not here"},
		{"here.test. MX 0 .", "here.test MX", "takes no mail"},
		{`here.test. TXT "v=spf1 mx +all"`, "here.test TXT", "everybody"},
		{"here.test. TXT \"v=spf1 mx -all\"\nhere.test. TXT \"v=spf1 a -all\"", "here.test TXT", "several SPF"},
		{`_dmarc.here.test. TXT "v=DMARC1; p=none; rua=mailto:dmarc-reports@here.test!5m"`, "_dmarc.here.test TXT", "p=none"},
		{`_dmarc.here.test. TXT "v=DMARC1; p=reject; rua=mailto:else@where.test"`, "_dmarc.here.test TXT", "add mailto:dmarc-reports@here.test"},
		{`s1._domainkey.here.test. TXT "v=DKIM1; k=rsa; p=AAAA"`, "s1._domainkey.here.test TXT", "Another key"},
		{"mx.here.test. A 192.0.2.9", "mx.here.test A", "192.0.2.9"},
		{"1.2.0.192.in-addr.arpa. PTR dyn-1.isp.test.", "1.2.0.192.in-addr.arpa PTR", "called dyn-1.isp.test."},
		{"_mta-sts.here.test. TXT \"v=STSv1; id=old;\"", "_mta-sts.here.test TXT", "others keep the old one"},
		{"_mta-sts.here.test. TXT \"v=STSv1; id=1\"\n_mta-sts.here.test. TXT \"v=STSv1; id=2\"", "_mta-sts.here.test TXT", "keep one"},
		{"_25._tcp.mx.here.test. TLSA 3 1 1 cd34", "_25._tcp.mx.here.test TLSA", "refuse to deliver"},
		{"autoconfig.here.test. CNAME www.here.test.\nwww.here.test. A 192.0.2.3", "autoconfig.here.test CNAME", "leads to www.here.test."},
	} {
		found := false
		for _, x := range Check(t.Context(), resolvertest.New(t, c.records).Resolver(), facts()) {
			if x.Subject == c.subject {
				found = true
				if x.State == OK || !strings.Contains(x.Text, c.text) {
					t.Errorf("%s: %+v", c.records, x)
				}
			}
		}
		if !found {
			t.Errorf("no finding about %s", c.subject)
		}
	}
}

func TestLookUpThatFails(t *testing.T) {
	zone := resolvertest.New(t, "")
	zone.Fail("here.test")
	for _, x := range Check(t.Context(), zone.Resolver(), facts()) {
		if x.Subject == "here.test MX" && x.State != Unknown {
			t.Errorf("%+v", x)
		}
	}
}

// outside is a mail server that greets, or not.
func outside(greeting string, err error) Outside {
	return Outside{Known: "known.test", Lists: []string{"list.test"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		if err != nil {
			return nil, err
		}
		a, b := net.Pipe()
		go func() {
			io.WriteString(b, greeting)
			bufio.NewReader(b).ReadByte()
			b.Close()
		}()
		return a, nil
	}}
}

func TestHost(t *testing.T) {
	good := `
known.test. MX 10 mx.known.test.
mx.known.test. A 192.0.2.50
mx.here.test. A 192.0.2.1
mx.here.test. AAAA 2001:db8::1
1.2.0.192.in-addr.arpa. PTR mx.here.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mx.here.test.
`
	for _, x := range CheckHost(t.Context(), resolvertest.New(t, good).Resolver(), facts(), outside("220 mx.known.test\r\n", nil)) {
		if x.State != OK {
			t.Errorf("%+v", x)
		}
	}
	for _, c := range []struct {
		records, subject string
		outside          Outside
		state            State
	}{
		{"", "resolver", outside("220 x\r\n", nil), Problem},
		{good, "port 25", outside("", errors.New("connection refused")), Problem},
		{good, "port 25", outside("554 no\r\n", nil), Problem},
		{good + "1.2.0.192.list.test. A 127.0.0.2", "192.0.2.1 in list.test", outside("220 x\r\n", nil), Problem},
		{good + "1.2.0.192.list.test. A 127.255.255.254", "192.0.2.1 in list.test", outside("220 x\r\n", nil), Unknown},
		{strings.Replace(good, "mx.here.test. A 192.0.2.1\n", "", 1), "reverse name of 192.0.2.1", outside("220 x\r\n", nil), Problem},
		{strings.Replace(good, "1.2.0.192.in-addr.arpa. PTR mx.here.test.\n", "", 1), "reverse name of 192.0.2.1", outside("220 x\r\n", nil), Problem},
	} {
		found := false
		for _, x := range CheckHost(t.Context(), resolvertest.New(t, c.records).Resolver(), facts(), c.outside) {
			if x.Subject == c.subject {
				if found = true; x.State != c.state {
					t.Errorf("%s: %+v, want %s", c.subject, x, c.state)
				}
			}
		}
		if !found {
			t.Errorf("no finding about %s", c.subject)
		}
	}
}

func TestReverseNames(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "2001:db8::1:2"} {
		ip := netip.MustParseAddr(s)
		if back, ok := address(reverse(ip)); !ok || back != ip {
			t.Errorf("%s: %s, %s", s, reverse(ip), back)
		}
	}
}

package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/resolver/resolvertest"
)

// aggregate is a message with an aggregate report about a domain.
func aggregate(from, domain, id string) string {
	day := time.Now().UTC().Truncate(24*time.Hour).Unix() - 86400
	xml := fmt.Sprintf(`<?xml version="1.0"?><feedback><report_metadata><org_name>far.test</org_name><email>x@far.test</email><report_id>%s</report_id>
<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata><policy_published><domain>%s</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.77</source_ip><count>7</count><policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>%[4]s</header_from></identifiers></record></feedback>`, id, day, day+86399, domain)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, xml)
	w.Close()
	return "From: " + from + "\r\nSubject: Report Domain: " + domain + "\r\nMessage-ID: <" + id + "@far.test>\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(b.Bytes()) + "\r\n"
}

// TestReportsOfOthersFromEndToEnd: a stranger's report is counted once and shown; what is no report, or not proved, is
// refused while its sender listens.
func TestReportsOfOthersFromEndToEnd(t *testing.T) {
	r := start(t)
	zone := resolvertest.New(t, `far.test. TXT "v=spf1 ip4:127.0.0.1 -all"`+"\n"+`_dmarc.far.test. TXT "v=DMARC1; p=none"`+"\n"+
		"far.test. MX 10 mx.far.test.\nunproved.test. MX 10 mx.far.test.\nmx.far.test. A 127.0.0.1")
	r.cli(t, fmt.Sprintf("SETDNRSETTINGS {Servers=(%q);}", zone.Serve(t).String()))
	r.cli(t, "SETCLIENTIPS \"\"")
	to := "dmarc-reports@" + testDomain
	send := func(from, text string) string {
		if err := r.sendPlain(r.addr(25), from, to, text); err != nil {
			return err.Error()
		}
		return "taken"
	}
	for _, c := range []struct{ from, text, want string }{
		{"x@far.test", aggregate("x@far.test", testDomain, "1"), "taken"},
		{"x@far.test", aggregate("x@far.test", testDomain, "1"), "taken"}, // and counted once
		{"x@far.test", "From: x@far.test\r\n\r\nHello\r\n", "takes aggregate reports of DMARC only: the message has none"},
		{"x@far.test", aggregate("x@far.test", "else.test", "2"), "else.test is not a domain of this server"},
		{"x@unproved.test", aggregate("x@unproved.test", testDomain, "3"), "has to be proved by SPF or DKIM"},
	} {
		if got := send(c.from, c.text); !strings.Contains(got, c.want) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	eventually(t, "the reports are counted", func() bool { return strings.Contains(r.log(t), "an aggregate report came again") })
	got := dataformat.Compact(r.cli(t, "GETDMARCREPORTS "+testDomain+" DAYS 3").Data)
	for _, want := range []string{`Address=192.0.2.77;`, `Failed=7;`, `Passed=0;`, `Rejected=7;`, `Reports=1;`, `To="dmarc-reports@` + testDomain} {
		if !strings.Contains(got, want) && !strings.Contains(got, strings.ReplaceAll(want, `"`, "")) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
}

// sendPlain sends a message without TLS.
func (r *running) sendPlain(addr, from, to, text string) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.Hello("mx.far.test"), c.Mail(from), c.Rcpt(to)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

package reports

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/server/settings"
)

const tlsZone = `
	_smtp._tls.far.test.   TXT "v=TLSRPTv1; rua=mailto:tls@far.test,mailto:second@far.test"
	_smtp._tls.twice.test. TXT "v=TLSRPTv1; rua=mailto:a@twice.test"
	_smtp._tls.twice.test. TXT "v=TLSRPTv1;rua=mailto:b@twice.test"
	_smtp._tls.other.test. TXT "v=spf1 -all"`

// tlsOutside is a TLSOutbox with the queue of an outside.
func (o *outside) tlsOutbox(t *testing.T) *TLSOutbox {
	t.Helper()
	out := &TLSOutbox{daily: daily{filepath.Join(o.dir, "Reports", "TLS"), o.q, slog.New(slog.NewTextHandler(t.Output(), nil)), func() time.Time { return o.at }},
		settings: settings.NewLive(o.set), dns: o.zone.Resolver(), directory: domains{"main.test"}}
	out.client = newClient(out.dns)
	if err := out.open(); err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	farHost  = netip.MustParseAddr("192.0.2.30")
	ourHost  = netip.MustParseAddr("198.51.100.7")
	stsGood  = TLSSession{Domain: "far.test", Policy: PolicySTS, Text: []string{"version: STSv1", "mode: testing", "mx: mx.far.test", "max_age: 86400"}, MX: []string{"mx.far.test"}, Host: "mx.far.test", Remote: farHost, Local: ourHost}
	stsWrong = func() TLSSession {
		s := stsGood
		s.Result, s.Reason = "certificate-host-mismatch", "the certificate is for\nother.test"
		return s
	}()
)

const wantReport = `{
  "organization-name": "main.test",
  "date-range": {
    "start-datetime": "2026-11-30T00:00:00Z",
    "end-datetime": "2026-11-30T23:59:59Z"
  },
  "contact-info": "postmaster@main.test",
  "report-id": "20261130.far.test@main.test",
  "policies": [
    {
      "policy": {
        "policy-type": "no-policy-found",
        "policy-domain": "far.test"
      },
      "summary": {
        "total-successful-session-count": 1,
        "total-failure-session-count": 0
      }
    },
    {
      "policy": {
        "policy-type": "sts",
        "policy-string": [
          "version: STSv1",
          "mode: testing",
          "mx: mx.far.test",
          "max_age: 86400"
        ],
        "policy-domain": "far.test",
        "mx-host": [
          "mx.far.test"
        ]
      },
      "summary": {
        "total-successful-session-count": 3,
        "total-failure-session-count": 2
      },
      "failure-details": [
        {
          "result-type": "certificate-host-mismatch",
          "sending-mta-ip": "198.51.100.7",
          "receiving-mx-hostname": "mx.far.test",
          "receiving-ip": "192.0.2.30",
          "failed-session-count": 2,
          "failure-reason-code": "the certificate is for other.test"
        }
      ]
    }
  ]
}
`

func unpacked(t *testing.T, b []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The report of a day goes to those who ask for it, once, as RFC 8460 has it.
func TestTLSReportOfADay(t *testing.T) {
	o := newOutside(t)
	o.set.SendTLS = true
	o.zone.Set(t, tlsZone)
	out := o.tlsOutbox(t)
	for range 3 {
		out.Count(stsGood)
	}
	out.Count(stsWrong)
	for _, domain := range []string{"far.test", "twice.test", "other.test", "silent.test"} {
		out.Count(TLSSession{Domain: domain, Policy: NoPolicy, Host: "mx." + domain, Remote: farHost})
	}
	out.flush(t.Context())
	out = o.tlsOutbox(t) // as after a restart
	out.Count(stsWrong)
	out.sendAll(t.Context())
	if got := o.files(t); len(got) > 0 {
		t.Fatalf("before the day has ended: %v", got)
	}
	o.at = begin.Add(25 * time.Hour)
	for range 2 {
		out.sendAll(t.Context())
		out = o.tlsOutbox(t)
	}
	got := o.files(t)
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	file := got["far.test.msg"]
	text := file[strings.Index(file, "From: "):]
	m, err := netmail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"To": "<tls@far.test>, <second@far.test>", "TLS-Report-Domain": "far.test", "TLS-Report-Submitter": "main.test",
		"Subject": "Report Domain: far.test Submitter: main.test Report-ID: <20261130.far.test@main.test>"} {
		if v := strings.Join(strings.Fields(m.Header.Get(field)), " "); v != want {
			t.Errorf("%s: %q, want %q", field, v, want)
		}
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "tlsrpt" {
		t.Fatal(kind, params, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		t.Fatal(err)
	}
	p, err := parts.NextPart()
	if err != nil || p.Header.Get("Content-Type") != "application/tlsrpt+gzip" {
		t.Fatal(err)
	}
	content, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
	if err != nil {
		t.Fatal(err)
	}
	if got := unpacked(t, content); got != wantReport {
		t.Errorf("got\n%s\nwant\n%s", got, wantReport)
	}
	if days, _ := dayNames(out.dir, dayFile); len(days) != 0 {
		t.Errorf("left: %v", days)
	}
	o.set.SendTLS = false
	out.Count(stsGood)
	if out.count.dirty {
		t.Error("sessions are counted although no reports are sent")
	}
}

// A report is posted where a domain asks for that, and tried again when nobody takes it.
func TestTLSReportIsPosted(t *testing.T) {
	o := newOutside(t)
	o.set.SendTLS = true
	refuse := true
	var taken []string
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if refuse {
			http.Redirect(w, q, "/elsewhere", http.StatusFound)
			return
		}
		b, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		taken = append(taken, q.Header.Get("Content-Type")+"\n"+unpacked(t, b))
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(web.Close)
	o.zone.Set(t, `_smtp._tls.far.test. TXT "v=TLSRPTv1;rua=`+web.URL+`/take?key=s3cret,ftp://x/,mailto:,https://user:pw@x/"`)
	out := o.tlsOutbox(t)
	out.Count(stsGood)
	o.at = begin.Add(25 * time.Hour)
	out.sendAll(t.Context())
	if days, _ := dayNames(out.dir, dayFile); len(days) != 1 {
		t.Error("an address of this machine is posted to")
	}
	client := web.Client()
	client.CheckRedirect = out.client.CheckRedirect
	out.client = client
	out.sendAll(t.Context())
	if days, _ := dayNames(out.dir, dayFile); len(days) != 1 || len(taken) > 0 {
		t.Errorf("refused, and nothing is left to send: %v", days)
	}
	refuse = false
	for range 2 {
		out.sendAll(t.Context())
	}
	if len(taken) != 1 || !strings.HasPrefix(taken[0], "application/tlsrpt+gzip\n{") || !strings.Contains(taken[0], `"policy-domain": "far.test"`) {
		t.Errorf("posted: %v", taken)
	}
}

// Counts are bounded, whatever servers say.
func TestTLSCountsAreBounded(t *testing.T) {
	o := newOutside(t)
	o.set.SendTLS = true
	out := o.tlsOutbox(t)
	for i := range 200 {
		s := stsWrong
		s.Reason = strings.Repeat(fmt.Sprint(i), 1000)
		out.Count(s)
		s.Text = []string{strings.Repeat(fmt.Sprint("mx: ", i), 10_000)}
		out.Count(s)
	}
	policies := out.count.domains["far.test"]
	if len(policies) != maxTLSPolicies {
		t.Errorf("%d policies", len(policies))
	}
	for p, c := range policies {
		if len(p.text) > maxTLSText || len(c.failures) > maxTLSFailures || c.bad == 0 {
			t.Errorf("%d bytes, %d kinds, %d sessions", len(p.text), len(c.failures), c.bad)
		}
	}
	out.flush(t.Context())
	if again, err := readTLSDay(out.path(out.today, dayFile)); err != nil || len(again.domains["far.test"]) != maxTLSPolicies {
		t.Error(err)
	}
	if err := os.WriteFile(out.path(out.today, dayFile), []byte("{far.test=(x);}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readTLSDay(out.path(out.today, dayFile)); err == nil {
		t.Error("a damaged file is read")
	}
}

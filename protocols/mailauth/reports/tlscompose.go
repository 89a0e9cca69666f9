package reports

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The elements of a report (RFC 8460 section 4.4).
type (
	tlsReport struct {
		Organization string         `json:"organization-name"`
		Range        tlsRange       `json:"date-range"`
		Contact      string         `json:"contact-info"`
		ID           string         `json:"report-id"`
		Policies     []tlsPolicyOut `json:"policies"`
	}
	tlsRange struct {
		Start string `json:"start-datetime"`
		End   string `json:"end-datetime"`
	}
	tlsPolicyOut struct {
		Policy struct {
			Type   string   `json:"policy-type"`
			Text   []string `json:"policy-string,omitempty"`
			Domain string   `json:"policy-domain"`
			MX     []string `json:"mx-host,omitempty"`
		} `json:"policy"`
		Summary struct {
			Good int64 `json:"total-successful-session-count"`
			Bad  int64 `json:"total-failure-session-count"`
		} `json:"summary"`
		Failures []tlsFailureOut `json:"failure-details,omitempty"`
	}
	tlsFailureOut struct {
		Result string `json:"result-type"`
		Local  string `json:"sending-mta-ip,omitempty"`
		Host   string `json:"receiving-mx-hostname,omitempty"`
		Remote string `json:"receiving-ip,omitempty"`
		Count  int64  `json:"failed-session-count"`
		Reason string `json:"failure-reason-code,omitempty"`
	}
)

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// composeTLS makes the attachment of a report.
func composeTLS(s sender, domain string, begin time.Time, policies map[tlsPolicy]*tlsCounts) ([]byte, error) {
	r := tlsReport{Organization: s.domain, Contact: s.address, ID: reportID(s, domain, begin),
		Range: tlsRange{begin.Format(time.RFC3339), begin.Add(24*time.Hour - time.Second).Format(time.RFC3339)}, Policies: []tlsPolicyOut{}}
	sorted := slices.SortedFunc(maps.Keys(policies), func(a, b tlsPolicy) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.text, b.text), cmp.Compare(a.mx, b.mx))
	})
	for _, p := range sorted {
		c := policies[p]
		var out tlsPolicyOut
		out.Policy.Type, out.Policy.Text, out.Policy.Domain, out.Policy.MX = p.kind, lines(p.text), domain, lines(p.mx)
		out.Summary.Good, out.Summary.Bad = c.good, c.bad
		for f, n := range c.failures {
			out.Failures = append(out.Failures, tlsFailureOut{f.result, sourceText(f.local), f.host, sourceText(f.remote), n, f.reason})
		}
		slices.SortFunc(out.Failures, func(a, b tlsFailureOut) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Result, b.Result), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Remote, b.Remote), cmp.Compare(a.Reason, b.Reason))
		})
		r.Policies = append(r.Policies, out)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(&r); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// tlsLetter is the message that carries a report (RFC 8460 section 5.3).
func tlsLetter(s sender, domain string, begin time.Time, to []string, content []byte, now time.Time) []byte {
	id := reportID(s, domain, begin)
	boundary := "report-" + begin.Format("20060102")
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: <%s>", s.address)
	line("To: <%s>", strings.Join(to, ">,\r\n\t<"))
	line("Date: %s", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("Message-ID: <tls.%s>", id)
	line("Subject: Report Domain: %s\r\n\tSubmitter: %s\r\n\tReport-ID: <%s>", domain, s.domain, id)
	line("TLS-Report-Domain: %s", domain)
	line("TLS-Report-Submitter: %s", s.domain)
	line("Auto-Submitted: auto-generated")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"%s\"", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	line("This is a report about encryption (TLS) for %s.\r\nIt tells how sessions of %s with its mail servers went on %s (UTC).", domain, s.domain, day(begin))
	line("")
	line("--%s", boundary)
	line("Content-Type: application/tlsrpt+gzip")
	line("Content-Transfer-Encoding: base64")
	line("Content-Disposition: attachment;\r\n\tfilename=\"%s!%s!%d!%d.json.gz\"", s.domain, domain, begin.Unix(), begin.Unix()+86399)
	line("")
	for text := base64.StdEncoding.EncodeToString(content); text != ""; {
		n := min(76, len(text))
		line("%s", text[:n])
		text = text[n:]
	}
	line("--%s--", boundary)
	return b.Bytes()
}

package reports

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatepost/protocols/mailauth"
)

// sender is this server as reports name it: its Main Domain, and the address that they are from.
type sender struct{ domain, address string }

// The elements of a report that is sent (RFC 7489 appendix C).
type (
	feedbackOut struct {
		XMLName  xml.Name `xml:"feedback"`
		Version  string   `xml:"version"`
		Metadata struct {
			Org   string `xml:"org_name"`
			Email string `xml:"email"`
			ID    string `xml:"report_id"`
			Begin int64  `xml:"date_range>begin"`
			End   int64  `xml:"date_range>end"`
		} `xml:"report_metadata"`
		Policy struct {
			Domain  string `xml:"domain"`
			DKIM    string `xml:"adkim"`
			SPF     string `xml:"aspf"`
			Policy  string `xml:"p"`
			Below   string `xml:"sp"`
			Percent int    `xml:"pct"`
		} `xml:"policy_published"`
		Records []recordOut `xml:"record"`
	}
	recordOut struct {
		Source      string      `xml:"row>source_ip"`
		Count       int64       `xml:"row>count"`
		Disposition string      `xml:"row>policy_evaluated>disposition"`
		DKIM        string      `xml:"row>policy_evaluated>dkim"`
		SPF         string      `xml:"row>policy_evaluated>spf"`
		Reasons     []reasonOut `xml:"row>policy_evaluated>reason"`
		From        string      `xml:"identifiers>envelope_from"`
		Author      string      `xml:"identifiers>header_from"`
		Auth        []authOut   `xml:"auth_results>dkim"`
		AuthSPF     []spfOut    `xml:"auth_results>spf"`
	}
	reasonOut struct {
		Type string `xml:"type"`
	}
	authOut struct {
		Domain   string `xml:"domain"`
		Selector string `xml:"selector"`
		Result   string `xml:"result"`
	}
	spfOut struct {
		Domain string `xml:"domain"`
		Scope  string `xml:"scope"`
		Result string `xml:"result"`
	}
)

// reportID numbers a report: one a domain and day.
func reportID(s sender, domain string, begin time.Time) string {
	return begin.Format("20060102") + "." + domain + "@" + s.domain
}

// compose makes the attachment of a report.
func compose(s sender, p *mailauth.Published, begin time.Time, rows map[countedRow]int64) ([]byte, error) {
	var f feedbackOut
	f.Version = "1.0"
	f.Metadata.Org, f.Metadata.Email, f.Metadata.ID = s.domain, s.address, reportID(s, p.Domain, begin)
	f.Metadata.Begin, f.Metadata.End = begin.Unix(), begin.Unix()+86399
	mode := func(strict bool) string {
		if strict {
			return "s"
		}
		return "r"
	}
	f.Policy.Domain, f.Policy.DKIM, f.Policy.SPF = p.Domain, mode(p.StrictDKIM), mode(p.StrictSPF)
	f.Policy.Policy, f.Policy.Below, f.Policy.Percent = p.Policy, p.Below, 100
	if p.Testing {
		f.Policy.Percent = 0
	}
	for r, n := range rows {
		one := recordOut{Source: r.source.String(), Count: n, Disposition: r.disposition, DKIM: passText(r.dkim), SPF: passText(r.spf), From: r.envelopeFrom, Author: r.author}
		if r.reason != "" {
			one.Reasons = []reasonOut{{r.reason}}
		}
		for line := range strings.Lines(r.auth) {
			w := strings.Fields(line)
			switch {
			case len(w) == 4 && w[0] == "dkim":
				one.Auth = append(one.Auth, authOut{w[1], w[2], w[3]})
			case len(w) == 4 && w[0] == "spf":
				one.AuthSPF = append(one.AuthSPF, spfOut{w[1], w[2], w[3]})
			}
		}
		if len(one.AuthSPF) == 0 { // the format asks for one
			one.AuthSPF = []spfOut{{r.author, "mfrom", "none"}}
		}
		f.Records = append(f.Records, one)
	}
	slices.SortFunc(f.Records, func(a, b recordOut) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Author, b.Author), cmp.Compare(a.From, b.From))
	})
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(xml.Header))
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(&f); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// letter is the message that carries an attachment (RFC 7489 section 7.2.1.1).
func letter(s sender, domain string, begin time.Time, to []mailauth.Destination, content []byte, now time.Time) []byte {
	id := reportID(s, domain, begin)
	var names []string
	for _, d := range to {
		names = append(names, "<"+d.Address.String()+">")
	}
	boundary := "report-" + begin.Format("20060102")
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: <%s>", s.address)
	line("To: %s", strings.Join(names, ",\r\n\t"))
	line("Date: %s", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("Message-ID: <dmarc.%s>", id)
	line("Subject: Report Domain: %s\r\n\tSubmitter: %s\r\n\tReport-ID: <%s>", domain, s.domain, id)
	line("Auto-Submitted: auto-generated")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/mixed; boundary=\"%s\"", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	line("This is an aggregate report of DMARC for %s.\r\nIt tells what %s has received in its name on %s (UTC).", domain, s.domain, day(begin))
	line("")
	line("--%s", boundary)
	line("Content-Type: application/gzip")
	line("Content-Transfer-Encoding: base64")
	line("Content-Disposition: attachment;\r\n\tfilename=\"%s!%s!%d!%d.xml.gz\"", s.domain, domain, begin.Unix(), begin.Unix()+86399)
	line("")
	for text := base64.StdEncoding.EncodeToString(content); text != ""; {
		n := min(76, len(text))
		line("%s", text[:n])
		text = text[n:]
	}
	line("--%s--", boundary)
	return b.Bytes()
}

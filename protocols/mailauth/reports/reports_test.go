package reports

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// begin is a day at noon, of which the reports of the tests are.
var begin = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)

// entry is a record element.
func entry(ip string, count int, disposition, dkim, spf string) string {
	return fmt.Sprintf(`<record><row><source_ip>%s</source_ip><count>%d</count><policy_evaluated><disposition>%s</disposition><dkim>%s</dkim><spf>%s</spf>
<reason><type>local_policy</type></reason></policy_evaluated></row><identifiers><header_from>here.test</header_from></identifiers>
<auth_results><dkim><domain>here.test</domain><result>pass</result></dkim><spf><domain>here.test</domain><result>pass</result></spf></auth_results></record>`, ip, count, disposition, dkim, spf)
}

// feedback is the XML of a report.
func feedback(id, domain string, records ...string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8" ?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version><report_metadata><org_name>far.test</org_name><email>noreply@far.test</email>
<report_id>%s</report_id><date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>
<policy_published><domain>%s</domain><adkim>r</adkim><p>reject</p><pct>100</pct></policy_published>%s</feedback>`,
		id, begin.Unix(), begin.Unix()+86399, domain, strings.Join(records, ""))
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.Bytes()
}

func zipped(name, s string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create(name)
	io.WriteString(w, s)
	z.Close()
	return b.Bytes()
}

// mail is a message with an attachment.
func mail(kind string, content []byte) string {
	text := base64.StdEncoding.EncodeToString(content)
	var lines strings.Builder
	for len(text) > 76 {
		lines.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	lines.WriteString(text)
	return "From: noreply@far.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n" +
		"--b\r\nContent-Type: " + kind + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines.String() + "\r\n--b--\r\n"
}

func read(text string) (*Report, error) { return Read(strings.NewReader(text), int64(len(text))) }

func TestReportInAnyPacking(t *testing.T) {
	text := feedback("id 1", "Here.TEST", entry("192.0.2.1", 2, "none", "pass", "fail"), entry("192.0.2.1", 3, "none", "pass", "fail"),
		entry("2001:db8::1", 1, "reject", "fail", "fail"))
	for name, message := range map[string]string{
		"gzip":             mail("application/gzip", gzipped(text)),
		"zip":              mail("application/zip", zipped("far.test!here.test!1!2.xml", text)),
		"plain":            mail("text/xml", []byte(text)),
		"of a wrong type":  mail("application/octet-stream", gzipped(text)),
		"the message":      "From: a@far.test\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(gzipped(text)) + "\r\n",
		"with a byte mark": mail("application/xml", append([]byte("\ufeff"), text...)),
		"in Latin 1":       mail("application/xml", []byte(strings.Replace(text, "UTF-8", "ISO-8859-1", 1))),
	} {
		r, err := read(message)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		slices.SortFunc(r.Rows, func(a, b Row) int { return a.Source.Compare(b.Source) })
		got := fmt.Sprint(r.Reporter, " ", r.ID, " ", r.Domain, " ", day(r.Begin), " ", r.Rows)
		if want := "far.test id 1 here.test 2026-11-30 [{192.0.2.1 5 false true none} {2001:db8::1 1 false false reject}]"; got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestNoReport has what is refused, bombs among it: class 27 of attachments that grow.
func TestNoReport(t *testing.T) {
	good := feedback("1", "here.test", entry("192.0.2.1", 1, "none", "pass", "pass"))
	huge := strings.Repeat(" ", maxText+1)
	entities := `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><feedback><report_metadata><org_name>&b;</org_name></report_metadata></feedback>`
	many := make([]string, maxDistinct+1)
	for i := range many {
		many[i] = entry(fmt.Sprintf("2001:db8::%x:%x", i>>8, i&255), 1, "none", "pass", "pass")
	}
	for name, c := range map[string]struct{ text, want string }{
		"text alone":           {"From: a@far.test\r\n\r\nHello\r\n", "has none"},
		"a picture":            {mail("image/png", []byte("\x89PNG")), "has none"},
		"a gzip bomb":          {mail("application/gzip", gzipped(good[:len(good)-11]+huge+"</feedback>")), "too large"},
		"a zip bomb":           {mail("application/zip", zipped("a.xml", good[:len(good)-11]+huge+"</feedback>")), "too large"},
		"a zip without XML":    {mail("application/zip", zipped("a.exe", good)), "no XML file"},
		"entities":             {mail("text/xml", []byte(entities)), "document type"},
		"an external entity":   {mail("text/xml", []byte(`<!DOCTYPE x SYSTEM "file:///etc/passwd"><feedback/>`)), "document type"},
		"an unknown entity":    {mail("text/xml", []byte(strings.Replace(good, "far.test", "&b;", 1))), "not valid"},
		"another XML":          {mail("text/xml", []byte("<html></html>")), "another one"},
		"cut off":              {mail("application/gzip", gzipped(good)[:200]), "ends too early"},
		"open elements":        {mail("text/xml", []byte(good[:len(good)-30])), "not valid"},
		"no address":           {mail("text/xml", []byte(strings.Replace(good, "192.0.2.1", "evil", 1))), "record 1"},
		"a negative count":     {mail("text/xml", []byte(strings.Replace(good, "<count>1", "<count>-1", 1))), "record 1"},
		"a count that is huge": {mail("text/xml", []byte(strings.Replace(good, "<count>1", "<count>9223372036854775807", 1))), "record 1"},
		"no number":            {mail("text/xml", []byte(strings.Replace(good, "<report_id>1", "<report_id>", 1))), "lacks"},
		"no period":            {mail("text/xml", []byte(strings.Replace(good, "<end>", "<end>x", 1))), "period"},
		"no domain":            {mail("text/xml", []byte(strings.Replace(good, "<domain>here.test</domain><adkim>", "<domain>../../etc</domain><adkim>", 1))), "domain"},
		"too many rows":        {mail("application/gzip", gzipped(feedback("1", "here.test", many...))), "too many"},
	} {
		if r, err := read(c.text); !fault.Is(err, fault.Rejected) || !strings.Contains(fault.Text(err), c.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func newStore(t *testing.T) *Store {
	s := OpenStore(filepath.Join(t.TempDir(), "Reports", "Received"))
	s.now = func() time.Time { return begin.Add(36 * time.Hour) }
	return s
}

func (s *Store) take(t *testing.T, id string, records ...string) bool {
	t.Helper()
	r, err := parse(strings.NewReader(feedback(id, "here.test", records...)))
	if err != nil {
		t.Fatal(err)
	}
	added, err := s.Add("here.test", r)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func TestReportsAreSummedOnce(t *testing.T) {
	s := newStore(t)
	for i, want := range []bool{true, false} {
		if got := s.take(t, "a", entry("192.0.2.1", 3, "none", "pass", "fail"), entry("192.0.2.2", 2, "reject", "fail", "fail")); got != want {
			t.Errorf("%d: %v", i, got)
		}
	}
	s = &Store{dir: s.dir, now: s.now} // after a restart
	if s.take(t, "a") || !s.take(t, "b", entry("192.0.2.1", 4, "none", "fail", "fail")) {
		t.Error("after a restart")
	}
	sum, err := s.Sum(t.Context(), "here.test", 30)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(sum.Reports, sum.Sources); got != "2 [{192.0.2.1 3 4 0 [far.test] 2026-11-30 2026-11-30} {192.0.2.2 0 2 2 [far.test] 2026-11-30 2026-11-30}]" {
		t.Error(got)
	}
	if sum, err := s.Sum(t.Context(), "here.test", 1); err != nil || sum.Reports != 0 {
		t.Errorf("today alone: %+v, %v", sum, err)
	}
	if info, err := os.Stat(s.path("here.test", "2026-11-30")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestRowsAreBounded: what is beyond the bound is counted together, and what is too old goes.
func TestRowsAreBounded(t *testing.T) {
	s := newStore(t)
	var many []string
	for i := range maxRows + 50 {
		many = append(many, entry(fmt.Sprintf("2001:db8::%x", i+1), 2, "none", "pass", "pass"))
	}
	s.take(t, "a", many...)
	d, err := readDay(s.path("here.test", "2026-11-30"))
	if err != nil || len(d.rows) != maxRows+1 {
		t.Fatalf("%d rows, %v", len(d.rows), err)
	}
	sum, err := s.Sum(t.Context(), "here.test", 30)
	if err != nil || sum.Sources[0].Addr.IsValid() || sum.Sources[0].Passed != 100 {
		t.Errorf("%+v, %v", sum.Sources[0], err)
	}
	for i := 1; i < maxReports; i++ {
		d.reports = append(d.reports, [2]string{"x", fmt.Sprint(i)})
	}
	r := &Report{Reporter: "far.test", ID: "one more", Begin: begin, Domain: "here.test"}
	put := *d
	if err := os.WriteFile(s.path("here.test", "2026-11-30"), []byte(textOf(put)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add("here.test", r); !fault.Is(err, fault.Rejected) {
		t.Errorf("one too many: %v", err)
	}
	for _, at := range []time.Time{begin.AddDate(0, 0, -lateDays), begin.AddDate(0, 0, 5)} {
		if _, err := s.Add("here.test", &Report{Reporter: "far.test", ID: "x", Begin: at}); !fault.Is(err, fault.Rejected) {
			t.Errorf("%v: %v", at, err)
		}
	}
	s.now = func() time.Time { return begin.AddDate(0, 0, Days+1) }
	s.Prune(t.Context(), nil)
	if names, err := dayNames(filepath.Join(s.dir, "here.test"), dayFile); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
}

// A forged report cannot make sums turn over.
func TestSumsEndAtTheLargestNumber(t *testing.T) {
	s := newStore(t)
	rows := strings.Repeat(entry("192.0.2.1", maxCount, "none", "fail", "fail"), 5000)
	r, err := parse(strings.NewReader(feedback("1", "here.test", rows)))
	if err != nil {
		t.Fatal(err)
	}
	d := &dayData{}
	for range maxReports * 10 {
		d.add(r)
	}
	if len(d.rows) != 1 || d.rows[0].Count <= 0 {
		t.Errorf("%+v", d.rows)
	}
	for i := range 2 {
		day := *r
		day.Begin, day.Rows = begin.AddDate(0, 0, -i), []Row{d.rows[0].Row}
		if _, err := s.Add("here.test", &day); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := s.Sum(t.Context(), "here.test", 30)
	if err != nil || len(sum.Sources) != 1 || sum.Sources[0].Failed < d.rows[0].Count || d.rows[0].Count != math.MaxInt64 {
		t.Errorf("%+v %v", sum, err)
	}
}

// readAt tells when it is read, and waits.
type readAt func()

func (f readAt) ReadAt([]byte, int64) (int, error) { f(); return 0, io.EOF }

// Many strangers who send reports at a time do not have them all in memory.
func TestFewReportsAreReadAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewInbox(newStore(t), nil, nil, slog.New(slog.DiscardHandler))
		var now, most atomic.Int64
		for range 20 {
			go in.Accepts(readAt(func() {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Second)
				now.Add(-1)
			}), 1000)
		}
		time.Sleep(time.Minute)
		if most.Load() != maxReading || now.Load() != 0 {
			t.Errorf("%d at a time, %d are not over", most.Load(), now.Load())
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(mail("text/xml", []byte(feedback("1", "here.test", entry("192.0.2.1", 1, "none", "pass", "pass")))))
	f.Add(mail("application/gzip", gzipped(feedback("1", "here.test"))))
	f.Add(mail("application/zip", zipped("a.xml", feedback("1", "here.test"))))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := read(text)
		if err != nil {
			return
		}
		if len(r.Reporter) > maxWord || len(r.ID) > maxWord || strings.ContainsAny(r.Domain, "/\\\x00") || strings.HasPrefix(r.Domain, ".") {
			t.Errorf("%+v", r)
		}
	})
}

func textOf(d dayData) string { return dataformat.Pretty(d.value()) + "\n" }

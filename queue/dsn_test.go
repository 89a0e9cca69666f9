package queue

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	got = strings.ReplaceAll(got, "\r\n", "\n")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

const reportedMessage = "Received: from far.org by company.com;\r\n\tTue, 24 Nov 2026 09:00:00 +0000\r\nFrom: Joe <joe@far.org>\r\nTo: many\r\n" +
	"Subject: hello\r\n\r\nfirst line\r\n\r\nsecond line\r\n"

func sampleReport(t *testing.T, kind reportKind, text string) *report {
	t.Helper()
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	b := &bench{t: t}
	env := &envelope.Envelope{
		Source: envelope.Source{Tag: "SMTP", Domain: "company.com"}, Submitted: at,
		ReturnPath: b.addr("joe@far.org"), ID: "QQ314159",
		Recipients: []envelope.Recipient{
			{Address: b.addr("user@dom.test"), Original: "rfc822;user+box@old.test", Notify: envelope.NotifyDefault},
			{Address: b.addr("joe@far.org")},
			{Address: b.addr("ann@company.com")},
			{Address: b.addr("nobody@company.com")},
		},
	}
	file := filepath.Join(t.TempDir(), "100.msg")
	if err := os.WriteFile(file, []byte("head\n\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &report{
		Kind: kind, ID: 101, Time: at.Add(time.Hour), Host: "company.com", From: "MAILER-DAEMON@company.com", To: "joe@far.org",
		Boundary: "report-boundary", Envelope: env, File: file, Offset: 6, Size: int64(len(text)), HeadersOnly: kind != failureReport,
	}
	return r
}

func (r *report) print(t *testing.T) string {
	t.Helper()
	r.EightBit = r.returnsEightBit()
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	checkReport(t, b.String())
	return b.String()
}

// checkReport reads a report as a stranger would.
func checkReport(t *testing.T, text string) {
	t.Helper()
	for n, line := range strings.SplitAfter(text, "\r\n") {
		if strings.ContainsAny(strings.TrimSuffix(line, "\r\n"), "\r\n") || len(line) > 1000 {
			t.Errorf("line %d: %q", n, line)
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("%s %v %v", kind, params, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	count := 0
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if p.Header.Get("Content-Type") == "message/delivery-status" && !ascii(string(data)) {
			t.Errorf("message/delivery-status is not 7bit: %q", data)
		}
		eight := p.Header.Get("Content-Transfer-Encoding") == "8bit"
		if !eight && !ascii(string(data)) {
			t.Errorf("part %d is 8bit and does not say so", count)
		}
		count++
	}
	if count != 3 {
		t.Errorf("%d parts", count)
	}
}

func TestFailureReport(t *testing.T) {
	r := sampleReport(t, failureReport, reportedMessage)
	r.Results = []reportResult{
		{rcpt: 0, module: router.LOCAL, queue: "user", status: envelope.Status{Action: envelope.ActionFailed,
			Code: envelope.Code{5, 2, 2}, Text: "account is full (quota exceeded)"}},
		{rcpt: 1, module: router.SMTP, queue: "far.org", status: envelope.Status{Action: envelope.ActionFailed,
			Code: envelope.Code{5, 4, 2}, Text: "connection with mx1.far.org is broken", Remote: "mx1.far.org"}},
		{rcpt: 1, module: router.SMTP, queue: "far.org", status: envelope.Status{Action: envelope.ActionFailed,
			Code: envelope.Code{5, 0, 0}, Text: "message text rejected by mx.far.org", Remote: "mx.far.org",
			Reply: "552 1 Requested mail action aborted, mailbox not found"}},
		{rcpt: 2, module: router.SMTP, queue: "far.org", status: envelope.Status{Action: envelope.ActionFailed,
			Code: envelope.Code{5, 1, 1}, Text: "recipient rejected by mx.far.org", Remote: "mx.far.org",
			Reply: "550 5.1.1 no such user\nsee https://far.org/help\r\nInjected: field\x00 \xff"}},
		{rcpt: 3, module: enqueuer, status: envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 1, 1}, Text: "unknown user account"}},
	}
	golden(t, "dsn-failure.txt", r.print(t))
}

func TestDelayReport(t *testing.T) {
	r := sampleReport(t, delayReport, reportedMessage)
	r.Results = []reportResult{{rcpt: 1, module: router.SMTP, queue: "far.org", until: r.Time.Add(5 * 24 * time.Hour), status: envelope.Status{
		Code: envelope.Code{4, 4, 1}, Text: "cannot connect to mx.far.org: connection refused"}}}
	golden(t, "dsn-delay.txt", r.print(t))
}

func TestSuccessReport(t *testing.T) {
	r := sampleReport(t, successReport, reportedMessage)
	r.Results = []reportResult{
		{rcpt: 0, module: router.LOCAL, queue: "x", status: envelope.Status{Action: envelope.ActionDelivered,
			Code: envelope.Code{2, 0, 0}, Text: "Delivered to the user mailbox"}},
		{rcpt: 1, module: router.SMTP, queue: "far.org", status: envelope.Status{Action: envelope.ActionRelayed,
			Text: "relayed via mx.far.org", Remote: "mx.far.org"}},
	}
	golden(t, "dsn-success.txt", r.print(t))
}

// A sender who asks learns nothing of NULL (spec: router 7): the report reads as
// that of an account. The log tells.
func TestDroppedSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := open(t, t.TempDir())
		b.q.logDequeuer = slog.New(slog.NewTextHandler(&log, nil))
		b.run()
		for _, to := range []string{"nobody@company.com", "ann@company.com"} {
			e := b.env("joe@company.com", to)
			e.Recipients[0].Notify = envelope.NotifySuccess
			b.mustSubmit(e, testMessage)
			synctest.Wait()
		}
		b.halt()
		got := b.local.messages("joe@company.com")
		if len(got) != 2 {
			t.Fatalf("%d reports", len(got))
		}
		for i, name := range []string{"nobody", "ann"} {
			checkReport(t, got[i])
			for _, want := range []string{
				"Delivered to '<" + name + "@company.com>'\r\nLOCAL module(account " + name + ") reports:\r\n Delivered to the user mailbox\r\n",
				"Action: delivered\r\nStatus: 2.0.0\r\n",
			} {
				if !strings.Contains(got[i], want) {
					t.Errorf("no %q in\n%s", want, got[i])
				}
			}
		}
		for _, want := range []string{"SYSTEM(NULL) delivered: discarded", "LOCAL(ann) delivered: Delivered to the user mailbox"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %q in\n%s", want, log.String())
			}
		}
	})
}

func TestReportAboutEightBitMail(t *testing.T) {
	r := sampleReport(t, failureReport, "Subject: =?utf-8?q?x?=\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n")
	r.Results = []reportResult{{rcpt: 0, module: router.LOCAL, queue: "user", status: envelope.Status{Text: "mail receiving disabled"}}}
	if r.EightBit = r.returnsEightBit(); r.body() != envelope.Body8BitMIME || r.needsUTF8() {
		t.Errorf("body %v, utf8 %v", r.body(), r.needsUTF8())
	}
	golden(t, "dsn-8bit.txt", r.print(t))
}

func TestReportAboutInternationalizedMail(t *testing.T) {
	r := sampleReport(t, failureReport, "Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n")
	r.Envelope.SMTPUTF8 = true
	r.Envelope.Recipients[0].Address = (&bench{t: t}).addr("jürgen@dom.test")
	r.Envelope.Recipients[0].Original = "utf-8;jürgen@alt.test"
	r.HeadersOnly = true
	r.Results = []reportResult{{rcpt: 0, module: router.LOCAL, queue: "jürgen@dom.test", status: envelope.Status{Text: "mail receiving disabled"}}}
	golden(t, "dsn-utf8.txt", r.print(t))
}

// RFC 3464 section 2.1: message/delivery-status is 7bit. The next server answers in its
// own language; only the part for people shows it as it is.
func TestDeliveryStatusIsSevenBit(t *testing.T) {
	r := sampleReport(t, failureReport, reportedMessage)
	r.Envelope.ID = "gr\u00fcn"
	r.Results = []reportResult{{rcpt: 1, module: router.SMTP, queue: "far.org", status: envelope.Status{
		Action: envelope.ActionFailed, Code: envelope.Code{5, 7, 1}, Text: "recipient rejected by mx.far.org", Remote: "mx.far.org",
		Reply: "550 5.7.1 Refus\u00e9 \u2013 bo\u00eete pleine \U0001F4EC"}}}
	golden(t, "dsn-7bit.txt", r.print(t))
}

// RFC 3463 section 2: what was given up after temporary answers has class 4, and words.
func TestReportOfWhatExpired(t *testing.T) {
	r := sampleReport(t, failureReport, reportedMessage)
	r.Results = []reportResult{
		{rcpt: 1, module: router.SMTP, queue: "far.org", expired: true, status: envelope.Status{
			Action: envelope.ActionFailed, Code: envelope.Code{4, 7, 1}, Text: "recipient rejected by mx.far.org", Remote: "mx.far.org",
			Reply: "450 4.7.1 Greylisted, try again later"}},
	}
	golden(t, "dsn-expired.txt", r.print(t))
}

func TestMailGivenUpIsReportedAsATemporaryFailure(t *testing.T) {
	for name, c := range map[string]struct {
		code envelope.Code
		want string
	}{
		"greylisted":        {envelope.Code{4, 7, 1}, "4.7.1"},
		"without a detail":  {envelope.Code{4, 0, 0}, "4.4.7"},
		"without any code":  {envelope.Code{}, "4.4.7"},
		"with a false code": {envelope.Code{5, 1, 1}, "4.4.7"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.remote.decide = func(*Item, int) envelope.Status { return envelope.Status{Code: c.code, Text: "not now"} }
				b.run()
				defer b.halt()
				b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
				time.Sleep(6 * 24 * time.Hour)
				synctest.Wait()
				got := b.local.messages("joe@company.com")
				last := got[len(got)-1]
				for _, want := range []string{"\r\nAction: failed\r\n", "\r\nStatus: " + c.want + "\r\n", "The failure was temporary"} {
					if !strings.Contains(last, want) {
						t.Errorf("no %q in\n%s", want, last)
					}
				}
			})
		})
	}
}

func TestReportOfLongAndEmptyTexts(t *testing.T) {
	r := sampleReport(t, failureReport, "no header end")
	r.Results = []reportResult{
		{rcpt: 0, module: router.LOCAL, queue: "user", status: envelope.Status{Text: strings.Repeat("ü", 2000), Reply: "550 " + strings.Repeat("x", 5000)}},
		{rcpt: 1, module: router.LOCAL, queue: "user", status: envelope.Status{}},
	}
	if text := r.print(t); !strings.Contains(text, "LOCAL module(account user) reports:\r\n delayed\r\n") {
		t.Error("an empty text is not replaced")
	}
}

// Who gets a report, and about what (spec: queue 8; RFC 3461 section 5).
func TestWhoGetsReports(t *testing.T) {
	type want struct{ sender, postmaster int }
	all := envelope.NotifySuccess | envelope.NotifyFailure | envelope.NotifyDelay
	for name, c := range map[string]struct {
		from    string
		tag     string
		notify  envelope.Notify
		trusted bool
		st      envelope.Status
		want    want
	}{
		"failure by default":                          {"joe@company.com", "SMTP", envelope.NotifyDefault, true, refused("no"), want{1, 1}},
		"failure with NOTIFY=NEVER":                   {"joe@company.com", "SMTP", envelope.NotifyNever, true, refused("no"), want{0, 0}},
		"failure with NOTIFY=SUCCESS":                 {"joe@company.com", "SMTP", envelope.NotifySuccess, true, refused("no"), want{0, 0}},
		"failure without return-path":                 {"", "SMTP", envelope.NotifyDefault, true, refused("no"), want{0, 1}},
		"failure of a report":                         {"", "DSN", all, true, refused("no"), want{0, 0}},
		"failure of a forged report":                  {"joe@company.com", "DSN", all, true, refused("no"), want{0, 0}},
		"failure of a stranger's mail":                {"joe@company.com", "SMTP", envelope.NotifyDefault, false, refused("no"), want{1, 1}},
		"failure of postmaster's mail":                {"postmaster", "SMTP", envelope.NotifyDefault, true, refused("no"), want{0, 1}},
		"success by default":                          {"joe@company.com", "SMTP", envelope.NotifyDefault, true, envelope.Status{Action: envelope.ActionRelayed}, want{0, 0}},
		"success with NOTIFY=SUCCESS":                 {"joe@company.com", "SMTP", all, true, envelope.Status{Action: envelope.ActionRelayed}, want{1, 0}},
		"success, next hop tells":                     {"joe@company.com", "SMTP", all, true, envelope.Status{Action: envelope.ActionRelayed, Passed: true}, want{0, 0}},
		"delay by default":                            {"joe@company.com", "SMTP", envelope.NotifyDefault, true, deferred("wait"), want{1, 0}},
		"success of a user without the Relay service": {"joe@company.com", "SMTP user", all, false, envelope.Status{Action: envelope.ActionRelayed}, want{1, 0}},
		"success of a stranger's mail":                {"joe@company.com", "SMTP", all, false, envelope.Status{Action: envelope.ActionRelayed}, want{0, 0}},
		"local success of a stranger's mail":          {"joe@company.com", "SMTP", all, false, envelope.Status{Action: envelope.ActionDelivered}, want{0, 0}},
		"delay of a stranger's mail":                  {"joe@company.com", "SMTP", all, false, deferred("wait"), want{1, 0}},
		"delay without DELAY":                         {"joe@company.com", "SMTP", envelope.NotifyFailure, true, deferred("wait"), want{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.remote.decide = func(*Item, int) envelope.Status { return c.st }
				b.run()
				defer b.halt()
				e := b.env(c.from, "bob@far.net")
				tag, user, ok := strings.Cut(c.tag, " ")
				if ok {
					e.Source.Account = user + "@company.com"
				}
				e.Source.Tag, e.Source.Trusted, e.Recipients[0].Notify = tag, c.trusted, c.notify
				b.mustSubmit(e, testMessage)
				time.Sleep(5 * time.Hour)
				synctest.Wait()
				got := want{len(b.local.messages("joe@company.com")), len(b.local.messages("postmaster"))}
				if got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
			})
		})
	}
}

func TestResultsOfOneMessageAreGatheredInOneReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.decide = func(it *Item, rcpt int) envelope.Status {
			if it.Envelope.Recipients[rcpt].Address.Local == "wait" {
				return deferred("later")
			}
			return refused("no such user")
		}
		b.run()
		defer b.halt()
		to := []string{"wait@far.net"}
		for i := range 20 {
			to = append(to, fmt.Sprintf("x%d@host%d.net", i, i))
		}
		b.mustSubmit(b.env("joe@company.com", to...), testMessage)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := b.local.messages("joe@company.com")
		if len(got) != 1 || strings.Count(got[0], "Failed to deliver to") != 20 {
			t.Errorf("%d reports: %q", len(got), got)
		}
		data, err := os.ReadFile(filepath.Join(b.dir, "Queue", "1.msg"))
		if err != nil || strings.Count(string(data), "R F ") != 20 {
			t.Errorf("states in the file: %v\n%s", err, data)
		}
	})
}

func TestReturnedPartFollowsSizeAndRET(t *testing.T) {
	big := testMessage + strings.Repeat("x\r\n", 30000)
	for name, c := range map[string]struct {
		text string
		ret  envelope.Return
		body envelope.Body
		full bool
	}{
		"REQUIRETLS":      {testMessage, envelope.ReturnFull, envelope.Body7Bit, false},
		"small":           {testMessage, envelope.ReturnDefault, envelope.Body7Bit, true},
		"small, RET=HDRS": {testMessage, envelope.ReturnHeaders, envelope.Body7Bit, false},
		"big":             {big, envelope.ReturnDefault, envelope.Body7Bit, false},
		"big, RET=FULL":   {big, envelope.ReturnFull, envelope.Body7Bit, false},
		"binary":          {testMessage, envelope.ReturnFull, envelope.BodyBinaryMIME, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.remote.decide = func(*Item, int) envelope.Status { return refused("no") }
				b.run()
				defer b.halt()
				e := b.env("joe@company.com", "bob@far.net")
				e.Return, e.Body, e.RequireTLS = c.ret, c.body, name == "REQUIRETLS"
				b.mustSubmit(e, c.text)
				synctest.Wait()
				got := b.local.messages("joe@company.com")
				if len(got) != 1 {
					t.Fatalf("%d reports", len(got))
				}
				checkReport(t, got[0])
				if full := strings.Contains(got[0], "message/rfc822\r\n"); full != c.full {
					t.Errorf("full: %v, want %v", full, c.full)
				}
				if !c.full && strings.Contains(got[0], "body\r\n") {
					t.Error("the body is returned")
				}
			})
		})
	}
}

func TestReportsToStrangersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.set.Set(testSettings(t, dataformat.Dict{"ReportsToStrangers": dataformat.Array{dataformat.String("3"), dataformat.String("1h")},
			"CopyFailureReportsTo": dataformat.String("")}).Get())
		b.remote.decide = func(*Item, int) envelope.Status { return refused("no") }
		b.run()
		defer b.halt()
		flood := func() {
			for range 10 {
				e := b.env("victim@company.com", "bob@far.net")
				e.Source.Trusted = false
				b.mustSubmit(e, testMessage)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		flood()
		if n := len(b.local.messages("victim@company.com")); n != 3 {
			t.Errorf("%d reports, want 3", n)
		}
		time.Sleep(time.Hour)
		flood()
		if n := len(b.local.messages("victim@company.com")); n != 6 {
			t.Errorf("%d reports after an hour, want 6", n)
		}
		if b.q.Len() != 0 {
			t.Errorf("left: %s", b.list())
		}
	})
}

// Each return-path may get a report, and all together get no more than the server's
// rate; what exceeds it is dropped, also the administrator's copy, and logged.
func TestReportsToAllStrangersTogetherAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := open(t, t.TempDir())
		b.q.logDequeuer = slog.New(slog.NewTextHandler(&log, nil))
		b.set.Set(testSettings(t, dataformat.Dict{"ReportsToAllStrangers": dataformat.Array{dataformat.String("3"), dataformat.String("1h")}}).Get())
		b.remote.decide = func(*Item, int) envelope.Status { return refused("no") }
		b.run()
		defer b.halt()
		count := func() (n int) {
			for i := range 20 {
				n += len(b.local.messages(fmt.Sprintf("victim%d@company.com", i)))
			}
			return n
		}
		flood := func() {
			for i := range 10 {
				e := b.env(fmt.Sprintf("victim%d@company.com", i), "bob@far.net")
				e.Source.Trusted = false
				b.mustSubmit(e, testMessage)
				e = b.env("", "bob@far.net")
				e.Source.Trusted = false
				b.mustSubmit(e, testMessage)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		flood()
		if n := len(b.local.messages("postmaster")); n != 3 || count() > 3 {
			t.Errorf("%d reports, %d of them to victims, want 3", n, count())
		}
		if n := strings.Count(log.String(), "report dropped: too many about mail of strangers"); n != 17 {
			t.Errorf("%d are logged as dropped", n)
		}
		b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		synctest.Wait()
		if n := len(b.local.messages("joe@company.com")); n != 1 {
			t.Errorf("our user got %d reports", n)
		}
		time.Sleep(time.Hour)
		flood()
		if n := len(b.local.messages("postmaster")); n != 7 {
			t.Errorf("%d reports after an hour, want 7", n)
		}
		if b.q.Len() != 0 {
			t.Errorf("left: %s", b.list())
		}
	})
}

func TestReportToNobodyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.set.Set(testSettings(t, dataformat.Dict{"CopyFailureReportsTo": dataformat.String("")}).Get())
		b.remote.decide = func(*Item, int) envelope.Status { return refused("no") }
		b.run()
		b.mustSubmit(b.env("unknown@company.com", "bob@far.net"), testMessage)
		synctest.Wait()
		b.halt()
		if f := b.files(); f != "" {
			t.Errorf("left: %s", f)
		}
	})
}

func BenchmarkReport(b *testing.B) {
	x := open(b, b.TempDir())
	e := x.env("joe@company.com", "bob@far.net")
	id := x.mustSubmit(e, testMessage)
	h, err := x.q.readHead(id)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := x.q.newReport(id, h, failureReport, []outcome{{module: router.SMTP, queue: "far.net", status: refused("no")}})
		if err := r.write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

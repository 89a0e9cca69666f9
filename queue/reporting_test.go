package queue

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/router"
	"gatepost/router/address"
)

// slowDisk takes 10 ms for a directory sync, as a hard disk does.
type slowDisk struct{ disk.Disk }

func (s slowDisk) SyncDir() error {
	time.Sleep(10 * time.Millisecond)
	return s.Disk.SyncDir()
}

// A host refused one recipient of each of many messages just before the stop.
func TestStopDoesNotWaitForAllReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 600
		b := open(t, t.TempDir())
		b.reopen(func(d disk.Disk) disk.Disk { return slowDisk{d} })
		b.remote.setDecide(func(it *Item, rcpt int) envelope.Status {
			if it.Envelope.Recipients[rcpt].Address.Local == "no" {
				return refused("no")
			}
			return deferred("later")
		})
		b.run()
		var wg sync.WaitGroup
		for i := range messages {
			wg.Go(func() {
				b.mustSubmit(b.env("ann"+strconv.Itoa(i)+"@company.com", "no@far.org", "later@far.org"), testMessage)
			})
		}
		wg.Wait()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		start := time.Now()
		b.halt()
		if d := time.Since(start); d > restLimit+time.Second {
			t.Errorf("the stop took %v", d)
		}
		b.reopen(nil)
		b.run()
		time.Sleep(time.Hour)
		b.halt()
		for i := range messages {
			if n := len(b.local.messages("ann" + strconv.Itoa(i) + "@company.com")); n != 1 {
				t.Errorf("%d reports about message %d", n, i)
			}
		}
	})
}

// Another server has the messages; their senders, who want to know, do not know yet.
func TestWhatWasRelayedBeforeAStopIsReportedAndNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 600
		b := open(t, t.TempDir())
		b.reopen(func(d disk.Disk) disk.Disk { return slowDisk{d} })
		var mu sync.Mutex
		sent := map[string]int{} // by recipient
		b.remote.setDecide(func(it *Item, rcpt int) envelope.Status {
			mu.Lock()
			defer mu.Unlock()
			sent[it.ID.String()+" "+it.Envelope.Recipients[rcpt].Address.String()]++
			return envelope.Status{Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}, Text: "relayed via mx.far.org"}
		})
		b.run()
		var wg sync.WaitGroup
		for i := range messages {
			wg.Go(func() {
				env := b.env("ann"+strconv.Itoa(i)+"@company.com", "told@far.org", "untold@far.org")
				env.Recipients[0].Notify = envelope.NotifySuccess
				b.mustSubmit(env, testMessage)
			})
		}
		wg.Wait()
		synctest.Wait()
		b.halt()
		if left := b.q.Len(); left == 0 {
			t.Error("all reports were made before the stop")
		}
		b.reopen(nil)
		b.run()
		time.Sleep(time.Hour)
		b.halt()
		for i := range messages {
			if n := len(b.local.messages("ann" + strconv.Itoa(i) + "@company.com")); n != 1 {
				t.Errorf("%d reports about message %d", n, i)
			}
		}
		if len(sent) != 2*messages {
			t.Errorf("%d recipients were sent to", len(sent))
		}
		for rcpt, n := range sent {
			if n != 1 {
				t.Errorf("sent %d times: %s", n, rcpt)
			}
		}
		if left := b.files(); left != "" {
			t.Errorf("left: %s", left)
		}
	})
}

// panicDisk panics for as long as it is armed.
type panicDisk struct {
	disk.Disk
	armed  *atomic.Bool
	panics *atomic.Int32 // so often
}

func (p panicDisk) Create(temp string) (disk.File, error) {
	if p.armed.Load() {
		p.panics.Add(1)
		panic("a bug")
	}
	return p.Disk.Create(temp)
}

func TestPanicInAReportCostsATry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		var armed atomic.Bool
		b.reopen(func(d disk.Disk) disk.Disk { return panicDisk{d, &armed, new(atomic.Int32)} })
		b.remote.setDecide(func(*Item, int) envelope.Status {
			armed.Store(true)
			return refused("no")
		})
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("ann@company.com", "no@far.org"), testMessage)
		synctest.Wait()
		armed.Store(false)
		time.Sleep(2 * reportRetry)
		if n := len(b.local.messages("ann@company.com")); n != 1 {
			t.Errorf("%d reports", n)
		}
		if b.q.Len() != 0 {
			t.Errorf("left: %s", b.list())
		}
	})
}

// What cannot be reported is not lost: the administrator has it. What needs no
// answer ends.
func TestReportThatABugStopsAgainAndAgainIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		notify envelope.Notify
		status envelope.Status
		left   string
	}{
		"failure": {envelope.NotifyDefault, refused("no"), ".bad"},
		"success": {envelope.NotifySuccess, envelope.Status{Action: envelope.ActionRelayed}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				var armed, later atomic.Bool
				var panics atomic.Int32
				b.reopen(func(d disk.Disk) disk.Disk { return panicDisk{d, &armed, &panics} })
				b.remote.setDecide(func(it *Item, rcpt int) envelope.Status {
					armed.Store(true)
					switch {
					case it.Envelope.Recipients[rcpt].Address.Local == "told":
						return c.status
					case later.Load():
						return envelope.Status{Action: envelope.ActionRelayed}
					}
					return deferred("later")
				})
				b.run()
				defer b.halt()
				env := b.env("joe@company.com", "told@far.org", "other@far.org", "ann@company.com")
				env.Recipients[0].Notify = c.notify
				id := b.mustSubmit(env, testMessage).String()
				time.Sleep(30 * time.Minute)
				if n := panics.Load(); n != maxReportBugs {
					t.Errorf("tried %d times", n)
				}
				if left := b.files(); left != id+".msg" {
					t.Errorf("left while another recipient waits: %s", left)
				}
				later.Store(true)
				time.Sleep(2 * time.Hour)
				if c.left != "" {
					c.left = id + c.left
				}
				if left := b.files(); left != c.left || b.q.Len() != 0 {
					t.Errorf("left %q, %d messages", left, b.q.Len())
				}
				if c.left == "" {
					return
				}
				data, err := os.ReadFile(filepath.Join(b.dir, "Queue", c.left))
				if err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{"R B ", "R D ", "R D "} { // told, other, ann
					_, line, _ := strings.Cut(string(data), "\nR ")
					data = []byte(line)
					if !strings.HasPrefix("R "+line, want) {
						t.Errorf("%.60q is not %s", "R "+line, want)
					}
				}
			})
		})
	}
}

func noSuchUser(rcpt int) []reportResult {
	return []reportResult{{rcpt: rcpt, module: router.SMTP, queue: "far.org", status: refused("no such user")}}
}

// A header of any size is accepted; it must not come back as it is.
func TestReturnedHeaderIsBounded(t *testing.T) {
	line := "X-A: " + strings.Repeat("y", 900) + "\r\n"
	for name, header := range map[string]string{
		"lines": "Subject: x\r\n" + strings.Repeat(line, 1000), "one line": "Subject: x\r\nX-A: " + strings.Repeat("y", 1<<20) + "\r\n",
	} {
		r := sampleReport(t, failureReport, header+"\r\nbody\r\n")
		r.HeadersOnly, r.Results = true, noSuchUser(0)
		var b strings.Builder
		if err := r.write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if len(text) > maxReturnedHeader+2000 || !strings.Contains(text, "Subject: x\r\n") || strings.Contains(text, "body") {
			t.Errorf("%s: the report has %d bytes", name, len(text))
		}
		if !strings.HasSuffix(text, "y\r\n\r\n--report-boundary--\r\n") && name == "lines" {
			t.Errorf("%s: it ends in %q", name, text[len(text)-100:])
		}
		if name == "lines" {
			checkReport(t, text)
		}
	}
}

// Blanks in a quoted local part are part of it (RFC 3464 section 2.3).
func TestReportFieldsKeepTheirBlanks(t *testing.T) {
	r := sampleReport(t, failureReport, reportedMessage)
	long := `"` + strings.Repeat("a  ", 40) + `b"@far.org`
	r.Envelope.Recipients[0] = envelope.Recipient{Address: address.Address{Local: "a  b", Domain: "far.org"}, Original: "rfc822;" + long}
	r.Envelope.ID = "c  d "
	r.Results = noSuchUser(0)
	unfolded := strings.NewReplacer("\r\n ", " ", "\r\n\t", "\t").Replace(r.print(t))
	for _, want := range []string{`Final-Recipient: rfc822; "a  b"@far.org`, "Original-Recipient: rfc822; " + long, "Original-Envelope-Id: c  d "} {
		if !strings.Contains(unfolded, "\r\n"+want+"\r\n") {
			t.Errorf("no %q in\n%s", want, unfolded)
		}
	}
}

func TestLongWordsOfAReplyAreReportedWhole(t *testing.T) {
	r := sampleReport(t, failureReport, reportedMessage)
	r.Results = noSuchUser(0)
	r.Results[0].status.Reply = "550 " + strings.Repeat("ü", 1500) + "end"
	text := r.print(t)
	_, fields, _ := strings.Cut(text, "Diagnostic-Code: ")
	fields, _, _ = strings.Cut(fields, "\r\nLast-Attempt")
	if strings.Count(fields, `\x{FC}`) != 1500 || strings.Count(text, "ü") != 1500 || !strings.HasSuffix(fields, "end") || strings.Contains(fields, "\ufffd") {
		t.Errorf("%q", fields)
	}
}

// What a recipient's own refusal said is old news when the host is down since.
func TestListShowsWhyTheQueueWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		var down atomic.Bool
		b.remote.setDecide(func(*Item, int) envelope.Status {
			if down.Load() {
				return hostDown("connection refused")
			}
			return deferred("450 greylisted")
		})
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("ann@company.com", "a@far.org"), testMessage)
		synctest.Wait()
		if l := b.list(); !strings.Contains(l, ": 450 greylisted\n") {
			t.Fatalf("list: %s", l)
		}
		down.Store(true)
		time.Sleep(2 * time.Minute)
		if l := b.list(); !strings.Contains(l, ": connection refused\n") {
			t.Errorf("after the host went down: %s", l)
		}
		down.Store(false)
		b.mustSubmit(b.env("ann@company.com", "b@far.org"), testMessage)
		time.Sleep(10 * time.Minute)
		if l := b.list(); strings.Count(l, ": 450 greylisted\n") != 2 {
			t.Errorf("after it came back: %s", l)
		}
	})
}

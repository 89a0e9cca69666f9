package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/queue/internal/disk/disktest"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// ruleFunc is a Rules of one function. It notes for which messages it was asked.
type ruleFunc struct {
	judge func(ctx context.Context, m *Message) (*Verdict, error)

	mu    sync.Mutex
	asked []envelope.QueueID
}

func (r *ruleFunc) Judge(ctx context.Context, m *Message) (*Verdict, error) {
	r.mu.Lock()
	r.asked = append(r.asked, m.ID)
	r.mu.Unlock()
	return r.judge(ctx, m)
}

func (r *ruleFunc) Active() bool { return true }

func (r *ruleFunc) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// always is rules that say the same of every message but reports.
func always(v *Verdict) *ruleFunc {
	return &ruleFunc{judge: func(_ context.Context, m *Message) (*Verdict, error) {
		if m.Envelope.Source.Tag == TagDSN {
			return nil, nil
		}
		return v, nil
	}}
}

// withRules opens a queue with rules and runs it.
func withRules(t *testing.T, r Rules) *bench {
	b := open(t, t.TempDir())
	b.rules = r
	b.reopen(nil)
	b.run()
	synctest.Wait() // until then nobody waits for rules
	return b
}

func TestRulesSeeTheMessageAndItsRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got string
		b := withRules(t, &ruleFunc{judge: func(_ context.Context, m *Message) (*Verdict, error) {
			f, err := m.Open()
			if err != nil {
				return nil, err
			}
			defer f.Close()
			text, err := io.ReadAll(f)
			got = fmt.Sprintf("%s %s %q %d %v %v", m.ID, filepath.Base(m.File), text, m.Size, m.Routes, m.Waits)
			return nil, err
		}})
		defer b.halt()
		id := b.mustSubmit(b.env("joe@far.org", "ann@company.com", "all@company.com", "bob@far.net"), testMessage)
		want := fmt.Sprintf("%s %s.msg %q %d [LOCAL(ann@company.com)ann@company.com () SMTP(far.net)bob@far.net LOCAL(bob@company.com)bob@company.com] true",
			id, id, "Delivered-To: all@company.com\r\n"+testMessage, len(testMessage)+31)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestRulesThatSayNothingCostNoWrite(t *testing.T) {
	steps := func(r Rules) (n int) {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, t.TempDir())
			b.rules = r
			var d *disktest.Disk
			b.reopen(func(real disk.Disk) disk.Disk {
				d = disktest.New(real, filepath.Join(b.dir, "Queue"), 0)
				return d
			})
			b.run()
			synctest.Wait()
			b.mustSubmit(b.env("joe@far.org", "ann@company.com", "bob@far.net"), testMessage)
			time.Sleep(time.Minute)
			b.halt()
			n = d.Steps()
			if len(b.local.messages("ann@company.com")) != 1 || len(b.remote.messages("bob@far.net")) != 1 {
				t.Error("not delivered")
			}
		})
		return n
	}
	if without, with := steps(nil), steps(always(nil)); with != without {
		t.Errorf("%d steps of the disk, %d without rules", with, without)
	}
}

func TestWhatRulesSayWhileTheSourceWaits(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		v     Verdict
		fails bool
		err   fault.Kind
		text  string
		ann   []string
		eve   int
		files bool
	}{
		"nothing more": {v: Verdict{}, ann: []string{testMessage}},
		"fields":       {v: Verdict{Prefix: []byte("X-Spam: no\r\n")}, ann: []string{"X-Spam: no\r\n" + testMessage}},
		"a new header": {v: Verdict{Prefix: []byte("From: x@y.z\r\nSubject: [list] hello\r\n\r\n"), Replaced: int64(strings.Index(testMessage, "body"))},
			ann: []string{"From: x@y.z\r\nSubject: [list] hello\r\n\r\nbody\r\n"}},
		"bulk":             {v: Verdict{Bulk: &yes}, ann: []string{testMessage}},
		"more recipients":  {v: Verdict{Recipients: []envelope.Recipient{{Address: rcptAddr("ann@company.com")}, {Address: rcptAddr("eve@company.com")}}}, ann: []string{testMessage}, eve: 1},
		"other recipients": {v: Verdict{Recipients: []envelope.Recipient{{Address: rcptAddr("eve@company.com")}}}, eve: 1},
		"all@":             {v: Verdict{Recipients: []envelope.Recipient{{Address: rcptAddr("all@company.com")}}}, ann: []string{"Delivered-To: all@company.com\r\n" + testMessage}},
		"no recipients":    {v: Verdict{Recipients: []envelope.Recipient{}}},
		"discard":          {v: Verdict{Discard: true}},
		"reject":           {v: Verdict{Reject: "no\nsuch thing"}, fails: true, err: fault.Rejected, text: "no such thing"},
		"later":            {v: Verdict{Later: time.Hour, Reason: "scanner is down"}, fails: true, err: fault.Unavailable, text: "scanner is down"},
		"hold":             {v: Verdict{Later: 10 * time.Hour, Hold: true}, files: true},
		"no fields":        {v: Verdict{Prefix: []byte("no field\r\n")}, fails: true, err: fault.Internal},
		"beyond the end":   {v: Verdict{Replaced: 1000}, fails: true, err: fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := always(&c.v)
				b := withRules(t, r)
				_, err := b.submit(b.env("joe@company.com", "ann@company.com"), testMessage)
				switch {
				case !c.fails:
					if err != nil {
						t.Error(err)
					}
				case !fault.Is(err, c.err) || c.text != "" && fault.Text(err) != c.text:
					t.Errorf("%v, want %v %s", err, c.err, c.text)
				}
				time.Sleep(time.Minute)
				b.halt()
				if got := b.local.messages("ann@company.com"); !slices.Equal(got, c.ann) {
					t.Errorf("ann has %q, want %q", got, c.ann)
				}
				if n := len(b.local.messages("eve@company.com")); n != c.eve {
					t.Errorf("eve has %d messages", n)
				}
				if n := len(b.local.messages("joe@company.com")); n != 0 {
					t.Errorf("%d reports", n)
				}
				if f := b.files(); (f != "") != c.files {
					t.Errorf("files %q", f)
				}
				if r.calls() != 1 {
					t.Errorf("asked %d times", r.calls())
				}
			})
		})
	}
}

func rcptAddr(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// Nobody waits for what is found at the start.
func TestWhatRulesSayOfMailThatIsAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		v      Verdict
		report string
		ann    int
	}{
		"nothing more": {v: Verdict{}, ann: 1},
		"reject":       {v: Verdict{Reject: "you may not\nsend this"}, report: "Failed to deliver to '<ann@company.com>'\r\n you may not\r\n send this\r\n"},
		"discard":      {v: Verdict{Discard: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
				b.rules = always(&c.v)
				b.reopen(nil)
				b.run()
				time.Sleep(time.Minute)
				b.halt()
				if n := len(b.local.messages("ann@company.com")); n != c.ann {
					t.Errorf("ann has %d", n)
				}
				got := strings.Join(b.local.messages("joe@company.com"), "")
				if c.report == "" && got != "" || !strings.Contains(got, c.report) {
					t.Errorf("report %q, want %q", got, c.report)
				}
				if f := b.files(); f != "" {
					t.Errorf("left: %s", f)
				}
			})
		})
	}
}

// A message that is put off is listed with its reason, and asked about again in time.
func TestRulesArePutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, down := time.Now(), true
		var at []time.Duration
		b := withRules(t, &ruleFunc{judge: func(context.Context, *Message) (*Verdict, error) {
			at = append(at, time.Since(start))
			if down {
				return &Verdict{Later: 5 * time.Minute, Hold: true, Reason: "scanner is down"}, nil
			}
			return &Verdict{Prefix: []byte("X-Scanned: yes\r\n")}, nil
		}})
		defer b.halt()
		b.mustSubmit(b.env("joe@far.org", "ann@company.com"), testMessage)
		time.Sleep(8 * time.Minute)
		if got := b.list(); !strings.Contains(got, "ENQUEUERRULES() in 2m0s: scanner is down") {
			t.Errorf("list %q", got)
		}
		down = false
		b.q.WakeModule(RulesModule)
		synctest.Wait()
		if got := b.local.messages("ann@company.com"); len(got) != 1 || got[0] != "X-Scanned: yes\r\n"+testMessage {
			t.Errorf("ann has %q", got)
		}
		if want := []time.Duration{0, 5 * time.Minute, 8 * time.Minute}; !slices.Equal(at, want) {
			t.Errorf("asked at %v, want %v", at, want)
		}
	})
}

// The sender of a message that is put off again and again is warned, and told in the end.
func TestMessageThatIsPutOffForEverExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := always(&Verdict{Later: time.Hour, Hold: true, Reason: "scanner is down"})
		b := withRules(t, r)
		defer b.halt()
		b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
		time.Sleep(6 * 24 * time.Hour)
		got := b.local.messages("joe@company.com")
		if len(got) != 3 || !strings.Contains(got[0], "scanner is down") || !strings.Contains(got[2], "Action: failed\r\nStatus: 4.7.0") {
			t.Errorf("%d reports: %q", len(got), got)
		}
		if b.q.Len() != 0 {
			t.Errorf("left: %s", b.list())
		}
	})
}

// A slow filter takes its processors and no more: what is routed is delivered, and
// sources do not wait for ever.
func TestSlowRulesDoNotStopTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const processors = 3
		var mu sync.Mutex
		running, most := 0, 0
		release := make(chan struct{})
		b := open(t, t.TempDir())
		b.set = testSettings(t, dataformat.Dict{"EnqueuerProcessors": dataformat.Number(processors), "EnqueuerWait": dataformat.String("10s")})
		b.remote.setDecide(func(it *Item, rcpt int) envelope.Status {
			if it.entry.lastErr == "" {
				return deferred("later")
			}
			return envelope.Status{Action: envelope.ActionRelayed}
		})
		b.rules = &ruleFunc{judge: func(ctx context.Context, m *Message) (*Verdict, error) {
			if m.Envelope.ReturnPath.Local != "joe" {
				return nil, nil
			}
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			defer func() {
				mu.Lock()
				running--
				mu.Unlock()
			}()
			select {
			case <-release:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return &Verdict{Reject: "spam"}, nil
		}}
		b.reopen(nil)
		b.run()
		defer b.halt()
		b.mustSubmit(b.env("fast@company.com", "bob@far.net"), testMessage) // waits for its second attempt
		synctest.Wait()
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage) })
		}
		wg.Wait()
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the sources waited %v", took)
		}
		time.Sleep(10 * time.Minute)
		if n := len(b.remote.messages("bob@far.net")); n != 1 {
			t.Errorf("what was routed before: %d messages", n)
		}
		if mu.Lock(); most != processors || running != processors {
			t.Errorf("%d at once, at most %d", running, most)
		}
		mu.Unlock()
		if n := strings.Count(b.list(), "ENQUEUERRULES()"); n != 20 {
			t.Errorf("%d are listed\n%s", n, b.list())
		}
		close(release)
		time.Sleep(time.Minute)
		if n := len(b.local.messages("joe@company.com")); n != 20 || b.q.Len() != 0 {
			t.Errorf("%d reports of what the sources were not told, left %d", n, b.q.Len())
		}
	})
}

func TestFaultOfRulesPutsTheMessageOff(t *testing.T) {
	for name, fail := range map[string]func() (*Verdict, error){
		"error": func() (*Verdict, error) { return nil, errors.New("a bug") },
		"panic": func() (*Verdict, error) { panic("a bug") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.mustSubmit(b.env("joe@company.com", "ann@company.com"), testMessage)
				var r *ruleFunc
				r = &ruleFunc{judge: func(context.Context, *Message) (*Verdict, error) {
					if r.calls() < 3 {
						return fail()
					}
					return nil, nil
				}}
				b.rules = r
				b.reopen(nil)
				b.run()
				defer b.halt()
				synctest.Wait()
				if n := len(b.local.messages("ann@company.com")); n != 0 {
					t.Error("delivered without a verdict")
				}
				time.Sleep(3 * time.Minute)
				if n := len(b.local.messages("ann@company.com")); n != 1 {
					t.Errorf("%d messages, asked %d times", n, r.calls())
				}
			})
		})
	}
}

func TestMessageRejectedByTheAdministratorWhileItIsJudged(t *testing.T) {
	for _, place := range []string{"with the rules", "put off"} {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				b := withRules(t, &ruleFunc{judge: func(_ context.Context, m *Message) (*Verdict, error) {
					if m.Envelope.Source.Tag == TagDSN {
						return nil, nil
					}
					if place == "put off" {
						return &Verdict{Later: time.Hour, Hold: true}, nil
					}
					<-release
					return nil, nil
				}})
				defer b.halt()
				go b.submit(b.env("joe@company.com", "ann@company.com"), testMessage)
				time.Sleep(time.Second)
				if err := b.q.Reject(t.Context(), b.q.ids()[0], "not wanted", true); err != nil {
					t.Error(err)
				}
				close(release)
				time.Sleep(time.Second)
				if got := b.local.messages("joe@company.com"); len(got) != 1 || !strings.Contains(got[0], "not wanted") {
					t.Errorf("reports %q", got)
				}
				if n := len(b.local.messages("ann@company.com")); n != 0 {
					t.Errorf("%d messages", n)
				}
			})
		})
	}
}

// Reports are messages like others; that nobody can be told of their refusal stops nothing.
func TestRulesJudgeReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withRules(t, &ruleFunc{judge: func(_ context.Context, m *Message) (*Verdict, error) {
			if m.Envelope.Source.Tag != TagDSN {
				return nil, nil
			}
			if m.Waits {
				return nil, errors.New("a report waits")
			}
			if m.Envelope.Recipients[0].Address.Local == "joe" {
				return &Verdict{Reject: "no reports"}, nil
			}
			return &Verdict{Prefix: []byte("X-Report: yes\r\n")}, nil
		}})
		b.remote.setDecide(func(*Item, int) envelope.Status { return refused("no") })
		b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		b.mustSubmit(b.env("eve@company.com", "bob@far.net"), testMessage)
		time.Sleep(time.Minute)
		b.halt()
		if got := b.local.messages("eve@company.com"); len(got) != 1 || !strings.HasPrefix(got[0], "X-Report: yes\r\n") {
			t.Errorf("eve has %q", got)
		}
		if n := len(b.local.messages("joe@company.com")); n != 0 {
			t.Errorf("joe has %d", n)
		}
		if f := b.files(); f != "" {
			t.Errorf("left: %s", f)
		}
	})
}

func TestRulesAreAskedOnceAlsoOverARestart(t *testing.T) {
	for name, c := range map[string]struct {
		v     *Verdict
		done  bool // the envelope says so from the start
		calls int
	}{
		"changed":               {v: &Verdict{Prefix: []byte("X: y\r\n")}, calls: 1},
		"acted":                 {v: &Verdict{}, calls: 1},
		"nothing":               {v: nil, calls: 2},
		"not to be asked":       {v: &Verdict{Reject: "no"}, done: true, calls: 0},
		"put off and restarted": {v: &Verdict{Later: time.Hour, Hold: true}, calls: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := always(c.v)
				b := withRules(t, r)
				b.remote.setDecide(func(*Item, int) envelope.Status { return deferred("later") })
				e := b.env("joe@company.com", "bob@far.net")
				e.RulesDone = c.done
				b.mustSubmit(e, testMessage)
				synctest.Wait()
				b.halt()
				b.reopen(nil)
				b.run()
				time.Sleep(10 * time.Second)
				b.halt()
				if n := r.calls(); n != c.calls {
					t.Errorf("asked %d times, want %d", n, c.calls)
				}
			})
		})
	}
}

// A sender can be warned while the rules themselves put the message off, as when a scanner is down for
// hours. A restart does not let the message past them.
func TestMessageThatRulesPutOffIsJudgedAfterAWarningAndARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := always(&Verdict{Later: time.Hour, Hold: true, Reason: "scanner is down"})
		b := withRules(t, r)
		b.mustSubmit(b.env("joe@company.com", "bob@far.net"), testMessage)
		time.Sleep(5 * time.Hour)
		if got := b.local.messages("joe@company.com"); len(got) != 1 || !strings.Contains(got[0], "scanner is down") {
			t.Fatalf("joe has %q, want a warning", got)
		}
		b.halt()
		b.reopen(nil)
		b.run()
		defer b.halt()
		time.Sleep(10 * time.Second)
		if got := b.remote.messages("bob@far.net"); len(got) > 0 {
			t.Errorf("bob has a message that the rules have not let go: %q", got)
		}
		if got := b.local.messages("joe@company.com"); len(got) != 1 {
			t.Errorf("joe has %d warnings, want 1", len(got))
		}
	})
}

// Once a recipient has a result, the message is behind the rules.
func TestRulesAreNotAskedAboutMailThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		e := b.env("joe@company.com", "ann@company.com", "bob@company.com")
		e.Recipients[0].State = envelope.Delivered
		b.mustSubmit(e, testMessage)
		r := always(&Verdict{Discard: true})
		b.rules = r
		b.reopen(nil)
		b.run()
		time.Sleep(time.Second)
		b.halt()
		if r.calls() != 0 || len(b.local.messages("bob@company.com")) != 1 {
			t.Errorf("asked %d times", r.calls())
		}
	})
}

func TestStopWhileRulesJudgeKeepsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ruleFunc{judge: func(ctx context.Context, _ *Message) (*Verdict, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		b := withRules(t, r)
		accepted := make(chan error, 1)
		go func() {
			_, err := b.submit(b.env("joe@company.com", "ann@company.com"), testMessage)
			accepted <- err
		}()
		time.Sleep(time.Second)
		b.halt()
		if err := <-accepted; err != nil {
			t.Errorf("the source is told %v", err)
		}
		b.rules = always(&Verdict{Prefix: []byte("X: y\r\n")})
		b.reopen(nil)
		b.run()
		synctest.Wait()
		b.halt()
		if got := b.local.messages("ann@company.com"); len(got) != 1 || got[0] != "X: y\r\n"+testMessage {
			t.Errorf("ann has %q", got)
		}
	})
}

// The disk stops at each step: the message that a rule changes is delivered once, with
// one change, or was not accepted.
func TestCrashWhileRulesAreCarriedOut(t *testing.T) {
	steps := 0
	life := func(t *testing.T, stopAt int, lost disktest.Loss) {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, t.TempDir())
			b.rules = always(&Verdict{Prefix: []byte("X-Rule: yes\r\n"), Recipients: []envelope.Recipient{{Address: b.addr("ann@company.com")}, {Address: b.addr("eve@far.net")}}})
			var d *disktest.Disk
			b.reopen(func(real disk.Disk) disk.Disk {
				d = disktest.New(real, filepath.Join(b.dir, "Queue"), stopAt)
				return d
			})
			b.run()
			synctest.Wait()
			_, err := b.submit(b.env("joe@company.com", "ann@company.com"), testMessage)
			time.Sleep(10 * time.Second)
			b.stop()
			if lost != disktest.Nothing {
				d.Lose(t, lost)
				b.local.lose()
			}
			steps = d.Steps()
			b.reopen(nil)
			b.run()
			time.Sleep(10 * time.Minute)
			b.halt()
			ann, eve := b.local.messages("ann@company.com"), b.remote.messages("eve@far.net")
			if len(ann) > 1 || err == nil && len(ann) != 1 || len(ann) == 1 && ann[0] != "X-Rule: yes\r\n"+testMessage {
				t.Errorf("accepted: %v; ann has %q", err, ann)
			}
			if err == nil && len(eve) < 1 || len(eve) > 0 && eve[0] != "X-Rule: yes\r\n"+testMessage {
				t.Errorf("accepted: %v; eve has %q", err, eve)
			}
			if left := b.files(); left != "" || b.q.Len() != 0 {
				t.Errorf("left: %s", left)
			}
		})
	}
	life(t, 0, disktest.Nothing)
	last := steps
	for _, lost := range disktest.Losses {
		for n := 1; n <= last && !t.Failed(); n++ {
			t.Run(fmt.Sprintf("step=%d,lost=%d", n, lost), func(t *testing.T) { life(t, n, lost) })
		}
	}
}

func TestBulkMailComesAfterOtherMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		b.remote.policy.BatchSize, b.remote.policy.Workers = 1, 1
		b.remote.block = make(chan struct{})
		b.run()
		defer b.halt()
		want := []envelope.QueueID{}
		send := func(bulk bool) {
			e := b.env("joe@company.com", "bob@far.net")
			e.Bulk = bulk
			id := b.mustSubmit(e, testMessage)
			data, err := os.ReadFile(filepath.Join(b.dir, "Queue", id.String()+".msg"))
			if err != nil || bytes.Contains(data, []byte("\nO LB\n")) != bulk {
				t.Errorf("%v %.60q", err, data)
			}
		}
		for _, bulk := range []bool{false, true, true, false, false} { // the first is under way already
			send(bulk)
			synctest.Wait()
		}
		close(b.remote.block)
		synctest.Wait()
		for _, try := range b.remote.attempts() {
			want = append(want, try.ids...)
		}
		if !slices.Equal(want, []envelope.QueueID{1, 4, 5, 2, 3}) {
			t.Errorf("in the order %v", want)
		}
	})
}

// The disk stops at each step: what a rule sends goes once if the rule has acted on the message, and
// not at all before.
func TestCrashWhileRulesSend(t *testing.T) {
	for name, fate := range map[string]Verdict{
		"the message goes on": {}, "it is changed": {Prefix: []byte("X: y\r\n")},
		"it is discarded": {Discard: true}, "it is refused": {Reject: "no"},
	} {
		steps := 0
		life := func(t *testing.T, stopAt int, lost disktest.Loss) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.rules = &ruleFunc{judge: func(ctx context.Context, m *Message) (*Verdict, error) {
					if m.Envelope.Source.Tag != "SMTP" {
						return nil, nil
					}
					env := b.env("joe@company.com", "bob@company.com")
					env.Source.Tag = "SRULE"
					s, err := b.q.BeginHeld(ctx, env)
					if err != nil {
						return nil, err
					}
					defer s.Abort()
					if _, err := io.WriteString(s, testMessage); err != nil {
						return nil, err
					}
					v := fate
					v.Send = []envelope.QueueID{s.ID()}
					return &v, s.HoldFor(ctx, m.ID)
				}}
				var d *disktest.Disk
				b.reopen(func(real disk.Disk) disk.Disk {
					d = disktest.New(real, filepath.Join(b.dir, "Queue"), stopAt)
					return d
				})
				b.run()
				synctest.Wait()
				_, err := b.submit(b.env("joe@company.com", "ann@company.com"), testMessage)
				time.Sleep(10 * time.Second)
				b.stop()
				if lost != disktest.Nothing {
					d.Lose(t, lost)
					b.local.lose()
				}
				steps = d.Steps()
				b.reopen(nil)
				b.run()
				time.Sleep(10 * time.Minute)
				b.halt()
				ann, bob := len(b.local.messages("ann@company.com")), len(b.local.messages("bob@company.com"))
				if told := err == nil || fault.Is(err, fault.Rejected); bob > 1 || told && bob != 1 {
					t.Errorf("%v; %d messages were sent", err, bob)
				}
				if through := !fate.Discard && fate.Reject == ""; through && ann != bob || !through && ann > 0 {
					t.Errorf("%v; ann has %d messages, %d were sent", err, ann, bob)
				}
				if left := b.files(); left != "" || b.q.Len() != 0 {
					t.Errorf("left: %s", left)
				}
			})
		}
		t.Run(name, func(t *testing.T) {
			life(t, 0, disktest.Nothing)
			last := steps
			for _, lost := range disktest.Losses {
				for n := 1; n <= last && !t.Failed(); n++ {
					t.Run(fmt.Sprintf("step=%d,lost=%d", n, lost), func(t *testing.T) { life(t, n, lost) })
				}
			}
		})
	}
}

// The header that rules get without reading the file is that of the file.
func TestRulesGetTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got, file string
		b := withRules(t, &ruleFunc{judge: func(_ context.Context, m *Message) (*Verdict, error) {
			f, err := m.Open()
			if err != nil {
				return nil, err
			}
			defer f.Close()
			text, err := io.ReadAll(f)
			got, file = string(m.Header), string(text)
			return nil, err
		}})
		defer b.halt()
		for _, c := range []struct{ text, prepend, header string }{
			{"A: b\r\nC: d\r\n\r\nbody\r\n", "", "A: b\r\nC: d\r\n\r\n"},
			{"A: b\r\n\r\n\r\nbody\r\n", "X: y\r\n", "X: y\r\nA: b\r\n\r\n"},
			{"\r\nbody\r\n", "", "\r\n"},
			{"A: b\r\n", "", ""},
			{"A: " + strings.Repeat("x", maxKeptHeader) + "\r\n\r\n", "", ""},
		} {
			s, err := b.q.Begin(t.Context(), b.env("joe@company.com", "ann@company.com"))
			must(t, err)
			for text := c.text; text != ""; text = text[min(3, len(text)):] {
				_, err := io.WriteString(s, text[:min(3, len(text))])
				must(t, err)
			}
			must(t, s.Prepend([]byte(c.prepend)))
			must(t, s.Commit(t.Context()))
			if got != c.header || file != c.prepend+c.text {
				t.Errorf("%q: the header is %q, the message %q", c.text, got, file)
			}
		}
	})
}

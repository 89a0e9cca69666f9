package rpop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/queue"
	"gatepost/queue/envelope"
)

const record = `{isp={domain="pop.far.example";authName=ann77;password="s3cret word";TLS=NO;period=1m;%s};}`

func TestMailIsFetchedAndRemoved(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := mail("one", "two")
		s := newSite(t, far.dial)
		s.records(fmt.Sprintf(record, ""))
		must(t, s.poll(isp()))
		s.deliver()
		got := s.inbox("ann")
		if want := []string{"one", "two"}; !slices.Equal(subjects(got), want) {
			t.Fatalf("INBOX has %q", subjects(got))
		}
		for _, part := range []string{"Return-Path: <joe@far.example>\r\nX-Real-To: <ann@company.com>\r\nDelivered-To: ann@company.com\r\nReceived: from pop.far.example\r\n  by company.com (Gatepost RPOP)\r\n  with POP3 id ",
			" for <ann@company.com>; ", "\r\nFrom: joe@far.example\r\nSubject: one\r\n\r\nText of one\r\n.dot\r\n"} {
			if !strings.Contains(got[0], part) {
				t.Errorf("%q is not in\n%s", part, got[0])
			}
		}
		if strings.Count(got[0], "Return-Path") != 1 {
			t.Errorf("more than one Return-Path in\n%s", got[0])
		}
		if n := len(far.clone().messages); n > 0 {
			t.Errorf("%d messages are still there", n)
		}
		if strings.Contains(s.log.String(), "s3cret") {
			t.Error("the log has the password")
		}
	})
}

func TestMessagesThatStayAreFetchedOnce(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := mail("one", "two")
		s := newSite(t, far.dial)
		s.records(fmt.Sprintf(record, "leave=YES;"))
		for range 3 {
			must(t, s.poll(isp()))
		}
		far.messages = append(far.messages, dropped{"later", "Subject: three\r\n\r\n"})
		must(t, s.poll(isp()))
		s.deliver()
		if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("INBOX has %q", got)
		}
		if n := len(far.clone().messages); n != 3 {
			t.Errorf("%d messages are still there", n)
		}
	})
}

// watched tells of each call of a queue.
type watched struct {
	*queue.Queue
	step func(what string)
}

func (w *watched) Begin(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error) {
	w.step("before Begin")
	return w.Queue.Begin(ctx, env)
}

func (w *watched) Publish(id envelope.QueueID) error {
	w.step("before Publish")
	err := w.Queue.Publish(id)
	w.step("behind Publish")
	return err
}

// A kill between any two steps neither loses a message nor delivers it twice.
func TestExactlyOnceOverKills(t *testing.T) {
	for name, noUIDL := range map[string]bool{"with UIDL": false, "without UIDL": true} {
		t.Run(name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				far := mail("one", "two", "three")
				far.noUIDL = noUIDL
				s := newSite(t, far.dial)
				s.records(fmt.Sprintf(record, ""))
				type state struct {
					what, dir string
					far       *maildrop
				}
				var killed []state
				step := func(what string) { killed = append(killed, state{what, copyDir(t, s.dir), far.clone()}) }
				far.step = step
				s.poller.queue = &watched{s.queue, step}
				must(t, s.poll(isp()))
				far.sessions.Wait()
				s.stop()
				if len(killed) < 20 {
					t.Fatalf("%d steps", len(killed))
				}
				for i, k := range killed {
					again := openSite(t, k.dir, k.far.dial)
					must(t, again.poll(isp()))
					again.deliver()
					got := subjects(again.inbox("ann"))
					slices.Sort(got)
					if !slices.Equal(got, []string{"one", "three", "two"}) {
						t.Errorf("killed %s (step %d): INBOX has %q", k.what, i, got)
					}
					if n := len(k.far.clone().messages); n > 0 {
						t.Errorf("killed %s (step %d): %d messages are still there", k.what, i, n)
					}
					if held := again.queue.Held(); len(held) > 0 {
						t.Errorf("killed %s (step %d): %v are held", k.what, i, held)
					}
					again.stop()
					k.far.sessions.Wait()
					must(t, os.RemoveAll(k.dir))
				}
			})
		})
	}
}

// A memory that cannot be written keeps messages where they are, and the next poll goes on.
func TestAFullDiskLosesNothing(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := mail("one", "two")
		s := newSite(t, far.dial)
		s.records(fmt.Sprintf(record, ""))
		dir := filepath.Join(s.dir, "Accounts", "ann.macnt", seenDirectory)
		must(t, os.WriteFile(dir, nil, 0o600)) // a file in the place of the directory
		e := isp()
		if err := s.poll(e); err == nil {
			t.Fatal("no error")
		}
		if n := len(far.clone().messages); n != 2 {
			t.Fatalf("%d messages are still there", n)
		}
		must(t, os.Remove(dir))
		must(t, s.poll(e))
		s.deliver()
		if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("INBOX has %q", got)
		}
		if held := s.queue.Held(); len(held) > 0 {
			t.Errorf("%v are held", held)
		}
	})
}

// The poller polls by itself: at the start, after each period, and when a record is changed.
func TestPeriod(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := mail("one")
		s := newSite(t, far.dial)
		s.records(fmt.Sprintf(record, ""))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.poller.Run(ctx)
		}()
		time.Sleep(time.Minute)
		if n := len(far.clone().messages); n > 0 {
			t.Errorf("%d messages are still there after the first minute", n)
		}
		far.mu.Lock()
		far.messages = append(far.messages, dropped{"later", "Subject: two\r\n\r\n"})
		far.mu.Unlock()
		time.Sleep(61 * time.Second)
		if n := len(far.clone().messages); n > 0 {
			t.Errorf("%d messages are still there after the second minute", n)
		}
		cancel()
		<-done
		s.deliver()
		if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("INBOX has %q", got)
		}
	})
}

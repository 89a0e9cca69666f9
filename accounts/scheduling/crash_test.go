package scheduling

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/queue/envelope"
)

// brokenQueue is a queue that a crash keeps from the steps after the commit.
type brokenQueue struct{ Queue }

var errCrash = errors.New("the server has crashed here")

func (brokenQueue) Publish(envelope.QueueID) error { return errCrash }
func (brokenQueue) Drop(envelope.QueueID) error    { return errCrash }

// An event that is stored is announced once, and one that is not stored is not announced, wherever the server crashes.
func TestCrashBetweenTheSteps(t *testing.T) {
	dir := t.TempDir()
	o := newOffice(t, dir)
	o.s.Queue = brokenQueue{o.q}
	put := func(o *office, uid string, no error) {
		p := Put{Put: putOf(uid+".ics", meeting(uid, starts, byAnn, withBob, withJoe))}
		if no != nil {
			p.If = func(*mailbox.Item) error { return no }
		}
		if _, err := o.s.Put(context.Background(), o.account("ann"), o.calendar("ann"), p); !errors.Is(err, no) {
			t.Fatal(err)
		}
	}
	put(o, "committed", nil)
	put(o, "refused", errCrash)
	if len(o.q.Held()) != 2 {
		t.Fatalf("%d messages are held", len(o.q.Held()))
	}
	o.stop()

	o = newOffice(t, dir)
	o.settle()
	o.wants("bob", "committed", "PARTSTAT=NEEDS-ACTION")
	if o.event("bob", "refused") != "" || len(o.away) != 1 || len(o.q.Held()) != 0 || o.messages("bob", "INBOX") != 1 {
		t.Fatalf("%q, %d held", o.away, len(o.q.Held()))
	}
	// The same when the event goes.
	o.s.Queue = brokenQueue{o.q}
	must(t, o.s.Delete(context.Background(), o.account("ann"), o.calendar("ann"), "committed.ics", nil, false, nil))
	o.stop()
	o = newOffice(t, dir)
	o.settle()
	o.wants("bob", "committed", "STATUS:CANCELLED")
	if len(o.away) != 1 || !strings.Contains(o.away[0], "method=CANCEL") {
		t.Errorf("%q", o.away)
	}
	o.stop()
	o = newOffice(t, dir)
	o.settle()
	if len(o.away) != 0 {
		t.Errorf("once more: %q", o.away)
	}
}

// A delivery that is repeated before it was committed does the same once more.
func TestRepeatedDelivery(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.room(nil)
	o.put("ann", "a.ics", meeting("a", starts, byAnn, withRoom, withBob))
	request := replaced(meeting("a", starts, byAnn, withRoom, withBob), "PRODID", "METHOD:REQUEST\nPRODID")
	before := o.event("room", "a")
	for range 2 {
		o.receiveFrom(envelope.Source{Tag: envelope.TagCalendar, Account: "ann@company.com", Domain: "company.com", Trusted: true}, "ann@company.com", "room@company.com", "", "REQUEST", request)
	}
	if after := o.event("room", "a"); strings.Count(after, "BEGIN:VEVENT") != 1 || !strings.Contains(after, "PARTSTAT=ACCEPTED") {
		t.Errorf("from\n%s\nto\n%s", before, after)
	}
	o.wants("ann", "a", "PARTSTAT=ACCEPTED;SCHEDULE-STATUS=2.0")
}

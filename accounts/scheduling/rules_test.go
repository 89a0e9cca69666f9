package scheduling

import (
	"context"
	"testing"
	"time"

	"gatepost/accounts/delivery"
	"gatepost/accounts/groupware"
	"gatepost/server/dataformat"
)

// messages returns how many messages a mailbox has.
func (o *office) messages(name, box string) int {
	o.t.Helper()
	i, err := o.account(name).Mail().Status(context.Background(), box)
	must(o.t, err)
	return int(i.Messages)
}

func TestAcceptRequest(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.rules.set("bob", delivery.Schedule{Request: true}, delivery.Discard{})
	o.put("ann", "a.ics", meeting("a", starts, byAnn, withBob))
	o.wants("ann", "a", "PARTSTAT=ACCEPTED;SCHEDULE-STATUS=2.0")
	o.put("cay", "b.ics", meeting("b", starts, "ORGANIZER:mailto:cay@company.com", withBob))
	o.wants("cay", "b", "PARTSTAT=DECLINED")
	if n := o.messages("bob", "INBOX"); n != 0 {
		t.Errorf("%d messages that the rule discards", n)
	}
	// What cannot be taken over is not lost.
	o.receive("joe@far.net", "bob@company.com", "", "REQUEST", itip("REQUEST", "20300101T000000Z", starts, "ORGANIZER:mailto:joe@far.net", "ATTENDEE:mailto:bob@company.com"))
	if n := o.messages("bob", "INBOX"); n != 1 {
		t.Errorf("%d messages in INBOX\n%s", n, o.log)
	}
	// A rule that discards it says that the account does not want it.
	o.rules.set("bob", delivery.Discard{})
	o.put("ann", "c.ics", meeting("c", starts, byAnn, withBob))
	if o.event("bob", "c") != "" {
		t.Error("what rules discard comes into the calendar")
	}
}

func TestState(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.put("ann", "a.ics", meeting("a", starts, byAnn, withBob))
	o.put("ann", "b.ics", meeting("b", "DTSTART:20300311T090000Z\nDTEND:20300311T100000Z\nX-MICROSOFT-CDO-BUSYSTATUS:OOF"))
	for _, test := range []struct{ name, at, want string }{{"ann", "20300310T093000Z", "Busy"}, {"bob", "20300310T093000Z", "Tentative"}, {"ann", "20300310T100000Z", "Free"},
		{"ann", "20300311T093000Z", "Unavailable"}} {
		at, err := time.Parse("20060102T150405Z", test.at)
		must(t, err)
		if got, err := o.s.State(t.Context(), o.account(test.name), at); got != test.want || err != nil {
			t.Errorf("%s at %s: %s, %v", test.name, test.at, got, err)
		}
	}
}

func TestWhereMessagesGo(t *testing.T) {
	o := newOffice(t, t.TempDir())
	o.put("ann", "a.ics", meeting("a", starts, byAnn, withBob, withCay))
	if in, box := o.messages("bob", "INBOX"), o.messages("bob", groupware.InboxName); in != 1 || box != 1 {
		t.Errorf("%d in INBOX, %d in the scheduling inbox", in, box)
	}
	// What brings the copies of others up to date is read by nobody.
	must(t, o.acc.AccountPrefs("company.com", "ann").Update(t.Context(), dataformat.Dict{"KeepInvitations": str("NO")}))
	text := o.event("bob", "a")
	o.put("bob", o.item("bob", "a"), replaced(text, "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob", "PARTSTAT=ACCEPTED:mailto:bob"))
	o.wants("cay", "a", "PARTSTAT=ACCEPTED:mailto:bob")
	if in, box := o.messages("cay", "INBOX"), o.messages("cay", groupware.InboxName); in != 1 || box != 1 {
		t.Errorf("%d in INBOX, %d in the scheduling inbox", in, box)
	}
	if in, box := o.messages("ann", "INBOX"), o.messages("ann", groupware.InboxName); in != 0 || box != 1 {
		t.Errorf("%d in INBOX, %d in the scheduling inbox", in, box)
	}
	// The scheduling inbox has a bound.
	for range maxInbox + 5 {
		in := &incoming{s: o.s, m: &delivery.Message{Account: o.account("bob")}}
		if _, err := in.inbox(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

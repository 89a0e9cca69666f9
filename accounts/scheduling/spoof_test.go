package scheduling

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"gatepost/accounts/groupware"
	"gatepost/server/dataformat"
)

// message is an iTIP text about the event "m".
func itip(method, stamp string, lines ...string) string {
	return "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nMETHOD:" + method + "\nBEGIN:VEVENT\nUID:m\nDTSTAMP:" + stamp + "\nSUMMARY:Evil\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
}

// Nobody changes an event who may not.
func TestForgedMessagesChangeNothing(t *testing.T) {
	const (
		late   = "20400101T000000Z"
		byJoe  = "ORGANIZER:mailto:joe@far.net"
		toBob  = "ATTENDEE:mailto:bob@company.com"
		joeYes = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:joe@far.net"
	)
	forged := "Authentication-Results: far.net; dmarc=pass header.from=far.net\n"
	below := "Received: from x\nAuthentication-Results: company.com; dmarc=pass header.from=far.net\n"
	fails := "Authentication-Results: company.com; dkim=pass header.d=far.net; dmarc=fail header.from=far.net\n"
	other := "Authentication-Results: company.com; dkim=pass header.d=evil.net; spf=pass smtp.mailfrom=evil.net; dmarc=none header.from=far.net\n"
	eve := strings.ReplaceAll(proof, "far.net", "evil.net")
	tests := []struct{ name, stored, from, to, before, method, text string }{
		{"REPLY without proof", "ann", "joe@far.net", "ann", "", "REPLY", itip("REPLY", late, byAnn, joeYes)},
		{"REPLY proved by another server", "ann", "joe@far.net", "ann", forged, "REPLY", itip("REPLY", late, byAnn, joeYes)},
		{"REPLY proved below a Received field", "ann", "joe@far.net", "ann", below, "REPLY", itip("REPLY", late, byAnn, joeYes)},
		{"REPLY that fails DMARC", "ann", "joe@far.net", "ann", fails, "REPLY", itip("REPLY", late, byAnn, joeYes)},
		{"REPLY proved for another domain", "ann", "joe@far.net", "ann", other, "REPLY", itip("REPLY", late, byAnn, joeYes)},
		{"REPLY for another attendee", "ann", "joe@far.net", "ann", proof, "REPLY", itip("REPLY", late, byAnn, "ATTENDEE;PARTSTAT=DECLINED:mailto:bob@company.com")},
		{"REPLY of nobody invited", "ann", "eve@evil.net", "ann", eve, "REPLY", itip("REPLY", late, byAnn, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:eve@evil.net")},
		{"REPLY of somebody who delegates himself", "ann", "eve@evil.net", "ann", eve, "REPLY", itip("REPLY", late, byAnn, "ATTENDEE;PARTSTAT=ACCEPTED;DELEGATED-FROM=\"mailto:bob@company.com\":mailto:eve@evil.net")},
		{"REPLY to an attendee", "bob", "joe@far.net", "bob", proof, "REPLY", itip("REPLY", late, byAnn, joeYes)},
		{"CANCEL of a stranger", "bob", "joe@far.net", "bob", proof, "CANCEL", itip("CANCEL", late, byJoe, toBob)},
		{"CANCEL in the organizer's name", "bob", "ann@company.com", "bob", "", "CANCEL", itip("CANCEL", late, byAnn, toBob)},
		{"CANCEL to the organizer", "ann", "joe@far.net", "ann", proof, "CANCEL", itip("CANCEL", late, byAnn)},
		{"REQUEST that takes a UID", "bob", "joe@far.net", "bob", proof, "REQUEST", itip("REQUEST", late, starts, byJoe, toBob)},
		{"REQUEST in the organizer's name", "bob", "ann@company.com", "bob", "", "REQUEST", itip("REQUEST", late, starts, byAnn, toBob)},
		{"REQUEST with SENT-BY", "bob", "joe@far.net", "bob", proof, "REQUEST", itip("REQUEST", late, starts, "ORGANIZER;SENT-BY=\"mailto:joe@far.net\":mailto:ann@company.com", toBob)},
		{"REQUEST to the organizer", "ann", "joe@far.net", "ann", proof, "REQUEST", itip("REQUEST", late, starts, byAnn, "ATTENDEE:mailto:ann@company.com")},
		{"REQUEST for a private event", "cay", "joe@far.net", "cay", proof, "REQUEST", itip("REQUEST", late, starts, byJoe, "ATTENDEE:mailto:cay@company.com")},
		{"ADD of a stranger", "bob", "joe@far.net", "bob", proof, "ADD", itip("ADD", late, starts, byJoe, toBob)},
		{"REFRESH of a stranger", "ann", "eve@evil.net", "ann", eve, "REFRESH", itip("REFRESH", late, byAnn, "ATTENDEE:mailto:eve@evil.net")},
		{"two organizers", "bob", "joe@far.net", "bob", proof, "REQUEST", strings.Replace(itip("REQUEST", late, starts, byJoe, toBob), "END:VCALENDAR", strings.Replace(vevent("m", starts, byAnn, toBob, "RECURRENCE-ID:20300310T090000Z"), "Meeting", "Evil", 1)+"END:VCALENDAR", 1)},
		{"another METHOD in the header", "bob", "ann@company.com", "bob", "", "PUBLISH", itip("CANCEL", late, byAnn, toBob)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := newOffice(t, t.TempDir())
			o.put("ann", "m.ics", meeting("m", starts, byAnn, withBob, withJoe))
			_, err := o.s.Put(context.Background(), o.account("cay"), o.calendar("cay"), Put{Put: putOf("m.ics", meeting("m", starts))})
			must(t, err)
			sent := len(o.away)
			before := o.event(test.stored, "m")
			if before == "" {
				t.Fatalf("nothing is stored: %s", o.log)
			}
			o.receive(test.from, test.to+"@company.com", test.before, test.method, test.text)
			if after := o.event(test.stored, "m"); after != before {
				t.Errorf("from\n%s\nto\n%s", before, after)
			}
			if len(o.away) != sent {
				t.Errorf("sent: %q", o.away[sent:])
			}
		})
	}
}

// What is older, or comes twice, changes nothing.
func TestOldMessagesChangeNothing(t *testing.T) {
	o := newOffice(t, t.TempDir())
	must(t, o.acc.AccountPrefs("company.com", "bob").Update(t.Context(), dataformat.Dict{"AddInvitations": str("Always")}))
	const byJoe = "ORGANIZER:mailto:joe@far.net"
	request := func(seq int, stamp, title string) {
		o.receive("joe@far.net", "bob@company.com", proof, "REQUEST", strings.Replace(itip("REQUEST", stamp, starts, byJoe, "ATTENDEE:mailto:bob@company.com", fmt.Sprintf("SEQUENCE:%d", seq)), "Evil", title, 1))
	}
	request(1, "20300101T000002Z", "first")
	o.wants("bob", "m", "first")
	request(0, "20300101T000009Z", "older sequence")
	request(1, "20300101T000001Z", "older stamp")
	o.wants("bob", "m", "first")
	request(1, "20300101T000003Z", "newer stamp")
	o.wants("bob", "m", "newer stamp")
	request(2, "20300101T000001Z", "newer sequence")
	o.wants("bob", "m", "newer sequence")
	cancel := func(seq string) {
		o.receive("joe@far.net", "bob@company.com", proof, "CANCEL", itip("CANCEL", "20300101T000004Z", byJoe, "ATTENDEE:mailto:bob@company.com", "SEQUENCE:"+seq))
	}
	cancel("1")
	o.wants("bob", "m", "!CANCELLED")
	cancel("2")
	o.wants("bob", "m", "STATUS:CANCELLED")
}

// Whose invitations come into a calendar.
func TestAddInvitations(t *testing.T) {
	o := newOffice(t, t.TempDir())
	n := 0
	comes := func(before string) bool {
		n++
		text := strings.Replace(itip("REQUEST", "20300101T000000Z", starts, "ORGANIZER:mailto:joe@far.net", "ATTENDEE:mailto:bob@company.com"), "UID:m", fmt.Sprintf("UID:n%d", n), 1)
		o.receive("joe@far.net", "bob@company.com", before, "REQUEST", text)
		return o.event("bob", fmt.Sprintf("n%d", n)) != ""
	}
	prefer := func(v string) {
		must(t, o.acc.AccountPrefs("company.com", "bob").Update(t.Context(), dataformat.Dict{"AddInvitations": str(v)}))
	}
	if comes(proof) {
		t.Error("an unknown sender's")
	}
	a := o.account("bob")
	c, err := o.s.Groupware.Main(t.Context(), a, o.s.Groupware.Between(a, a), groupware.Contacts)
	must(t, err)
	_, _, err = c.Put(t.Context(), putOf("joe.vcf", "BEGIN:VCARD\nVERSION:3.0\nUID:joe\nFN:Joe\nN:Joe;;;;\nEMAIL;TYPE=INTERNET:Joe@far.net\nEND:VCARD\n"))
	must(t, err)
	if !comes(proof) || comes("") {
		t.Errorf("a known sender's, proved or not\n%s", o.log)
	}
	prefer("Never")
	if comes(proof) {
		t.Error("with Never")
	}
	prefer("Always")
	if !comes("") {
		t.Error("with Always")
	}
	// An account of this server that has Never gets nothing either.
	prefer("Never")
	o.put("ann", "m.ics", meeting("m9", starts, byAnn, withBob))
	if o.event("bob", "m9") != "" {
		t.Error("with Never, of this server")
	}
}

func putOf(name, text string) groupware.Put {
	return groupware.Put{Name: name, Text: []byte(crlf(text))}
}

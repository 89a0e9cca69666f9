package server_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// J24, J26 and J36: a mailbox for two with an alias and mail that goes into it, a calendar for two and one for everybody with a link, personal pages.
func TestInteropWebAdminSharing(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	r.cli(t, "CREATEMAILBOX postmaster MAILBOX group1")
	b := newBrowser(t, "http://"+r.addr(8010), false)
	b.login("postmaster", testPassword)

	// J24: rights for alice and bob, by hand and by a group of letters.
	b.open("/Users/Domains/corp.test/Objects/postmaster/Mailboxes")
	b.sees("group1", "Mailbox aliases")
	b.picture("mailboxes")
	b.press(`main a[href$="mailbox=group1"]`)
	b.sees("Sharing: group1", "The account alone uses this mailbox.")
	b.picture("unshared")
	for _, who := range []string{"alice", "bob"} {
		b.set("#new", who)
		for _, letter := range "lrswid" {
			b.tick(fmt.Sprintf(`[name="right.new"][value="%c"]`, letter), true)
		}
		b.do("update")
		b.sees("The rights are stored", who)
	}
	b.tick(`[name="right.0"][value="p"]`, true)
	b.tick(`[name="right.1"][value="d"]`, false)
	b.do("update")
	b.sees("The rights are stored")
	b.picture("shared")
	r.want(t, "GETMAILBOXACL postmaster MAILBOX group1", "alice:lrswipd bob:lrswi")

	b.open("/Users/Domains/corp.test/Objects/bob/Mailboxes")
	b.set("#aliases", "group1 = ~postmaster/group1\nlost\n")
	b.do("aliases")
	b.sees("lost: a line is a name")
	b.picture("refused")
	b.set("#aliases", "group1 = ~postmaster/group1\n")
	b.do("aliases")
	b.sees("The mailbox aliases are stored.")
	b.picture("aliases")

	// Bob sees the mailbox by its alias, and mail that the Router or alice sends to it is there.
	r.cli(t, `SETROUTERTABLE "<team@corp.test> = group1#postmaster@corp.test"`)
	if err := r.submit(t, "eve@far.test", "team@corp.test", "by the router"); err != nil {
		t.Fatal(err)
	}
	c := r.imap(t, "bob")
	if all := c.do(`LIST "" *`); !strings.Contains(all, `"group1"`) {
		t.Errorf("bob's list: %s", all)
	}
	found := false
	for i := 0; i < 400 && !found; i++ {
		found = strings.Contains(c.do("STATUS group1 (MESSAGES)"), "MESSAGES 1")
	}
	if !found {
		t.Error("the message is not in the shared mailbox")
	}

	// J26: a calendar.
	if status, _ := r.dav(t, "MKCALENDAR", "/CalDAV/Plans/", ""); !strings.Contains(status, "201") {
		t.Fatal(status)
	}
	b.open("/Users/Domains/corp.test/Objects/alice/Mailboxes/Sharing?mailbox=Plans")
	b.sees("Secret link", "Make a link")
	b.do("link")
	b.sees("The link is shown only now")
	b.picture("link")
	link := regexp.MustCompile(`/CalendarData/\.link/\S+`).FindString(b.text())
	if status, body := r.fetch(t, "http://"+r.addr(8100), link, nil); status != 200 || !strings.Contains(body, "BEGIN:VCALENDAR") {
		t.Errorf("the link: %d %s", status, body)
	}
	if status, _ := r.dav(t, "PUT", "/CalDAV/Plans/a.ics", crlf("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:a\nDTSTAMP:20260101T000000Z\nDTSTART:20260210T120000Z\nSUMMARY:plan\nEND:VEVENT\nEND:VCALENDAR\n")); status != "201" {
		t.Error(status)
	}
	r.cli(t, "UPDATEMODULE Calendar {SubscriptionPrivate=YES;}")
	r.cli(t, fmt.Sprintf("CREATECALENDARSUBSCRIPTION bob MAILBOX Theirs URL %q", "http://"+r.addr(8100)+link))
	r.want(t, "GETCALENDARSUBSCRIPTIONS bob", "Theirs:map[")
	r.want(t, "GETMAILBOXINFO bob MAILBOX Theirs", "Messages:1")
	b.open("/Users/Domains/corp.test/Objects/alice/Mailboxes/Sharing?mailbox=Plans")
	b.do("unlink")
	b.sees("leads nowhere any more")
	if status, _ := r.fetch(t, "http://"+r.addr(8100), link, nil); status != 404 {
		t.Errorf("the link that is ended: %d", status)
	}

	// J36: personal pages.
	r.cli(t, "WRITESTORAGEFILE alice FILE default.html DATA [PGgxPmhpPC9oMT4=]")
	if status, _ := r.fetch(t, "http://"+r.addr(8100), "/~alice@corp.test/", nil); status != 404 {
		t.Errorf("a page before personal sites are on: %d", status)
	}
	b.open("/Users/Domains/corp.test/Domain%20Settings?show=PersonalSites")
	b.choose("f.PersonalSites", "=YES")
	b.do("update")
	b.sees("Stored: 1 change")
	b.picture("sites")
	if status, body := r.fetch(t, "http://"+r.addr(8100), "/~alice@corp.test/", nil); status != 200 || !strings.Contains(body, "<h1>hi</h1>") {
		t.Errorf("alice's page: %d %s", status, body)
	}
	b.open("/Preferences")
	b.choose("language", "ru")
	b.do("update")
	for _, page := range []string{"postmaster/Mailboxes", "postmaster/Mailboxes/Sharing?mailbox=group1", "alice/Mailboxes/Sharing?mailbox=Plans"} {
		b.open("/Users/Domains/corp.test/Objects/" + page)
		b.picture("ru")
	}
}

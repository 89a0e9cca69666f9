package webadmin

import (
	"regexp"
	"strings"
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
)

// An administrator shares a mailbox, gives an account an alias for it, and makes a secret link to a calendar.
func TestSharingPages(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	must(t, s.acc.CreateAccount(ctx, "main.com", "ann", dataformat.Dict{}))
	a, err := s.acc.Account(ctx, "main.com", "ann")
	must(t, err)
	for name, class := range map[string]string{"Team/Sub <1>": "", "Plans": "IPF.Appointment"} {
		_, err := a.Mail().CreateMailbox(ctx, name, mailbox.CreateOptions{Class: class})
		must(t, err)
	}
	c := s.master()
	const page = "/Users/Domains/main.com/Objects/ann/Mailboxes"
	const sharing = page + "/Sharing"
	c.get(page).sees(200, "Team/Sub <1>", "Mailbox aliases")
	if !strings.Contains(c.body, "Sharing?mailbox=Team%2FSub") {
		t.Error("the mailbox is no link")
	}
	box := []string{"do", "update", "mailbox", "Team/Sub <1>"}
	c.get(sharing+"?mailbox=Team%2FSub+%3C1%3E").sees(200, "The account alone uses", "~ann@main.com/Team/Sub <1>")
	if strings.Contains(c.body, "Secret link") {
		t.Error("a mailbox of mail has a link")
	}
	c.get(sharing + "?mailbox=None").sees(404)
	c.post(sharing, append(box, "was", "{}", "id.new", "bob")...).sees(422, "Tick what bob may do")
	c.post(sharing, append(box, "was", "{}", "right.new", "l")...).sees(422, "Say who")
	c.post(sharing, append(box, "was", "{}", "id.new", "b b", "right.new", "l")...).sees(422, "is not an identifier")
	c.post(sharing, append(box, "was", "{}", "id.new", " Bob ", "right.new", "l", "right.new", "r")...).sees(200, "The rights are stored", "SETMAILBOXACL ann@main.com")
	if acl, err := a.Mail().ACL(ctx, "Team/Sub <1>"); err != nil || len(acl) != 1 || acl[0].Identifier != "bob" || acl[0].Rights != 3 {
		t.Errorf("%v, %v", acl, err)
	}
	c.post(sharing, append(box, "was", "{}", "id.0", "bob", "right.0", "l")...).sees(422, "somebody else")
	c.post(sharing, append(box, "was", "{bob=lr;}", "id.0", "bob", "right.0", "l", "right.0", "r")...).sees(200, "Nothing has changed")
	c.post(sharing, append(box, "was", "{bob=lr;}", "id.0", "bob")...).sees(200, "The rights are stored", "The account alone")

	// The calendar.
	c.get(sharing+"?mailbox=Plans").sees(200, "Secret link", "Make a link")
	c.post(sharing, "do", "link", "mailbox", "Plans").sees(200, "shown only now", "End the link")
	made := regexp.MustCompile(`/CalendarData/\.link/ann@main\.com/([a-z2-7]{32})\.ics`).FindStringSubmatch(c.body)
	if made == nil {
		t.Fatal("no link is shown")
	}
	if c.get(sharing+"?mailbox=Plans").sees(200, "The calendar has a link since"); strings.Contains(c.body, made[1]) {
		t.Error("the link is shown again")
	}
	if strings.Contains(s.log.String(), made[1]) {
		t.Error("the log has the link")
	}
	c.post(sharing, "do", "unlink", "mailbox", "Plans").sees(200, "leads nowhere", "Make a link")

	// Aliases.
	c.post(page, "do", "aliases", "was", "", "aliases", "Sales\n").sees(422, "a line is a name")
	c.post(page, "do", "aliases", "was", "", "aliases", "A = ~bob/x\nA = ~bob/y").sees(422, "is there twice")
	c.post(page, "do", "aliases", "was", "", "aliases", "Sales = nowhere").sees(422, "is expected")
	c.post(page, "do", "aliases", "was", "", "aliases", "Sales = ~postmaster/sales\r\n\r\n Team = ~postmaster/Team").sees(200, "aliases are stored", "Sales = ~postmaster/sales")
	c.post(page, "do", "aliases", "was", "", "aliases", "").sees(422, "somebody else")
	if got, err := s.acc.Account(ctx, "main.com", "ann"); err != nil || len(got.MailboxAliases()) != 2 {
		t.Error(got.MailboxAliases(), err)
	}
}

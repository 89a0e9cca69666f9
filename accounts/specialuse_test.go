package accounts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// boxNames lists the names of an account's mailboxes besides INBOX.
func boxNames(t *testing.T, s *Store, domain, name string) string {
	t.Helper()
	a, err := s.Account(ctx, domain, name)
	must(t, err)
	list, err := a.Mail().List(ctx)
	must(t, err)
	var out []string
	for _, b := range list[1:] {
		out = append(out, b.Name)
	}
	return strings.Join(out, ", ")
}

func TestNewAccountHasTheMailboxesOfItsPreferences(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.ServerAccountPrefs().Update(ctx, dict(t, `{JunkBox=Spam;}`)))
	must(t, s.AccountDefaultPrefs("d.com").Update(ctx, dict(t, `{SentBox=Sent;TrashBox="Old/Trash";}`)))
	must(t, s.AccountTemplate("d.com").Update(ctx, dict(t, `{WebUserPrefs={ArchiveBox=Old;};}`)))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	if got := boxNames(t, s, "d.com", "u"); got != "Drafts, Old, Old/Trash, Sent, Spam" {
		t.Error(got)
	}
	must(t, s.CreateAccount(ctx, "", "u", nil))
	if got := boxNames(t, s, "", "u"); got != "Archive, Drafts, Sent Items, Spam, Trash" {
		t.Error(got)
	}
	// A directory that somebody made by hand becomes an account of the same kind.
	must(t, os.Mkdir(filepath.Join(s.base, "Domains", "d.com", "hand.macnt"), 0o700))
	if got := boxNames(t, s, "d.com", "hand"); got != "Archive, Drafts, Old, Old/Trash, Sent, Spam" {
		t.Error(got)
	}
}

func TestPreferencesThatNameNoMailboxMakeNone(t *testing.T) {
	s := newStore(t)
	must(t, s.AccountDefaultPrefs("").Update(ctx, dict(t, `{SentBox="~public/Sent";DraftsBox="~/inbox";TrashBox="";JunkBox=(a);ArchiveBox="a*";}`)))
	must(t, s.CreateAccount(ctx, "", "u", nil))
	if got := boxNames(t, s, "", "u"); got != "" {
		t.Error(got)
	}
	must(t, s.AccountDefaultPrefs("").Update(ctx, dict(t, `{SentBox=x;DraftsBox="~/x";TrashBox="x.mbox";JunkBox=#7;ArchiveBox=X;}`)))
	must(t, s.CreateAccount(ctx, "", "v", nil))
	if got := boxNames(t, s, "", "v"); got != "7, X, x, x.mbox" {
		t.Error(got)
	}
}

func TestPreferenceThatCannotFollow(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	file := filepath.Join(a.dir, accountFile)
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, []byte("{"), 0o600))

	must(t, s.RenameMailbox(ctx, a, "Trash", "Bin"))
	if !strings.Contains(p.log.String(), "the special use of a renamed mailbox is lost") {
		t.Errorf("log %s", &p.log)
	}
	must(t, os.WriteFile(file, text, 0o600))
	must(t, s.Reload())
	if got := boxNames(t, s, "", "u"); got != "Archive, Bin, Drafts, Junk, Sent Items" {
		t.Error(got)
	}
	if a, err = s.Account(ctx, "", "u"); err != nil || a.SpecialUses()["Trash"] == nil {
		t.Errorf("uses %v, %v", a.SpecialUses(), err)
	}

	must(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = s.CreateUsedMailbox(ctx, a, "Rubbish", imap.MailboxAttrTrash)
	wantKind(t, err, fault.Corrupt)
	must(t, os.WriteFile(file, text, 0o600))
}

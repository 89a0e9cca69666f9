package accounts

import (
	"os"
	"strings"
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestMailingLists(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "owner", nil))
	must(t, s.CreateAccount(ctx, "d.com", "club-off", nil))
	lists := s.Lists()
	wantKind(t, lists.Create(ctx, "d.com", "news", "nobody", nil), fault.Invalid)
	wantKind(t, lists.Create(ctx, "d.com", "club", "owner", nil), fault.Exists) // club-off is an account
	must(t, lists.Create(ctx, "d.com", "News", "Owner", dict(t, `{RealName="The News"; Floor=2;}`)))
	wantKind(t, lists.Create(ctx, "d.com", "news", "owner", nil), fault.Exists)
	for _, taken := range []string{"news", "news-off", "news-report"} {
		wantKind(t, s.CreateAccount(ctx, "d.com", taken, nil), fault.Exists)
		wantKind(t, s.Groups().Create(ctx, "d.com", taken, nil), fault.Exists)
	}
	for name, want := range map[string]names.ObjectKind{"news": names.List, "news-confirm": names.List, "news-x": names.None, "x-off": names.None, "club-off": names.Account} {
		o, err := s.Object(ctx, "d.com", name)
		must(t, err)
		if o.Kind != want || want == names.List && o.Name != "news" {
			t.Errorf("%s is %+v", name, o)
		}
	}
	for _, bad := range []string{
		`{Owner=nobody;}`, `{Postings=perhaps;}`, `{DigestMessageLimit=0;}`, `{Store=NO; Distribution=digest;}`, `{ArchiveSwapPeriod=0;}`,
		`{ListFields="List-Id: x";}`, `{ListFields="X-A: b\e X: c";}`, `{FeedSubject="a\eb";}`, `{DigestPeriod=1s;}`, `{Posting=moderated;}`,
	} {
		wantKind(t, lists.Set(ctx, "d.com", "news", dict(t, bad)), fault.Invalid)
	}
	must(t, lists.Set(ctx, "d.com", "news", dict(t, `{RealName=News; ListFields="X-Where: here\eX-Who: us"; Floor=2;}`)))

	list, err := lists.Get(ctx, "d.com", "NEWS")
	must(t, err)
	id := list.ID
	must(t, list.Subscribers().Change(ctx, "a@x.com", func(s *subscribers.Subscriber) error { s.Mode = subscribers.Feed; return nil }))
	wantKind(t, s.DeleteAccount(ctx, "d.com", "owner"), fault.Denied)
	must(t, s.CreateDomain(ctx, "f.com", nil))
	wantKind(t, s.RenameAccount(ctx, "d.com", "owner", "f.com", "owner"), fault.Denied)
	must(t, s.RenameAccount(ctx, "d.com", "owner", "d.com", "boss"))
	wantKind(t, s.DeleteDomain(ctx, "d.com", false), fault.NotEmpty)

	must(t, s.Close())
	s = p.open(t)
	lists = s.Lists()
	d, err := lists.Settings(ctx, "d.com", "news")
	wantDict(t, d, err, `{Floor=2;ListFields="X-Where: here\eX-Who: us";Owner=boss;RealName=News;}`)
	boss, err := s.Account(ctx, "d.com", "boss")
	must(t, err)
	_, err = boss.Mail().CreateMailbox(ctx, "news", mailbox.CreateOptions{})
	must(t, err)
	wantKind(t, lists.Rename(ctx, "d.com", "news", "club"), fault.Exists)
	must(t, lists.Rename(ctx, "d.com", "news", "bulletin"))
	if _, err := boss.Mail().Status(ctx, "bulletin"); err != nil {
		t.Errorf("the archive was not renamed: %v", err)
	}
	must(t, s.RenameDomain(ctx, "d.com", "e.com"))
	owned, err := lists.OwnedBy(ctx, "e.com", "Boss")
	must(t, err)
	if len(owned) != 1 || owned[0].ID != id || owned[0].Service("off").String() != "bulletin-off@e.com" {
		t.Fatalf("%+v", owned)
	}
	if sub, err := owned[0].Subscribers().Get("A@x.com"); err != nil || sub.Mode != subscribers.Feed {
		t.Errorf("%+v %v", sub, err)
	}
	page, err := s.ListObjects(ctx, "e.com", ListOptions{Limit: 10, Lists: true})
	must(t, err)
	if page.Lists != 1 || page.Objects["bulletin"].Kind != names.List {
		t.Errorf("%+v", page)
	}
	must(t, s.DomainSettings("e.com").Update(ctx, dict(t, `{ListsLimit=1;}`)))
	wantKind(t, lists.Create(ctx, "e.com", "more", "boss", nil), fault.TooMany)
	wantFindings(t, s)
	must(t, lists.Delete(ctx, "e.com", "bulletin"))
	wantKind(t, lists.Delete(ctx, "e.com", "bulletin"), fault.NotFound)
	must(t, s.DeleteAccount(ctx, "e.com", "boss"))
	wantFindings(t, s)
}

// wantFindings wants that the check of mailing lists finds this.
func wantFindings(t *testing.T, s *Store, want ...string) {
	t.Helper()
	var have []string
	must(t, s.CheckLists(ctx, func(line string) { have = append(have, line) }))
	if len(have) != len(want) {
		t.Fatalf("findings %q", have)
	}
	for i := range want {
		if !strings.Contains(have[i], want[i]) {
			t.Errorf("finding %q, want %q", have[i], want[i])
		}
	}
}

func TestCheckOfMailingLists(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "owner", nil))
	lists := s.Lists()
	for _, name := range []string{"a", "b", "c"} {
		must(t, lists.Create(ctx, "d.com", name, "owner", nil))
		l, err := lists.Get(ctx, "d.com", name)
		must(t, err)
		must(t, l.Subscribers().Change(ctx, "a@x.com", func(s *subscribers.Subscriber) error { s.Mode = subscribers.Feed; return nil }))
	}
	d, err := s.domain("d.com")
	must(t, err)
	must(t, os.Remove(d.listFile("a")))
	copied, err := os.ReadFile(d.listFile("b"))
	must(t, err)
	must(t, os.WriteFile(d.listFile("b2"), copied, 0o600))
	must(t, dataformat.WriteFile(d.listFile("bad"), dataformat.Dict{}, dataformat.StyleOld))
	must(t, s.Close())
	s = p.open(t)
	wantFindings(t, s, "b@d.com and b2@d.com have the same number", "bad@d.com cannot be read", "which is not there")
}

// The archive of a list is the mailbox of its owner with its name: no list takes INBOX, which has other mail.
func TestNoMailingListHasINBOXForItsArchive(t *testing.T) {
	s := newBase(t).open(t)
	must(t, s.CreateAccount(ctx, "company.com", "owner", nil))
	lists := s.Lists()
	wantKind(t, lists.Create(ctx, "company.com", "Inbox", "owner", nil), fault.Invalid)
	must(t, lists.Create(ctx, "company.com", "news", "owner", nil))
	wantKind(t, lists.Rename(ctx, "company.com", "news", "inbox"), fault.Invalid)
}

// Who makes lists does not get at the mail of their owners: a mailbox that is there does not become an archive, which digests
// show and which is cut.
func TestNoMailboxOfTheOwnerBecomesAnArchive(t *testing.T) {
	s := newBase(t).open(t)
	for _, name := range []string{"ann", "bob"} {
		must(t, s.CreateAccount(ctx, "company.com", name, nil))
	}
	ann, err := s.Account(ctx, "company.com", "ann")
	must(t, err)
	_, err = ann.Mail().CreateMailbox(ctx, "private", mailbox.CreateOptions{})
	must(t, err)
	lists := s.Lists()
	wantKind(t, lists.Create(ctx, "company.com", "private", "ann", nil), fault.Exists)
	must(t, lists.Create(ctx, "company.com", "private", "bob", nil))
	wantKind(t, lists.Update(ctx, "company.com", "private", dict(t, `{Owner=Ann;}`)), fault.Exists)
	must(t, lists.Update(ctx, "company.com", "private", dict(t, `{Owner=bob;RealName=x;}`)))
	must(t, lists.Create(ctx, "company.com", "news", "ann", nil))
	wantKind(t, lists.Rename(ctx, "company.com", "news", "private"), fault.Exists)
}

// TestRenameOfListSurvivesCrash: the archive follows the list whatever step of a rename was the last.
func TestRenameOfListSurvivesCrash(t *testing.T) {
	ctx := t.Context()
	for _, step := range []string{"marked", "file renamed", "archive renamed"} {
		t.Run(step, func(t *testing.T) {
			s := newStore(t)
			must(t, s.CreateAccount(ctx, "company.com", "ann", nil))
			lists := s.Lists()
			must(t, lists.Create(ctx, "company.com", "news", "ann", dataformat.Dict{"RealName": dataformat.String("The News")}))
			ann, err := s.Account(ctx, "company.com", "ann")
			must(t, err)
			_, err = ann.Mail().CreateMailbox(ctx, "news", mailbox.CreateOptions{})
			must(t, err)
			before, err := lists.Get(ctx, "company.com", "news")
			must(t, err)
			d, err := s.domain("company.com")
			must(t, err)
			marked := visible(before.explicit)
			marked[keyArchive] = dataformat.String("news")
			must(t, lists.write(d, "news", before.ID, marked))
			name := "news"
			if step != "marked" {
				name = "bulletin"
				must(t, os.Rename(d.listFile("news"), d.listFile(name)))
				lists.drop(d, "news", name)
			}
			if step == "archive renamed" {
				must(t, ann.Mail().RenameMailbox(ctx, "news", name))
			}
			// Settings that are changed meanwhile do not lose what is left to do.
			must(t, lists.Update(ctx, "company.com", name, dataformat.Dict{"Charset": dataformat.String("utf-8")}))
			must(t, lists.Set(ctx, "company.com", name, dataformat.Dict{"RealName": dataformat.String("The News")}))
			for range 2 {
				list, err := lists.Get(ctx, "company.com", name)
				must(t, err)
				must(t, lists.FinishRename(ctx, list))
			}
			if _, err := ann.Mail().Status(ctx, name); err != nil {
				t.Errorf("the archive has not the name of the list: %v", err)
			}
			list, err := lists.Get(ctx, "company.com", name)
			must(t, err)
			if list.ID != before.ID || list.explicit[keyArchive] != nil || list.Settings().RealName != "The News" {
				t.Errorf("%v", list.explicit)
			}
			must(t, lists.Rename(ctx, "company.com", name, "other"))
		})
	}
}

// TestOwnerChangesInARename: the archive has its new name before it belongs to nobody.
func TestOwnerChangesInARename(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	for _, name := range []string{"ann", "bob"} {
		must(t, s.CreateAccount(ctx, "company.com", name, nil))
	}
	lists := s.Lists()
	must(t, lists.Create(ctx, "company.com", "news", "ann", nil))
	ann, err := s.Account(ctx, "company.com", "ann")
	must(t, err)
	_, err = ann.Mail().CreateMailbox(ctx, "news", mailbox.CreateOptions{})
	must(t, err)
	list, err := lists.Get(ctx, "company.com", "news")
	must(t, err)
	d, err := s.domain("company.com")
	must(t, err)
	marked := visible(list.explicit)
	marked[keyArchive] = dataformat.String("news")
	must(t, lists.write(d, "news", list.ID, marked))
	must(t, os.Rename(d.listFile("news"), d.listFile("bulletin")))
	lists.drop(d, "news", "bulletin")
	must(t, lists.Update(ctx, "company.com", "bulletin", dataformat.Dict{"Owner": dataformat.String("bob")}))
	if _, err := ann.Mail().Status(ctx, "bulletin"); err != nil {
		t.Errorf("the archive has its old name: %v", err)
	}
	if list, err = lists.Get(ctx, "company.com", "bulletin"); err != nil || list.explicit[keyArchive] != nil || list.Settings().Owner != "bob" {
		t.Errorf("%v, %v", list.explicit, err)
	}
}

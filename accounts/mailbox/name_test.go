package mailbox

import (
	"fmt"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

func TestMailboxNames(t *testing.T) {
	long := strings.Repeat("x", maxLevel)
	for _, c := range []struct{ in, want string }{
		{"Work", "Work"},
		{"inbox", "INBOX"},
		{"InBox/Sub", "INBOX/Sub"},
		{"inboxes", "inboxes"},
		{"~/Junk", "Junk"},
		{"a/b/c", "a/b/c"},
		{"Entwürfe/日本", "Entwürfe/日本"},
		{"with space & [brackets]", "with space & [brackets]"},
		{long, long},
		{"", ""},
		{"~/", ""},
		{"/a", ""},
		{"a//b", ""},
		{"a/", ""},
		{"~user/box", ""},
		{"~", ""},
		{"#news", ""},
		{"a*", ""},
		{"100%", ""},
		{"a/../b", ""},
		{".", ""},
		{"nul\x00", ""},
		{"bell\a", ""},
		{"tab\t", ""},
		{"line\r\nend", ""},
		{"del\x7f", ""},
		{"c1\u0085", ""},
		{"sep\u2028", ""},
		{"bad\xff", ""},
		{long + "x", ""},
		{strings.Repeat(long+"/", 4) + "x", ""},
		{strings.Repeat("a/", maxDepth) + "a", ""},
	} {
		got, err := cleanName(c.in)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, %v; want %q", c.in, got, err, c.want)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", c.in, err)
		}
	}
}

func TestNewMailboxNames(t *testing.T) {
	for _, c := range []struct {
		in, want string
		folder   bool
	}{
		{"a.mdir", "a", false}, {"a.mbox", "a", false}, {"x/a.mslc", "x/a", false}, {"a.mb4", "a", false},
		{"a.mbox/", "a.mbox", true}, {".mbox", ".mbox", false}, {"x/.mbox", "x/.mbox", false}, {"a/b/", "a/b", true},
	} {
		got, folder, err := newName(c.in)
		if got != c.want || folder != c.folder || err != nil {
			t.Errorf("%q: %q %v, %v", c.in, got, folder, err)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"INBOX", "~/a/b", "a\x00", "Entw\u00fcrfe", "inbox/x", "//", "~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean, err := cleanName(s)
		if err != nil {
			return
		}
		if again, err := cleanName(clean); err != nil || again != clean {
			t.Errorf("%q is clean as %q, and that as %q, %v", s, clean, again, err)
		}
	})
}

// names lists an account: a container is "a", a directory "a/", both "a+".
func names(t testing.TB, a *Account) string {
	t.Helper()
	list, err := a.List(bg)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, i := range list {
		mark := ""
		switch {
		case i.HasFolder && i.Selectable:
			mark = "+"
		case i.HasFolder:
			mark = "/"
		}
		all = append(all, i.Name+mark)
	}
	return strings.Join(all, " ")
}

func TestANameIsAContainerADirectoryOrBoth(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	create := func(name string, want fault.Kind) {
		t.Helper()
		if _, err := a.CreateMailbox(bg, name, CreateOptions{}); want == fault.Internal && err != nil || want != fault.Internal && !fault.Is(err, want) {
			t.Errorf("create %s: %v", name, err)
		}
	}
	create("A/B/C", fault.Internal)
	create("D/", fault.Internal)
	create("D", fault.Internal)
	create("E", fault.Internal)
	create("E/", fault.Internal)
	create("Archive.mbox", fault.Internal)
	create("A/B/C", fault.Exists)
	create("A/B/", fault.Exists)
	create("D/", fault.Exists)
	create("inbox", fault.Exists)
	create("x*", fault.Invalid)
	if got, want := names(t, a), "INBOX A/ A/B/ A/B/C Archive D+ E+ Trash"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err := a.Status(bg, "A")
	wantKind(t, err, fault.NoMailbox)
	_, err = a.Open(bg, "A", false)
	wantKind(t, err, fault.NoMailbox)
	_, err = a.Append(bg, "A", AppendMessage{Body: strings.NewReader("x")})
	wantKind(t, err, fault.NoMailbox)

	wantKind(t, a.DeleteMailbox(bg, "A"), fault.NotEmpty)
	wantKind(t, a.DeleteMailbox(bg, "Inbox"), fault.Denied)
	wantKind(t, a.DeleteMailbox(bg, "nothing"), fault.NoMailbox)
	create("A", fault.Internal)
	for _, name := range []string{"A", "A/B/C", "A/B", "D"} {
		if err := a.DeleteMailbox(bg, name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if got, want := names(t, a), "INBOX A/ Archive E+ Trash"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.settle()
	w.reopen()
	if got, want := names(t, w.account(1)), "INBOX A/ Archive E+ Trash"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMailboxIsFoundUnderTheNameThatCreateHasChanged(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	if i, err := a.CreateMailbox(bg, "foo.mbox", CreateOptions{}); err != nil || i.Name != "foo" {
		t.Fatalf("%+v, %v", i, err)
	}
	if err := a.Subscribe(bg, "foo.mbox", true); err != nil {
		t.Error(err)
	}
	w.append(a, "foo.mbox", 1)
	m := w.view(a, "foo.mbox")
	if got := m.Info().Name; got != "foo" {
		t.Errorf("opened as %q", got)
	}
	d := w.queued(2)
	d.Mailbox = "foo.mdir"
	w.deliver(a, d)
	m.Sync(true)
	if _, err := m.Copy(bg, m.UIDs(), "foo.mbox"); err != nil {
		t.Error(err)
	}
	if _, err := m.Move(bg, m.UIDs()[:1], "foo.mbox"); err != nil {
		t.Error(err)
	}
	if i, err := a.Status(bg, "foo.mbox"); err != nil || i.Name != "foo" || !i.Subscribed || i.Messages != 4 {
		t.Errorf("%+v, %v", i, err)
	}
	_, err := a.CreateMailbox(bg, "foo.mbox", CreateOptions{})
	wantKind(t, err, fault.Exists)
	wantKind(t, a.RenameMailbox(bg, "foo.mbox", "foo"), fault.Exists)
	if err := a.RenameMailbox(bg, "foo.mbox", "bar.mbox"); err != nil { // not dropped: it is found as it is
		t.Error(err)
	}
	if _, err := a.CreateMailbox(bg, "bar", CreateOptions{}); err != nil {
		t.Error(err)
	}
	if i, err := a.Status(bg, "bar.mbox"); err != nil || i.Name != "bar.mbox" || i.Messages != 4 {
		t.Errorf("%+v, %v", i, err)
	}
	if err := a.DeleteMailbox(bg, "bar.mbox"); err != nil {
		t.Error(err)
	}
	wantKind(t, a.DeleteMailbox(bg, "bar.mbox"), fault.NoMailbox) // repeated, it does not take the other
	if i, err := a.Status(bg, "bar.mbox"); err != nil || i.Name != "bar" {
		t.Errorf("%+v, %v", i, err)
	}
	if err := a.DeleteMailbox(bg, "bar"); err != nil {
		t.Error(err)
	}
	if _, err := a.CreateMailbox(bg, "D/", CreateOptions{}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"bar.mbox", "INBOX.mbox", "inbox.mbox", "D.mbox", "none.mdir"} {
		wantKind(t, a.DeleteMailbox(bg, name), fault.NoMailbox)
		_, err := a.Open(bg, name, false)
		wantKind(t, err, fault.NoMailbox)
	}
	if err := a.Subscribe(bg, "foo.mbox", false); err != nil { // which is not there any more
		t.Error(err)
	}
	if got, want := names(t, a), "INBOX D/ Trash"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDeletingADirectoryLeavesTheMailboxOfItsName(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for _, name := range []string{"A/", "A", "B/C", "B", "E", "INBOX/", "D/"} {
		if _, err := a.CreateMailbox(bg, name, CreateOptions{Class: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	w.append(a, "A", 1)
	for name, want := range map[string]fault.Kind{"A/": 0, "B/": fault.NotEmpty, "E/": fault.NoMailbox, "INBOX/": 0, "D/": 0, "none/": fault.NoMailbox} {
		if err := a.DeleteMailbox(bg, name); fault.KindOf(err) != want || (err == nil) != (want == 0) {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if got, want := names(t, a), "INBOX A B+ B/C E Trash"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if i, err := a.Status(bg, "A"); err != nil || i.Messages != 1 || i.Class != "x" {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestRenamingTakesNestedMailboxesAlong(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for _, n := range []string{"P", "P/one", "P/two/deep", "P-x", "Q/one/", "R"} {
		if _, err := a.CreateMailbox(bg, n, CreateOptions{Class: "IPF.Note"}); err != nil {
			t.Fatal(err)
		}
	}
	w.append(a, "P/one", 1)
	m := w.view(a, "P/one")
	before := m.Info()
	if err := a.RenameMailbox(bg, "P", "Q"); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, a), "INBOX P-x Q+ Q/one+ Q/two/ Q/two/deep R Trash"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	wantUpdate(t, m, true, "") // sessions stay
	w.append(a, "Q/one", 2)
	wantUpdate(t, m, true, "exists 2")
	i, err := a.Status(bg, "Q/one")
	if err != nil || i.UIDValidity != before.UIDValidity || i.ID != before.ID || i.Messages != 2 || i.Class != "IPF.Note" {
		t.Errorf("renamed: %+v, %v", i, err)
	}
	for _, c := range []struct {
		from, to string
		want     fault.Kind
	}{
		{"Q", "Q/inside", fault.Invalid}, {"Q", "R", fault.Exists}, {"Q", "INBOX", fault.Exists},
		{"Q", "Q", fault.Exists}, {"none", "other", fault.NoMailbox}, {"R", "a//b", fault.Invalid},
		{"Q", strings.Repeat("y", 250) + "/" + strings.Repeat("z", 250) + "/" + strings.Repeat("y", 250) + "/" + strings.Repeat("z", 245), fault.Invalid},
	} {
		wantKind(t, a.RenameMailbox(bg, c.from, c.to), c.want)
	}
	if err := a.RenameMailbox(bg, "R", "new/place/R"); err != nil {
		t.Error(err)
	}
	if got, want := names(t, a), "INBOX P-x Q+ Q/one+ Q/two/ Q/two/deep Trash new/ new/place/ new/place/R"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMailboxesAreLimited(t *testing.T) {
	w := newWorld(t)
	w.limits.MaxMailboxes = 4
	a := w.account(1)
	if _, err := a.CreateMailbox(bg, "one", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := a.CreateMailbox(bg, "two/three", CreateOptions{})
	wantKind(t, err, fault.TooMany)
	if err := a.RenameMailbox(bg, "one", "two"); err != nil {
		t.Error(err)
	}
	wantKind(t, a.RenameMailbox(bg, "two", "some/where/else"), fault.TooMany)
	if got, want := names(t, a), "INBOX Trash two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSubscriptionsMayNameMissingMailboxes(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for _, n := range []string{"missing", "inbox", "~other/Box", "missing"} {
		if err := a.Subscribe(bg, n, true); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	wantKind(t, a.Subscribe(bg, "bad*", true), fault.Invalid)
	wantKind(t, a.Subscribe(bg, "~a\x00/b", true), fault.Invalid)
	if got, err := a.Subscriptions(bg); fmt.Sprint(got) != "[INBOX Trash missing ~other/Box]" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := a.Subscribe(bg, "missing", false); err != nil {
		t.Error(err)
	}
	if err := a.DeleteMailbox(bg, "Trash"); err != nil {
		t.Error(err)
	}
	if got, err := a.Subscriptions(bg); fmt.Sprint(got) != "[INBOX Trash ~other/Box]" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestUIDValidityIsUniqueInTheAccount(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	seen := make(map[uint32]bool)
	for range 5 {
		i, err := a.CreateMailbox(bg, "x", CreateOptions{Class: "x"})
		if err != nil || seen[i.UIDValidity] || i.Class != "x" {
			t.Errorf("%+v, %v", i, err)
		}
		seen[i.UIDValidity] = true
		if err := a.DeleteMailbox(bg, "x"); err != nil {
			t.Error(err)
		}
	}
}

func TestAccountsAreCreatedOnceAndRemovedWhole(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	o := w.owners[1]
	wantKind(t, w.store.Create(bg, o, nil), fault.Exists)
	w.append(a, "INBOX", 1)
	m := w.view(a, "INBOX")
	if err := w.store.Remove(bg, o); err != nil {
		t.Fatal(err)
	}
	delete(w.owners, 1)
	wantUpdate(t, m, true, "gone")
	m.Close()
	_, err := a.List(bg)
	wantKind(t, err, fault.NotFound)
	_, err = a.Open(bg, "INBOX", false)
	wantKind(t, err, fault.NotFound)
	wantKind(t, a.Deliver(bg, []Delivery{w.queued(1)})[0], fault.NotFound)
	if err := w.store.Remove(bg, o); err != nil {
		t.Errorf("removed again: %v", err)
	}
	w.settle()
	w.reopen()
}

func TestWatchersHearOfEveryChange(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	var n, other int
	stop := a.Watch(func() { n++ })
	defer a.Watch(func() { other++ })()
	w.append(a, "Trash", 1)
	w.deliver(a, w.queued(2))
	m := w.view(a, "INBOX")
	set(t, m, Add, imap.FlagSeen, 1)
	if err := a.Subscribe(bg, "x", true); err != nil {
		t.Error(err)
	}
	if n != 4 {
		t.Errorf("heard of %d changes", n)
	}
	stop()
	w.append(a, "Trash", 1)
	if n != 4 || other != 5 {
		t.Errorf("heard of %d and %d changes", n, other)
	}
}

// A directory made with the whole name does not hide the mailbox that CREATE made.
func TestMailboxBesideADirectoryOfItsNameWithTheFormat(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for _, name := range []string{"foo.mbox", "foo.mbox/bar"} {
		if _, err := a.CreateMailbox(bg, name, CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w.append(a, "foo", 1)
	if n := w.view(a, "foo.mbox").Len(); n != 1 {
		t.Errorf("%d messages", n)
	}
}

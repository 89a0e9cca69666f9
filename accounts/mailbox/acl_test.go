package mailbox

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/server/fault"
)

// setACL gives a name an ACL that is one element.
func setACL(t *testing.T, a *Account, name, identifier string) {
	t.Helper()
	if err := a.ChangeACL(bg, name, func(ACL) (ACL, error) { return ACL{{identifier, 3}}, nil }); err != nil {
		t.Fatal(err)
	}
}

// acls lists the names that have an ACL, with the identifiers in it.
func acls(t *testing.T, a *Account) string {
	t.Helper()
	list, err := a.List(bg)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range append([]Info{{}}, list...) {
		l, err := a.ACL(bg, name.Name)
		if err != nil {
			t.Errorf("%s: %v", name.Name, err)
		}
		for _, e := range l {
			all = append(all, name.Name+"="+e.Identifier)
		}
	}
	return strings.Join(all, " ")
}

func TestAnACLGoesWithItsMailbox(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	create := func(name string) {
		t.Helper()
		if _, err := a.CreateMailbox(bg, name, CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want string) {
		t.Helper()
		if got := acls(t, a); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create("A")
	setACL(t, a, "A", "x")
	create("A/b/c") // a copy, which does not follow
	setACL(t, a, "A", "y")
	want("A=y A/b=x A/b/c=x")
	create("B")
	must(a.RenameMailbox(bg, "A", "B/A"))
	want("B/A=y B/A/b=x B/A/b/c=x")
	create("B/A/b") // adds the container to the directory
	must(a.RenameMailbox(bg, "B/A/b", "B/A/new/b"))
	want("B/A=y B/A/new=y B/A/new/b=x B/A/new/b/c=x")
	w.reopen()
	a = w.account(1)
	must(a.DeleteMailbox(bg, "B/A"))
	want("B/A/new=y B/A/new/b=x B/A/new/b/c=x") // the directory has none
	create("B/A")
	want("B/A/new=y B/A/new/b=x B/A/new/b/c=x")

	setACL(t, a, "INBOX", "in")
	create("Old/")
	setACL(t, a, "Old/", "old")
	must(a.RenameMailbox(bg, "INBOX", "Old/Mail"))
	must(a.RenameMailbox(bg, "INBOX", "Other"))
	create("INBOX/sub")
	setACL(t, a, "", "root")
	create("Top")
	want("=root INBOX=in B/A/new=y B/A/new/b=x B/A/new/b/c=x INBOX/sub=in Old=old Old/Mail=old")
	w.reopen()
	a = w.account(1)
	want("=root INBOX=in B/A/new=y B/A/new/b=x B/A/new/b/c=x INBOX/sub=in Old=old Old/Mail=old")
	must(w.store.Remove(bg, w.owners[1]))
	delete(w.owners, 1)
	w.account(1)
	want("")
}

func TestACLsAreBounded(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	setACL(t, a, "inbox", "x")
	err := a.ChangeACL(bg, "INBOX", func(l ACL) (ACL, error) {
		for i := range 2000 {
			l = append(l, ACLEntry{fmt.Sprintf("name%d", i), 1})
		}
		return l, nil
	})
	wantKind(t, err, fault.TooMany)
	for _, name := range []string{"No", "~x/y", "a//b"} {
		_, err = a.ACL(bg, name)
		wantKind(t, err, fault.NoMailbox)
		wantKind(t, a.ChangeACL(bg, name, func(l ACL) (ACL, error) { return l, nil }), fault.NoMailbox)
	}
	_, err = w.store.Account(Owner{ID: 99}).ACL(bg, "")
	wantKind(t, err, fault.NotFound)
	if got := acls(t, a); got != "INBOX=x" {
		t.Error(got)
	}
}

func FuzzUnmarshalACL(f *testing.F) {
	f.Add(ACL{{"anyone", 511}, {"-#group@d.com", 3}}.marshal())
	f.Add("\x05ab")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := unmarshalACL(s)
		if err != nil {
			return
		}
		if again, err := unmarshalACL(l.marshal()); err != nil || len(again) != len(l) {
			t.Errorf("%q: %v, %v, %v", s, l, again, err)
		}
	})
}

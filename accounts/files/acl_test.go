package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

func grant(t testing.TB, a *Area, dir, who, rights string) {
	t.Helper()
	must(t, a.ChangeACL(dir, func(acl mailbox.ACL) (mailbox.ACL, error) { return access.Change(acl, who, rights) }))
}

func aclOf(t testing.TB, a *Area, dir string) string {
	t.Helper()
	acl, err := a.ACL(dir)
	if fault.Is(err, fault.NotFound) {
		return "none"
	}
	must(t, err)
	var list []string
	for _, e := range acl {
		list = append(list, e.Identifier+"="+access.Rights(e.Rights).String())
	}
	return strings.Join(list, " ")
}

// An ACL goes where its directory goes, and goes with it; a copy has none, and neither has a new directory where one was.
func TestACLsFollowDirectories(t *testing.T) {
	s := newSite(t, "{}")
	a := s.open()
	for _, dir := range []string{"a", "a/b", "a/b/c", "d"} {
		must(t, a.MakeDir(dir, nil))
	}
	want := func(dir, acl string) {
		t.Helper()
		if got := aclOf(t, s.open(), dir); got != acl {
			t.Errorf("%s: %q, want %q", dir, got, acl)
		}
	}
	want("a", "")
	want("x", "none")
	grant(t, a, "a/b", "bob", "lrw")
	grant(t, a, "a/b", "-anyone", "r")
	grant(t, a, "a/b/c", "joe", "l")
	grant(t, a, "d", "eve", "lrwda")
	want("a/b", "-anyone=r bob=lrw")
	if dir, err := a.Inherited("a/b/c"); err != nil || dir != "a/b/c" {
		t.Error(dir, err)
	}
	if dir, err := a.Inherited("a"); err != nil || dir != "a" {
		t.Error(dir, err)
	}
	_, err := a.Move("a/b", "e", nil)
	must(t, err)
	want("a/b", "none")
	want("e", "-anyone=r bob=lrw")
	want("e/c", "joe=l")
	must(t, a.MakeDir("a/b", nil))
	want("a/b", "")
	_, err = a.Copy(t.Context(), "e", "f", false, nil)
	must(t, err)
	want("f", "")
	want("f/c", "")
	_, err = a.Move("e", "d", nil) // in place of another
	must(t, err)
	want("d", "-anyone=r bob=lrw")
	want("d/c", "joe=l")
	_, err = a.Copy(t.Context(), "f", "d", false, nil)
	must(t, err)
	want("d", "")
	grant(t, a, "d", "bob", "l")
	must(t, a.Remove("d", nil))
	must(t, a.MakeDir("d", nil))
	want("d", "")
	grant(t, a, "", "bob", "l")
	want("", "bob=l")

	// A crash after a directory was taken away leaves its ACL, which the next directory there does not get.
	grant(t, a, "d", "bob", "lrwd")
	must(t, os.Remove(filepath.Join(a.dir, treeDir, "d")))
	must(t, a.MakeDir("d", nil))
	want("d", "")

	for _, c := range []struct {
		dir, rights string
		kind        fault.Kind
	}{{"none", "l", fault.NotFound}, {"a", "i", fault.Invalid}, {"a", "z", fault.Invalid}} {
		err := a.ChangeACL(c.dir, func(acl mailbox.ACL) (mailbox.ACL, error) { return access.Change(acl, "bob", c.rights) })
		if !fault.Is(err, c.kind) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	err = a.ChangeACL("a", func(acl mailbox.ACL) (mailbox.ACL, error) {
		for i := range 500 {
			acl = append(acl, mailbox.ACLEntry{Identifier: fmt.Sprint("someone", i), Rights: 1})
		}
		return acl, nil
	})
	if !fault.Is(err, fault.TooMany) {
		t.Error(err)
	}
	want("a", "")
	must(t, os.WriteFile(filepath.Join(a.dir, aclFile), []byte("{"), 0o600))
	if _, err := a.OpenRights("a"); !fault.Is(err, fault.Corrupt) {
		t.Errorf("of a damaged file: %v", err)
	}
}

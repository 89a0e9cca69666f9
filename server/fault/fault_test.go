package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestKindOf(t *testing.T) {
	inner := New("a.B", NotFound, "unknown user account")
	for _, c := range []struct {
		name string
		err  error
		want Kind
	}{
		{"nil cause stays internal", errors.New("x"), Internal},
		{"own kind", inner, NotFound},
		{"wrapped by fmt", fmt.Errorf("open: %w", inner), NotFound},
		{"Wrap with Internal keeps the inner kind", Wrap("c.D", Internal, inner), NotFound},
		{"Wrap with a kind replaces it", Wrap("c.D", Denied, inner), Denied},
		{"full disk", &os.PathError{Op: "write", Err: syscall.ENOSPC}, NoSpace},
		{"canceled", context.Canceled, Canceled},
	} {
		if got := KindOf(c.err); got != c.want {
			t.Errorf("%s: KindOf = %v, want %v", c.name, got, c.want)
		}
	}
	if Wrap("x", Denied, nil) != nil {
		t.Error("Wrap of nil is not nil")
	}
}

func TestTextHidesCauses(t *testing.T) {
	err := Wrap("accounts.Open", Internal, fmt.Errorf("open /secret/path: %w", New("x", NoMailbox, "")))
	if got := Text(err); got != "no such mailbox" {
		t.Errorf("Text = %q", got)
	}
	err = Wrap("accounts.Open", Internal, New("x", NoMailbox, "no mailbox Trash"))
	if got := Text(err); got != "no mailbox Trash" {
		t.Errorf("Text = %q", got)
	}
}

func TestExplainLeavesOperationsOut(t *testing.T) {
	bad := New("accounts.Open", Invalid, `"a b" is not a domain name`)
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{bad, `"a b" is not a domain name`},
		{Wrap("accounts.Open", Internal, fmt.Errorf("Main.settings: %w", Wrap("x.Y", Invalid, bad))), `Main.settings: "a b" is not a domain name`},
		{Wrap("a.B", Internal, New("c.D", NoSpace, "")), "no space"},
		{&Error{Op: "a.B", Kind: Corrupt, Text: "the table is damaged", Err: &os.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}},
			"the table is damaged: open /x: permission denied"},
		{errors.Join(bad, Wrap("server.Close", Internal, errors.New("disk"))), "\"a b\" is not a domain name\ndisk"},
		{fmt.Errorf("%w, and %w", bad, New("c.D", Busy, "")), `"a b" is not a domain name, and busy`},
		{fmt.Errorf("nothing inside: %w", nil), "nothing inside: %!w(<nil>)"},
	} {
		if got := Explain(c.err); got != c.want {
			t.Errorf("%v: %q, not %q", c.err, got, c.want)
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	for _, k := range Kinds() {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
}

package accounts

import (
	"context"
	"testing"

	"gatepost/server/fault"
)

// system is a machine with one user.
type system struct {
	asked []string
	down  bool
}

func (s *system) Verify(_ context.Context, user, password string) error {
	s.asked = append(s.asked, user)
	if s.down {
		return fault.New("test", fault.Unavailable, "no way to ask")
	}
	if user != "ann" || password != "unix" {
		return fault.New("test", fault.BadCredentials, "")
	}
	return nil
}

// With UseSysPassword the password of the operating system's user counts, which OSUserName names.
func TestSystemPasswords(t *testing.T) {
	s, m := newStore(t), &system{}
	s.system = m
	must(t, s.CreateAccount(ctx, "", "ann", dict(t, "{Password=here;UseSysPassword=YES;FailedLoginFlow=(3,60);}")))
	must(t, s.CreateAccount(ctx, "", "mapped", dict(t, "{UseSysPassword=YES;OSUserName=ann;UseAppPassword=NO;}")))
	must(t, s.CreateAccount(ctx, "", "x", dict(t, `{UseSysPassword=YES;OSUserName="mail-*";}`)))
	must(t, s.CreateAccount(ctx, "", "ben", dict(t, "{Password=here;OSUserName=ann;}")))
	for _, c := range []struct {
		name, password string
		kind           fault.Kind
		asked          string
	}{
		{"ann", "here", 0, ""}, {"ann", "unix", 0, "ann"}, {"ann", "wrong", fault.BadCredentials, "ann"}, {"ann", "", fault.BadCredentials, ""}, {"mapped", "unix", 0, "ann"},
		{"x", "unix", fault.BadCredentials, "mail-x"}, {"ben", "unix", fault.BadCredentials, ""},
	} {
		m.asked = nil
		_, err := s.logins.CheckPassword(ctx, stranger, "", c.name, c.password)
		if c.kind == 0 && err != nil || c.kind != 0 && !fault.Is(err, c.kind) {
			t.Errorf("%s %s: %v", c.name, c.password, err)
		}
		if len(m.asked) > 1 || len(m.asked) == 0 != (c.asked == "") || len(m.asked) == 1 && m.asked[0] != c.asked {
			t.Errorf("%s %s: asked %v", c.name, c.password, m.asked)
		}
	}
	// What is asked for one is not remembered for the other, and an account that is asked about outside keeps its sessions and devices.
	a, err := s.logins.CheckPassword(ctx, stranger, "", "mapped", "unix")
	must(t, err)
	w := newSessions(s).Watch(a, stranger, func(reason string) { t.Errorf("ended: %s", reason) })
	w.Check()
	w.Stop()
	secret, err := s.CreateDevicePassword(ctx, "", "mapped", "phone", nil)
	must(t, err)
	_, err = s.logins.CheckPassword(ctx, stranger, "", "mapped", secret)
	must(t, err)
	// A machine that cannot tell blocks nobody.
	m.down = true
	ann, err := s.Account(ctx, "", "ann")
	must(t, err)
	s.logins.forget(ann.ID)
	for range 5 {
		_, err := s.logins.CheckPassword(ctx, from("192.0.2.77"), "", "ann", "unix")
		wantKind(t, err, fault.Unavailable)
	}
	err = s.logins.VerifyPassword(ctx, "", "ann", "unix")
	if !fault.Is(err, fault.Unavailable) || fault.Text(err) != "nobody can tell: no way to ask" {
		t.Errorf("for an administrator: %v", err)
	}
	m.down = false
	_, err = s.logins.CheckPassword(ctx, stranger, "", "ann", "unix")
	must(t, err)
}

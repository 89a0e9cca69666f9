package accounts

import (
	"context"
	"sync"
	"testing"

	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// outside is an External that knows one password, and makes accounts of names that begin with new.
type outside struct {
	store  *Store
	mu     sync.Mutex
	down   bool
	asked  []string
	verify func(name string) // called while it is asked
}

func (o *outside) note(what string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, what)
	if o.down {
		return fault.New("test", fault.Unavailable, "LDAP is down")
	}
	return nil
}

func (o *outside) Verify(_ context.Context, service, name, domain, password string) error {
	if err := o.note("VRFY " + service + " " + name + "@" + domain); err != nil {
		return err
	}
	if o.verify != nil {
		o.verify(name)
	}
	if password != "outer" {
		return fault.New("test", fault.BadCredentials, "")
	}
	return nil
}

func (o *outside) Provision(ctx context.Context, name, domain string) error {
	if err := o.note("NEW " + name + "@" + domain); err != nil {
		return err
	}
	if len(name) < 3 || name[:3] != "new" {
		return fault.New("test", fault.NotFound, "")
	}
	err := o.store.CreateAccount(ctx, domain, name, dataformat.Dict{"UseExtPassword": dataformat.String("YES"), "UseAppPassword": dataformat.String("NO")})
	if fault.Is(err, fault.Exists) {
		return nil
	}
	return err
}

func (o *outside) SetPassword(_ context.Context, name, domain, password string) error {
	if err := o.note("PASSWD " + name + "@" + domain + " " + password); err != nil {
		return err
	}
	if password == "weak" {
		return fault.New("test", fault.Denied, "")
	}
	return nil
}

func outsideStore(t *testing.T) (*Store, *outside) {
	t.Helper()
	s := newStore(t)
	o := &outside{store: s}
	s.external = o
	return s, o
}

// A password that External Authentication knows is accepted if the account says so.
func TestExternalPassword(t *testing.T) {
	s, o := outsideStore(t)
	must(t, s.CreateAccount(ctx, "", "both", dict(t, "{Password=inner;UseExtPassword=YES;}")))
	must(t, s.CreateAccount(ctx, "", "outer", dict(t, "{UseExtPassword=YES;UseAppPassword=NO;}")))
	must(t, s.CreateAccount(ctx, "", "inner", dict(t, "{Password=inner;}")))
	must(t, s.CreateAccount(ctx, "", "apop", dict(t, "{UseExtPassword=YES;RequireAPOP=YES;}")))
	must(t, s.CreateAccount(ctx, "", "barred", dict(t, "{UseExtPassword=YES;AccessModes=(Mail);}")))
	plain := stranger
	plain.TLS = false
	for _, c := range []struct {
		peer           Peer
		name, password string
		kind           fault.Kind
		asked          int
	}{
		{stranger, "both", "inner", 0, 0}, {stranger, "both", "outer", 0, 1}, {stranger, "both", "wrong", fault.BadCredentials, 1},
		{stranger, "outer", "outer", 0, 1}, {stranger, "outer", "inner", fault.BadCredentials, 1}, {stranger, "inner", "outer", fault.BadCredentials, 0},
		{stranger, "apop", "outer", 0, 1}, {plain, "apop", "outer", fault.BadCredentials, 0}, {stranger, "barred", "outer", fault.BadCredentials, 0},
		{stranger, "nobody", "outer", fault.BadCredentials, 0},
	} {
		o.asked = nil
		a, err := s.logins.CheckPassword(ctx, c.peer, "", c.name, c.password)
		if (err == nil) != (c.kind == 0) || err != nil && !fault.Is(err, c.kind) || err == nil && a.Name != c.name || len(o.asked) != c.asked {
			t.Errorf("%s %s: %v, asked %v", c.name, c.password, err, o.asked)
		}
	}
	// When nobody can tell, that is no failed login.
	o.down = true
	for range 12 { // more than FailedLoginFlow
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "outer", "outer"); !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	o.down = false
	if _, err := s.logins.CheckPassword(ctx, stranger, "", "outer", "outer"); err != nil {
		t.Errorf("after it was down: %v", err)
	}
	if err := s.logins.VerifyPassword(ctx, "", "outer", "outer"); err != nil {
		t.Error(err)
	}
	// What is changed while it is asked holds for the login.
	o.verify = func(name string) { must(t, s.SetPassword(ctx, "", name, "stored", false)) }
	a, err := s.logins.CheckPassword(ctx, stranger, "", "both", "outer")
	if err != nil || a.settings.Password == "" {
		t.Errorf("%v", err)
	}
	if _, err := s.logins.CheckPassword(ctx, stranger, "", "both", "stored"); err != nil {
		t.Errorf("the password that was stored meanwhile: %v", err)
	}
}

// A name that nobody has is asked about if the domain says so, and may have an account then.
func TestExternalOnUnknown(t *testing.T) {
	s, o := outsideStore(t)
	look := func(name string, want names.ObjectKind, asked int) {
		t.Helper()
		o.asked = nil
		got, err := s.Object(ctx, s.MainDomain(), name)
		if err != nil || got.Kind != want || len(o.asked) != asked {
			t.Errorf("%s: %v, %v, asked %v", name, got, err, o.asked)
		}
	}
	look("new1", names.None, 0)
	must(t, s.DomainSettings("").Update(ctx, dict(t, "{ExternalOnUnknown=YES;}")))
	look("new1", names.Account, 1)
	look("new1", names.Account, 0)
	look("nobody", names.None, 1)
	look("postmaster", names.Account, 0)
	look("../x", names.None, 0)
	o.down = true
	if _, err := s.Object(ctx, s.MainDomain(), "new2"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("down: %v", err)
	}
	o.down = false
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := s.Object(ctx, s.MainDomain(), "new3"); err != nil || got.Kind != names.Account {
				t.Errorf("at the same time: %v, %v", got, err)
			}
		})
	}
	all.Wait()
}

func TestExternalPasswordIsChanged(t *testing.T) {
	s, o := outsideStore(t)
	must(t, s.CreateAccount(ctx, "", "both", dict(t, "{Password=inner;UseExtPassword=YES;}")))
	must(t, s.CreateAccount(ctx, "", "outer", dict(t, "{UseExtPassword=YES;UseAppPassword=NO;}")))
	must(t, s.SetPassword(ctx, "", "both", "next", true))
	if err := s.logins.VerifyPassword(ctx, "", "both", "next"); err != nil || len(o.asked) != 1 {
		t.Errorf("%v, asked %v", err, o.asked)
	}
	must(t, s.SetPassword(ctx, "", "outer", "next", true))
	if a, err := s.Account(ctx, "", "outer"); err != nil || a.settings.Password != "" {
		t.Errorf("a password is stored that is not used: %v", err)
	}
	wantKind(t, s.SetPassword(ctx, "", "both", "weak", true), fault.Denied)
	o.down = true
	wantKind(t, s.SetPassword(ctx, "", "both", "more", true), fault.Unavailable)
	if err := s.logins.VerifyPassword(ctx, "", "both", "next"); err != nil {
		t.Errorf("the old password after a failure: %v", err)
	}
	must(t, s.SetPassword(ctx, "", "both", "admin", false)) // of the administrator: here alone
}

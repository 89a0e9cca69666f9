package access

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// site has the domains company.com (main) and branch.example with accounts named after their rights.
type site struct {
	t        *testing.T
	accounts *accounts.Store
	resolver *Resolver
}

func newSite(t *testing.T) *site {
	t.Helper()
	var ids atomic.Uint64
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "company.com", Shards: 1, Log: log, NextID: func() (uint64, error) { return ids.Add(1), nil },
	})
	s := &site{t: t, accounts: store}
	s.must(err)
	t.Cleanup(func() { s.must(store.Close()) })
	ctx := t.Context()
	s.must(store.CreateDomain(ctx, "branch.example", nil))
	for _, name := range []string{"user", "other", "users", "settings"} {
		s.must(store.CreateAccount(ctx, "company.com", name, nil))
	}
	for _, name := range []string{"user", "admin", "reader", "chief"} {
		s.must(store.CreateAccount(ctx, "branch.example", name, nil))
	}
	s.must(store.SetAccountAliases(ctx, "company.com", "other", []string{"alias"}))
	s.must(store.SetAccountRights(ctx, "company.com", "users", []string{accounts.RightUsers}))
	s.must(store.SetAccountRights(ctx, "company.com", "settings", []string{accounts.RightSettings}))
	s.must(store.SetAccountRights(ctx, "branch.example", "admin", []string{accounts.RightDomain, "BasicSettings"}))
	s.must(store.SetAccountRights(ctx, "branch.example", "reader", []string{accounts.RightDomain, accounts.RightMailboxes}))
	s.must(store.SetAccountRights(ctx, "branch.example", "chief", []string{accounts.RightDomain, accounts.RightMailboxes, "BasicSettings"}))
	var rs router.Settings
	s.must(settings.Load(&rs, dataformat.Dict{"RouterTable": dataformat.String("<robot> = user@company.com\nold.example = branch.example\n<box> = box#user@company.com\n")}))
	routes, err := router.New(settings.NewLive(&rs), store, log)
	s.must(err)
	s.resolver = New(store, routes)
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) account(address ...string) *accounts.Account {
	s.t.Helper()
	a, err := s.accounts.Account(s.t.Context(), address[1], address[0])
	s.must(err)
	return a
}

func TestNamesLeadToMailboxes(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ user, name, owner, box, prefix string }{
		{"company.com", "Box", "user@company.com", "Box", ""},
		{"company.com", "a/b", "user@company.com", "a/b", ""},
		{"company.com", "~/Box", "user@company.com", "Box", "~/"},
		{"company.com", "~user/Box", "user@company.com", "Box", "~user/"},
		{"company.com", "~other/a/b", "other@company.com", "a/b", "~other/"},
		{"company.com", "~OTHER/", "other@company.com", "", "~OTHER/"},
		{"company.com", "~alias/Box", "other@company.com", "Box", "~alias/"},
		{"company.com", "~robot/Box", "user@company.com", "Box", "~robot/"},
		{"company.com", "~admin@branch.example/Box", "admin@branch.example", "Box", "~admin@branch.example/"},
		{"company.com", "~admin@old.example/Box", "admin@branch.example", "Box", "~admin@old.example/"},
		{"branch.example", "~user/Box", "user@branch.example", "Box", "~user/"},
		{"branch.example", "~user@company.com/Box", "user@company.com", "Box", "~user@company.com/"},
		{"branch.example", "~other/Box", "", "", ""}, // of another domain
		{"company.com", "~nobody/Box", "", "", ""},
		{"company.com", "~box/Box", "", "", ""},
		{"company.com", "~box#user/Box", "", "", ""},
		{"company.com", "~other", "", "", ""},
		{"company.com", "~", "", "", ""},
		{"company.com", "~@/Box", "", "", ""},
		{"company.com", "~other@/Box", "", "", ""},
		{"company.com", "~x y/Box", "", "", ""},
		{"company.com", "~user@elsewhere.example/Box", "", "", ""},
		{"company.com", "~all@branch.example/Box", "", "", ""},
		{"company.com", "~../Box", "", "", ""},
	} {
		m, err := s.resolver.Mailbox(t.Context(), s.account("user", c.user), c.name)
		if c.owner == "" {
			if !fault.Is(err, fault.NoMailbox) {
				t.Errorf("%s: %+v, %v", c.name, m, err)
			}
			continue
		}
		if err != nil || m.Account.Address() != c.owner || m.Name != c.box || m.Prefix != c.prefix || m.Shown(m.Name) != c.name {
			t.Errorf("%s of user@%s: %+v, %v", c.name, c.user, m, err)
		}
		if own := c.owner == "user@"+c.user; m.Foreign() == own || m.Rights.Has(All) != own {
			t.Errorf("%s of user@%s: foreign %v, rights %s", c.name, c.user, m.Foreign(), m.Rights)
		}
	}
}

func TestRightsToMailboxes(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		user, domain, name string
		want               Rights
	}{
		{"postmaster", "company.com", "~user/Box", All},
		{"postmaster", "company.com", "~chief@branch.example/Box", All},
		{"users", "company.com", "~user/Box", All},
		{"users", "company.com", "~chief@branch.example/Box", All},
		{"users", "company.com", "~settings/Box", 0}, // has a right that UserAccounts does not include
		{"users", "company.com", "~postmaster/Box", 0},
		{"settings", "company.com", "~user/Box", 0},
		{"admin", "branch.example", "~user/Box", 0}, // without CanAccessMailboxes
		{"reader", "branch.example", "~user/Box", All},
		{"reader", "branch.example", "~user@company.com/Box", 0},
		{"reader", "branch.example", "~admin/Box", 0}, // has BasicSettings, and could reset passwords
		{"chief", "branch.example", "~admin/Box", All},
		{"chief", "branch.example", "~reader/Box", All},
		{"user", "branch.example", "~chief/Box", 0},
	} {
		m, err := s.resolver.Mailbox(t.Context(), s.account(c.user, c.domain), c.name)
		if err != nil || m.Rights != c.want {
			t.Errorf("%s@%s to %s: %q, %v", c.user, c.domain, c.name, m.Rights, err)
		}
	}
}

// Rights are those of the moment, and of the account, not of who has its name later.
func TestRightsFollowChanges(t *testing.T) {
	s := newSite(t)
	ctx := context.Background()
	users := s.account("users", "company.com")
	m, err := s.resolver.Mailbox(ctx, users, "~user/Box")
	s.must(err)
	s.must(s.accounts.SetAccountRights(ctx, "company.com", "users", nil))
	if now, err := m.RightsTo(ctx, m.Name); err != nil || now != 0 {
		t.Errorf("%q, %v", now, err)
	}
	if err := s.accounts.RenameAccount(ctx, "company.com", "users", "company.com", "former"); err != nil {
		t.Fatal(err)
	}
	s.must(s.accounts.CreateAccount(ctx, "company.com", "users", nil))
	s.must(s.accounts.SetAccountRights(ctx, "company.com", "users", []string{accounts.RightMaster}))
	if now, err := m.RightsTo(ctx, m.Name); err == nil && now != 0 {
		t.Errorf("%q by the name of another account", now)
	}
}

func TestRequire(t *testing.T) {
	m := Mailbox{Rights: Lookup | Read}
	for rights, want := range map[Rights]fault.Kind{Read: 0, Lookup | Read: 0, Insert: fault.Denied, Read | Delete: fault.Denied, 0: 0} {
		if err := m.Require(rights); (err == nil) != (want == 0) || err != nil && !fault.Is(err, want) {
			t.Errorf("%q: %v", rights, err)
		}
	}
	m.Rights = Read // and no Lookup: the mailbox is hidden
	if err := m.Require(Insert); !fault.Is(err, fault.NoMailbox) {
		t.Error(err)
	}
}

func TestLettersOfRights(t *testing.T) {
	for rights, want := range map[Rights]string{0: "", All: "lrswipcda", Lookup | Read | Insert: "lri", Delete | Administer: "da"} {
		if got := rights.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

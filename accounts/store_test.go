package accounts

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/transcript"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// baseDir is a base directory with what outlives a restart.
type baseDir struct {
	base string
	ids  atomic.Uint64
	log  transcript.Log
}

// open opens the store of a base directory; the test checks and closes it at its end.
func (p *baseDir) open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(p.base, Options{
		MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return p.ids.Add(1), nil },
		Log: slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.close(t, s) })
	return s
}

// close checks the message store and closes it, once.
func (p *baseDir) close(t testing.TB, s *Store) {
	t.Helper()
	if s.life.Err() != nil {
		return
	}
	s.removals.Wait()
	if err := s.Mail().Check(context.Background(), func(f mailbox.Finding) { t.Errorf("check: %+v", f) }); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func newBase(t testing.TB) *baseDir {
	t.Helper()
	p := &baseDir{base: t.TempDir()}
	p.ids.Store(100_000)
	return p
}

func newStore(t testing.TB) *Store { return newBase(t).open(t) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dict reads a dictionary for a test.
func dict(t testing.TB, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v.(dataformat.Dict)
}

func wantKind(t testing.TB, err error, k fault.Kind) {
	t.Helper()
	if !fault.Is(err, k) {
		t.Errorf("error %v, want kind %v", err, k)
	}
}

// wantDict compares a dictionary with its compact text.
func wantDict(t testing.TB, d dataformat.Dict, err error, want string) {
	t.Helper()
	must(t, err)
	if got := dataformat.Compact(d); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func wantLayer(t testing.TB, l Layer, want string) {
	t.Helper()
	d, err := l.Get(ctx)
	wantDict(t, d, err, want)
}

func wantList(t testing.TB, got []string, err error, want ...string) {
	t.Helper()
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

var ctx = context.Background()

func TestFirstStartMakesMainDomainAndPostmasterWithoutPassword(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	if s.MainDomain() != "company.com" {
		t.Errorf("main domain %s", s.MainDomain())
	}
	a, err := s.Account(ctx, "", "Postmaster")
	must(t, err)
	if a.HasPassword() || a.Address() != "postmaster@company.com" {
		t.Errorf("%s, password %v", a.Address(), a.HasPassword())
	}
	for _, password := range []string{"", "postmaster", "x"} {
		_, err := s.logins.CheckPassword(ctx, Peer{}, "company.com", "postmaster", password)
		wantKind(t, err, fault.BadCredentials)
	}
	rights, err := s.AccountRights(ctx, "", "postmaster")
	wantList(t, rights, err, "Master")
	list, err := a.Mail().List(ctx)
	must(t, err)
	var boxes []string
	uses := a.SpecialUses()
	for _, b := range list {
		boxes = append(boxes, b.Name+fmt.Sprint(uses[b.Name]))
		if !b.Subscribed {
			t.Errorf("%s is not subscribed", b.Name)
		}
	}
	want := []string{"INBOX[]", "Archive[\\Archive]", "Drafts[\\Drafts]", "Junk[\\Junk]", "Sent Items[\\Sent]", "Trash[\\Trash]"}
	if !slices.Equal(boxes, want) {
		t.Errorf("mailboxes %q", boxes)
	}
	p.close(t, s)
	s = p.open(t)
	again, err := s.Account(ctx, "", "postmaster")
	must(t, err)
	if again.ID != a.ID {
		t.Errorf("ID %d, was %d", again.ID, a.ID)
	}
	if s.MainDomain() != "company.com" {
		t.Errorf("main domain %s", s.MainDomain())
	}
}

// The worked example of the settings' inheritance.
func TestInheritance(t *testing.T) {
	s := newStore(t)
	size := func(name string) settings.Size {
		t.Helper()
		a, err := s.Account(ctx, "", name)
		must(t, err)
		return a.Settings().MaxAccountSize
	}
	want := func(name, text string) {
		t.Helper()
		if got := size(name).String(); got != text {
			t.Errorf("%s has %s, want %s", name, got, text)
		}
	}
	must(t, s.CreateAccount(ctx, "", "old", nil))
	want("old", "unlimited")
	must(t, s.ServerAccountDefaults().Update(ctx, dict(t, "{MaxAccountSize=3G;}")))
	want("old", "3G")
	must(t, s.AccountDefaults("").Update(ctx, dict(t, "{MaxAccountSize=10G;}")))
	must(t, s.AccountTemplate("").Update(ctx, dict(t, "{MaxAccountSize=30G;}")))
	must(t, s.AccountSettings("", "postmaster").Update(ctx, dict(t, "{MaxAccountSize=50G;}")))
	must(t, s.CreateAccount(ctx, "", "new", nil))
	want("old", "10G")
	want("new", "30G")
	want("postmaster", "50G")
	must(t, s.AccountTemplate("").Update(ctx, dict(t, "{MaxAccountSize=1G;}")))
	want("new", "30G")
	must(t, s.AccountSettings("", "new").Update(ctx, dict(t, "{MaxAccountSize=default;}")))
	want("new", "10G")
	must(t, s.AccountDefaults("").Update(ctx, dict(t, "{MaxAccountSize=default;}")))
	want("new", "3G")

	a, err := s.Account(ctx, "", "new")
	must(t, err)
	if v := a.Setting("MaxAccountSize"); v != dataformat.String("3G") {
		t.Errorf("Setting = %v", v)
	}
	if v := a.Setting("QuotaAlert"); v != dataformat.String("80") {
		t.Errorf("built-in = %v", v)
	}
	if v := a.Setting("NoSuch"); v != nil {
		t.Errorf("unknown = %v", v)
	}
}

// As other servers print them.
func TestBuiltInFlowLimits(t *testing.T) {
	s := newStore(t)
	all, err := s.AccountEffectiveSettings(ctx, "", "postmaster")
	must(t, err)
	for key, want := range map[string]string{"MailInpFlow": `("-1",15)`, "MailOutFlow": `("-1",30)`, "FailedLoginFlow": "(10,1m)"} {
		if got := dataformat.Compact(all[key]); got != want {
			t.Errorf("%s=%s, not %s", key, got, want)
		}
	}
}

func TestClassOfService(t *testing.T) {
	s := newStore(t)
	must(t, s.ServerAccountDefaults().Update(ctx, dict(t, `{MaxAccountSize=1G;MaxMailboxes=5;ServiceClasses={
		mailonly={AccessModes=(26,Mail,POP,IMAP);MaxAccountSize=2G;MaxMessageSize=7M;};};}`)))
	must(t, s.AccountDefaults("").Update(ctx, dict(t, `{MaxAccountSize=3G;ServiceClasses={mailonly={MaxMessageSize=9M;};};}`)))
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{ServiceClass=mailonly;}")))
	must(t, s.CreateAccount(ctx, "", "v", dict(t, "{ServiceClass=mailonly;MaxAccountSize=4G;AccessModes=All;}")))
	u, err := s.Account(ctx, "", "u")
	must(t, err)
	e := u.Settings()
	if e.MaxAccountSize.String() != "2G" || e.MaxMessageSize.String() != "9M" || e.MaxMailboxes != 5 {
		t.Errorf("u: %v %v %d", e.MaxAccountSize, e.MaxMessageSize, e.MaxMailboxes)
	}
	if !u.Enabled("IMAP") || u.Enabled("PWD") || u.Enabled("pwd") {
		t.Error("u: services of the class")
	}
	v, err := s.Account(ctx, "", "v")
	must(t, err)
	if v.Settings().MaxAccountSize.String() != "4G" || !v.Enabled("PWD") {
		t.Error("v: explicit values do not win over the class")
	}
	all, err := s.AccountEffectiveSettings(ctx, "", "u")
	must(t, err)
	if all.String("MaxMailboxes") != "5" || all.String("MaxAccountSize") != "2G" || all["ServiceClasses"] != nil {
		t.Errorf("effective: %v", all)
	}
}

func TestServicesHaveToBeOnInDomainAndAccount(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", dict(t, "{DomainAccessModes=(Mail,IMAP);}")))
	must(t, s.CreateAccount(ctx, "d.com", "u", dict(t, "{AccessModes=(27,IMAP,POP);}")))
	a, err := s.Account(ctx, "d.com", "u")
	must(t, err)
	for service, want := range map[string]bool{"IMAP": true, "imap": true, "POP": false, "Mail": false, "PWD": false, "SMTP": true} {
		if a.Enabled(service) != want {
			t.Errorf("Enabled(%s) = %v", service, !want)
		}
	}
	must(t, s.SuspendDomain(ctx, "d.com", true))
	if a, err = s.Account(ctx, "d.com", "u"); err != nil || a.Enabled("IMAP") {
		t.Errorf("suspended: %v", err)
	}
	d, err := s.DomainSettings("d.com").Get(ctx)
	wantDict(t, d, err, "{DomainAccessModes=(Mail,IMAP);}")
	must(t, s.DomainSettings("d.com").Set(ctx, nil))
	must(t, s.SuspendDomain(ctx, "d.com", false))
	if a, err = s.Account(ctx, "d.com", "u"); err != nil || !a.Enabled("POP") {
		t.Errorf("resumed: %v", err)
	}
}

func TestSettingsMergeAndReplace(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, `{RealName="Петр Петров";city=Omsk;}`)))
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, `{MaxAccountSize=40M;city=default;}`)))
	d, err := s.AccountSettings("", "u").Get(ctx)
	wantDict(t, d, err, `{MaxAccountSize=40M;RealName="Петр Петров";}`)
	must(t, s.AccountPrefs("", "u").Update(ctx, dict(t, `{SentBox=Sent;}`)))
	must(t, s.AccountSettings("", "u").Set(ctx, dict(t, `{MaxMailboxes=#5;"#AccountID"=(1,x);}`)))
	d, err = s.AccountSettings("", "u").Get(ctx)
	wantDict(t, d, err, `{MaxMailboxes=#5;}`)
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	if a.Settings().MaxMailboxes != 5 || a.ID < 100_000 {
		t.Errorf("%d, ID %d", a.Settings().MaxMailboxes, a.ID)
	}
	prefs, err := s.AccountEffectivePrefs(ctx, "", "u")
	must(t, err)
	if prefs.String("SentBox") != "Sent" || prefs.String("TrashBox") != "Trash" {
		t.Errorf("prefs %v", prefs)
	}
	err = s.AccountSettings("", "u").Update(ctx, dict(t, `{MaxAccountSize=lots;}`))
	wantKind(t, err, fault.Invalid)
	if !strings.Contains(fault.Text(err), `MaxAccountSize: "lots" is not a size`) {
		t.Errorf("text %q", fault.Text(err))
	}
	wantKind(t, s.AccountSettings("", "nobody").Update(ctx, nil), fault.NotFound)
	wantKind(t, s.AccountSettings("nowhere.com", "u").Update(ctx, nil), fault.NoDomain)
	wantKind(t, s.AccountDefaults("").Update(ctx, dict(t, `{Password=x;}`)), fault.Invalid)
}

// Scripts read account.settings line by line and look for " Key = value;".
func TestAccountSettingsHaveOneLinePerKey(t *testing.T) {
	s := newStore(t)
	must(t, s.ServerAccountDefaults().Update(ctx, dict(t, "{PasswordEncryption=clear;}")))
	must(t, s.CreateAccount(ctx, "", "u", dict(t, `{Password=pw123;RealName="A B";AccessModes=(Mail,POP);}`)))
	text, err := os.ReadFile(filepath.Join(s.base, "Accounts", "u.macnt", "account.settings"))
	must(t, err)
	for _, line := range []string{"\n Password = pw123;\n", "\n RealName = \"A B\";\n", "\n AccessModes = (Mail,POP);\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	i, err := os.Stat(filepath.Join(s.base, "Accounts", "u.macnt", "account.settings"))
	must(t, err)
	if i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", i.Mode())
	}
}

func TestNamesAreUniqueInADomain(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "Anna", nil))
	must(t, s.SetAccountAliases(ctx, "", "anna", []string{"a1", "A2"}))
	must(t, s.Forwarders().Create(ctx, "", "fwd", "x@example.net"))
	for _, name := range []string{"anna", "ANNA", "a1", "a2", "fwd"} {
		wantKind(t, s.CreateAccount(ctx, "", name, nil), fault.Exists)
		wantKind(t, s.Forwarders().Create(ctx, "", name, "x@y.z"), fault.Exists)
		wantKind(t, s.RenameAccount(ctx, "", "postmaster", "", name), fault.Exists)
		wantKind(t, s.SetAccountAliases(ctx, "", "postmaster", []string{name}), fault.Exists)
	}
	if text := fault.Text(s.CreateAccount(ctx, "", "anna", nil)); text != "account with this name already exists" {
		t.Errorf("text %q", text)
	}
	for _, name := range []string{"", ".", "..", ".a", "a.", "a/b", "a b", "../x", "a@b", strings.Repeat("x", 129), "a\x00"} {
		wantKind(t, s.CreateAccount(ctx, "", name, nil), fault.Invalid)
		if _, err := s.Account(ctx, "", name); !fault.Is(err, fault.NotFound) {
			t.Errorf("Account(%q): %v", name, err)
		}
	}
	list, err := s.AccountAliases(ctx, "", "anna")
	wantList(t, list, err, "a1", "a2")
	must(t, s.SetAccountAliases(ctx, "", "anna", []string{"a2", "a3"}))
	list, err = s.AccountAliases(ctx, "", "anna")
	wantList(t, list, err, "a2", "a3")
	must(t, s.CreateAccount(ctx, "", "a1", nil))
	a, err := s.Resolve(ctx, "", "A3")
	must(t, err)
	if a.Name != "anna" {
		t.Errorf("alias leads to %s", a.Name)
	}
}

func TestNamesOfTheRouterAreRefused(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "anna", nil))
	for _, name := range []string{"null", "Error", "spamtrap", "blacklisted", "all"} {
		wantKind(t, s.CreateAccount(ctx, "", name, nil), fault.Invalid)
		wantKind(t, s.Forwarders().Create(ctx, "", name, "x@y.z"), fault.Invalid)
		wantKind(t, s.RenameAccount(ctx, "", "anna", "", name), fault.Invalid)
		wantKind(t, s.SetAccountAliases(ctx, "", "anna", []string{name}), fault.Invalid)
	}
	must(t, s.CreateDomain(ctx, "other.com", nil))
	must(t, s.CreateAccount(ctx, "other.com", "error", nil))
	wantKind(t, s.CreateAccount(ctx, "other.com", "all", nil), fault.Invalid)
	for _, name := range []string{"localhost", "NULL", "telnum", "pipe"} {
		wantKind(t, s.CreateDomain(ctx, name, nil), fault.Invalid)
		wantKind(t, s.SetDomainAliases(ctx, "company.com", []string{name}), fault.Invalid)
	}
}

func TestRenameKeepsMailAliasesAndRights(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "", "anna", dict(t, "{RealName=Anna;}")))
	must(t, s.SetAccountAliases(ctx, "", "anna", []string{"a1"}))
	must(t, s.SetAccountRights(ctx, "", "anna", []string{"Domain", "BasicSettings"}))
	before, err := s.Account(ctx, "", "anna")
	must(t, err)
	put(t, before, "hello")

	must(t, s.RenameAccount(ctx, "", "anna", "", "Berta"))
	_, err = s.Account(ctx, "", "anna")
	wantKind(t, err, fault.NotFound)
	after, err := s.Account(ctx, "", "berta")
	must(t, err)
	if after.ID != before.ID || messages(t, after) != 1 {
		t.Errorf("ID %d, was %d; %d messages", after.ID, before.ID, messages(t, after))
	}
	list, err := s.AccountAliases(ctx, "", "berta")
	wantList(t, list, err, "a1")
	list, err = s.AccountRights(ctx, "", "berta")
	wantList(t, list, err, "Domain", "BasicSettings")
	put(t, after, "again")

	must(t, s.RenameAccount(ctx, "", "berta", "d.com", "clara"))
	after, err = s.Account(ctx, "d.com", "clara")
	must(t, err)
	if after.ID != before.ID || messages(t, after) != 2 {
		t.Errorf("ID %d, was %d; %d messages", after.ID, before.ID, messages(t, after))
	}
	list, err = s.AccountAliases(ctx, "d.com", "clara")
	wantList(t, list, err, "a1")
	list, err = s.AccountRights(ctx, "d.com", "clara")
	wantList(t, list, err)
	must(t, s.CreateAccount(ctx, "", "anna", nil))
	list, err = s.AccountRights(ctx, "", "anna")
	wantList(t, list, err)
	wantKind(t, s.RenameAccount(ctx, "", "nobody", "", "x"), fault.NotFound)
	wantKind(t, s.RenameAccount(ctx, "", "anna", "nowhere.com", "x"), fault.NoDomain)
}

func TestDeletedAccountLeavesNothing(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "anna", dict(t, "{Password=x;}")))
	must(t, s.SetAccountAliases(ctx, "", "anna", []string{"a1"}))
	must(t, s.SetAccountRights(ctx, "", "anna", []string{"Settings"}))
	a, err := s.Account(ctx, "", "anna")
	must(t, err)
	put(t, a, "hello")
	_, err = s.logins.CheckPassword(ctx, Peer{}, "", "anna", "x")
	must(t, err)
	must(t, s.DeleteAccount(ctx, "", "ANNA"))
	_, err = s.logins.CheckPassword(ctx, Peer{}, "", "anna", "x")
	wantKind(t, err, fault.BadCredentials)
	wantKind(t, s.DeleteAccount(ctx, "", "anna"), fault.NotFound)

	must(t, s.CreateAccount(ctx, "", "anna", nil))
	again, err := s.Account(ctx, "", "anna")
	must(t, err)
	if again.ID == a.ID || messages(t, again) != 0 {
		t.Errorf("ID %d, was %d; %d messages", again.ID, a.ID, messages(t, again))
	}
	list, err := s.AccountRights(ctx, "", "anna")
	wantList(t, list, err)
	list, err = s.AccountAliases(ctx, "", "anna")
	wantList(t, list, err)
	must(t, s.CreateAccount(ctx, "", "a1", nil))
}

func TestDomains(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "Client1.COM", dict(t, "{AccountsLimit=2;}")))
	wantKind(t, s.CreateDomain(ctx, "client1.com", nil), fault.Exists)
	wantKind(t, s.CreateDomain(ctx, "company.com", nil), fault.Exists)
	for _, name := range []string{"", "..", "a/b", "../x", ".hidden", "[10.0.0.1]", "a..b"} {
		wantKind(t, s.CreateDomain(ctx, name, nil), fault.Invalid)
	}
	must(t, s.SetDomainAliases(ctx, "client1.com", []string{"mail.client1.com", "old.com"}))
	wantKind(t, s.CreateDomain(ctx, "old.com", nil), fault.Exists)
	wantKind(t, s.SetDomainAliases(ctx, "company.com", []string{"old.com"}), fault.Exists)
	wantKind(t, s.SetDomainAliases(ctx, "company.com", []string{"client1.com"}), fault.Exists)
	must(t, s.SetDomainAliases(ctx, "", []string{"mail.company.com"}))
	for name, want := range map[string]string{
		"mail.client1.com": "client1.com", "OLD.com": "client1.com", "client1.com.": "client1.com",
		"mail.company.com": "company.com", "Company.com": "company.com", "example.net": "", "..": "", "a/b": "",
	} {
		if real, ok := s.DomainName(name); real != want || ok != (want != "") {
			t.Errorf("DomainName(%s) = %s, %v", name, real, ok)
		}
	}
	must(t, s.CreateAccount(ctx, "mail.client1.com", "u1", nil))
	must(t, s.CreateAccount(ctx, "client1.com", "u2", nil))
	wantKind(t, s.CreateAccount(ctx, "client1.com", "u3", nil), fault.TooMany)
	wantKind(t, s.DeleteDomain(ctx, "client1.com", false), fault.NotEmpty)
	wantKind(t, s.DeleteDomain(ctx, "company.com", true), fault.Denied)

	u1, err := s.Account(ctx, "client1.com", "u1")
	must(t, err)
	put(t, u1, "hello")
	must(t, s.RenameDomain(ctx, "client1.com", "client2.com"))
	list, err := s.Domains(ctx)
	wantList(t, list, err, "company.com", "client2.com")
	list, err = s.DomainAliases("client2.com")
	wantList(t, list, err, "mail.client1.com", "old.com")
	again, err := s.Account(ctx, "old.com", "u1")
	must(t, err)
	if again.ID != u1.ID || again.Domain != "client2.com" || messages(t, again) != 1 {
		t.Errorf("%s, ID %d, was %d", again.Address(), again.ID, u1.ID)
	}
	must(t, s.DeleteDomain(ctx, "client2.com", true))
	if _, ok := s.DomainName("old.com"); ok {
		t.Error("an alias of a deleted domain is left")
	}
	_, err = s.Account(ctx, "client2.com", "u1")
	wantKind(t, err, fault.NoDomain)
	must(t, s.CreateDomain(ctx, "old.com", nil))
	must(t, s.DeleteDomain(ctx, "old.com", false))
}

// TestDomainNamesThatAreNone: what the router reads as something else, and what no
// host name may be (RFC 1123 2.1), is not given to a domain. One that has such a
// name from before keeps it.
func TestDomainNamesThatAreNone(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "client.com", nil))
	for _, name := range []string{
		"localhost", "LOCALHOST.", "telnum", "null", "a.b.Domain", "foo._via", "foo.via", "foo.25._via", "foo._smtp", "foo.SMTP",
		"-x.com", "x-.com", "x.-com", "x.com-", "a.-.b",
	} {
		wantKind(t, s.CreateDomain(ctx, name, nil), fault.Invalid)
		wantKind(t, s.RenameDomain(ctx, "client.com", name), fault.Invalid)
		wantKind(t, s.RenameDomain(ctx, "", name), fault.Invalid)
		wantKind(t, s.SetDomainAliases(ctx, "client.com", []string{name}), fault.Invalid)
		wantKind(t, s.SetDomainAliases(ctx, "", []string{name}), fault.Invalid)
		if _, err := CheckDomainName(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("CheckDomainName(%s): %v", name, err)
		}
	}
	for _, name := range []string{"nodot", "local", "via", "corp.local", "a.local.com", "x_y.com", "a--b.com", "1.com"} {
		must(t, s.CreateDomain(ctx, name, nil))
	}
	must(t, s.editDomainAliases(dataformat.Dict{"old.via": dataformat.String("client.com")}))
	must(t, s.SetDomainAliases(ctx, "client.com", []string{"old.via", "new.com"}))
	if name, err := CheckDomainName(" Example.COM. "); name != "example.com" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
}

func TestMainDomainIsRenamed(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.SetDomainAliases(ctx, "", []string{"mail.company.com"}))
	must(t, s.CreateDomain(ctx, "d.com", nil))
	before, err := s.Account(ctx, "", "postmaster")
	must(t, err)
	put(t, before, "hello")
	wantKind(t, s.RenameDomain(ctx, "company.com", "d.com"), fault.Exists)
	must(t, s.RenameDomain(ctx, "company.com", "new.com"))
	for range 2 {
		if real, ok := s.DomainName("mail.company.com"); s.MainDomain() != "new.com" || real != "new.com" || !ok {
			t.Errorf("main domain %s, alias of %s", s.MainDomain(), real)
		}
		if _, ok := s.DomainName("company.com"); ok {
			t.Error("the old name is ours")
		}
		a, err := s.Account(ctx, "", "postmaster")
		must(t, err)
		if a.ID != before.ID || a.Address() != "postmaster@new.com" || messages(t, a) != 1 {
			t.Errorf("%s, ID %d, was %d", a.Address(), a.ID, before.ID)
		}
		rights, err := s.AccountRights(ctx, "new.com", "postmaster")
		wantList(t, rights, err, "Master")
		p.close(t, s)
		s = p.open(t)
	}
}

func TestDomainSettingsInherit(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", dict(t, `{MailToUnknown="Rerouted to";}`)))
	must(t, s.DomainDefaults().Update(ctx, dict(t, `{MailRerouteAddress="*@other.com";AccountsLimit=7;}`)))
	d, err := s.DomainEffectiveSettings("d.com")
	must(t, err)
	if d.String("MailRerouteAddress") != "*@other.com" || d.String("AccountsLimit") != "7" || d.String("ForceSMTPAUTH") != "nobody" {
		t.Errorf("%v", d)
	}
	must(t, s.ServerAccountDefaults().Update(ctx, dict(t, "{MaxMailboxes=3;}")))
	must(t, s.DomainDefaults().Set(ctx, dict(t, `{AccountsLimit=8;}`)))
	wantLayer(t, s.DomainDefaults(), "{AccountsLimit=8;}")
	wantLayer(t, s.ServerAccountDefaults(), "{MaxMailboxes=3;}")
	wantKind(t, s.DomainSettings("d.com").Update(ctx, dict(t, `{MailToUnknown=Maybe;}`)), fault.Invalid)
	wantKind(t, s.DomainSettings("d.com").Update(ctx, dict(t, `{IPAddresses=(x);}`)), fault.Invalid)
	must(t, s.AccountDefaults("d.com").Update(ctx, dict(t, "{MaxMailboxes=4;}")))
	must(t, s.DomainSettings("d.com").Set(ctx, dict(t, "{AccountsLimit=9;}")))
	d, err = s.DomainSettings("d.com").Get(ctx)
	wantDict(t, d, err, "{AccountsLimit=9;}")
	d, err = s.AccountDefaults("d.com").Get(ctx)
	wantDict(t, d, err, "{MaxMailboxes=4;}")
}

func TestEditedFilesHoldAfterReload(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	path := filepath.Join(a.Dir(), accountFile)
	d, err := dataformat.ReadDict(path)
	must(t, err)
	d["MaxAccountSize"] = dataformat.String("7M")
	d["MaxMailboxes"] = dataformat.String("many")
	must(t, dataformat.WriteFile(path, d, dataformat.StyleOld))
	must(t, s.Reload())
	a, err = s.Account(ctx, "", "u")
	must(t, err)
	if a.Settings().MaxAccountSize.String() != "7M" || a.Settings().MaxMailboxes != -1 {
		t.Errorf("%v %d", a.Settings().MaxAccountSize, a.Settings().MaxMailboxes)
	}
	if !strings.Contains(p.log.String(), "key=MaxMailboxes") {
		t.Error("the bad value is not in the log")
	}
	main := filepath.Join(s.base, settingsDirectory, mainFile)
	must(t, os.WriteFile(main, []byte("{DomainName="), 0o600))
	if err := s.Reload(); err == nil {
		t.Error("a damaged Main.settings is accepted")
	}
	if s.MainDomain() != "company.com" {
		t.Error("the old settings are gone")
	}
}

func TestLostNameOfTheMainDomainIsNotMadeUp(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	p.close(t, s)
	main := filepath.Join(p.base, settingsDirectory, mainFile)
	must(t, dataformat.WriteFile(main, dataformat.Dict{}, dataformat.StyleOld))
	_, err := Open(p.base, Options{MainDomain: "other.com", NextID: func() (uint64, error) { return p.ids.Add(1), nil }})
	wantKind(t, err, fault.Corrupt)
	if !strings.Contains(fault.Text(err), "has lost DomainName") {
		t.Errorf("%v", err)
	}
}

func TestDamagedAccountSaysSo(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	path := filepath.Join(s.base, "Accounts", "u.macnt", accountFile)
	good, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte("{a=b"), 0o600))
	must(t, s.Reload())
	_, err = s.Account(ctx, "", "u")
	wantKind(t, err, fault.Corrupt)
	var found []mailbox.Finding
	must(t, s.Mail().Check(ctx, func(f mailbox.Finding) { found = append(found, f) }))
	if len(found) != 1 || found[0].Dir != filepath.Dir(path) || !strings.Contains(found[0].Text, accountFile) {
		t.Errorf("the check finds %v", found)
	}
	must(t, os.WriteFile(path, good, 0o600))
}

func TestDeclarations(t *testing.T) {
	for _, v := range []any{new(AccountSettings), new(DomainSettings)} {
		if err := settings.Check(v); err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
	if reflect.DeepEqual(accountDefaults(), dataformat.Dict{}) || reflect.DeepEqual(domainDefaults(), dataformat.Dict{}) {
		t.Error("no defaults")
	}
}

// appended is a message for INBOX.
func appended() mailbox.AppendMessage {
	return mailbox.AppendMessage{Body: strings.NewReader("Subject: x\r\n\r\nbody\r\n")}
}

// put appends a message to the INBOX of an account.
func put(t testing.TB, a *Account, subject string) {
	t.Helper()
	_, err := a.Mail().Append(ctx, "INBOX", mailbox.AppendMessage{Body: strings.NewReader("Subject: " + subject + "\r\n\r\nbody\r\n")})
	must(t, err)
}

// messages returns the number of messages in the INBOX of an account.
func messages(t testing.TB, a *Account) uint32 {
	t.Helper()
	i, err := a.Mail().Status(ctx, "INBOX")
	must(t, err)
	return i.Messages
}

func TestTemplateCopiesOnlyWhatDiffersFromTheDefaults(t *testing.T) {
	s := newStore(t)
	must(t, s.AccountDefaults("").Update(ctx, dict(t, "{MaxMailboxes=5;MaxAccountSize=1G;}")))
	must(t, s.AccountTemplate("").Update(ctx, dict(t, "{MaxMailboxes=5;MaxAccountSize=2G;QuotaAlert=80;city=Omsk;}")))
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{RealName=U;}")))
	d, err := s.AccountSettings("", "u").Get(ctx)
	wantDict(t, d, err, "{MaxAccountSize=2G;RealName=U;city=Omsk;}")
	must(t, s.CreateAccount(ctx, "", "v", dict(t, "{MaxAccountSize=default;}")))
	d, err = s.AccountSettings("", "v").Get(ctx)
	wantDict(t, d, err, "{city=Omsk;}")
}

func TestPasswordsAreNotCopiedToManyAccounts(t *testing.T) {
	s := newStore(t)
	for _, given := range []string{"{Password=x;}", "{ServiceClasses={gold={Password=x;};};}"} {
		wantKind(t, s.AccountTemplate("").Update(ctx, dict(t, given)), fault.Invalid)
		wantKind(t, s.AccountTemplate("").Set(ctx, dict(t, given)), fault.Invalid)
		wantKind(t, s.AccountDefaults("").Update(ctx, dict(t, given)), fault.Invalid)
		wantKind(t, s.ServerAccountDefaults().Set(ctx, dict(t, given)), fault.Invalid)
	}
	// One that is in the file already is neither shown nor copied.
	d, err := s.domain("company.com")
	must(t, err)
	must(t, dataformat.WriteFile(d.file(templateFile), dict(t, "{Password=x;MaxWebSize=1M;}"), dataformat.StyleOld))
	template, err := s.AccountTemplate("").Get(ctx)
	must(t, err)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	if a.HasPassword() || template.String("Password") != "" || template.String("MaxWebSize") != "1M" {
		t.Errorf("password %v, template %v", a.HasPassword(), template)
	}
}

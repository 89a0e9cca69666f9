package admin

import (
	"slices"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/server/admin/admintest"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Each change is recorded with what was and what is, and no secret is.
func TestRecordsOfChanges(t *testing.T) {
	s := newSite(t)
	boss := s.as("boss", "main.com", "Master")
	user := Name{"user", "own.com"}
	s.record()
	for _, c := range []struct {
		do   func(Actor) error
		want string
	}{
		{func(a Actor) error {
			return a.CreateAccount(ctx, Name{"new", "own.com"}, dict(t, "{password=swordfish;RealName=x;}"), Storage{})
		},
			`CREATEACCOUNT target=new@own.com new="{Password=hidden;RealName=x;}"`},
		{func(a Actor) error { return a.UpdateAccountSettings(ctx, user, dict(t, "{maxaccountsize=1G;}")) },
			`UPDATEACCOUNTSETTINGS target=user@own.com old={} new="{MaxAccountSize=1G;}"`},
		{func(a Actor) error {
			return a.UpdateAccountSettings(ctx, user, dict(t, "{MaxAccountSize=2G;Password=swordfish;QuotaAlert=50;Rules=();}"))
		}, `UPDATEACCOUNTSETTINGS target=user@own.com old="{MaxAccountSize=1G;}" new="{MaxAccountSize=2G;Password=hidden;QuotaAlert=50;Rules=();}" without_effect=QuotaAlert`},
		{func(a Actor) error {
			return a.UpdateAccountSettings(ctx, user, dict(t, "{MaxAccountSize=default;Password=swordfish2;}"))
		},
			`UPDATEACCOUNTSETTINGS target=user@own.com old="{MaxAccountSize=2G;Password=hidden;}" new="{Password=hidden;}"`},
		{func(a Actor) error { return a.SetAccountSettings(ctx, user, dict(t, "{RealName=y;}")) },
			`SETACCOUNTSETTINGS target=user@own.com old="{Password=hidden;QuotaAlert=50;Rules=();}" new="{RealName=y;}"`},
		{func(a Actor) error { return a.SetPassword(ctx, user, "swordfish", false) },
			`SETACCOUNTPASSWORD target=user@own.com new="{Password=hidden;}"`},
		{func(a Actor) error { return a.UpdateAccountPrefs(ctx, user, dict(t, "{Language=French;}")) },
			`UPDATEACCOUNTPREFS target=user@own.com old={} new="{Language=French;}"`},
		{func(a Actor) error { return a.SetAccountAliases(ctx, user, []string{"a@own.com", "b"}) },
			`SETACCOUNTALIASES target=user@own.com old=() new=(a,b)`},
		{func(a Actor) error { return a.SetAccountRights(ctx, user, []string{"Domain"}) },
			`SETACCOUNTRIGHTS target=user@own.com old=() new=(Domain)`},
		{func(a Actor) error {
			return a.RenameAccount(ctx, Name{"new", "own.com"}, Name{Local: "newer"}, Storage{})
		},
			`RENAMEACCOUNT target=new@own.com old=new@own.com new=newer@own.com`},
		{func(a Actor) error { return a.DeleteAccount(ctx, Name{"newer", "own.com"}) }, `DELETEACCOUNT target=newer@own.com`},
		{func(a Actor) error {
			return a.UpdateDomainSettings(ctx, "own.com", dict(t, "{MailToUnknown=Discarded;PrivateSecureKey=["+testKey+"];AccountDefaults={MaxMailboxes=5;};}"))
		}, `UPDATEDOMAINSETTINGS target=own.com old={} new="{AccountDefaults={MaxMailboxes=5;};MailToUnknown=Discarded;PrivateSecureKey=hidden;}"`},
		{func(a Actor) error {
			return a.UpdateAccountDefaults(ctx, "own.com", dict(t, "{MaxMailboxes=6;RealName=z;}"))
		},
			`UPDATEACCOUNTDEFAULTS target=own.com old="{MaxMailboxes=5;}" new="{MaxMailboxes=6;RealName=z;}"`},
		{func(a Actor) error { return a.SetDomainAliases(ctx, "own.com", []string{"also.com"}) },
			`SETDOMAINALIASES target=own.com old=() new=(also.com)`},
		{func(a Actor) error { return a.RenameDomain(ctx, "also.com", "newer.com", Storage{}) },
			`RENAMEDOMAIN target=own.com old=own.com new=newer.com`},
		{func(a Actor) error { return a.CreateForwarder(ctx, Name{"f", "other.com"}, "x@y.com") },
			`CREATEFORWARDER target=f@other.com new=x@y.com`},
		{func(a Actor) error {
			return a.CreateGroup(ctx, Name{"g", "other.com"}, dict(t, "{Members=(user);SignalDisabled=YES;}"))
		},
			`CREATEGROUP target=g@other.com new="{Members=(user);SignalDisabled=YES;}" without_effect=SignalDisabled`},
		{func(a Actor) error {
			return a.SetGroup(ctx, Name{"g", "other.com"}, dict(t, "{Members=(user,user2);}"))
		},
			`SETGROUP target=g@other.com old="{Members=(user);SignalDisabled=YES;}" new="{Members=(user,user2);}"`},
		{func(a Actor) error { return a.RenameGroup(ctx, Name{"g", "other.com"}, "h@other.com") },
			`RENAMEGROUP target=g@other.com old=g new=h`},
		{func(a Actor) error { return a.DeleteGroup(ctx, Name{"h", "other.com"}) }, `DELETEGROUP target=h@other.com old="{Members=(user,user2);}"`},
		{func(a Actor) error { return a.DeleteForwarder(ctx, Name{"f", "other.com"}) }, `DELETEFORWARDER target=f@other.com old=x@y.com`},
		{func(a Actor) error { return a.CreateMailbox(ctx, Name{"user", "other.com"}, Name{}, "Work", "") },
			`CREATEMAILBOX target=user@other.com new=Work`},
		{func(a Actor) error {
			return a.RenameMailbox(ctx, Name{"user", "other.com"}, Name{}, "Work", "Play", false)
		},
			`RENAMEMAILBOX target=user@other.com old=Work new=Play`},
		{func(a Actor) error { return a.DeleteMailbox(ctx, Name{"user", "other.com"}, Name{}, "Play", false) },
			`DELETEMAILBOX target=user@other.com old=Play`},
		{func(a Actor) error { return a.UpdateModule(ctx, "smtp", dict(t, "{Delay=5m;Secret=swordfish;}")) },
			`UPDATEMODULE target=smtp old={} new="{Delay=5m;Secret=hidden;}"`},
		{func(a Actor) error {
			return a.UpdateServerSettings(ctx, dict(t, `{externalfilters=({Name=x;Password=swordfish;});}`))
		}, `UPDATESERVERSETTINGS old={} new="{externalfilters=({Name=x;Password=hidden;});}" without_effect=ExternalFilters`},
		{func(a Actor) error { return a.SetRouterTable(ctx, "<a> = b\n<c> = d") }, `SETROUTERTABLE new="<c> = d"`},
		{func(a Actor) error { return a.SetRouterTable(ctx, "<e> = f\n<c> = d") }, `SETROUTERTABLE old="<a> = b" new="<e> = f"`},
		{func(a Actor) error { return a.SetClientIPs(ctx, "10.0.0.1\n10.0.0.2") }, `SETCLIENTIPS old="127.0.0.0/8\n::1" new="10.0.0.1\n10.0.0.2"`},
		{func(a Actor) error { return a.ReleaseQueue(ctx, "Far.com") }, `RELEASESMTPQUEUE target=far.com`},
		{func(a Actor) error { _, err := a.Shutdown(ctx); return err }, `SHUTDOWN`},
		{func(a Actor) error { return a.KillSessions(ctx, Name{"user", "other.com"}) }, `KILLACCOUNTSESSIONS target=user@other.com`},
	} {
		if err := c.do(boss); err != nil {
			t.Errorf("%s: %v", c.want, err)
		}
		call, rest, _ := strings.Cut(c.want, " ")
		values := len(rest)
		for _, key := range []string{"old=", "new="} {
			if i := strings.Index(rest, key); i >= 0 {
				values = min(values, i)
			}
		}
		words := []string{"2 ADMIN", call, strings.TrimSpace(rest[:values]), "by=boss@main.com service=TEST", rest[values:]}
		want := strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
		if got := s.record(); got != want {
			t.Errorf("recorded\n%s\nand not\n%s", got, want)
		}
	}
}

func TestRecordsOfLooksRefusalsAndFailures(t *testing.T) {
	s := newSite(t)
	plain := s.as("plain", "own.com")
	s.record()
	_, err := plain.AccountSettings(ctx, plain.Self())
	must(t, err)
	if got := s.record(); got != "4 ADMIN GETACCOUNTSETTINGS target=plain@own.com by=plain@own.com service=TEST" {
		t.Errorf("a look: %s", got)
	}
	wantKind(t, plain.DeleteAccount(ctx, Name{Local: "user"}), fault.Denied)
	if got := s.record(); got != "3 ADMIN DELETEACCOUNT target=user@own.com by=plain@own.com service=TEST error=denied" {
		t.Errorf("a refusal: %s", got)
	}
	wantKind(t, s.owner().UpdateAccountSettings(ctx, Name{"user", "own.com"}, dict(t, `{PasswordEncryption=swordfish;}`)), fault.Invalid)
	if got := s.record(); got != "4 ADMIN UPDATEACCOUNTSETTINGS target=user@own.com service=TEST error=invalid" {
		t.Errorf("a failure: %s", got)
	}
	// A session's log has the records, and tells the service itself.
	var session strings.Builder
	log := logs.New(sink{&session}, func() *logs.Levels { return &logs.Levels{Default: 3} })
	a := s.As(plain.account, accounts.Peer{Service: "TEST", Log: logs.Session(log, "TEST", 5, "[192.0.2.1]")})
	must(t, a.SetPassword(ctx, a.Self(), "plum tree 7", true))
	want := `2 TEST-000005([192.0.2.1]) SETACCOUNTPASSWORD target=plain@own.com by=plain@own.com new="{Password=hidden;}"`
	if got := withoutTime(session.String()); s.record() != "" || got != want {
		t.Errorf("the session's log: %s", got)
	}
}

func TestLongValuesAreCutInRecords(t *testing.T) {
	s := newSite(t)
	must(t, s.owner().UpdateAccountSettings(ctx, Name{"user", "own.com"}, dataformat.Dict{"Note": dataformat.String(strings.Repeat("ä", 10_000))}))
	if got := s.record(); len(got) > 2*maxRecorded || !strings.Contains(got, "ä...") {
		t.Errorf("%d bytes: %.100s", len(got), got)
	}
}

func TestNotesTellOfWhatHasNoEffect(t *testing.T) {
	s := newSite(t)
	var notes []string
	a := s.owner()
	a.Note = func(text string) { notes = append(notes, text) }
	must(t, a.UpdateServerSettings(ctx, dict(t, "{ExternalFilters=();}")))
	must(t, a.UpdateAccountSettings(ctx, Name{"user", "own.com"}, dict(t, "{defaultmailboxtype=TextMailbox;QuotaAlert=default;RealName=x;}")))
	must(t, a.CreateAccount(ctx, Name{"new", "own.com"}, dict(t, "{MaxRosterItems=50;}"), Storage{Special: true}))
	want := []string{
		"ExternalFilters is kept and does nothing yet; it waits for external filters",
		"DefaultMailboxType is kept and does nothing: all mailboxes have one form",
		"MaxRosterItems is kept and does nothing yet; it waits for instant messages",
		"all accounts have one form of storage, with several mailboxes",
	}
	if got := strings.Join(notes, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("notes:\n%s", got)
	}
}

// testKey is a private key of nobody.
const testKey = "MHcCAQEEIJrmLxfLSkTUmK7jXtDw0gp3gAx/lPCl5UCe0higYO9+oAoGCCqGSM49AwEHoUQDQgAEIIhFhewSPblZuNhpnaXlzDmFip+y73rjYJYEKy+k0iY3RDb+/ZuR/BW5EYcrGhb+CB6Mk7upGY4Qkm20fa0Tbg=="

func TestSecretsAreForThoseWhoMaySetThem(t *testing.T) {
	s := newSite(t)
	user, boss := Name{"user", "own.com"}, Name{"boss", "main.com"}
	master, users := s.as("boss", "main.com", "Master"), s.as("users", "main.com", "UserAccounts")
	admin := s.as("admin", "own.com", "Domain", "BasicSettings")
	for _, n := range []Name{user, boss} {
		must(t, s.acc.AccountSettings(n.Domain, n.Local).Update(ctx, dict(t, `{Password=x;SIPPassword=y;PSTNGatewayPassword={gw=z;};RealName=n;Other={a=b;};}`)))
	}
	must(t, s.acc.DomainSettings("own.com").Update(ctx, dict(t, "{PrivateSecureKey=["+testKey+"];AccountsLimit=5;}")))
	must(t, s.acc.AccountDefaults("own.com").Update(ctx, dict(t, "{SyncUserPassword=x;ServiceClasses={gold={SIPPassword=y;MaxMailboxes=3;};};}")))
	for _, c := range []struct {
		who    Actor
		target Name
		sees   bool
	}{{master, user, true}, {users, user, true}, {users, boss, false}, {admin, user, false}, {master, boss, true}} {
		for _, get := range []func() (dataformat.Dict, error){
			func() (dataformat.Dict, error) { return c.who.AccountSettings(ctx, c.target) },
			func() (dataformat.Dict, error) { return c.who.AccountEffectiveSettings(ctx, c.target) },
		} {
			d, err := get()
			must(t, err)
			for _, key := range []string{"Password", "SIPPassword", "PSTNGatewayPassword"} {
				if _, sees := d[key]; sees != c.sees {
					t.Errorf("%s of %v by %v: %v", key, c.target, c.who.Self(), sees)
				}
			}
			if d.String("RealName") != "n" || d["Other"] == nil {
				t.Errorf("%v by %v: %v", c.target, c.who.Self(), d)
			}
		}
		for _, key := range []string{"password", "SIPPassword"} {
			if v, err := c.who.AccountSetting(ctx, c.target, key); err != nil || (v != nil) != c.sees {
				t.Errorf("one setting, %s of %v by %v: %v, %v", key, c.target, c.who.Self(), v, err)
			}
		}
	}
	for who, sees := range map[*Actor]bool{&users: true, &admin: false} {
		d, err := who.DomainSettings(ctx, "own.com")
		must(t, err)
		defaults, err := who.AccountDefaults(ctx, "own.com")
		must(t, err)
		text := dataformat.Compact(d) + dataformat.Compact(defaults)
		for _, secret := range []string{"PrivateSecureKey", "SyncUserPassword", "SIPPassword"} {
			if strings.Contains(text, secret) != sees {
				t.Errorf("%v sees %s: %v", who.Self(), text, !sees)
			}
		}
		if !strings.Contains(text, "MaxMailboxes=3") || !strings.Contains(text, "AccountsLimit=5") {
			t.Errorf("%v sees %s", who.Self(), text)
		}
	}
}

func TestSpecialStorageNeedsARightOfItsOwn(t *testing.T) {
	s := newSite(t)
	admin := s.as("admin", "own.com", "Domain", "CanCreateAccounts")
	wantKind(t, admin.CreateAccount(ctx, Name{Local: "a"}, nil, Storage{Special: true}), fault.Denied)
	must(t, admin.CreateAccount(ctx, Name{Local: "a"}, nil, Storage{}))
	admin = s.as("admin", "own.com", "Domain", "CanCreateAccounts", "CanCreateSpecialAccounts")
	must(t, admin.CreateAccount(ctx, Name{Local: "b"}, nil, Storage{Special: true}))
	for _, storage := range []Storage{{Path: "x"}, {Shared: true}} {
		wantKind(t, admin.CreateAccount(ctx, Name{Local: "c"}, nil, storage), fault.Unsupported)
	}
}

// Who acts is looked at in each call: an account that is gone acts no more, nor does another
// one with its name.
func TestActorIsAsGoodAsItsAccount(t *testing.T) {
	s := newSite(t)
	admin := s.as("admin", "own.com", "Domain")
	_, err := admin.Accounts(ctx, "own.com")
	must(t, err)
	must(t, s.acc.SetAccountRights(ctx, "own.com", "admin", nil))
	_, err = admin.Accounts(ctx, "own.com")
	wantKind(t, err, fault.Denied)
	must(t, s.acc.DeleteAccount(ctx, "own.com", "admin"))
	s.as("admin", "own.com", "Domain")
	_, err = admin.Accounts(ctx, "own.com")
	wantKind(t, err, fault.NotFound)
}

func TestSettingsThatAnActorMayNotChangeAreLeftOut(t *testing.T) {
	s := newSite(t)
	admin := s.as("admin", "own.com", "Domain", "MaxAccountSize", "MailToUnknown")
	given := dict(t, "{MAXACCOUNTSIZE=1G;MaxMailboxes=5;RealName=x;}")
	must(t, admin.UpdateAccountSettings(ctx, Name{Local: "user"}, given))
	must(t, admin.UpdateAccountDefaults(ctx, "", given))
	must(t, admin.UpdateAccountTemplate(ctx, "", given))
	must(t, admin.UpdateDomainSettings(ctx, "", dict(t, "{mailtounknown=Discarded;AccountsLimit=5;AccountDefaults={MaxMailboxes=7;};}")))
	for what, get := range map[string]func() (dataformat.Dict, error){
		"{MaxAccountSize=1G;}":       func() (dataformat.Dict, error) { return s.acc.AccountSettings("own.com", "user").Get(ctx) },
		"{MaxAccountSize=1G;} ":      func() (dataformat.Dict, error) { return s.acc.AccountDefaults("own.com").Get(ctx) },
		"{MaxAccountSize=1G;}  ":     func() (dataformat.Dict, error) { return s.acc.AccountTemplate("own.com").Get(ctx) },
		"{MailToUnknown=Discarded;}": func() (dataformat.Dict, error) { return s.acc.DomainSettings("own.com").Get(ctx) },
	} {
		d, err := get()
		if got := dataformat.Compact(d); err != nil || got != strings.TrimSpace(what) {
			t.Errorf("%s, not %s (%v)", got, what, err)
		}
	}
}

func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]Name{
		"user": {"user", ""}, "user@own.com": {"user", "own.com"}, "user%own.com": {"user", "own.com"},
		"a@b@own.com": {"a@b", "own.com"}, "a%b@own.com": {"a%b", "own.com"}, "@own.com": {"", "own.com"}, "": {},
	} {
		if got := ParseName(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	s := newSite(t)
	must(t, s.acc.SetAccountAliases(ctx, "own.com", "user", []string{"boss"}))
	must(t, s.acc.SetDomainAliases(ctx, "own.com", []string{"also.com"}))
	for _, n := range []Name{{"User", "OWN.com"}, {"boss", "also.com"}} {
		if _, err := s.owner().AccountSettings(ctx, n); err != nil {
			t.Errorf("%v: %v", n, err)
		}
	}
	// An object that is made or removed is named by its own name.
	wantKind(t, s.owner().DeleteAccount(ctx, Name{"boss", "own.com"}), fault.NotFound)
	wantKind(t, s.owner().DeleteAccount(ctx, Name{"", "own.com"}), fault.Invalid)
	_, err := s.owner().Accounts(ctx, "no.com")
	wantKind(t, err, fault.NoDomain)
	_, err = s.as("plain", "own.com").Accounts(ctx, "no.com")
	wantKind(t, err, fault.Denied)
}

var _ Server = (*admintest.Server)(nil)

// The names of the settings of each kind are what the record hides secrets by.
func TestNamesOfSecrets(t *testing.T) {
	for _, names := range []*settings.Names{accounts.AccountSettingNames(), accounts.DomainSettingNames(), preferences} {
		if !names.Secret("Password") || !names.Secret("SIPPassword") {
			t.Error("a password is no secret")
		}
	}
	if accounts.AccountSettingNames().Secret("PasswordEncryption") {
		t.Error("PasswordEncryption is a secret")
	}
}

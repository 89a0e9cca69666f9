package accounts

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/fault"
)

// ldapServer is an LDAP that knows one password, and names that begin with new.
type ldapServer struct {
	mu    sync.Mutex
	down  bool
	asked int
}

func (l *ldapServer) ask() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.down {
		return fault.New("test", fault.Unavailable, "the directory server is down")
	}
	return nil
}

func (l *ldapServer) Verify(_ context.Context, s *LDAPSettings, name, domain, password string) error {
	if err := l.ask(); err != nil {
		return err
	}
	if password != "there" || len(s.Servers) == 0 {
		return fault.New("test", fault.BadCredentials, "")
	}
	return nil
}

func (l *ldapServer) Find(_ context.Context, s *LDAPSettings, name, domain string) (string, error) {
	if err := l.ask(); err != nil {
		return "", err
	}
	if !strings.HasPrefix(name, "new") {
		return "", fault.New("test", fault.NotFound, "")
	}
	return "Nina New", nil
}

func (l *ldapServer) took() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.asked
	l.asked = 0
	return n
}

func ldapStore(t *testing.T) (*Store, *ldapServer) {
	t.Helper()
	s, l := newStore(t), &ldapServer{}
	s.ldap = l
	must(t, s.CreateDomain(ctx, "ad.com", dict(t, `{LDAPServers=("ldaps://dc1.ad.com","ldap://dc2.ad.com:3389");LDAPBindDN="%u@%d";AccountDefaults={FailedLoginFlow=(-1,60);};}`)))
	must(t, s.CreateAccount(ctx, "ad.com", "ann", dict(t, "{UseExtPassword=YES;Password=here;}")))
	must(t, s.CreateAccount(ctx, "ad.com", "ben", dict(t, "{Password=here;}")))
	must(t, s.CreateAccount(ctx, "", "ann", dict(t, "{UseExtPassword=YES;Password=here;}")))
	return s, l
}

// The directory servers of a domain are asked for its accounts that say so, after what is stored here.
func TestLDAPPasswords(t *testing.T) {
	s, l := ldapStore(t)
	login := func(domain, name, password string) error {
		_, err := s.logins.CheckPassword(ctx, stranger, domain, name, password)
		return err
	}
	for _, c := range []struct {
		domain, name, password string
		kind                   fault.Kind
		asked                  int
	}{
		{"ad.com", "ann", "here", 0, 0}, {"ad.com", "ann", "there", 0, 1}, {"ad.com", "ann", "wrong", fault.BadCredentials, 1}, {"ad.com", "ann", "", fault.BadCredentials, 0},
		{"ad.com", "ben", "there", fault.BadCredentials, 0}, {"", "ann", "there", fault.BadCredentials, 0}, {"ad.com", "nobody", "there", fault.BadCredentials, 0},
	} {
		if err := login(c.domain, c.name, c.password); c.kind == 0 && err != nil || c.kind != 0 && !fault.Is(err, c.kind) {
			t.Errorf("%v: %v", c, err)
		}
		if n := l.took(); n != c.asked {
			t.Errorf("%v: asked %d times", c, n)
		}
	}
	// A password that was right a moment ago is not asked about again, but for what may be asked.
	must(t, login("ad.com", "ann", "there"))
	if n := l.took(); n != 0 {
		t.Errorf("asked %d times about a password that was right", n)
	}
	must(t, s.AccountSettings("ad.com", "ann").Update(ctx, dict(t, "{UseExtPassword=NO;}")))
	wantKind(t, login("ad.com", "ann", "there"), fault.BadCredentials)
	must(t, s.AccountSettings("ad.com", "ann").Update(ctx, dict(t, "{UseExtPassword=YES;}")))
	must(t, s.DomainSettings("ad.com").Update(ctx, dict(t, `{LDAPServers=("ldaps://dc3.ad.com");}`)))
	l.took()
	must(t, login("ad.com", "ann", "there"))
	if n := l.took(); n != 1 {
		t.Errorf("another server: asked %d times", n)
	}
	must(t, s.logins.VerifyPassword(ctx, "ad.com", "ann", "there"))
}

// A server that cannot tell blocks nobody, and is no reason to refuse what the program knows.
func TestLDAPServersThatAreDown(t *testing.T) {
	s, l := ldapStore(t)
	must(t, s.AccountSettings("ad.com", "ann").Update(ctx, dict(t, "{FailedLoginFlow=(3,60);}")))
	l.down = true
	for range 5 {
		if _, err := s.logins.CheckPassword(ctx, stranger, "ad.com", "ann", "there"); !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	if _, err := s.logins.CheckPassword(ctx, stranger, "ad.com", "ann", "here"); err != nil {
		t.Errorf("the password that is stored here: %v", err)
	}
	s.external = &outside{store: s}
	for password, kind := range map[string]fault.Kind{"outer": 0, "wrong": fault.Unavailable} {
		if _, err := s.logins.CheckPassword(ctx, stranger, "ad.com", "ann", password); kind == 0 && err != nil || kind != 0 && !fault.Is(err, kind) {
			t.Errorf("%s: %v", password, err)
		}
	}
	l.down = false
	_, err := s.logins.CheckPassword(ctx, stranger, "ad.com", "ann", "wrong")
	wantKind(t, err, fault.BadCredentials)
	_, err = s.logins.CheckPassword(ctx, stranger, "ad.com", "ann", "there")
	must(t, err)
}

// What a server has verified is good for a minute.
func TestLDAPPasswordsAreAskedAboutAgain(t *testing.T) {
	s, l := ldapStore(t)
	a, err := s.Account(ctx, "ad.com", "ann")
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		limits := newLimits()
		limits.rememberOutside(a, directoryServers, "there")
		time.Sleep(outsideLifetime - time.Second)
		if !limits.remembersOutside(a, "there") || limits.remembersOutside(a, "their") {
			t.Error("not remembered, or another one is")
		}
		time.Sleep(2 * time.Second)
		if limits.remembersOutside(a, "there") {
			t.Error("remembered for too long")
		}
		limits.rememberOutside(a, directoryServers, "there")
		if limits.forget(a.ID); limits.remembersOutside(a, "there") {
			t.Error("remembered of an account that is deleted")
		}
	})
	_ = l
}

// With ExternalOnUnknown, a name that a server finds gets an account.
func TestLDAPMakesAccounts(t *testing.T) {
	s, l := ldapStore(t)
	must(t, s.DomainSettings("ad.com").Update(ctx, dict(t, `{LDAPBindDN=default;LDAPSearchBase="dc=ad,dc=com";}`)))
	find := func(name string) (found bool, err error) {
		o, err := s.Object(ctx, "ad.com", name)
		return o.Kind != 0, err
	}
	if found, err := find("newcomer"); found || err != nil || l.took() != 0 {
		t.Errorf("without ExternalOnUnknown: %v %v", found, err)
	}
	must(t, s.DomainSettings("ad.com").Update(ctx, dict(t, `{ExternalOnUnknown=YES;}`)))
	for name, want := range map[string]bool{"newcomer": true, "nobody": false} {
		if found, err := find(name); found != want || err != nil {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
	a, err := s.logins.CheckPassword(ctx, stranger, "ad.com", "newcomer", "there")
	must(t, err)
	if a.settings.RealName != "Nina New" || a.HasPassword() {
		t.Errorf("made: %q, %v", a.settings.RealName, a.HasPassword())
	}
	_, err = s.logins.CheckPassword(ctx, stranger, "ad.com", "newcomer", "wrong")
	wantKind(t, err, fault.BadCredentials)
	l.down = true
	if _, err := find("newer"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("while the server is down: %v", err)
	}
	// The password is changed where it is kept.
	l.down = false
	must(t, s.AccountSettings("ad.com", "newcomer").Update(ctx, dict(t, `{UseAppPassword=NO;}`)))
	wantKind(t, s.SetPassword(ctx, "ad.com", "newcomer", "three plum trees", true), fault.Denied)
}

func TestLDAPSettings(t *testing.T) {
	s, _ := ldapStore(t)
	for _, bad := range []string{
		`{LDAPServers=("https://x");}`, `{LDAPServers=("ldap:///dc=x");}`, `{LDAPServers=("ldap://u:p@x");}`, `{LDAPServers=("ldap://x/dc=y");}`, `{LDAPServers=(x);}`,
		`{LDAPServers=("ldap://1","ldap://2","ldap://3","ldap://4","ldap://5","ldap://6");}`,
		`{LDAPBindDN="uid=ann";}`, `{LDAPBindDN="uid=%n";}`, `{LDAPBindDN="uid=%u%";}`, `{LDAPSearchFilter="(uid=%u";}`, `{LDAPSearchFilter="(uid=ann)";}`, `{LDAPSearchFilter="";}`,
		`{LDAPTimeout=0;}`, `{LDAPTimeout=2m;}`, `{LDAPTimeout=never;}`, `{LDAPCA=x;}`,
	} {
		if err := s.DomainSettings("ad.com").Update(ctx, dict(t, bad)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	must(t, s.DomainSettings("ad.com").Update(ctx, dict(t, `{LDAPServers=("LDAPS://dc.ad.com/");LDAPSearchFilter="(&(a=%u)(b=%d)(c=100%%))";LDAPTimeout=10;}`)))
}

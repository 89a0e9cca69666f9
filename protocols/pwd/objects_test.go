package pwd

import (
	"path/filepath"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

func TestPageOfNothingHasNoCookie(t *testing.T) {
	c := newSite(t, false).login(t, "postmaster", "secret")
	c.expect(`ListDomainObjects c.com 0 COOKIE ""`, `201 (1,{},0,0,"")`)
	c.expect(`ListDomainObjects c.com -5 COOKIE ""`, `201 (1,{},0,0,"")`)
}

func TestBugInACommandEndsOnlyTheControlSession(t *testing.T) {
	s := newSite(t, false)
	s.pwd.commands["NOOP"] = &compiled{command: command{verb: "NOOP"}}
	c := newClient(t, s.control(t))
	c.line()
	c.begin("NOOP\n")
	waitClosed(c)
	c = newClient(t, s.control(t))
	c.line()
	c.expect("MainDomainName", "200 data follow")
	if log := s.log.String(); !strings.Contains(log, "session crashed") || !strings.Contains(log, "execute") {
		t.Errorf("%s", log)
	}
}

// One setting is what the effective settings have under its key.
func TestOneSettingIsOneOfTheEffectiveOnes(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	c.expect("UpdateAccountDefaults {MaxWebSize=5M;ServiceClasses={gold={MaxMailboxes=3;};};}", "200 OK")
	c.expect("SetAccountPrefs postmaster {Language=French;}", "200 OK")
	for key, want := range map[string]string{
		"MaxWebSize": "5M", "QuotaAlert": "80", "RealName": "#NULL#", "NoSuchKey": "#NULL#",
		`"#AccountID"`: "#NULL#", "ServiceClasses": "#NULL#", "WebUserPrefs": "#NULL#",
	} {
		c.expect("GetAccountOneSetting postmaster "+key, "201 "+want)
	}
}

func TestAdminDomains(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	for _, line := range []string{
		"CreateDomain a.com", "CreateDomain b.com {AdminDomain=a.com;}", "CreateDomain c2.com {AdminDomain=other.com;}",
		"SetDomainAliases a.com (other.com)", "CreateDomain d.com", "CreateAccount admin@a.com {Password=pw;}",
		"SetAccountRights admin@a.com (Domain,CanAdminOtherDomains)",
	} {
		c.expect(line, "200 OK")
	}
	c.expect("ListAdminDomains a.com", "201 (b.com,c2.com)")
	c.expect("ListAdminDomains", "201 ()")
	c.expect("ListAdminDomains no.com", "512 unknown secondary domain name")
	c = s.login(t, "admin@a.com", "pw")
	c.expect("ListAdminDomains", "201 (b.com,c2.com)")
	c.expect("ListAdminDomains c.com", "500 access denied")
	c.expect("ListAccounts c2.com", "201 {}")
	c.expect("ListAccounts d.com", "500 access denied")
}

func TestVerifyAccountIdentity(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	c := s.login(t, "postmaster", "secret")
	for identity, want := range map[string]string{
		`"John Smith <postmaster@c.com>"`: "200 OK", `"\"J. <x>\" <boss@c.com>"`: "200 OK", "boss": "200 OK",
		`"<postmaster+detail@C.COM>"`: "200 OK", "postmaster@c.com": "200 OK",
		`"John <plain@c.com>"`:   "500 the address does not belong to the account",
		`"John <boss@far.com>"`:  "500 the address does not belong to the account",
		`"<postmaster@c.com> x"`: "500 the address does not belong to the account",
	} {
		got := c.say("VerifyAccountIdentity postmaster FOR " + identity)
		if got != want && !(want[0] == '5' && got[0] == '5') {
			t.Errorf("%s: %s", identity, got)
		}
	}
	c.expect("VerifyAccountIdentity nobody FOR x@y.com", "513 unknown user account")
	s.login(t, "plain", "pw").expect("VerifyAccountIdentity plain FOR plain@c.com", "500 access denied")
}

// Rights in a file may stand under a name that nobody has yet.
func TestNobodyTakesTheRightsOfANameByARename(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	c := s.login(t, "admin", "pw")
	dir, err := s.acc.DomainLocation("")
	must(t, err)
	a, err := s.acc.Account(ctx, "", "plain")
	must(t, err)
	base := strings.TrimSuffix(a.Dir(), filepath.Join(dir, "plain.macnt"))
	path := filepath.Join(base, dir, "Settings", "access.settings")
	v, err := dataformat.ReadFile(path)
	must(t, err)
	v.(dataformat.Dict)["chief"] = dataformat.Array{dataformat.String("Master")}
	must(t, dataformat.WriteFile(path, v, dataformat.StyleOld))
	must(t, s.acc.Reload())
	c.expect("CreateAccount chief", "500 access denied")
	c.expect("RenameAccount plain INTO chief", "500 access denied")
	c.expect("RenameAccount plain INTO simple", "200 OK")
}

func TestAuthDoesNotTellWhichDomainsExist(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	must(t, s.acc.CreateDomain(ctx, "d.com", nil))
	c := s.login(t, "plain", "pw")
	for _, auth := range []string{"x@d.com", "x@nowhere.com", "nobody"} {
		c.expect("ListMailboxes * AUTH "+auth, "500 access denied")
	}
	if got := c.say("ListMailboxes * FILTER INBOX AUTH plain@c.com"); !strings.HasPrefix(got, "201 {INBOX=") {
		t.Errorf("%s", got)
	}
}

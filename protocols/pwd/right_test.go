package pwd

import (
	"io"
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

// limited makes administrators of the Main Domain who hold less than postmaster.
func limited(t *testing.T, s *site) {
	t.Helper()
	for name, rights := range map[string][]string{
		"users": {"UserAccounts"},
		"admin": {"Domain", "BasicSettings", "CanCreateAccounts", "CanCreateAliases", "CanImpersonate", "WebUserSettings"},
		"less":  {"Domain", "BasicSettings"},
		"plain": nil,
	} {
		must(t, s.acc.CreateAccount(ctx, "", name, dataformat.Dict{"Password": dataformat.String("pw")}))
		must(t, s.acc.SetAccountRights(ctx, "", name, rights))
	}
	must(t, s.acc.SetAccountAliases(ctx, "", "postmaster", []string{"boss"}))
}

func TestNobodyTakesOverAnAccountWithMoreRights(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	const denied = "500 access denied"
	takeOver := func(c *client, victim string) {
		t.Helper()
		for _, line := range []string{
			"SetAccountPassword " + victim + " TO pw2", "SetAccountPassword " + victim + " PASSWORD pw2 CHECK",
			"VerifyAccountPassword " + victim + " PASSWORD secret",
			"UpdateAccountSettings " + victim + " {Password=pw2;}", "UpdateAccount " + victim + " {Password=pw2;}",
			"SetAccountSettings " + victim + " {Password=pw2;}", "RenameAccount " + victim + " INTO gone",
			"DeleteAccount " + victim, "SetAccountAliases " + victim + " (x)", "SetAccountRights " + victim + " ()",
			"SetAccountType " + victim + " MultiMailbox", "SetAccountPrefs " + victim + " {}",
			"UpdateAccountPrefs " + victim + " {Language=French;}", "DeleteMailbox " + victim + " MAILBOX Trash",
		} {
			c.expect(line, denied)
		}
	}
	for _, who := range []string{"users", "admin"} {
		c := s.login(t, who, "pw")
		for _, victim := range []string{"postmaster", "POSTMASTER@c.com", "postmaster%c.com", "boss"} {
			if victim == "boss" { // an alias, which names of objects are not resolved from
				c.expect("SetAccountPassword boss TO pw2", denied)
				continue
			}
			takeOver(c, victim)
		}
	}
	takeOver(s.login(t, "admin", "pw"), "users")
	c := s.login(t, "less", "pw")
	c.expect("SetAccountPassword admin TO pw2", denied)
	c.expect("SetAccountPassword plain TO pw2", "200 OK")
	c.expect("SetAccountPassword less TO pw2", "200 OK")
	c = s.login(t, "users", "pw")
	c.expect("SetAccountPassword admin TO pw3", "200 OK")
	c.expect("DeleteAccount plain", "200 OK")
	s.login(t, "postmaster", "secret")
}

func TestPostmasterStays(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	c := s.login(t, "postmaster", "secret")
	for _, line := range []string{"DeleteAccount postmaster", "RenameAccount postmaster INTO chief"} {
		c.expect(line, "500 the postmaster of the main domain stays")
	}
	c.expect("SetAccountPassword users TO pw2", "200 OK")
	c.expect("RenameAccount users INTO users2", "200 OK")
	c.expect("DeleteAccount users2", "200 OK")
	c = newClient(t, s.control(t))
	c.line()
	c.expect("DeleteAccount postmaster", "500 the postmaster of the main domain stays")
}

func TestPostmasterKeepsMaster(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	must(t, s.acc.CreateDomain(ctx, "d.com", nil))
	must(t, s.acc.CreateAccount(ctx, "d.com", "postmaster", nil))
	c := s.login(t, "postmaster", "secret")
	control := newClient(t, s.control(t))
	control.line()
	for _, c := range []*client{c, control} {
		for _, line := range []string{
			"SetAccountRights postmaster ()", "SetAccountRights boss ()", "SetAccountRights POSTMASTER@c.com (Settings,UserAccounts)",
		} {
			c.expect(line, "500 the postmaster of the main domain keeps the right Master")
		}
		c.expect("SetAccountRights postmaster (Master,Domain)", "200 OK")
		c.expect("SetAccountRights postmaster@d.com (Domain)", "200 OK")
		c.expect("SetAccountRights postmaster@d.com ()", "200 OK")
	}
	c.expect("GetAccountRights postmaster", "201 (Master,Domain)")
}

func TestSessionOfADeletedAccountIsNotTheNewOnes(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	for _, line := range []string{"NOOP", "GetAccountSettings *", "NEWPASS mine", "ListAccounts"} {
		c := s.login(t, "plain", "pw")
		must(t, s.acc.DeleteAccount(ctx, "", "plain"))
		must(t, s.acc.CreateAccount(ctx, "", "plain", dataformat.Dict{"Password": dataformat.String("pw")}))
		must(t, s.acc.SetAccountRights(ctx, "", "plain", []string{"Master"}))
		c.expect(line, "501 account does not exist any more")
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("%s: the session goes on: %v", line, err)
		}
	}
	c := s.login(t, "plain", "pw")
	must(t, s.acc.DeleteAccount(ctx, "", "plain"))
	c.expect("NOOP", "501 account does not exist any more")
}

func TestStoredPasswordsAreForThoseWhoMaySetThem(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	must(t, s.acc.AccountSettings("", "plain").Update(ctx, dataformat.Dict{"Password": dataformat.String("{CLEAR}swordfish")}))
	for _, c := range []struct {
		who, password, account string
		sees                   bool
	}{
		{"postmaster", "secret", "plain", true}, {"users", "pw", "plain", true}, {"users", "pw", "admin", true},
		{"users", "pw", "postmaster", false}, {"admin", "pw", "plain", false}, {"less", "pw", "less", false},
		{"plain", "swordfish", "*", false},
	} {
		session := s.login(t, c.who, c.password)
		for _, verb := range []string{"GetAccountSettings", "GetAccountEffectiveSettings", "GetAccount"} {
			if got := session.say(verb + " " + c.account); (strings.Contains(got, "{Password=") || strings.Contains(got, ";Password=")) != c.sees || !strings.HasPrefix(got, "201 {") {
				t.Errorf("%s of %s by %s: %s", verb, c.account, c.who, got)
			}
		}
		if got := session.say("GetAccountOneSetting " + c.account + " Password"); (got != "201 #NULL#") != c.sees {
			t.Errorf("one setting of %s by %s: %s", c.account, c.who, got)
		}
	}
	control := newClient(t, s.control(t))
	control.line()
	control.expect("INLINE", "200 OK")
	control.expect("GetAccountSettings plain", `201 {Password="{CLEAR}swordfish";}`)
}

func TestRightsThatDoNotExistAreRefused(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	c := s.login(t, "postmaster", "secret")
	c.expect("SetAccountRights plain (Users)", `500 "Users" is not a right`)
	c.expect("SetAccountRights plain (Domain,CanFly)", `500 "CanFly" is not a right`)
	c.expect("SetAccountRights plain (Domain,CanImpersonate,MaxAccountSize,MailToUnknown)", "200 OK")
	c.expect("SetAccountRights plain (UserAccounts,Monitor)", "200 OK")
	c.expect("GetAccountRights plain", "201 (UserAccounts,Monitor)")
}

func TestOnlyAdministratorsSendLongLines(t *testing.T) {
	s := newSite(t, false)
	limited(t, s)
	for who, long := range map[string]bool{"users": true, "less": true, "plain": false} {
		c := s.login(t, who, "pw")
		text := strings.Repeat("x", maxLineUser)
		want := "500 line is too long"
		if long {
			want = "201 " + text
		}
		if got := c.say("ECHO " + text); got != want {
			t.Errorf("%s: %.40q", who, got)
		}
		c.expect("NOOP", "200 OK")
	}
}

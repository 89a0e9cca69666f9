package accounts

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// What account defaults refuse they refuse however they are given.
func TestNestedSettingsAreCheckedLikeOthers(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	set := func(given string) map[string]error {
		nested := func() dataformat.Dict { return dataformat.Dict{"AccountDefaults": dict(t, given)} }
		return map[string]error{
			"UpdateAccountDefaults":       s.AccountDefaults("d.com").Update(ctx, dict(t, given)),
			"SetAccountDefaults":          s.AccountDefaults("d.com").Set(ctx, dict(t, given)),
			"UpdateServerAccountDefaults": s.ServerAccountDefaults().Update(ctx, dict(t, given)),
			"SetServerAccountDefaults":    s.ServerAccountDefaults().Set(ctx, dict(t, given)),
			"UpdateDomainSettings":        s.DomainSettings("d.com").Update(ctx, nested()),
			"SetDomainSettings":           s.DomainSettings("d.com").Set(ctx, nested()),
			"CreateDomain":                s.CreateDomain(ctx, "new.com", nested()),
			"UpdateDomainDefaults":        s.DomainDefaults().Update(ctx, nested()),
			"SetDomainDefaults":           s.DomainDefaults().Set(ctx, nested()),
			"UpdateAccountTemplate":       s.AccountTemplate("d.com").Update(ctx, dict(t, given)),
			"SetAccountTemplate":          s.AccountTemplate("d.com").Set(ctx, dict(t, given)),
		}
	}
	for _, given := range []string{
		"{Password=x;}", "{ServiceClasses={gold={Password=x;};};}", "{MaxAccountSize=much;}", "{PWDAllowed=(a,b);}",
		"{ServiceClasses={gold={MaxAccountSize=much;};};}", "{ServiceClasses={gold=x;};}", "{ServiceClasses=x;}",
		"{WebUserPrefs=x;}",
	} {
		for how, err := range set(given) {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s takes %s: %v", how, given, err)
			}
		}
	}
	for _, given := range []string{"{AccountDefaults=x;}", "{AccountDefaults=(a);}", "{WebUserPrefs=x;}"} {
		wantKind(t, s.DomainSettings("d.com").Update(ctx, dict(t, given)), fault.Invalid)
		wantKind(t, s.CreateDomain(ctx, "new.com", dict(t, given)), fault.Invalid)
		wantKind(t, s.DomainDefaults().Set(ctx, dict(t, given)), fault.Invalid)
	}
	for _, given := range []string{"{WebUserPrefs=x;}", "{ServiceClass=(a,b);}"} {
		wantKind(t, s.CreateAccount(ctx, "d.com", "u", dict(t, given)), fault.Invalid)
		wantKind(t, s.AccountSettings("", "postmaster").Update(ctx, dict(t, given)), fault.Invalid)
	}
}

// Every setting is given values that it cannot have. What an administrator reads
// names the setting first, and no function of the program.
func TestBadValuesAreRefusedInWordsForPeople(t *testing.T) {
	operation := regexp.MustCompile(`\b[a-z]+\.[A-Z][A-Za-z]+\b`)
	for given, check := range map[any]func(string, dataformat.Dict) (dataformat.Dict, error){
		new(AccountSettings): validateAccount, new(DomainSettings): validateDomain,
		new(keptAccountSettings): validateAccount, new(keptDomainSettings): validateDomain,
	} {
		for _, set := range settings.Describe(given) {
			for _, v := range []string{`"x y"`, "a..b", `"-7"`, "99999999999999999999", `"\001"`, `"x@"`, "(a,b)", "{x=y;}", "#NULL#", "(({}),2)"} {
				_, err := check("accounts.Set", dict(t, "{"+set.Key+"="+v+";}"))
				if err == nil {
					continue
				}
				if text := fault.Text(err); !fault.Is(err, fault.Invalid) || operation.MatchString(text) || !strings.HasPrefix(text, set.Key+": ") {
					t.Errorf("%s = %s: %s", set.Key, v, text)
				}
			}
		}
	}
}

func TestNamesOfSettingsAreTakenInAnyCase(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", dict(t, "{mailtounknown=Discarded;ACCOUNTDEFAULTS={maxaccountsize=1G;serviceclasses={Gold={MAXMAILBOXES=3;};};};}")))
	d, err := s.DomainSettings("d.com").Get(ctx)
	wantDict(t, d, err, "{MailToUnknown=Discarded;}")
	d, err = s.AccountDefaults("d.com").Get(ctx)
	wantDict(t, d, err, "{MaxAccountSize=1G;ServiceClasses={Gold={MaxMailboxes=3;};};}")
	must(t, s.CreateAccount(ctx, "d.com", "u", dict(t, `{realname="U";PASSWORD=secret;webuserprefs={sentbox=Out;};title=x;}`)))
	_, err = s.logins.CheckPassword(ctx, Peer{Service: "POP"}, "d.com", "u", "secret")
	must(t, err)
	must(t, s.AccountSettings("d.com", "u").Update(ctx, dict(t, "{REALNAME=default;maxaccountsize=2M;quotaalert=50;}")))
	d, err = s.AccountSettings("d.com", "u").Get(ctx)
	delete(d, keyPassword)
	wantDict(t, d, err, "{MaxAccountSize=2M;QuotaAlert=50;title=x;}")
	d, err = s.AccountPrefs("d.com", "u").Get(ctx)
	wantDict(t, d, err, "{SentBox=Out;}")
	must(t, s.AccountPrefs("d.com", "u").Update(ctx, dict(t, "{SENTBOX=default;}")))
	d, err = s.AccountPrefs("d.com", "u").Get(ctx)
	wantDict(t, d, err, "{}")
	a, err := s.Account(ctx, "d.com", "u")
	must(t, err)
	if v := a.Setting("MAXACCOUNTSIZE"); v != dataformat.String("2M") {
		t.Errorf("one setting: %v", v)
	}
	wantKind(t, s.AccountSettings("d.com", "u").Update(ctx, dict(t, "{RealName=a;realname=b;}")), fault.Invalid)
}

// What a file has under a misspelt name can be removed, and goes when the setting is given.
func TestOtherSpellingInAFileGoesWhenTheSettingIsGiven(t *testing.T) {
	s := newStore(t)
	a, err := s.Account(ctx, "", "postmaster")
	must(t, err)
	must(t, s.edit(filepath.Join(a.Dir(), accountFile), func(d dataformat.Dict) error {
		d["password"], d["Pasword"] = dataformat.String("x"), dataformat.String("y")
		return nil
	}))
	must(t, s.Reload())
	must(t, s.AccountSettings("", "postmaster").Update(ctx, dict(t, "{Password=secret;Pasword=default;}")))
	d, err := s.AccountSettings("", "postmaster").Get(ctx)
	delete(d, keyPassword)
	wantDict(t, d, err, "{}")
}

func TestMisspeltSettingsAreRefusedWithAHint(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	for given, want := range map[string]string{
		"{Pasword=x;}": "unknown setting Pasword; is Password meant?", "{Passwort=x;}": "unknown setting Passwort; is Password meant?",
		"{MaxAcountSize=1G;}": "unknown setting MaxAcountSize; is MaxAccountSize meant?", "{maxwebsiz=1G;}": "unknown setting maxwebsiz; is MaxWebSize meant?",
		"{UserPwd=x;}":              "unknown setting UserPwd; a password is given as Password of an account",
		"{pass=x;}":                 "unknown setting pass; a password is given as Password of an account",
		"{Other={Login={Pw=x;};};}": "unknown setting Pw; a password is given as Password of an account",
	} {
		for how, err := range map[string]error{
			"create":   s.CreateAccount(ctx, "d.com", "new", dict(t, given)),
			"update":   s.AccountSettings("", "postmaster").Update(ctx, dict(t, given)),
			"set":      s.AccountSettings("", "postmaster").Set(ctx, dict(t, given)),
			"defaults": s.AccountDefaults("d.com").Update(ctx, dict(t, given)),
			"template": s.AccountTemplate("d.com").Set(ctx, dict(t, given)),
		} {
			if !fault.Is(err, fault.Invalid) || fault.Text(err) != want {
				t.Errorf("%s %s: %v", how, given, err)
			}
		}
	}
	for given, err := range map[string]error{
		"a password in preferences": s.AccountPrefs("", "postmaster").Update(ctx, dict(t, "{Password=x;}")),
		"one of the server":         s.ServerAccountPrefs().Set(ctx, dict(t, "{password=x;}")),
		"a password of a domain":    s.DomainSettings("d.com").Update(ctx, dict(t, "{password=x;}")),
		"a misspelt domain setting": s.DomainSettings("d.com").Update(ctx, dict(t, "{MailToUnkown=Discarded;}")),
		"among domain defaults":     s.DomainDefaults().Update(ctx, dict(t, "{MailToUnkown=Discarded;}")),
	} {
		wantKind(t, err, fault.Invalid)
		if err == nil {
			t.Error(given)
		}
	}
	// Attributes of a site's own are kept, and so is what has a name in the standard product.
	own := "{CallInpFlow=(1,60);PSTNGatewayPassword=x;Roles=a;l=Riga;telephoneNumber=5;}"
	must(t, s.CreateAccount(ctx, "d.com", "own", dict(t, own)))
	d, err := s.AccountSettings("d.com", "own").Get(ctx)
	wantDict(t, d, err, own)
}

func TestServicesThatDoNotExistAreRefused(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	for given, taken := range map[string]bool{
		"(Fob)": false, "(Mail,Imap4)": false, "(27,Mail,Fob)": false, "(5,Fob)": false, "Fob": false, `("")`: false, "(Mail,26)": false,
		"(mail,imap)": true, `(26,Mail,Relay,TLS,"S/MIME")`: true, "()": true, "(0)": true, "None": true, "default": true,
		// Written by a server that has more services than this one.
		"(28,Mail,Fob)": true,
	} {
		for how, err := range map[string]error{
			"account":  s.AccountSettings("", "postmaster").Update(ctx, dict(t, "{AccessModes="+given+";}")),
			"class":    s.AccountDefaults("d.com").Update(ctx, dict(t, "{ServiceClasses={gold={AccessModes="+given+";};};}")),
			"domain":   s.DomainSettings("d.com").Update(ctx, dict(t, "{DomainAccessModes="+given+";}")),
			"defaults": s.DomainDefaults().Update(ctx, dict(t, "{DomainAccessModes="+given+";}")),
		} {
			if taken != (err == nil) || !taken && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s %s: %v", how, given, err)
			}
		}
	}
	err := s.AccountSettings("", "postmaster").Update(ctx, dict(t, "{AccessModes=(Mail,Imap4);}"))
	if want := `AccessModes: "Imap4" is not a service`; fault.Text(err) != want {
		t.Errorf("%q, not %q", fault.Text(err), want)
	}
}

// The server's own keys and the word "default" mean inside what they mean outside.
func TestNestedSettingsAreKeptLikeOthers(t *testing.T) {
	s := newStore(t)
	const given = `{MailToUnknown=Discarded;AccountDefaults={MaxAccountSize=1G;QuotaAlert=default;"#AccountID"=(5,x);ServiceClasses={gold={MaxWebSize=default;MaxMailboxes=3;"#x"=y;};};};}`
	const want = "{MaxAccountSize=1G;ServiceClasses={gold={MaxMailboxes=3;};};}"
	must(t, s.CreateDomain(ctx, "d.com", dict(t, given)))
	d, err := s.AccountDefaults("d.com").Get(ctx)
	wantDict(t, d, err, want)
	must(t, s.DomainSettings("d.com").Set(ctx, dict(t, "{AccountDefaults=default;}")))
	d, err = s.AccountDefaults("d.com").Get(ctx)
	wantDict(t, d, err, "{}")
	must(t, s.DomainSettings("d.com").Update(ctx, dict(t, given)))
	d, err = s.AccountDefaults("d.com").Get(ctx)
	wantDict(t, d, err, want)
	must(t, s.DomainDefaults().Update(ctx, dict(t, given)))
	wantLayer(t, s.ServerAccountDefaults(), want)
	must(t, s.AccountDefaults("d.com").Set(ctx, dict(t, given)["AccountDefaults"].(dataformat.Dict)))
	d, err = s.AccountDefaults("d.com").Get(ctx)
	wantDict(t, d, err, want)
}

func TestPasswordsInFilesOfDefaultsAreNotInherited(t *testing.T) {
	s := newStore(t)
	d, err := s.domain("company.com")
	must(t, err)
	given := dict(t, "{AccountDefaults={Password=x;MaxMessageSize=1M;ServiceClass=gold;ServiceClasses={gold={Password=x;MaxMailboxes=3;};};};}")
	must(t, dataformat.WriteFile(d.file(domainFile), given, dataformat.StyleOld))
	must(t, dataformat.WriteFile(filepath.Join(s.base, settingsDirectory, domainDefaultFile), given, dataformat.StyleOld))
	must(t, s.Reload())
	a, err := s.Account(ctx, "", "postmaster")
	must(t, err)
	if a.HasPassword() || a.Settings().Password != "" || a.Settings().MaxMailboxes != 3 || a.Settings().MaxMessageSize != 1<<20 {
		t.Errorf("password %v, settings %+v", a.HasPassword(), a.Settings())
	}
	effective, err := s.AccountEffectiveSettings(ctx, "", "postmaster")
	must(t, err)
	if _, ok := effective[keyPassword]; ok {
		t.Error("a password is inherited")
	}
}

package accounts

import (
	"strings"
	"testing"

	"gatepost/server/fault"
)

// A user who chooses a password is told what is wrong with it; an administrator is not held up.
func TestChosenPasswords(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "flowershop.net", dict(t, "{AccountDefaults={MinPasswordLength=6;PasswordComplexity=\"letters and digits\";};}")))
	must(t, s.CreateAccount(ctx, "flowershop.net", "harrison", dict(t, `{RealName="Gregory Harrison";}`)))
	for chosen, want := range map[string]string{
		"":                     "the password is empty",
		"a1b2c":                "the password is too short: 6 characters are needed",
		"aplumtree":            "the password is too simple, it lacks: a digit",
		"Password1":            "the password is one of those that are guessed first",
		"Harrison77":           "the password is made of the name of the account",
		"gregory1":             "the password is made of the name of the account",
		"flowershop99":         "the password is made of the name of the account",
		"seven plum trees 7":   "",
		"harrison the drum 80": "",
	} {
		err := s.SetPassword(ctx, "flowershop.net", "harrison", chosen, true)
		if want == "" && err != nil || want != "" && (!fault.Is(err, fault.Invalid) || fault.Text(err) != want) {
			t.Errorf("%q: %v, want %q", chosen, err, want)
		}
		must(t, s.SetPassword(ctx, "flowershop.net", "harrison", chosen, false))
	}
	must(t, s.AccountSettings("flowershop.net", "harrison").Update(ctx, dict(t, "{RefuseCommonPasswords=NO;PasswordComplexity=any;}")))
	must(t, s.SetPassword(ctx, "flowershop.net", "harrison", "harrison", true))
	wantKind(t, s.AccountSettings("flowershop.net", "harrison").Update(ctx, dict(t, "{PasswordComplexity=hard;}")), fault.Invalid)
}

// Former passwords count whoever has set the ones between, are kept one-way, and shown to nobody.
func TestPasswordHistory(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=alpha-1;PasswordHistory=2;}")))
	const before = "the password was used before"
	refused := func(chosen string) {
		t.Helper()
		if err := s.SetPassword(ctx, "", "u", chosen, true); fault.Text(err) != before {
			t.Errorf("%s: %v", chosen, err)
		}
	}
	refused("alpha-1") // the present one
	must(t, s.SetPassword(ctx, "", "u", "beta-2", true))
	refused("alpha-1")
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{Password=gamma-3;PasswordEncryption=clear;}")))
	refused("alpha-1")
	refused("beta-2")
	must(t, s.SetPassword(ctx, "", "u", "delta-4", false))
	refused("gamma-3") // it was stored in clear
	must(t, s.SetPassword(ctx, "", "u", "alpha-1", true))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	former := a.explicit.Strings(keyFormer)
	if len(former) != 2 || strings.Contains(strings.Join(former, " "), "gamma-3") || strings.Contains(strings.Join(former, " "), "delta-4") {
		t.Errorf("kept: %v", former)
	}
	d, err := s.AccountSettings("", "u").Get(ctx)
	must(t, err)
	if d[keyFormer] != nil {
		t.Error("former passwords are shown")
	}
	must(t, s.AccountSettings("", "u").Set(ctx, dict(t, "{PasswordHistory=2;Password=epsilon-5;}")))
	refused("alpha-1")
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{PasswordHistory=0;}")))
	must(t, s.SetPassword(ctx, "", "u", "alpha-1", true))
	if a, err = s.Account(ctx, "", "u"); err != nil || a.explicit[keyFormer] != nil {
		t.Errorf("kept without a history: %v %v", a.explicit[keyFormer], err)
	}
}

package password

import "testing"

func TestCommonPasswords(t *testing.T) {
	for p, want := range map[string]bool{
		"password": true, "PassWord": true, "Password1!": true, "123456": true, "qwerty2026": true, "monkey": true, "ЙЦУКЕН": true, "пароль1": true,
		"password20261": false, "plum trombone 7": false, "12345678x!": false, "": false, "!!!": false, "correcthorse": false,
	} {
		if Common(p) != want {
			t.Errorf("%q: %v", p, !want)
		}
	}
}

func TestPasswordsMadeOfNames(t *testing.T) {
	for _, c := range []struct {
		password, name string
		want           bool
	}{
		{"anna", "anna", true}, {"ANNA1999", "anna", true}, {"!anna!", "anna", true}, {"nosirrah1", "harrison", true}, {"xxharrison", "harrison", true},
		{"harrison-plays-drums", "harrison", false}, {"joanna", "jo", false}, {"jo12", "jo", true}, {"Наталья1", "наталья", true}, {"other", "", false}, {"", "x", false},
	} {
		if got := Resembles(c.password, c.name); got != c.want {
			t.Errorf("%q of %q: %v", c.password, c.name, got)
		}
	}
}

func TestComplexity(t *testing.T) {
	for _, c := range []struct {
		level           Complexity
		password, lacks string
	}{
		{AnyComplexity, "a", ""}, {"", "a", ""}, {LettersDigits, "abc", "a digit"}, {LettersDigits, "12", "a letter"}, {LettersDigits, "a1", ""},
		{MixedDigits, "a1", "a capital letter"}, {MixedDigits, "Aa1", ""}, {MixedDigits, "Ж1", "a small letter"}, {MixedDigits, "字1", ""},
		{MixedDigitsEtc, "Aa1", "another character"}, {MixedDigitsEtc, "Aa 1", ""}, {MixedDigitsEtc, "", "a small letter, a capital letter, a digit, another character"},
	} {
		if got := c.level.Lacks(c.password); got != c.lacks {
			t.Errorf("%s %q: lacks %q, want %q", c.level, c.password, got, c.lacks)
		}
	}
}

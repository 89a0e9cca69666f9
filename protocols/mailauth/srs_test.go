package mailauth

import (
	"strings"
	"testing"
	"time"
)

func TestSRS(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	s := &SRS{Secrets: [][]byte{[]byte("new"), []byte("old")}, Now: clock}
	old := &SRS{Secrets: [][]byte{[]byte("old")}, Now: clock}
	other := &SRS{Secrets: [][]byte{[]byte("other")}, Now: clock}
	for _, a := range []string{"ann@far.test", "Ann.B+x=y@far.test", "a@b.c.d.e.far.test"} {
		local, domain, _ := strings.Cut(a, "@")
		made, ok := s.Forward(local, domain)
		if !ok || !IsSRS(made) {
			t.Errorf("%s: %q", a, made)
		}
		for _, m := range []string{made, strings.ToLower(made), strings.ToUpper(made)} {
			if back, err := s.Reverse(m); err != nil || !strings.EqualFold(back, a) {
				t.Errorf("%s: %s, %v", m, back, err)
			}
		}
		byOld, _ := old.Forward(local, domain)
		if back, err := s.Reverse(byOld); err != nil || back != a {
			t.Errorf("older secret: %s, %v", back, err)
		}
		byOther, _ := other.Forward(local, domain)
		for _, bad := range []string{byOther, strings.Replace(made, "far", "faz", 1), made[:len(made)-1], "SRS0=", "SRS0", "SRS0==", ""} {
			if back, err := s.Reverse(bad); err == nil {
				t.Errorf("%q leads to %s", bad, back)
			}
		}
	}
	made, _ := s.Forward("ann", "far.test")
	now = now.Add(srsDays * 24 * time.Hour)
	if _, err := s.Reverse(made); err != nil {
		t.Error(err)
	}
	now = now.Add(24 * time.Hour)
	if back, err := s.Reverse(made); err == nil {
		t.Errorf("an old address leads to %s", back)
	}
}

// TestSRSOfSRS: a report about mail that was passed on twice goes back the short way.
func TestSRSOfSRS(t *testing.T) {
	first, second, third := &SRS{Secrets: [][]byte{{1}}}, &SRS{Secrets: [][]byte{{2}}}, &SRS{Secrets: [][]byte{{3}}}
	a, _ := first.Forward("ann", "far.test")
	b, ok := second.Forward(a, "one.test")
	if !ok || !strings.HasPrefix(b, "SRS1=") {
		t.Fatalf("%q", b)
	}
	c, ok := third.Forward(b, "two.test")
	if !ok || !strings.HasPrefix(c, "SRS1=") {
		t.Fatalf("%q", c)
	}
	for _, x := range []struct {
		s     *SRS
		local string
	}{{third, c}, {second, b}} {
		if back, err := x.s.Reverse(x.local); err != nil || back != a+"@one.test" {
			t.Errorf("%s leads to %s, %v", x.local, back, err)
		}
	}
}

func TestSRSThatDoesNotFit(t *testing.T) {
	s := &SRS{Secrets: [][]byte{{1}}}
	for _, local := range []string{strings.Repeat("x", 60), `"a b"`, "a@b"} {
		if made, ok := s.Forward(local, "far.test"); ok {
			t.Errorf("%q", made)
		}
	}
	if _, ok := (&SRS{}).Forward("a", "b.test"); ok {
		t.Error("an address without a secret")
	}
}

func FuzzSRS(f *testing.F) {
	s := &SRS{Secrets: [][]byte{{1}}}
	a, _ := s.Forward("ann", "far.test")
	b, _ := s.Forward(a, "one.test")
	f.Add(a)
	f.Add(b)
	f.Add("\xf6")
	f.Fuzz(func(t *testing.T, local string) {
		IsSRS(local)
		s.Forward(local, "far.test")
		if back, err := s.Reverse(local); err == nil && !strings.EqualFold(local, a) && !strings.EqualFold(local, b) {
			t.Errorf("%q leads to %s", local, back)
		}
	})
}

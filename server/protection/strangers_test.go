package protection

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// The greylist outlives a restart, and its memory is bounded: who makes up triples pushes out nobody who has passed.
func TestGreylistIsKeptAndBounded(t *testing.T) {
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "Settings"), 0o700); err != nil {
		t.Fatal(err)
	}
	set := new(Settings)
	if err := settings.Load(set, dataformat.Dict{"Greylisting": dataformat.String("YES")}); err != nil {
		t.Fatal(err)
	}
	open := func() *Protection {
		t.Helper()
		p, err := Open(base, settings.NewLive(set), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ip := netip.MustParseAddr("198.51.100.7")
	synctest.Test(t, func(t *testing.T) {
		p := open()
		p.Greylisted(ip, "a@example.net", "larry@company.com")
		time.Sleep(5 * time.Minute)
		p.Greylisted(ip, "b@example.net", "larry@company.com")
		if _, grey := p.Greylisted(ip, "a@example.net", "larry@company.com"); grey {
			t.Error("who came again is put off")
		}
		for i := range maxGrey + 10 {
			p.Greylisted(ip, fmt.Sprint(i, "@made.up"), "larry@company.com")
		}
		if n := p.GreylistLen(); n > maxGrey+1 {
			t.Errorf("%d triples", n)
		}
		if err := p.saveGreylist(); err != nil {
			t.Fatal(err)
		}
		p = open()
		if _, grey := p.Greylisted(ip, "a@example.net", "larry@company.com"); grey {
			t.Error("who has passed is put off after a restart")
		}
		if n := p.GreylistLen(); n != maxGrey+1 {
			t.Errorf("%d triples after a restart", n)
		}
		time.Sleep(37 * 24 * time.Hour)
		if _, grey := p.Greylisted(ip, "a@example.net", "larry@company.com"); !grey || p.GreylistLen() != 1 {
			t.Errorf("after its life: put off %v, %d triples", grey, p.GreylistLen())
		}
	})
	for text, want := range map[string]int{"": 0, "greylist 2\nx\n": 0, "greylist 1\nnonsense\n" + strings.Repeat("0", 32) + " 1 passed\n" + strings.Repeat("1", 32) + " 1 what\n": 1} {
		if err := os.WriteFile(filepath.Join(base, "Settings", greylistFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n := open().GreylistLen(); n != want {
			t.Errorf("%q: %d triples", text, n)
		}
	}
}

func TestPatternsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		`("* *")`: "would refuse every message", `("a\eb")`: "one line", `({a=b;})`: "an array of patterns",
		`("` + strings.Repeat("x", 501) + `")`: "at most 500", "(" + strings.Repeat("x,", 200) + "x)": "more than 200",
	} {
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := new(Patterns).SetValue(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
	var p Patterns
	if err := p.SetValue(dataformat.String("")); err != nil || len(p) != 0 {
		t.Errorf("the empty value: %v, %v", p, err)
	}
}

func TestGreylistSettingsThatCannotBe(t *testing.T) {
	for key, value := range map[string]string{"GreylistDelay": "2h", "GreylistRetryWithin": "5m"} {
		if err := settings.Load(new(Settings), dataformat.Dict{key: dataformat.String(value)}); err == nil {
			t.Errorf("%s=%s is taken", key, value)
		}
	}
}

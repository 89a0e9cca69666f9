package protection

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

var ctx = context.Background()

func open(t testing.TB) *Protection {
	t.Helper()
	base := t.TempDir()
	must(t, os.Mkdir(filepath.Join(base, "Settings"), 0o700))
	set := new(Settings)
	must(t, settings.Load(set, nil))
	p, err := Open(base, settings.NewLive(set), slog.New(slog.DiscardHandler))
	must(t, err)
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestListsKeepTheirTextAndHoldAfterAReload(t *testing.T) {
	p := open(t)
	const text = "10.0.0.5 ; one\n10.0.0.10-10.0.0.90\n172.16.1.0/24\n!172.16.1.254 ; the router\n2001:db8::/32"
	for l := range lists {
		must(t, p.SetList(ctx, l, text))
	}
	if err := p.SetList(ctx, Denied, "10.0.0.0/8\nnonsense"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad line: %v", err)
	}
	again, err := Open(filepath.Dir(p.dir), nil, p.log)
	must(t, err)
	for l := range lists {
		if got := again.List(l).String(); got != text {
			t.Errorf("%s: %q", l.File(), got)
		}
		for address, want := range map[string]bool{"10.0.0.5": true, "10.0.0.9": false, "10.0.0.90": true, "172.16.1.1": true, "172.16.1.254": false, "2001:db8::9": true, "::ffff:10.0.0.5": true} {
			if again.List(l).Contains(ip(address)) != want {
				t.Errorf("%s: %s is not %v", l.File(), address, want)
			}
		}
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "WhiteHoles.data"), []byte(`"nonsense"`), 0o600))
	if err := p.Reload(); err == nil || !strings.Contains(fault.Explain(err), "WhiteHoles.data") {
		t.Errorf("a damaged file: %v", err)
	}
	if !p.WhiteHole(ip("10.0.0.5")) {
		t.Error("a damaged file took the list away")
	}
}

// White Holes win over everything, the Blacklist wins over Client IPs (abuse class 33).
func TestWhichListWins(t *testing.T) {
	p := open(t)
	must(t, p.SetList(ctx, Clients, "10.0.0.0/8"))
	must(t, p.SetList(ctx, Blacklist, "10.1.0.0/16\n192.0.2.0/24"))
	must(t, p.SetList(ctx, Denied, "10.1.1.0/24\n192.0.2.0/24"))
	must(t, p.SetList(ctx, WhiteHoles, "10.1.1.1\n192.0.2.1"))
	for address, want := range map[string]string{
		"10.0.0.1": "CLIENT", "10.1.0.1": "BLACKLISTED", "10.1.1.2": "DENIED,BLACKLISTED", "10.1.1.1": "WHITEHOLE,CLIENT",
		"192.0.2.1": "WHITEHOLE", "192.0.2.2": "DENIED,BLACKLISTED", "198.51.100.1": "",
	} {
		if got := strings.Join(p.State(ip(address), false), ","); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestBlocksBeginEndAndAreLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		must(t, p.SetList(ctx, WhiteHoles, "192.0.2.66"))
		report := func(address string, c Cause, n int) (blocked bool) {
			for range n {
				blocked = p.Report(ip(address), c)
			}
			return blocked
		}
		blocked := func(address string) bool { _, is := p.Blocked(ip(address)); return is }
		if report("192.0.2.1", UnknownRecipients, 9) || blocked("192.0.2.1") {
			t.Error("blocked too early")
		}
		if !report("192.0.2.1", UnknownRecipients, 1) || !blocked("::ffff:192.0.2.1") || blocked("192.0.2.2") {
			t.Error("not blocked, or another one is")
		}
		// Trusted addresses are not even counted: nothing is left of it when they are trusted no more.
		if report("192.0.2.66", Spamtrap, 1) || report("127.0.0.1", EarlyTalker, 1) {
			t.Error("a White Hole or a Client IP is blocked")
		}
		if !report("2001:db8::1", Spamtrap, 1) || !blocked("2001:db8::ffff") || blocked("2001:db8:0:1::1") {
			t.Error("IPv6 is not blocked by /64")
		}
		// A White Hole is let in at once, even if it was blocked before.
		must(t, p.SetList(ctx, WhiteHoles, "192.0.2.1"))
		if blocked("192.0.2.1") {
			t.Error("a White Hole stays blocked")
		}
		must(t, p.SetList(ctx, WhiteHoles, ""))
		if list := p.Blocks(); len(list) != 2 || !slices.ContainsFunc(list, func(b Block) bool {
			return b.Network == Network(ip("192.0.2.1")) && b.Cause == UnknownRecipients && b.Count == 10 && b.Until.Sub(b.Since) == 15*time.Minute
		}) {
			t.Errorf("%v", list)
		}
		if !p.Lift(Network(ip("192.0.2.1"))) || blocked("192.0.2.1") || p.Lift(Network(ip("192.0.2.1"))) {
			t.Error("not lifted")
		}
		must(t, p.BlockFor(ip("198.51.100.1"), time.Hour))
		if report("198.51.100.1", Spamtrap, 1); p.Blocks()[0].Cause != Administrator {
			t.Error("an event has shortened what an administrator has made")
		}
		time.Sleep(16 * time.Minute)
		if blocked("2001:db8::1") || !blocked("198.51.100.1") || len(p.Blocks()) != 1 {
			t.Errorf("after its time: %v", p.Blocks())
		}
		// An event now and then never blocks.
		for range 30 {
			if report("192.0.2.9", UnknownRecipients, 1) {
				t.Error("blocked for events far apart")
			}
			time.Sleep(2 * time.Minute)
		}
		for _, err := range []error{p.BlockFor(ip("192.0.2.1"), 31*24*time.Hour), p.BlockFor(ip("192.0.2.1"), 0)} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestTablesAreBounded(t *testing.T) {
	p := open(t)
	for i := range maxBlocks + 1000 {
		p.Block(netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}), Spamtrap, 1)
	}
	if n := p.Len(); n != maxBlocks {
		t.Errorf("%d blocks", n)
	}
	if _, is := p.Blocked(ip("100.0.0.0")); is {
		t.Error("the oldest is still there")
	}
	var err error
	for i := 0; i <= maxManual && err == nil; i++ {
		err = p.BlockFor(netip.AddrFrom4([4]byte{101, 0, byte(i >> 8), byte(i)}), time.Hour)
	}
	if !fault.Is(err, fault.TooMany) {
		t.Errorf("administrators' blocks: %v", err)
	}
}

func TestSettingsThatBlockEverybodyAreRefused(t *testing.T) {
	for _, s := range []func(*Settings){
		func(s *Settings) { s.DenyAccessFor = settings.Period(31 * 24 * time.Hour) },
		func(s *Settings) { s.DenyAccessFor = settings.Never },
		func(s *Settings) { s.Spamtraps.Count = 0 },
	} {
		set := new(Settings)
		must(t, settings.Load(set, nil))
		must(t, set.Validate())
		if s(set); set.Validate() == nil {
			t.Errorf("%+v", set)
		}
	}
}

// Sessions with a Debug IP write all records, whatever the level of the log; others do not.
func TestDebugIPsWriteAllRecords(t *testing.T) {
	p := open(t)
	must(t, p.SetList(ctx, Debug, "198.51.100.0/24\n!198.51.100.66"))
	var sink lines
	log := logs.New(&sink, func() *logs.Levels { return &logs.Levels{Default: 1} })
	for from, want := range map[string]bool{"198.51.100.7": true, "::ffff:198.51.100.7": true, "198.51.100.66": false, "192.0.2.1": false} {
		sink = nil
		p.SessionLog(log, ip(from)).Log(ctx, logs.LevelAll, "cmd: NOOP")
		if got := len(sink) > 0; got != want {
			t.Errorf("%s: written %v, want %v", from, got, want)
		}
	}
	if got := p.State(ip("198.51.100.7"), false); !slices.Equal(got, []string{"DEBUG"}) {
		t.Errorf("%v", got)
	}
}

type lines []string

func (l *lines) Line(line []byte, _ bool) { *l = append(*l, string(line)) }

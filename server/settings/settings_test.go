package settings

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

type sample struct {
	MaxMessageSize Size            `key:"MaxMessageSize" default:"50M" unit:"bytes" help:"largest message"`
	Timeout        Period          `key:"Timeout" default:"5m" help:"idle time" level:"advanced" since:"0.1"`
	Flow           Rate            `key:"Flow" default:"(20, 15)" help:"messages in a period"`
	Clients        IPList          `key:"Clients" help:"trusted addresses"`
	On             Flag            `key:"On" default:"YES" help:"switch"`
	Plain          bool            `key:"Plain" default:"NO" help:"switch too"`
	Channels       int             `key:"Channels" default:"100" help:"sessions"`
	Mode           string          `key:"Mode" default:"Rejected" values:"Rejected|Accepted and Bounced" help:"policy"`
	Names          []string        `key:"Names" help:"names"`
	Listener       Listeners       `key:"Listener" default:"({Port=25;})" help:"where to listen"`
	Extra          dataformat.Dict `key:"Extra" help:"anything"`
}

func dict(t *testing.T, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v.(dataformat.Dict)
}

func TestDefaults(t *testing.T) {
	var s sample
	if err := Load(&s, nil); err != nil {
		t.Fatal(err)
	}
	if s.MaxMessageSize != 50<<20 || s.Timeout.Duration() != 5*time.Minute || s.Flow != (Rate{20, Period(15 * time.Second)}) ||
		!bool(s.On) || s.Plain || s.Channels != 100 || s.Mode != "Rejected" || len(s.Listener) != 1 || s.Listener[0].Port != 25 ||
		s.Listener[0].TLS != TLSStart {
		t.Errorf("defaults: %+v", s)
	}
	if e := Explicit(&s); len(e) != 0 {
		t.Errorf("defaults are explicit: %v", e)
	}
	if err := Check(&s); err != nil {
		t.Error(err)
	}
}

func TestNumbersInEveryFormThatClientsSend(t *testing.T) {
	for _, form := range []string{`5`, `"5"`, `#5`, `"#5"`} {
		var s sample
		if err := Load(&s, dict(t, "{Channels="+form+";MaxMessageSize="+form+";Timeout="+form+";Flow=("+form+",10);}")); err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		if s.Channels != 5 || s.MaxMessageSize != 5 || s.Timeout != Period(5*time.Second) || s.Flow.Count != 5 {
			t.Errorf("%s: %+v", form, s)
		}
	}
}

func TestExplicitIsWhatDiffersFromTheDefaults(t *testing.T) {
	var s sample
	if err := Load(&s, dict(t, `{Future={a=b;};MaxMessageSize=10M;Mode="accepted and bounced";}`)); err != nil {
		t.Fatal(err)
	}
	s.Channels = 7
	s.Names = []string{"a", "b c"}
	want := `{Channels=7;MaxMessageSize=10M;Mode="Accepted and Bounced";Names=(a,"b c");}`
	if got := dataformat.Compact(Explicit(&s)); got != want {
		t.Errorf("explicit = %s\nwant       %s", got, want)
	}
	var again sample
	if err := Load(&again, Explicit(&s)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s, again) {
		t.Errorf("again: %+v", again)
	}
}

func TestUnknownKeysAreFound(t *testing.T) {
	var a, b sample
	n := NamesOf(Describe(&a), Describe(&b))
	if got := n.Unknown(dict(t, `{MaxMesageSize=1;Channels=x;Zeta=();timeout=5m;}`)); !slices.Equal(got, []string{"MaxMesageSize", "Zeta", "timeout"}) {
		t.Errorf("unknown: %q", got)
	}
}

func TestLikelyKeyIsFound(t *testing.T) {
	n := NamesOf(Describe(&sample{}))
	for given, want := range map[string]string{
		"MaxMesageSize": "MaxMessageSize", "maxmessagesize": "MaxMessageSize", "MaxMessageSizes": "MaxMessageSize",
		"Chanels": "Channels", "Cannel": "Channels", "Zeta": "", "": "", "X": "", strings.Repeat("Channels", 100): "",
	} {
		if got := n.Likely(given); got != want {
			t.Errorf("%.20q: %q, not %q", given, got, want)
		}
	}
}

func TestNamesAreTakenInAnyCase(t *testing.T) {
	n := NamesOf(Describe(&sample{}))
	got, err := n.Respell(dict(t, `{maxmessagesize=1;CHANNELS=2;Timeout=3;other=4;}`))
	if s := dataformat.Compact(got); err != nil || s != `{Channels=2;MaxMessageSize=1;Timeout=3;other=4;}` {
		t.Errorf("%s, %v", s, err)
	}
	_, err = n.Respell(dict(t, `{channels=1;Channels=2;}`))
	if !fault.Is(err, fault.Invalid) || fault.Text(err) != "Channels: the setting is given twice" {
		t.Errorf("twice: %v", err)
	}
}

func TestSecretsAreKnownByTheirNames(t *testing.T) {
	type declared struct {
		Key      string `key:"SharedKey" secret:"yes" help:"h"`
		UsePwd   Flag   `key:"UsePassword" help:"h"`
		Password string `key:"Password" secret:"yes" help:"h"`
	}
	n := NamesOf(Describe(&declared{}))
	for name, want := range map[string]bool{
		"SharedKey": true, "sharedkey": true, "UsePassword": false, "usepassword": false, "Password": true, "PASSWORD": true,
		"SIPPassword": true, "Passwort": true, "passwd": true, "Pass": true, "pw": true, "UserPwd": true, "RADIUSSecret": true,
		"PrivateSecureKey": true, "Passport": false, "title": false, "Bypass": false,
	} {
		if got := n.Secret(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestErrorsNameKeyAndReason(t *testing.T) {
	for text, want := range map[string]string{
		`{MaxMessageSize=12X;}`:             `MaxMessageSize: "12X" is not a size`,
		`{Timeout=5y;}`:                     `Timeout: "5y" is not a period`,
		`{Flow=5;}`:                         `Flow: a pair (count, period) is expected`,
		`{Flow=(a,5);}`:                     `Flow: "a" is not a number`,
		`{On=maybe;}`:                       `On: "maybe" is neither YES nor NO`,
		`{Channels=x;}`:                     `Channels: "x" is not a number`,
		`{Mode=Sometimes;}`:                 `Mode: "Sometimes" is not one of Rejected, Accepted and Bounced`,
		`{Clients="10.0.0.1\e10.0.0.300";}`: `Clients: line 2: "10.0.0.300" is not an address`,
		`{Listener=({Port=0;});}`:           `Listener: listener 1: Port: 0 is not a port number`,
		`{Listener=({Port=25;TLS=x;});}`:    `Listener: listener 1: TLS: "x" is not none, start or implicit`,
		`{Names={};}`:                       `Names: an array of strings is expected`,
		`{MaxMessageSize=(a);}`:             `MaxMessageSize: a single value is expected`,
	} {
		s := sample{Channels: 3}
		err := Load(&s, dict(t, text))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if s.Channels != 3 {
			t.Errorf("%s: the struct was changed", text)
		}
	}
}

func TestSizeAndPeriodReadBack(t *testing.T) {
	for _, text := range []string{"0", "1", "1023", "1K", "10M", "1025", "30G", "2T", "unlimited"} {
		s, err := ParseSize(text)
		if err != nil || s.String() != text {
			t.Errorf("size %s: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"0", "1s", "90s", "1m", "2h", "5d", "never"} {
		p, err := ParsePeriod(text)
		if err != nil || p.String() != text {
			t.Errorf("period %s: %v, %v", text, p, err)
		}
	}
	for _, bad := range []string{"", "K", "-5", "9999999999G", "1.5M", "0x10"} {
		if s, err := ParseSize(bad); err == nil {
			t.Errorf("size %q = %v", bad, s)
		}
	}
	for _, bad := range []string{"", "m", "-5m", "99999999999999d"} {
		if p, err := ParsePeriod(bad); err == nil {
			t.Errorf("period %q = %v", bad, p)
		}
	}
}

// Scripts compare the period of a flow limit as a number of seconds.
func TestRateReadsBack(t *testing.T) {
	for _, text := range []string{`("-1",15)`, "(20,15)", "(10,1m)", "(60,1h)", "(1,90)", "(1,0)", "(1,never)"} {
		var r Rate
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetValue(v); err != nil || r.String() != text {
			t.Errorf("rate %s: %v, %v", text, r, err)
		}
	}
}

func TestLayersInherit(t *testing.T) {
	var s sample
	var bad []string
	LoadLayers(&s, []dataformat.Dict{
		dict(t, `{MaxMessageSize=oops;Channels=1;}`), dict(t, `{MaxMessageSize=2M;Channels=2;On=NO;}`),
	}, func(key string, reason error) { bad = append(bad, key) })
	if s.MaxMessageSize != 2<<20 || s.Channels != 1 || bool(s.On) || s.Timeout != Period(5*time.Minute) {
		t.Errorf("%+v", s)
	}
	if !reflect.DeepEqual(bad, []string{"MaxMessageSize"}) {
		t.Errorf("bad = %v", bad)
	}
}

func TestMerge(t *testing.T) {
	got := Merge(dict(t, `{a=1;b=2;c=3;}`), dict(t, `{b=default;c=Default;d=4;}`))
	if s := dataformat.Compact(got); s != `{a=1;d=4;}` {
		t.Errorf("merge = %s", s)
	}
	got = Merge(dict(t, `{abc=1;Def=2;ghi=3;}`), dict(t, `{ABC=4;def=default;}`))
	if s := dataformat.Compact(got); s != `{ABC=4;ghi=3;}` {
		t.Errorf("merge with other cases = %s", s)
	}
}

func TestIPList(t *testing.T) {
	l, err := ParseIPList("10.0.0.0-10.0.0.255\n192.168.1.0/24 ; the office\n; nothing\n\n!192.168.1.1\n2001:db8::/64\n10.0.0.100-10.0.1.5\n[::1]")
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]bool{
		"10.0.0.0": true, "10.0.0.255": true, "10.0.1.5": true, "10.0.1.6": false, "9.255.255.255": false,
		"192.168.1.1": false, "192.168.1.2": true, "192.168.2.0": false, "::ffff:192.168.1.2": true,
		"2001:db8::1": true, "2001:db8:0:1::": false, "::1": true, "::2": false,
	} {
		if got := l.Contains(netip.MustParseAddr(ip)); got != want {
			t.Errorf("Contains(%s) = %v", ip, got)
		}
	}
	if (IPList{}).Contains(netip.MustParseAddr("10.0.0.1")) || l.Contains(netip.Addr{}) {
		t.Error("nothing contains something")
	}
	for _, bad := range []string{"10.0.0.5-10.0.0.1", "10.0.0.1-::1", "10.0.0.0/33", "host.example", "10.0.0"} {
		if _, err := ParseIPList(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestExclusionCountsWhereverItStands(t *testing.T) {
	for _, text := range []string{"!10.0.0.5\n10.0.0.0/24", "10.0.0.0/24\n!10.0.0.5"} {
		l, err := ParseIPList(text)
		if err != nil {
			t.Fatal(err)
		}
		if l.Contains(netip.MustParseAddr("10.0.0.5")) || !l.Contains(netip.MustParseAddr("10.0.0.6")) {
			t.Errorf("%q", text)
		}
	}
}

func TestListenerReadsBack(t *testing.T) {
	text := `({Port=25;},{Address=127.0.0.1;Allow="10.0.0.0/8";PerIP=10;Port=465;TLS=implicit;})`
	v, err := dataformat.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var ls Listeners
	if err := ls.SetValue(v); err != nil {
		t.Fatal(err)
	}
	if got := dataformat.Compact(ls.DataValue()); got != text {
		t.Errorf("printed %s", got)
	}
	if ls[1].String() != "127.0.0.1:465" || ls[0].String() != "*:25" {
		t.Errorf("%v %v", ls[0], ls[1])
	}
}

func TestTableHasOneRowPerSetting(t *testing.T) {
	var s sample
	if err := Load(&s, nil); err != nil {
		t.Fatal(err)
	}
	list := Describe(&s)
	table := Table(list)
	if n := strings.Count(table, "\n"); n != len(list)+2 {
		t.Errorf("%d lines for %d settings:\n%s", n, len(list), table)
	}
	for _, want := range []string{"| `MaxMessageSize` | size (bytes) | `50M` | basic |", "| `Mode` | Rejected, Accepted and Bounced | `Rejected` |", "| `Timeout` | period | `5m` | advanced | 0.1 |"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %s in\n%s", want, table)
		}
	}
}

func TestCheckFindsBadDeclarations(t *testing.T) {
	type noHelp struct {
		A int `key:"A"`
	}
	type badDefault struct {
		A Size `key:"A" default:"x" help:"h"`
	}
	type twice struct {
		A int `key:"A" help:"h"`
		B int `key:"A" help:"h"`
	}
	type wrongType struct {
		A chan int `key:"A" default:"1" help:"h"`
	}
	for _, v := range []any{&noHelp{}, &badDefault{}, &twice{}, &wrongType{}} {
		if Check(v) == nil {
			t.Errorf("%T passes", v)
		}
	}
}

func TestLive(t *testing.T) {
	l := NewLive(&sample{Channels: 1})
	old := l.Get()
	l.Set(&sample{Channels: 2})
	if old.Channels != 1 || l.Get().Channels != 2 {
		t.Error("a snapshot has changed")
	}
}

func FuzzIPList(f *testing.F) {
	f.Add("10.0.0.0-10.0.0.255\n192.168.1.0/24\n!192.168.1.1 ; comment")
	f.Add("::1-::ffff\n[2001:db8::]\nfe80::1%eth0")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseIPList(text)
		if err != nil {
			return
		}
		if l.String() != text {
			t.Error("the text has changed")
		}
		for _, r := range l.set.in {
			if l.Contains(r.from) == inRanges(l.set.out, r.from) {
				t.Errorf("%q: %v", text, r.from)
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{MaxMessageSize=10M;Timeout=5m;Flow=(20,15);Listener=({Port=25;});}`))
	f.Add([]byte(`{Listener=({Port="#25";Allow="10.0.0.0/8";});Names=(a);On=YES;}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := dataformat.Parse(text)
		d, ok := v.(dataformat.Dict)
		if err != nil || !ok {
			return
		}
		var s, again sample
		if Load(&s, d) != nil {
			return
		}
		if err := Load(&again, Explicit(&s)); err != nil {
			t.Fatalf("what was loaded cannot be loaded again: %v", err)
		}
		if a, b := dataformat.Compact(Effective(&s)), dataformat.Compact(Effective(&again)); a != b {
			t.Errorf("%s\n%s", a, b)
		}
	})
}

func BenchmarkIPListContains(b *testing.B) {
	l, _ := ParseIPList("10.0.0.0/8\n192.168.1.0/24\n!192.168.1.1\n2001:db8::/64")
	ip := netip.MustParseAddr("192.168.1.77")
	b.ReportAllocs()
	for b.Loop() {
		l.Contains(ip)
	}
}

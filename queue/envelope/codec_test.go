package envelope

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatepost/router/address"
	"gatepost/server/fault"
)

var update = flag.Bool("update", false, "rewrite golden files")

func mustParse(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

// Every file in testdata/heads is a queue file of a server of some version; the
// golden file beside it is what we make of it.
func TestReadHeadReadsFilesOfAllVersions(t *testing.T) {
	files, err := filepath.Glob("testdata/heads/*.msg")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			env, layout, err := ReadHead(bufio.NewReaderSize(bytes.NewReader(data), 16))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "source %+v\npath %q rules done %v\nid %q return %v body %v utf8 %v submitted %v\n", env.Source,
				env.ReturnPath.String(), env.RulesDone, env.ID, env.Return, env.Body, env.SMTPUTF8, env.Submitted)
			for i, r := range env.Recipients {
				fmt.Fprintf(&b, "rcpt %q orcpt %q notify %03b state %c warned %d; in the file %c %s\n", r.Address.String(), r.Original, r.Notify,
					r.State, r.Warned, data[layout.StateAt(i)], data[layout.WarnedAt(i):layout.WarnedAt(i)+4])
			}
			fmt.Fprintf(&b, "version %d\nmessage %q\n", layout.Version, data[layout.Message:])
			golden := strings.TrimSuffix(file, ".msg") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got\n%swant\n%s", b.String(), want)
			}
		})
	}
}

func TestOwnSampleIsWrittenByteForByte(t *testing.T) {
	data, err := os.ReadFile("testdata/heads/own.msg")
	if err != nil {
		t.Fatal(err)
	}
	env, layout, err := ReadHead(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	got, wrote, err := AppendHead(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(data[:layout.Message]) {
		t.Errorf("got\n%swant\n%s", got, data[:layout.Message])
	}
	if !reflect.DeepEqual(layout, wrote) {
		t.Errorf("layout read %+v, written %+v", layout, wrote)
	}
}

func TestHeadSurvivesEveryField(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 8, 7, 0, time.UTC)
	for name, env := range map[string]*Envelope{
		"least": {Source: Source{Tag: "DSN", Trusted: true}, Submitted: at,
			Recipients: []Recipient{{Address: mustParse(t, "postmaster"), State: Waiting}}},
		"envid is a dash": {Source: Source{Tag: "SMTP"}, Submitted: at, ID: "-",
			Recipients: []Recipient{{Address: mustParse(t, "a@b.c"), State: Waiting}}},
		"full": {
			Source: Source{Tag: "HTTPU", IP: netip.MustParseAddr("192.0.2.7"), Account: "ann@client.dom", Domain: "client.dom",
				LocalIP: netip.MustParseAddr("2001:db8::2"), Trusted: true},
			Submitted: at, ReturnPath: mustParse(t, "jürgen@client.dom"), ReturnPathLocal: "ju\u0308rgen", ID: "a b=c+d", Return: ReturnFull,
			Body: BodyBinaryMIME, SMTPUTF8: true, RequireTLS: true, RulesDone: true, Bulk: true, Junk: true,
			Personal: "List-Unsubscribe: <https://client.dom/" + TokenMark + ">\r\n" + strings.Repeat("X-Long: ä\r\n", 200),
			Recipients: []Recipient{
				{Address: mustParse(t, "joe%far.org@[192.0.2.1]"), Notify: NotifySuccess | NotifyDelay, State: Delivered, Warned: 17},
				{Address: mustParse(t, "Joe@far.org"), Local: `"Joe"`, Notify: NotifyDefault, State: Waiting},
				{Address: mustParse(t, "box#john@company.com"), Notify: NotifyDefault, State: Waiting, Original: "rfc822;x+y=z@old.org"},
				{Address: mustParse(t, `"a@b"@far.org`), Local: `"a@b"`, Notify: NotifyDefault, State: Waiting},
				{Address: mustParse(t, "@far.org:a@b"), Notify: NotifyDefault, State: Waiting},
				{Address: mustParse(t, `"odd <> name"@client.dom`), Notify: NotifyDefault, State: Waiting},
				{Address: mustParse(t, "all@company.com"), Notify: NotifySuccess, State: Waiting, Expanded: true},
				{Address: mustParse(t, "kit@far.org"), Original: "rfc822;kit@far.org", State: Waiting, Token: "4F6XT3pO"},
			},
		},
		"only the local address": {Source: Source{Tag: "SMTP", LocalIP: netip.MustParseAddr("192.0.2.1")}, Submitted: at,
			Recipients: []Recipient{{Address: mustParse(t, "a@b.c"), State: Failed}}},
	} {
		t.Run(name, func(t *testing.T) {
			text, layout, err := AppendHead([]byte("before"), env)
			if err != nil {
				t.Fatal(err)
			}
			text = text[len("before"):]
			got, read, err := ReadHead(bufio.NewReader(bytes.NewReader(text)))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if !reflect.DeepEqual(got, env) {
				t.Errorf("got  %+v\nwant %+v\n%s", got, env, text)
			}
			if !reflect.DeepEqual(layout, read) {
				t.Errorf("layout written %+v, read %+v", layout, read)
			}
		})
	}
}

// What an older server meant by the column is not known: its recipients get the message.
func TestNoRecipientOfAnOlderServerIsExpandedAndNoMailIsBulk(t *testing.T) {
	const head = "O LB\nP I 26-04-2019 15:57:14 0000 ____ ____ <user1@test.test>\nR W 26-04-2019 15:57:14 0000 E___ _FY_ <user3@test.test>\n\n"
	for text, want := range map[string]bool{head: false, "V 1\n" + head: true} {
		env, _, err := ReadHead(bufio.NewReader(strings.NewReader(text)))
		if err != nil || env.Recipients[0].Expanded != want || env.Bulk != want {
			t.Errorf("%v, %+v\n%s", err, env, text)
		}
	}
}

func TestAppendHeadRefusesWhatWouldForgeALine(t *testing.T) {
	good := func() *Envelope {
		return &Envelope{Source: Source{Tag: "SMTP"}, Recipients: []Recipient{{Address: address.Address{Local: "a", Domain: "b.c"}}}}
	}
	for name, spoil := range map[string]func(*Envelope){
		"return-path": func(e *Envelope) { e.ReturnPath = address.Address{Local: "x\nR W", Domain: "y"} },
		"recipient":   func(e *Envelope) { e.Recipients[0].Address.Domain = "b\r.c" },
		"account":     func(e *Envelope) { e.Source.Account = "a\n@b" },
		"tag":         func(e *Envelope) { e.Source.Tag = "A B" },
		"domain":      func(e *Envelope) { e.Source.Domain = "a\nO L" },
		"orcpt":       func(e *Envelope) { e.Recipients[0].Original = "rfc\n822;x" },
		"orcpt type":  func(e *Envelope) { e.Recipients[0].Original = "no type" },
		"long":        func(e *Envelope) { e.ReturnPath = address.Address{Local: strings.Repeat("a", MaxLine), Domain: "y"} },
	} {
		env := good()
		spoil(env)
		if text, _, err := AppendHead(nil, env); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, wrote %q", name, err, text)
		}
	}
}

func TestReadHeadRefusesDamage(t *testing.T) {
	const r = "R W 26-04-2019 15:57:14 0000 ____ _FY_ <user3@test.test>\n"
	const p = "P I 26-04-2019 15:57:14 0000 ____ ____ <user1@test.test>\n"
	for name, c := range map[string]struct {
		text string
		kind fault.Kind
	}{
		"empty":              {"", fault.Corrupt},
		"no recipient":       {p + "\n", fault.Corrupt},
		"no return-path":     {r + "\n", fault.Corrupt},
		"no end":             {p + r, fault.Corrupt},
		"cut in a line":      {p + r[:20], fault.Corrupt},
		"no letter":          {"Received: x\n" + p + r + "\n", fault.Corrupt},
		"zeros":              {strings.Repeat("\x00", 400), fault.Corrupt},
		"bad date":           {p + strings.Replace(r, "26-04", "26-24", 1) + "\n", fault.Corrupt},
		"bad counter":        {p + strings.Replace(r, "0000", "00x0", 1) + "\n", fault.Corrupt},
		"no address":         {p + "R W 26-04-2019 15:57:14 0000 ____ _FY_ <>\n\n", fault.Corrupt},
		"N before R":         {p + "N rfc822;a@b\n" + r + "\n", fault.Corrupt},
		"newer version":      {"V 2\n" + p + r + "\n", fault.Unsupported},
		"version of letters": {"V x\n" + p + r + "\n", fault.Corrupt},
		"long line":          {p + r + "Q " + strings.Repeat("x", MaxLine) + "\n\n", fault.Corrupt},
	} {
		if _, _, err := ReadHead(bufio.NewReader(strings.NewReader(c.text))); fault.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
}

func TestXText(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc": "abc", "a+b=c": "a+2Bb+3Dc", "a b\n": "a+20b+0A", "ü": "+C3+BC"} {
		got := string(AppendXText(nil, text))
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if back, err := DecodeXText(got); err != nil || back != text {
			t.Errorf("%q reads back as %q, %v", got, back, err)
		}
	}
	for _, bad := range []string{"+", "+2", "+2g", "+G2", "a b", "a=b", "\x7f"} {
		if got, err := DecodeXText(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

func FuzzReadHead(f *testing.F) {
	files, _ := filepath.Glob("testdata/heads/*.msg")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, layout, err := ReadHead(bufio.NewReaderSize(bytes.NewReader(data), 16))
		if err != nil {
			return
		}
		if layout.Message > int64(len(data)) {
			t.Fatalf("the message starts at %d of %d", layout.Message, len(data))
		}
		for i, r := range env.Recipients {
			if data[layout.StateAt(i)] != byte(r.State) {
				t.Fatalf("recipient %d: state letter not where the layout says", i)
			}
		}
		text, _, err := AppendHead(nil, env)
		if err != nil {
			return // a sample of an older server may hold what we don't write
		}
		again, _, err := ReadHead(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			t.Fatalf("own head is refused: %v\n%q", err, text)
		}
		second, _, err := AppendHead(nil, again)
		if err != nil || !bytes.Equal(text, second) {
			t.Fatalf("not stable: %v\n%q\n%q", err, text, second)
		}
	})
}

func FuzzXText(f *testing.F) {
	f.Add("a+2Bb")
	f.Add("+")
	f.Fuzz(func(t *testing.T, s string) {
		if text, err := DecodeXText(s); err == nil {
			if back, err := DecodeXText(string(AppendXText(nil, text))); err != nil || back != text {
				t.Fatalf("%q: %q, %v", s, back, err)
			}
		}
	})
}

func BenchmarkAppendHead(b *testing.B) {
	env := &Envelope{Source: Source{Tag: "SMTP", IP: netip.MustParseAddr("192.0.2.7"), Domain: "company.com"}, Submitted: time.Now(),
		ReturnPath: address.Address{Local: "joe", Domain: "far.org"},
		Recipients: []Recipient{{Address: address.Address{Local: "ann", Domain: "company.com"}, Notify: NotifyDefault}}}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := AppendHead(buf[:0], env); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadHead(b *testing.B) {
	data, err := os.ReadFile("testdata/heads/smtp-authenticated-2019.msg")
	if err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReaderSize(nil, 4096)
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(bytes.NewReader(data))
		if _, _, err := ReadHead(r); err != nil {
			b.Fatal(err)
		}
	}
}

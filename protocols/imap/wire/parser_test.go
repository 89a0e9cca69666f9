package wire

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// show reads an input in one way and prints result and error.
func show(in string, read func(p *Parser) any) string {
	var p Parser
	p.Reset([]byte(in))
	v := read(&p)
	if err := p.End(); err != nil {
		return "error: " + err.Error()
	}
	switch v := v.(type) {
	case []byte:
		return fmt.Sprintf("%q", v)
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

func TestTokens(t *testing.T) {
	astring := func(p *Parser) any { return p.AString() }
	set := func(p *Parser) any { return p.Set() }
	date := func(p *Parser) any { return p.Date() }
	dateTime := func(p *Parser) any { return p.DateTime() }
	for _, test := range []struct {
		read     func(p *Parser) any
		in, want string
	}{
		{astring, `abc`, `"abc"`},
		{astring, `a]b+c`, `"a]b+c"`},
		{astring, `~user/x`, `"~user/x"`},
		{astring, `"a b"`, `"a b"`},
		{astring, `"a\"\\b"`, `"a\"\\b"`},
		{astring, `"a\b"`, `error: only \ and " may be quoted by a backslash`},
		{astring, `"abc`, `error: a quoted string has no end`},
		{astring, `"abc\`, `error: only \ and " may be quoted by a backslash`},
		{astring, "\"a\xff\"", `error: a quoted string has to be UTF-8`},
		{astring, "\"a\r\nb\"", `error: a quoted string has to end in its line`},
		{astring, "{3}\r\nabc", `"abc"`},
		{astring, "{3+}\na\nc", `"a\nc"`},
		{astring, "~{1}\r\n\x00", `"\x00"`},
		{astring, "{4}\r\nabc", `error: a literal is not allowed here`},
		{astring, "{99999999999999999999}\r\nabc", `error: a number is too big`},
		{astring, `a(b`, `error: unexpected text after the arguments`},
		{astring, ``, `error: a string expected`},
		{astring, "\xc3\xa9", `error: a string expected`},
		{func(p *Parser) any { return p.Pattern() }, `a%b*]`, `"a%b*]"`},
		{func(p *Parser) any { return p.Keyword() }, `uId`, `"UID"`},
		{func(p *Parser) any { return p.Number() }, `4294967296`, `error: a number is too big`},
		{func(p *Parser) any { return p.Number64() }, `9223372036854775807`, `error: a number is too big`},
		{func(p *Parser) any { return p.NzNumber() }, `0`, `error: a number above 0 expected`},
		{func(p *Parser) any { return p.Flag() }, `\Seen`, `\Seen`},
		{func(p *Parser) any { return p.Flag() }, `\`, `error: a word expected`},
		{func(p *Parser) any { return p.Text() }, `nil`, ``},
		{func(p *Parser) any { return p.Text() }, `other`, `error: NIL expected`},
		{set, `1`, `[{1 1}]`},
		{set, `1:*,3,*:5`, `[{1 0} {3 3} {0 5}]`},
		{set, `0`, `error: a number above 0 expected`},
		{set, `1,`, `error: a number expected`},
		{set, `1:`, `error: a number expected`},
		{set, `1:2:3`, `error: unexpected text after the arguments`},
		{date, `1-Feb-1994`, `1994-02-01T00:00:00Z`},
		{date, `"29-fEB-2000"`, `2000-02-29T00:00:00Z`},
		{date, `29-Feb-1999`, `error: there is no such day`},
		{date, `0-Feb-1999`, `error: there is no such day`},
		{date, `1-Foo-1999`, `error: there is no month of that name`},
		{date, `1-Feb-99`, `error: a date expected, as 1-Feb-1994`},
		{date, `1-Feb-199x`, `error: a date expected, as 1-Feb-1994`},
		{dateTime, `" 1-Feb-1994 21:52:25 -0830"`, `1994-02-01T21:52:25-08:30`},
		{dateTime, `"01-Feb-1994 21:52:60 +0000"`, `1994-02-01T21:53:00Z`},
		{dateTime, `"01-Feb-1994 24:52:00 +0000"`, `error: no such time`},
		{dateTime, `"01-Feb-1994 20:52:00 +2400"`, `error: no such time`},
		{dateTime, `"01-Feb-1994 20:52:00"`, `error: ' ' expected`},
		{dateTime, `01-Feb-1994`, `error: '"' expected`},
	} {
		if got := show(test.in, test.read); got != test.want {
			t.Errorf("%q: %s, want %s", test.in, got, test.want)
		}
	}
}

func TestDepthIsLimited(t *testing.T) {
	var nest func(p *Parser) any
	nest = func(p *Parser) any {
		p.List(func() { nest(p) })
		return nil
	}
	deep := func(n int) string { return strings.Repeat("(", n) + strings.Repeat(")", n) }
	if got := show(deep(maxDepth), nest); got != "<nil>" {
		t.Error(got)
	}
	if got := show(deep(30000), nest); got != "error: imap: nested deeper than 1000" {
		t.Error(got)
	}
	if got := show("(", nest); got != "error: '(' expected" {
		t.Error(got)
	}
}

func TestSetsAreResolved(t *testing.T) {
	for _, test := range []struct {
		set  string
		last uint32
		want string
	}{
		{"5,1:3,2:4", 9, "[{1 5}]"},
		{"*:7,1", 9, "[{1 1} {7 9}]"},
		{"12:*", 9, "[{9 12}]"},
		{"*", 0, "[{0 0}]"},
		{"4294967295:4294967294,4294967293", 9, "[{4294967293 4294967295}]"},
	} {
		var p Parser
		p.Reset([]byte(test.set))
		s := p.Set().Resolve(test.last)
		if got := fmt.Sprint(s); got != test.want {
			t.Errorf("%s of %d: %s, want %s", test.set, test.last, got, test.want)
		}
		for n := uint32(0); n < 15; n++ {
			want := false
			for _, r := range s {
				want = want || n >= r.Low && n <= r.High
			}
			if s.Contains(n) != want {
				t.Errorf("%s: Contains(%d) is %v", test.set, n, !want)
			}
		}
	}
	if got := string(AppendSet(nil, []uint32{1, 2, 3, 7, 9, 10})); got != "1:3,7,9:10" {
		t.Error(got)
	}
}

func TestModifiedUTF7(t *testing.T) {
	for _, test := range []struct{ wire, name string }{
		{"INBOX", "INBOX"}, {"&-", "&"}, {"a&-b", "a&b"}, {"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"},
		{"&2D3eAA-", "😀"}, {"Entw&APw-rfe", "Entwürfe"}, {"&AOQ-&-&APY-", "ä&ö"},
	} {
		if got, ok := DecodeUTF7([]byte(test.wire)); !ok || got != test.name {
			t.Errorf("decode %s: %q %v", test.wire, got, ok)
		}
		if got := string(AppendUTF7(nil, test.name)); got != test.wire {
			t.Errorf("encode %s: %s", test.name, got)
		}
	}
	for _, bad := range []string{
		"&", "a&b", "&AGEAYg-", "&!-", "&A-", "&AOQ-&APY-", "&2D0-", "&3gA-", "&2D0AYQ-", "&AOR-", "&AOQ=-", "&AAo-", "a\nb", "a\x7f", "\xff", "&U/BTFw-", "&AOQAQ-", "&000\r-", "&U,BTF\nw-",
	} {
		if got, ok := DecodeUTF7([]byte(bad)); ok {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
}

func TestStrings(t *testing.T) {
	for _, test := range []struct {
		in   string
		utf8 bool
		want string
	}{
		{"", false, `""`}, {"abc", false, `"abc"`}, {`a"b\`, false, `"a\"b\\"`}, {"a\nb", false, "{3}\r\na\nb"},
		{"é", false, "{2}\r\né"}, {"é", true, `"é"`}, {"\xff", true, "{1}\r\n\xff"}, {strings.Repeat("x", 1001), false, "{1001}\r\n" + strings.Repeat("x", 1001)},
	} {
		if got := string(AppendString(nil, test.in, test.utf8)); got != test.want {
			t.Errorf("%q: %q", test.in, got)
		}
	}
	if got := string(AppendAString(nil, []byte("X-Tag"))); got != "X-Tag" {
		t.Error(got)
	}
	if got := string(AppendAString(nil, []byte("X Tag"))); got != `"X Tag"` {
		t.Error(got)
	}
}

// FuzzParser reads the tokens of any input in any order; a script chooses them.
func FuzzParser(f *testing.F) {
	f.Add([]byte(`a UID FETCH 1:*,3 (FLAGS BODY[HEADER.FIELDS ("x")])`), []byte{0, 1, 2, 1, 2, 1, 7, 1, 13})
	f.Add([]byte("{3+}\r\nabc \"q\\\"\" \\Seen \" 1-Feb-1994 21:52:25 -0800\""), []byte{3, 1, 4, 1, 10, 1, 9})
	f.Fuzz(func(t *testing.T, in, script []byte) {
		var p Parser
		p.Reset(in)
		for _, op := range script {
			switch op % 15 {
			case 0:
				p.Tag()
			case 1:
				p.Space()
			case 2:
				p.Keyword()
			case 3:
				p.AString()
			case 4:
				p.String()
			case 5:
				p.Pattern()
			case 6:
				p.Number64()
			case 7:
				if s := p.Set(); p.OK() {
					s.Resolve(9)
				}
			case 8:
				p.Date()
			case 9:
				p.DateTime()
			case 10:
				p.Flag()
			case 11:
				p.Item()
			case 12:
				p.Text()
			case 13:
				p.List(func() { p.AString() })
			case 14:
				p.Announcement()
			}
		}
		p.Rest(10)
	})
}

// FuzzUTF7 looks whether each accepted name is the one spelling of what it decodes to.
func FuzzUTF7(f *testing.F) {
	f.Add([]byte("Entw&APw-rfe"))
	f.Add([]byte("&2D3eAA-&-"))
	f.Fuzz(func(t *testing.T, in []byte) {
		name, ok := DecodeUTF7(in)
		if !ok {
			return
		}
		for _, c := range in {
			if c >= 0x80 {
				return // raw UTF-8, which is forgiven
			}
		}
		if again := AppendUTF7(nil, name); string(again) != string(in) {
			t.Errorf("%q is %q is %q", in, name, again)
		}
	})
}

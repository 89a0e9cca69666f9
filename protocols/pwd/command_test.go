package pwd

import (
	"os"
	"slices"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

func TestTableOfCommandsCompiles(t *testing.T) {
	commands, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	for verb, c := range commands {
		if c.run == nil || verb != strings.ToUpper(verb) {
			t.Errorf("%s cannot run", verb)
		}
		if notYet[verb] {
			t.Errorf("%s is a command: notYet may not have it", verb)
		}
	}
	for verb := range sessionCommands {
		if commands[verb] != nil {
			t.Errorf("%s is there twice", verb)
		}
	}
}

// The words of the product that scripts know: each is carried out or has a clear
// answer of its own.
func TestEveryKnownWordHasAnAnswer(t *testing.T) {
	text, err := os.ReadFile("testdata/words.txt")
	if err != nil {
		t.Fatal(err)
	}
	commands, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(text))
	for _, w := range words {
		if text := unknown(commands, w).text; commands[w] == nil && text != "command not supported" {
			t.Errorf("%s is neither a command nor in notYet: %s", w, text)
		}
	}
	for w := range notYet {
		if !slices.Contains(words, w) {
			t.Errorf("%s is not a word of the product", w)
		}
	}
}

func TestClusterForms(t *testing.T) {
	commands, err := compile()
	must(t, err)
	for verb, want := range map[string]string{
		"GETCLUSTERDOMAINDEFAULTS": "not a cluster member", "SETCLUSTERACCOUNTPREFS": "not a cluster member",
		"GETCLUSTERROUTERTABLE": "not a cluster member", "SETCLUSTERCLIENTIPS": "not a cluster member",
		"UPDATECLUSTERACCOUNTDEFAULTS": "not a cluster member", "LISTCLUSTERSKINS": "not a cluster member",
		"GETCLUSTERSETTINGS": "not a cluster member", "POSTCLUSTERALERT": "not a cluster member",
		"GETCLUSTERNONSENSE": "unknown command", "CLUSTER": "unknown command", "FOO": "unknown command", "": "unknown command",
	} {
		if r := unknown(commands, verb); r.code != 500 || r.text != want {
			t.Errorf("%s: %d %s", verb, r.code, r.text)
		}
	}
}

func TestEveryKindOfFailureHasAReply(t *testing.T) {
	for _, k := range fault.Kinds() {
		f, ok := failures[k]
		if !ok || f.code < 500 || f.code > 599 || f.text == "" || f.text[0] < 'a' || f.text[0] > 'z' {
			t.Errorf("%v: %+v", k, f)
		}
		r := failure(fault.New("op", k, ""))
		if r.code != f.code || r.text != f.text {
			t.Errorf("%v without a text: %+v", k, r)
		}
	}
	if len(failures) != len(fault.Kinds()) {
		t.Error("the table has kinds that do not exist")
	}
}

func TestRepliesStayOnOneLineAndTellNoCause(t *testing.T) {
	r := failure(fault.New("op", fault.Invalid, "\"a\r\n200 OK\" is not a name"))
	if strings.ContainsAny(r.text, "\r\n") {
		t.Errorf("%q", r.text)
	}
	r = failure(fault.Wrap("op", fault.Corrupt, os.ErrPermission))
	if strings.Contains(r.text, "permission") {
		t.Errorf("%q", r.text)
	}
	r = failure(fault.New("op", fault.BadCredentials, "the account is blocked"))
	if r.text != "incorrect password or account name" || r.code != 515 {
		t.Errorf("%+v", r)
	}
}

func TestAnswers(t *testing.T) {
	dict := dataformat.Dict{"b": dataformat.String("x y"), "a": dataformat.Number(5)}
	for _, c := range []struct {
		r      reply
		inline bool
		want   string
	}{
		{replyOK, true, "200 OK\r\n"},
		{replyOK, false, "200 OK\r\n"},
		{withData(dict), true, "201 {a=#5;b=\"x y\";}\r\n"},
		{withData(dict), false, "200 data follow\r\n{\n  a =  #5;\n  b =  \"x y\";\n}\r\n"},
		{withData(dataformat.Dict{}), true, "201 {}\r\n"},
		{withData(dataformat.Array{}), true, "201 ()\r\n"},
		{withData(dataformat.String("")), true, "201 \"\"\r\n"},
		{withData(dataformat.String("company.com")), false, "200 data follow\r\ncompany.com\r\n"},
		{withData(dataformat.Null{}), true, "201 #NULL#\r\n"},
	} {
		if got := string(appendReply(nil, c.r, c.inline)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestSyntax(t *testing.T) {
	const create = "name [type=MultiMailbox|AGrade] [PATH path] [LEGACY|EXTERNAL] [{settings}]"
	for _, c := range []struct{ syntax, line, want string }{
		{create, ` u1`, `{name=u1;}`},
		{create, `  "u 1"  `, `{name="u 1";}`},
		{create, ` u1 {a=b;}`, `{name=u1;settings={a=b;};}`},
		{create, ` u1 AGrade {a=b;}`, `{name=u1;settings={a=b;};type=AGrade;}`},
		{create, ` u1 {a=b;} agrade path x external`, `{LEGACY=EXTERNAL;name=u1;path=x;settings={a=b;};type=AGrade;}`},
		{create, ` path {a=b;}`, `{name=path;settings={a=b;};}`},
		{create, ``, `error`},
		{create, ` u1 u2`, `error`},
		{create, ` u1 {a=b}`, `error`},
		{create, ` u1 {a=b;} {c=d;}`, `error`},
		{"acct PASSWORD|TO password [CHECK]", ` john TO "n3w-pass"`, `{acct=john;password=n3w-pass;}`},
		{"acct PASSWORD|TO password [CHECK]", ` john check password to`, `{CHECK=CHECK;acct=john;password=to;}`},
		{"acct PASSWORD|TO password [CHECK]", ` john TO "PASSWORD" CHECK`, `{CHECK=CHECK;acct=john;password=PASSWORD;}`},
		{"acct PASSWORD|TO password [CHECK]", ` john`, `error`},
		{"old INTO new", ` john into jack`, `{new=jack;old=john;}`},
		{"old INTO new", ` into into into`, `{new=into;old=into;}`},
		{"[domain] {settings}", ` {a=b;}`, `{settings={a=b;};}`},
		{"[domain] {settings}", ` d.com {a=b;}`, `{domain=d.com;settings={a=b;};}`},
		{"[domain] {settings}", ` d.com {a=b;}   `, `{domain=d.com;settings={a=b;};}`},
		{"[domain] {settings}", ` d.com`, `error`},
		{"[domain]", ` a+b`, `error`},
		{"[domain]", ``, `{}`},
		{"acct [KEY key] [(keys)]", ` * Key LastLogin`, `{acct="*";key=LastLogin;}`},
		{"acct [KEY key] [(keys)]", ` john (a,b)`, `{acct=john;keys=(a,b);}`},
		{"domain [FILTER filter] #limit [ACCOUNTS] [COOKIE cookie]", ` d.com 5000 ACCOUNTS COOKIE ""`, `{ACCOUNTS=ACCOUNTS;cookie="";domain=d.com;limit=#5000;}`},
		{"domain [FILTER filter] #limit [ACCOUNTS] [COOKIE cookie]", ` d.com filter x 5`, `{domain=d.com;filter=x;limit=#5;}`},
		{"domain [FILTER filter] #limit [ACCOUNTS] [COOKIE cookie]", ` d.com x`, `error`},
		{"<object>", ` {b=(x,"y z");a=#5;}`, `{object={a=#5;b=(x,"y z");};}`},
		{"", `  `, `{}`},
		{"", ` x`, `error`},
	} {
		params, err := parseSyntax(c.syntax)
		if err != nil {
			t.Fatal(err)
		}
		a, err := readArgs(params, c.line)
		got := "error"
		if err == nil {
			got = dataformat.Compact(dataformat.Dict(a.values))
		} else if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s:%s: %v", c.syntax, c.line, err)
		}
		if got != c.want {
			t.Errorf("%s:%s\n got %s (%v)\nwant %s", c.syntax, c.line, got, err, c.want)
		}
	}
}

func TestKeywordBeforeAParameterIsKept(t *testing.T) {
	params, err := parseSyntax("acct MAILBOX|MAILBOXES box")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{" a mailbox b": "MAILBOX", " a Mailboxes b": "MAILBOXES"} {
		a, err := readArgs(params, line)
		if err != nil || a.by["box"] != want || a.word("box") != "b" {
			t.Errorf("%s: %v %v", line, a, err)
		}
	}
}

func TestVerbs(t *testing.T) {
	for line, want := range map[string][2]string{
		"ListDomains":            {"LISTDOMAINS", ""},
		"listaccounts  d.com ":   {"LISTACCOUNTS", "  d.com "},
		`CreateServerPBX"lang"`:  {"CREATESERVERPBX", `"lang"`},
		`RejectQueueMessage <5>`: {"REJECTQUEUEMESSAGE", " <5>"},
		"":                       {"", ""},
		"  noop x":               {"NOOP", " x"},
		"12 noop":                {"", "12 noop"},
		"\x16\x03\x01":           {"", "\x16\x03\x01"},
	} {
		if verb, rest := splitVerb(line); verb != want[0] || rest != want[1] {
			t.Errorf("%q: %q %q", line, verb, rest)
		}
	}
}

func TestMailboxFilter(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "INBOX", true}, {"*", "a/b", true}, {"%", "a/b", false}, {"%", "a", true}, {"a/%", "a/b", true},
		{"a*c", "abbc", true}, {"a*c", "abbd", false}, {"", "", true}, {"", "a", false}, {"*/x", "a/b/x", true},
		{"%*%", "a/b", true}, {"%%", "a/b", false}, {"%/%", "a/b", true}, {"%/%", "a/b/c", false}, {"a%", "a", true}, {"*", "", true},
		{strings.Repeat("%a", 100), strings.Repeat("xa", 100), true}, {strings.Repeat("a", 64) + "*", strings.Repeat("a", 64), true},
		{strings.Repeat("a", 63) + "%b", strings.Repeat("a", 63) + "b", true}, {strings.Repeat("a", 63) + "%b", strings.Repeat("a", 63) + "x/b", false},
		{strings.Repeat("*a", 499) + "b", strings.Repeat("a", 2000), false},
	} {
		f, err := compileFilter(c.pattern)
		if err != nil {
			t.Errorf("%.20q: %v", c.pattern, err)
			continue
		}
		if got := f.fits(c.name); got != c.want {
			t.Errorf("match(%.20q, %.20q) = %v", c.pattern, c.name, got)
		}
	}
	if _, err := compileFilter(strings.Repeat("*a", maxFilter/2) + "b"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a long pattern: %v", err)
	}
}

func TestSettingsDeclaration(t *testing.T) {
	if err := settings.Check(new(Settings)); err != nil {
		t.Error(err)
	}
}

func FuzzCommand(f *testing.F) {
	commands, err := compile()
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range []string{
		`CreateAccount john {AccessModes=(Mail,POP,IMAP,PWD,WebMail,WebSite);MaxAccountSize=100K;RealName="John X. Smith";}`,
		`SetAccountPassword john TO "n3w-pass"`, `RenameAccount john into jack`, `ListMailboxes john FILTER "*"`,
		`GetAccountInfo john (a,b)`, `ListDomainObjects company.com 5000 ACCOUNTS COOKIE ""`, `Route user@[10.0.0.1] mail`,
		`SetClientIPs "11.22.33.44\e55.66.77.88"`, `ECHO <a b="c">d</a>`, `Route "a b"@c`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		verb, rest := splitVerb(line)
		c := commands[verb]
		if c == nil {
			if r := unknown(commands, verb); r.code != 500 {
				t.Errorf("%q: %v", line, r)
			}
			return
		}
		a, err := readArgs(c.params, rest)
		if err != nil {
			if r := failure(err); r.code != 500 || r.text == "" || strings.ContainsAny(r.text, "\r\n") {
				t.Errorf("%q: %v", line, r)
			}
			return
		}
		for _, p := range c.params {
			if !p.optional && !a.has(p.name) {
				t.Errorf("%q: %s is missing", line, p.name)
			}
		}
	})
}

package rules

import (
	"flag"
	"os"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestSetsComeBackAsTheyWereGiven compares what is printed of rule sets with a file.
func TestSetsComeBackAsTheyWereGiven(t *testing.T) {
	const path = "testdata/sets.txt"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		level, ok := Level(0), false
		given := ""
		for l := Server; l <= Account; l++ {
			if rest, found := strings.CutPrefix(line, l.String()+" "); found {
				level, given, ok = l, strings.TrimSpace(rest), true
			}
		}
		if strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
		if !ok {
			continue
		}
		s := parse(t, level, given)
		compact := dataformat.Compact(s.Value())
		pretty := dataformat.Pretty(s.Value())
		out.WriteString("\n" + line + "  " + compact + "\n  " + strings.ReplaceAll(pretty, "\n", "\n  ") + "\n")
		for _, printed := range []string{compact, pretty} {
			again, errs := Load(data(t, printed), level)
			if len(errs) > 0 || dataformat.Compact(again.Value()) != compact {
				t.Errorf("%s does not come back the same: %v", printed, errs)
			}
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got := out.String(); got != string(text) {
		t.Errorf("got\n%s", got)
	}
}

func TestRulesThatAreWrong(t *testing.T) {
	for rules, want := range map[string]string{
		`x`:                                  `rules are an array`,
		`{}`:                                 `rules are an array`,
		`(x)`:                                `x is not a rule: (priority, name, (conditions), (actions), comment)`,
		`((1,x))`:                            `(1,x) is not a rule`,
		`((1,x,(),(),c,d))`:                  `is not a rule`,
		`((11,x,(),()))`:                     `rule "x": 11 is not a priority, 0 to 10`,
		`(("-1",x,(),()))`:                   `rule "x": "-1" is not a priority`,
		`((high,x,(),()))`:                   `rule "x": high is not a priority`,
		`((1,(),(),()))`:                     `() is not the name of a rule`,
		`((1,"",(),()))`:                     `"" is not the name of a rule`,
		`((1,x,(),(),()))`:                   `rule "x": the comment is not a text`,
		`((1,x,y,()))`:                       `rule "x": the conditions are not an array`,
		`((1,x,(),{}))`:                      `rule "x": the actions are not an array`,
		`((1,x,(y),()))`:                     `rule "x": condition 1 is not an array of up to 3 texts`,
		`((1,x,(()),()))`:                    `rule "x": condition 1 is not an array`,
		`((1,x,((a,b,c,d)),()))`:             `rule "x": condition 1 is not an array`,
		`((1,x,(),((a,b,c))))`:               `rule "x": action 1 is not an array of up to 2 texts`,
		`((1,x,((From,is,())),()))`:          `rule "x": condition 1: () is not a text`,
		`((1,x,(),((Discard))),(2,x,(),()))`: `rule "x": there is another rule with this name`,

		`((1,x,((Subjet,is,y)),()))`:                     `rule "x": condition 1 (Subjet): there is no such condition`,
		`((1,x,((From,is,y),(Subject)),()))`:             `rule "x": condition 2 (Subject): there is no operation ""`,
		`((1,x,((Subject,contains,y)),()))`:              `condition 1 (Subject): there is no operation "contains"`,
		`((1,x,((Subject,"less than",y)),()))`:           `it has no operation "less than", but is, is not, in, not in`,
		`((1,x,(("Message Size",in,y)),()))`:             `it has no operation "in", but is, is not, less than, greater than`,
		`((1,x,(("Message Size",is,y)),()))`:             `"y" is not a size`,
		`((1,x,(("Message Size",is,unlimited)),()))`:     `"unlimited" is not a size`,
		`((1,x,(("Time Of Day",is,"25:00")),()))`:        `"25:00" is not a time of day, hh:mm or hh:mm:ss`,
		`((1,x,(("Time Of Day",is,"24:01")),()))`:        `"24:01" is not a time of day`,
		`((1,x,(("Time Of Day",is,"12")),()))`:           `"12" is not a time of day`,
		`((1,x,(("Time Of Day",is,"12:60")),()))`:        `"12:60" is not a time of day`,
		`((1,x,(("Time Of Day",is,"+1:00")),()))`:        `"+1:00" is not a time of day`,
		`((1,x,(("Time Of Day",is,"9:00-17:00")),()))`:   `"9:00-17:00" is not a time of day`,
		`((1,x,(("Time Of Day",in,"9:00-")),()))`:        `"" is not a time of day`,
		`((1,x,(("Current Date",is,"30 Feb 2024")),()))`: `"30 Feb 2024" is not a date, DD Mon YYYY`,
		`((1,x,(("Current Day",is,"Mon,Tue")),()))`:      `"Mon,Tue" is not a day, Sun to Sat or 0 to 6`,
		`((1,x,(("Current Day",in,"7")),()))`:            `"7" is not a day`,
		`((1,x,((From,in,"#")),()))`:                     `the # names no dataset`,
		`((1,x,((Preference,is,Language)),()))`:          `"Language" is not the name of a preference, a colon and a value`,
		`((1,x,(("Any Route",is,"x")),()))`:              `account rules do not have this condition`,

		`((1,x,(),((Discard),(Frob))))`:                   `rule "x": action 2 (Frob): there is no such action`,
		`((1,x,(),((ExternalFilter,y))))`:                 `account rules do not have this action`,
		`((1,x,(),(("Store in"))))`:                       `it names no mailbox`,
		`((1,x,(),(("Store in","~/"))))`:                  `it names no mailbox`,
		`((1,x,(),(("Store in","~joe"))))`:                `"~joe" names no mailbox: ~account/mailbox`,
		`((1,x,(),((Mark,"Read,Purple"))))`:               `there is no flag "Purple"`,
		`((1,x,(),((Mark))))`:                             `it names no flag`,
		`((1,x,(),(("Add Header","no field"))))`:          `"no field" is not a header field, Name: value`,
		`((1,x,(),(("Add Header","A: 1\ea b: 2"))))`:      `"a b: 2" is not a header field`,
		`((1,x,(),(("Add Header","---"))))`:               `it has no header field`,
		`((1,x,(),(("Remember 'From' in","#"))))`:         `it names no dataset`,
		`((1,x,(),(("Redirect To","joe@corp.com,@"))))`:   `"@" is not an address`,
		`((1,x,(),(("React with","hello"))))`:             `it has no To`,
		`((1,x,(),((SendURL,"ftp://corp.com/"))))`:        `"ftp://corp.com/" is not a URL with http or https`,
		`((1,x,(),((SendURL,"http://^F/"))))`:             `names no host; macros may stand after the / behind it`,
		`((1,x,(),((SendURL,"http://corp.com^S"))))`:      `names no host`,
		`((1,x,(),((SendURL,"http://corp.com:80/a b"))))`: `has blanks`,
		`((1,x,(),((Execute))))`:                          `it names no program`,
		`((1,x,(),((Execute,"[FILE] [X] y"))))`:           `there is no option [X]`,
		`((1,x,(),((Execute,"[FILE y"))))`:                `an option has no ]`,
		`((1,x,(),((Execute,"^F x"))))`:                   `the program cannot be a macro`,
		`((1,x,(),((Execute,"a \"b"))))`:                  `a quotation mark is not closed`,
		`((1,x,(),((Execute,"a \\"))))`:                   `the command ends in a backslash`,
	} {
		v, err := dataformat.Parse([]byte(rules))
		if err != nil {
			t.Fatalf("%s: %v", rules, err)
		}
		s, err := Parse(v, Account)
		if s != nil || !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Text(err), want) {
			t.Errorf("%s: %q, want %q", rules, fault.Text(err), want)
		}
	}
	for rules, want := range map[string]string{
		`((1,x,(),(("Store in",Junk))))`:            `a server rule names the account too: ~account/Junk`,
		`((1,x,(),(("Store in","~/Junk"))))`:        `a server rule names the account too`,
		`((1,x,(),(("Remember 'From' in",y))))`:     `server rules do not have this action`,
		`((1,x,((FreeBusy,is,Free)),()))`:           `server rules do not have this condition`,
		`((1,x,(("Existing Mailbox",is,Free)),()))`: `server rules do not have this condition`,
	} {
		if _, err := Parse(data(t, rules), Server); !strings.Contains(fault.Text(err), want) {
			t.Errorf("%s: %v, want %q", rules, err, want)
		}
	}
}

func TestDefaultIsNoRules(t *testing.T) {
	for _, text := range []string{"Default", "default"} {
		if s, err := Parse(data(t, text), Account); s != nil || err != nil {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for _, v := range []dataformat.Value{nil, dataformat.String(""), dataformat.String("Default")} {
		s, errs := Load(v, Account)
		if s.Active() || len(errs) > 0 || dataformat.Compact(s.Value()) != "()" {
			t.Errorf("%v: %v, %v", v, s, errs)
		}
	}
}

// TestStoredRulesThatAreWrongAreKept has a rule of another version between two.
func TestStoredRulesThatAreWrongAreKept(t *testing.T) {
	const text = `((1,a,(),((Mark,Read))),(5,b,((Mood,is,good)),((Discard))),x,(2,c,(),((Mark,Flagged))))`
	s, errs := Load(data(t, text), Account)
	if len(errs) != 2 || errs[0].Error() != `rule "b": condition 1 (Mood): there is no such condition` {
		t.Error(errs)
	}
	if got := dataformat.Compact(s.Value()); got != text {
		t.Error(got)
	}
	if got, want := runSets(t, input(newMail(), Account), s, nil), lines(`c: Mark +\Flagged`, `a: Mark +\Seen`, `keep \Flagged \Seen`); got != want {
		t.Error(got)
	}
	if s.Find("b").Err() == nil || s.Find("a").Err() != nil {
		t.Error("the wrong rule has an error")
	}
	// One rule can be changed beside them.
	s, err := s.Update(data(t, `(3,a,(),((Discard)),new)`), Account)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := dataformat.Compact(s.Value()), `((3,a,(),((Discard)),new),(5,b,((Mood,is,good)),((Discard))),x,(2,c,(),((Mark,Flagged))))`; got != want {
		t.Error(got)
	}
}

func TestUpdate(t *testing.T) {
	var s *Set
	for _, test := range []struct{ rule, want string }{
		{`(2,"#Vacation",(),((Discard)))`, `((2,"#Vacation",(),((Discard))))`},
		{`(5,b,(),((Mark,Read)))`, `((2,"#Vacation",(),((Discard))),(5,b,(),((Mark,Read))))`},
		{`(0,"#Vacation")`, `((0,"#Vacation",(),((Discard))),(5,b,(),((Mark,Read))))`},
		{`(#7,b,x)`, `((0,"#Vacation",(),((Discard))),(7,b,(),((Mark,Read))))`},
		{`("#3","#Vacation",(),(("Mark","Flagged")))`, `((3,"#Vacation",(),((Mark,Flagged))),(7,b,(),((Mark,Read))))`},
	} {
		var err error
		if s, err = s.Update(data(t, test.rule), Account); err != nil {
			t.Fatal(err)
		}
		if got := dataformat.Compact(s.Value()); got != test.want {
			t.Errorf("after %s: %s", test.rule, got)
		}
	}
	if got, want := runSets(t, input(newMail(), Account), s, nil), lines(`b: Mark +\Seen`, `#Vacation: Mark +\Flagged`, `keep \Seen \Flagged`); got != want {
		t.Error(got)
	}
	for rule, kind := range map[string]fault.Kind{
		`(1,c)`: fault.NotFound, `(11,b)`: fault.Invalid, `(x,b)`: fault.Invalid, `(1,d,(),((Frob)))`: fault.Invalid, `x`: fault.Invalid, `(1)`: fault.Invalid,
	} {
		if _, err := s.Update(data(t, rule), Account); !fault.Is(err, kind) {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if got := dataformat.Compact(s.Without("#Vacation").Without("nobody").Value()); got != `((7,b,(),((Mark,Read))))` {
		t.Error(got)
	}
}

func TestWhatHasNoEffectYetIsTold(t *testing.T) {
	s := parse(t, Account, `((1,a,((FreeBusy,is,Busy)),((Discard))),(1,b,(),(("Accept Request"),("accept reply",x),("Store Encrypted in",Box),
		(SendIM,"a@b.c hello"),("Send IM",x),(SendPush,x),("Send Push",x),(FingerNotify,host))),(1,c,(),((Discard))))`)
	if got := s.Find("a").Notes(); got != nil {
		t.Error(got)
	}
	if got := s.Find("b").Notes(); len(got) != 6 || got[0] != "the action Store Encrypted in does nothing until there is encryption with the certificate of the account" {
		t.Error(got)
	}
	if got := s.Find("c").Notes(); got != nil {
		t.Error(got)
	}
}

// TestSignalRulesAreKept has opcodes that mail rules do not have.
func TestSignalRulesAreKept(t *testing.T) {
	const text = `((#5,calls,((Method,is,INVITE),(RequestURI,"is not","*x*"),(Presence,in,"away,busy")),(("Fork to","a@b.c"),("Redirect To",x),("Discard Rules"))))`
	v, err := ParseSignal(data(t, text))
	if got := dataformat.Compact(v); err != nil || got != strings.ReplaceAll(strings.ReplaceAll(text, "#5", "5"), `"a@b.c"`, "a@b.c") {
		t.Error(got, err)
	}
	if v, err := ParseSignal(data(t, "Default")); v != nil || err != nil {
		t.Error(v, err)
	}
	for _, bad := range []string{`x`, `((1,x))`, `((20,x,(),()))`, `((1,x,(y),()))`} {
		if _, err := ParseSignal(data(t, bad)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/sets.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, rules, ok := strings.Cut(line, " "); ok {
			f.Add(rules)
		}
	}
	f.Add(`((1,x,(("Time Of Day",in,"22:00-6:00"),("Current Day",in,"1,Tue")),((Execute,"[FILE] a 'b' ^S"),(SendURL,"http://a/^F"),("React with","+To: a@b.c\e\e^R"))))`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			return
		}
		for level := Server; level <= Account; level++ {
			s, errs := Load(v, level)
			if _, err := Parse(v, level); (err == nil) != (len(errs) == 0) && v != dataformat.String("") {
				t.Fatalf("Parse says %v, Load %v", err, errs)
			}
			printed := dataformat.Compact(s.Value())
			again, _ := Load(data(t, printed), level)
			if got := dataformat.Compact(again.Value()); got != printed {
				t.Fatalf("%s comes back as %s", printed, got)
			}
			var r Run
			r.Start(input(newMail("From: ann@far.org", "To: joe@corp.com", "Subject: hello", "Message-ID: <1@far.org>"), level), s, nil)
			for step, ok := r.Next(); ok; step, ok = r.Next() {
				Describe(step.Action)
			}
		}
	})
}

// TestThePackageCommentNamesEveryWord compares the manual with the tables.
func TestThePackageCommentNamesEveryWord(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range conditionWords {
		names = append(names, w.name)
	}
	for _, w := range actionWords {
		names = append(append(names, w.name), w.aliases...)
	}
	for _, name := range names {
		if !strings.Contains(string(text), name) {
			t.Errorf("%s has no line in the package comment (doc.go)", name)
		}
	}
}

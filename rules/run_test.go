package rules

import (
	"errors"
	"strings"
	"testing"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// TestWorkedExamples are rule sets of real sites with a message each.
func TestWorkedExamples(t *testing.T) {
	const groupTag = `(6, mark_to_group1, ((Subject, "is not", "*[group1]*"), ("Any To or Cc", is, "*group1@corpX*")), (("Tag Subject", "[group1] ")), "comment")`
	const groupReplyTo = `(4, replace_from_group1, ((Subject, is, "*[group1]*"), (To, "is not", "*group1@corpX*")), (("Add Header", "Reply-To: group1@corpX.un")))`
	const signer = `(6, "SIGN DKIM", ((Source, in, "trusted,authenticated"), ("Header Field", "is not", "Dkim-Signature:*"), ("Any Route", is, "SMTP*")), ((ExternalFilter, SIGN), ("Stop Processing")))`
	outgoing := func(lines ...string) *mail {
		m := newMail(lines...)
		m.env.Source = envelope.Source{Tag: "SMTP", Account: "joe@corp.com", Trusted: true}
		m.routes = []string{"LOCAL(mary@corp.com)mary@corp.com", "SMTP(far.org)ann@far.org"}
		return m
	}
	large := newMail()
	large.size = 4096
	for _, test := range []struct {
		name    string
		level   Level
		rules   string
		message *mail
		want    string
	}{
		{"spam into a mailbox of the account", Domain,
			`((3, MoveSpam, (("Header Field", in, "X-Junk-Score*XXXXXXXXXX*")), (("Store in", "~/Junk"), (Discard))))`,
			newMail("X-Junk-Score: 92 [XXXXXXXXXX]"), lines(`MoveSpam: Store in "Junk"`, `MoveSpam: Discard`, `discarded`)},
		{"spam into a mailbox of the postmaster", Server,
			`((3, MoveSpam, (("Header Field", in, "X-Junk-Score*XXXXXXXXXX*")), (("Store in", "~postmaster/Spam"), (Discard))))`,
			newMail("X-Junk-Score: 92 [XXXXXXXXXX]"), lines(`MoveSpam: Store in "~postmaster/Spam"`, `MoveSpam: Discard`, `discarded`)},
		{"no spam", Domain,
			`((3, MoveSpam, (("Header Field", in, "X-Junk-Score*XXXXXXXXXX*")), (("Store in", "~/Junk"), (Discard))))`,
			newMail("X-Junk-Score: 9 [X]"), `keep`},
		{"a group's tag", Server, "(" + groupTag + ")", newMail("Subject: Hello", "To: group1@corpX.un"), lines(`mark_to_group1: Tag Subject "[group1] "`, `keep`)},
		{"a group's tag is there", Server, "(" + groupTag + ")", newMail("Subject: Re: [group1] x", "To: group1@corpX.un"), `keep`},
		{"a rule sees the tag of another", Server, "(" + groupReplyTo + "," + groupTag + ")",
			newMail("Subject: Hello", "To: mary@corp.com", "Cc: group1@corpX.un"),
			lines(`mark_to_group1: Tag Subject "[group1] "`, `replace_from_group1: Add Header "Reply-To: group1@corpX.un"`, `keep`)},
		{"antivirus for big messages", Server, `((10, scan, (("Message Size", "greater than", 2048)), ((ExternalFilter, AV))))`,
			large, lines(`scan: ExternalFilter AV`, `keep`)},
		{"a signer of outgoing mail", Server, "(" + signer + ")", outgoing(), lines(`SIGN DKIM: ExternalFilter SIGN`, `SIGN DKIM: Stop Processing`, `keep`)},
		{"what is signed is not signed again", Server, "(" + signer + ")", outgoing("DKIM-Signature: v=1"), `keep`},
		{"what a stranger sends is not signed", Server, "(" + signer + ")", newMail(), `keep`},
		{"all but one sender", Account, `((5, drop, (), ((Discard))), (9, keep, ((From, is, "*@a.com")), (("Stop Processing"))))`,
			newMail("From: x@a.com"), lines(`keep: Stop Processing`, `keep`)},
		{"all but one sender, another", Account, `((5, drop, (), ((Discard))), (9, keep, ((From, is, "*@a.com")), (("Stop Processing"))))`,
			newMail("From: x@b.com"), lines(`drop: Discard`, `discarded`)},
		{"a copy of outgoing mail for an auditor", Server, `((7, audit, ((Source, is, authenticated), ("Any Route", is, "SMTP*")), (("Mirror to", auditor@corp.com))))`,
			outgoing(), lines(`audit: Mirror to <auditor@corp.com> from <ann@far.org>`, `keep`)},
		{"a group's policy", Server, `((5,policy,(("Any To or Cc",is,group@corp.com),(From,"not in","a@corp.com,b@corp.com")),(("Reject with","Not Allowed"),(Discard))))`,
			newMail("From: ann@far.org", "To: group@corp.com"), lines(`policy: Reject with "Not Allowed"`, `rejected Not Allowed`)},
		{"a vacation message", Account, `((2,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses")),(("Reply with","away"),("Remember 'From' in",RepliedAddresses))))`,
			newMail("From: ann@far.org", "To: joe@corp.com"), lines(`#Vacation: Reply with: a message to <ann@far.org>`, `#Vacation: Remember 'From' in RepliedAddresses: ann@far.org`, `keep`)},
		{"a vacation message is sent once", Account, `((2,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses")),(("Reply with","away"),("Remember 'From' in",RepliedAddresses))))`,
			newMail("From: old@far.org", "To: joe@corp.com"), `keep`},
		{"all mail goes on", Account, `((1,"#Redirect",(),(("Mirror to","a@far.org;b@far.org"),(Discard,"---"))))`,
			newMail("From: ann@far.org"), lines(`#Redirect: Mirror to <a@far.org>, <b@far.org> from <ann@far.org>`, `#Redirect: Discard`, `discarded`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := run(t, test.message, test.level, test.rules); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestOrderOfRules(t *testing.T) {
	domain := parse(t, Domain, `((1,d1,(),((Mark,Read))),(9,d9,(),((Mark,Read))),(0,d0,(),((Discard))),(5,d5,(),((Mark,Read))))`)
	account := parse(t, Account, `((5,a5,(),((Mark,Read))),(10,a10,(),((Mark,Read))),(5,b5,(),((Mark,Read))),(1,a1,(),((Mark,Read))))`)
	got := runSets(t, input(newMail(), Account), domain, account)
	var names []string
	for line := range strings.Lines(got) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, strings.TrimSpace(name))
	}
	if got, want := strings.Join(names, " "), `a10 d9 d5 a5 b5 d1 a1 keep \Seen`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, sets := range [][2]*Set{{nil, nil}, {domain.Without("d9").Without("d1").Without("d5"), nil}} {
		if got := runSets(t, input(newMail(), Account), sets[0], sets[1]); got != "keep" {
			t.Error(got)
		}
	}
}

// TestRulesSeeWhatAFilterAdds has rules for the time before the answer and after it.
func TestRulesSeeWhatAFilterAdds(t *testing.T) {
	set := parse(t, Server, `((5,filter,(),((ExternalFilter,ClamSpam),("Tag Subject","x "))),(4,early,(("Header Field",is,"X-Junk-Score:*")),((Mark,Flagged))),
		(3,spam,(("Header Field",is,"X-Junk-Score: *XX*"),("Header Field",is,"X-Tests: a b"),("Header Field",is,"Subject: x hello"),(Subject,is,"x hello")),(("Store in","~postmaster/Spam"))),
		(7,before,(("Header Field","is not","X-Junk-Score:*"),(Subject,is,hello)),((Mark,Read))))`)
	m := newMail("Subject: hello")
	var r Run
	r.Start(input(m, Server), set, nil)
	var got []string
	for step, ok := r.Next(); ok; step, ok = r.Next() {
		got = append(got, step.Rule.Name)
		if f, ok := step.Action.(Filter); ok && f.Name == "ClamSpam" {
			fields, err := ParseFields("X-Junk-Score: 12.3 [XXX]\nX-Tests: a\r\n\tb\n\n")
			if err != nil {
				t.Fatal(err)
			}
			r.AddFields(fields)
		}
	}
	if want := "before filter filter early spam"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if m.asked != 1 {
		t.Errorf("the header was asked for %d times", m.asked)
	}
}

func TestFlagsAreThoseOfLaterCopies(t *testing.T) {
	got := run(t, newMail(), Account, `((1,x,(),(("Store in",A),(Mark,"Flagged,read,Junk"),("Store in",B),(Mark,"Unread, Label3"),("Store in","~mary/C"),(Mark,Undeleted))))`)
	want := lines(`x: Store in "A"`, `x: Mark +\Flagged +\Seen +$Junk`, `x: Store in "B" with \Flagged \Seen $Junk`, `x: Mark +$Label3 -\Seen`,
		`x: Store in "~mary/C" with \Flagged $Junk $Label3`, `x: Mark -\Deleted`, `keep \Flagged $Junk $Label3`)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestAnActionThatIsNotDoneLosesNoMail has actions that take the message elsewhere before a
// Discard.
func TestAnActionThatIsNotDoneLosesNoMail(t *testing.T) {
	for action, want := range map[string]string{
		`("Store Encrypted in",Box)`:       "x: Store Encrypted in is not done: it does nothing until there is encryption with the certificate of the account",
		`("Mirror to","joe@corp.com")`:     "x: Mirror to is not done: it would send the message to the account itself",
		`("Redirect To","J.Doe@corp.com")`: "x: Redirect To is not done: it would send the message to the account itself",
		`("Redirect To",joe)`:              "x: Redirect To is not done: it would send the message to the account itself",
		`("Forward to","")`:                "x: Forward to is not done: it names no address",
	} {
		got := run(t, newMail(), Account, `((2,x,(),(`+action+`,(Discard))),(1,y,(),((Mark,Read))))`)
		if want := lines(want, `y: Mark +\Seen`, `keep \Seen`); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	// What does not take the message elsewhere does not end the rule.
	got := run(t, newMail(), Account, `((2,x,(),(("Accept Request"),(SendIM,x),("Reply with","gone"),(Discard))))`)
	want := lines("x: Accept Request", "x: SendIM is not done: it does nothing until there is instant messaging",
		"x: Reply with is not done: the message names nobody to reply to", "x: Discard", "discarded")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRememberedAddressesCountAtOnce(t *testing.T) {
	got := run(t, newMail("From: new@far.org"), Account, `((2,x,(),(("Remember 'From' in","#Seen"))),(1,y,((From,in,"#Seen"),("From","not in","#Other")),((Discard))))`)
	if want := lines("x: Remember 'From' in Seen: new@far.org", "y: Discard", "discarded"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := run(t, newMail(), Account, `((2,x,(),(("Remember 'From' in",Seen))))`); got != lines("x: Remember 'From' in is not done: the message has no From address", "keep") {
		t.Error(got)
	}
}

func TestOtherActions(t *testing.T) {
	m := newMail("From: Ann <ann@far.org>", "Subject: =?utf-8?Q?=C3=BC_&?=", "Message-ID: <1@far.org>", "Date: Tue, 5 Mar 2024 10:00:00 +0100")
	for action, want := range map[string]string{
		`("Execute URL","https://corp.com/hook?s=^S&f=^F&r=^R&x=^x^^")`: `SendURL https://corp.com/hook?s=%C3%BC%20%26&f=Ann%20%3Cann%40far.org%3E&r=joe%40corp.com&x=^x^`,
		`("SENDURL","http://corp.com")`:                                 `SendURL http://corp.com`,
		`("Write To Log","^T from ^F: ^s")`:                             `Write To Log "Tue, 5 Mar 2024 10:00:00 +0100 from Ann <ann@far.org>: =?utf-8?Q?=C3=BC_&?="`,
		`(Execute,"[FILE][retpath] prog -s '^S \\e' \"a b\" c\\ d ^I")`: `Execute "prog", "-s", "ü & \\e", "a b", "c d", and 1 more`,
		`("Reject with","")`:                                            `Reject with "the message is not accepted"`,
		`("Add Header","X-A: 1\eX-B: 2\e  more\e")`:                     `Add Header "X-A: 1", "X-B: 2 more"`,
	} {
		got, _, _ := strings.Cut(run(t, m, Account, `((2,x,(),(`+action+`)))`), "\n")
		if got != "x: "+want {
			t.Errorf("%s: got\n%s\nwant\nx: %s", action, got, want)
		}
	}
}

// TestValuesGiveNoOptionsToPrograms has a subject that looks like one.
func TestValuesGiveNoOptionsToPrograms(t *testing.T) {
	set := parse(t, Server, `((1,x,(),((Execute,"[FILE] [RETPATH] [RCPT] [ORCPT] [STDERR] /bin/prog ^S -s=^S '' a^^b"))))`)
	var r Run
	r.Start(input(newMail("Subject: --delete $(id) 'x'"), Server), set, nil)
	step, _ := r.Next()
	got, ok := step.Action.(Execute)
	if !ok || !got.File || !got.ReturnPath || !got.Recipients || !got.Originals || !got.Stderr {
		t.Errorf("%+v", step.Action)
	}
	if args, want := strings.Join(got.Args, "|"), `/bin/prog|delete $(id) 'x'|-s=--delete $(id) 'x'||a^b`; args != want {
		t.Errorf("%s, want %s", args, want)
	}
}

func TestARunEndsWhenSomethingCannotBeRead(t *testing.T) {
	broken := fault.Wrap("test", fault.Unavailable, errors.New("disk"))
	m := newMail()
	m.err = broken
	const rules = `((5,a,(),((Mark,Read))),(4,b,((Subject,"is not",x)),((Discard))),(3,c,(),((Discard))))`
	if got := run(t, m, Server, rules); got != lines(`a: Mark +\Seen`, "error: "+broken.Error()) {
		t.Error(got)
	}
	in := input(newMail("From: ann@far.org"), Account)
	in.Recipient.(*office).err = broken
	for _, cond := range []string{`From, "not in", "#RepliedAddresses"`, `"Existing Mailbox", "is not", x`} {
		if got := runSets(t, in, parse(t, Account, `((5,a,((`+cond+`)),((Discard))))`), nil); got != "error: "+broken.Error() {
			t.Errorf("%s: %s", cond, got)
		}
	}
}

// TestNothingIsReadThatNoRuleAsksFor has a message that cannot be read.
func TestNothingIsReadThatNoRuleAsksFor(t *testing.T) {
	m := newMail()
	m.err = errors.New("not to be read")
	if got := run(t, m, Server, `((5,a,(("Message Size","greater than",1),("Return-Path",is,"*@far.org"),(Source,is,"")),((Mark,Read))))`); got != lines(`a: Mark +\Seen`, `keep \Seen`) {
		t.Error(got)
	}
}

// TestAccountRulesHaveABound has rules of an account that search more than they may; those of the
// server go on.
func TestAccountRulesHaveABound(t *testing.T) {
	m := newMail("X-Long: " + strings.Repeat("a", 900000))
	var conds strings.Builder
	for range maxWork/900000 + 1 {
		conds.WriteString(`,("Header Field","is not","*b*")`)
	}
	rules := `((5,a,(` + conds.String()[1:] + `),((Discard))))`
	set := parse(t, Account, rules)
	var r Run
	r.Start(input(m, Account), set, nil)
	if _, ok := r.Next(); ok || !fault.Is(r.Err(), fault.TooMany) || fault.KindOf(r.Err()).Temporary() {
		t.Error(ok, r.Err())
	}
	if got := run(t, m, Server, rules); got != lines("a: Discard", "discarded") {
		t.Error(got)
	}
}

// TestARunCanBeUsedAgain has two messages that differ in everything.
func TestARunCanBeUsedAgain(t *testing.T) {
	set := parse(t, Account, `((5,a,((Subject,is,one),("Any To or Cc",is,joe@corp.com),("Header Field",is,"Subject: one"),("Any Recipient",is,joe@corp.com),("Submit Address",is,"SMTP*")),
		((Mark,Read),("Remember 'From' in",Seen),("Tag Subject","[x] "))),(4,b,((Subject,is,"[x]*")),((Discard))),(3,c,((From,in,"#Seen")),((Discard))))`)
	var r Run
	r.Start(input(newMail("From: a@b.c", "Subject: one", "To: joe@corp.com"), Account), set, nil)
	for _, ok := r.Next(); ok; _, ok = r.Next() {
	}
	if out := r.Outcome(); out.Fate != Discarded || out.Rule.Name != "b" || len(out.Flags) != 1 {
		t.Errorf("%+v", out)
	}
	m := newMail("From: a@b.c", "Subject: two")
	m.env.Source.Tag = "PIPE"
	r.Start(input(m, Account), set, nil)
	if step, ok := r.Next(); ok {
		t.Errorf("%+v", step)
	}
	if out := r.Outcome(); out.Fate != Keep || out.Rule != nil || len(out.Flags) != 0 {
		t.Errorf("%+v", out)
	}
}

func TestTraceExplains(t *testing.T) {
	set := parse(t, Server, `((9,skip,((From,is,"*@a.com"),(Subject,is,x)),((Discard))),(8,"tag it",(("Human Generated","---"),("Any To or Cc",is,"*group1*"),("Message Size","less than","1K")),(("Tag Subject","[g] "))),
		(7,size,((Subject,is,"[g]*"),("Header Field",is,"X-None:*")),((Mark,Read))),(6,last,(("Header Field",is,"List-Id:*")),(("Reject with",no))),(5,end,(("Current Day",in,"Mon,Tue"),(Cc,"is not",x)),((Discard))),(4,never,(),((Discard))))`)
	var trace Trace
	var r Run
	r.Explain(&trace)
	r.Start(input(newMail("From: ann@far.org", "Subject: Hello", "To: a@b.c, group1@corp.com"), Server), set, nil)
	for _, ok := r.Next(); ok; _, ok = r.Next() {
	}
	want := `server rule "skip", priority 9: does not match
  if From is "*@a.com": no, it is "ann@far.org"
server rule "tag it", priority 8: matches
  if Human Generated: yes, nothing says otherwise
  if Any To or Cc is "*group1*": yes, there are "a@b.c", "group1@corp.com"
  if Message Size less than "1K": yes, it has 1000 bytes
  -> Tag Subject "[g] "
server rule "size", priority 7: does not match
  if Subject is "[g]*": yes, it is "[g] Hello"
  if Header Field is "X-None:*": no, no field is like that
server rule "last", priority 6: does not match
  if Header Field is "List-Id:*": no, no field is like that
server rule "end", priority 5: matches
  if Current Day in "Mon,Tue": yes, it is Tuesday
  if Cc is not "x": yes, there is none
  -> Discard
`
	if got := trace.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

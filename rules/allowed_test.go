package rules

import (
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// actionSamples has one action of each kind.
var actionSamples = map[Kind]string{
	KindStoreIn: `("Store in",Junk)`, KindMark: `(Mark,Read)`, KindAddHeader: `("Add Header","A: b")`, KindTagSubject: `("Tag Subject",x)`,
	KindReject: `("Reject with",no)`, KindDiscard: `(Discard)`, KindStop: `("Stop Processing")`, KindRemember: `("Remember 'From' in",x)`,
	KindAcceptRequest: `("Accept Request")`, KindAcceptReply: `("Accept Reply")`, KindStoreEncrypted: `("Store Encrypted in",x)`,
	KindCopyAttachments: `("Copy Attachments into",x)`, KindRedirect: `("Redirect to",a@b.c)`, KindForward: `("Forward to",a@b.c)`,
	KindMirror: `("Mirror to",a@b.c)`, KindReply: `("Reply with",x)`, KindReplyAll: `("Reply to All with",x)`, KindReact: `("React with","+To: a@b.c")`,
	KindSendIM: `("Send IM",x)`, KindSendPush: `(SendPush,x)`, KindSendURL: `(SendURL,"http://a.b/")`, KindFingerNotify: `(FingerNotify,x)`,
	KindExecute: `(Execute,x)`, KindFilter: `(ExternalFilter,x)`, KindWriteLog: `("Write To Log",x)`,
}

func TestWhatRulesAllowedAllows(t *testing.T) {
	filter := map[Kind]bool{KindStoreIn: true, KindMark: true, KindAddHeader: true, KindTagSubject: true, KindReject: true, KindDiscard: true, KindStop: true}
	for _, w := range actionWords {
		sample := actionSamples[w.kind]
		if sample == "" {
			t.Errorf("%s has no line in actionSamples", w.name)
			continue
		}
		if !w.levels.has(Account) {
			parse(t, Server, "((1,x,(),("+sample+")))")
			continue
		}
		r := parse(t, Account, "((1,x,(),("+sample+")))").Find("x")
		for a, want := range map[Allowed]bool{AllowNo: false, AllowFilterOnly: filter[w.kind], AllowAllButExec: w.kind != KindExecute, AllowAny: true} {
			err := a.Permits(r)
			if (err == nil) != want || err != nil && !fault.Is(err, fault.Denied) {
				t.Errorf("%s with %s: %v", w.name, a, err)
			}
		}
	}
	r := parse(t, Account, "((1,x,(),((Mark,Read),(Execute,y))))").Find("x")
	if err := AllowAllButExec.Permits(r); fault.Text(err) != `rule "x": the action Execute is for administrators, as RulesAllowed is All But Exec` {
		t.Error(err)
	}
	for _, name := range []string{"No", "filter only", "ALL BUT EXEC", "Any"} {
		if a, ok := ParseAllowed(name); !ok || !strings.EqualFold(a.String(), name) {
			t.Error(name, a)
		}
	}
	if _, ok := ParseAllowed("All"); ok {
		t.Error("All is a value")
	}
}

// TestVacationIsAllowedWithFilters has the usual form, and a rule that only has its name.
func TestVacationIsAllowedWithFilters(t *testing.T) {
	usual := parse(t, Account, "("+dataformat.Compact(Vacation{On: true, Text: "away"}.Value())+")").Find(VacationName)
	other := parse(t, Account, `((2,"#Vacation",(),(("Reply with",away))))`).Find(VacationName)
	if AllowFilterOnly.Permits(usual) != nil || AllowFilterOnly.Permits(other) == nil || AllowNo.Permits(usual) == nil {
		t.Error("a vacation message is not what is allowed")
	}
}

func TestOwnersDoNotChangeRulesOfAdministrators(t *testing.T) {
	const admin = `(9,copy,(),(("Mirror to",boss@corp.com)))`
	old, _ := Load(data(t, `(`+admin+`,(3,junk,(),(("Store in",Junk))),(1,old,((Mood,is,x)),((Discard))))`), Account)
	for given, want := range map[string]string{
		`()`:                                   `(` + admin + `,(1,old,((Mood,is,x)),((Discard))))`,
		`((3,junk,(),((Discard))))`:            `(` + admin + `,(1,old,((Mood,is,x)),((Discard))),(3,junk,(),((Discard))))`,
		`((1,a,(),((Discard))),` + admin + `)`: `((1,old,((Mood,is,x)),((Discard))),(1,a,(),((Discard))),` + admin + `)`,
		`((0,copy,(),(("Mirror to",boss@corp.com))))`: `rule "copy" can be changed by an administrator only`,
		`((9,copy,(),((Discard))))`:                   `rule "copy" can be changed by an administrator only`,
		`((9,mine,(),(("Mirror to",me@far.org))))`:    `rule "mine": the action Mirror to is for administrators, as RulesAllowed is Filter Only`,
	} {
		got := ""
		if s, err := AllowFilterOnly.Edited(old, parse(t, Account, given)); err != nil {
			got = fault.Text(err)
		} else {
			got = dataformat.Compact(s.Value())
		}
		if got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	if _, err := AllowNo.Edited(nil, nil); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	if s, err := AllowAny.Edited(nil, parse(t, Account, `((1,x,(),((Execute,y))))`)); err != nil || len(s.Rules()) != 1 {
		t.Error(s, err)
	}
}

package rules

import (
	"testing"

	"gatepost/server/dataformat"
)

func TestSimplifiedRules(t *testing.T) {
	vacation := Vacation{On: true, Text: "away", After: "05 Mar 2024 09:00:00", Before: "15 Mar 2024 09:00:00"}
	redirect := Redirect{On: true, How: KindMirror, Addresses: "user@dom.com"}
	junk := Junk{On: true, Level: 5, Mailbox: "Junk"}
	for _, test := range []struct {
		value dataformat.Value
		want  string
	}{
		{vacation.Value(), `(2,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses"),("Current Date","greater than","05 Mar 2024 09:00:00"),("Current Date","less than","15 Mar 2024 09:00:00")),(("Reply with",away),("Remember 'From' in",RepliedAddresses)))`},
		{Vacation{}.Value(), `(0,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses")),(("Reply with",""),("Remember 'From' in",RepliedAddresses)))`},
		{redirect.Value(), `(1,"#Redirect",(),(("Mirror to",user@dom.com),(Discard,"---")))`},
		{Redirect{How: KindRedirect, Addresses: "a@b.c,d@e.f", Keep: true}.Value(), `(0,"#Redirect",(),(("Redirect To","a@b.c,d@e.f")))`},
		{junk.Value(), `(1,"#JunkControl",(("Header Field",is,"X-Junk-Score:*[XXXXX*")),(("Store in",Junk),(Discard,"---")))`},
	} {
		if got := dataformat.Compact(test.value); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
	set := parse(t, Account, "("+dataformat.Compact(vacation.Value())+","+dataformat.Compact(redirect.Value())+","+dataformat.Compact(junk.Value())+")")
	if got, ok := AsVacation(set.Find(VacationName)); !ok || got != vacation {
		t.Error(got, ok)
	}
	if got, ok := AsRedirect(set.Find(RedirectName)); !ok || got != redirect {
		t.Error(got, ok)
	}
	if got, ok := AsJunk(set.Find(JunkName)); !ok || got != junk {
		t.Error(got, ok)
	}
}

// TestSimplifiedRulesInOtherForms has rules that a page shows, and rules that it leaves alone.
func TestSimplifiedRulesInOtherForms(t *testing.T) {
	first := func(rule string) *Rule {
		s, _ := Load(data(t, "("+rule+")"), Account)
		return s.Rules()[0]
	}
	for rule, want := range map[string]bool{
		`(2,"#Vacation",(("Current Date","greater than","11 Dec 2013 23:24:00"),("Human Generated","---"),(From,"not in","#RepliedAddresses")),(("Reply with","+Subject: x\eFrom: y\e\ez"),("Remember 'From' in",RepliedAddresses)))`: true,
		`(0,"#Vacation",(("Human Generated"),(from,"Not In","#RepliedAddresses")),(("Reply With",x),("Remember 'From' in",RepliedAddresses)))`:                                                                                        true,
		`(2,Vacation,(("Human Generated","---"),(From,"not in","#RepliedAddresses")),(("Reply with",x),("Remember 'From' in",RepliedAddresses)))`:                                                                                     false,
		`(2,"#Vacation",(("Human Generated","---")),(("Reply with",x),("Remember 'From' in",RepliedAddresses)))`:                                                                                                                      false,
		`(2,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses"),(Subject,is,x)),(("Reply with",x),("Remember 'From' in",RepliedAddresses)))`:                                                                   false,
		`(2,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses")),(("Reply with",x),("Remember 'From' in",Other)))`:                                                                                             false,
		`(2,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses")),(("Reply with",x),(Frob,RepliedAddresses)))`:                                                                                                  false,
		`(2,"#Vacation",(("Human Generated","---"),(From,"not in","#RepliedAddresses")),((Discard),("Remember 'From' in",RepliedAddresses)))`:                                                                                         false,
	} {
		if _, ok := AsVacation(first(rule)); ok != want {
			t.Errorf("%s: %v", rule, ok)
		}
	}
	for rule, want := range map[string]bool{
		`(1,"#Redirect",(),(("Redirect to",a@b.c),(Discard,"---")))`: true, `(1,"#Redirect",(),(("Forward to","a@b.c;d@e.f")))`: true,
		`(0,"#Redirect",(),(("Redirect to","")))`: true, `(1,"#Redirect",((Subject,is,x)),(("Redirect to",a@b.c)))`: false,
		`(1,"#Redirect",(),((Discard)))`: false, `(1,"#Redirect",(),(("Mirror to",a@b.c),(Mark,Read)))`: false, `(1,"#Redirect",(),())`: false,
	} {
		if _, ok := AsRedirect(first(rule)); ok != want {
			t.Errorf("%s: %v", rule, ok)
		}
	}
	for rule, level := range map[string]int{
		`(3,MoveSpam,(("Header Field",in,"X-Junk-Score*XXXXXXXXXX*")),(("Store in","~/Junk"),(Discard)))`: 10,
		`(3,"#Junk",(("Header Field",is,"X-Junk-Score: *[XX*")),(("Store in",Junk),(Discard)))`:           2,
		`(3,x,(("Header Field",is,"X-Spam-Flag: YES")),(("Store in",Junk),(Discard)))`:                    0,
		`(3,x,(("Header Field","is not","X-Junk-Score*XX*")),(("Store in",Junk),(Discard)))`:              0,
		`(3,x,(("Header Field",is,"X-Junk-Score: 9*")),(("Store in",Junk),(Discard)))`:                    0,
		`(3,x,(("Header Field",is,"X-Junk-Score*XX*")),(("Store in",Junk)))`:                              0,
	} {
		if j, ok := AsJunk(first(rule)); ok != (level > 0) || ok && j.Level != level {
			t.Errorf("%s: %+v %v", rule, j, ok)
		}
	}
}

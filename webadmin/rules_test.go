package webadmin

import (
	"net/url"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

func (s *site) accountRules(domain, name string) string {
	s.t.Helper()
	set, err := s.acc.AccountMailRules(s.t.Context(), domain, name)
	must(s.t, err)
	return dataformat.Compact(set.Value())
}

const userRules = "/Users/Domains/own.com/Objects/user/Rules"

// A rule is made, changed, moved, switched and deleted with forms alone.
func TestRuleForm(t *testing.T) {
	s := newSite(t)
	c := s.master()
	c.get(userRules).sees(200, "There are no rules yet")
	c.get(userRules+"/Rule").sees(200, "New Rule")
	// Rows come and go by buttons.
	c.postRaw(userRules+"/Rule?add=c", c.form("do", "rows", "name", "Spam", "priority", "7", "c.0.op", "Header Field", "c.0.how", "is", "c.0.param", "X-Spam: yes*")).sees(200)
	if !strings.Contains(c.body, `name="c.1.op"`) || !strings.Contains(c.body, `value="X-Spam: yes*"`) {
		t.Fatal("the row is not added, or what was typed is lost")
	}
	v := c.form("c.1.op", "Message Size", "c.1.how", "in", "c.1.param", "10K", "a.0.op", "Store in", "a.0.param", "Junk")
	v.Set("a.1.op", "Discard")
	v.Set("a.1.param", "")
	c.postRaw(userRules+"/Rule", v).sees(422, "it has no operation")
	if i := strings.Index(c.body, `name="c.1.op"`); i < 0 || !strings.Contains(c.body[i-300:i], "wrong") {
		t.Error("the error is not at its row")
	}
	c.postRaw(userRules+"/Rule?drop=c.1", c.form("do", "rows")).sees(200)
	c.postRaw(userRules+"/Rule", c.form()).sees(200, "The rule Spam is stored", "SETACCOUNTMAILRULES user@own.com")
	if got := s.accountRules("own.com", "user"); got != `((7,Spam,(("Header Field",is,"X-Spam: yes*")),(("Store in",Junk),(Discard))))` {
		t.Fatal(got)
	}
	// What has not changed stays as it is written.
	c.get(userRules + "/Text").sees(200)
	c.postRaw(userRules+"/Text", c.form("text", `(7,Spam,(("header field",in,"A: b")),((discard,"---")))`+"\n"+`(7,Second,(("Human Generated","---")),(("Stop Processing")),note)`)).sees(200, "Stored")
	c.get(userRules+"/Rule?rule=Spam").sees(200, "Spam")
	c.postRaw(userRules+"/Rule", c.form("priority", "3")).sees(200)
	c.get(userRules+"/Rule?rule=Second").sees(200, "Second")
	c.postRaw(userRules+"/Rule", c.form("priority", "3")).sees(200)
	if got := s.accountRules("own.com", "user"); got != `((3,Spam,(("header field",in,"A: b")),((discard,"---"))),(3,Second,(("Human Generated","---")),(("Stop Processing")),note))` {
		t.Fatal(got)
	}
	// Two of one priority change places; one is switched off and on.
	c.get(userRules).sees(200, "Second")
	c.post(userRules, "do", "up", "rule", "Second").sees(200, "The order is stored")
	if got := s.accountRules("own.com", "user"); !strings.HasPrefix(got, "((3,Second") {
		t.Error(got)
	}
	c.post(userRules, "do", "off", "rule", "Spam").sees(200, "switched off")
	c.post(userRules, "do", "on", "rule", "Spam", "priority", "9").sees(200, "switched on")
	if got := s.accountRules("own.com", "user"); !strings.Contains(got, "(9,Spam") {
		t.Error(got)
	}
	// Somebody else's change meanwhile is shown, and nothing is lost.
	c.get(userRules + "/Rule?rule=Spam")
	typed := c.form("priority", "1")
	other := s.master()
	other.get(userRules + "/Rule?rule=Spam")
	other.postRaw(userRules+"/Rule", other.form("comment", "hers")).sees(200)
	c.postRaw(userRules+"/Rule", typed).sees(409, "somebody else has changed this meanwhile", "hers")
	c.postRaw(userRules+"/Rule", c.form()).sees(200, "is stored")
	c.get(userRules + "/Rule?rule=Spam")
	c.postRaw(userRules+"/Rule", c.form("do", "delete")).sees(200, "The rule Spam is deleted")
	c.get(userRules + "/Rule?rule=Spam").sees(404)
}

// A list of dictionaries, such as External Filters, is one of them a line.
func TestListOfDictionaries(t *testing.T) {
	list := settings.Setting{Type: "list"}
	const text = "plain\n{Name=a;Enabled=YES;}"
	v, err := valueOf(list, text)
	must(t, err)
	if _, ok := v.(dataformat.Array)[1].(dataformat.Dict); !ok {
		t.Errorf("%T", v.(dataformat.Array)[1])
	}
	if again, err := valueOf(list, textOf(list, v)); err != nil || dataformat.Compact(again) != dataformat.Compact(v) {
		t.Errorf("%s, %v", dataformat.Compact(again), err)
	}
	if _, err := valueOf(list, "{Name="); err == nil {
		t.Error("a damaged line is taken")
	}
}

// Rules of the server and of a domain have what their level has.
func TestRuleLevels(t *testing.T) {
	s := newSite(t)
	c := s.master()
	c.get("/Settings/Rules/Rule").sees(200, "ExternalFilter", "Any Route")
	c.get("/Users/Domains/own.com/Rules/Rule").sees(200)
	if strings.Contains(c.body, "ExternalFilter") {
		t.Error("rules of a domain have no filters")
	}
	c.postRaw("/Users/Domains/own.com/Rules/Rule", c.form("name", "Tag", "a.0.op", "Tag Subject", "a.0.param", "[x] ")).sees(200, "SETDOMAINMAILRULES own.com")
	// Who may not change them sees them.
	admin := s.as("admin", "own.com", "Domain")
	admin.get("/Users/Domains/own.com/Rules").sees(200, "Tag")
	if strings.Contains(admin.body, "New Rule") {
		t.Error("a button that would be refused")
	}
	admin.get("/Users/Domains/own.com/Rules/Rule?rule=Tag").sees(200, "Tag Subject")
	admin.postRaw("/Users/Domains/own.com/Rules/Rule", url.Values{"token": {admin.token()}, "do": {"update"}, "name": {"x"}, "priority": {"1"}}).sees(403)
}

func TestSimpleRules(t *testing.T) {
	s := newSite(t)
	c := s.master()
	at := userRules + "/Simple"
	c.get(at).sees(200, "Vacation message")
	c.post(at, "do", "vacation", "on", "on", "text", "I am away.\nAlice", "first", "2026-03-05", "last", "2026-03-09").sees(200, "#Vacation is stored")
	if got := s.accountRules("own.com", "user"); !strings.Contains(got, `("Current Date","greater than","05 Mar 2026 00:00:00"),("Current Date","less than","10 Mar 2026 00:00:00")`) {
		t.Error(got)
	}
	if c.get(at); !strings.Contains(c.body, `value="2026-03-05"`) || !strings.Contains(c.body, `value="2026-03-09"`) {
		t.Error("the days are not shown")
	}
	c.post(at, "do", "vacation", "on", "on", "text", "x", "first", "2026-03-05", "last", "2026-03-01").sees(422, "before the first one")
	c.post(at, "do", "redirect", "on", "on", "addresses", "nobody at all", "how", "Mirror to").sees(422)
	c.post(at, "do", "redirect", "on", "on", "addresses", "a@far.test; b@far.test", "how", "Redirect To").sees(200, "#Redirect is stored")
	c.post(at, "do", "junk", "on", "on", "level", "XXXX", "mailbox", "Spam").sees(200)
	for _, want := range []string{`(1,"#Redirect",(),(("Redirect To","a@far.test, b@far.test"),(Discard,"---")))`, `"X-Junk-Score:*[XXXX*"`, `("Store in",Spam)`} {
		if got := s.accountRules("own.com", "user"); !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	c.post(at, "do", "vacation", "text", "I am away.\nAlice").sees(200)
	if got := s.accountRules("own.com", "user"); !strings.Contains(got, `(0,"#Vacation"`) {
		t.Error(got)
	}
}

// The page tells what the junk filter knows, and has it forget.
func TestJunkFilterOfAnAccount(t *testing.T) {
	s := newSite(t)
	c := s.master()
	page := userRules + "/Simple"
	c.get(page).sees(200, "Junk filter", "Learned as junk", "95", "20 messages of each kind")
	c.post(page, "do", "forget").sees(200, "has forgotten", "RESETACCOUNTJUNK user@own.com")
	v, err := dataformat.Parse([]byte("{JunkScore=0;JunkFilter=NO;}"))
	must(t, err)
	must(t, s.acc.AccountSettings("own.com", "user").Update(t.Context(), v.(dataformat.Dict)))
	c.get(page).sees(200, "is off for this account", "never")
	v, err = dataformat.Parse([]byte("{JunkScore=30;}"))
	must(t, err)
	if err := s.acc.AccountSettings("own.com", "user").Update(t.Context(), v.(dataformat.Dict)); err == nil {
		t.Error("a JunkScore of 30 is taken")
	}
}

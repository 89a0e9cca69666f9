package webadmin

import (
	"strings"
	"testing"

	"gatepost/server/dataformat"
)

func (s *site) module(t *testing.T, name string) string {
	t.Helper()
	d, err := s.server.Module(t.Context(), name)
	must(t, err)
	return dataformat.Compact(d)
}

// A form that comes back as it was shown changes nothing, whatever the kinds of its fields.
func TestFormThatWasNotTouchedChangesNothing(t *testing.T) {
	s := newSite(t)
	s.server.modules["SMTP"] = dict(t, `{MaxMessageSize=10M;DelayPrompt=1m;InputFlow=(5, 1h);DiscloseVersion=YES;RBLDomain=(a.test,b.test);
		VerifyReturnPath=everybody;Prompt="a \"b\" <c>";SmartHostPassword=geheim;Trusted="10.0.0.0/8\e!10.0.0.1 ; comment";Listener=({Port=2525;TLS=none;Allow="10.0.0.0/8";PerIP=3;});}`)
	before := s.module(t, "SMTP")
	c := s.master()
	c.get("/Settings/SMTP").sees(200, "Incoming Message Size Limit")
	if strings.Contains(c.body, "geheim") {
		t.Error("the page has a secret")
	}
	c.postRaw("/Settings/SMTP", c.form()).sees(200, "Nothing has changed")
	if after := s.module(t, "SMTP"); after != before {
		t.Errorf("%s became %s", before, after)
	}
	for _, page := range []string{"/Users/Domains/own.com/Domain%20Settings", "/Users/Domains/own.com/Account%20Defaults", "/Users/Domains/own.com/Template",
		"/Users/Account%20Defaults", "/Users/Domain%20Defaults", "/Users/Domains/own.com/Objects/user/Settings", "/Users/Domains/own.com/Objects/user/Mail",
		"/Users/Domains/own.com/Objects/user/Preferences", "/Settings/General", "/Settings/Network"} {
		c.get(page).sees(200)
		c.postRaw(page, c.form()).sees(200, "Nothing has changed")
	}
}

func TestFormSetsAndGivesBack(t *testing.T) {
	s := newSite(t)
	c := s.master()
	change := func(want string, fields ...string) {
		t.Helper()
		c.get("/Settings/SMTP").sees(200)
		c.postRaw("/Settings/SMTP", c.form(fields...)).sees(200)
		if got := s.module(t, "SMTP"); got != want {
			t.Errorf("%v: %s, want %s\n%s", fields, got, want, c.text())
		}
	}
	change(`{MaxMessageSize=10M;}`, "f.MaxMessageSize", "10M") // typed, and the box not ticked
	change(`{MaxMessageSize=10M;Prompt=hello;}`, "own.Prompt", "on")
	change(`{Prompt=hello;}`, "own.MaxMessageSize", "-")
	change(`{DiscloseVersion=YES;Prompt=hello;}`, "f.DiscloseVersion", "=YES")
	change(`{Prompt=hello;}`, "f.DiscloseVersion", "~", "f.InputFlow", "20 in 15s")
	change(`{InputFlow=(5,2h);Prompt=hello;}`, "f.InputFlow", "5 in 2h")
	change(`{InputFlow=("-1",30);Prompt=hello;}`, "f.InputFlow", "unlimited")
	change(`{Prompt=hello;}`, "own.InputFlow", "-")
	change(`{Prompt=hello;RBLDomain=(a.test,b.test);}`, "f.RBLDomain", "a.test\r\n b.test \r\n")
	change(`{Prompt=hello;RBLDomain=(a.test,b.test);SmartHostPassword=geheim;}`, "f.SmartHostPassword", "geheim")
	if strings.Contains(c.body, "geheim") {
		t.Error("the page that follows has the secret")
	}
	change(`{Prompt=hello;RBLDomain=(a.test,b.test);}`, "drop.SmartHostPassword", "on")
	change(`{Listener=({Port=25;},{Port=465;TLS=implicit;},{Allow="10.0.0.0/8";Port=587;});Prompt=hello;RBLDomain=(a.test,b.test);}`,
		"Listener.2.port", "587", "Listener.2.allow", "10.0.0.0/8")
	if strings.Contains(s.log.String(), "geheim") {
		t.Error("the log has the secret")
	}
}

func TestFormThatIsWrongStoresNothing(t *testing.T) {
	s := newSite(t)
	c := s.master()
	c.get("/Settings/SMTP")
	c.postRaw("/Settings/SMTP", c.form("f.MaxMessageSize", "12X", "f.DelayPrompt", "soon", "f.Prompt", "new", "f.InputFlow", "many", "f.Trusted", "nonsense", "Listener.0.port", "99999")).
		sees(422, "Nothing was stored", `"12X" is not a size`, `"soon" is not a period`, "is not a rate", "line 1", "is not a port number")
	if got := s.module(t, "SMTP"); got != "{}" {
		t.Errorf("stored %s", got)
	}
	if got := c.form(); got.Get("f.Prompt") != "new" || got.Get("f.MaxMessageSize") != "12X" {
		t.Errorf("what was typed is gone: %v", got)
	}
	// What only the whole can tell stands at its field too.
	c.get("/Settings/SMTP")
	c.postRaw("/Settings/SMTP", c.form("f.LogLevel", "9", "f.Prompt", "new")).sees(422, "Log Level : must be -1 to 5")
	if !strings.Contains(c.body, `href="#LogLevel"`) {
		t.Error("no link to the field")
	}
	// A corrected form stores all of it.
	c.postRaw("/Settings/SMTP", c.form("f.LogLevel", "4")).sees(200, "2 changes", "UPDATEMODULE SMTP {LogLevel=4;Prompt=new;}", "Settings/SMTP.settings")
}

func TestChangesOfOthersAreNoticed(t *testing.T) {
	s := newSite(t)
	a, b := s.master(), s.master()
	a.get("/Settings/SMTP")
	b.get("/Settings/SMTP")
	a.postRaw("/Settings/SMTP", a.form("f.Prompt", "of a")).sees(200, "1 change")
	// Another field is no conflict.
	other := b.form("f.MaxMessageSize", "1M")
	b.postRaw("/Settings/SMTP", other).sees(200, "1 change")
	// b still has the page from before.
	stale := b.form()
	stale.Set("f.Prompt", "of b")
	stale.Set("was.Prompt", "~hello")
	b.postRaw("/Settings/SMTP", stale).sees(422, "somebody else has changed this meanwhile", "of a")
	if got := s.module(t, "SMTP"); !strings.Contains(got, `"of a"`) {
		t.Error(got)
	}
	// Sent again, it decides.
	b.postRaw("/Settings/SMTP", b.form()).sees(200, "1 change")
	if got := s.module(t, "SMTP"); !strings.Contains(got, `"of b"`) {
		t.Error(got)
	}
}

func TestUndo(t *testing.T) {
	s := newSite(t)
	c := s.master()
	c.get("/Settings/SMTP")
	c.postRaw("/Settings/SMTP", c.form("f.Prompt", "new", "f.DiscloseVersion", "=YES")).sees(200, "Undo")
	undoing := []string{"do", "undo", "was.Prompt", "=new", "undo.Prompt", "~hello", "was.DiscloseVersion", "=YES", "undo.DiscloseVersion", "~NO"}
	for i := 2; i < len(undoing); i += 2 {
		if !strings.Contains(c.body, `name="`+undoing[i]+`" value="`+undoing[i+1]+`"`) {
			t.Errorf("the form to undo lacks %s = %s", undoing[i], undoing[i+1])
		}
	}
	c.post("/Settings/SMTP", undoing...).sees(200, "Taken back: 2 changes")
	if got := s.module(t, "SMTP"); got != "{}" {
		t.Error(got)
	}
	c.post("/Settings/SMTP", undoing...).sees(409, "has been changed since")
}

func TestAccountSettingsShowWhereTheyComeFrom(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	must(t, s.acc.ServerAccountDefaults().Update(ctx, dict(t, `{MaxAccountSize=3G;}`)))
	c := s.master()
	page := "/Users/Domains/own.com/Objects/user/Mail"
	c.get(page).sees(200, "Mail Storage Limit", "from the server's defaults")
	must(t, s.acc.AccountDefaults("own.com").Update(ctx, dict(t, `{MaxAccountSize=10G;}`)))
	c.get(page).sees(200, "from the domain's Account Defaults")
	c.postRaw(page, c.form("f.MaxAccountSize", "30G")).sees(200, "inherited (10G)", "30G", "UPDATEACCOUNTSETTINGS user@own.com {MaxAccountSize=30G;}", "account.settings")
	if got := s.setting("own.com", "user", "MaxAccountSize"); got != "30G" {
		t.Error(got)
	}
	c.get(page).sees(200, "else 10G from the domain's Account Defaults")
	c.postRaw(page, c.form("own.MaxAccountSize", "-")).sees(200, "inherited (10G)")
	if got := s.setting("own.com", "user", "MaxAccountSize"); got != "10G" {
		t.Error(got)
	}
	for _, want := range []string{"UPDATEACCOUNTSETTINGS target=user@own.com by=postmaster@main.com", `new="{MaxAccountSize=30G;}"`, "HTTPA-", "([127.0.0.1])"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

func TestSettingsOfTheSitesOwn(t *testing.T) {
	s := newSite(t)
	c := s.master()
	page := "/Users/Domains/own.com/Objects/user/Settings"
	c.get(page)
	c.postRaw(page, c.form("new.key", "telephoneNumber", "new.value", "+7 495 1")).sees(200, "telephoneNumber")
	if got := s.setting("own.com", "user", "telephoneNumber"); got != "+7 495 1" {
		t.Error(got)
	}
	c.get(page)
	c.postRaw(page, c.form("f.telephoneNumber", "2")).sees(200, "1 change")
	if got := s.setting("own.com", "user", "telephoneNumber"); got != "2" {
		t.Error(got)
	}
	c.get(page)
	c.postRaw(page, c.form("new.key", "MaxAcountSize", "new.value", "1")).sees(422, "MaxAccountSize")
}

func dict(t testing.TB, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v.(dataformat.Dict)
}

func TestGroups(t *testing.T) {
	s := newSite(t)
	c := s.master().get("/Users/Domains/own.com/Objects")
	c.post("/Users/Domains/own.com/Objects", "do", "group", "name", "Sales").sees(200, "sales@own.com", "has been created")
	page := "/Users/Domains/own.com/Groups/sales"
	c.get(page)
	c.postRaw(page, c.form("f.Members", "user\r\nx@far.test", "f.SetReplyTo", "=YES")).sees(200, "2 changes")
	c.get(page)
	c.postRaw(page, c.form("f.RealName", "Sales people")).sees(200, "1 change")
	d, err := s.acc.Groups().Settings(t.Context(), "own.com", "sales")
	must(t, err)
	if got := dataformat.Compact(d); got != `{Members=(user,"x@far.test");RealName="Sales people";SetReplyTo=YES;}` && !strings.Contains(got, "x@far.test") {
		t.Error(got)
	}
	c.get("/Users/Domains/own.com/Objects?show=groups").sees(200, "sales", "1 group")
	c.get(page).post(page, "do", "remove").sees(200, "is removed")
	c.get(page).sees(404)
}

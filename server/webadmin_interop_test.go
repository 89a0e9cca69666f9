package server_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// This file walks through the administrators' pages with Debian's chromium (GATEPOST_INTEROP=1), as the
// course of administrators does, and keeps a picture of each page at 1280 and at 390 pixels below
// GATEPOST_SCREENSHOTS, or the temporary directory.

// chromium is where the package chromium puts it.
const chromium = "/usr/bin/chromium"

// A browser is one window of it.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string // http://127.0.0.1:28010
	dir  string
	n    int
}

func screenshots() string {
	if d := os.Getenv("GATEPOST_SCREENSHOTS"); d != "" {
		return d
	}
	return filepath.Join(os.TempDir(), "gatepost-screenshots")
}

// newBrowser starts one; without script if asked so.
func newBrowser(t *testing.T, base string, script bool) *browser {
	t.Helper()
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	if _, err := os.Stat(chromium); err != nil {
		t.Skip("there is no chromium")
	}
	dir := screenshots()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.IgnoreCertErrors, chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base, dir: dir}
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !script}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(ev any) {
		if _, ok := ev.(*page.EventJavascriptDialogOpening); ok { // "leave the page?"
			go func() {
				_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
			}()
		}
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// limited is a context for one step.
func (b *browser) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, 20*time.Second)
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// ask runs an action that returns something.
func ask[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// open goes to a page.
func (b *browser) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.base + path))
}

// fill types into fields, by their names; a menu gets the option with a value.
func (b *browser) fill(form string, pairs ...string) {
	b.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		b.set(fmt.Sprintf(`%s [name="%s"]`, form, pairs[i]), pairs[i+1])
	}
}

// choose takes an option of a menu.
func (b *browser) choose(name, value string) {
	b.t.Helper()
	b.set(fmt.Sprintf(`select[name="%s"]`, name), value)
}

// set gives a field a value, as typing does.
func (b *browser) set(selector, value string) {
	b.t.Helper()
	if got := ask(b, chromedp.Evaluate[string](fmt.Sprintf(`(() => { const e = document.querySelector(%q); if (!e) return "missing";
		e.value = %q; e.dispatchEvent(new Event("input", {bubbles: true})); return e.value })()`, selector, value))); got != value {
		b.picture("failed")
		b.t.Fatalf("%s does not take %q: %q", selector, value, got)
	}
}

// tick sets a box.
func (b *browser) tick(selector string, on bool) {
	b.t.Helper()
	if !ask(b, chromedp.Evaluate[bool](fmt.Sprintf(`(() => { const e = document.querySelector(%q); if (!e) return false;
		e.checked = %v; e.dispatchEvent(new Event("input", {bubbles: true})); return true })()`, selector, on))) {
		b.t.Fatalf("there is no %s", selector)
	}
}

// press clicks on what a selector names and waits for the page that follows.
func (b *browser) press(selector string) {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	if err != nil {
		b.t.Fatalf("%s: %v", selector, err)
	}
	if resp.Status >= 500 {
		b.t.Fatalf("%s: status %d\n%s", selector, resp.Status, b.text())
	}
}

// do presses the button of a form that does something.
func (b *browser) do(what string) {
	b.t.Helper()
	b.press(fmt.Sprintf(`button[value="%s"]:not(.hidden)`, what))
}

// text is what stands on the page.
func (b *browser) text() string {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
}

// sees fails unless the page, or the one that is just being loaded, has all of these words.
func (b *browser) sees(words ...string) {
	b.t.Helper()
	var text string
	missing := func() string {
		text = b.text()
		for _, w := range words {
			if !strings.Contains(text, w) {
				return w
			}
		}
		return ""
	}
	for loading := time.Now().Add(3 * time.Second); missing() != "" && time.Now().Before(loading); {
		b.run(chromedp.Sleep(20 * time.Millisecond))
	}
	if w := missing(); w != "" {
		b.picture("failed")
		b.t.Fatalf("%q is not on the page:\n%s", w, text)
	}
}

// picture keeps the page as it looks on a laptop and on a phone, and looks whether it needs more room
// than there is.
func (b *browser) picture(name string) {
	b.t.Helper()
	b.n++
	for _, width := range []int64{1280, 390} {
		b.run(chromedp.EmulateViewport(width, 800))
		ask(b, chromedp.Evaluate[bool](`(scrollTo(0, 0), true)`))
		png := ask(b, chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(b.dir, fmt.Sprintf("%s-%02d-%s-%d.png", b.t.Name(), b.n, name, width)), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
		if wide := ask(b, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`)); wide > width {
			b.t.Errorf("%s scrolls sideways at %d pixels: it is %d wide", name, width, wide)
		}
	}
	if wrong := ask(b, chromedp.Evaluate[string](accessible)); wrong != "" {
		b.t.Errorf("%s is not accessible: %s", name, wrong)
	}
	b.run(chromedp.EmulateViewport(1280, 900))
}

// accessible says what of a page cannot be used with a screen reader or the keyboard (WCAG 2.2: 1.3.1, 2.4.1, 2.4.3, 2.4.6, 3.3.2,
// 4.1.2): fields and buttons without a name, more or less than one h1, a heading level that is left out, no main part,
// tables without headers, a focus order that is not that of the page, IDs that are there twice.
const accessible = `(() => {
	const wrong = [], all = (s) => Array.from(document.querySelectorAll(s));
	const named = (e) => (e.labels && e.labels.length) || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.title;
	for (const e of all("input:not([type=hidden]),select,textarea,button,a[href]")) {
		const field = /^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName);
		const name = field ? (e.labels && e.labels.length) || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") : named(e);
		if (!name) wrong.push(e.outerHTML.slice(0, 120) + " has no name");
		if (e.tabIndex > 0) wrong.push(e.outerHTML.slice(0, 80) + " is out of order");
	}
	if (all("h1").length !== 1) wrong.push(all("h1").length + " h1");
	if (all("main").length !== 1) wrong.push("no main part");
	let level = 0;
	for (const h of all("h1,h2,h3,h4")) { const n = +h.tagName[1]; if (n > level + 1) wrong.push("h" + n + " after h" + level); level = n; }
	for (const t of all("table")) if (!t.closest("[data-follow]") && !t.querySelector("th")) wrong.push("a table without headers");
	const ids = new Set();
	for (const e of all("[id]")) { if (ids.has(e.id)) wrong.push("the id " + e.id + " twice"); ids.add(e.id); }
	if (!document.documentElement.lang || !document.title) wrong.push("no language or title");
	return wrong.join("; ");
})()`

func TestInteropWebAdminFirstSteps(t *testing.T) {
	r := start(t)
	b := newBrowser(t, "http://"+r.addr(8010), true)
	// J1: password, name, time zone, expert.
	b.open("/")
	b.picture("setup")
	b.fill("main", "password", "one", "again", "two")
	b.press("main button.main")
	b.sees("The two passwords differ")
	b.fill("main", "password", testPassword, "again", testPassword)
	b.press("main button.main")
	b.sees("Your server")
	b.fill("main", "domain", "corp1.test")
	b.choose("zone", "Europe/Moscow")
	b.picture("server")
	b.do("update")
	b.sees("DNS records", "_dmarc.corp1.test")
	b.picture("dns")
	b.press("a.main")
	b.picture("certificate")
	b.press("a.main")
	b.fill("main", "name", "anna", "realname", "Алиса Петрова", "password", "pw-alice-1", "again", "pw-alice-1")
	b.picture("account")
	b.do("account")
	b.sees("anna@corp1.test", "A message from postmaster")
	b.fill("main", "to", "nobody@corp1.test")
	b.do("send")
	b.sees("unknown")
	b.picture("test-refused")
	b.fill("main", "to", "anna@corp1.test")
	b.do("send")
	b.until("Delivered")
	b.sees("Accepted")
	b.picture("test")
	b.press("a.quiet")
	b.sees("Thunderbird", "993")
	b.picture("clients")
	// J4: the preferences.
	b.open("/Preferences")
	b.choose("level", "10")
	b.choose("theme", "dark")
	b.choose("language", "ru")
	b.do("update")
	b.picture("preferences")
	file, err := os.ReadFile(filepath.Join(r.dir, "Settings", "Main.settings"))
	if err != nil || !bytes.Contains(file, []byte("corp1.test")) {
		t.Errorf("Main.settings: %s, %v", file, err)
	}
	b.open("/Settings/SMTP")
	b.picture("module")
	b.open("/Users/Domains")
	b.picture("domains")
}

// login logs in with a password.
func (b *browser) login(name, password string) {
	b.t.Helper()
	b.open("/login")
	b.fill("main", "name", name, "password", password)
	b.press("main button.main")
}

// want fails unless a command answers what it should.
func (r *running) want(t *testing.T, command, answer string) {
	t.Helper()
	a := r.cli(t, command)
	if got := fmt.Sprint(a.Data); !strings.Contains(got, answer) {
		t.Errorf("%s: %s, want %s", command, got, answer)
	}
}

// The journeys of the course about accounts, domains and their administrators, without a script.
func TestInteropWebAdminAccounts(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	b := newBrowser(t, "http://"+r.addr(8010), false)
	b.open("/Users/Domains")
	b.picture("login")
	b.login("postmaster", testPassword)

	// J5: the storage limit on each level.
	for page, value := range map[string]string{
		"/Users/Account%20Defaults": "3G", "/Users/Domains/corp.test/Account%20Defaults": "10G",
		"/Users/Domains/corp.test/Template": "30G", "/Users/Domains/corp.test/Objects/alice/Mail": "50G",
	} {
		b.open(page)
		b.fill("main", "f.MaxAccountSize", value)
		b.do("update")
		b.sees("Stored: 1 change", value)
	}
	b.picture("changed")
	r.want(t, "GETACCOUNTONESETTING alice MaxAccountSize", "50G")
	r.want(t, "GETACCOUNTONESETTING bob MaxAccountSize", "10G")

	// J6: an account with a name in Cyrillic, and an attribute of the site's own.
	b.open("/Users/Domains/corp.test/Objects")
	b.picture("objects")
	b.fill("#create", "name", "petr", "realname", "Пётр Сергеев", "password", "pw-petr-1", "again", "pw-petr-1")
	b.do("account")
	b.sees("petr@corp.test", "has been created")
	b.fill("main", "new.key", "telephoneNumber", "new.value", "+7 495 123")
	b.do("update")
	b.sees("telephoneNumber")
	b.picture("account")
	r.want(t, "GETACCOUNTSETTINGS petr", "Сергеев")
	r.want(t, "GETACCOUNTONESETTING petr MaxAccountSize", "30G")

	// J7: a table of accounts.
	b.open("/Users/Domains/corp.test/Import")
	b.set("#text", "Name\tRealName\tMaxAccountSize\nu1\tOne\t1G\nu2\tTwo\t\nalice\tThree\t\n")
	b.do("import")
	b.sees("Created: 2 accounts", "alice")
	b.picture("import")

	// J8: a second domain with an administrator of its own.
	b.open("/Users/Domains")
	b.fill(".panel", "name", "second.test")
	b.do("create")
	b.fill("#create", "name", "boss", "password", "pw-boss-1", "again", "pw-boss-1")
	b.do("account")
	b.open("/Users/Domains/second.test/Objects/boss/Access%20Rights")
	for _, right := range []string{"Domain", "CanCreateAccounts", "BasicSettings"} {
		b.tick(fmt.Sprintf(`[name=right][value=%s]`, right), true)
	}
	b.do("update")
	b.sees("The rights are stored")
	b.picture("rights")
	b.open("/Users/Domains/second.test/Domain%20Settings")
	b.set("#aliases-text", "mail.second.test")
	b.do("aliases")
	b.sees("The aliases are stored")
	b.picture("domain")
	b.press(".me button")
	b.login("boss@second.test", "pw-boss-1")
	b.sees("second.test", "boss")
	b.picture("boss")
	if strings.Contains(b.text(), "corp.test") && strings.Contains(b.text(), "alice") {
		t.Error("the administrator of second.test sees the Main Domain")
	}
	b.open("/Users/Domains/corp.test/Objects")
	b.sees("no right")
	b.open("/Users/Domains/second.test/Objects/boss/Mail")
	b.picture("fixed")
	b.press(".me button")

	// J9: disable services, change the password, close sessions, rename, delete. J14: names of special mailboxes.
	b.login("postmaster", testPassword)
	b.open("/Users/Domains/corp.test/Objects/petr/Settings")
	b.tick(`[name="f.AccessModes"][value=All]`, false)
	b.tick(`[name="f.AccessModes"][value=POP]`, false)
	b.do("update")
	b.sees("Stored: 1 change")
	b.fill("#password", "password", "pw-petr-2", "again", "pw-petr-2")
	b.do("password")
	b.sees("The password is set")
	r.want(t, "VERIFYACCOUNTPASSWORD petr PASSWORD \"pw-petr-2\"", "")
	b.open("/Users/Domains/corp.test/Objects/petr/Device Passwords")
	b.fill("#create", "name", "Телефон Петра")
	b.tick(`[name=service][value=HTTP]`, false)
	b.do("create")
	b.sees("shown only now")
	b.picture("device")
	r.want(t, "LISTDEVICEPASSWORDS petr", "Services:[IMAP POP Relay WebCAL WebSite]")
	b.do("revoke")
	b.sees("is revoked")
	b.open("/Users/Domains/corp.test/Objects/petr/Preferences")
	b.fill("main", "f.SentBox", "Отправленные")
	b.do("update")
	b.sees("Stored: 1 change")
	b.picture("prefs")
	r.want(t, "GETACCOUNTPREFS petr", "Отправленные")
	b.open("/Users/Domains/corp.test/Objects/petr/Status")
	b.do("kill")
	b.sees("are closed")
	b.picture("status")
	b.fill("#rename", "name", "peter")
	b.do("rename")
	b.sees("peter@corp.test")
	b.open("/Users/Domains/corp.test/Objects/peter/Remove")
	b.fill("main", "name", "wrong")
	b.do("remove")
	b.sees("not the name")
	b.picture("remove")
	b.fill("main", "name", "peter")
	b.do("remove")
	b.sees("is removed")
}

// The journeys about the server: listeners, checks, the Router, rules, the log and the queue.
func TestInteropWebAdminServer(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	b := newBrowser(t, "https://"+r.addr(9010), true)
	b.login("postmaster", testPassword)

	// J12 and J17: listeners; Client IPs with an exclusion.
	b.open("/Settings/POP")
	b.set(`[name="Listener.2.port"]`, "1110")
	b.set(`[name="Listener.2.tls"]`, "none")
	b.picture("listeners")
	b.do("update")
	b.sees("Stored: 1 change", "1110")
	r.want(t, "GETMODULE POP", "1110")
	b.open("/Settings/Network")
	b.set("#text", "127.0.0.0/8\n::1\n!172.16.1.254\n172.16.1.0/24")
	b.do("update")
	b.sees("Stored: 1 change")
	b.set("#text", "nonsense")
	b.do("update")
	b.sees("line 1")
	b.picture("clients")

	// J10: the key and the certificate of a domain.
	b.open("/Users/Domains/corp.test/TLS")
	b.picture("tls-none")
	b.choose("kind", "ECDSA P-256")
	b.do("generate")
	b.fill("#generator", "CommonName", "mail.corp.test", "AlternativeNames", "corp.test www.corp.test", "Country", "NL", "City", "Delft", "Organization", "Corp")
	b.do("request")
	b.sees("BEGIN CERTIFICATE REQUEST")
	b.picture("tls-request")
	b.fill("#generator", "CommonName", "mail.corp.test", "AlternativeNames", "corp.test www.corp.test")
	b.do("sign")
	b.sees("in force for new connections", "mail.corp.test, corp.test, www.corp.test")
	b.picture("tls")
	r.want(t, "GETDOMAINCERTIFICATE corp.test", "www.corp.test")
	b.choose("type", "ACME")
	b.do("type")
	b.sees("terms are agreed to")
	b.picture("tls-acme")
	b.choose("type", "YES")
	b.do("type")
	b.open("/Settings/Certificate")
	b.sees("corp.test", "ECDSA P-256")
	b.picture("certificates")

	// J18: what is checked of strangers.
	b.open("/Settings/SMTP")
	b.fill("main", "f.DelayPrompt", "soon")
	b.do("update")
	b.sees("Nothing was stored", "not a period")
	b.picture("wrong")
	b.fill("main", "f.DelayPrompt", "10s")
	b.do("update")
	b.sees("Stored: 1 change")

	// J19: the honeypot in the Router.
	b.open("/Settings/Router")
	table := ask(b, chromedp.Evaluate[string](`document.querySelector("#text").value`))
	b.set("#text", "<director> = spamtrap ; honeypot\n"+table)
	b.do("update")
	b.sees("Stored: 1 change")
	b.fill("main", "address", "director@corp.test")
	b.press(`main form[action="/Settings/Router"] button`)
	b.sees("SPAMTRAP", "line 1")
	b.picture("router")

	// J20 and J21: a rule of the server.
	b.open("/Settings/Rules/Text")
	b.set("#text", `(5, Tag, (("Subject", is, "*offer*")), (("Add Header", "X-Tag: yes")))`)
	b.do("update")
	b.picture("rules")

	// J13 and J39: the log with filters; what administrators have changed.
	b.open("/Monitors/Logs")
	b.picture("logs")
	b.press("main table a")
	b.picture("log")
	b.open("/Monitors/Changes")
	b.sees("SETROUTERTABLE", "postmaster@corp.test", "honeypot")
	b.picture("changes")
	b.open("/Monitors/Queue")
	b.sees("Nothing waits")
	b.picture("queue")
	b.open("/Search?q=log+level")
	b.sees("Log Level")
	b.picture("search")
	b.open("/Users/Domains/corp.test/DNS")
	b.picture("dns")
	b.open("/Master/Access%20Rights")
	b.sees("postmaster@corp.test")
	b.picture("admins")
	b.open("/Menu")
	b.picture("menu")
	// Russian.
	b.open("/Preferences")
	b.choose("language", "ru")
	b.do("update")
	b.sees("Настройки")
	b.open("/Users/Domains/corp.test/Objects")
	b.sees("Создать учётную запись")
	b.picture("russian")
}

// until opens the page again until it has a word.
func (b *browser) until(word string) {
	b.t.Helper()
	for range 100 {
		if strings.Contains(b.text(), word) {
			return
		}
		b.run(chromedp.Reload())
	}
	b.picture("failed")
	b.t.Fatalf("%q does not come:\n%s", word, b.text())
}

// The journeys of rules, groups and filters, without a script.
func TestInteropWebAdminRules(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	b := newBrowser(t, "http://"+r.addr(8010), false)
	b.login("postmaster", testPassword)

	// J21: rules at server, domain and account level.
	b.open("/Settings/Rules")
	b.picture("none")
	for _, level := range []struct{ path, name, command string }{
		{"/Settings/Rules", "Server", "GETSERVERMAILRULES"},
		{"/Users/Domains/corp.test/Rules", "Domain", "GETDOMAINMAILRULES corp.test"},
		{"/Users/Domains/corp.test/Objects/alice/Rules", "Account", "GETACCOUNTMAILRULES alice"},
	} {
		b.open(level.path + "/Rule")
		b.fill("main", "name", level.name, "c.0.op", "Subject", "c.0.how", "is", "c.0.param", "*offer*", "a.0.op", "Add Header", "a.0.param", "X-"+level.name+": yes")
		b.press(`button[formaction$="add=c"]`)
		b.fill("main", "c.1.op", "From", "c.1.how", "less than", "c.1.param", "x")
		b.do("update")
		b.sees("has no operation")
		b.picture("wrong-" + level.name)
		b.press(`button[formaction$="drop=c.1"]`)
		b.do("update")
		b.sees("The rule " + level.name + " is stored")
		r.want(t, level.command, level.name)
	}
	b.open("/Users/Domains/corp.test/Objects/alice/Rules/Simple")
	b.tick("#vacation [name=on]", true)
	b.fill("#vacation", "text", "I am away until Monday.", "first", "2026-03-05", "last", "2026-03-09")
	b.do("vacation")
	b.tick("#junk [name=on]", true)
	b.do("junk")
	b.sees("is stored")
	b.picture("simple")
	b.open("/Users/Domains/corp.test/Objects/alice/Rules")
	b.sees("#Vacation", "#JunkControl")
	b.picture("list")
	b.open("/Users/Domains/corp.test/Objects/alice/Rules/Rule?rule=%23Vacation")
	b.picture("rule")
	b.open("/Users/Domains/corp.test/Objects/alice/Rules/Try")
	b.tick("[name=source][value=text]", true)
	b.set("#text", "From: eve@far.test\nTo: alice@corp.test\nSubject: An offer\nX-Junk-Score: 90 [XXXXXXXX]\n\nbuy")
	b.picture("try")
	b.do("try")
	b.sees("matches", "Account", "discarded by rule")
	b.picture("tried")

	// J22: a group, and rules of the server that tag its mail.
	b.open("/Users/Domains/corp.test/Objects")
	b.fill("#group", "name", "group1")
	b.do("group")
	b.sees("group1@corp.test has been created")
	b.fill("main", "f.Members", "alice\nbob")
	b.choose("f.SetReplyTo", "=NO")
	b.do("update")
	b.sees("Stored: 2 changes")
	b.picture("group")
	r.want(t, "GETGROUP group1@corp.test", "alice")

	// J20 and J28: an external filter and external authentication, with the switches of the domain and the account.
	b.open("/Settings/General")
	b.set(`[name="f.ExternalFilters"]`, `{Enabled=NO; Name=ClamSpam; ProgramName="/usr/bin/clamspam";}`)
	b.set(`[name="f.ExternalAUTH"]`, `{Enabled=NO; ProgramName="/usr/bin/auth.pl";}`)
	b.tick(`[name="own.ExternalFilters"]`, true)
	b.tick(`[name="own.ExternalAUTH"]`, true)
	b.do("update")
	b.sees("Stored: 2 changes", "ClamSpam")
	b.picture("helpers")
	b.open("/Settings/Rules/Rule")
	b.fill("main", "name", "Scan", "priority", "10", "a.0.op", "ExternalFilter", "a.0.param", "ClamSpam")
	b.do("update")
	b.sees("The rule Scan is stored")
	b.open("/Users/Domains/corp.test/Domain%20Settings?show=ExternalOnUnknown")
	b.choose("f.ExternalOnUnknown", "=YES")
	b.do("update")
	b.sees("Stored: 1 change")
	b.open("/Users/Domains/corp.test/Objects/alice/Settings")
	b.choose("f.UseExtPassword", "=YES")
	b.do("update")
	b.sees("Stored: 1 change")

	// J39: how the log is kept, and filters of it.
	b.open("/Settings/Logs")
	b.fill("main", "f.MaxFileSize", "100M", "f.DeleteOldFilesIn", "7d")
	b.do("update")
	b.sees("Stored: 2 changes")
	b.picture("logs")
}

// Two-step login, in dark and with the keyboard alone: search with /, a menu of links, the login form.
func TestInteropWebAdminKeyboard(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	r.cli(t, "SETACCOUNTMAILRULES alice ((5, Spam, ((Subject, is, \"*offer*\"), (From, \"not in\", \"#Friends\")), ((\"Store in\", Junk), (Discard)), \"offers\"))")
	b := newBrowser(t, "http://"+r.addr(8010), true)
	b.open("/login")
	b.keys("postmaster", kb.Tab, testPassword, kb.Enter)
	b.sees("Log out")
	b.open("/Preferences")
	b.choose("theme", "dark")
	b.do("update")
	b.open("/Users/Domains")
	// The first stop leads past the navigation; each stop can be seen.
	b.keys(kb.Tab)
	if at := b.focused(); !strings.Contains(at, "skip") {
		t.Errorf("the first stop is %s", at)
	}
	stops := map[string]bool{}
	for range 25 {
		b.keys(kb.Tab)
		at := b.focused()
		stops[at] = true
		if strings.HasSuffix(at, " unseen") {
			t.Errorf("the focus is not to be seen at %s", at)
		}
	}
	if len(stops) < 15 {
		t.Errorf("25 stops are %d places: %v", len(stops), stops)
	}
	b.open("/Users/Domains")
	// The browser of the test types a / even where a page has taken the key: the key is sent by itself.
	ask(b, chromedp.Evaluate[bool](`document.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true, cancelable: true}))`))
	b.keys("alice", kb.Enter)
	b.sees("alice@corp.test")
	b.picture("search")
	b.open("/Users/Domains/corp.test/Objects/alice/Rules")
	b.picture("rules")
	b.open("/Users/Domains/corp.test/Objects/alice/Rules/Rule?rule=Spam")
	b.picture("rule")
	b.open("/Preferences/TOTP")
	b.sees("Scan the picture")
	b.picture("totp")
	b.open("/Start/Clients")
	b.picture("clients")
	b.open("/Start/Message")
	b.picture("message")
	b.open("/Users/Domains/corp.test/Objects/alice/Rules/Try")
	b.picture("try")
}

// keys types texts and presses keys. Enter sends a form: the page that follows is waited for.
func (b *browser) keys(all ...string) {
	b.t.Helper()
	for _, k := range all {
		if k != kb.Enter {
			b.run(chromedp.KeyEvent(k))
			continue
		}
		ctx, cancel := b.limited()
		_, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(k))
		cancel()
		if err != nil {
			b.t.Fatalf("no page after Enter: %v", err)
		}
	}
	b.run(chromedp.WaitReady(chromedp.CSS("main")))
}

// focused describes where the focus is, and whether it is to be seen.
func (b *browser) focused() string {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[string](`(() => { const e = document.activeElement, s = getComputedStyle(e);
		const ring = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
		return e.tagName + " " + (e.className || e.name || e.textContent.trim().slice(0, 30)) + " " + (e.getAttribute("href") || "") + (ring || e === document.body ? "" : " unseen") })()`))
}

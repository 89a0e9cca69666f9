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
func (b *browser) do(what string) { b.t.Helper(); b.press(fmt.Sprintf(`button[value="%s"]`, what)) }

// text is what stands on the page.
func (b *browser) text() string {
	b.t.Helper()
	return ask(b, chromedp.Text(chromedp.CSS("body")))
}

// sees fails unless the page has all of these words.
func (b *browser) sees(words ...string) {
	b.t.Helper()
	text := b.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			b.picture("failed")
			b.t.Fatalf("%q is not on the page:\n%s", w, text)
		}
	}
}

// picture keeps the page as it looks on a laptop and on a phone, and looks whether it needs more room
// than there is.
func (b *browser) picture(name string) {
	b.t.Helper()
	b.n++
	for _, width := range []int64{1280, 390} {
		b.run(chromedp.EmulateViewport(width, 800))
		png := ask(b, chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(b.dir, fmt.Sprintf("%s-%02d-%s-%d.png", b.t.Name(), b.n, name, width)), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
		if wide := ask(b, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`)); wide > width {
			b.t.Errorf("%s scrolls sideways at %d pixels: it is %d wide", name, width, wide)
		}
	}
	b.run(chromedp.EmulateViewport(1280, 900))
}

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
	b.sees("DNS records", "mail.corp1.test")
	b.picture("dns")
	b.press("a.main")
	b.picture("certificate")
	b.press("a.main")
	b.fill("main", "name", "anna", "realname", "Алиса Петрова", "password", "pw-alice-1", "again", "pw-alice-1")
	b.picture("account")
	b.do("account")
	b.sees("anna@corp1.test", "993")
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

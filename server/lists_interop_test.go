package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// visitor is a person at the pages of mailing lists, whose browser keeps cookies.
type visitor struct {
	t    *testing.T
	http *http.Client
	base string
}

func (r *running) visitor(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &visitor{t, &http.Client{Transport: tr, Jar: jar}, "https://" + r.addr(9100) + "/Lists"}
}

// open gets a page below /Lists, or sends a form to it.
func (v *visitor) open(path string, form url.Values) (int, string) {
	v.t.Helper()
	var resp *http.Response
	var err error
	if form == nil {
		resp, err = v.http.Get(v.base + path)
	} else {
		resp, err = v.http.PostForm(v.base+path, form)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// sees opens a page, or sends a form, and looks for a text in the answer.
func (v *visitor) sees(path string, form url.Values, want string) string {
	v.t.Helper()
	status, text := v.open(path, form)
	if status != 200 || !strings.Contains(text, want) {
		v.t.Fatalf("%s %v: %d, want %q in\n%s", path, form, status, want, text)
	}
	return text
}

func (v *visitor) logIn(name string) {
	v.t.Helper()
	v.sees("/@/login", url.Values{"name": {name + "@" + testDomain}, "password": {testPassword}, "next": {"/Lists/news/"}}, "Log out")
}

// firstOf is what the group of a pattern matches in a text.
func firstOf(t *testing.T, pattern, text string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return m[1]
}

// reply answers a question of a list as a mail program does: to its Reply-To.
func (r *running) reply(t *testing.T, from, question string) {
	t.Helper()
	to := firstOf(t, `(?m)^Reply-To: <(.*)>$`, question)
	run(t, nil, nil, "swaks", "--server", r.addr(587), "-tls", "--auth", "PLAIN", "--auth-user", from+"@"+testDomain, "--auth-password", testPassword,
		"--from", from+"@"+testDomain, "--to", to, "--header", "Subject: Re: "+firstOf(t, `(?m)^Subject: (.*)$`, question), "--body", "yes")
}

// fails sends the report of another server about a message that it could not deliver.
func (r *running) fails(t *testing.T, to, status string) {
	t.Helper()
	text := "From: <MAILER-DAEMON@far.test>\r\nTo: <" + to + ">\r\nSubject: failed\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nfailed\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
		"Reporting-MTA: dns; far.test\r\n\r\nFinal-Recipient: rfc822; x@far.test\r\nAction: failed\r\nStatus: " + status + "\r\n\r\n--b--\r\n"
	if err := r.sendPlain(r.addr(25), "", to, text); err != nil {
		t.Fatalf("a report: %v", err)
	}
}

// until repeats a command until its answer has a text, or has not.
func (r *running) until(t *testing.T, command, text string, has bool) {
	t.Helper()
	for {
		got := fmt.Sprint(r.cli(t, command).Data)
		if strings.Contains(got, text) == has {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("%s: %s", command, got)
		}
	}
}

// A list is run by mail and by page, from the first subscription to the last.
func TestInteropMailingList(t *testing.T) {
	needPrograms(t, "swaks", "curl")
	r := start(t)
	for _, name := range []string{"carol", "dave", "guest"} {
		r.cli(t, fmt.Sprintf("CREATEACCOUNT %s {Password=%q;}", name, testPassword))
	}
	r.cli(t, "CREATELIST news for alice")
	r.cli(t, `UPDATELIST news {Postings="moderate guests"; Browse=subscribers; DigestMessageLimit=2; FeedSubject="[news]"; FeedTrailer="-- \nthe news";}`)
	at := func(name string) string { return name + "@" + testDomain }
	post := func(from, subject string) {
		t.Helper()
		if err := r.submit(t, at(from), at("news"), subject); err != nil {
			t.Fatalf("%s posts: %v", from, err)
		}
	}

	// Bob subscribes by mail, Carol and Dave on the page.
	if err := r.submit(t, at("bob"), at("news-on"), "please"); err != nil {
		t.Fatal(err)
	}
	r.reply(t, "bob", r.waitFor(t, "bob", "Please confirm"))
	r.waitFor(t, "bob", "Welcome to news")
	v := r.visitor(t)
	v.sees("/news/", nil, at("news"))
	for name, mode := range map[string]string{"carol": "feed", "dave": "digest"} {
		v.sees("/news/subscribe", url.Values{"address": {at(name)}, "name": {name}, "mode": {mode}}, "a message is on its way")
		question := r.waitFor(t, name, "Please confirm")
		page := "/news" + firstOf(t, `/Lists(?:/@[^/]*)?/news(/confirm/\w+)`, question)
		v.sees(page, nil, at(name))
		r.want(t, "LISTSUBSCRIBERS news", at("bob"))
		v.sees(page, url.Values{}, "It is done.")
		r.waitFor(t, name, "Welcome to news")
	}

	// A subscriber posts, and guests wait for the owner, who decides by mail and on her page.
	post("bob", "First news")
	copied := r.waitFor(t, "carol", "First news")
	for _, want := range []string{"\nSubject: [news] First news\n", "\nList-Id: <news." + testDomain + ">\n", "\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n", "\n-- \nthe news\n"} {
		if !strings.Contains(copied, want) {
			t.Errorf("no %q in\n%s", want, copied)
		}
	}
	post("guest", "Approved by mail")
	r.reply(t, "alice", r.waitFor(t, "alice", "Approved by mail"))
	r.waitFor(t, "carol", "Approved by mail")
	post("guest", "Rejected by mail")
	question := r.waitFor(t, "alice", "Rejected by mail")
	run(t, nil, nil, "swaks", "--server", r.addr(25), "--from", at("alice"), "--header", "Subject: not our subject", "--to", firstOf(t, `(?m)^ *(news-confirm\+reject-\S+)$`, question))
	if got := r.waitFor(t, "guest", "Your posting to news was rejected"); !strings.Contains(got, "Rejected by mail") || !strings.Contains(got, "not our subject") {
		t.Errorf("the rejection:\n%s", got)
	}
	owner := r.visitor(t)
	owner.logIn("alice")
	decide := func(subject string, form url.Values) {
		t.Helper()
		r.waitFor(t, "alice", subject)
		page := firstOf(t, `href="/Lists(/news/owner/waiting/\w+)">`+subject, owner.sees("/news/owner/waiting", nil, subject))
		form.Set("token", firstOf(t, `name="token" value="(\w+)"`, owner.sees(page, nil, "body of "+subject)))
		owner.sees(page, form, "It is done.")
	}
	post("guest", "Approved on the page")
	decide("Approved on the page", url.Values{"do": {"approve"}})
	r.waitFor(t, "carol", "Approved on the page")
	post("guest", "Refused on the page")
	decide("Refused on the page", url.Values{"do": {"reject"}, "reason": {"too late"}})

	// The archive is for subscribers.
	if status, text := v.open("/news/archive/", nil); status != 403 || strings.Contains(text, "First news") {
		t.Errorf("a stranger at the archive: %d %s", status, text)
	}
	guest, carol := r.visitor(t), r.visitor(t)
	guest.logIn("guest")
	if status, text := guest.open("/news/archive/", nil); status != 403 || strings.Contains(text, "First news") {
		t.Errorf("a guest at the archive: %d %s", status, text)
	}
	carol.logIn("carol")
	carol.sees("/news/archive/", nil, "First news")
	carol.sees("/news/archive/?q=Approved", nil, "Approved on the page")
	feed := run(t, nil, nil, "curl", "-sS", "-k", "--user", at("carol")+":"+testPassword, "https://"+r.addr(9100)+"/Lists/news/archive/feed.atom")
	if !strings.Contains(feed, "<title>[news] First news</title>") && !strings.Contains(feed, "First news") || strings.Contains(feed, "Refused") {
		t.Errorf("the feed:\n%s", feed)
	}

	// Digests are sent when they are full; the server looks for them when it starts.
	r.halt(t)
	r.launch(t)
	digest := r.waitFor(t, "dave", "news digest 1")
	for _, want := range []string{"First news", "Approved by mail", "multipart/digest"} {
		if !strings.Contains(digest, want) {
			t.Errorf("no %q in\n%s", want, digest)
		}
	}

	// Mail to Carol comes back: she gets nothing for now, until she answers. Then her address is gone for good.
	report := firstOf(t, `(?m)^Return-Path: <(.*)>$`, copied)
	r.fails(t, report, "5.2.2")
	warning := r.waitFor(t, "carol", "Mail from news does not reach you")
	post("bob", "While Carol is away")
	r.waitFor(t, "bob", "While Carol is away")
	r.until(t, "GETSUBSCRIBERINFO news NAME "+at("carol"), "bounces:1", true)
	r.reply(t, "carol", warning)
	r.until(t, "GETSUBSCRIBERINFO news NAME "+at("carol"), "bounces:1", false)
	post("bob", "Carol is back")
	r.waitFor(t, "carol", "Carol is back")
	if out := run(t, nil, nil, "curl", "-sS", "--user", "carol:"+testPassword, "imap://"+r.addr(143)+"/INBOX", "-X", `UID SEARCH SUBJECT "While Carol"`); strings.TrimSpace(out) != "* SEARCH" {
		t.Errorf("a subscriber whose mail came back got a posting: %s", out)
	}
	r.cli(t, "UPDATELIST news {FatalWeight=10000;}")
	r.fails(t, report, "5.1.1")
	r.waitFor(t, "alice", "a subscription has ended")
	r.until(t, "LISTSUBSCRIBERS news", at("carol"), false)

	// Bob and Dave leave with one click: no cookie, the body of RFC 8058, once with TLS and once without. A GET changes nothing.
	for name, base := range map[string]string{"bob": "https://" + r.addr(9100), "dave": "http://" + r.addr(8100)} {
		text := digest
		if name == "bob" {
			text = r.waitFor(t, "bob", "Carol is back")
		}
		page := base + firstOf(t, `List-Unsubscribe: <https://[^/]*(/Lists\S+)>`, text)
		run(t, nil, nil, "curl", "-sS", "-k", "--fail", page)
		r.want(t, "LISTSUBSCRIBERS news", at(name))
		run(t, nil, nil, "curl", "-sS", "-k", "--fail", "-d", "List-Unsubscribe=One-Click", page)
		r.until(t, "LISTSUBSCRIBERS news", at(name), false)
		r.waitFor(t, name, "You have left news")
	}
	// The links of pages are not in the log. (The addresses of mail are.)
	for _, secret := range []string{firstOf(t, `/unsubscribe/(\w+)`, digest), testPassword} {
		for line := range strings.Lines(r.log(t)) {
			if strings.Contains(line, secret) {
				t.Errorf("the log has the secret %s: %s", secret, line)
			}
		}
	}
}

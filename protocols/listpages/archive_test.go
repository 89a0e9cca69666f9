package listpages

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/lists/archive"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/server/dataformat"
)

// post puts a posting into the archive of a list of ann, as the list would; it returns its key.
func (f *fixture) post(list, id, header, body string) string {
	f.t.Helper()
	ann, err := f.store.Account(f.t.Context(), "company.com", "ann")
	must(f.t, err)
	if _, err := ann.Mail().Status(f.t.Context(), list); err != nil {
		_, err := ann.Mail().CreateMailbox(f.t.Context(), list, mailbox.CreateOptions{})
		must(f.t, err)
	}
	if !strings.Contains(header, "From:") {
		header = "From: Bob Writer <bob@elsewhere.org>\r\n" + header
	}
	messageID := "<list-" + id + "@company.com>"
	text := "Message-ID: " + messageID + "\r\n" + header + "\r\n" + strings.ReplaceAll(body, "\n", "\r\n")
	when := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	_, err = ann.Mail().Append(f.t.Context(), list, mailbox.AppendMessage{Body: strings.NewReader(text), InternalDate: &when})
	must(f.t, err)
	return archive.Key(messageID)
}

const (
	site   = "http://company.com:8100/Lists/news"
	secure = "https://company.com:9100/Lists/news"
)

func TestArchivePages(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{Browse=anybody;}"})
	first := f.post("news", "1", "Subject: [news] Plans for =?utf-8?q?=C3=A4pfel?=\r\n", "Write to bob@elsewhere.org or see https://example.org/a?b=c.\n> said ann@company.com\n")
	answer := f.post("news", "2", "From: carl@third.net\r\nSubject: Re: Plans\r\nIn-Reply-To: <list-1@company.com>\r\n", "Yes.\n")
	f.post("news", "3", "Subject: Other\r\n", "Something else\n")

	months := f.do("192.0.2.1", site+"/archive/", nil)
	has(t, months, 200, "Plans for äpfel", `href="/Lists/news/archive/2026-11"`, "November 2026", "Bob Writer", "carl@...", `type="application/atom+xml"`)
	lacks(t, months, "carl@third.net")
	month := f.do("192.0.2.1", site+"/archive/2026-11", nil)
	has(t, month, 200, `class="d1"`, "Re: Plans")
	if strings.Index(month.body, "Plans for") > strings.Index(month.body, "Re: Plans") {
		t.Error("the answer comes before what it answers")
	}
	page := f.do("192.0.2.1", site+"/archive/"+first, nil)
	has(t, page, 200, "bob@...", `<a href="https://example.org/a?b=c" rel="nofollow noopener noreferrer ugc">`, `<span class="quote">&gt; said ann@...`, answer, "Reply to the list")
	lacks(t, page, "bob@elsewhere.org", "ann@company.com")
	for _, no := range []string{"/archive/2026-10", "/archive/0000000000000000", "/archive/2026-11?page=2", "/archive/" + first + "/1/x", "/archive/x/y", "/archive/" + first + "/1/x/y"} {
		if got := f.do("192.0.2.1", site+no, nil); got.status != 404 {
			t.Errorf("%s: %d", no, got.status)
		}
	}
}

func has(t *testing.T, a answer, status int, words ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d\n%s", a.status, a.body)
	}
	for _, w := range words {
		if !strings.Contains(a.body, w) {
			t.Errorf("no %q in\n%s", w, a.body)
		}
	}
}

func lacks(t *testing.T, a answer, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(a.body, w) {
			t.Errorf("%q in\n%s", w, a.body)
		}
	}
}

// login returns the cookie of a session.
func (f *fixture) login(name string) string {
	f.t.Helper()
	got := f.do("192.0.2.1", "https://company.com:9100/Lists/@/login", url.Values{"name": {name}, "password": {"secret-of-" + name}, "next": {"/Lists/news/archive/"}})
	if got.status != 303 || got.header.Get("Location") != "/Lists/news/archive/" {
		f.t.Fatalf("login: %d\n%s", got.status, got.body)
	}
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	return "Cookie: " + cookie
}

func (f *fixture) account(names ...string) {
	f.t.Helper()
	for _, name := range names {
		if name != "ann" {
			must(f.t, f.store.CreateAccount(f.t.Context(), "company.com", name, nil))
		}
		must(f.t, f.store.SetPassword(f.t.Context(), "company.com", name, "secret-of-"+name, false))
	}
}

func TestWhoMayReadTheArchive(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{}", "more": "{}"})
	must(t, f.store.SetClientIPs(t.Context(), "192.0.2.77"))
	f.account("ann", "sub", "other")
	f.add("news", "sub@company.com", subscribers.Feed)
	secret := f.add("news", "far@elsewhere.org", subscribers.Null)
	key := f.post("news", "1", "Subject: Hello\r\n", "Text")
	got := f.do("192.0.2.1", secure+"/enter/"+secret, url.Values{})
	if got.status != 303 {
		t.Fatalf("enter: %d", got.status)
	}
	link, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	link = "Cookie: " + link
	people := map[string]string{"stranger": "X: y", "client": "X: y", "other": f.login("other"), "subscriber": f.login("sub"), "link": link, "owner": f.login("ann")}
	for browse, want := range map[string]string{
		"anybody":     "stranger client other subscriber link owner",
		"clients":     "client subscriber link owner",
		"subscribers": "subscriber link owner",
		"nobody":      "owner",
	} {
		must(t, f.store.Lists().Update(t.Context(), "company.com", "news", dataformat.Dict{"Browse": dataformat.String(browse)}))
		for who, more := range people {
			from := "192.0.2.1"
			if who == "client" {
				from = "192.0.2.77"
			}
			can := slices.Contains(strings.Fields(want), who)
			for _, page := range []string{"/archive/", "/archive/2026-11", "/archive/" + key, "/archive/feed.atom", "/archive/?q=text"} {
				got := f.do(from, secure+page, nil, more)
				if ok := got.status == 200; ok != can || !ok && strings.Contains(got.body, "Hello") {
					t.Errorf("%s: %s %s: %d\n%s", browse, who, page, got.status, got.body)
				}
			}
		}
	}
	// A link is good for its own list alone.
	if got := f.do("192.0.2.1", "https://company.com:9100/Lists/more/archive/", nil, link); got.status == 200 {
		t.Error("the link of a subscriber opens another list")
	}
	// Who has left reads no more.
	must(t, f.store.Lists().Update(t.Context(), "company.com", "news", dataformat.Dict{"Browse": dataformat.String("subscribers")}))
	must(t, f.list("news").Subscribers().Change(t.Context(), "far@elsewhere.org", func(s *subscribers.Subscriber) error { s.Mode = subscribers.None; return nil }))
	if got := f.do("192.0.2.1", secure+"/archive/", nil, link); got.status == 200 {
		t.Error("somebody who has left reads on")
	}
}

func TestSessionsEnd(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{}"})
	f.account("ann")
	f.post("news", "1", "Subject: Hello\r\nFrom: a@b.example\r\n", "Text")
	cookie := f.login("ann")
	has(t, f.do("192.0.2.1", secure+"/archive/", nil, cookie), 200, "a@b.example", "Log out")
	if got := f.do("192.0.2.1", "http://company.com:8100/Lists/news/archive/", nil, strings.Replace(cookie, "__Host-", "", 1)); got.status == 200 {
		t.Error("a session of TLS is good without")
	}
	if got := f.do("192.0.2.1", "https://company.com:9100/Lists/@/logout", url.Values{}, cookie, "Origin: https://evil.example"); got.status < 400 {
		t.Error("another site logs people out")
	}
	f.do("192.0.2.1", "https://company.com:9100/Lists/@/logout", url.Values{}, cookie)
	if got := f.do("192.0.2.1", secure+"/archive/", nil, cookie); got.status == 200 {
		t.Error("the session goes on after the logout")
	}
	cookie = f.login("ann")
	must(t, f.store.SetPassword(t.Context(), "company.com", "ann", "another-secret", false))
	if got := f.do("192.0.2.1", secure+"/archive/", nil, cookie); got.status == 200 {
		t.Error("the session goes on with another password")
	}
	got := f.do("192.0.2.1", "https://company.com:9100/Lists/@/login", url.Values{"name": {"ann"}, "password": {"wrong"}, "next": {"//evil.example/"}})
	has(t, got, 403, "is wrong", `value="/Lists/"`)
	has(t, f.do("192.0.2.1", "http://company.com:8100/Lists/@/login", url.Values{"name": {"ann"}, "password": {"another-secret"}}), 403, "without TLS")
}

// TestSessionsOfSubscribersEnd: with the subscription, and on the pages of other lists there is none.
func TestSessionsOfSubscribersEnd(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{Browse=anybody;}", "more": "{Browse=anybody;}"})
	enter := func() string {
		secret := f.add("news", "far@elsewhere.org", subscribers.Feed)
		cookie, _, _ := strings.Cut(f.do("192.0.2.1", secure+"/enter/"+secret, url.Values{}).header.Get("Set-Cookie"), ";")
		return "Cookie: " + cookie
	}
	key := f.post("news", "1", "Subject: Hello\r\nFrom: a@b.example\r\n", "Text")
	other := f.post("more", "2", "Subject: Hello\r\nFrom: a@b.example\r\n", "Text")
	link := enter()
	has(t, f.do("192.0.2.1", secure+"/archive/"+key, nil, link), 200, "a@b.example")
	lacks(t, f.do("192.0.2.1", "https://company.com:9100/Lists/more/archive/"+other, nil, link), "a@b.example")
	change := func(mode subscribers.Mode) {
		must(t, f.list("news").Subscribers().Change(t.Context(), "far@elsewhere.org", func(s *subscribers.Subscriber) error {
			s.Address, s.Mode = "far@elsewhere.org", mode
			return nil
		}))
	}
	change(subscribers.None)
	change(subscribers.Feed)
	lacks(t, f.do("192.0.2.1", secure+"/archive/"+key, nil, link), "a@b.example")
	link = enter()
	has(t, f.do("192.0.2.1", secure+"/archive/"+key, nil, link), 200, "a@b.example")
	change(subscribers.Banned)
	got := f.do("192.0.2.1", secure+"/archive/"+key, nil, link)
	lacks(t, got, "a@b.example", "Log out")
}

// TestSubscribedByAnAlias: an account reads the archive by whichever of its names it is subscribed.
func TestSubscribedByAnAlias(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{}"})
	f.account("ann", "bob")
	must(t, f.store.SetAccountAliases(t.Context(), "company.com", "bob", []string{"robert"}))
	must(t, f.store.SetDomainAliases(t.Context(), "company.com", []string{"mail.company.com"}))
	f.post("news", "1", "Subject: Hello\r\n", "Text")
	bob := f.login("bob")
	has(t, f.do("192.0.2.1", secure+"/archive/", nil, bob), 403)
	for _, address := range []string{"robert@company.com", "Robert@mail.company.com", "bob@mail.company.com"} {
		f.add("news", address, subscribers.Feed)
		has(t, f.do("192.0.2.1", secure+"/archive/", nil, bob), 200, "Hello")
		must(t, f.list("news").Subscribers().Change(t.Context(), address, func(s *subscribers.Subscriber) error { s.Mode = subscribers.None; return nil }))
	}
}

// TestStrangersSeeNoAddress: not in links, nor in what is attached.
func TestStrangersSeeNoAddress(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{Browse=anybody;}"})
	f.account("ann")
	key := f.post("news", "1", "Subject: Ask victim@far.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
		"--b\n\ntext\n--b\nContent-Type: message/rfc822\n\nFrom: victim@far.example\n\nHi\n--b\nContent-Type: Text/VCard; name=v.vcf\n\nEMAIL:victim@far.example\n--b\nContent-Type: text/csv; name=t.csv\n\na,b\n--b--\n")
	page := f.do("192.0.2.1", site+"/archive/"+key, nil)
	has(t, page, 200, "Reply to the list", "for those who have logged in", "/4/t.csv")
	lacks(t, page, "victim@far.example", "victim%40far.example", "/2/message.eml", "/3/v.vcf")
	if c := page.header.Get("Cache-Control"); c != "private, no-cache" {
		t.Errorf("a public page: Cache-Control %q", c)
	}
	ann := f.login("ann")
	for _, part := range []string{"/2/message.eml", "/3/v.vcf"} {
		got := f.do("192.0.2.1", site+"/archive/"+key+part, nil)
		has(t, got, 403, "for those who have logged in")
		lacks(t, got, "victim@far.example")
		has(t, f.do("192.0.2.1", secure+"/archive/"+key+part, nil, ann), 200, "victim@far.example")
	}
	has(t, f.do("192.0.2.1", site+"/archive/"+key+"/4/t.csv", nil), 200, "a,b")
	page = f.do("192.0.2.1", secure+"/archive/"+key, nil, ann)
	has(t, page, 200, "victim%40far.example", "/2/message.eml")
	if c := page.header.Get("Cache-Control"); c != "no-store" {
		t.Errorf("a page behind a login: Cache-Control %q", c)
	}
}

func TestSearchAndFeed(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{Browse=anybody;RealName=\"The <News>\";}"})
	for i := range 70 {
		f.post("news", fmt.Sprint(i), fmt.Sprintf("Subject: Number %d\r\n", i), "A needle, bob@elsewhere.org & <b>\n")
	}
	f.post("news", "x", "Subject: =?utf-8?b?0J/RgNC40LLQtdGC?=\r\nContent-Type: text/html\r\n", "<p>Hay<script>needle</script></p>")
	found := f.do("192.0.2.1", site+"/archive/?q=NEEDLE+number", nil)
	has(t, found, 200, "Number 69", "Number 20", "Go on with earlier postings")
	lacks(t, found, "Number 9<")
	_, rest, _ := strings.Cut(found.body, `href="?`)
	more, _, _ := strings.Cut(rest, `"`)
	has(t, f.do("192.0.2.1", site+"/archive/?"+strings.ReplaceAll(more, "&amp;", "&"), nil), 200, "Number 9<", "Number 0<")
	has(t, f.do("192.0.2.1", site+"/archive/?q="+url.QueryEscape("привет"), nil), 200, "Привет")
	has(t, f.do("192.0.2.1", site+"/archive/?q="+url.QueryEscape("hay needle"), nil), 200, "Nothing was found")
	has(t, f.do("192.0.2.1", site+"/archive/?q="+url.QueryEscape("a b c d e f g h i j k"), nil), 422)
	feed := f.do("192.0.2.1", site+"/archive/feed.atom", nil)
	has(t, feed, 200, "<title>The &lt;News&gt;</title>", "Number 69", "bob@... &amp; &lt;b&gt;", `<link href="http://company.com:8100/Lists/news/archive/`+archive.Key("<list-69@company.com>")+`"`)
	lacks(t, feed, "elsewhere.org")
	if got := f.do("192.0.2.1", site+"/archive/feed.atom", nil, "If-None-Match: "+feed.header.Get("ETag")); got.status != 304 {
		t.Errorf("the feed is sent again: %d", got.status)
	}
}

func TestLinkByMail(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{}"})
	f.add("news", "far@elsewhere.org", subscribers.Feed)
	var bodies []string
	for _, address := range []string{"far@elsewhere.org", "nobody@elsewhere.org", "not an address"} {
		got := f.do("192.0.2.1", secure+"/link", url.Values{"address": {address}})
		has(t, got, 200, "the link is on its way")
		bodies = append(bodies, got.body)
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Error("the answers tell who is subscribed")
	}
}

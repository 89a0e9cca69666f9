package listpages

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/lists"
	"gatepost/accounts/subscribers"
)

const (
	remote = "198.51.100.7"
	home   = "http://company.com/Lists"
)

func TestListsOfADomain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, map[string]string{
		"news":   `{RealName="The News"; Description="What is new\nand more";}`,
		"board":  `{Listed=NO;}`,
		"novost": `{Language=ru; RealName="<script>alert(1)</script>"; Description="\"><img src=x onerror=alert(1)>"; Subscribe=nobody;}`,
	})
	for _, address := range []string{home + "/", home, "http://mail.company.com/lists/", "http://client.dom/Lists/@company.com/", "https://company.com/Lists/"} {
		a := f.do(remote, address, nil)
		if a.status != 200 || !strings.Contains(a.body, "The News") || !strings.Contains(a.body, "What is new") || strings.Contains(a.body, "board") || strings.Contains(a.body, "<script") {
			t.Errorf("%s: %d\n%s", address, a.status, a.body)
		}
		if csp := a.header.Get("Content-Security-Policy"); strings.Contains(csp, "script-src") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %q", address, csp)
		}
	}
	if a := f.do(remote, "http://client.dom/Lists/", nil, "Accept-Language: ru-RU,ru"); !strings.Contains(a.body, "Списков рассылки, видимых всем, нет.") {
		t.Errorf("no lists: %s", a.body)
	}
	if a := f.do(remote, home+"/board", nil); a.status != 200 || !strings.Contains(a.body, "noindex") || !strings.Contains(a.body, "board@company.com") {
		t.Errorf("a list that is not listed: %d %s", a.status, a.body)
	}
	a := f.do(remote, home+"/novost/", nil)
	if strings.Contains(a.body, "<script") || strings.Contains(a.body, "<img") || !strings.Contains(a.body, "Подписывает только владелец") || strings.Contains(a.body, "<form") {
		t.Errorf("novost: %s", a.body)
	}
	for _, path := range []string{"/none/", "/news/none", "/news/confirm", "/news/a/b/c", "/@none.com/", "/@/none.css", "/@/"} {
		if a := f.do(remote, home+path, nil); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := f.do(remote, home+"/@/style.css", nil); a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("style: %d %s", a.status, a.header)
	}
}

func TestSubscribeAndConfirm(t *testing.T) {
	t.Parallel()
	f := newFixture(t, map[string]string{"news": `{}`})
	a := f.do(remote, home+"/news/subscribe", url.Values{"address": {"new@y.com"}, "name": {"New"}, "mode": {"digest"}})
	if a.status != 200 || !strings.Contains(a.body, "a message is on its way") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	asked := f.tokens("news", lists.KindSubscribe)
	if len(asked) != 1 || asked[0].Address != "new@y.com" {
		t.Fatalf("asked %+v", asked)
	}
	page := home + "/news/confirm/" + asked[0].Token
	a = f.do(remote, page, nil) // a scanner
	if a.status != 200 || !strings.Contains(a.body, "<button") || !strings.Contains(a.body, "new@y.com") || f.subscriber("news", "new@y.com").Mode != subscribers.None {
		t.Fatalf("GET confirms: %d %s", a.status, a.body)
	}
	if a = f.do(remote, page, url.Values{}, "Sec-Fetch-Site: cross-site"); a.status != 403 {
		t.Errorf("from another site: %d", a.status)
	}
	a = f.do(remote, page, url.Values{})
	if s := f.subscriber("news", "new@y.com"); a.status != 200 || s.Mode != subscribers.Digest || s.RealName != "New" {
		t.Errorf("%d %+v", a.status, s)
	}
	if a = f.do(remote, page, url.Values{}); a.status != 404 || !strings.Contains(a.body, "answered already") {
		t.Errorf("twice: %d %s", a.status, a.body)
	}
	if text := f.log.String(); strings.Contains(text, "confirm/"+asked[0].Token) {
		t.Error("the log has the token")
	}
}

// Whoever is subscribed, banned or unknown: the answer is the same.
func TestNobodyLearnsWhoIsSubscribed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, map[string]string{"news": `{Subscribe="locals only";}`})
	f.add("news", "sub@y.com", subscribers.Feed)
	f.add("news", "bad@y.com", subscribers.Banned)
	var first string
	for _, address := range []string{"sub@y.com", "bad@y.com", "new@y.com", "ann@company.com"} {
		a := f.do(remote, home+"/news/subscribe", url.Values{"address": {address}, "mode": {"feed"}})
		if first == "" {
			first = a.body
		}
		if a.status != 200 || a.body != first {
			t.Errorf("%s: %d %s", address, a.status, a.body)
		}
	}
	if asked := f.tokens("news", lists.KindSubscribe); len(asked) != 1 || asked[0].Address != "ann@company.com" {
		t.Errorf("asked: %+v", asked)
	}
}

func TestBadSubscriptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, map[string]string{"news": `{}`, "closed": `{Subscribe=nobody;}`})
	post := func(list, address, mode string) answer {
		return f.do(remote, home+"/"+list+"/subscribe", url.Values{"address": {address}, "mode": {mode}})
	}
	for _, c := range []struct {
		list, address, mode string
		status              int
	}{
		{"news", "new@y.com", "banned", 422}, {"news", "new@y.com", "unsubscribe", 422}, {"news", "new@y.com", "", 422},
		{"news", `"><script>`, "feed", 422}, {"news", "news@company.com", "feed", 422}, {"closed", "new@y.com", "feed", 403},
	} {
		if a := post(c.list, c.address, c.mode); a.status != c.status || strings.Contains(a.body, "<script") {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
	if a := f.do(remote, home+"/news/subscribe", url.Values{"address": {"new@y.com"}, "mode": {"feed"}}, "Origin: http://evil.com"); a.status != 403 {
		t.Errorf("from another site: %d", a.status)
	}
	if asked := f.tokens("news", lists.KindSubscribe); len(asked) != 0 {
		t.Errorf("asked: %+v", asked)
	}
}

// One client cannot have a list write to many strangers.
func TestSubscriptionsAreLimited(t *testing.T) {
	t.Parallel()
	f := newFixture(t, map[string]string{"news": `{}`})
	for i := range 8 {
		from := fmt.Sprintf("2001:db8::%d", i) // one network
		a := f.do(from, home+"/news/subscribe", url.Values{"address": {fmt.Sprintf("victim%d@y.com", i)}, "mode": {"feed"}})
		if want := map[bool]int{true: 200, false: 429}[i < 5]; a.status != want {
			t.Errorf("request %d: %d", i, a.status)
		}
	}
	if n := len(f.tokens("news", lists.KindSubscribe)); n != 5 {
		t.Errorf("%d are asked", n)
	}
	if a := f.do(remote, home+"/news/subscribe", url.Values{"address": {"other@y.com"}, "mode": {"feed"}}); a.status != 200 {
		t.Errorf("another client: %d", a.status)
	}
}

// RFC 8058 section 3.2: a POST without cookie or login, wherever it comes from, in either form, over HTTP and HTTPS.
func TestOneClick(t *testing.T) {
	t.Parallel()
	f := newFixture(t, map[string]string{"news": `{}`})
	for _, c := range []struct {
		base  string
		field []string
	}{
		{home, nil}, {"https://company.com/Lists", nil}, {"https://client.dom/Lists/@company.com", nil},
		{home, []string{"Origin: https://mail.example", "Sec-Fetch-Site: cross-site"}},
	} {
		secret := f.add("news", "sub@y.com", subscribers.Feed)
		page := c.base + "/news/unsubscribe/" + secret
		if a := f.do(remote, page, nil); a.status != 200 || !strings.Contains(a.body, "<button") || f.subscriber("news", "sub@y.com").Mode != subscribers.Feed {
			t.Fatalf("GET %s: %d %s", page, a.status, a.body)
		}
		if a := f.do(remote, page, url.Values{"List-Unsubscribe": {"Maybe"}}, c.field...); a.status != 400 || f.subscriber("news", "sub@y.com").Mode != subscribers.Feed {
			t.Errorf("another body: %d", a.status)
		}
		for range 2 {
			a := f.do(remote, page, url.Values{"List-Unsubscribe": {"One-Click"}}, c.field...)
			if a.status != 200 || f.subscriber("news", "sub@y.com").Mode != subscribers.None {
				t.Errorf("POST %s: %d %s", page, a.status, a.body)
			}
		}
		if strings.Contains(f.log.String(), "unsubscribe/"+secret) {
			t.Error("the log has the secret")
		}
	}
	if a := f.do(remote, home+"/news/unsubscribe/AAAAAAAAAAAAAAAA", nil); a.status != 404 {
		t.Errorf("another secret: %d", a.status)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, map[string]string{"news": `{Language=ru;}`, "now": `{Store=NO;}`})
	secret := f.add("news", "sub@y.com", subscribers.Feed)
	must(t, f.list("news").Subscribers().Change(t.Context(), "sub@y.com", func(s *subscribers.Subscriber) error {
		s.PausedUntil, s.Bounces = time.Now().Add(time.Hour), 3
		return nil
	}))
	page := home + "/news/options/" + secret
	a := f.do(remote, page, nil)
	if a.status != 200 || !strings.Contains(a.body, "Письма к вам возвращались") || !strings.Contains(a.body, `value="feed" checked`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = f.do(remote, page, url.Values{"mode": {"index"}, "name": {"<b>Sub\r\nBcc: x"}})
	s := f.subscriber("news", "sub@y.com")
	if a.status != 200 || s.Mode != subscribers.Index || s.RealName != "<b>Sub  Bcc: x" || s.Bounces != 0 || !strings.Contains(a.body, "Ваш выбор сохранён") || strings.Contains(a.body, "<b>") {
		t.Errorf("%d %+v %s", a.status, s, a.body)
	}
	for _, mode := range []string{"banned", "", "unsubscribe"} {
		if a := f.do(remote, page, url.Values{"mode": {mode}}); a.status != 422 || f.subscriber("news", "sub@y.com").Mode != subscribers.Index {
			t.Errorf("mode %q: %d", mode, a.status)
		}
	}
	if a := f.do(remote, home+"/news/options/AAAAAAAAAAAAAAAA", url.Values{"mode": {"feed"}}); a.status != 404 {
		t.Errorf("another secret: %d", a.status)
	}
	if a := f.do(remote, home+"/now/options/"+f.add("now", "sub@y.com", subscribers.Null), nil); strings.Contains(a.body, "digest") {
		t.Errorf("digests without an archive: %s", a.body)
	}
	if a := f.do(remote, home+"/news/options/"+f.add("news", "bad@y.com", subscribers.Banned), nil); a.status != 404 {
		t.Errorf("banned: %d", a.status)
	}
}

// Each text of the templates has a Russian one.
func TestTextsInRussian(t *testing.T) {
	quoted := regexp.MustCompile(`\{\{t "([^"]+)"\}\}`)
	entries, err := files.ReadDir("templates")
	must(t, err)
	for _, e := range entries {
		b, err := files.ReadFile("templates/" + e.Name())
		must(t, err)
		for _, m := range quoted.FindAllStringSubmatch(string(b), -1) {
			if russian[m[1]] == "" {
				t.Errorf("%s: %q has no Russian text", e.Name(), m[1])
			}
		}
	}
}

package listpages

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/lists"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/server/admin"
)

// wait puts a posting before the owner, as the list does, and returns its token.
func (f *fixture) wait(id, from, posting string) string {
	f.t.Helper()
	now := time.Now()
	q, _, err := f.list("news").Subscribers().Ask(f.t.Context(), subscribers.Question{Kind: lists.KindPost, Address: id + " " + from, Value: "Subject of " + id, Expire: now.Add(time.Hour)}, now)
	must(f.t, err)
	ann, err := f.store.Account(f.t.Context(), "company.com", "ann")
	must(f.t, err)
	if _, err := ann.Mail().Status(f.t.Context(), "news/approval"); err != nil {
		_, err = ann.Mail().CreateMailbox(f.t.Context(), "news/approval", mailbox.CreateOptions{})
		must(f.t, err)
	}
	text := "Message-ID: <list-approval-" + q.Token + "@company.com>\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n\r\nDecide\r\n--outer\r\nContent-Type: message/rfc822\r\n\r\n" +
		strings.ReplaceAll(posting, "\n", "\r\n") + "\r\n--outer--\r\n"
	_, err = ann.Mail().Append(f.t.Context(), "news/approval", mailbox.AppendMessage{Body: strings.NewReader(text)})
	must(f.t, err)
	return q.Token
}

var formToken = regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`)

func TestOwnersPages(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{}"})
	f.account("ann", "other", "boss")
	must(t, f.store.SetAccountRights(t.Context(), "company.com", "boss", []string{"Domain", "CanAccessLists"}))
	f.add("news", "far@elsewhere.org", subscribers.Feed)
	ann := f.login("ann")
	owner := secure + "/owner/"
	get := func(page string, who ...string) answer { return f.do("192.0.2.1", owner+page, nil, who...) }

	for who, more := range map[string]string{"stranger": "X: y", "other": f.login("other"), "subscriber": "Cookie: " + strings.SplitN(f.do("192.0.2.1", secure+"/enter/"+f.subscriber("news", "far@elsewhere.org").Secret, url.Values{}).header.Get("Set-Cookie"), ";", 2)[0]} {
		for _, page := range []string{"", "settings", "subscribers", "import", "export", "waiting", "waiting/x"} {
			if got := get(page, more); got.status != 403 || strings.Contains(got.body, `name="do"`) {
				t.Errorf("%s %s: %d", who, page, got.status)
			}
		}
	}
	if got := get("subscribers", f.login("boss")); got.status != 200 {
		t.Errorf("an administrator of the domain: %d", got.status)
	}
	has(t, get("", ann), 200, "Subscribers: 1")
	page := get("settings", ann)
	has(t, page, 200, `name="set.Browse"`, `name="set.FeedTrailer"`)
	lacks(t, page, `name="set.Owner"`)
	token := formToken.FindStringSubmatch(page.body)[1]
	post := func(page string, form url.Values, more ...string) answer {
		t.Helper()
		if !form.Has("token") {
			form.Set("token", token)
		}
		return f.do("192.0.2.1", owner+page, form, append([]string{ann}, more...)...)
	}

	// Settings.
	has(t, post("settings", url.Values{"set.RealName": {"The News"}, "set.Browse": {"anybody"}, "set.Owner": {"other"}}), 200, "is saved")
	if set := f.list("news").Settings(); set.RealName != "The News" || set.Browse != "anybody" || set.Owner != "ann" {
		t.Errorf("settings %+v", set)
	}
	has(t, post("settings", url.Values{"set.RealName": {""}, "set.MaxBounces": {"many"}}), 422, "MaxBounces")
	has(t, post("settings", url.Values{"set.ListFields": {"X-A: b\r\nBcc: victim@x.example"}}), 422, "ListFields")
	has(t, post("settings", url.Values{"set.RealName": {""}}), 200)
	if set := f.list("news").Settings(); set.RealName != "" {
		t.Error("an empty field has left the setting")
	}

	// Forms of other sessions and sites.
	for name, got := range map[string]answer{
		"without a token": post("settings", url.Values{"set.RealName": {"X"}, "token": {""}}),
		"another token":   post("settings", url.Values{"set.RealName": {"X"}, "token": {"AAAA"}}),
		"another site":    post("settings", url.Values{"set.RealName": {"X"}}, "Origin: https://evil.example"),
		"no cookie":       f.do("192.0.2.1", owner+"settings", url.Values{"set.RealName": {"X"}, "token": {token}}),
	} {
		if got.status != 403 || f.list("news").Settings().RealName != "" {
			t.Errorf("%s: %d", name, got.status)
		}
	}

	// Import and export.
	text := "\ufeffone@x.example\nTwo Names <two@x.example>\n# a comment\n\n\"Three, Jr\",x\nthree@x.example,\"Three, Jr\",digest\nfour@x.example;Four;banned\nfive@x.example, Five, none-such\nnot an address\nsix@x.example\tSix\tnull\n=cmd@x.example,=1+1\n\xff\n"
	got := post("import", url.Values{"text": {text}, "mode": {"feed"}, "silently": {"1"}})
	has(t, got, 200, "Addresses that were taken: 6", "5: ", "8: five@x.example", "9: not an address", "12: ")
	for address, mode := range map[string]subscribers.Mode{"one@x.example": subscribers.Feed, "two@x.example": subscribers.Feed, "three@x.example": subscribers.Digest, "four@x.example": subscribers.Banned, "six@x.example": subscribers.Null} {
		if s := f.subscriber("news", address); s.Mode != mode {
			t.Errorf("%s: %s", address, s.Mode)
		}
	}
	has(t, post("import", url.Values{"text": {"four@x.example"}, "mode": {"feed"}}), 200, "Addresses that were taken: 0", "1: four@x.example")
	if s := f.subscriber("news", "four@x.example"); s.Mode != subscribers.Banned {
		t.Error("an import lifts a ban")
	}
	exported := get("export", ann)
	has(t, exported, 200, "three@x.example,\"Three, Jr\",digest\n", "'=cmd@x.example,'=1+1,feed\n")
	for _, line := range strings.Split(strings.TrimSpace(exported.body), "\n") {
		if strings.ContainsAny(line[:1], "=+-@") {
			t.Errorf("a program for tables takes a line for a formula: %q", line)
		}
	}
	has(t, post("import", url.Values{"text": {exported.body}, "mode": {"feed"}}), 200, "Addresses that were taken: 0", "=cmd@x.example is known already")

	// Subscribers.
	has(t, get("subscribers?q=three", ann), 200, "three@x.example")
	lacks(t, get("subscribers?mode=banned", ann), "three@x.example")
	has(t, post("subscribers", url.Values{"who": {"one@x.example", "two@x.example"}, "do": {"posting-prohibited"}}), 200, "prohibited")
	has(t, post("subscribers", url.Values{"who": {"one@x.example"}, "do": {"mode-unsubscribe"}}), 200)
	has(t, post("subscribers", url.Values{"who": {"six@x.example"}, "do": {"mode-index"}}), 200)
	has(t, post("subscribers", url.Values{"do": {"mode-index"}}), 422, "Choose up to")
	if a, b, c := f.subscriber("news", "one@x.example"), f.subscriber("news", "two@x.example"), f.subscriber("news", "six@x.example"); a.Mode != subscribers.None || b.Moderated != subscribers.Prohibited || c.Mode != subscribers.Index {
		t.Errorf("%+v %+v %+v", a, b, c)
	}
	for i := range 150 {
		f.add("news", fmt.Sprintf("many%03d@x.example", i), subscribers.Feed)
	}
	first := get("subscribers?q=many", ann)
	has(t, first, 200, "many099@x.example", "Next page")
	lacks(t, first, "many100@x.example")
	has(t, get("subscribers?q=many&after=many099@x.example", ann), 200, "many100@x.example", "many149@x.example")
}

// TestSecretsStayWithSubscribers: who administers a list cannot act in the name of its subscribers.
func TestSecretsStayWithSubscribers(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{}"})
	if f.add("news", "far@elsewhere.org", subscribers.Feed) == "" {
		t.Fatal("there is no secret")
	}
	boss, list := f.admin.Owner(accounts.Peer{}), admin.Name{Local: "news", Domain: "company.com"}
	s, err := boss.Subscriber(t.Context(), list, "far@elsewhere.org")
	must(t, err)
	all, err := boss.Subscribers(t.Context(), list, admin.SubscriberFilter{}, "", 10)
	must(t, err)
	if s.Secret != "" || len(all.Subscribers) != 1 || all.Subscribers[0].Secret != "" {
		t.Errorf("%+v, %+v", s, all)
	}
}

func TestModerationQueue(t *testing.T) {
	f := newFixture(t, map[string]string{"news": "{}"})
	f.account("ann")
	f.add("news", "bob@elsewhere.org", subscribers.Feed)
	must(t, f.list("news").Subscribers().Change(t.Context(), "bob@elsewhere.org", func(s *subscribers.Subscriber) error { s.Moderated = subscribers.ModerateAll; return nil }))
	ann := f.login("ann")
	posting := "From: Bob <bob@elsewhere.org>\nSubject: <b>Hi\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>See <script>alert(1)</script><img src=//x.example/p.gif>this</p>\n" +
		"--b\nContent-Type: text/html; name=x.html\nContent-Disposition: attachment; filename=\"x.html\"\n\n<script>alert(1)</script>\n--b--\n"
	tokens := []string{f.wait("1", "bob@elsewhere.org", posting), f.wait("2", "carl@x.example", posting), f.wait("3", "bob@elsewhere.org", posting)}
	one, two, three := waitingID(tokens[0]), waitingID(tokens[1]), waitingID(tokens[2])
	owner := secure + "/owner/waiting"
	list := f.do("192.0.2.1", owner, nil, ann)
	has(t, list, 200, "Subject of 1", "Subject of 2", "carl@x.example")
	page := f.do("192.0.2.1", owner+"/"+one, nil, ann)
	has(t, page, 200, "See this", "x.html", "let the author post in future")
	lacks(t, page, "alert(1)", "p.gif")
	for _, u := range unsafe(page.body) {
		if !strings.Contains("<textarea> <nav>", u) && !strings.HasPrefix(u, "textarea ") && !strings.HasPrefix(u, "nav ") {
			t.Error(u)
		}
	}
	part := f.do("192.0.2.1", owner+"/"+one+"/2/x.html", nil, ann)
	if part.status != 200 || part.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(part.header.Get("Content-Disposition"), "attachment;") || !strings.Contains(part.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d %v", part.status, part.header)
	}
	lacks(t, f.do("192.0.2.1", owner+"/"+two, nil, ann), "let the author post in future")
	token := formToken.FindStringSubmatch(page.body)[1]
	decide := func(which, do, reason string) answer {
		return f.do("192.0.2.1", owner+"/"+which, url.Values{"token": {token}, "do": {do}, "reason": {reason}}, ann)
	}
	if got := f.do("192.0.2.1", owner+"/"+one, url.Values{"do": {"approve"}}, ann); got.status != 403 {
		t.Errorf("without a token: %d", got.status)
	}
	if got := decide(two, "reject", "Too loud\r\nBcc: x@y"); got.status != 303 {
		t.Errorf("reject: %d %s", got.status, got.body)
	}
	has(t, f.do("192.0.2.1", owner+"/"+two, nil, ann), 404)
	if got := decide(one, "approve", ""); got.status != 303 {
		t.Errorf("approve: %d %s", got.status, got.body)
	}
	if s := f.subscriber("news", "bob@elsewhere.org"); s.Moderated != subscribers.ModerateAll {
		t.Errorf("approving has changed the right to post: %d", s.Moderated)
	}
	if got := decide(three, "trust", ""); got.status != 303 || f.subscriber("news", "bob@elsewhere.org").Moderated != 0 {
		t.Errorf("trust: %d, %d", got.status, f.subscriber("news", "bob@elsewhere.org").Moderated)
	}
	// Whoever has a token approves without a login: no address of a page has one, and so no history of a browser nor a log.
	for _, token := range tokens {
		if lacks(t, list, token); strings.Contains(f.log.String(), "waiting/"+token) {
			t.Error("a token is in the log")
		}
	}
	if !strings.Contains(f.log.String(), "/owner/waiting/"+one) {
		t.Error("the log does not say what was looked at")
	}
}

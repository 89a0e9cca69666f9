package webadmin

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
)

// sub is a subscriber of list@own.com.
func (s *site) sub(address string) subscribers.Subscriber {
	s.t.Helper()
	l, err := s.acc.Lists().Get(s.t.Context(), "own.com", "list")
	must(s.t, err)
	sub, err := l.Subscribers().Get(address)
	must(s.t, err)
	return sub
}

// A mailing list is made, set up, filled, moderated, renamed and removed.
func TestMailingList(t *testing.T) {
	s := newSite(t)
	c := s.master()
	const objects, page = "/Users/Domains/own.com/Objects", "/Users/Domains/own.com/Lists/list"
	c.get(objects).sees(200, "Create Mailing List")
	c.post(objects, "do", "list", "name", "List", "owner", "nobody").sees(422, "nobody")
	c.post(objects, "do", "list", "name", "List", "owner", "user").sees(200, "The mailing list list@own.com has been created.", "CREATELIST list@own.com FOR user")
	c.get(objects+"?show=lists").sees(200, "list", "0 subscribers", "1 list")

	// Settings, with texts of several lines.
	c.get(page+"/Settings").sees(200, "Archive", "Digests")
	c.postRaw(page+"/Settings", c.form("f.FeedTrailer", "-- \r\nleave: ^U", "f.Subscribe", "=moderated")).sees(200, "Stored: 2 changes.", "UPDATELIST list@own.com")
	c.get(page + "/Settings")
	c.postRaw(page+"/Settings", c.form()).sees(200, "Nothing has changed.")
	l, err := s.acc.Lists().Get(t.Context(), "own.com", "list")
	must(t, err)
	if set := l.Settings(); set.FeedTrailer != "-- \nleave: ^U" || set.Subscribe != accounts.SubscribeModerated {
		t.Errorf("%q %q", set.FeedTrailer, set.Subscribe)
	}

	// Subscribers: one, many, and those that are wrong.
	c.get(page+"/Subscribers").sees(200, "Nobody is subscribed yet")
	c.post(page+"/Subscribers", "do", "add", "address", "A. Person <a@far.test>", "mode", "feed", "silently", "on").sees(200, "a@far.test is subscribed.", `LIST list@own.com feed silently "A. Person <a@far.test>"`)
	c.post(page+"/Subscribers", "do", "add", "address", "A@far.test", "mode", "null").sees(422)
	c.post(page+"/Subscribers", "do", "add", "address", "x", "mode", "feed").sees(422)
	c.post(page+"/Subscribers", "do", "add", "address", "b@far.test", "mode", "unsubscribe").sees(400)
	c.post(page+"/Subscribers", "do", "import", "mode", "digest", "silently", "on", "text", "\ufeffb@far.test\tBob\r\n\r\nx\r\nCarl C. <c@far.test>\r\nA@far.test\r\n").
		sees(200, "Imported: 2 subscribers.", "3 x", "5 A@far.test", "3 subscribers (each posting: 1, digests: 2)")
	if b := s.sub("b@far.test"); b.RealName != "Bob" || b.Mode != subscribers.Digest {
		t.Errorf("%+v", b)
	}
	c.post(page+"/Subscribers", "do", "import", "mode", "feed", "silently", "on", "text", " ").sees(422, "The file is empty.")
	c.post(page+"/Subscribers", "do", "import", "mode", "feed", "text", strings.Repeat("x\n", maxLoudImport+1)).sees(422, "more than 1000 lines")

	// What is done with those that are ticked, and where one goes on.
	c.post(page+"/Subscribers", "do", "mode", "mode", "null").sees(400, "No subscriber is ticked.")
	c.post(page+"/Subscribers?filter=far&show=digest", "do", "mode", "mode", "null", "silently", "on", "pick", "b@far.test", "pick", "c@far.test", "pick", "x").sees(200, "Changed: 2 subscribers.", "x:", "LIST list@own.com null silently")
	if !strings.Contains(c.at, "filter=far") {
		t.Errorf("the page is %s", c.at)
	}
	c.post(page+"/Subscribers", "do", "posting", "posting", "10001", "pick", "a@far.test", "pick", "b@far.test").sees(200, "Changed: 2 subscribers.", "SETPOSTINGMODE list@own.com FOR a@far.test PROHIBITED", "may not post")
	c.post(page+"/Subscribers", "do", "posting", "posting", "99999", "pick", "a@far.test").sees(400)
	c.post(page+"/Subscribers", "do", "end", "silently", "on", "pick", "c@far.test").sees(200, "No longer subscribed: 1 subscriber.")

	// One subscriber, who gets nothing after bounces.
	must(t, l.Subscribers().Change(t.Context(), "a@far.test", func(sub *subscribers.Subscriber) error {
		sub.Bounces, sub.PausedUntil = 4, subscribers.Forever
		return nil
	}))
	c.get(page+"/Subscribers?show=paused").sees(200, "a@far.test", "paused")
	c.get(page+"/Subscriber?address=a@far.test").sees(200, "A. Person", "until the subscriber confirms", "4")
	c.post(page+"/Subscriber", "do", "update", "pick", "a@far.test", "realname", "A. Person", "mode", "feed", "posting", "0", "resume", "on").sees(200, "a@far.test is changed.", "SETPOSTINGMODE list@own.com FOR a@far.test UNMODERATED")
	if a := s.sub("a@far.test"); a.Moderated != 0 {
		t.Errorf("%+v", a)
	}
	c.get(page + "/Subscriber?address=nobody@far.test").sees(404)

	// Moderation.
	s.server.SetWaiting([]subscribers.Question{{Token: "ONE", Address: "guest@far.test", Value: "Buy this"}},
		[]subscribers.Question{{Token: "TWO", Address: "new@far.test", Mode: subscribers.Feed}})
	c.get(page+"/Moderation").sees(200, "Buy this", "guest@far.test", "wants to subscribe", "new@far.test")
	c.get(page+"/Moderation/ONE").sees(200, "Subject: Buy this")
	c.post(page+"/Moderation", "do", "reject", "waits", "ONE", "reason", `not "here"`).sees(200, "Rejected.", "REJECTWAITING list@own.com TOKEN ONE TEXT", "new@far.test")
	c.post(page+"/Moderation", "do", "approve", "waits", "TWO").sees(200, "Approved.", "Nothing waits")
	c.post(page+"/Moderation", "do", "approve", "waits", "TWO").sees(404)

	// Rename, search, remove.
	c.get(page + "/Settings")
	c.post(page+"/Settings", "do", "rename", "name", "News").sees(200, "The mailing list is called news now.", "RENAMELIST list@own.com INTO news")
	c.get("/Search?q=news@own.com").sees(200, "news@own.com")
	const renamed = "/Users/Domains/own.com/Lists/news"
	c.get(renamed).sees(200, "a@far.test")
	c.get(renamed+"/Remove").sees(200, "2 subscribers")
	c.post(renamed+"/Remove", "do", "remove", "name", "other").sees(422)
	c.post(renamed+"/Remove", "do", "remove", "name", "news@own.com").sees(200, "The mailing list news@own.com is removed.")
	c.get(renamed + "/Subscribers").sees(404)
}

// Pages of subscribers lead through all of them, whatever is searched for.
func TestPagesOfSubscribers(t *testing.T) {
	s := newSite(t)
	s.list("own.com")
	l, err := s.acc.Lists().Get(t.Context(), "own.com", "list")
	must(t, err)
	var all []string
	for i := range 250 {
		all = append(all, fmt.Sprintf("n+%03d@far.test", i))
	}
	must(t, l.Subscribers().ChangeAll(t.Context(), all, func(sub *subscribers.Subscriber) error { sub.Mode = subscribers.Null; return nil }))
	c := s.master()
	seen, pages := 0, 0
	for next := "/Users/Domains/own.com/Lists/list/Subscribers?show=null&filter=far"; next != ""; {
		c.get(next).sees(200)
		seen += strings.Count(c.body, `name="pick"`)
		pages++
		_, rest, more := strings.Cut(c.body, `rel="next"`)
		if next = ""; more && rest != "" {
			before, _, _ := strings.Cut(c.body, `" rel="next"`)
			next = strings.ReplaceAll(before[strings.LastIndex(before, `href="`)+6:], "&amp;", "&")
		}
	}
	if seen != 250 || pages != 3 {
		t.Errorf("%d subscribers on %d pages", seen, pages)
	}
}

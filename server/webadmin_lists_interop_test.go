package server_test

import (
	"fmt"
	"strings"
	"testing"
)

// J23: a mailing list is made and set up, people are subscribed, a posting waits for the owner and is sent.
func TestInteropWebAdminLists(t *testing.T) {
	r := start(t)
	r.cli(t, fmt.Sprintf("SETACCOUNTPASSWORD postmaster PASSWORD %q", testPassword))
	b := newBrowser(t, "http://"+r.addr(8010), false)
	b.login("postmaster", testPassword)
	b.open("/Users/Domains/corp.test/Objects")
	b.fill("#list", "name", "news", "owner", "alice")
	b.do("list")
	b.sees("The mailing list news@corp.test has been created.", "Archive", "Digests")
	b.picture("settings")
	b.choose("f.Postings", "=moderated")
	b.fill("main", "f.FeedSubject", "[news]", "f.FeedTrailer", "-- \nthe news of corp.test")
	b.do("update")
	b.sees("Stored: 3 changes")
	b.open("/Users/Domains/corp.test/Objects?show=lists")
	b.sees("news", "mailing list", "0 subscribers")
	b.picture("objects")

	b.open("/Users/Domains/corp.test/Lists/news")
	b.sees("Nobody is subscribed yet")
	b.picture("empty")
	b.fill("#add", "address", "Bob B. <bob@corp.test>")
	b.do("add")
	b.sees("bob@corp.test is subscribed.", "1 subscriber")
	var lines []string
	for i := range 120 {
		lines = append(lines, fmt.Sprintf("Person %d <person%d@far.test>", i, i))
	}
	b.set("#text", strings.Join(append(lines, "nobody@corp.test", "bob@corp.test"), "\n"))
	b.do("import")
	b.sees("Imported: 120 subscribers.", "nobody@corp.test", "bob@corp.test is known already")
	b.picture("imported")
	b.open("/Users/Domains/corp.test/Lists/news/Subscribers?filter=person11")
	b.tick(`[value="person11@far.test"]`, true)
	b.tick(`[value="person110@far.test"]`, true)
	b.set("#bulkmode", "digest")
	b.do("mode")
	b.sees("Changed: 2 subscribers.", "digests: 2")
	r.cli(t, "PROCESSBOUNCE news FATAL FOR person11@far.test")
	b.open("/Users/Domains/corp.test/Lists/news")
	b.picture("subscribers")
	b.open("/Users/Domains/corp.test/Lists/news/Subscriber?address=person11@far.test")
	b.sees("Person 11", "paused")
	b.picture("subscriber")
	b.set("#posting", "10001")
	b.tick("[name=resume]", true)
	b.do("update")
	b.sees("person11@far.test is changed.")
	r.want(t, "GETSUBSCRIBERINFO news NAME person11@far.test", "PROHIBITED")

	// Bob posts, and the posting waits.
	if err := r.submit(t, "bob@corp.test", "news@corp.test", "The first news"); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if b.open("/Users/Domains/corp.test/Lists/news/Moderation"); strings.Contains(b.text(), "The first news") {
			break
		}
	}
	b.sees("The first news", "bob@corp.test")
	b.picture("moderation")
	b.press(`main a[href*="Moderation/"]`)
	b.sees("Subject: The first news")
	b.picture("posting")
	b.do("approve")
	b.sees("Approved.", "Nothing waits for the owner of the list.")
	b.open("/Preferences")
	b.choose("language", "ru")
	b.do("update")
	for _, page := range []string{"Subscribers", "Settings", "Moderation"} {
		b.open("/Users/Domains/corp.test/Lists/news/" + page)
		b.picture("ru-" + strings.ToLower(page))
	}
	b.open("/Users/Domains/corp.test/Lists/news/Remove")
	b.picture("remove")
	b.fill("main", "name", "news@corp.test")
	b.do("remove")
	r.want(t, "LISTLISTS", "[]")
}

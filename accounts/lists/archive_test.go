package lists

import (
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/accounts/lists/archive"
	"gatepost/accounts/subscribers"
	"gatepost/server/dataformat"
)

// fieldOf is the value of a field of a message.
func fieldOf(text, name string) string {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, _ := strings.Cut(line, ": "); strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

func TestPostingsNameTheirPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		o.list("{}", "sub@y.com")
		o.from("sub@y.com", "news@company.com", "Subject: Hello\r\nArchived-At: <https://elsewhere.example/1>\r\n")
		text := strings.Join(o.texts("y.com"), "")
		if got, want := fieldOf(text, "Archived-At"), "<https://company.com/Lists/news/archive/"+archive.Key(fieldOf(text, "Message-ID"))+">"; got != want || strings.Contains(text, "elsewhere.example") {
			t.Errorf("Archived-At %s, want %s", got, want)
		}
		if got := fieldOf(text, "List-Archive"); got != "<https://company.com/Lists/news/archive/>" {
			t.Errorf("List-Archive %s", got)
		}
		// Who wants no archive is in none.
		o.from("sub@y.com", "news@company.com", "Subject: Secret\r\nX-No-Archive: Yes\r\n")
		text = strings.Join(o.texts("y.com"), "")
		if fieldOf(text, "Archived-At") != "" || !archive.Unarchived(fieldOf(text, "Message-ID")) {
			t.Error(text)
		}
		if got := len(o.box("news")); got != 1 {
			t.Errorf("%d postings in the archive", got)
		}
		// Where somebody gets digests, it stays until it was in one.
		l := o.theList("news")
		o.in(l, "dig@y.com", subscribers.Digest)
		o.upkeep()
		o.from("sub@y.com", "news@company.com", "Subject: Again\r\nX-No-Archive: yes\r\n")
		if got := len(o.box("news")); got != 2 {
			t.Errorf("%d postings before the digest", got)
		}
		must(t, o.store.Lists().Update(t.Context(), "", "news", dataformat.Dict{"DigestMessageLimit": dataformat.String("1")}))
		o.texts("y.com")
		o.upkeep()
		if text := strings.Join(o.texts("y.com"), ""); !strings.Contains(text, "Subject: Again") {
			t.Errorf("the digest lacks the posting: %s", text)
		}
		if got := len(o.box("news")); got != 1 {
			t.Errorf("%d postings after the digest", got)
		}
		// Nobody reads the archive: nothing leads there.
		must(t, o.store.Lists().Update(t.Context(), "", "news", dataformat.Dict{"Browse": dataformat.String("nobody")}))
		o.from("sub@y.com", "news@company.com", "Subject: Hello\r\n")
		if text := strings.Join(o.texts("y.com"), ""); strings.Contains(text, "rchive") {
			t.Error(text)
		}
	})
}

// TestRequestsInjectNoFields: whatever somebody writes into a request, the messages that follow have the list's own fields alone.
func TestRequestsInjectNoFields(t *testing.T) {
	hostile := []string{"=?utf-8?q?x=0D=0ABcc:_victim=40z.com=0D=0A?=", "=?utf-8?q?x=0ABcc:_victim=40z.com?=", "=?utf-8?b?eA0KQmNjOiB2aWN0aW1Aei5jb20NCg0KYm9keQ==?=", "x\r\n Bcc: victim@z.com",
		"\"x\\\r\nBcc: victim@z.com\"", "=?utf-8?q?x=E2=80=A8Bcc:_victim=40z.com?=", "=?utf-8?q?x=00=0D=0A=0D=0ABcc:_victim=40z.com?="}
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		o.list("{Subscribe=moderated;Confirmation=NO;Postings=moderated;RewriteFrom=always;FeedSubject=\"[n]\";}", "sub@y.com")
		check := func(what string, texts []string) {
			t.Helper()
			for _, text := range texts {
				head, _, _ := strings.Cut(text, "\r\n\r\n")
				for line := range strings.SplitSeq(head, "\r\n") {
					if low := strings.ToLower(line); strings.HasPrefix(low, "bcc") || strings.ContainsAny(line, "\r\n\x00") {
						t.Errorf("%s: %q\n%s", what, line, head)
					}
				}
			}
		}
		for i, x := range hostile {
			who := string(rune('a'+i)) + "@y.com"
			from := "From: " + x + " <" + who + ">\r\n"
			o.from(who, "news-on@company.com", from+"Subject: "+x+"\r\n")
			o.from(who, "news-request@company.com", from+"Subject: help\r\n")
			o.from("sub@y.com", "news@company.com", "From: "+x+" <sub@y.com>\r\nSubject: "+x+"\r\n")
			waiting, err := o.m.Waiting(o.theList("news"), 10)
			must(t, err)
			for n, w := range waiting {
				if n%2 == 0 {
					must(t, o.m.Approve(t.Context(), o.theList("news"), w.Token))
				} else {
					must(t, o.m.Reject(t.Context(), o.theList("news"), w.Token, "no\r\nBcc: victim@z.com\r\n\r\nbody"))
				}
			}
			o.from("sub@y.com", "news-off@company.com", "From: "+x+" <sub@y.com>\r\nSubject: x\r\n")
			must(t, o.theList("news").Subscribers().Change(t.Context(), "sub@y.com", func(s *subscribers.Subscriber) error { s.Mode = subscribers.Feed; return nil }))
		}
		check("people", o.texts("y.com"))
		check("owner", o.texts("ann"))
		if all := o.texts("z.com"); len(all) > 0 {
			t.Errorf("the victim has mail: %q", all)
		}
	})
}

package lists

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// policy is the DMARC policy of authors in these tests.
func (*office) policy(_ context.Context, domain string) (string, error) {
	if domain == "strict.org" {
		return "reject", nil
	}
	return "", nil
}

// list makes the list news of ann, with subscribers who get postings.
func (o *office) list(set string, subscribed ...string) *accounts.MailingList {
	o.t.Helper()
	return o.listNamed("news", set, subscribed...)
}

func (o *office) listNamed(name, set string, subscribed ...string) *accounts.MailingList {
	o.t.Helper()
	must(o.t, o.store.Lists().Create(o.t.Context(), "", name, "ann", dict(o.t, set)))
	l := o.theList(name)
	for _, a := range subscribed {
		must(o.t, l.Subscribers().Change(o.t.Context(), a, func(s *subscribers.Subscriber) error { s.Mode = subscribers.Feed; return nil }))
	}
	return l
}

func (o *office) theList(name string) *accounts.MailingList {
	o.t.Helper()
	l, err := o.store.Lists().Get(o.t.Context(), "", name)
	must(o.t, err)
	return l
}

// from sends a message of somebody outside.
func (o *office) from(who, to, header string) {
	o.t.Helper()
	a, err := address.Parse(who)
	must(o.t, err)
	if !strings.Contains(header, "From:") {
		header = "From: <" + who + ">\r\n" + header
	}
	o.send(to, header, func(env *envelope.Envelope) {
		env.Source = envelope.Source{Tag: "SMTP"}
		env.ReturnPath = a
	})
}

// mode is the mode of a subscriber of news.
func (o *office) mode(who string) string {
	o.t.Helper()
	s, err := o.theList("news").Subscribers().Get(who)
	must(o.t, err)
	return s.Mode.String()
}

// texts returns the mail of a queue since the last call.
func (o *office) texts(queue string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.mail[queue]
	delete(o.mail, queue)
	return all
}

func TestWhoGetsAPosting(t *testing.T) {
	const text = "Subject: s\r\nTo: news@company.com\r\n"
	for name, c := range map[string]struct {
		set, from, header string
		want              string
	}{
		"of a subscriber":            {"{}", "sub@y.com", text, "ann bob y.com y.com"},
		"of a guest":                 {"{}", "guest@z.com", text, "report to z.com"},
		"of a guest, from anybody":   {"{Postings=\"from anybody\";}", "guest@z.com", text, "ann bob y.com y.com"},
		"of a guest, moderated":      {"{Postings=\"moderate guests\";}", "guest@z.com", text, "ann ann"},
		"without archive":            {"{Store=NO;}", "sub@y.com", text, "bob y.com y.com"},
		"all moderated":              {"{Postings=moderated;}", "sub@y.com", text, "ann ann"},
		"owner only":                 {"{Postings=\"from owner only\";}", "sub@y.com", text, "report to y.com"},
		"forged owner":               {"{Postings=\"from owner only\";}", "ann@company.com", text, "report to ann"},
		"forged owner, by address":   {"{Postings=\"from owner only\"; OwnerCheck=\"IP Addresses\";}", "ann@company.com", text, "report to ann"},
		"owner by return-path":       {"{Postings=\"from owner only\"; OwnerCheck=Return-Path;}", "ann@company.com", text, "ann bob y.com y.com"},
		"html where text is allowed": {"{Format=\"plain text only\";}", "sub@y.com", text + "MIME-Version: 1.0\r\nContent-Type: text/html\r\n", "report to y.com"},
		"too large":                  {"{SizeLimit=10;}", "sub@y.com", text, "report to y.com"},
		"a character set":            {"{CheckCharset=YES;}", "sub@y.com", text + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=koi8-r\r\n", "report to y.com"},
		"a digest's subject":         {"{}", "sub@y.com", "Subject: Re: news digest 12\r\n", "report to y.com"},
		"a list's own message":       {"{}", "sub@y.com", text + "List-Id: News <news.company.com>\r\n", "report to y.com"},
		"sent before":                {"{}", "sub@y.com", text + "Delivered-To: news@company.com\r\n", "report to y.com"},
		"an automatic reply":         {"{}", "sub@y.com", text + "Auto-Submitted: auto-replied\r\n", "report to y.com"},
		"a news ticker":              {"{}", "sub@y.com", text + "Auto-Submitted: auto-generated\r\n", "ann bob y.com y.com"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				o.list(c.set, "sub@y.com", "other@y.com", "bob@company.com")
				o.from(c.from, "news@company.com", c.header)
				if got := o.got(); got != c.want {
					t.Errorf("got: %s, want: %s\n%s", got, c.want, o.log.String())
				}
			})
		})
	}
}

func TestHeaderOfAPosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list(`{RealName="The News"; FeedSubject="[news]"; ListFields="X-Where: here"; FeedTrailer="-- \nleave: ^U";}`, "bob@company.com", "sub@strict.org")
		o.from("sub@strict.org", "news@company.com", "From: Sub <sub@strict.org>\r\nSubject: Re: [news] hi\r\nMessage-ID: <1@strict.org>\r\nList-Id: <other.list>\r\nDisposition-Notification-To: <sub@strict.org>\r\n")
		got := o.texts("bob@company.com")
		if len(got) != 1 {
			t.Fatalf("%d copies\n%s", len(got), o.log.String())
		}
		for _, want := range []string{
			"Delivered-To: news@company.com\r\n", "List-Id: \"The News\" <news.company.com>\r\n", "Subject: [news] Re: hi\r\n",
			"From: \"Sub via news\" <news@company.com>\r\n", "Reply-To: <news@company.com>,\r\n <sub@strict.org>\r\n", "Sender: <news@company.com>\r\n",
			"X-Original-Message-Id: <1@strict.org>\r\n", "Precedence: list\r\n", "X-Where: here\r\n", "List-Post: <mailto:news@company.com>\r\n",
			"To: <news@company.com>\r\n", "\r\n\r\nbody\r\n-- \r\nleave: news-off@company.com\r\n",
		} {
			if !strings.Contains(got[0], want) {
				t.Errorf("no %q in\n%s", want, got[0])
			}
		}
		for _, not := range []string{"other.list", "Disposition-Notification-To", "\r\nMessage-ID: <1@"} {
			if strings.Contains(got[0], not) {
				t.Errorf("there is %q in\n%s", not, got[0])
			}
		}
	})
}

// The return-path and the link to leave are each subscriber's own.
func TestSubscribersHaveTheirOwnTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		l := o.list("{}", "bob@company.com", "sub@y.com")
		s, err := l.Subscribers().Get("sub@y.com")
		must(t, err)
		env := &envelope.Envelope{ReturnPath: l.Service("report"), Personal: o.m.personal(l)}
		n, err := o.m.recipients(t.Context(), l, env)
		must(t, err)
		if n != 2 {
			t.Fatal(n)
		}
		if back, _ := env.ReturnPathFor(1); back.String() != "news-report+"+s.Secret+"@company.com" {
			t.Error(back)
		}
		want := "List-Unsubscribe: <https://company.com/Lists/news/unsubscribe/" + s.Secret + ">,\r\n <mailto:news-off+" + s.Secret +
			"@company.com>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
		if got := string(env.PersonalFor(1)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		o.from("whoever@z.com", "news-off+"+strings.ToLower(s.Secret)+"@company.com", "Subject: unsubscribe\r\n")
		if mode := o.mode("sub@y.com"); mode != "unsubscribe" {
			t.Error(mode)
		}
		o.from("whoever@z.com", "news-off+AAAAAAAAAAAAAAAA@company.com", "Subject: unsubscribe\r\n")
		if mode := o.mode("bob@company.com"); mode != "feed" {
			t.Error(mode)
		}
	})
}

// replyTo is the address that answers the message.
func replyAddress(t *testing.T, text string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "Reply-To: <")
	if !ok {
		t.Fatalf("nobody to answer to:\n%s", text)
	}
	a, _, _ := strings.Cut(after, ">")
	return a
}

func TestSubscriptionByMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list("{SaveRequests=accepted;}")
		o.from("new@y.com", "news-digest@company.com", "From: New <new@y.com>\r\nSubject: x\r\n")
		asked := o.texts("y.com")
		if len(asked) != 1 || o.mode("new@y.com") != "unsubscribe" {
			t.Fatalf("%d questions, mode %s\n%s", len(asked), o.mode("new@y.com"), o.log.String())
		}
		if n := len(o.texts("ann@company.com")); n != 1 {
			t.Errorf("%d requests are stored", n)
		}
		// An automatic reply confirms nothing.
		o.from("new@y.com", replyAddress(t, asked[0]), "Subject: away\r\nAuto-Submitted: auto-replied\r\n")
		if mode := o.mode("new@y.com"); mode != "unsubscribe" {
			t.Errorf("an automatic reply has subscribed: %s", mode)
		}
		o.from("other@z.com", replyAddress(t, asked[0]), "Subject: Re: x\r\n")
		if mode := o.mode("new@y.com"); mode != "digest" {
			t.Errorf("mode %s\n%s", mode, o.log.String())
		}
		if welcome := o.texts("y.com"); len(welcome) != 1 || !strings.Contains(welcome[0], "Welcome to news") {
			t.Errorf("%q", welcome)
		}
		o.from("new@y.com", "news-request@company.com", "Subject: unsubscribe\r\n")
		asked = o.texts("y.com")
		if len(asked) != 1 {
			t.Fatalf("%q", asked)
		}
		// The token in the subject does as well.
		token := replyAddress(t, asked[0])
		token = token[strings.Index(token, "+")+1 : strings.Index(token, "@")]
		o.from("new@y.com", "news-confirm@company.com", "Subject: Re: leave ("+token+")\r\n")
		if mode := o.mode("new@y.com"); mode != "unsubscribe" {
			t.Errorf("mode %s", mode)
		}
		if bye := o.texts("y.com"); len(bye) != 1 || !strings.Contains(bye[0], "You have left news") {
			t.Errorf("%q", bye)
		}
	})
}

// However many requests come in somebody's name, he gets one question.
func TestAStrangerIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list("{}")
		for _, word := range []string{"on", "subscribe", "digest", "feed", "on", "null"} {
			o.from("victim@y.com", "news-"+word+"@company.com", "Subject: x\r\n")
		}
		for range 3 {
			o.from("victim@y.com", "news-request@company.com", "Subject: help\r\n")
		}
		if n := len(o.texts("y.com")); n != 2 { // the question and the help
			t.Errorf("%d messages to the victim", n)
		}
	})
}

func TestTokensAreNotGuessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list("{}")
		o.from("victim@y.com", "news-on@company.com", "Subject: x\r\n")
		for _, token := range []string{"A", strings.Repeat("A", 26), "reject-" + strings.Repeat("A", 26)} {
			o.from("bad@z.com", "news-confirm+"+token+"@company.com", "Subject: x\r\n")
		}
		o.from("bad@z.com", "news-confirm@company.com", "Subject: confirm\r\n")
		if mode := o.mode("victim@y.com"); mode != "unsubscribe" {
			t.Error(mode)
		}
	})
}

func TestHeadersCannotBeInjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list(`{ConfirmationSubject="For ^M"; Postings=moderated;}`)
		o.from("victim@y.com", "news-on@company.com", "From: =?utf-8?Q?A=0D=0ABcc:_x@z.com?= <victim@y.com>\r\nSubject: x\r\n")
		o.from("victim@y.com", "news@company.com", "Subject: =?utf-8?Q?A=0D=0ABcc:_x@z.com=0D=0A=0D=0Abody?=\r\n")
		for _, text := range append(o.texts("y.com"), o.texts("ann@company.com")...) {
			header, _, _ := strings.Cut(text, "\r\n\r\n")
			if strings.Contains(header, "\nBcc") {
				t.Errorf("injected:\n%s", text)
			}
		}
		_, err := o.m.Subscribe(t.Context(), o.theList("news"), Request{Address: "a@y.com\r\nBcc: x@z.com"})
		if err == nil {
			t.Error("an address with line ends was taken")
		}
	})
}

func TestListsThatLeadToEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.listNamed("news", `{Postings="from anybody";}`, "club@company.com", "x@y.com", "news@company.com", "news-on@company.com")
		o.listNamed("club", `{Postings="from anybody";}`, "news@company.com", "z@y.com")
		o.from("w@z.com", "news@company.com", "Subject: s\r\n")
		if got := o.got(); got != "ann ann y.com y.com" { // each archive and each subscriber once
			t.Errorf("got %s\n%s", got, o.log.String())
		}
	})
}

func TestModerationByMail(t *testing.T) {
	for _, approve := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t)
			l := o.list("{FirstModerated=1; Postings=moderated;}", "bob@company.com", "sub@y.com")
			o.from("sub@y.com", "news@company.com", "Subject: s\r\n")
			kept := o.texts("ann@company.com")
			if len(kept) != 2 || !strings.Contains(kept[0], "\r\nbody\r\n") || kept[0] != kept[1] {
				t.Fatalf("%q\n%s", kept, o.log.String())
			}
			token := replyAddress(t, kept[0])
			if waiting, err := o.m.Waiting(l, 10); err != nil || len(waiting) != 1 || waiting[0].Author != "sub@y.com" || waiting[0].Subject != "s" {
				t.Errorf("%+v, %v", waiting, err)
			}
			if approve {
				return // the mailbox of the owner is needed: see the test of the server
			}
			o.from("ann@company.com", strings.Replace(token, "+", "+reject-", 1), "Subject: off topic\r\n")
			if got := o.texts("y.com"); len(got) != 1 || !strings.Contains(got[0], "off topic") {
				t.Errorf("%q\n%s", got, o.log.String())
			}
			if waiting, err := o.m.Waiting(l, 10); err != nil || len(waiting) != 0 {
				t.Errorf("%+v, %v", waiting, err)
			}
		})
	}
}

const dsn = "From: <>\r\nSubject: failed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n" +
	"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; y.com\r\n\r\nFinal-Recipient: rfc822; sub@y.com\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n--b--\r\n"

func (o *office) bounce(to, status string) {
	o.send(to, strings.Replace(dsn, "5.2.2", status, 1), func(env *envelope.Envelope) {
		env.Source, env.ReturnPath = envelope.Source{Tag: "SMTP"}, address.Address{}
	})
}

func TestBounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		l := o.list("{MaxBounces=5;}", "sub@y.com")
		get := func() subscribers.Subscriber {
			s, err := l.Subscribers().Get("sub@y.com")
			must(t, err)
			return s
		}
		secret := get().Secret
		// Whoever forges a report changes nothing, and neither does one who is on vacation.
		o.bounce("news-report@company.com", "5.1.1")
		o.bounce("news-report+AAAAAAAAAAAAAAAA@company.com", "5.1.1")
		o.from("sub@y.com", "news-report+"+secret+"@company.com", "Subject: away\r\nAuto-Submitted: auto-replied\r\n")
		if s := get(); s.Bounces != 0 || s.Paused(time.Now()) {
			t.Fatalf("%+v", s)
		}
		o.texts("ann@company.com") // reports that are not processed are kept
		for range 2 {
			o.bounce("news-report+"+secret+"@company.com", "5.2.2")
		}
		if s := get(); s.Bounces != 1 || !s.Paused(time.Now()) {
			t.Errorf("%+v", s)
		}
		if got := o.texts("y.com"); len(got) != 1 || !strings.Contains(got[0], "does not reach you") {
			t.Errorf("%q", got)
		}
		o.from("bob@company.com", "news@company.com", "Subject: s\r\n")
		if got := o.texts("y.com"); len(got) != 0 {
			t.Errorf("a posting for somebody who gets none: %q", got)
		}
		time.Sleep(25 * time.Hour)
		o.bounce("news-report+"+secret+"@company.com", "5.1.1")
		time.Sleep(25 * time.Hour)
		o.texts("ann@company.com")
		o.bounce("news-report+"+secret+"@company.com", "5.1.1")
		if mode := o.mode("sub@y.com"); mode != "unsubscribe" {
			t.Errorf("%s %+v\n%s", mode, get(), o.log.String())
		}
		if got := o.texts("ann@company.com"); len(got) != 1 || !strings.Contains(got[0], "sub@y.com") {
			t.Errorf("the owner is told %q", got)
		}
	})
}

// The reports of our own queue name the subscriber.
func TestOwnReportsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list("{FatalWeight=10000;}", "bob@company.com", "nobody@company.com")
		o.from("bob@company.com", "news@company.com", "Subject: s\r\n")
		if mode := o.mode("nobody@company.com"); mode != "unsubscribe" {
			t.Errorf("mode %s\n%s", mode, o.log.String())
		}
		if mode := o.mode("bob@company.com"); mode != "feed" {
			t.Errorf("mode %s", mode)
		}
	})
}

func loadList(set *accounts.ListSettings, d dataformat.Dict) error { return settings.Load(set, d) }

// A program that answers each posting, and does not say that it is a program, does not answer itself for ever: neither one
// that answers the list, nor two of them each other.
func TestUnmarkedAnswersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list("{PostingFlow=(5, 1h);}", "robot@y.com", "other@z.com")
		o.from("other@z.com", "news@company.com", "Subject: s\r\n")
		all := 0
		for all < 50 {
			answers := 0
			for domain, who := range map[string]string{"y.com": "robot@y.com", "z.com": "other@z.com"} {
				for _, text := range o.texts(domain) {
					if strings.Contains(text, "multipart/report") {
						continue
					}
					if answers++; all+answers > 50 {
						break
					}
					o.from(who, "news@company.com", "Subject: Re: I am away\r\n")
				}
			}
			if answers == 0 {
				break
			}
			all += answers
		}
		if all >= 50 {
			t.Error("they answer each other for ever")
		}
		// An hour later both may post again; the owner always may.
		time.Sleep(time.Hour)
		o.texts("z.com")
		o.from("robot@y.com", "news@company.com", "Subject: I am back\r\n")
		if n := len(o.texts("z.com")); n != 1 {
			t.Errorf("%d postings after an hour", n)
		}
	})
}

// What a subscriber can read of his message has no other subscriber's address or secret, though all are in the envelope of the file that is
// linked into his account; nor has a copy of the message.
func TestNobodySeesOtherSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		l := o.list("{}", "bob@company.com", "carl@company.com", "sub@y.com")
		o.from("sub@y.com", "news@company.com", "To: news@company.com\r\nSubject: s\r\n")
		var others []string
		for _, who := range []string{"carl@company.com", "sub@y.com"} {
			s, err := l.Subscribers().Get(who)
			must(t, err)
			others = append(others, s.Secret)
		}
		others = append(others, "carl@")
		acc, err := o.store.Account(t.Context(), "company.com", "bob")
		must(t, err)
		linked := false
		look := func(name string) {
			t.Helper()
			box, err := acc.Mail().Open(t.Context(), name, false)
			must(t, err)
			defer box.Close()
			if len(box.UIDs()) != 1 {
				t.Fatalf("%s has %d messages", name, len(box.UIDs()))
			}
			r := box.Reader()
			defer r.Close()
			c, err := r.Content(t.Context(), box.UIDs()[0])
			must(t, err)
			texts := []string{readBody(t, box, box.UIDs()[0]), string(c.Headers)}
			for _, text := range texts {
				for _, other := range others {
					if text == "" || strings.Contains(text, other) {
						t.Errorf("%s: %q is in\n%s", name, other, text)
					}
				}
			}
			if name == "INBOX" {
				_, err = acc.Mail().CreateMailbox(t.Context(), "copy", mailbox.CreateOptions{})
				must(t, err)
				_, err = box.Copy(t.Context(), box.UIDs(), "copy")
				must(t, err)
			}
		}
		look("INBOX")
		look("copy")
		// The test is about something: the file names them all.
		must(t, filepath.WalkDir(o.dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(path, "bob.macnt/Messages") {
				data, failed := os.ReadFile(path)
				linked, err = linked || strings.Contains(string(data), others[0]), failed
			}
			return err
		}))
		if !linked {
			t.Error("no file has the envelope")
		}
	})
}

// Whoever has subscribed the list's own addresses has written into the store; nothing is sent there.
func TestAListDoesNotWriteToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		l := o.list("{}", "sub@y.com", "news@company.com", "News-On@company.com", "news-off+x@company.com", "box#news-confirm@company.com")
		env := new(envelope.Envelope)
		n, err := o.m.recipients(t.Context(), l, env)
		must(t, err)
		if n != 1 || env.Recipients[0].Address.String() != "sub@y.com" {
			t.Errorf("%d recipients: %v", n, env.Recipients)
		}
	})
}

// A stranger who writes the report address of a list as his return-path has our queue make a report. It counts for nobody.
func TestReportsAboutMailOfOthersDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.list("{MaxBounces=1;}", "bob@company.com", "sub@y.com")
		o.listNamed("closed", `{Postings="from owner only";}`)
		for _, victim := range []string{"sub@y.com", "bob@company.com"} {
			o.send("closed@company.com", "From: <x@z.com>\r\nSubject: s\r\n", func(env *envelope.Envelope) {
				env.Source = envelope.Source{Tag: "SMTP"}
				env.ReturnPath = address.Address{Local: "news-report", Domain: "company.com"}
				env.Recipients[0].Original = "rfc822;" + victim
			})
			s, err := o.theList("news").Subscribers().Get(victim)
			must(t, err)
			if s.Mode != subscribers.Feed || s.Bounces != 0 || s.Paused(time.Now()) {
				t.Errorf("%s: %+v\n%s", victim, s, o.log.String())
			}
		}
	})
}

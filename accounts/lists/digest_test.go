package lists

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/accounts/subscribers"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// box returns the messages of a mailbox of ann.
func (o *office) box(name string) (all []string) {
	o.t.Helper()
	acc, err := o.store.Account(o.t.Context(), "company.com", "ann")
	must(o.t, err)
	box, err := acc.Mail().Open(o.t.Context(), name, true)
	if fault.Is(err, fault.NoMailbox) {
		return nil
	}
	must(o.t, err)
	defer box.Close()
	for _, uid := range box.UIDs() {
		all = append(all, readBody(o.t, box, uid))
	}
	return all
}

func readBody[UID ~uint32](t *testing.T, box *mailbox.Mailbox, uid UID) string {
	t.Helper()
	for _, u := range box.UIDs() {
		if uint32(u) == uint32(uid) {
			body, err := box.OpenBody(u)
			must(t, err)
			defer body.Close()
			text := make([]byte, body.Size())
			_, err = body.ReadAt(text, 0)
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	return ""
}

// in subscribes an address to a list in a mode.
func (o *office) in(l *accounts.MailingList, address string, mode subscribers.Mode) {
	o.t.Helper()
	must(o.t, l.Subscribers().Change(o.t.Context(), address, func(s *subscribers.Subscriber) error { s.Mode = mode; return nil }))
}

func (o *office) upkeep() {
	o.t.Helper()
	must(o.t, o.m.Upkeep(o.t.Context(), o.theList("news"), time.Now()))
	time.Sleep(time.Minute)
	synctest.Wait()
}

func TestDigestsAreSentInTime(t *testing.T) {
	for format, want := range map[string][]string{
		"standard MIME": {"Content-Type: multipart/digest", "1. one (sub@y.com)\r\n2. two (sub@y.com)\r\n", "\r\n\r\nFrom: sub@y.com\r\n"},
		"embedded MIME": {"Content-Type: message/rfc822\r\n\r\n", "Subject: two\r\n"},
		"plain text":    {"\r\n" + strings.Repeat("-", 70) + "\r\n\r\n", "\r\nSubject: one\r\n", "\r\n\r\nbody\r\n\r\n" + strings.Repeat("-", 30) + "\r\n", "End of news Digest 1\r\n********************\r\n"},
	} {
		t.Run(format, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOfficeWith(t, true)
				l := o.list(fmt.Sprintf("{DigestPeriod=1d; DigestTimeOfDay=6h; DigestFormat=%q;}", format))
				o.in(l, "sub@y.com", subscribers.Digest)
				o.in(l, "index@z.com", subscribers.Index)
				o.upkeep()
				o.from("sub@y.com", "news@company.com", "From: sub@y.com\r\nSubject: one\r\n")
				o.from("sub@y.com", "news@company.com", "From: sub@y.com\r\nSubject: two\r\n")
				if n := len(o.box("news")); n != 2 {
					t.Fatalf("%d postings in the archive\n%s", n, o.log.String())
				}
				o.upkeep()
				if got := o.texts("y.com"); len(got) != 0 {
					t.Fatalf("before its time: %q", got)
				}
				time.Sleep(24 * time.Hour)
				o.upkeep()
				got, index := o.texts("y.com"), o.texts("z.com")
				if len(got) != 1 || len(index) != 1 {
					t.Fatalf("%d digests, %d indexes\n%s", len(got), len(index), o.log.String())
				}
				for _, w := range want {
					if !strings.Contains(got[0], w) {
						t.Errorf("no %q in\n%s", w, got[0])
					}
				}
				if !strings.Contains(got[0], "Subject: news digest 1\r\n") || strings.Contains(got[0], "X-Real-To") {
					t.Errorf("digest:\n%s", got[0])
				}
				if !strings.Contains(index[0], "2. two") || strings.Contains(index[0], "body") {
					t.Errorf("index:\n%s", index[0])
				}
				sum, err := message.Scan(strings.NewReader(got[0]), message.Options{})
				must(t, err)
				if format == "standard MIME" && (len(sum.Root.Children) != 3 || len(sum.Root.Children[1].Children) != 2) {
					t.Errorf("the parts of\n%s", got[0])
				}
				o.upkeep()
				if got := o.texts("y.com"); len(got) != 0 {
					t.Errorf("again: %q", got)
				}
			})
		})
	}
}

func TestDigestsAreSentBySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		l := o.list("{DigestPeriod=10d; DigestMessageLimit=2;}")
		o.in(l, "sub@y.com", subscribers.Digest)
		o.upkeep()
		for i := range 5 {
			o.from("sub@y.com", "news@company.com", fmt.Sprintf("Subject: number %d\r\n", i))
		}
		o.upkeep()
		got := o.texts("y.com")
		if len(got) != 2 || !strings.Contains(got[1], "number 3") || strings.Contains(got[1], "number 4") {
			t.Errorf("%d digests: %q", len(got), got)
		}
	})
}

// A crash between the step that remembers a digest and its publication loses nothing, and before it doubles nothing.
func TestADigestIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		l := o.list("{DigestMessageLimit=1;}")
		o.in(l, "sub@y.com", subscribers.Digest)
		o.upkeep()
		o.from("sub@y.com", "news@company.com", "Subject: s\r\n")
		box, err := o.m.archive(t.Context(), l, true)
		must(t, err)
		id, err := o.m.holdDigest(t.Context(), l, box, box.UIDs(), subscribers.Digest, 1)
		must(t, err)
		d := digests{validity: box.Info().UIDValidity, upTo: box.UIDs()[0], at: time.Now(), number: 1}
		box.Close()
		d.held = append(d.held, id)
		must(t, l.Subscribers().SetValue(t.Context(), valueDigest, d.encode()))
		must(t, o.m.Settle(t.Context()))
		time.Sleep(time.Minute)
		synctest.Wait()
		o.upkeep()
		if got := o.texts("y.com"); len(got) != 1 {
			t.Errorf("%d digests", len(got))
		}
		if held := o.q.Held(); len(held) != 0 {
			t.Errorf("held: %v", held)
		}
	})
}

func TestNextDigest(t *testing.T) {
	day := func(hour int) time.Time { return time.Date(2026, 5, 4, hour, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		set        string
		last, want time.Time
	}{
		{"{DigestPeriod=1d; DigestTimeOfDay=6h;}", day(3), day(6)},
		{"{DigestPeriod=1d; DigestTimeOfDay=6h;}", day(6), day(30)},
		{"{DigestPeriod=7d; DigestTimeOfDay=6h;}", day(7), day(6 + 7*24)},
		{"{DigestPeriod=2h; DigestTimeOfDay=6h;}", day(1), day(2)},
		{"{DigestPeriod=2h;}", day(3), day(4)},
	} {
		set := new(accounts.ListSettings)
		o := dict(t, c.set)
		must(t, loadList(set, o))
		if got := nextDigest(set, c.last); !got.Equal(c.want) {
			t.Errorf("%s after %v: %v", c.set, c.last, got)
		}
	}
}

func TestArchiveKeepsItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		l := o.list("{ArchiveMessageLimit=2;}", "sub@y.com")
		for i := range 4 {
			o.from("sub@y.com", "news@company.com", fmt.Sprintf("Subject: number %d\r\n", i))
		}
		o.upkeep()
		if got := o.box("news"); len(got) != 2 || !strings.Contains(got[0], "number 2") {
			t.Errorf("%d postings: %q", len(got), got)
		}
		must(t, o.store.Lists().Update(t.Context(), "", "news", dataformat.Dict{"ArchiveSwapPeriod": dataformat.String("1"), "ArchiveMessageLimit": dataformat.String("-1")}))
		time.Sleep(32 * 24 * time.Hour)
		o.upkeep()
		if got := o.box("news"); len(got) != 0 {
			t.Errorf("%d postings in the new archive", len(got))
		}
		if got := o.box("news/" + time.Now().Add(-time.Minute).Format(time.DateOnly)); len(got) != 2 {
			t.Errorf("%d postings in the old archive", len(got))
		}
		_ = l
	})
}

func TestUnconfirmedSubscriptionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		l := o.list("{TillConfirmed=YES; UnsubBouncedPeriod=5d;}", "sub@y.com", "back@z.com")
		for _, who := range []string{"sub@y.com", "back@z.com"} {
			must(t, o.m.ProcessBounce(t.Context(), l, who, false))
		}
		o.upkeep()
		o.from("back@z.com", replyAddress(t, o.texts("z.com")[0]), "Subject: Re: here\r\n")
		if s, err := l.Subscribers().Get("back@z.com"); err != nil || s.Paused(time.Now()) {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(6 * 24 * time.Hour)
		o.upkeep()
		if a, b := o.mode("sub@y.com"), o.mode("back@z.com"); a != "unsubscribe" || b != "feed" {
			t.Errorf("%s, %s", a, b)
		}
	})
}

func TestApprovedPostingsAreSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfficeWith(t, true)
		l := o.list("{Postings=moderated;}", "sub@y.com")
		must(t, l.Subscribers().Change(t.Context(), "sub@y.com", func(s *subscribers.Subscriber) error { s.Moderated = 2; return nil }))
		o.from("sub@y.com", "news@company.com", "Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n")
		kept := o.box("news/approval")
		if len(kept) != 1 || len(o.box("INBOX")) != 1 {
			t.Fatalf("%q\n%s", kept, o.log.String())
		}
		to := replyAddress(t, kept[0])
		waiting, err := o.m.Waiting(l, 10)
		must(t, err)
		r, err := o.m.Pending(t.Context(), l, waiting[0].Token)
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		if !strings.HasSuffix(string(text), "\r\n\r\nbody\r\n") {
			t.Errorf("%q", text)
		}
		// Twice at the same time.
		must(t, o.m.Approve(t.Context(), l, waiting[0].Token))
		if left, err := o.m.Waiting(l, 10); err != nil || len(left) != 0 {
			t.Errorf("an approved posting waits for the owner while it is on its way: %v, %v", left, err)
		}
		// The second finds the question, or that it is answered.
		if err := o.m.Approve(t.Context(), l, strings.ToLower(waiting[0].Token)); err != nil && !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		o.from("ann@company.com", to, "Subject: Re: x\r\n")
		if got := o.texts("y.com"); len(got) != 1 || !strings.Contains(got[0], "\r\n\r\nbody\r\n") || strings.Contains(got[0], "multipart") {
			t.Errorf("%d copies %q\n%s", len(got), got, o.log.String())
		}
		if got := o.box("news/approval"); len(got) != 0 {
			t.Errorf("still kept: %q", got)
		}
		if got := o.box("news"); len(got) != 1 {
			t.Errorf("the archive has %d", len(got))
		}
		s, err := l.Subscribers().Get("sub@y.com")
		must(t, err)
		if s.Posts != 1 || s.Moderated != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		l := o.list("{}")
		for _, c := range []struct{ op, sub, who, mode string }{
			{"subscribe", `"A. Name" <sub@y.com>`, "sub@y.com", "feed"},
			{"digest", `"sub@y.com"`, "sub@y.com", "digest"},
			{"banned", "sub@y.com", "sub@y.com", "banned"},
			{"unsubscribe", "Name <sub@y.com>", "sub@y.com", "unsubscribe"},
		} {
			must(t, o.m.Operate(t.Context(), l, c.op, c.sub, true, false))
			if got := o.mode(c.who); got != c.mode {
				t.Errorf("%s %s: %s", c.op, c.sub, got)
			}
		}
		for _, sub := range []string{"", "news@company.com", "all@company.com", "nobody@company.com", "x"} {
			if err := o.m.Operate(t.Context(), l, "subscribe", sub, true, false); err == nil {
				t.Errorf("%q was subscribed", sub)
			}
		}
	})
}

// Many addresses get their modes in few commits; one that cannot be subscribed does not keep the others out.
func TestChangeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		l := o.list("{FirstModerated=2;}", "sub@y.com")
		var all []Request
		for i := range 2*maxBatch + 3 {
			all = append(all, Request{Address: fmt.Sprintf("n%d@z.com", i), RealName: "A\r\nB", Mode: subscribers.Feed})
		}
		bad := []string{"news@company.com", "news-on@company.com", "all@company.com", "nobody@company.com", "x", ""}
		for _, a := range bad {
			all = append(all, Request{Address: a, Mode: subscribers.Feed})
		}
		all = append(all, Request{Address: "SUB@y.com", Mode: subscribers.Null}, Request{Address: "N0@z.com", Mode: subscribers.Banned}, Request{Address: "gone@z.com"})
		failed, err := o.m.ChangeAll(t.Context(), l, all, subscribers.How{Silently: true})
		must(t, err)
		for i, err := range failed {
			if wrong := i >= 2*maxBatch+3 && i < 2*maxBatch+3+len(bad) || i == len(all)-1; (err != nil) != wrong {
				t.Errorf("%q: %v", all[i].Address, err)
			}
		}
		counts, err := l.Subscribers().Counts()
		must(t, err)
		if counts[subscribers.Feed] != 2*maxBatch+2 || counts[subscribers.Null] != 1 || counts[subscribers.Banned] != 1 {
			t.Errorf("%v", counts)
		}
		s, err := l.Subscribers().Get("n1@z.com")
		must(t, err)
		if s.Moderated != 2 || s.RealName != "A  B" || s.Secret == "" || s.Since.IsZero() {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if got := o.got(); got != "" {
			t.Errorf("silently, and yet: %s", got)
		}
		// Who is known stays as he is, if only new ones are wanted: also who is banned.
		failed, err = o.m.ChangeAll(t.Context(), l, []Request{{Address: "n0@z.com", Mode: subscribers.Feed}, {Address: "new@z.com", Mode: subscribers.Feed}},
			subscribers.How{Silently: true, NewOnly: true})
		if err != nil || failed[0] == nil || failed[1] != nil || o.mode("n0@z.com") != "banned" || o.mode("new@z.com") != "feed" {
			t.Error(failed, err)
		}
		// With a word, or a question, each gets a message.
		failed, err = o.m.ChangeAll(t.Context(), l, []Request{{Address: "bob@company.com", Mode: subscribers.Feed}}, subscribers.How{NewOnly: true})
		time.Sleep(time.Minute)
		if err != nil || failed[0] != nil || o.got() != "bob" || o.mode("bob@company.com") != "feed" {
			t.Error(failed, err)
		}
		failed, err = o.m.ChangeAll(t.Context(), l, []Request{{Address: "carl@company.com", Mode: subscribers.Feed}}, subscribers.How{Confirm: true})
		time.Sleep(time.Minute)
		if err != nil || failed[0] != nil || o.got() != "carl" || o.mode("carl@company.com") != "unsubscribe" {
			t.Error(failed, err)
		}
	})
}

// One message file serves all subscribers, here and elsewhere.
func TestManySubscribersAreOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		l := o.list("{}")
		var all []string
		for i := range 10_000 {
			all = append(all, fmt.Sprintf("m%d@y.com", i))
		}
		for len(all) > 0 {
			n := min(len(all), subscribers.MaxChange)
			must(t, l.Subscribers().ChangeAll(t.Context(), all[:n], func(s *subscribers.Subscriber) error { s.Mode = subscribers.Feed; return nil }))
			all = all[n:]
		}
		o.from("m1@y.com", "news@company.com", "Subject: s\r\n")
		if n := len(o.mail["y.com"]); n != 10_000 {
			t.Errorf("%d subscribers have got it", n)
		}
		if n := strings.Count(o.log.String(), "sent to a mailing list"); n != 1 {
			t.Errorf("%d copies", n)
		}
	})
}

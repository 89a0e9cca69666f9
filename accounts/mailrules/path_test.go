package mailrules

import (
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/queue"
)

// The samples of the rule language, each through queue and delivery.

func TestSpamGoesIntoAFolderByADomainRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		o.mailbox("ann", "Junk")
		o.domain(`((3, MoveSpam,(("Header Field", in, "X-Junk-Score*XXXXXXXXXX*")), (("Store in", "~/Junk"), (Discard))))`)
		o.must(o.send("eve@far.org", mailOf("Subject: spam", "X-Junk-Score: 92 [XXXXXXXXXX]"), "ann@corp.com"))
		o.must(o.send("joe@far.org", mailOf("Subject: ham", "X-Junk-Score: 2 [X]"), "ann@corp.com"))
		equal(t, "Junk", subjects(o.texts("ann", "Junk")), "spam")
		equal(t, "INBOX", subjects(o.texts("ann", "INBOX")), "ham")
	})
}

func TestFilterAndARuleOnItsHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		o.mailbox("postmaster", "Spam")
		o.server(`((5, ClamSpam, (), ((ExternalFilter, ClamSpam))), (3, MoveSpam,(("Header Field", in, "X-Junk-Score*XXXXXXXXXX*")),(("Store in", "~postmaster/Spam"), (Discard))))`)
		o.filters.answer["ClamSpam"] = func(m *queue.Message) FilterAnswer {
			f, err := m.Open()
			o.must(err)
			defer f.Close()
			score := "2 [XX]"
			if buf := make([]byte, m.Size); true {
				n, _ := f.Read(buf)
				if strings.Contains(string(buf[:n]), "viagra") {
					score = "92 [XXXXXXXXXX]"
				}
			}
			return FilterAnswer{Fields: fields("X-Junk-Score: " + score)}
		}
		o.must(o.send("eve@far.org", mailOf("Subject: viagra"), "ann@corp.com", "x@far.net"))
		o.must(o.send("joe@far.org", mailOf("Subject: ham"), "ann@corp.com"))
		if got := o.texts("postmaster", "Spam"); len(got) != 1 ||
			got[0] != "Return-Path: <eve@far.org>\r\nDelivered-To: postmaster@corp.com\r\nSubject: viagra\r\nX-Junk-Score: 92 [XXXXXXXXXX]\r\n\r\nbody\r\n" {
			t.Errorf("%q", got)
		}
		if got := o.texts("ann", "INBOX"); len(got) != 1 || !strings.HasSuffix(got[0], "Subject: ham\r\nX-Junk-Score: 2 [XX]\r\n\r\nbody\r\n") {
			t.Errorf("%q", got)
		}
		equal(t, "sent", o.far.take())
	})
}

func TestGroupTagAndReplyTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		o.server(`((6, mark_to_group1, ((Subject, "is not", "*[group1]*"), ("Any To or Cc", is, "*group1@corp*")), (("Tag Subject", "[group1] ")), "comment"),
			(4, replace_from_group1, ((Subject, is, "*[group1]*"), (To, "is not", "*group2@corp*")), (("Add Header", "Reply-To: group1@corp.com"))))`)
		o.must(o.send("x@far.org", mailOf("From: x@far.org", "To: group1@corp.com", "Subject: Hello"), "ann@corp.com", "y@far.net"))
		o.must(o.send("x@far.org", mailOf("From: x@far.org", "To: group1@corp.com", "Subject: Re: [group1] Hello"), "ann@corp.com"))
		o.must(o.send("x@far.org", mailOf("From: x@far.org", "To: ann@corp.com", "Subject: other"), "ann@corp.com"))
		got := o.texts("ann", "INBOX")
		equal(t, "subjects", subjects(got), "[group1] Hello", "Re: [group1] Hello", "other")
		for i, want := range []bool{true, true, false} {
			if strings.Contains(got[i], "\r\nReply-To: group1@corp.com\r\n") != want {
				t.Errorf("%q", got[i])
			}
		}
		equal(t, "sent", o.far.take(), "y@far.net from <x@far.org>\nFrom: x@far.org\r\nTo: group1@corp.com\r\nSubject: [group1] Hello\r\nReply-To: group1@corp.com\r\n\r\nbody\r\n")
	})
}

func TestMailFromOneDomainIsKeptAndAllOtherIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		o.account("ann", `((5, rest, (), ((Discard))), (9, keep, ((From, is, "*@a.com")), (("Stop Processing"))))`)
		o.must(o.send("x@a.com", mailOf("From: x@a.com", "Subject: kept"), "ann@corp.com", "bob@corp.com"))
		o.must(o.send("x@b.com", mailOf("From: x@b.com", "Subject: dropped"), "ann@corp.com", "bob@corp.com"))
		equal(t, "ann", subjects(o.texts("ann", "INBOX")), "kept")
		equal(t, "bob", subjects(o.texts("bob", "INBOX")), "kept", "dropped")
	})
}

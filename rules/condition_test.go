package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// conditionCases are conditions that hold (yes) and that do not hold (no) for a message.
var conditionCases = []struct {
	name    string
	message func() *mail
	level   Level
	yes, no []string
}{
	{
		name: "addresses of the header",
		message: func() *mail {
			return newMail(`From: "Ann, Far" <Ann@Far.org>, second@far.org`, "Sender: <sec@far.org>", "Reply-To: list@far.org",
				"To: Joe <joe@corp.com>,", "\tmary@corp.com", "Cc: Some: bob@else.net;")
		},
		yes: []string{
			`From, is, "*@far.org"`, `From, is, "ann@far.org"`, `From, "is not", "*@corp.com"`, `From, in, "a@b.c, *@far.org"`,
			`From, "not in", "a@b.c,second@far.org"`, `FROM, IS, "ann@far.org"`,
			`Sender, is, "sec@*"`, `Sender, "is not", "ann@*"`, `Sender, in, "sec@far.org"`, `Sender, "not in", "x"`,
			`"Reply-To", is, "list@far.org"`, `"Reply-To", "is not", "x"`, `"Reply-To", in, "x,list@*"`, `"Reply-To", "not in", "x,y"`,
			`To, is, "joe@corp.com"`, `To, "is not", "mary@corp.com"`, `To, in, "joe@*"`, `To, "not in", "mary@*"`, // the first one
			`Cc, is, "bob@else.net"`, `Cc, "is not", "joe@*"`, `Cc, in, "bob@else.net"`, `Cc, "not in", "joe@*"`,
			`"'From' Name", is, "Ann, Far"`, `"'From' Name", "is not", "*org*"`, `"'From' Name", in, "ann*"`, `"'From' Name", "not in", "x"`,
			`"Any To or Cc", is, "mary@corp.com"`, `"Any To or Cc", "is not", "*@corp.com"`, `"Any To or Cc", in, "x,bob@*"`,
			`"Any To or Cc", "not in", "joe@*,mary@*"`,
			`"Each To or Cc", is, "*o*"`, `"Each To or Cc", "is not", "*@far.org"`, `"Each To or Cc", in, "*@corp.com,bob@*"`,
			`"Each To or Cc", "not in", "x,y"`,
		},
		no: []string{
			`From, is, "far.org"`, `From, is, "second@far.org"`, `From, "is not", "ANN@far.org"`, `From, in, ""`, `From, "not in", "*"`,
			`Sender, is, "ann@*"`, `"Reply-To", "is not", "list@far.org"`, `"'From' Name", is, "Ann"`,
			`"Any To or Cc", is, "ann@*"`, `"Any To or Cc", "is not", "*o*"`, `"Any To or Cc", "not in", "*@corp.com,*@else.net"`,
			`"Each To or Cc", is, "*@corp.com"`, `"Each To or Cc", "is not", "bob@*"`, `"Each To or Cc", in, "joe@*,mary@*"`,
			`"Each To or Cc", "not in", "bob@else.net"`,
		},
	},
	{
		name:    "a header without them",
		message: func() *mail { return newMail("X-Other: 1", "From: no address here, really") },
		yes: []string{
			`Sender, "is not", "*"`, `To, "is not", "x"`, `To, "not in", "x"`, `Cc, "not in", "*"`, `"Reply-To", "is not", "x"`,
			`"Any To or Cc", "is not", "x"`, `"Any To or Cc", "not in", "*"`, `"Each To or Cc", "is not", "*"`, `"Each To or Cc", "not in", "x"`,
			`Subject, "is not", "*"`, `Subject, "not in", "*"`, `"Message-ID", "is not", "*"`, `"Header Field", "is not", "Subject:*"`,
			`"Calendar Method", "is not", "*"`, `Security, is, ""`, `Security, "is not", "*signed*"`, `Security, "not in", "*signed*,*encrypted*"`,
		},
		no: []string{
			`Sender, is, "*"`, `Sender, in, "*"`, `To, is, "*"`, `Cc, in, "*"`, `"'From' Name", is, "x"`,
			`"Any To or Cc", is, "*"`, `"Any To or Cc", in, "*"`, `"Each To or Cc", is, "*"`, `"Each To or Cc", in, "*"`,
			`Subject, is, "*"`, `"Message-ID", in, "*"`, `"Header Field", is, "Subject:*"`, `"Calendar Method", is, "*"`, `Security, in, "*signed*"`,
		},
	},
	{
		name: "text of the header",
		message: func() *mail {
			return newMail("Received: from a", "\tby b; Tue", "Subject: =?utf-8?B?0J/RgNC40LLQtdGC?= [group1]", "Message-ID: <1@far.org>",
				"X-Spam-Flag:YES", "X-Spam-Level: xxxxxxxxxx", "X-Junk-Score:  92 [XXXXXXXXXX]", "DKIM-Signature: v=1", "not a field", "X-Empty:")
		},
		yes: []string{
			`Subject, is, "Привет*"`, `Subject, is, "*[group1]"`, `Subject, "is not", "*=?*"`, `Subject, in, "x,*group1*"`, `Subject, "not in", "x,y"`,
			`"Message-ID", is, "<1@far.org>"`, `"Message-ID", "is not", "<2*"`, `"Message-ID", in, "*far.org>"`, `"Message-ID", "not in", "x"`,
			`"Header Field", is, "X-Spam-Flag: YES"`, `"Header Field", is, "x-spam-level: XXXXXXXX*"`, `"Header Field", in, "X-Junk-Score*XXXXXXXXXX*"`,
			`"Header Field", is, "Received: from a*by b; Tue"`, `"Header Field", "is not", "X-Spam-Flag: NO"`, `"Header Field", "not in", "a:*,b:*"`,
			`"Header Field", is, "Dkim-Signature:*"`, `"Header Field", is, "X-Empty:*"`, `"Header Field", in, "no:*, x-empty:*"`,
		},
		no: []string{
			`Subject, is, "Привет"`, `Subject, "is not", "*group1*"`, `Subject, "not in", "x,*ПРИВЕТ*"`,
			`"Message-ID", is, "1@far.org"`, `"Header Field", is, "YES"`, `"Header Field", "is not", "Dkim-Signature:*"`,
			`"Header Field", "not in", "a:*,X-Spam-Level:*"`, `"Header Field", is, "not a field*"`,
		},
	},
	{
		name:    "the envelope of a stranger",
		message: func() *mail { return newMail() },
		yes: []string{
			`"Return-Path", is, "ann@far.org"`, `"Return-Path", "is not", ""`, `"Return-Path", in, "*@far.org"`, `"Return-Path", "not in", "x"`,
			`Source, is, ""`, `Source, "not in", "trusted,authenticated"`, `Source, "is not", trusted`,
			`"Submit Address", is, "SMTP [192.0.2.*]"`, `"Submit Address", in, "PIPE*,smtp*"`, `"Submit Address", "is not", "DSN*"`, `"Submit Address", "not in", "HTTP*,DSN*"`,
			`"Message Size", is, 1000`, `"Message Size", "is not", 1K`, `"Message Size", "less than", 1K`, `"Message Size", "greater than", 999`, `"Message Size", "less than", 1M`,
		},
		no: []string{
			`"Return-Path", is, ""`, `Source, in, "trusted,authenticated"`, `"Submit Address", is, "SMTP"`,
			`"Message Size", is, 1K`, `"Message Size", "is not", 1000`, `"Message Size", "less than", 1000`, `"Message Size", "greater than", 1000`,
		},
	},
	{
		name: "the envelope of a user",
		message: func() *mail {
			m := newMail()
			m.env.Source = envelope.Source{Tag: "SMTP", IP: netip.MustParseAddr("::ffff:10.1.2.3"), Account: "joe@corp.com", Trusted: true}
			return m
		},
		yes: []string{`Source, in, "trusted,authenticated"`, `Source, is, authenticated`, `"Submit Address", is, "SMTP [10.1.2.3]"`},
		no:  []string{`Source, is, trusted`, `Source, "not in", "trusted,authenticated"`},
	},
	{
		name: "a report of the server",
		message: func() *mail {
			m := newMail()
			m.env.ReturnPath = address.Address{}
			m.env.Source = envelope.Source{Tag: "DSN", Trusted: true}
			return m
		},
		yes: []string{`"Return-Path", is, ""`, `"Return-Path", "is not", "*@*"`, `Source, is, trusted`, `"Submit Address", is, "DSN [0.0.0.0]"`},
		no:  []string{`"Human Generated"`, `"Return-Path", is, "*@*"`},
	},
	{
		name: "recipients",
		message: func() *mail {
			m := newMail()
			m.env.Recipients = []envelope.Recipient{{Address: addr("joe@corp.com")}, {Address: addr("info@corp.com"), Original: "rfc822;sales@old.com"},
				{Address: addr("postmaster")}}
			m.routes = []string{"LOCAL(joe@corp.com)joe@corp.com", "LIST(info@corp.com)info@corp.com"}
			return m
		},
		yes: []string{
			`"Any Recipient", is, "joe@corp.com"`, `"Any Recipient", is, "SALES@old.com"`, `"Any Recipient", is, "info@corp.com"`, `"Any Recipient", is, "postmaster@corp.com"`,
			`"Any Recipient", "is not", "joe@*"`, `"Any Recipient", in, "x,info@*"`, `"Any Recipient", "not in", "joe@*,info@*"`,
			`"Each Recipient", is, "*@corp.com"`, `"Each Recipient", "is not", "*@far.org"`, `"Each Recipient", in, "joe@*,sales@*,post*"`, `"Each Recipient", "not in", "x"`,
			`"Any Route", is, "LIST(*"`, `"Any Route", "is not", "LIST(*"`, `"Any Route", in, "SMTP*,LOCAL(*"`, `"Any Route", "not in", "SMTP*,LIST(*"`,
			`"Each Route", is, "L*@corp.com"`, `"Each Route", "is not", "SMTP*"`, `"Each Route", in, "LOCAL(*,LIST(*"`, `"Each Route", "not in", "SMTP*,PIPE*"`,
		},
		no: []string{
			`"Any Recipient", is, "mary@*"`, `"Any Recipient", "is not", "*@corp.com"`, `"Each Recipient", is, "joe@*"`, `"Each Recipient", "is not", "sales@*"`,
			`"Each Recipient", "not in", "info@*"`, `"Any Route", is, "SMTP*"`, `"Any Route", "is not", "L*"`, `"Each Route", is, "LOCAL(*"`, `"Each Route", "not in", "LIST(*"`,
		},
	},
	{
		name:  "recipients in the account",
		level: Account,
		message: func() *mail {
			m := newMail()
			m.env.Recipients = append(m.env.Recipients, envelope.Recipient{Address: addr("j.doe@corp.com")}, envelope.Recipient{Address: addr("mary@corp.com")})
			m.rcpts = []int{0, 1}
			return m
		},
		yes: []string{`"Any Recipient", is, "j.doe@corp.com"`, `"Each Recipient", is, "j*@corp.com"`},
		no:  []string{`"Any Recipient", is, "mary@*"`, `"Each Recipient", is, "joe@*"`},
	},
	{
		name:  "the account",
		level: Account,
		message: func() *mail {
			return newMail("From: old@far.org", "To: joe@corp.com, new@far.org", "Subject: new@far.org")
		},
		yes: []string{
			`"Existing Mailbox", is, Junk`, `"Existing Mailbox", is, "Lists/*"`, `"Existing Mailbox", "is not", Spam`, `"Existing Mailbox", in, "a,junk"`, `"Existing Mailbox", "not in", "a,b"`,
			`From, in, "#RepliedAddresses"`, `From, "not in", "#Nobody"`, `"Any To or Cc", "not in", "#RepliedAddresses"`, `"Return-Path", "not in", "#RepliedAddresses"`,
			`Preference, is, "Language:Eng*"`, `Preference, "is not", "Language:German"`, `Preference, in, "Language: German,English"`, `Preference, "not in", "Language:German,French"`,
			`Preference, is, "Skin:"`,
			`FreeBusy, is, busy`, `FreeBusy, "is not", Free`, `FreeBusy, in, "Busy,Unavailable"`, `FreeBusy, "not in", "Free,Tentative"`,
		},
		no: []string{
			`"Existing Mailbox", is, Spam`, `"Existing Mailbox", "is not", junk`, `From, "not in", "#RepliedAddresses"`, `From, in, "#Nobody"`,
			`From, in, "#repliedaddresses"`, `Subject, in, "#RepliedAddresses"`,
			`Preference, is, "Language:German"`, `Preference, in, "Language:German,French"`, `Preference, "is not", "Language:English"`,
			`FreeBusy, is, Free`, `FreeBusy, "is not", busy`, `FreeBusy, in, "Free,Tentative"`, `FreeBusy, "not in", "Free,Busy"`,
		},
	},
	{
		name:    "datasets have no place in server rules",
		message: func() *mail { return newMail("From: old@far.org") },
		yes:     []string{`From, "not in", "#RepliedAddresses"`},
		no:      []string{`From, in, "#RepliedAddresses"`},
	},
	{
		name:    "the time, 12:00:30 on Tuesday, 5 March 2024",
		message: func() *mail { return newMail() },
		yes: []string{
			`"Time Of Day", is, "12:00"`, `"Time Of Day", is, "12:00:30"`, `"Time Of Day", "is not", "12:01"`, `"Time Of Day", "less than", "12:01"`,
			`"Time Of Day", "less than", "24:00"`, `"Time Of Day", "greater than", "7:10"`, `"Time Of Day", in, "9:00-17:00"`, `"Time Of Day", in, "1:00-2:00, 12:00"`,
			`"Time Of Day", "not in", "22:00-6:00,12:01-12:02"`, `"Time Of Day", in, "22:00-12:01"`, `"Time Of Day", "not in", "12:00-12:00"`,
			`"Current Date", is, "05 Mar 2024"`, `"Current Date", is, "5 Mar 2024 12:00:30"`, `"Current Date", is, "5 mar 2024 11:00:30 +0000"`, `"Current Date", "is not", "05 Mar 2024 12:00:31"`,
			`"Current Date", "greater than", "05 Mar 2024"`, `"Current Date", "greater than", "05 Mar 2024 12:00:00"`, `"Current Date", "less than", "06 Mar 2024"`,
			`"Current Date", "less than", "05 Mar 2024 12:01"`, `"Current Date", "greater than", "Tue, 5 Mar 2024 12:00:29"`,
			`"Current Day", is, Tue`, `"Current Day", is, tuesday`, `"Current Day", is, 2`, `"Current Day", "is not", Sun`, `"Current Day", in, "Mon, Tue"`, `"Current Day", "not in", "Sat,Sun"`, `"Current Day", in, "1,2,3,4,5"`,
		},
		no: []string{
			`"Time Of Day", is, "12:00:00"`, `"Time Of Day", "is not", "12:00"`, `"Time Of Day", "less than", "12:00"`, `"Time Of Day", "greater than", "12:01"`,
			`"Time Of Day", in, "9:00-12:00"`, `"Time Of Day", "not in", "0:00-24:00"`, `"Time Of Day", in, ""`,
			`"Current Date", is, "06 Mar 2024"`, `"Current Date", "is not", "05 Mar 2024"`, `"Current Date", "less than", "05 Mar 2024"`, `"Current Date", "greater than", "05 Mar 2024 12:00:30"`,
			`"Current Day", is, Mon`, `"Current Day", "is not", Tue`, `"Current Day", in, "Sat,Sun"`, `"Current Day", "not in", "Tue"`,
		},
	},
	{
		name:    "mail of a person",
		message: func() *mail { return newMail("Precedence: normal", "Auto-Submitted: no", "Automatic: x", "Listing: x") },
		yes:     []string{`"Human Generated"`, `"Human Generated", "---"`, `"human generated", is, "x"`},
	},
	{
		name: "a calendar request",
		message: func() *mail {
			m := newMail()
			m.method = "REQUEST"
			return m
		},
		yes: []string{`"Calendar Method", is, "request"`, `"Calendar Method", in, "REQUEST,REPLY"`, `"Calendar Method", "is not", REPLY`, `"Calendar Method", "not in", "REPLY,CANCEL"`},
		no:  []string{`"Calendar Method", is, REPLY`, `"Calendar Method", "is not", "REQ*"`},
	},
}

func TestConditions(t *testing.T) {
	covered := map[string]bool{}
	for _, group := range conditionCases {
		t.Run(group.name, func(t *testing.T) {
			for i, cond := range append(group.yes, group.no...) {
				want := i < len(group.yes)
				set := parse(t, group.level, "((1,x,(("+cond+")),((Discard))))")
				c := set.rules[0].Conditions[0]
				covered[strings.ToLower(c.Opcode+"|"+c.Operation)] = true
				var r Run
				r.Start(input(group.message(), group.level), set, nil)
				_, got := r.Next()
				if r.Err() != nil || got != want {
					t.Errorf("(%s) holds: %v, %v", cond, got, r.Err())
				}
			}
		})
	}
	for _, w := range conditionWords {
		for _, op := range w.operations {
			if !covered[strings.ToLower(w.name+"|"+op.String())] {
				t.Errorf("no case for %s %s", w.name, op)
			}
		}
	}
}

func TestHumanGenerated(t *testing.T) {
	for _, field := range []string{
		"Precedence: bulk", "Precedence: JUNK", "precedence: list", "X-List: go", "X-Mailing-List: <go@far.org>", "X-Mirrored-by: <a@b.c>",
		"X-Autogenerated: Reply", "X-Auto-Response-Suppress: All", "Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated; owner=x",
		"List-Id: <go.far.org>", "List-Unsubscribe: <mailto:x@y>",
	} {
		want := `x: Discard` + "\ndiscarded"
		if got := run(t, newMail("From: ann@far.org", field), Account, `((1,x,(("Human Generated","---")),((Discard))))`); got == want {
			t.Errorf("with %s, a person wrote it", field)
		}
	}
}

func TestSecurity(t *testing.T) {
	for value, want := range map[string]string{
		"text/plain": "", "multipart/mixed; boundary=encrypted": "",
		`multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256`: "S/MIME signed",
		`multipart/signed; protocol="application/pgp-signature"`:                   "PGP signed",
		`Multipart/Encrypted; protocol="application/pgp-encrypted"`:                "PGP encrypted",
		"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m":        "S/MIME encrypted",
		"application/x-pkcs7-mime; name=smime.p7m":                                 "S/MIME encrypted",
		"application/pkcs7-mime; smime-type=signed-data":                           "S/MIME signed",
		"application/pkcs7-mime; smime-type=certs-only":                            "",
	} {
		for picture, holds := range map[string]bool{want: true, "*encrypted*": strings.HasSuffix(want, "encrypted"), "*signed*": strings.HasSuffix(want, "signed")} {
			for _, op := range []string{"is", "in", "is not", "not in"} {
				negative := strings.Contains(op, "not")
				if picture == "" && strings.HasSuffix(op, "in") {
					continue // an empty list
				}
				rules := fmt.Sprintf(`((1,x,((Security,"%s","%s")),((Discard))))`, op, picture)
				got := run(t, newMail("Content-Type: "+value), Server, rules) == "x: Discard\ndiscarded"
				if got != (holds != negative) {
					t.Errorf("%s: Security %s %q holds: %v", value, op, picture, got)
				}
			}
		}
	}
}

// TestTimesAreThoseOfTheZone has midnight in between.
func TestTimesAreThoseOfTheZone(t *testing.T) {
	in := input(newMail(), Server)
	in.Now = time.Date(2024, time.March, 5, 23, 30, 0, 0, time.UTC).In(time.FixedZone("MSK", 3*3600))
	set := parse(t, Server, `((1,x,(("Current Day",is,Wed),("Time Of Day",is,"2:30"),("Current Date",is,"06 Mar 2024"),("Current Date","less than","06 Mar 2024 03:00")),((Discard))))`)
	if got := runSets(t, in, set, nil); got != "x: Discard\ndiscarded" {
		t.Error(got)
	}
}

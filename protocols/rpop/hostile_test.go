package rpop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

const pop = `{isp={domain="pop.far.example";authName=ann77;password="s3cret word";TLS=NO;period=1m;};}`
const overIMAP = `{isp={domain="imap.far.example";authName=ann77;password="s3cret word";TLS=NO;period=1m;protocol=IMAP;};}`

// A server that breaks the protocol, lies or stalls ends the poll, in time and without a message.
func TestHostileServers(t *testing.T) {
	login := []string{"+OK\r\n", "-ERR\r\n", "+OK\r\n", "+OK\r\n"} // greeting, CAPA, USER, PASS
	imapLogin := []string{"* OK\r\n", "* CAPABILITY IMAP4rev1\r\na1 OK\r\n", "+ go\r\n", "+ go\r\n", "a2 OK\r\n", "* CAPABILITY IMAP4rev1 UIDPLUS\r\na3 OK\r\n",
		"* 1 EXISTS\r\n* OK [UIDVALIDITY 7]\r\na4 OK\r\n"}
	for _, c := range []struct {
		name, record, want string
		said               []string
	}{
		{"not POP3", pop, "does not speak POP3", []string{"220 far.example ESMTP\r\n"}},
		{"silent", pop, "timeout", []string{""}},
		{"a line without end", pop, "more than 65536 bytes", []string{strings.Repeat("x", 70_000)}},
		{"the password comes back", pop, "(hidden)", append(slices.Clone(login[:3]), "-ERR no s3cret word here\r\n")},
		{"cut in a list", pop, "EOF|closed pipe", append(slices.Clone(login), "+OK\r\n1 20\r\n")},
		{"cut in a message", pop, "EOF|closed pipe", append(slices.Clone(login), "+OK\r\n1 20\r\n.\r\n", "+OK\r\n1 a\r\n.\r\n", "+OK\r\nSubject: cut\r\n\r\ntext")},
		{"more than it says", pop, "more than the 20 bytes", append(slices.Clone(login), "+OK\r\n1 20\r\n.\r\n", "+OK\r\n1 a\r\n.\r\n", "+OK\r\nSubject: long\r\n\r\n"+strings.Repeat("x", 3000)+"\r\n.\r\n")},
		{"numbers of no message", pop, "", append(slices.Clone(login), "+OK\r\n0 20\r\n-1 5\r\n99999999999 1\r\n1 -5\r\nx\r\n2 20 more\r\n.\r\n", "+OK\r\n7 a\r\n\r\n.\r\n", "+OK\r\n")},
		{"not IMAP", overIMAP, "greeting", []string{"+OK\r\n"}},
		{"IMAP says good-bye", overIMAP, "ends the session", []string{"* OK\r\n", "* BYE too busy\r\n"}},
		{"a response without end", overIMAP, "more than 65536 bytes", []string{"* OK\r\n", strings.Repeat("* CAPABILITY {1}\r\nx", 70_000)}},
		{"literals within one response", overIMAP, "more than 65536 bytes", []string{"* OK\r\n", "* " + strings.Repeat("CAPABILITY {1}\r\nx", 70_000)}},
		{"no UIDVALIDITY", overIMAP, "UIDVALIDITY", append(slices.Clone(imapLogin[:6]), "a4 OK\r\n")},
		{"IMAP cut in a message", overIMAP, "EOF|closed pipe", append(slices.Clone(imapLogin), "* 1 FETCH (UID 5 FLAGS () RFC822.SIZE 50)\r\na5 OK\r\n", "* 1 FETCH (UID 5 BODY[] {50}\r\nSubject: cut\r\n\r\n")},
		{"IMAP more than it says", overIMAP, "more than the 50 bytes", append(slices.Clone(imapLogin), "* 1 FETCH (UID 5 FLAGS () RFC822.SIZE 50)\r\na5 OK\r\n", "* 1 FETCH (UID 5 BODY[] {5000}\r\nSubject: long\r\n\r\n"+strings.Repeat("x", 4990)+")\r\na6 OK\r\n")},
		{"IMAP nonsense", overIMAP, "", append(slices.Clone(imapLogin), "* 1 FETCH (UID 5\r\n* 1 FETCH (UID x FLAGS)\r\n* 1 FETCH (FLAGS (\r\n* 1 FETCH (UID 7 RFC822.SIZE 5)\r\n* FETCH\r\na5 OK\r\n", "* 1 FETCH (UID 7)\r\na6 OK\r\n", "a7 OK\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				s := newSite(t, script(c.said...))
				if c.want == "timeout" {
					s.far = func() (net.Conn, error) { client, _ := net.Pipe(); return client, nil }
				}
				must(t, s.acc.AccountSettings("", "ann").Update(t.Context(), dataformat.Dict{"MaxMessageSize": dataformat.String("1000")}))
				s.records(c.record)
				err := s.poll(isp())
				one, other, _ := strings.Cut(c.want, "|")
				if err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(err.Error(), one) && (other == "" || !strings.Contains(err.Error(), other))) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if strings.Contains(s.log.String(), "s3cret") {
					t.Error("the log has the password")
				}
				if n := s.queue.Len() + len(s.queue.Held()); n > 0 {
					t.Errorf("%d messages are in the queue", n)
				}
			})
		})
	}
}

// A server that sends a byte now and then holds a poll up for an hour.
func TestDrip(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		begun := time.Now()
		s := newSite(t, func() (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				for {
					if _, err := io.WriteString(server, "x"); err != nil {
						return
					}
					time.Sleep(time.Minute)
				}
			}()
			return client, nil
		})
		s.records(pop)
		if err := s.poll(isp()); err == nil {
			t.Error("no error")
		}
		if took := time.Since(begun); took > maxPoll+time.Minute {
			t.Errorf("it took %v", took)
		}
		time.Sleep(2 * time.Minute)
	})
}

// Hosts and accounts that fail are left alone for longer and longer, and no longer than a day.
func TestBackOff(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		begun := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		s := newSite(t, nil)
		s.far = func() (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(begun).Round(time.Minute))
			return nil, errors.New("connection refused")
		}
		s.records(`{one={domain=far;authName=a;password=b;period=1m;};two={domain=far;authName=c;password=d;period=1m;};}`)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.poller.Run(ctx)
		}()
		time.Sleep(40 * time.Minute)
		cancel()
		<-done
		if len(at) < 4 || len(at) > 8 {
			t.Errorf("tried at %v", at)
		}
		if got := doubled(5*time.Minute, 4); got != 40*time.Minute {
			t.Errorf("after four failures: %v", got)
		}
		if got := doubled(5*time.Minute, 400); got != longestDelay {
			t.Errorf("after many failures: %v", got)
		}
	})
}

// Mail of a unified account goes to those whom the special header names, else To and Cc, else the
// account that has the record. None of it leaves the server.
func TestUnifiedAccount(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := new(maildrop)
		put := func(head string) {
			n := len(far.messages)
			far.messages = append(far.messages, dropped{fmt.Sprint(n), fmt.Sprintf("Subject: %d\r\n%s\r\n", n, head)})
		}
		put("X-Real-To: <bob@company.com>\r\nTo: eve@company.com\r\n")
		put("X-Real-To: bob@company.com, \r\n\teve@company.com\r\nX-Real-To: out@far.example\r\n")
		put("To: The List <list@far.example>, \"Bob\" <bob@company.com>\r\nCc: bob@company.com\r\n")
		put("To: out@far.example\r\n")
		put("")
		put("X-Real-To: nobody@company.com, bob%far.example@company.com\r\n")
		s := newSite(t, far.dial)
		for _, name := range []string{"bob", "eve"} {
			must(t, s.acc.CreateAccount(t.Context(), "", name, nil))
		}
		s.records(fmt.Sprintf(record, "special=\"X-Real-To\";"))
		must(t, s.poll(isp()))
		s.deliver()
		for name, want := range map[string][]string{"bob": {"0", "1", "2"}, "eve": {"1"}, "ann": {"3", "4", "5"}} {
			if got := subjects(s.inbox(name)); !slices.Equal(got, want) {
				t.Errorf("%s has %q, want %q", name, got, want)
			}
		}
	})
}

// busyRouter cannot tell now where an address leads.
type busyRouter struct {
	Router
	local string
}

func (r *busyRouter) Route(ctx context.Context, op names.Operation, a address.Address) (router.Route, error) {
	if a.Local == r.local {
		return router.Route{}, fault.New("test", fault.Busy, "")
	}
	return r.Router.Route(ctx, op, a)
}

// While nobody can tell where an address leads, the mail stays there: it must not go to the others alone.
func TestUnifiedAccountAndBusyRouter(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := &maildrop{messages: []dropped{{"1", "Subject: 1\r\nX-Real-To: bob@company.com, eve@company.com\r\n\r\n"}}}
		s := newSite(t, far.dial)
		for _, name := range []string{"bob", "eve"} {
			must(t, s.acc.CreateAccount(t.Context(), "", name, nil))
		}
		s.records(fmt.Sprintf(record, "special=\"X-Real-To\";"))
		busy := &busyRouter{s.poller.router, "bob"}
		s.poller.router = busy
		if err := s.poll(isp()); !fault.Is(err, fault.Busy) {
			t.Errorf("error %v", err)
		}
		busy.local = ""
		must(t, s.poll(isp()))
		s.deliver()
		for name, want := range map[string]int{"bob": 1, "eve": 1, "ann": 0} {
			if got := s.inbox(name); len(got) != want {
				t.Errorf("%s has %q", name, got)
			}
		}
	})
}

// Lines end in CRLF here, whatever they ended in there.
func TestLineEnds(t *testing.T) {
	for in, want := range map[string]string{
		"Subject: a\n\nb\n":             "Subject: a\r\n\r\nb\r\n",
		"Subject: a\r\n\r\nb\rc\r\r\nd": "Subject: a\r\n\r\nb\r\nc\r\n\r\nd\r\n",
		"Subject: a\r\n\r\nb\r":         "Subject: a\r\n\r\nb\r\n",
		"Subject: a":                    "Subject: a\r\n",
		"":                              "\r\n",
		"\r\nno header":                 "\r\nno header\r\n",
	} {
		for _, size := range []int{1, 3, 4096} {
			transcript.Bubble(t, func(t *testing.T) {
				s := newSite(t, nil)
				s.records(pop)
				acc, err := s.acc.Account(t.Context(), "", "ann")
				must(t, err)
				p := &poll{Poller: s.poller, acc: acc, record: s.acc.RemoteAccounts(acc)[0]}
				in1 := p.intake(t.Context(), &item{}, -1)
				for rest := in; rest != ""; rest = rest[min(size, len(rest)):] {
					_, err := in1.Write([]byte(rest[:min(size, len(rest))]))
					must(t, err)
				}
				id, err := in1.hold()
				must(t, err)
				must(t, s.queue.Publish(id))
				s.deliver()
				got := s.inbox("ann")[0]
				if _, text, _ := strings.Cut(got, "; "); text[len("Mon, 02 Jan 2006 15:04:05 +0000\r\n"):] != want {
					t.Errorf("%q in pieces of %d: %q", in, size, got)
				}
			})
		}
	}
}

// What is too large, and what finds no room, stays there; what fits comes.
func TestNoRoom(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := mail("one", "two")
		far.messages[0].text += strings.Repeat("x", 5000) + "\r\n"
		s := newSite(t, far.dial)
		s.records(fmt.Sprintf(record, ""))
		set := func(key, value string) {
			must(t, s.acc.AccountSettings("", "ann").Update(t.Context(), dataformat.Dict{key: dataformat.String(value)}))
		}
		set("MaxMessageSize", "1000")
		e := isp()
		for range 2 {
			must(t, s.poll(e))
		}
		if n := strings.Count(s.log.String(), "stays on the other server"); n != 1 {
			t.Errorf("%d records of the message that stays", n)
		}
		s.deliver()
		if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"two"}) {
			t.Fatalf("INBOX has %q", got)
		}
		set("MaxMessageSize", "unlimited")
		set("MaxAccountSize", "5200")
		if err := s.poll(isp()); !errors.Is(err, errFull) {
			t.Errorf("full: %v", err)
		}
		if n := len(far.clone().messages); n != 1 {
			t.Errorf("%d messages are still there", n)
		}
	})
}

// A message of which the other server has told too small a size keeps back none of those behind it.
func TestSizeThatIsTooSmall(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		far := mail("one", "two")
		far.messages[0].text += strings.Repeat("x", 5000) + "\r\n"
		far.lie = true
		s := newSite(t, far.dial)
		s.records(fmt.Sprintf(record, ""))
		must(t, s.acc.AccountSettings("", "ann").Update(t.Context(), dataformat.Dict{"MaxMessageSize": dataformat.String("1000")}))
		e := isp()
		if err := s.poll(e); err == nil {
			t.Error("no error")
		}
		must(t, s.poll(e))
		s.deliver()
		if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"two"}) {
			t.Errorf("INBOX has %q", got)
		}
		if got := far.clone().messages; len(got) != 1 || !strings.Contains(got[0].text, "Subject: one") {
			t.Errorf("%d messages are still there", len(got))
		}
		// It is tried again when somebody may have changed the limit.
		must(t, s.acc.AccountSettings("", "ann").Update(t.Context(), dataformat.Dict{"MaxMessageSize": dataformat.String("unlimited")}))
		must(t, s.poll(e))
		if n := len(far.clone().messages); n != 1 {
			t.Errorf("%d messages are there at once", n)
		}
		time.Sleep(skippedFor)
		must(t, s.poll(e))
		s.deliver()
		if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"two", "one"}) {
			t.Errorf("INBOX has %q a day later", got)
		}
	})
}

// Servers may make the UIDL of the text (RFC 1939 section 7), and some do not make it unique at all: messages that share
// one are told apart by their text.
func TestSharedUIDL(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		for _, leave := range []string{"", "leave=YES;"} {
			far := mail("one", "two", "three", "copy", "copy")
			for i := range far.messages {
				if i != 1 {
					far.messages[i].uidl = "same"
				}
			}
			far.messages[4].text = far.messages[3].text
			s := newSite(t, far.dial)
			s.records(fmt.Sprintf(record, leave))
			for range 2 {
				must(t, s.poll(isp()))
			}
			if held := s.queue.Held(); len(held) > 0 {
				t.Errorf("%q: %v are held and forgotten", leave, held)
			}
			s.deliver()
			if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"one", "two", "three", "copy"}) {
				t.Errorf("%q: INBOX has %q", leave, got)
			}
			if left := len(far.clone().messages); left != 0 && leave == "" {
				t.Errorf("%d messages are still there", left)
			}
			s.stop()
		}
	})
}

// A server that removes nothing keeps back no new mail, and makes no duplicates.
func TestServerThatRemovesNothing(t *testing.T) {
	for _, word := range []string{"DELE", "QUIT"} {
		transcript.Bubble(t, func(t *testing.T) {
			far := mail("one", "two")
			far.refuse = word
			s := newSite(t, far.dial)
			s.records(fmt.Sprintf(record, ""))
			must(t, s.poll(isp()))
			far.mu.Lock()
			far.messages = append(far.messages, dropped{"uid2", "Subject: three\r\n\r\n"})
			far.mu.Unlock()
			must(t, s.poll(isp()))
			s.deliver()
			if got := subjects(s.inbox("ann")); !slices.Equal(got, []string{"one", "two", "three"}) {
				t.Errorf("%s: INBOX has %q", word, got)
			}
			if n := strings.Count(s.log.String(), "are not removed or marked there"); n != 2 {
				t.Errorf("%s: %d records", word, n)
			}
		})
	}
}

// FuzzFetch reads responses of hostile servers.
func FuzzFetch(f *testing.F) {
	for _, line := range []string{`1 FETCH (UID 5 FLAGS (\Seen) RFC822.SIZE 50)`, `1 FETCH (FLAGS (`, `1 FETCH ( )`, `1 FETCH (UID`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if got, ok := parseFetch(line); ok && got.size < -1 {
			t.Errorf("%q: size %d", line, got.size)
		}
		literalSize(line)
		apopTimestamp(line)
		numbered(line)
		for range fields([]byte(line)) {
		}
		cutReturnPath([]byte(line))
	})
}

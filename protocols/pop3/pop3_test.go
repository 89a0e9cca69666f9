package pop3

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/xdg-go/scram"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/transcript"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

var startTLS = settings.Listener{Port: 110, TLS: settings.TLSStart}

// playAll plays transcripts in a bubble each: clients come from the address.
func playAll(t *testing.T, pattern, from string) {
	paths := globs(t, pattern)
	for _, path := range paths {
		t.Run(path[strings.LastIndexByte(path, '/')+1:], func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t, options{listener: startTLS})
				transcript.Play(t, f.pipes.From(from), path)
				f.stop()
			})
		})
	}
}

func TestDialoguesOnTheSameMachine(t *testing.T) { playAll(t, "testdata/loopback/*.txtar", loopback) }
func TestDialoguesFromElsewhere(t *testing.T)    { playAll(t, "testdata/remote/*.txtar", remote) }

func TestSTLSIsOfferedOnlyWhereItWorks(t *testing.T) {
	for name, o := range map[string]options{
		"no certificate":    {listener: startTLS, noTLS: true},
		"plain listener":    {listener: settings.Listener{Port: 110, TLS: settings.TLSNone}},
		"implicit listener": {listener: settings.Listener{Port: 995, TLS: settings.TLSImplicit}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, o)
			c := f.connect(remote)
			if o.listener.TLS == settings.TLSImplicit {
				c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
			}
			c.want("+OK")
			c.ask("CAPA", "+OK")
			list := strings.Join(c.lines(), "\n")
			if strings.Contains(list, "STLS") {
				t.Errorf("STLS is offered: %s", list)
			}
			if strings.Contains(list, "PLAIN") != (o.listener.TLS == settings.TLSImplicit) {
				t.Errorf("plain login: %s", list)
			}
			c.ask("STLS", "-ERR")
		})
	}
}

func TestOnlyQuitRemoves(t *testing.T) {
	for name, leave := range map[string]func(f *fixture, c *client){
		"closed":  func(f *fixture, c *client) { c.Close() },
		"silent":  func(f *fixture, c *client) { time.Sleep(11 * time.Minute) },
		"stopped": func(f *fixture, c *client) { f.stop() },
		"errors":  func(f *fixture, c *client) { io.WriteString(c, strings.Repeat("x\r\n", 30)) },
	} {
		t.Run(name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t, options{listener: startTLS})
				c := f.login()
				c.ask("DELE 1", "+OK")
				go io.Copy(io.Discard, c.Conn)
				leave(f, c)
				synctest.Wait()
				f.stop()
				box := f.open()
				defer box.Close()
				if box.Len() != 3 {
					t.Errorf("%d messages are left", box.Len())
				}
				if st, _ := box.StateAt(1); st.Flags != 0 {
					t.Errorf("message 1 has flags %v", st.Flags)
				}
			})
		})
	}
}

// TestExpungeElsewhereDoesNotDisturb expunges through the store while a session is open.
func TestExpungeElsewhereDoesNotDisturb(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	c := f.login()
	box := f.open()
	defer box.Close()
	_, err := box.SetFlags(t.Context(), box.UIDs()[:2], mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition)
	must(t, err)
	_, err = box.Expunge(t.Context(), nil)
	must(t, err)
	box.Sync(true)
	f.put("INBOX", "Subject: new\r\n\r\nnew\r\n")

	c.ask("STAT", "+OK 3 124")
	c.ask("RETR 1", "+OK 77 octets")
	if got := strings.Join(c.lines(), "\r\n") + "\r\n"; got != dotted {
		t.Errorf("%q", got)
	}
	c.ask("DELE 1", "+OK")
	c.ask("DELE 3", "+OK")
	c.ask("QUIT", "+OK goodbye, 1 messages removed")
	d := f.login()
	d.ask("STAT", "+OK 1 ")
}

func TestMailboxThatWasReplacedKeepsItsMessages(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	c := f.connect(loopback)
	c.want("+OK")
	c.ask("USER Sorted#user1", "+OK")
	c.ask("PASS secret 1", "+OK 1 ")
	c.ask("DELE 1", "+OK")
	must(t, f.mail().DeleteMailbox(t.Context(), "Sorted"))
	_, err := f.mail().CreateMailbox(t.Context(), "Sorted", mailbox.CreateOptions{})
	must(t, err)
	f.put("Sorted", "Subject: other\r\n\r\n")
	c.ask("QUIT", "-ERR [SYS/PERM] the mailbox was replaced")
	if info, err := f.mail().Status(t.Context(), "Sorted"); err != nil || info.Messages != 1 {
		t.Errorf("%+v %v", info, err)
	}
}

func TestSeenIsASetting(t *testing.T) {
	for _, mark := range []bool{false, true} {
		f := newFixture(t, options{listener: startTLS, config: func(s *Settings) { s.MarkSeen = settings.Flag(mark) }})
		c := f.login()
		c.ask("TOP 1 1", "+OK")
		c.lines()
		c.ask("RETR 2", "+OK")
		c.lines()
		c.Close()
		f.stop()
		box := f.open()
		first, _ := box.StateAt(1)
		second, _ := box.StateAt(2)
		box.Close()
		if first.Flags != 0 || (second.Flags == mailbox.Seen) != mark {
			t.Errorf("MarkSeen %v: flags %v %v", mark, first.Flags, second.Flags)
		}
	}
}

// TestSeenIsWhatTheClientHasTaken: a client that goes before it has read the whole answer
// has not retrieved the message, however small the rest is.
func TestSeenIsWhatTheClientHasTaken(t *testing.T) {
	for name, read := range map[string]func(f *fixture, c *client){
		"nothing":                  func(f *fixture, c *client) { c.send("RETR 2") },
		"the beginning":            func(f *fixture, c *client) { c.send("RETR 4"); c.want("+OK"); c.line() },
		"nothing, for too long":    func(f *fixture, c *client) { c.send("RETR 2"); time.Sleep(time.Hour) },
		"one of several pipelined": func(f *fixture, c *client) { c.send("RETR 2\r\nRETR 4"); c.want("+OK") },
	} {
		t.Run(name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t, options{listener: startTLS, config: func(s *Settings) { s.MarkSeen = true }})
				f.put("INBOX", "Subject: large\r\n\r\n"+strings.Repeat("many lines\r\n", 10000))
				c := f.login()
				read(f, c)
				c.Close()
				f.stop()
				box := f.open()
				defer box.Close()
				want := 0
				if name == "one of several pipelined" {
					want = 1
				}
				for _, uid := range box.UIDs() {
					if st, _ := box.StateAt(int(uid)); st.Flags == mailbox.Seen {
						want--
					}
				}
				if want != 0 {
					t.Errorf("%d messages too few are seen", want)
				}
			})
		})
	}
}

// TestUnreadableMessagesDoNotEndTheSession: a client that takes and deletes all mail reaches
// QUIT, and does not get the readable messages again the next time.
func TestUnreadableMessagesDoNotEndTheSession(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	for range maxErrors {
		f.put("INBOX", "Subject: unreadable\r\n\r\n")
	}
	c := f.login()
	c.ask("RETR 1", "+OK")
	c.lines()
	c.ask("DELE 1", "+OK")
	messages := filepath.Join(f.account().Dir(), "Messages")
	must(t, os.Rename(messages, messages+".away"))
	must(t, os.WriteFile(messages, nil, 0o600)) // no file below it can be opened
	for n := range maxErrors {
		c.ask("RETR "+strconv.Itoa(4+n), "-ERR [SYS/TEMP]")
	}
	must(t, os.Remove(messages))
	must(t, os.Rename(messages+".away", messages))
	for range maxErrors + 1 {
		c.ask("DELE 1", "-ERR message 1 is deleted")
	}
	c.ask("QUIT", "+OK goodbye, 1 messages removed")
}

// TestMistakesEndASessionWhenTheyComeInARow: what is over is forgiven to somebody who has
// logged in, and to nobody else.
func TestMistakesEndASessionWhenTheyComeInARow(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	c := f.login()
	for range 3 {
		for range maxErrors - 1 {
			c.ask("NONSENSE", "-ERR unknown command")
		}
		c.ask("NOOP", "+OK")
	}
	for range maxErrors {
		c.ask("NONSENSE", "-ERR unknown command")
	}
	c.want("-ERR too many errors")

	stranger := f.connect(loopback)
	stranger.want("+OK")
	for range maxErrors - 1 {
		stranger.ask("NONSENSE", "-ERR unknown command")
		stranger.ask("USER user1", "+OK")
	}
	stranger.ask("NONSENSE", "-ERR unknown command")
	stranger.want("-ERR too many errors")
}

// TestRetrievingAgainCostsNothing: what a session remembers does not grow.
func TestRetrievingAgainCostsNothing(t *testing.T) {
	f := newFixture(t, options{listener: startTLS, config: func(s *Settings) { s.MarkSeen = true }})
	c := f.login()
	for range 3 {
		c.ask("RETR 2", "+OK")
		c.lines()
	}
	c.ask("QUIT", "+OK")
	f.stop()
	if !strings.Contains(f.log.String(), "retrieved=1 ") {
		t.Error(f.log)
	}
}

func TestRecentIsLeftToOthers(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	c := f.login()
	c.ask("RETR 1", "+OK")
	c.lines()
	c.ask("QUIT", "+OK")
	box := f.open()
	defer box.Close()
	if box.Recent() != 3 {
		t.Errorf("%d of 3 messages are recent", box.Recent())
	}
}

func TestAPOP(t *testing.T) {
	f := newFixture(t, options{listener: startTLS, password: "clear"})
	digest := func(token, password string) string {
		sum := md5.Sum([]byte(token + password))
		return hex.EncodeToString(sum[:])
	}
	c := f.connect(remote)
	greeting := c.want("+OK company.com ")
	token := greeting[strings.IndexByte(greeting, '<'):]
	c.ask("APOP user1", "-ERR a name and a digest")
	c.ask("APOP user1 "+digest(token, "wrong"), "-ERR [AUTH]")
	c.ask("APOP user1 "+digest("<other@company.com>", "secret 1"), "-ERR [AUTH]")
	c.ask("APOP nobody "+digest(token, "secret 1"), "-ERR [AUTH]")
	c.ask("APOP Sorted#user1 "+digest(token, "secret 1"), "+OK 1 messages")

	d := f.connect(remote)
	greeting = d.want("+OK company.com ")
	if other := greeting[strings.IndexByte(greeting, '<'):]; other == token {
		t.Errorf("the same timestamp twice: %s", other)
	}
	d.ask("CAPA", "+OK")
	if list := d.lines(); !slices.Contains(list, "SASL SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5") {
		t.Errorf("%q", list)
	}
}

func TestCramMD5(t *testing.T) {
	f := newFixture(t, options{listener: startTLS, password: "clear"})
	c := f.connect(remote)
	c.want("+OK")
	challenge, err := base64.StdEncoding.DecodeString(c.ask("AUTH CRAM-MD5", "+ ")[2:])
	must(t, err)
	mac := hmac.New(md5.New, []byte("secret 1"))
	mac.Write(challenge)
	response := "Sorted#user1 " + hex.EncodeToString(mac.Sum(nil))
	c.ask(base64.StdEncoding.EncodeToString([]byte(response)), "+OK 1 messages")
}

func TestScram(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	for _, user := range []string{"user1", "Sorted#user1@company.com"} {
		c := f.connect(remote)
		c.want("+OK")
		sc, err := scram.SHA256.NewClient(user, "secret 1", "")
		must(t, err)
		conv := sc.NewConversation()
		first, err := conv.Step("")
		must(t, err)
		reply := c.ask("AUTH SCRAM-SHA-256 "+base64.StdEncoding.EncodeToString([]byte(first)), "+ ")
		for range 2 {
			challenge, err := base64.StdEncoding.DecodeString(reply[2:])
			must(t, err)
			answer, err := conv.Step(string(challenge))
			must(t, err)
			c.send(base64.StdEncoding.EncodeToString([]byte(answer)))
			reply = c.line()
		}
		want := "+OK 3 messages"
		if user != "user1" {
			want = "+OK 1 messages"
		}
		if !conv.Valid() || !strings.HasPrefix(reply, want) {
			t.Errorf("%s: %s, valid %v", user, reply, conv.Valid())
		}
	}
}

func TestSessionsAreLogged(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	c := f.login()
	c.ask("RETR 1", "+OK")
	c.lines()
	c.ask("DELE 1", "+OK")
	c.ask("QUIT", "+OK")
	f.stop()
	log := f.log.String()
	if strings.Contains(log, "secret") {
		t.Error("the password is in the log")
	}
	for _, want := range []string{
		`level=WARN msg="session ended" tag=POP`, "reason=QUIT", "account=user1@company.com", "mailbox=INBOX",
		"retrieved=1", "deleted=1", "size=77",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	f := newFixture(t, options{listener: startTLS, config: func(s *Settings) { s.Channels = 1 }})
	f.connect(loopback).want("+OK")
	f.connect(loopback).want("-ERR [SYS/TEMP] too many connections")
}

// TestLargeMessageTakesNoMemory retrieves 20 MB.
func TestLargeMessageTakesNoMemory(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	const dots = 3000
	lines := strings.Repeat("a line of seventy letters without a dot in front, to be sent as it is\r\n", 100)
	body := strings.Repeat(lines+".dot\r\n", dots)
	f.put("INBOX", "Subject: large\r\n\r\n"+body)
	c := f.login()
	c.send("RETR 4")
	c.want("+OK")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	want := len("Subject: large\r\n\r\n") + len(body) + dots + len(".\r\n") - len(c.buf)
	if n, err := io.CopyN(io.Discard, c.Conn, int64(want)); err != nil {
		t.Fatalf("%d of %d bytes: %v", n, want, err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
		t.Errorf("allocated %d kB", got>>10)
	}
	c.buf = nil
	c.ask("NOOP", "+OK")
}

func TestStopEndsSessions(t *testing.T) {
	f := newFixture(t, options{listener: startTLS})
	c := f.login()
	f.stop()
	if _, err := c.Read(make([]byte, 100)); err == nil {
		t.Error("the session goes on")
	}
	if _, err := f.pipes.Dial(loopback); err == nil {
		t.Error("new sessions are taken")
	}
}

func TestRepliesForAllKinds(t *testing.T) {
	for _, k := range fault.Kinds() {
		a, ok := answers[k]
		if !ok {
			t.Errorf("%v has no answer", k)
			continue
		}
		line := reply(fault.New("op", k, ""))
		switch {
		case !strings.HasPrefix(line, "-ERR "), strings.ContainsAny(line, "\r\n"), len(line) > 250, a.text == "":
			t.Errorf("%v: %q", k, line)
		case k.Temporary() && k != fault.Disabled && a.code != "SYS/TEMP":
			t.Errorf("%v is temporary: %q", k, line)
		case !k.Temporary() && a.code == "SYS/TEMP":
			t.Errorf("%v is not temporary: %q", k, line)
		}
		if got := reply(fault.New("op", k, "my own words")); strings.Contains(got, "my own") != a.own {
			t.Errorf("%v: own %v, %q", k, a.own, got)
		}
	}
	if got := reply(net.ErrClosed); got != "-ERR [SYS/TEMP] internal error, try again later" && got != "-ERR [SYS/TEMP] not available now, try again later" {
		t.Errorf("an error of no kind: %q", got)
	}
}

func TestSettingsAreDeclaredRight(t *testing.T) {
	if err := settings.Check(&Settings{}); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Settings){
		func(s *Settings) { s.Channels = -1 },
		func(s *Settings) { s.IdleTimeout = settings.Period(9 * time.Minute) },
	} {
		s := &Settings{}
		must(t, settings.Load(s, nil))
		must(t, s.Validate())
		if change(s); s.Validate() == nil {
			t.Errorf("accepted: %+v", s)
		}
	}
}

func TestADamagedMessageIsRefusedAndTheOthersAreRead(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"short":   func(path string) error { return os.Truncate(path, 10) },
		"long":    func(path string) error { return os.Truncate(path, 10000) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"missing": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, options{})
			path := f.damage(1, change)
			c := f.login()
			c.ask("RETR 1", "-ERR [SYS/TEMP] stored data is damaged")
			c.ask("TOP 1 5", "-ERR [SYS/TEMP] stored data is damaged")
			c.ask("RETR 2", "+OK")
			for c.line() != "." {
			}
			c.ask("QUIT", "+OK")
			if !strings.Contains(f.log.String(), path) {
				t.Error("the log does not name " + path)
			}
		})
	}
}

func TestAMessageThatIsCutWhileItIsSentEndsTheConnection(t *testing.T) {
	f := newFixture(t, options{})
	f.put("INBOX", "Subject: long\r\n\r\n"+strings.Repeat("text\r\n", 1<<17))
	c := f.login()
	c.ask("RETR 4", "+OK")
	path := f.damage(4, func(path string) error { return os.Truncate(path, 1<<18) })
	if text, err := io.ReadAll(c); err != nil || len(text) >= 1<<19 {
		t.Errorf("%d bytes were sent: %v", len(text), err)
	}
	if log := f.log.String(); !strings.Contains(log, "cannot read a message to its end") || !strings.Contains(log, path) {
		t.Error("the log does not name " + path)
	}
}

// damage does something to the file of a message in INBOX, and undoes it before the test's
// check of the store.
func (f *fixture) damage(number int, change func(path string) error) (path string) {
	f.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.account().Dir(), "Messages", "0", "*"))
	must(f.t, err)
	slices.SortFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	if number > 3 {
		number++ // the one in Sorted comes between
	}
	path = files[number-1]
	text, err := os.ReadFile(path)
	must(f.t, err)
	f.t.Cleanup(func() { must(f.t, errors.Join(os.RemoveAll(path), os.WriteFile(path, text, 0o600))) })
	must(f.t, change(path))
	return path
}

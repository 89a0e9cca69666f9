package imap

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/internal/listen"
	"gatepost/protocols/transcript"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEveryFailureHasAReply(t *testing.T) {
	for _, kind := range fault.Kinds() {
		r, ok := refusals[kind]
		if !ok || r.code == "" || r.text == "" || sentence(r.text) != r.text {
			t.Errorf("%v: %+v", kind, r)
		}
	}
	if len(refusals) != len(fault.Kinds()) {
		t.Errorf("%d replies for %d kinds", len(refusals), len(fault.Kinds()))
	}
}

// client is the test's end of a connection.
type client struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func newClient(t testing.TB, c net.Conn) *client {
	t.Cleanup(func() { c.Close() })
	return &client{Conn: c, t: t, in: bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	l, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q", err, l)
	}
	return strings.TrimSuffix(l, "\r\n")
}

// until reads to a line that begins with prefix, and returns it.
func (c *client) until(prefix string) string {
	c.t.Helper()
	for {
		if l := c.line(); strings.HasPrefix(l, prefix) {
			return l
		}
	}
}

func (c *client) closed() {
	c.t.Helper()
	if l, err := c.in.ReadString('\n'); err == nil || l != "" || err == transcript.ErrCut {
		c.t.Errorf("%q %v where the end is expected", l, err)
	}
}

// connect returns a client of a started server.
func (f *fixture) connect(t testing.TB) *client {
	t.Helper()
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

// far returns a client of a server of pipes, from elsewhere.
func (f *fixture) far(t testing.TB) *client {
	t.Helper()
	c, err := f.pipe.Dial("192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

func TestCapabilitiesOfEachState(t *testing.T) {
	f := newFixture(t)
	var out strings.Builder
	greeting := func(name string, c *client) {
		l := c.line()
		list, _, ok := strings.Cut(strings.TrimPrefix(l, "* OK [CAPABILITY "), "]")
		if !ok {
			t.Fatal(l)
		}
		fmt.Fprintf(&out, "%s: %s\n", name, list)
	}
	f.pipes(t, settings.TLSStart)
	far := f.far(t)
	greeting("plain, from elsewhere", far)
	f.listen(t, settings.TLSImplicit)
	raw, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	secure := newClient(t, tls.Client(raw, &tls.Config{InsecureSkipVerify: true}))
	greeting("TLS", secure)
	secure.send("a LOGIN user1 secret1\r\n")
	l := secure.line()
	list, _, _ := strings.Cut(strings.TrimPrefix(l, "a OK [CAPABILITY "), "]")
	fmt.Fprintf(&out, "logged in: %s\n", list)
	secure.send("b SELECT INBOX\r\nc CAPABILITY\r\n")
	secure.until("b OK")
	fmt.Fprintf(&out, "selected: %s\n", strings.TrimPrefix(secure.line(), "* CAPABILITY "))
	golden(t, "testdata/capability.golden", out.String())

	far.send("a LOGIN user1 secret1\r\n")
	if l := far.line(); l != "a NO [PRIVACYREQUIRED] Passwords are not accepted without TLS" {
		t.Error(l)
	}
	far.send("a AUTHENTICATE PLAIN\r\n")
	if l := far.line(); !strings.HasPrefix(l, "a NO [PRIVACYREQUIRED]") {
		t.Error(l)
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s (%v) differs from\n%s", path, err, got)
	}
}

func TestSessionsSayByeWhenTheServerStops(t *testing.T) {
	f := start(t)
	const bye = "* BYE Server is shutting down"
	waiting := f.connect(t)
	waiting.line()
	idle := f.connect(t)
	idle.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\nc IDLE\r\n")
	idle.until("+ idling")
	storing := f.connect(t)
	storing.send("a LOGIN user1 secret1\r\nb APPEND INBOX {100}\r\n")
	storing.until("+ Ready")
	storing.send("half")
	f.stop()
	for _, c := range []*client{waiting, idle, storing} {
		if l := c.line(); l != bye {
			t.Error(l)
		}
		c.closed()
	}
	if err := <-f.done; err != nil {
		t.Error(err)
	}
	f.done <- nil
}

func TestSilentSessionsEnd(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		user := f.far(t)
		f.logIn(user)
		began := time.Now()
		if l := user.line(); !strings.HasPrefix(l, "* BYE Autologout") || time.Since(began) != 30*time.Minute {
			t.Errorf("%q after %v", l, time.Since(began))
		}
		user.closed()
	})
}

// TestStrangersHaveOneTimeLimit: neither commands nor parts of them nor TLS prolong it.
func TestStrangersHaveOneTimeLimit(t *testing.T) {
	for name, talk := range map[string]func(c *client){
		"silence":  func(*client) {},
		"commands": func(c *client) { c.send("a NOOP\r\n") },
		"a line":   func(c *client) { c.send("x") },
		"a literal": func(c *client) {
			c.send("a LOGIN user1 {9000}\r\n")
			c.send("x")
		},
		"responses": func(c *client) { c.send("a AUTHENTICATE SCRAM-SHA-256\r\nx\r\n") },
	} {
		for _, secure := range []bool{false, true} {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t)
				f.pipes(t, settings.TLSStart)
				c, began := f.far(t), time.Now()
				c.line()
				time.Sleep(time.Minute)
				if secure {
					c.startTLS()
				}
				go func() {
					for time.Since(began) < 170*time.Second {
						talk(c)
						time.Sleep(20 * time.Second)
					}
				}()
				if l := c.until("* BYE"); l != "* BYE Autologout, no login in time" || time.Since(began) != 3*time.Minute {
					t.Errorf("%s, TLS %v: %q after %v", name, secure, l, time.Since(began))
				}
				c.closed()
			})
		}
	}
}

// TestTLSEndsInGoodOrder: whoever ends the session and why, the client gets a close alert.
func TestTLSEndsInGoodOrder(t *testing.T) {
	for name, end := range map[string]func(f *fixture, c *client){
		"LOGOUT": func(_ *fixture, c *client) { c.send("b LOGOUT\r\n") },
		"stop":   func(f *fixture, _ *client) { f.stop() },
		"kill":   func(f *fixture, _ *client) { f.acc.Sessions().Kill(t.Context(), "", "user1") },
		"flood":  func(_ *fixture, c *client) { c.send("b NOOP {9000000000+}\r\n") },
	} {
		transcript.Bubble(t, func(t *testing.T) {
			f := newFixture(t)
			f.pipes(t, settings.TLSStart)
			c := f.far(t)
			f.logIn(c)
			go end(f, c)
			c.until("* BYE")
			_, err := io.Copy(io.Discard, c.in)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// logIn logs user1 in over a pipe, through TLS.
func (f *fixture) logIn(c *client) {
	c.line()
	c.startTLS()
	c.send("a LOGIN user1 secret1\r\n")
	c.until("a OK")
}

func (c *client) startTLS() {
	c.send("a STARTTLS\r\n")
	c.line()
	secure := transcript.TLSClient(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.Conn, c.in = secure, bufio.NewReader(secure)
}

func TestIdleHasNoTimeLimitAndNoKeepAlives(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		c := f.far(t)
		f.logIn(c)
		c.send("b IDLE\r\n")
		c.line()
		time.Sleep(26 * time.Hour)
		c.send("DONE\r\n")
		if l := c.line(); l != "b OK IDLE completed" {
			t.Error(l)
		}
		c.send("c LOGOUT\r\n")
		c.until("c OK")
		c.closed()
	})
}

func TestAReaderThatDoesNotReadIsCutOff(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		c := f.far(t)
		f.logIn(c)
		c.send("b LIST \"\" *\r\n")
		synctest.Wait()
		time.Sleep(writeTimeout - time.Second)
		if f.srv.count.Open() != 1 {
			t.Error("cut off too early")
		}
		time.Sleep(time.Second + listen.StopGrace) // for the close alert
		synctest.Wait()
		if f.srv.count.Open() != 0 {
			t.Error("not cut off")
		}
	})
}

// TestClientsMayVanishAtAnyMoment cuts a dialogue off at each byte.
func TestClientsMayVanishAtAnyMoment(t *testing.T) {
	f := start(t)
	dialogue := "a LOGIN user1 {7+}\r\nsecret1\r\nb SELECT INBOX\r\nc APPEND INBOX (\\Seen $x) {10+}\r\n12345678\r\n\r\n" +
		"d UID FETCH 1:* (FLAGS BODY[])\r\ne UID STORE 1:* FLAGS (\\Deleted)\r\nf IDLE\r\nDONE\r\ng UID MOVE 1 Trash\r\nh EXPUNGE\r\ni LOGOUT\r\n"
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := 0; n <= len(dialogue); n += step {
		c := f.connect(t)
		c.send(dialogue[:n])
		if n%2 == 0 {
			c.line()
		}
		c.Close()
	}
	f.stop()
	if err := <-f.done; err != nil {
		t.Error(err)
	}
	f.done <- nil
}

func TestLogsHoldNoSecretsAndNoForgedLines(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	c.send("a LOGIN user1 wrong-secret\r\nb LOGIN user1 {7+}\r\nsecret1\r\nc SELECT {6+}\r\na\nb\rcd\r\nd LOGOUT\r\n")
	c.until("d OK")
	d := f.connect(t)
	d.send("a AUTHENTICATE PLAIN AHVzZXIxAHNlY3JldDE=\r\nd LOGOUT\r\n")
	d.until("d OK")
	f.stop()
	<-f.done
	f.done <- nil
	log := f.log.String()
	for _, secret := range []string{"wrong-secret", "secret1", "AHVzZXIxAHNlY3JldDE="} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
	for _, want := range []string{"msg=login ", "account=user1@company.com reason=logout", `level=INFO+2 msg="login failed"`, "account=user1@company.com", "mechanism=PLAIN"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestFailedLoginIsLoggedOnce(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	for i, l := range []struct{ command, account string }{
		{"LOGIN user1 wrong-secret", "user1@company.com"},
		{"LOGIN nobody wrong-secret", "nobody@company.com"},
		{"LOGIN barred secret", "barred@company.com"},
		{"AUTHENTICATE PLAIN AHVzZXIxAHdyb25nLXNlY3JldA==", "user1@company.com"}, // the same
		{"AUTHENTICATE PLAIN dXNlcjIAdXNlcjEAc2VjcmV0MQ==", "user1@company.com"}, // for user2
	} {
		f.log.Reset()
		tag := fmt.Sprintf("a%d", i)
		c.send(tag + " " + l.command + "\r\n")
		c.until(tag + " NO [AUTHENTICATIONFAILED]")
		var shown []string
		for line := range strings.Lines(f.log.String()) {
			// What is less is not written by default. The password for user2 was right: its
			// login is there, too.
			if strings.Contains(line, "level=INFO+2 ") && !strings.Contains(line, "msg=login ") {
				shown = append(shown, line)
			}
		}
		if len(shown) != 1 || !strings.Contains(shown[0], "account="+l.account+" ") ||
			!strings.Contains(shown[0], "tag=IMAP instance=1 object=[127.0.0.1] ") || strings.Contains(shown[0], "secret") {
			t.Errorf("%s: %q", l.command, shown)
		}
	}
}

func TestTooManyFailedLoginsEndTheSession(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	for i := range maxLogins {
		c.send(fmt.Sprintf("a%d LOGIN nobody x\r\n", i))
	}
	c.until("* BYE Too many failed logins")
	c.closed()
}

func TestLargeMessagesAreNotHeldInMemory(t *testing.T) {
	f := start(t)
	c := f.connect(t)
	const size = 30 << 20
	c.send("a LOGIN user1 secret1\r\n")
	c.until("a OK")
	c.send(fmt.Sprintf("b APPEND INBOX {%d+}\r\n", size))
	line := []byte(strings.Repeat("x", 62) + "\r\n")
	chunk := []byte(strings.Repeat(string(line), 1024))
	for range size / len(chunk) {
		if _, err := c.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	c.send("\r\nc SELECT INBOX\r\nd FETCH 1 BODY.PEEK[]\r\n")
	c.until("b OK")
	c.until("* 1 FETCH")
	if _, err := io.CopyN(io.Discard, c.in, size); err != nil {
		t.Fatal(err)
	}
	if l := c.line(); l != ")" {
		t.Error(l)
	}
	c.until("d OK")
}

func TestMailboxesThatHoldNoMailAreHidden(t *testing.T) {
	f := start(t)
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := acc.Mail().CreateMailbox(t.Context(), "Top/Calendar", mailbox.CreateOptions{Class: "IPF.Appointment"}); err != nil {
		t.Fatal(err)
	}
	if err := acc.Mail().Subscribe(t.Context(), "Top/Calendar", true); err != nil {
		t.Fatal(err)
	}
	for _, sees := range []bool{false, true} {
		if err := f.acc.AccountSettings("", "user1").Update(t.Context(), dataformat.Dict{"IMAPSeesNonMail": settings.Flag(sees).DataValue()}); err != nil {
			t.Fatal(err)
		}
		c := f.connect(t)
		c.send("a LOGIN user1 secret1\r\nb LIST \"\" Top*\r\n")
		c.until("a OK")
		want := `* LIST (\HasNoChildren \Noselect) "/" "Top"`
		if sees {
			want = `* LIST (\HasChildren \Noselect) "/" "Top"`
		}
		if l := c.line(); l != want {
			t.Error(l)
		}
		if l := c.line(); (l == `* LIST (\HasNoChildren) "/" "Top/Calendar"`) != sees {
			t.Error(l)
		}
		if sees {
			c.until("b OK")
		}
		c.send("c LSUB \"\" Top*\r\nd STATUS Top/Calendar (MESSAGES)\r\n")
		if l := c.line(); (l == `* LSUB () "/" "Top/Calendar"`) != sees {
			t.Error(l)
		}
		c.until("d OK")
	}
}

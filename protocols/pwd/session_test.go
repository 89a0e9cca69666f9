package pwd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/admin"
	"gatepost/server/admin/admintest"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

var ctx = context.Background()

// site is a server under test, with the Main Domain c.com and the postmaster's
// password secret.
type site struct {
	acc   *accounts.Store
	admin *admintest.Server
	pwd   *Server
	log   *transcript.Log
	tls   *tls.Config
}

// newSite makes a site. Reversible ones keep passwords so that APOP works.
func newSite(t testing.TB, reversible bool) *site {
	t.Helper()
	s := &site{admin: admintest.New("<a> = b"), log: new(transcript.Log)}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	var ids atomic.Uint64
	ids.Store(1000)
	var err error
	s.acc, err = accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "c.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: log,
	})
	must(t, err)
	t.Cleanup(func() { must(t, s.acc.Close()) })
	mailboxtest.CheckAtEnd(t, s.acc.Mail())
	if reversible {
		must(t, s.acc.ServerAccountDefaults().Update(ctx, dataformat.Dict{"PasswordEncryption": dataformat.String("A-crpt")}))
	}
	must(t, s.acc.SetPassword(ctx, "", "postmaster", "secret", false))
	routes, err := router.New(settings.NewLive(new(router.Settings)), s.acc, log)
	must(t, err)
	cfg := new(Settings)
	must(t, settings.Load(cfg, nil))
	s.pwd, err = New(settings.NewLive(cfg), s.acc, routes, admin.New(s.acc, routes, s.admin, log), func() *tls.Config { return s.tls }, log)
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// local is a connection whose ends are loopback addresses.
type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }
func (local) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 106} }

// dial opens a session in a goroutine that ends with the test.
func (s *site) dial(t testing.TB) net.Conn { return s.open(t, s.serveStart) }

// control opens a session of the control socket.
func (s *site) control(t testing.TB) net.Conn { return s.open(t, s.pwd.ServeControl) }

func (s *site) serveStart(ctx context.Context, c net.Conn) {
	s.pwd.serve(ctx, c, settings.Listener{TLS: settings.TLSStart})
}

func (s *site) open(t testing.TB, serve func(context.Context, net.Conn)) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer theirs.Close()
		serve(ctx, local{theirs})
	}()
	t.Cleanup(func() { ours.Close(); <-done })
	return ours
}

// client talks to a session in lines.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newClient(t testing.TB, c net.Conn) *client {
	return &client{t: t, Conn: c, r: bufio.NewReader(c)}
}

// line reads one answer with its end.
func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("answer %q: %v", line, err)
	}
	return line
}

// say sends a line, ended by LF as most scripts do, and returns the answer without CRLF.
func (c *client) say(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	got := c.line()
	text, ok := strings.CutSuffix(got, "\r\n")
	if !ok {
		c.t.Errorf("%.60s: the answer %.60q does not end in CRLF", line, got)
	}
	return text
}

// expect sends a line and compares the answer.
func (c *client) expect(line, want string) {
	c.t.Helper()
	if got := c.say(line); got != want {
		c.t.Errorf("%.80s\n got %.200q\nwant %.200q", line, got, want)
	}
}

// login opens a session of postmaster in inline mode.
func (s *site) login(t testing.TB, user, password string) *client {
	t.Helper()
	c := newClient(t, s.dial(t))
	c.line()
	c.expect("USER "+user, "300 please send the PASS")
	c.expect("PASS "+password, "200 login OK")
	c.expect("INLINE", "200 OK")
	return c
}

func TestTranscripts(t *testing.T) {
	transcript.PlayAll(t, "testdata/*.txtar", func(t *testing.T) transcript.Dial {
		s := newSite(t, strings.Contains(t.Name(), "apop") || strings.Contains(t.Name(), "session"))
		return func() (net.Conn, error) {
			if strings.Contains(t.Name(), "control") {
				return s.control(t), nil
			}
			return s.dial(t), nil
		}
	}, transcript.Set("md5", digestOf))
}

// digestOf is replaced by tests that need a digest of the session's token.
const digestOf = "00000000000000000000000000000000"

func TestGreetingHasATokenOnlyWhenPasswordsAreKept(t *testing.T) {
	s := newSite(t, false)
	if got := newClient(t, s.dial(t)).line(); got != "200 Gatepost at c.com PWD Server 0.1 ready\r\n" {
		t.Errorf("greeting %q", got)
	}
	must(t, s.acc.AccountDefaults("").Update(ctx, dataformat.Dict{"PasswordEncryption": dataformat.String("clear")}))
	must(t, s.acc.SetPassword(ctx, "", "postmaster", "secret", false))
	c := newClient(t, s.dial(t))
	got := c.line()
	open, shut := strings.Index(got, "<"), strings.LastIndex(got, ">")
	if strings.Count(got, "<") != 1 || strings.Count(got, ">") != 1 || !strings.HasSuffix(got, "@c.com>\r\n") || open < 0 {
		t.Fatalf("greeting %q", got)
	}
	apop := func(password string) string {
		sum := md5.Sum([]byte(got[open:shut+1] + password))
		return "APOP postmaster " + hex.EncodeToString(sum[:])
	}
	c.expect(apop("wrong"), "515 incorrect password or account name")
	c.expect(strings.Replace(apop("secret"), "postmaster", "nobody", 1), "515 incorrect password or account name")
	c.expect(apop("secret"), "200 login OK")
}

func TestNobodyLearnsWhyALoginFails(t *testing.T) {
	s := newSite(t, false)
	must(t, s.acc.CreateAccount(ctx, "", "nopwd", dataformat.Dict{"Password": dataformat.String("x"), "AccessModes": dataformat.Array{dataformat.String("Mail")}}))
	c := newClient(t, s.dial(t))
	c.line()
	for _, user := range []string{"postmaster", "nobody", "nobody@nowhere.com", "../x", "nopwd", "a b"} {
		c.expect("USER "+user, "300 please send the PASS")
		c.expect("PASS x", "515 incorrect password or account name")
	}
	c.expect("AUTH WEBUSER postmaster x", "515 incorrect password or account name")
	c.expect("APOP postmaster "+digestOf, "515 incorrect password or account name")
	c.expect("USER x", "300 please send the PASS")
	c.expect("PASS y", "515 incorrect password or account name")
	// The tenth failure ends the session.
	c.expect("USER postmaster", "300 please send the PASS")
	c.expect("PASS y", "515 incorrect password or account name")
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("the session goes on: %v", err)
	}
}

func TestPasswordIsTheRestOfTheLineAsItIs(t *testing.T) {
	s := newSite(t, false)
	for _, password := range []string{` a "b" \c `, "päß", "x ", "{SHA}x"} {
		must(t, s.acc.SetPassword(ctx, "", "postmaster", password, false))
		s.login(t, "postmaster", password)
	}
	c := s.login(t, "postmaster%c.com", "{SHA}x")
	c.expect("NEWPASS  new one", "200 OK")
	s.login(t, "Postmaster@C.com", " new one")
}

func TestSASL(t *testing.T) {
	s := newSite(t, false)
	plain := "AHBvc3RtYXN0ZXIAc2VjcmV0" // \0postmaster\0secret
	c := newClient(t, s.dial(t))
	c.line()
	c.expect("AUTH PLAIN "+plain, "200 login OK")
	c.expect("MAINDOMAINNAME", "200 data follow")

	c = newClient(t, s.dial(t))
	c.line()
	c.expect("AUTH plain", "300 =")
	c.expect("*", "500 authentication canceled")
	c.expect("AUTH LOGIN", "300 VXNlcm5hbWU6")
	c.expect("cG9zdG1hc3Rlcg== ", "300 UGFzc3dvcmQ6")
	c.expect("c2VjcmV0 \t", "200 login OK")
	c.expect("NOOP \t", "200 OK")
	c.expect("NOOP\t", "200 OK")

	c = newClient(t, s.dial(t))
	c.line()
	c.expect("AUTH PLAIN !", "500 the response is not base64")
	c.expect("AUTH NOSUCH", "500 unknown authentication mechanism")
	c.expect("AUTH CRAM-MD5", "500 unknown authentication mechanism")
	c.expect("AUTH", "500 a mechanism is expected")
}

func TestNothingButLoginWorksBeforeLogin(t *testing.T) {
	s := newSite(t, false)
	c := newClient(t, s.dial(t))
	c.line()
	for _, line := range []string{"ListDomains", "CreateAccount x", "NOOP", "SHUTDOWN", "GETGROUP x", "NEWPASS x"} {
		c.expect(line, "500 please log in first")
	}
	c.expect("GETCLUSTERSETTINGS", "500 please log in first")
	c.expect("FOO", "500 unknown command")
	c.expect("GATEPOST CHECK", "500 unknown command")
	c.expect("PASS secret", "500 please send the USER first")
	c.expect("USER", "500 a name is expected")
	c.expect(`USER ""`, "500 a name is expected")
	if s.admin.Stopped() {
		t.Error("SHUTDOWN was carried out")
	}
}

func TestKnownCommandsAreAnsweredHoweverManyAreNotSupported(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	for range 3 * maxConfused {
		c.expect("LISTSTOCKPBXFILES ENGLISH", "500 command not supported")
		c.expect("GETCLUSTERDOMAINDEFAULTS", "500 not a cluster member")
	}
	for range maxConfused {
		c.expect("GET / HTTP/1.0", "500 unknown command")
	}
	c.expect("NOOP", "200 OK")
	for range maxConfused + 1 {
		c.expect("FOO", "500 unknown command")
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("a session of lines that are no command goes on: %v", err)
	}
}

func TestLines(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	// CRLF, LF, blanks and every case.
	for _, line := range []string{"noop\r", "NOOP", "  Noop  ", "NoOp \r"} {
		c.expect(line, "200 OK")
	}
	c.expect("", "500 unknown command")
	c.expect("\x16\x03\x01", "500 unknown command")
	// A megabyte is an ordinary line, and one above the limit ends nothing.
	long := strings.Repeat("x", 1<<20)
	if got := c.say("ECHO " + long); got != "201 "+long {
		t.Errorf("a long line: %.40q", got)
	}
	c.expect("ECHO "+strings.Repeat("x", maxLine), "500 line is too long")
	c.expect("NOOP", "200 OK")

	before := newClient(t, s.dial(t))
	before.line()
	before.expect("USER "+strings.Repeat("x", maxLineBefore), "500 line is too long")
	if _, err := before.r.ReadByte(); err != io.EOF {
		t.Errorf("the session goes on: %v", err)
	}
}

// oneWrite counts writes.
type oneWrite struct {
	net.Conn
	writes *atomic.Int64
}

func (o oneWrite) Write(p []byte) (int, error) {
	o.writes.Add(1)
	return o.Conn.Write(p)
}

func TestEveryAnswerIsOneWrite(t *testing.T) {
	s := newSite(t, false)
	var writes atomic.Int64
	c := newClient(t, s.open(t, func(ctx context.Context, c net.Conn) {
		s.serveStart(ctx, oneWrite{c, &writes})
	}))
	c.line()
	c.say("USER postmaster")
	c.say("PASS secret")
	c.say("INLINE")
	c.say("GetServerAccountDefaults")
	c.say("GetAccountEffectiveSettings postmaster")
	if n := writes.Load(); n != 6 {
		t.Errorf("6 answers in %d writes", n)
	}
}

func TestTimeLimits(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		s := newSite(t, false)
		s.tls = transcript.ServerTLS(t)
		start := time.Now()
		ended := func(c *client) time.Duration {
			t.Helper()
			if got := c.line(); got != "501 connection timed out\r\n" {
				t.Errorf("goodbye %q", got)
			}
			if _, err := c.r.ReadByte(); err != io.EOF {
				t.Errorf("the session goes on: %v", err)
			}
			return time.Since(start)
		}
		pipes, done := transcript.NewPipes("127.0.0.1:106"), make(chan error, 1)
		life, stop := context.WithCancel(ctx)
		go func() { done <- s.pwd.Serve(life, pipes, settings.Listener{TLS: settings.TLSStart}) }()
		defer func() { stop(); must(t, <-done) }()
		c, err := pipes.Dial("127.0.0.1")
		must(t, err)
		stranger := newClient(t, c)
		stranger.line()
		stranger.expect("NOTIMEOUT", "200 OK")
		time.Sleep(time.Minute)
		stranger.expect("STLS", "200 OK")
		secure := transcript.TLSClient(c, &tls.Config{InsecureSkipVerify: true})
		stranger.Conn, stranger.r = secure, bufio.NewReader(secure)
		stranger.expect("NOTIMEOUT", "200 OK")
		if d := ended(stranger); d != loginTimeout {
			t.Errorf("a stranger stayed %v", d)
		}
		start = time.Now()
		idle, patient := s.login(t, "postmaster", "secret"), s.login(t, "postmaster", "secret")
		patient.expect("NOTIMEOUT", "200 OK")
		time.Sleep(299 * time.Second)
		idle.expect("NOOP", "200 OK")
		start = time.Now()
		if d := ended(idle); d != 5*time.Minute {
			t.Errorf("an idle session stayed %v", d)
		}
		time.Sleep(24 * time.Hour)
		patient.expect("NOOP", "200 OK")
	})
}

func TestStopSaysGoodbye(t *testing.T) {
	s := newSite(t, false)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	life, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- s.pwd.Serve(life, ln, settings.Listener{TLS: settings.TLSStart}) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)
	defer conn.Close()
	c := newClient(t, conn)
	c.line()
	stop()
	if got := c.line(); got != "501 server is shutting down\r\n" {
		t.Errorf("goodbye %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestControlSocketEndsWithTheServer(t *testing.T) {
	s := newSite(t, false)
	life, stop := context.WithCancel(ctx)
	c := newClient(t, s.open(t, func(_ context.Context, c net.Conn) { s.pwd.ServeControl(life, c) }))
	c.line()
	c.expect("NOOP", "200 OK")
	stop()
	if _, err := io.ReadAll(c.r); err != nil && err != io.ErrClosedPipe {
		t.Errorf("%v", err)
	}
}

func TestSTLS(t *testing.T) {
	s := newSite(t, false)
	c := newClient(t, s.dial(t))
	c.line()
	c.expect("STLS", "500 STLS is not available")
	s.tls = transcript.ServerTLS(t)

	c = newClient(t, s.dial(t))
	c.line()
	c.expect("USER postmaster", "300 please send the PASS")
	c.expect("STLS", "200 OK")
	secure := newClient(t, tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}))
	// What was said before does not count.
	secure.expect("PASS secret", "500 please send the USER first")
	secure.expect("STLS", "500 STLS is not available")
	secure.expect("USER postmaster", "300 please send the PASS")
	secure.expect("PASS secret", "200 login OK")

	// Commands smuggled in behind STLS are an attack.
	c = newClient(t, s.dial(t))
	c.line()
	c.expect("STLS\r\nUSER postmaster", "500 nothing may follow STLS")
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("the session goes on: %v", err)
	}
}

func TestNoPasswordReachesTheLog(t *testing.T) {
	s := newSite(t, true)
	s.login(t, "postmaster", "secret")
	c := s.login(t, "postmaster", "secret")
	for _, line := range []string{
		`CreateAccount u1 {Password=swordfish;}`, `CreateAccount u1 {Password=swordfish;}`, `UpdateAccountSettings u1 {Password="swordfish";}`,
		`SetAccountPassword u1 TO swordfish`, `SetAccountPassword nobody PASSWORD "swordfish"`, `VerifyAccountPassword u1 PASSWORD swordfish`,
		`GetAccountPlainPassword u1`, `NEWPASS swordfish`, `swordfish`, `SetAccountPassword u1 swordfish`, `UpdateAccountSettings u1 {Password=swordfish}`,
		`CreateAccount "swordfish!" {}`, `UpdateServerSettings {SMTPPassword=swordfish;}`, `ECHO swordfish`,
	} {
		c.say(line)
	}
	c2 := newClient(t, s.dial(t))
	c2.line()
	c2.say("USER u1")
	c2.say("PASS swordfish2")
	c2.say("AUTH PLAIN c3dvcmRmaXNo")
	log := s.log.String()
	if !strings.Contains(log, "msg=SETACCOUNTPASSWORD ") || !strings.Contains(log, "tag=PWD") {
		t.Errorf("the commands are not in the log:\n%s", log)
	}
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, "swordfish") && !strings.Contains(line, "target=swordfish!@c.com") || strings.Contains(line, "c3dvcmRmaXNo") {
			t.Error(line)
		}
	}
}

func TestLogNamesTheObjectOfACommand(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	for _, line := range []struct{ command, target string }{
		{"CreateDomain New.com {MailToUnknown=Discarded;}", "new.com"}, {"CreateAccount u@new.com", "u@new.com"},
		{"CreateForwarder f TO x@y.com", "f@c.com"}, {"UpdateAccountDefaults {MaxWebSize=1M;}", "c.com"},
		{"UpdateDomainSettings NEW.com {AccountsLimit=5;}", "new.com"}, {"SetDomainAliases new.com (also.com)", "new.com"},
		{"RenameDomain also.com INTO newer.com", "new.com"}, {"UpdateModule smtp {x=y;}", "smtp"},
		{"ReleaseSMTPQueue far.com", "far.com"}, {"UpdateDomainDefaults {AccountsLimit=5;}", ""},
		{"DeleteAccount u@newer.com", "u@newer.com"}, {"DeleteDomain newer.com", "newer.com"},
		{"CreateDomain c.com", "c.com"},
	} {
		before := len(s.log.String())
		c.say(line.command)
		c.expect("NOOP", "200 OK") // the log comes before the next command
		verb, _ := splitVerb(line.command)
		want := "msg=" + verb + " tag=PWD instance=1 object=[127.0.0.1]"
		if line.target != "" {
			want += " target=" + line.target
		}
		if got := s.log.String()[before:]; !strings.Contains(got, want+" by=postmaster@c.com") {
			t.Errorf("%s is logged as\n%s", line.command, got)
		}
	}
}

func FuzzSession(f *testing.F) {
	f.Add([]byte("USER postmaster\nPASS secret\nINLINE\nLISTDOMAINS\nCREATEACCOUNT u {RealName=\"x\";}\nGETACCOUNTINFO u\nQUIT\n"))
	f.Add([]byte("USER postmaster\r\nPASS secret\r\nLISTACCOUNTS\r\nGETACCOUNTSETTINGS *\r\nECHO {a=(b,[AAAA]);}\r\n"))
	f.Add([]byte("AUTH PLAIN\n*\nAUTH LOGIN cG9zdG1hc3Rlcg==\nc2VjcmV0\nLISTMAILBOXES * FILTER \"%\"\nROUTE a%b@c.com mail\n"))
	f.Add([]byte("STLS\nAPOP a b\n\x00\xff\nNEWPASS x\nUSER\nGATEPOST ROUTE x\n"))
	s := newSite(f, false)
	f.Fuzz(func(t *testing.T, input []byte) {
		lower := bytes.ToUpper(input)
		if bytes.Contains(lower, []byte("PASSWORD")) || bytes.Contains(lower, []byte("NEWPASS")) {
			return // would lock the fuzzer out of its own account
		}
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer theirs.Close()
			s.serveStart(ctx, local{theirs})
		}()
		answers := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(ours)
			answers <- b
		}()
		must(t, ours.SetWriteDeadline(time.Now().Add(20*time.Second)))
		_, _ = ours.Write(append(input, "\nQUIT\n"...))
		ours.Close()
		<-done
		checkAnswers(t, <-answers)
	})
}

// checkAnswers looks at what a session said: every answer begins with a code and
// ends in CRLF.
func checkAnswers(t *testing.T, b []byte) {
	if len(b) == 0 {
		return
	}
	if !bytes.HasPrefix(b, []byte("200 ")) || bytes.Contains(b, []byte("\r\n\r\n")) {
		t.Errorf("%.200q", b)
	}
}

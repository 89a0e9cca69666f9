package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatepost/server"
	"gatepost/server/control"
)

// The tests of this file run the programs that people use against a whole
// server. They need those programs, so they run only where GATEPOST_INTEROP is
// set; .ci/run installs the programs and sets it.

const (
	testDomain   = "corp.test"
	testPassword = "s3cret pass"
)

// running is a server on loopback with the accounts alice and bob.
type running struct {
	*server.Server
	dir   string
	shift int
	// stop ends Run, whose result comes from ended.
	stop  context.CancelFunc
	ended chan error
}

func (r *running) addr(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+r.shift))
}

func (r *running) port(port int) string { return strconv.Itoa(port + r.shift) }

// cli runs a command and fails the test when the answer is an error.
func (r *running) cli(t *testing.T, command string) control.Answer {
	t.Helper()
	c, err := control.Dial(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := c.Do(command)
	if err != nil || !a.OK() {
		t.Fatalf("%s: %d %s, %v", command, a.Code, a.Text, err)
	}
	return a
}

// readyLine tells when the server says that it is ready.
type readyLine struct {
	t     *testing.T
	ready chan struct{}
}

func (w readyLine) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("ready\n")) {
		close(w.ready)
	} else {
		w.t.Logf("server: %s", p)
	}
	return len(p), nil
}

// start runs a server on a new base directory until the test ends, and checks
// its store then. before are commands that come before the accounts are made.
func start(t *testing.T, before ...string) *running {
	t.Helper()
	// A short path: the control socket's name has a limit.
	dir, err := os.MkdirTemp("", "gp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &running{dir: dir}
	for try := range 3 { // another test process may take one of the ports after they were looked at
		r.shift = freeShift(t)
		err := r.tryLaunch(t)
		if err == nil {
			break
		}
		if try == 2 || !strings.Contains(err.Error(), "address already in use") {
			t.Fatalf("the server ended: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { r.halt(t) })
	for _, command := range before {
		r.cli(t, command)
	}
	r.cli(t, fmt.Sprintf("CREATEACCOUNT alice {Password=%q;}", testPassword))
	r.cli(t, fmt.Sprintf("CREATEACCOUNT bob {Password=%q;}", testPassword))
	return r
}

// launch runs a server on the base directory, and waits until it is ready.
func (r *running) launch(t *testing.T) {
	t.Helper()
	if err := r.tryLaunch(t); err != nil {
		t.Fatalf("the server ended: %v", err)
	}
}

func (r *running) tryLaunch(t *testing.T) error {
	t.Helper()
	ready := make(chan struct{})
	var err error
	r.Server, err = server.New(server.Config{Base: r.dir, MainDomain: testDomain, Listen: []string{"127.0.0.1"},
		PortShift: r.shift, Messages: readyLine{t, ready}})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.WithoutCancel(t.Context()))
	r.ended = make(chan error, 1)
	go func(s *server.Server, ended chan error) { ended <- s.Run(ctx) }(r.Server, r.ended)
	select {
	case <-ready:
		return nil
	case err := <-r.ended:
		r.ended <- err
		return err
	}
}

// halt checks the store and stops the server.
func (r *running) halt(t *testing.T) {
	t.Helper()
	findings, err := r.Check(context.Background(), false)
	if err != nil || len(findings) > 0 {
		t.Errorf("check: %q, %v", findings, err)
	}
	r.stop()
	if err := <-r.ended; err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// freeShift finds a shift at which all ports are free. It begins anywhere, so
// that two test processes do not find the same one.
func freeShift(t testing.TB) int {
	t.Helper()
	for range 50 {
		shift := 12000 + mathrand.IntN(11000) // below the ports that connections to others get
		free := true
		for _, port := range append(server.StockPorts(), 107) {
			ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+shift)))
			if err != nil {
				free = false
				break
			}
			ln.Close()
		}
		if free {
			return shift
		}
	}
	t.Fatal("no free ports")
	return 0
}

func needPrograms(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%s is not installed", p)
		}
	}
}

// run runs a program and fails the test when the program fails.
func run(t *testing.T, stdin io.Reader, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = stdin
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// message makes a message with a subject of its own, in LF form.
func message(from, to string) (subject, text string) {
	subject = "interop " + rand.Text()
	return subject, fmt.Sprintf("From: <%s>\nTo: <%s>\nSubject: %s\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n"+
		"Message-ID: <%s@test>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"+
		"Grüße, 你好\n.a line with a dot\n..two\n\nFrom here on\n%s\n.\nend\n", from, to, subject, rand.Text(), strings.Repeat("long ", 180))
}

// waitFor reads INBOX with curl until a message with the subject is there, and
// returns it with LF line ends.
func (r *running) waitFor(t *testing.T, user, subject string) string {
	t.Helper()
	url := "imap://" + r.addr(143) + "/INBOX"
	login := user + ":" + testPassword
	for {
		out := run(t, nil, nil, "curl", "-sS", "--user", login, url, "-X", `UID SEARCH SUBJECT "`+subject+`"`)
		if uid := strings.TrimSpace(strings.TrimPrefix(out, "* SEARCH")); uid != "" && !strings.Contains(uid, " ") {
			got := run(t, nil, nil, "curl", "-sS", "--user", login, url+"/;UID="+uid)
			return strings.ReplaceAll(got, "\r\n", "\n")
		}
		if t.Context().Err() != nil {
			t.Fatal("the message did not arrive")
		}
	}
}

// sameBytes checks that what was read is what was sent, after trace fields.
func sameBytes(t *testing.T, how, got, sent string) {
	t.Helper()
	if !strings.HasSuffix(got, sent) {
		t.Errorf("%s: read back changed:\n%.1500q\nsent\n%.1500q", how, got, sent)
	}
}

func TestInteropSwaks(t *testing.T) {
	needPrograms(t, "swaks", "curl")
	r := start(t)
	reversible := start(t, "UPDATEACCOUNTDEFAULTS "+testDomain+" {PasswordEncryption=A-crpt;}")
	alice := []string{"--auth-user", "alice@" + testDomain, "--auth-password", testPassword}
	for name, args := range map[string][]string{
		"plain":           {"--server", r.addr(25)},
		"STARTTLS":        {"--server", r.addr(25), "-tls"},
		"AUTH PLAIN":      append([]string{"--server", r.addr(587), "-tls", "--auth", "PLAIN"}, alice...),
		"AUTH LOGIN":      append([]string{"--server", r.addr(587), "-tls", "--auth", "LOGIN"}, alice...),
		"TLS AUTH":        append([]string{"--server", r.addr(465), "-tlsc", "--auth", "PLAIN"}, alice...),
		"AUTH CRAM-MD5":   append([]string{"--server", reversible.addr(587), "--auth", "CRAM-MD5"}, alice...),
		"no TLS, PLAIN":   append([]string{"--server", r.addr(587), "--auth", "PLAIN"}, alice...),
		"course dialogue": {"--server", r.addr(25), "--helo", "me", "--protocol", "SMTP"},
	} {
		t.Run(name, func(t *testing.T) {
			subject, text := message("alice@"+testDomain, "bob@"+testDomain)
			file := filepath.Join(t.TempDir(), "message")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out := run(t, nil, nil, "swaks", append(args, "--from", "alice@"+testDomain, "--to", "bob@"+testDomain, "--data", "@"+file)...)
			if !strings.Contains(out, "message accepted for delivery") {
				t.Errorf("reply:\n%s", out)
			}
			// swaks ends the data with a line end of its own.
			to := r
			if args[1] == reversible.addr(587) {
				to = reversible
			}
			got := to.waitFor(t, "bob", subject)
			sameBytes(t, name, strings.TrimRight(got, "\n"), strings.TrimRight(text, "\n"))
		})
	}
}

func TestInteropMsmtp(t *testing.T) {
	needPrograms(t, "msmtp", "curl")
	r := start(t)
	subject, text := message("alice@"+testDomain, "bob@"+testDomain)
	run(t, strings.NewReader(text), nil, "msmtp", "-C", "/dev/null", "--host=127.0.0.1", "--port="+r.port(587), "--tls=on", "--tls-certcheck=off",
		"--auth=on", "--user=alice@"+testDomain, "--passwordeval=echo '"+testPassword+"'", "--from=alice@"+testDomain, "bob@"+testDomain)
	sameBytes(t, "msmtp", r.waitFor(t, "bob", subject), text)
}

func TestInteropCurl(t *testing.T) {
	needPrograms(t, "curl")
	r := start(t)
	subject, text := message("alice@"+testDomain, "bob@"+testDomain)
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	run(t, strings.NewReader(crlf), nil, "curl", "-sS", "--ssl-reqd", "-k", "--url", "smtp://"+r.addr(587), "--user", "alice@"+testDomain+":"+testPassword,
		"--mail-from", "alice@"+testDomain, "--mail-rcpt", "bob@"+testDomain, "-T", "-")
	sameBytes(t, "curl smtp", r.waitFor(t, "bob", subject), text)
	list := run(t, nil, nil, "curl", "-sS", "--user", "bob:"+testPassword, "pop3://"+r.addr(110)+"/")
	number := strings.Fields(list)
	if len(number) < 2 {
		t.Fatalf("curl pop3 lists %q", list)
	}
	got := run(t, nil, nil, "curl", "-sS", "--user", "bob:"+testPassword, "pop3://"+r.addr(110)+"/"+number[0])
	sameBytes(t, "curl pop3", strings.ReplaceAll(got, "\r\n", "\n"), text)
	got = run(t, nil, nil, "curl", "-sS", "-k", "--user", "bob:"+testPassword, "imaps://"+r.addr(993)+"/INBOX/;MAILINDEX=1")
	sameBytes(t, "curl imaps", strings.ReplaceAll(got, "\r\n", "\n"), text)
}

// deliver sends one message to bob with curl and waits until it is there.
func (r *running) deliver(t *testing.T) (subject, text string) {
	t.Helper()
	subject, text = message("alice@"+testDomain, "bob@"+testDomain)
	run(t, strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")), nil, "curl", "-sS", "--url", "smtp://"+r.addr(25),
		"--mail-from", "alice@"+testDomain, "--mail-rcpt", "bob@"+testDomain, "-T", "-")
	r.waitFor(t, "bob", subject)
	return subject, text
}

func TestInteropMbsync(t *testing.T) {
	needPrograms(t, "mbsync", "curl")
	r := start(t)
	_, text := r.deliver(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "mbsyncrc")
	err := os.WriteFile(config, fmt.Appendf(nil, `IMAPAccount a
Host 127.0.0.1
Port %s
User bob@%s
Pass "%s"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Path %s/mail/
Inbox %[4]s/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
`, r.port(143), testDomain, testPassword, dir), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, nil, nil, "mbsync", "-c", config, "-a")
	files, err := filepath.Glob(filepath.Join(dir, "mail/INBOX/[cn]*/*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("mbsync fetched %q, %v", files, err)
	}
	got, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	// mbsync marks what it stores with a field of its own.
	tuid := regexp.MustCompile(`(?m)^X-TUID: .*\n`)
	sameBytes(t, "mbsync", tuid.ReplaceAllString(string(got), ""), text)

	// And back: a message that is put into the maildir appears on the server.
	subject, upload := message("bob@"+testDomain, "bob@"+testDomain)
	if err := os.WriteFile(filepath.Join(dir, "mail/INBOX/cur/1.1.test:2,S"), []byte(upload), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, nil, "mbsync", "-c", config, "-a")
	if back := r.waitFor(t, "bob", subject); !strings.HasSuffix(back, upload[strings.Index(upload, "\n\n"):]) {
		t.Errorf("uploaded message:\n%s", back)
	}
}

func TestInteropFetchmail(t *testing.T) {
	needPrograms(t, "fetchmail", "curl")
	r := start(t)
	for protocol, port := range map[string]int{"POP3": 110, "IMAP": 143} {
		t.Run(protocol, func(t *testing.T) {
			_, text := r.deliver(t)
			dir := t.TempDir()
			config, box := filepath.Join(dir, "fetchmailrc"), filepath.Join(dir, "box")
			// fetchmail refuses to run as root without a home of its own.
			err := os.WriteFile(config, fmt.Appendf(nil,
				"poll 127.0.0.1 protocol %s service %s user \"bob@%s\" password \"%s\" sslproto '' keep fetchall mda \"cat > %s\"\n",
				protocol, r.port(port), testDomain, testPassword, box), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			run(t, nil, []string{"HOME=" + dir, "FETCHMAILHOME=" + dir}, "fetchmail", "-f", config, "--nosyslog", "--invisible")
			got, err := os.ReadFile(box)
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, "fetchmail "+protocol, strings.TrimRight(string(got), "\n"), strings.TrimRight(text, "\n"))
			run(t, nil, nil, "curl", "-sS", "--user", "bob:"+testPassword, "imap://"+r.addr(143)+"/INBOX", "-X", "STORE 1:* +FLAGS (\\Deleted)")
			run(t, nil, nil, "curl", "-sS", "--user", "bob:"+testPassword, "imap://"+r.addr(143)+"/INBOX", "-X", "EXPUNGE")
		})
	}
}

func TestInteropNeomutt(t *testing.T) {
	needPrograms(t, "neomutt", "curl")
	r := start(t)
	subject, text := r.deliver(t)
	dir := t.TempDir()
	saved := filepath.Join(dir, "saved")
	// neomutt asks for this directory before anything else.
	if err := os.Mkdir(filepath.Join(dir, "Mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	// The commands are typed into neomutt: save the message and leave.
	run(t, nil, []string{"HOME=" + dir, "TERM=xterm"}, "script", "-qec", strings.Join([]string{
		"neomutt", "-n", "-F", "/dev/null",
		"-e", "'set ssl_starttls=no ssl_force_tls=no imap_authenticators=login imap_pass=\"" + testPassword + "\" mbox_type=mbox confirmappend=no confirmcreate=no delete=yes quit=yes'",
		"-e", "'push \"<limit>~s " + strings.Fields(subject)[1] + "<enter><copy-message><kill-line>" + saved + "<enter><quit>\"'",
		"-f", "imap://bob@127.0.0.1:" + r.port(143) + "/INBOX"}, " "), filepath.Join(dir, "typescript"))
	got, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	unquoted := strings.ReplaceAll(string(got), "\n>From ", "\nFrom ")
	body := text[strings.Index(text, "\n\n"):]
	sameBytes(t, "neomutt", strings.TrimRight(unquoted, "\n"), strings.TrimRight(body, "\n"))
}

package sendmail

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs a program in an empty base directory and returns the message, if one was submitted.
func call(t *testing.T, run func(*Program, []string) error, in string, args ...string) (text string, out string, err error) {
	t.Helper()
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "Submitted"), 0o700); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	p := &Program{Base: base, User: "joe", Stdin: strings.NewReader(in), Stdout: &stdout, Stderr: &stdout,
		List:  func() error { stdout.WriteString("the queue"); return nil },
		Flush: func() error { stdout.WriteString("flushed"); return nil },
		Route: func(a string) (string, error) {
			if a == "nobody" {
				return "", nil
			}
			return "deliverable: LOCAL(" + a + ")", nil
		}}
	err = run(p, args)
	files, readErr := os.ReadDir(filepath.Join(base, "Submitted"))
	if readErr != nil || len(files) > 1 {
		t.Fatal(files, readErr)
	}
	if len(files) == 0 {
		return "", stdout.String(), err
	}
	if !strings.HasSuffix(files[0].Name(), ".sub") || err != nil {
		t.Errorf("%s is left, error %v", files[0].Name(), err)
	}
	content, readErr := os.ReadFile(filepath.Join(base, "Submitted", files[0].Name()))
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(content), stdout.String(), err
}

// The command lines of programs that send mail.
func TestSendmail(t *testing.T) {
	const message = "From: me@a.b\nTo: x@y.z\nBcc: hidden@y.z\nSubject: s\n\nbody\n.\nmore\n"
	for _, c := range []struct {
		name, args, in, want string
	}{
		{"Debian's cron", "-FCronDaemon -i -B8BITMIME -oem joe", "From: root (Cron Daemon)\nTo: joe\nSubject: Cron\n\nout\n",
			"Return-Path: <joe>\nEnvelope-To: joe\nFrom: root (Cron Daemon)\nTo: joe\nSubject: Cron\n\nout\n"},
		{"cronie", "-FCronDaemon -i -odi -oem -oi -t -f root", "To: joe\n\nout\n", "Return-Path: <root>\nEnvelope-To: joe\nFrom: CronDaemon <root>\nTo: joe\n\nout\n"},
		{"PHP", "-t -i", message, "Return-Path: <joe>\nEnvelope-To: x@y.z\nEnvelope-To: hidden@y.z\n" + message[:26+0] + message[26:]},
		{"PHP with a fifth parameter", "-t -i -fbounce@a.b", "To: x@y.z\r\nX-Mailer: PHP\r\n\r\nbody", "Return-Path: <bounce@a.b>\nEnvelope-To: x@y.z\nTo: x@y.z\nX-Mailer: PHP\n\nbody"},
		{"Python", "-t -oi", "To: x@y.z\n\n.\n", "Return-Path: <joe>\nEnvelope-To: x@y.z\nTo: x@y.z\n\n.\n"},
		{"git send-email", "-f me@a.b -i x@y.z z@y.z", "To: list@y.z\n\nbody\n", "Return-Path: <me@a.b>\nEnvelope-To: x@y.z\nEnvelope-To: z@y.z\nTo: list@y.z\n\nbody\n"},
		{"-t adds to the arguments", "-ti more@y.z", "To: x@y.z\n\n", "Return-Path: <joe>\nEnvelope-To: more@y.z\nEnvelope-To: x@y.z\nTo: x@y.z\n\n"},
		{"a dot ends without -i", "x@y.z", "S: a\n\nb\n.\nc\n", "Return-Path: <joe>\nEnvelope-To: x@y.z\nS: a\n\nb\n"},
		{"the null sender", "-i -f <> x@y.z", "S: a\n\n", "Return-Path: <>\nEnvelope-To: x@y.z\nS: a\n\n"},
		{"a name with specials", "-i -F a,b x@y.z", "S: a\n\n", "Return-Path: <joe>\nEnvelope-To: x@y.z\nFrom: \"a,b\" <joe>\nS: a\n\n"},
		{"reports", "-i -N success,delay -R hdrs -V abc x@y.z", "S: a\n\n", "Return-Path: <joe>\nEnvelope-To: x@y.z\nEnvelope-ID: abc\nEnvelope-Ret: HDRS\nEnvelope-Notify: success,delay\nS: a\n\n"},
		{"what does not matter here", "-v -n -h 5 -O DeliveryMode=b -OIgnoreDots=True -om -Xlog -odb -L tag -oMrESMTP -U -G x@y.z", "S: a\n\n.\n", "Return-Path: <joe>\nEnvelope-To: x@y.z\nS: a\n\n.\n"},
		{"options after the recipient", "x@y.z -i -f me", "S: a\n\n", "Return-Path: <me>\nEnvelope-To: x@y.z\nS: a\n\n"},
		{"after --", "-i -- -x@y.z", "S: a\n\n", "Return-Path: <joe>\nEnvelope-To: -x@y.z\nS: a\n\n"},
		{"fields of another envelope", "-i x@y.z", "Envelope-To: all@y.z\nReturn-Path: <f@y.z>\nS: a\n\n", "Return-Path: <joe>\nEnvelope-To: x@y.z\nS: a\n\n"},
		{"a text without a header", "-i x@y.z", "hello\n", "Return-Path: <joe>\nEnvelope-To: x@y.z\n\nhello\n"},
	} {
		text, out, err := call(t, (*Program).Sendmail, c.in, strings.Fields(c.args)...)
		if err != nil || text != c.want || out != "" {
			t.Errorf("%s: %v\n%s\nnot\n%s", c.name, err, text, c.want)
		}
	}
}

func TestSendmailDoesOtherThings(t *testing.T) {
	for args, want := range map[string]string{
		"-bp": "the queue", "-q": "flushed", "-q30m": "flushed", "-bi": "", "-I": "",
		"-bv joe,x@y.z": "joe... deliverable: LOCAL(joe)\nx@y.z... deliverable: LOCAL(x@y.z)\n",
	} {
		text, out, err := call(t, (*Program).Sendmail, "", strings.Fields(args)...)
		if err != nil || text != "" || out != want {
			t.Errorf("%s: %v, %q, %q", args, err, text, out)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		args, in string
		code     int
	}{
		{"", "", ExitUsage}, {"-t", "Subject: x\n\n", ExitUsage}, {"-Z x", "", ExitUsage}, {"-f", "", ExitUsage}, {"-bd", "", ExitUsage},
		{"-N sometimes x", "", ExitUsage}, {"-R some x", "", ExitUsage}, {"-f a,b x", "", ExitUsage},
		{"-i x@", "", ExitData}, {"-t", "To: two words\n\n", ExitData}, {"-bv nobody", "", ExitNoUser},
	} {
		text, _, err := call(t, (*Program).Sendmail, c.in, strings.Fields(c.args)...)
		if Code(err) != c.code || text != "" {
			t.Errorf("sendmail %s: %d, %v", c.args, Code(err), err)
		}
	}
	p := &Program{Base: t.TempDir(), Stdin: strings.NewReader(""), User: "joe"}
	if err := p.Sendmail([]string{"-i", "x@y.z"}); Code(err) != ExitConfig {
		t.Error(err)
	}
	if os.Getuid() != 0 {
		dir := filepath.Join(p.Base, "Submitted")
		if err := os.Mkdir(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if err := p.Sendmail([]string{"-i", "x@y.z"}); Code(err) != ExitPerm {
			t.Error(err)
		}
	}
}

func TestSMTPOnStandardInput(t *testing.T) {
	in := "EHLO here\r\nRCPT TO:<x@y.z>\r\nMAIL FROM:<a@b.c> BODY=8BITMIME\r\nRCPT TO:<>\r\nRCPT TO:<x@y.z>\r\nRCPT TO:<z@y.z>\r\nDATA\r\n" +
		"Subject: s\r\n\r\n..dot\r\n.\r\nNOOP\r\nFOO\r\nVRFY x\r\n" + strings.Repeat("x", 5000) + "\r\nRSET\r\nQUIT\r\n"
	text, out, err := call(t, (*Program).Sendmail, in, "-bs")
	if err != nil || text != "Return-Path: <a@b.c>\nEnvelope-To: x@y.z\nEnvelope-To: z@y.z\nSubject: s\n\n.dot\r\n" {
		t.Errorf("%v\n%q", err, text)
	}
	var codes []string
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\r\n") {
		codes = append(codes, line[:4])
	}
	if got := strings.Join(codes, ""); got != "220 250-250-250-250-250 503 250 501 250 250 354 250 250 500 252 500 250 221 " {
		t.Errorf("%s\n%s", got, out)
	}
	// The input ends within the message: nothing was accepted.
	if text, out, err = call(t, (*Program).Sendmail, "HELO x\nMAIL FROM:<>\nRCPT TO:<x@y.z>\nDATA\nS: a\n\nbody\n", "-bs"); text != "" || err != nil || !strings.Contains(out, "451 ") {
		t.Errorf("%v %q\n%s", err, text, out)
	}
}

func TestMail(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		in   string
		want []string
	}{
		{[]string{"-s", "Hello you", "bob"}, "text\n.\nmore\n", []string{"Return-Path: <joe>\nEnvelope-To: bob\nTo: bob\nSubject: Hello you\n\ntext\n.\nmore\n"}},
		{[]string{"-s", "Grüße", "-c", "c@d.e", "-b", "h@d.e", "-r", "Me <me@b.c>", "-a", "X-A: b", "bob,al@d.e"}, "ü",
			[]string{"Return-Path: <me@b.c>\nEnvelope-To: bob\nEnvelope-To: al@d.e\nEnvelope-To: c@d.e\nEnvelope-To: h@d.e\nTo: bob,al@d.e\nCc: c@d.e\nFrom: Me <me@b.c>\n" +
				"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nX-A: b\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nü"}},
		{[]string{"-E", "bob"}, "", []string{""}},
		{[]string{"-A", file, "bob"}, "see\n", []string{"Content-Type: multipart/mixed; boundary=", "\n\nsee\n\n--=_", "Content-Disposition: attachment; filename=a.txt\n", "Y29udGVudA==\n"}},
		{[]string{"--subject=x", "--", "-b@d.e"}, "", []string{"Envelope-To: -b@d.e\nTo: -b@d.e\nSubject: x\n\n"}},
		{[]string{"--subject", "x", "bob"}, "b", []string{"Return-Path: <joe>\nEnvelope-To: bob\nTo: bob\nSubject: x\n\nb"}},
		{[]string{"-t", "-b", "h@d.e"}, "To: x@y.z\n\nb", []string{"Return-Path: <joe>\nEnvelope-To: h@d.e\nEnvelope-To: x@y.z\nTo: x@y.z\n\nb"}},
		{[]string{"-t"}, "To: x@y.z\n\nb", []string{"Return-Path: <joe>\nEnvelope-To: x@y.z\nTo: x@y.z\n\nb"}},
	} {
		text, _, err := call(t, (*Program).Mail, c.in, c.args...)
		for _, part := range c.want {
			if err != nil || !strings.Contains(text, part) || part == "" && text != "" {
				t.Errorf("mail %v: %v\n%s\nnot\n%s", c.args, err, text, part)
			}
		}
	}
	for _, args := range [][]string{{}, {"-f"}, {"-u", "bob"}, {"-s", "two\nlines", "bob"}, {"-a", "X: a\nBcc: b@c.d", "bob"}, {"-Z", "bob"}, {"bob", "--subject"}} {
		if text, _, err := call(t, (*Program).Mail, "x", args...); Code(err) != ExitUsage || text != "" {
			t.Errorf("mail %q: %v", args, err)
		}
	}
}

// A person ends the text with a dot, and is asked for the subject.
func TestMailAtATerminal(t *testing.T) {
	text, out, err := call(t, func(p *Program, args []string) error {
		p.Terminal = true
		return p.Mail(args)
	}, "My subject\nline\n.\nnot sent", "bob")
	if err != nil || out != "Subject: " || !strings.HasSuffix(text, "Subject: My subject\n\nline\n") {
		t.Errorf("%v %q\n%s", err, out, text)
	}
}

func TestFailedReadSendsNothing(t *testing.T) {
	text, _, err := call(t, func(p *Program, args []string) error {
		p.Stdin = failing{}
		return p.Sendmail(args)
	}, "", "-i", "x@y.z")
	if err == nil || text != "" {
		t.Error(text, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// eventually waits until something holds; the test's own time limit ends it.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 600 {
		if holds() {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s: not within a minute", what)
}

const dovecotPassword = "secret"

// dovecot runs a Dovecot on loopback whose accounts have the password dovecotPassword, and returns its addresses.
func dovecot(t *testing.T) (imap, pop string) {
	t.Helper()
	needPrograms(t, "dovecot", "doveadm", "openssl", "curl")
	dir, err := os.MkdirTemp("", "dc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	mail := filepath.Join(dir, "mail")
	for _, d := range []string{dir, mail} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	run(t, nil, nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
		"-keyout", filepath.Join(dir, "key.pem"), "-out", filepath.Join(dir, "cert.pem"))
	imapPort, popPort := freePort(t), freePort(t)
	conf := write(t, dir, "dovecot.conf", fmt.Sprintf(`protocols = imap pop3
base_dir = %[1]s/run
log_path = %[1]s/log
listen = 127.0.0.1
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
disable_plaintext_auth = no
mail_location = maildir:%[1]s/mail/%%n
first_valid_uid = 1
passdb {
  driver = static
  args = password=%[2]s
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s/mail/%%n allow_all_users=yes
}
service imap-login {
  inet_listener imap {
    port = %[3]s
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = %[4]s
  }
  inet_listener pop3s {
    port = 0
  }
}
namespace inbox {
  inbox = yes
}
`, dir, dovecotPassword, imapPort, popPort))
	daemon(t, "tcp", "127.0.0.1:"+popPort, "dovecot", "-F", "-c", conf)
	t.Cleanup(func() {
		if out, err := exec.Command("doveadm", "-c", conf, "stop").CombinedOutput(); err != nil {
			t.Errorf("doveadm stop: %v\n%s", err, out)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("dovecot: %s", log)
		}
	})
	return "127.0.0.1:" + imapPort, "127.0.0.1:" + popPort
}

// Accounts of a Dovecot are polled over POP3 and IMAP, with STARTTLS: each message comes once, however often
// they are polled, and stays there or not as the record says.
func TestInteropPollDovecot(t *testing.T) {
	imap, pop := dovecot(t)
	accounts := []string{"popleave", "popdelete", "imapleave", "imapdelete"}
	subjects := map[string]string{}
	put := func(round string) {
		for _, name := range accounts {
			subject, text := message("joe@far.test", name+"@far.test")
			subjects[name+round] = subject
			file := write(t, t.TempDir(), "message", strings.ReplaceAll(text, "\n", "\r\n"))
			run(t, nil, nil, "curl", "-sS", "--user", name+":"+dovecotPassword,
				"imap://"+imap+"/INBOX", "-T", file)
		}
	}
	count := func(address, login string) string {
		out := run(t, nil, nil, "curl", "-sS", "--user", login, "imap://"+address+"/", "-X", "STATUS INBOX (MESSAGES)")
		_, n, _ := strings.Cut(strings.TrimSpace(out), "(MESSAGES ")
		return strings.TrimSuffix(n, ")")
	}
	put("1")
	put("2")
	r := start(t)
	r.cli(t, `UPDATEMODULE RPOP {AllowSelfPoll=YES;}`)
	var records strings.Builder
	for _, name := range accounts {
		host, protocol, leave := imap, "IMAP", "NO"
		if strings.HasPrefix(name, "pop") {
			host, protocol = pop, "POP3"
		}
		if strings.HasSuffix(name, "leave") {
			leave = "YES"
		}
		fmt.Fprintf(&records, `%s={protocol=%s;domain=%q;authName=%s;password=%q;TLS=STARTTLS;verify=NO;leave=%s;period=1h;};`,
			name, protocol, host, name, dovecotPassword, leave)
	}
	poll := func(total string) { // a change of the records polls at once
		r.cli(t, `SETACCOUNTRPOPS alice {`+records.String()+`}`)
		var told string
		eventually(t, "all polls have fetched "+total, func() bool {
			told = fmt.Sprint(r.cli(t, "GETACCOUNTINFO alice KEY RPOP").Data)
			if strings.Contains(told, "lastError") {
				t.Fatalf("a poll has failed: %s", told)
			}
			return strings.Count(told, "totalMessages:"+total) == len(accounts)
		})
	}
	poll("2")
	put("3")
	poll("3")
	for key, subject := range subjects {
		if got := r.waitFor(t, "alice", subject); !strings.Contains(got, "Grüße, 你好\n.a line with a dot\n..two\n") {
			t.Errorf("%s is damaged:\n%s", key, got)
		}
	}
	if n := count(r.addr(143), "alice:"+testPassword); n != "12" {
		t.Errorf("alice has %s messages", n)
	}
	for _, name := range accounts {
		want := "0"
		if strings.HasSuffix(name, "leave") {
			want = "3"
		}
		// The last step of a poll is that it removes messages.
		eventually(t, name+" has "+want+" messages", func() bool { return count(imap, name+":"+dovecotPassword) == want })
	}
}

// Mail is relayed to Postfix's smtp-sink, over SMTP and LMTP, and to a second server, and each message
// arrives once.
func TestInteropRelay(t *testing.T) {
	needPrograms(t, "smtp-sink", "curl")
	r := start(t)
	for _, protocol := range []string{"smtp", "lmtp"} {
		dir, err := os.MkdirTemp("", "sink")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		address := "127.0.0.1:" + freePort(t)
		host, options := address, []string{"-u", "nobody", "-d", filepath.Join(dir, "m.%H%M%S.")}
		if protocol == "lmtp" {
			host, options = "lmtp:"+address, append(options, "-L")
		}
		daemon(t, "tcp", address, "smtp-sink", append(options, address, "100")...)
		r.cli(t, fmt.Sprintf(`UPDATEMODULE SMTPSending {SmartHost=%q;}`, host))
		const messages = 50
		for i := range messages {
			if err := r.submit(t, "alice@"+testDomain, fmt.Sprintf("u%d@far.test", i), fmt.Sprintf("%s %d.", protocol, i)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the queue is empty", func() bool {
			d, err := r.QueueInfo(t.Context(), "SMTP", "far.test")
			return err == nil && len(d) == 0
		})
		var all strings.Builder
		files, err := filepath.Glob(filepath.Join(dir, "m.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
		for i := range messages {
			subject := fmt.Sprintf("Subject: %s %d.\n", protocol, i)
			if n := strings.Count(strings.ReplaceAll(all.String(), "\r\n", "\n"), subject); n != 1 {
				t.Errorf("%d times %s", n, subject)
			}
		}
	}

	other := start(t, "CREATEDOMAIN two.test", fmt.Sprintf("CREATEACCOUNT carol@two.test {Password=%q;}", testPassword))
	r.cli(t, fmt.Sprintf(`UPDATEMODULE SMTPSending {SmartHost=%q;}`, other.addr(25)))
	for i := range 20 {
		if err := r.submit(t, "alice@"+testDomain, "carol@two.test", fmt.Sprintf("number %d.", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		// waitFor wants just one message with the subject.
		if got := other.waitFor(t, "carol@two.test", fmt.Sprintf("number %d.", i)); strings.Count(got, "\nReceived: ") != 2 || !strings.Contains(got, "SMTPS id ") {
			t.Errorf("not by TLS and in two steps:\n%s", got)
		}
	}
	if err := r.submit(t, "alice@"+testDomain, "nobody@two.test", "comes back"); err != nil {
		t.Fatal(err)
	}
	if got := r.waitFor(t, "alice", "Undeliver"); !strings.Contains(got, "unknown user account") || !strings.Contains(got, "nobody@two.test") {
		t.Errorf("the report does not say what the other server said:\n%s", got)
	}
}

package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// installPrograms builds gatepost and links its names into a directory. It returns the environment in which
// programs find them and the base directory.
func installPrograms(t *testing.T, r *running) (bin string, env []string) {
	t.Helper()
	bin = t.TempDir()
	run(t, nil, nil, "go", "build", "-o", filepath.Join(bin, "gatepost"), "gatepost/cmd/gatepost")
	for _, name := range []string{"sendmail", "mail", "mailq"} {
		if err := os.Symlink("gatepost", filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin, []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "GATEPOST_BASE=" + r.dir}
}

// Programs that send mail: a shell as cron runs it, mail, PHP, Python.
func TestInteropPrograms(t *testing.T) {
	needPrograms(t, "curl", "php", "/usr/bin/python3", "sh")
	r := start(t)
	bin, env := installPrograms(t, r)
	for name, c := range map[string]struct {
		stdin   string
		command []string
		want    []string // parts of what bob gets
	}{
		"cron": {"", []string{"sh", "-c", `printf 'From: root (Cron Daemon)\nTo: bob\nSubject: %s\nX-Cron-Env: <SHELL=/bin/sh>\n\nout\n.\nput\n' "$SUBJECT" | sendmail -FCronDaemon -i -B8BITMIME -oem bob`},
			[]string{"From: Cron Daemon <root@corp.test>\nTo: bob@corp.test\n", "\n\nout\n.\nput\n", "\nMessage-ID: <pipe-", "\nDate: "}},
		"mail": {"Grüße\n", []string{"sh", "-c", `mail -s "$SUBJECT" bob@corp.test`},
			[]string{"Content-Type: text/plain; charset=utf-8\n", "\n\nGrüße\n", "Received: by corp.test (Gatepost PIPE, from user "}},
		"mail with a file": {"see\n", []string{"sh", "-c", `mail -s "$SUBJECT" -A /etc/hostname bob@corp.test`}, []string{"Content-Disposition: attachment; filename=hostname\n"}},
		"PHP": {"", []string{"php", "-d", "sendmail_path=" + bin + "/sendmail -t -i", "-r",
			`exit(mail("Bob <bob@corp.test>", getenv("SUBJECT"), "first\n.\nlast", "From: shop@corp.test\r\nX-Mailer: PHP\r\nBcc: alice@corp.test", "-fbounces@corp.test") ? 0 : 1);`},
			[]string{"Return-Path: <bounces@corp.test>\n", "From: shop@corp.test\n", "X-Mailer: PHP\n", "\n\nfirst\n.\nlast\n"}},
		"Python subprocess": {"", []string{"/usr/bin/python3", "-c", `
import os, subprocess
from email.message import EmailMessage
m = EmailMessage()
m["To"], m["Subject"], m["From"] = "bob@corp.test", os.environ["SUBJECT"], "Büro <alice@corp.test>"
m.set_content("Grüße\n")
subprocess.run(["sendmail", "-t", "-oi"], input=m.as_bytes(), check=True)`},
			[]string{"From: =?utf-8?q?B=C3=BCro?= <alice@corp.test>\n"}},
		"Python smtplib": {"", []string{"/usr/bin/python3", "-c", `
import os, smtplib
from email.message import EmailMessage
m = EmailMessage()
m["To"], m["Subject"], m["From"] = "bob@corp.test", os.environ["SUBJECT"], "alice@corp.test"
m.set_content("text\n")
with smtplib.SMTP("127.0.0.1", ` + r.port(25) + `) as s:
    s.send_message(m)`},
			[]string{"\n\ntext\n"}},
		"SMTP on standard input": {"", []string{"/usr/bin/python3", "-c", `
import os, subprocess
p = subprocess.run(["sendmail", "-bs"], input=("EHLO me\r\nMAIL FROM:<alice@corp.test>\r\nRCPT TO:<bob@corp.test>\r\nDATA\r\nSubject: %s\r\n\r\n..\r\n.\r\nQUIT\r\n" % os.environ["SUBJECT"]).encode(), stdout=subprocess.PIPE, check=True)
assert b"\r\n250 2.0.0 message accepted" in p.stdout, p.stdout`},
			[]string{"Return-Path: <alice@corp.test>\n", "\n\n.\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			subject, _ := message("", "")
			run(t, strings.NewReader(c.stdin), append(env, "SUBJECT="+subject), c.command[0], c.command[1:]...)
			got := r.waitFor(t, "bob", subject)
			if name == "PHP" {
				r.waitFor(t, "alice", subject) // Bcc
			}
			for _, part := range c.want {
				if !strings.Contains(got, part) {
					t.Errorf("%q is missing in\n%s", part, got)
				}
			}
			if strings.Contains(strings.ToLower(got), "\nbcc:") {
				t.Errorf("Bcc is left in\n%s", got)
			}
		})
	}
}

// readReport is a program that reads reports as list managers do: with Python's email package and a bounce
// detector (flufl.bounce, as Mailman has it).
const readReport = `
import email, email.policy, sys
from flufl.bounce import all_failures
for path in sys.argv[1:]:
    m = email.message_from_bytes(open(path, "rb").read(), policy=email.policy.default)
    for part in m.walk():
        assert not part.defects, (path, part.defects)
    assert m.get_content_type() == "multipart/report", m.get_content_type()
    assert m.get_param("report-type") == "delivery-status"
    parts = list(m.iter_parts())
    assert len(parts) == 3, [p.get_content_type() for p in parts]
    assert parts[0].get_content_type() == "text/plain"
    fields = parts[1].get_payload()
    assert fields[0]["Reporting-MTA"].startswith("dns;"), fields[0].items()
    assert m["Auto-Submitted"].startswith("auto-"), m.items()
    temporary, permanent = all_failures(m)
    for rcpt in fields[1:]:
        if not rcpt.items():
            continue
        addr = str(rcpt["Final-Recipient"]).split(";")[1].strip().lower()
        action, status = rcpt["Action"], rcpt["Status"]
        assert action in ("failed", "delayed", "delivered", "relayed", "expanded"), action
        print(addr, action, status, "permanent" if addr.encode() in permanent else "temporary" if addr.encode() in temporary else "none")
`

// Reports are understood by the programs of others: one of a running server, and those that stand as examples
// in the tests of the queue.
func TestInteropReports(t *testing.T) {
	needPrograms(t, "curl", "/usr/bin/python3")
	r := start(t)
	bin, env := installPrograms(t, r)
	subject, _ := message("", "")
	run(t, strings.NewReader("Subject: "+subject+"\n\ntext\n"), env, filepath.Join(bin, "sendmail"), "-i", "-f", "alice@"+testDomain, "no-such-user@"+testDomain)
	got := r.waitFor(t, "alice", "Undeliverable mail")
	file := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(got, "\n", "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, nil, nil, "/usr/bin/python3", "-c", readReport, file); out != "no-such-user@corp.test failed 5.1.1 permanent\n" {
		t.Errorf("read as %q:\n%s", out, got)
	}
	if !strings.Contains(got, "Subject: "+subject) {
		t.Errorf("the report does not return the message:\n%s", got)
	}
	for name, want := range map[string]string{
		"7bit": "failed", "8bit": "failed", "delay": "delayed", "expired": "failed", "failure": "failed", "success": "relayed",
	} {
		out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", readReport, filepath.Join("..", "queue", "testdata", "dsn-"+name+".txt")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), " "+want+" ") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		t.Log(strconv.Quote(name), string(out))
	}
}

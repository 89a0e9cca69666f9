package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// Programs that keep mailboxes in step, sort and fetch mail.

func mailAbout(subject string) string {
	return fmt.Sprintf("From: <carl@far.test>\r\nTo: <bob@%s>\r\nSubject: %s\r\nMessage-ID: <%s@far.test>\r\n\r\ntext of %s\r\n", testDomain, subject, subject, subject)
}

// subjects lists the messages of a mailbox by subject with their flags, without \Recent.
func (i *imapClient) subjects(box string) string {
	i.t.Helper()
	i.do("EXAMINE " + box)
	var list []string
	answer := i.do("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	for _, m := range regexp.MustCompile(`(?s)FLAGS \(([^)]*)\).*?Subject: (\S+)`).FindAllStringSubmatch(answer, -1) {
		flags := strings.Fields(strings.ReplaceAll(m[1], `\Recent`, ""))
		sort.Strings(flags)
		list = append(list, strings.TrimSpace(m[2]+" "+strings.Join(flags, " ")))
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

// maildir lists the messages of a maildir by subject with their flags.
func maildir(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[cn]*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		subject := regexp.MustCompile(`(?m)^Subject: (\S+)`).FindStringSubmatch(string(text))
		_, flags, _ := strings.Cut(filepath.Base(f), ":2,")
		list = append(list, strings.TrimSpace(subject[1]+" "+flags))
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

// offlineimap brings both sides together, and then changes nothing.
func TestInteropOfflineimap(t *testing.T) {
	needPrograms(t, "offlineimap")
	r := start(t)
	bob := r.imap(t, "bob")
	for _, s := range []string{"a", "b", "c"} {
		bob.append("INBOX", mailAbout(s))
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "rc")
	if err := os.WriteFile(config, fmt.Appendf(nil, `[general]
accounts = a
metadata = %[1]s/meta
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %[1]s/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = %[2]s
remoteuser = bob@%[3]s
remotepass = %[4]s
ssl = no
starttls = no
auth_mechanisms = LOGIN
folderfilter = lambda name: name in ('INBOX', 'Archive')
`, dir, r.port(143), testDomain, testPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	sync := func() {
		t.Helper()
		run(t, nil, []string{"HOME=" + dir}, "offlineimap", "-c", config, "-o", "-u", "basic")
	}
	sync()
	near := filepath.Join(dir, "mail", "INBOX")
	if got := maildir(t, near); got != "a, b, c" {
		t.Fatalf("fetched %q", got)
	}
	// Both sides change: flags on each of a message, one deleted on each side, a flag on what the other has deleted, a new one on each.
	file := func(subject string) string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(near, "[cn]*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), "Subject: "+subject) {
				return f
			}
		}
		t.Fatalf("there is no file of %s", subject)
		return ""
	}
	flag := func(subject, flags string) {
		t.Helper()
		f := file(subject)
		base, _, _ := strings.Cut(filepath.Base(f), ":2,")
		if err := os.Rename(f, filepath.Join(near, "cur", base+":2,"+flags)); err != nil {
			t.Fatal(err)
		}
	}
	flag("a", "S")
	flag("c", "F")
	if err := os.Remove(file("b")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(near, "cur", "1.1.test:2,S"), []byte(strings.ReplaceAll(mailAbout("e"), "\r\n", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	bob.do("SELECT INBOX")
	bob.do(`STORE 1 +FLAGS (\Flagged)`)
	bob.do(`STORE 3 +FLAGS (\Deleted)`)
	bob.do("EXPUNGE")
	bob.append("INBOX", mailAbout("d"))
	sync()
	const want = `a \Flagged \Seen, d, e \Seen`
	if got := bob.subjects("INBOX"); got != want {
		t.Errorf("the server has %s, want %s", got, want)
	}
	if got := maildir(t, near); got != "a FS, d, e S" {
		t.Errorf("the maildir has %s", got)
	}
	status := func() string {
		return regexp.MustCompile(`\* STATUS .*`).FindString(bob.do("STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ)"))
	}
	state := status()
	sync()
	if now := status(); now != state {
		t.Errorf("a second run has changed %s into %s", state, now)
	}
}

// imapfilter moves, flags and copies messages by what is in them.
func TestInteropImapfilter(t *testing.T) {
	needPrograms(t, "imapfilter")
	r := start(t)
	bob := r.imap(t, "bob")
	for _, s := range []string{"report-1", "report-2", "keep", "flag"} {
		bob.append("INBOX", mailAbout(s))
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.lua")
	if err := os.WriteFile(config, fmt.Appendf(nil, `options.timeout = 30
options.create = true
options.subscribe = true
options.starttls = false
a = IMAP { server = '127.0.0.1', port = %s, username = 'bob@%s', password = '%s' }
a.INBOX:contain_subject('report'):move_messages(a['Reports/2026'])
a.INBOX:contain_subject('flag'):mark_flagged()
a.INBOX:contain_body('text of keep'):copy_messages(a['Archive'])
`, r.port(143), testDomain, testPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, []string{"HOME=" + dir}, "imapfilter", "-c", config)
	for box, want := range map[string]string{"INBOX": `flag \Flagged, keep`, "Reports/2026": "report-1, report-2", "Archive": "keep"} {
		if got := bob.subjects(box); got != want {
			t.Errorf("%s has %s, want %s", box, got, want)
		}
	}
}

// getmail takes messages away, each once.
func TestInteropGetmail(t *testing.T) {
	needPrograms(t, "getmail")
	r := start(t)
	bob := r.imap(t, "bob")
	dir := t.TempDir()
	box := filepath.Join(dir, "mail")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := func(name, retriever, more string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, fmt.Appendf(nil, "[retriever]\ntype = %s\nserver = 127.0.0.1\nport = %s\nusername = bob@%s\npassword = %s\n%s\n[destination]\ntype = MDA_external\npath = /bin/sh\narguments = ('-c', 'cat > %s/new/$$')\nallow_root_commands = true\n"+
			"[options]\ndelete = true\ndelivered_to = false\nreceived = false\n", retriever, r.port(map[string]int{"imap": 143, "pop": 110}[name]), testDomain, testPassword, more, box), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := ""
	for _, c := range []struct{ subject, config string }{
		{"one", config("imap", "SimpleIMAPRetriever", `mailboxes = ("INBOX",)`)}, {"two", config("pop", "SimplePOP3Retriever", "")},
	} {
		bob.append("INBOX", mailAbout(c.subject))
		for range 2 {
			run(t, nil, []string{"HOME=" + dir}, "getmail", "--getmaildir", dir, "--rcfile", c.config)
		}
		want = strings.TrimPrefix(want+", "+c.subject, ", ")
		if got := maildir(t, box); got != want {
			t.Errorf("fetched %s, want %s", got, want)
		}
		if got := bob.subjects("INBOX"); got != "" {
			t.Errorf("the server still has %s", got)
		}
	}
}

// imaplibExample is what a script does with Python's own library.
const imaplibExample = `
import imaplib, sys
host, port, user, password = sys.argv[1:]
m = imaplib.IMAP4(host, int(port))
def ok(answer, want=None):
    assert answer[0] == 'OK' and (want is None or answer[1] == want), answer
    return answer[1]
ok(m.login(user, password))
ok(m.create('Scripts')); ok(m.subscribe('Scripts'))
for n in (1, 2, 3):
    ok(m.append('Scripts', r'(\Seen)', None, b'Subject: n%d\r\n\r\nbody %d\r\n' % (n, n)))
ok(m.select('Scripts'), [b'3'])
ok(m.search(None, 'SUBJECT', 'n2'), [b'2'])
ok(m.uid('SEARCH', 'ALL'), [b'1 2 3'])
assert ok(m.fetch('1', '(BODY[TEXT])'))[0][1] == b'body 1\r\n'
ok(m.store('2', '+FLAGS', r'(\Deleted)')); ok(m.expunge(), [b'2'])
ok(m.copy('1', 'Archive')); ok(m.uid('MOVE', '3', 'Archive'))
ok(m.status('Archive', '(MESSAGES)'), [b'"Archive" (MESSAGES 2)'])
ok(m.sort('(REVERSE SUBJECT)', 'UTF-8', 'ALL')); ok(m.thread('REFERENCES', 'UTF-8', 'ALL'))
ok(m.setacl('Scripts', 'alice', 'lr')); assert b'alice' in ok(m.getacl('Scripts'))[0]
ok(m.getquotaroot('INBOX')); ok(m.namespace()); ok(m.noop()); ok(m.close()); ok(m.delete('Scripts'))
assert m.logout()[0] == 'BYE'
`

func TestInteropImaplib(t *testing.T) {
	needPrograms(t, "/usr/bin/python3")
	r := start(t)
	run(t, nil, nil, "/usr/bin/python3", "-c", imaplibExample, "127.0.0.1", r.port(143), "bob@"+testDomain, testPassword)
}

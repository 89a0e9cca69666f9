package server_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatepost/server"
	"gatepost/server/backup"
	"gatepost/server/control"
)

func backupOf(t *testing.T, r *running, dir string) string {
	t.Helper()
	d := r.cli(t, fmt.Sprintf("GATEPOST BACKUP {Directory=%q;}", dir)).Data
	path := regexp.MustCompile(`Path="?([^";]+)`).FindStringSubmatch(fmt.Sprint(d))
	names, err := backup.List(dir)
	if err != nil || len(names) == 0 {
		t.Fatalf("%v: no backup in %s: %v", path, dir, err)
	}
	return filepath.Join(dir, names[len(names)-1])
}

// deliver has a message delivered to alice by SMTP.
func deliver(t *testing.T, r *running, subject string) {
	t.Helper()
	if err := r.submit(t, "joe@far.test", "alice@"+testDomain, subject); err != nil {
		t.Fatal(err)
	}
}

// arrived waits until INBOX has so many messages.
func arrived(i *imapClient, n int) {
	for !strings.Contains(i.do("STATUS INBOX (MESSAGES)"), fmt.Sprintf("MESSAGES %d)", n)) {
		if i.t.Context().Err() != nil {
			i.t.Fatal("the messages have not arrived")
		}
	}
}

var recent = regexp.MustCompile(` ?\\Recent|a OK .*\r\n`)

// contents are all messages of a mailbox: flags, date and text.
func contents(i *imapClient, mailbox string) []string {
	i.do("EXAMINE " + mailbox)
	all := i.do("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")
	parts := regexp.MustCompile(`(?m)^\* \d+ FETCH `).Split(all, -1)[1:]
	for n := range parts {
		parts[n] = strings.Replace(recent.ReplaceAllString(parts[n], ""), "( ", "(", 1)
	}
	return parts
}

// What was accepted before a backup began is in it, while mail comes and goes; restored elsewhere it is the same, and clients are not misled.
func TestBackupUnderLoad(t *testing.T) {
	r := start(t)
	for i := range 50 {
		deliver(t, r, fmt.Sprint("before ", i))
	}
	alice := r.imap(t, "alice")
	arrived(alice, 50)
	alice.do("CREATE Work")
	alice.do("SELECT INBOX")
	alice.do(`UID COPY 1:20 Work`)
	alice.do(`UID STORE 1:10 +FLAGS.SILENT (\Seen $label)`)
	before := contents(alice, "Work")
	status := alice.do("STATUS INBOX (UIDNEXT UIDVALIDITY HIGHESTMODSEQ)")
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				deliver(t, r, fmt.Sprint("during ", i))
			}
		}
	})
	load.Go(func() {
		i := r.imap(t, "alice")
		i.do("SELECT INBOX")
		for n := 20; n < 45; n++ { // messages go while the backup is made
			i.do(fmt.Sprintf(`UID STORE %d +FLAGS.SILENT (\Deleted)`, n))
			i.do("EXPUNGE")
		}
	})
	dir := t.TempDir()
	path := backupOf(t, r, dir)
	close(stop)
	load.Wait()
	if v, err := backup.Verify(t.Context(), path, func(name, text string) { t.Errorf("%s: %s", name, text) }); err != nil || v.Files < 40 {
		t.Fatalf("%+v %v", v, err)
	}

	base, err := os.MkdirTemp("", "gp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	done, err := server.RestoreBase(t.Context(), path, base, func(name, text string) { t.Errorf("%s: %s", name, text) })
	if err != nil || done.Damaged > 0 {
		t.Fatalf("%+v %v", done, err)
	}
	t.Logf("%+v", done)
	copied := &running{dir: base, shift: freeShift(t)}
	copied.launch(t)
	t.Cleanup(func() { copied.halt(t) })
	i := copied.imap(t, "alice")
	if after := contents(i, "Work"); strings.Join(after, "") != strings.Join(before, "") {
		t.Errorf("Work has %d messages, and had %d, or others", len(after), len(before))
	}
	subjects := strings.Join(contents(i, "INBOX"), "")
	for n := range 50 {
		if n >= 19 && n < 44 {
			continue // it may be gone
		}
		if strings.Count(subjects, fmt.Sprintf("Subject: before %d\r\n", n)) != 1 {
			t.Errorf("message %d is not there once", n)
		}
	}
	restored := i.do("STATUS INBOX (UIDNEXT UIDVALIDITY HIGHESTMODSEQ)")
	value := func(text, key string) (n int64) {
		fmt.Sscanf(regexp.MustCompile(key+` (\d+)`).FindString(text), key+" %d", &n)
		return n
	}
	if value(restored, "UIDVALIDITY") != value(status, "UIDVALIDITY") || value(restored, "UIDNEXT") < value(status, "UIDNEXT")+1<<20 || value(restored, "HIGHESTMODSEQ") < value(status, "HIGHESTMODSEQ")+1<<30 {
		t.Errorf("before %s, restored %s", status, restored)
	}
	i.do("EXAMINE INBOX")
	if all := i.do(fmt.Sprintf("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)", value(status, "HIGHESTMODSEQ")+1000)); strings.Count(all, "FETCH (") != len(contents(i, "INBOX")) {
		t.Errorf("not every message counts as changed: %s", all)
	}
}

// An account, or one mailbox of it, is restored beside what is there.
func TestRestoreOne(t *testing.T) {
	r := start(t)
	r.cli(t, `UPDATEACCOUNTSETTINGS alice {RealName="Alice A";}`)
	for i := range 5 {
		deliver(t, r, fmt.Sprint("kept ", i))
	}
	alice := r.imap(t, "alice")
	arrived(alice, 5)
	alice.do("CREATE Work/2026")
	alice.do("SELECT INBOX")
	alice.do("UID COPY 1:3 Work/2026")
	alice.do(`UID STORE 2 +FLAGS (\Flagged mark)`)
	alice.do(`SETACL Work/2026 bob lr`)
	before := contents(alice, "INBOX")
	event := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:one@test\r\nDTSTAMP:20261201T100000Z\r\nDTSTART:20261202T100000Z\r\nSUMMARY:Lunch\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	items := `GATEPOST ITEMS %s {account=%s;kind=calendar;collection=Calendar;%s}`
	r.cli(t, fmt.Sprintf(items, "IMPORT", "alice", "create=YES;texts=(["+base64.StdEncoding.EncodeToString([]byte(event))+"]);"))
	dir := t.TempDir()
	path := backupOf(t, r, dir)
	alice.do("SELECT INBOX")
	alice.do(`UID STORE 1:5 +FLAGS (\Deleted)`)
	alice.do("EXPUNGE")

	r.cli(t, fmt.Sprintf("GATEPOST RESTORE {Path=%q;Account=alice;Mailbox=INBOX;AsMailbox=Found;}", path))
	if after := contents(alice, "Found"); strings.Join(after, "") != strings.Join(before, "") {
		t.Errorf("found %q", after)
	}
	answer := r.cli(t, fmt.Sprintf(`GATEPOST RESTORE {Path=%q;Account="alice@%s";AsAccount="alice2@%[2]s";}`, path, testDomain))
	if got := fmt.Sprint(answer.Data); !strings.Contains(got, "Messages") {
		t.Error(got)
	}
	again := r.imap(t, "alice2") // with the password that alice had
	if after := contents(again, "INBOX"); strings.Join(after, "") != strings.Join(before, "") {
		t.Errorf("INBOX has %q", after)
	}
	if n := len(contents(again, "Work/2026")); n != 3 {
		t.Errorf("Work/2026 has %d messages", n)
	}
	if acl := again.do("GETACL Work/2026"); !strings.Contains(acl, "bob") {
		t.Error(acl)
	}
	if one, other := fmt.Sprint(r.cli(t, fmt.Sprintf(items, "LIST", "alice", "")).Data), fmt.Sprint(r.cli(t, fmt.Sprintf(items, "LIST", "alice2", "")).Data); one != other || len(one) < 5 {
		t.Errorf("the calendar has %s, and had %s", other, one)
	}
	if got := r.cli(t, "GETACCOUNTSETTINGS alice2").Text + fmt.Sprint(r.cli(t, "GETACCOUNTSETTINGS alice2").Data); !strings.Contains(got, "Alice A") {
		t.Error(got)
	}
	c, err := control.Dial(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for command, want := range map[string]string{
		fmt.Sprintf("GATEPOST RESTORE {Path=%q;Account=alice;}", path):                             "already exists",
		fmt.Sprintf("GATEPOST RESTORE {Path=%q;Account=alice;Mailbox=INBOX;}", path):               "mailbox INBOX",
		fmt.Sprintf("GATEPOST RESTORE {Path=%q;Account=alice;Mailbox=Nothing;AsMailbox=x;}", path): "no mailbox",
		fmt.Sprintf("GATEPOST RESTORE {Path=%q;Account=nobody;}", path):                            "no account",
		fmt.Sprintf("GATEPOST RESTORE {Path=%q;Account=alice;}", dir):                              "not a whole backup",
		fmt.Sprintf("GATEPOST BACKUP {Directory=%q;}", filepath.Join(r.dir, "Accounts", "x")):      "in the base directory",
		"GATEPOST BACKUP {Directory=backups;}":                                                     "from the root",
	} {
		if a, err := c.Do(command); err != nil || a.OK() || !strings.Contains(a.Text, want) {
			t.Errorf("%s: %d %s %v", command, a.Code, a.Text, err)
		}
	}
}

// A backup that was cut short is none, and one that is damaged says so; the rest is restored.
func TestDamagedBackup(t *testing.T) {
	r := start(t)
	for i := range 3 {
		deliver(t, r, fmt.Sprint("kept ", i))
	}
	arrived(r.imap(t, "alice"), 3)
	dir := t.TempDir()
	path := backupOf(t, r, dir)
	messages, err := filepath.Glob(filepath.Join(path, "Accounts", "alice.macnt", "Messages", "*", "*"))
	if err != nil || len(messages) != 3 {
		t.Fatal(messages, err)
	}
	// A link to the server's own file: take a copy of it first.
	text, err := os.ReadFile(messages[1])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.Remove(messages[1]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(messages[1], text, 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := 0
	v, err := backup.Verify(t.Context(), path, func(string, string) { wrong++ })
	if err != nil || v.Damaged != 1 || wrong != 1 {
		t.Errorf("%+v %v", v, err)
	}
	base := filepath.Join(t.TempDir(), "base")
	done, err := server.RestoreBase(t.Context(), path, base, func(string, string) {})
	if err != nil || done.Damaged != 1 {
		t.Errorf("%+v %v", done, err)
	}
	if _, err := server.RestoreBase(t.Context(), path, base, nil); err == nil {
		t.Error("restored over what is there")
	}
	if err := os.Remove(filepath.Join(path, backup.Manifest)); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Verify(t.Context(), path, nil); err == nil {
		t.Error("whole without a manifest")
	}
	if _, err := server.RestoreBase(t.Context(), path, base+"2", nil); err == nil {
		t.Error("restored without a manifest")
	}
	// A restore that was cut short is no base directory.
	if err := os.WriteFile(filepath.Join(base, backup.Marker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.New(server.Config{Base: base}); err == nil || !strings.Contains(err.Error(), "not whole") {
		t.Errorf("%v", err)
	}
}

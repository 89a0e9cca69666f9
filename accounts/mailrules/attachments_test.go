package mailrules

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/server/dataformat"
)

// withAttachments makes a message of a text and of parts, each a header and a content.
func withAttachments(subject string, parts ...[2]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: eve@far.net\nTo: ann@corp.com\nSubject: %s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nsee there\n", subject)
	for _, p := range parts {
		fmt.Fprintf(&b, "--b\n%s\n\n%s\n", p[0], p[1])
	}
	b.WriteString("--b--\n")
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

func named(name string) string {
	return "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"" + name + "\""
}

// stored lists the files of a directory of an account, with their contents.
func (o *office) stored(account, dir string) (list []string) {
	o.t.Helper()
	area, err := o.files.Open(o.find(account))
	o.must(err)
	defer area.Close()
	all, err := area.List(dir)
	if err != nil {
		return nil
	}
	for _, i := range all {
		if i.Dir {
			list = append(list, i.Name()+"/")
			continue
		}
		f, _, err := area.OpenFile(i.Path)
		o.must(err)
		text, err := io.ReadAll(f)
		o.must(err)
		f.Close()
		list = append(list, i.Name()+": "+string(text))
	}
	return list
}

func TestAttachmentsBecomeFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		o.account("ann", `((5, files, ((Subject, is, "*")), (("Copy Attachments into", "private/in"), (Discard))))`)
		text := withAttachments("one", [2]string{named("plan.txt"), "the plan"},
			[2]string{"Content-Type: text/csv; name*=UTF-8''%D0%BF%D0%BB%D0%B0%D0%BD.csv\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64", "YTtiCg=="},
			[2]string{"Content-Type: image/png; name=logo.png\nContent-ID: <logo@x>\nContent-Disposition: inline", "picture"},
			[2]string{"Content-Type: message/rfc822\nContent-Disposition: attachment", "Subject: inner\n\nbody"})
		o.must(o.send("eve@far.net", text, "ann@corp.com"))
		want := []string{"attachment 3.eml: Subject: inner\r\n\r\nbody", "plan.txt: the plan", "план.csv: a;b\n"}
		equal(t, "files", o.stored("ann", "private/in"), want...)
		equal(t, "INBOX", o.texts("ann", "INBOX")) // it was discarded

		// The same once more is there already; another content gets a number.
		o.must(o.send("eve@far.net", text, "ann@corp.com"))
		equal(t, "files after the second", o.stored("ann", "private/in"), want...)
		o.must(o.send("eve@far.net", withAttachments("two", [2]string{named("plan.txt"), "another"}, [2]string{named("plan.txt"), "a third"}), "ann@corp.com"))
		equal(t, "files after the third", o.stored("ann", "private/in"), "attachment 3.eml: Subject: inner\r\n\r\nbody", "plan (2).txt: another", "plan (3).txt: a third", "plan.txt: the plan", "план.csv: a;b\n")
		// A message without any is discarded, and makes no directory.
		o.account("ann", `((5, files, ((Subject, is, "*")), (("Copy Attachments into", "private/none"), (Discard))))`)
		o.must(o.send("eve@far.net", mailOf("From: eve@far.net", "Subject: none"), "ann@corp.com"))
		equal(t, "INBOX", o.texts("ann", "INBOX"))
		equal(t, "private", o.stored("ann", "private"), "in/")
	})
}

// What does not fit, or may not be stored, leaves the message in INBOX.
func TestAttachmentsThatAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, t.TempDir())
		defer o.stop()
		ctx := context.Background()
		one := [2]string{named("a.bin"), strings.Repeat("x", 5000)}
		rule := func(dir string) {
			o.account("ann", `((5, files, ((Subject, is, "*")), (("Copy Attachments into", "`+dir+`"), (Discard))))`)
		}
		n := 0
		kept := func(what string, want bool, parts ...[2]string) {
			t.Helper()
			before := len(o.box("ann", "INBOX"))
			n++
			o.must(o.send("eve@far.net", withAttachments(fmt.Sprint(what, n), parts...), "ann@corp.com"))
			if got := len(o.box("ann", "INBOX")) > before; got != want {
				t.Errorf("%s: kept %v", what, got)
			}
		}
		rule("in")
		o.must(o.acc.AccountSettings("corp.com", "ann").Update(ctx, dataformat.Dict{"MaxFileSize": dataformat.String("4K")}))
		kept("a large file", true, one)
		o.must(o.acc.AccountSettings("corp.com", "ann").Update(ctx, dataformat.Dict{"MaxFileSize": dataformat.String("1M"), "MaxWebSize": dataformat.String("6K")}))
		kept("one that fits", false, one)
		kept("one too many bytes", true, [2]string{named("b.bin"), strings.Repeat("y", 5000)})
		o.must(o.acc.AccountSettings("corp.com", "ann").Update(ctx, dataformat.Dict{"MaxWebFiles": dataformat.String("2"), "MaxWebSize": dataformat.String("1M")}))
		kept("one file too many", true, [2]string{named("c.bin"), "z"})
		o.must(o.acc.AccountSettings("corp.com", "ann").Update(ctx, dataformat.Dict{"MaxWebFiles": dataformat.String("1000")}))
		many := make([][2]string, maxAttachments+1)
		for i := range many {
			many[i] = [2]string{named(fmt.Sprint("f", i)), "x"}
		}
		kept("more than are stored", true, many...)
		equal(t, "files", o.stored("ann", ""), "in/")
		if got := o.stored("ann", "in"); len(got) != 1 {
			t.Errorf("%q", got)
		}
		rule("in/a.bin/below")
		kept("a file in the place of a directory", true, one)

		// Another account's.
		area, err := o.files.Open(o.find("archive"))
		o.must(err)
		defer area.Close()
		o.must(area.MakeDir("private", nil))
		rule("~archive/private/in")
		kept("a directory of another account", true, one)
		rule("~nobody/private/in")
		kept("a directory of nobody", true, one)
		rule("~archive/private/in")
		o.must(area.ChangeACL("private", func(acl mailbox.ACL) (mailbox.ACL, error) { return access.Change(acl, "ann", "w") }))
		kept("one where ann may write", false, one)
		if got := o.stored("archive", "private/in"); len(got) != 1 || !strings.HasPrefix(got[0], "a.bin: x") {
			t.Errorf("%.100q", got)
		}
		o.must(o.acc.AccountSettings("corp.com", "archive").Update(ctx, dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("Mail")}}))
		kept("an account without files", true, one)
	})
}

func TestNamesOfAttachments(t *testing.T) {
	for given, want := range map[string]string{
		"plan.pdf": "plan.pdf", "../../etc/passwd": "passwd", `C:\Windows\x.exe`: "x.exe", "..": "attachment 7.txt", "": "attachment 7.txt", ".htaccess": "htaccess",
		"a\x00b\r\n.txt": "ab.txt", "-rf": "rf", "con": "_con", "NUL.txt": "_NUL.txt", "a<b>:c.txt": "a_b__c.txt", "invoice\u202efdp.exe": "invoicefdp.exe",
		strings.Repeat("я", 200) + ".docx": strings.Repeat("я", 72) + ".docx", "x.": "x", " . ": "attachment 7.txt", "a.b.c.": "a.b.c", "план.csv": "план.csv", ".txt": "txt",
	} {
		p := &message.Part{Type: "text", Subtype: "plain", DispositionParams: []message.Param{{Name: "filename", Value: given}}}
		got := fileName(p, 7)
		if strings.HasPrefix(want, "attachment 7") {
			want = strings.TrimSuffix(want, ".txt") + extensionOf(p)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
		if _, err := files.Join([]string{got}); err != nil {
			t.Errorf("%q: %v", got, err)
		}
	}
}

func FuzzNamesOfAttachments(f *testing.F) {
	f.Add("a.txt")
	f.Add("..\\../\u202e")
	f.Add(strings.Repeat("é", 100) + "." + strings.Repeat("x", 300))
	f.Fuzz(func(t *testing.T, name string) {
		p := &message.Part{Type: "application", Subtype: "x", Disposition: "attachment", DispositionParams: []message.Param{{Name: "filename", Value: name}}}
		got := fileName(p, 1)
		if path, err := files.Join([]string{got}); err != nil || slices.Contains([]string{"", ".", ".."}, path) || strings.ContainsAny(got, "/\\\x00") || len(got) > maxFileName {
			t.Errorf("%q becomes %q: %v", name, got, err)
		}
	})
}

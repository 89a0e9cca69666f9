package drop

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/server/fault"
)

var errBusy = fault.New("queue.Begin", fault.Busy, "the queue is full, try again later")

func TestItemsOfAFileAreSent(t *testing.T) {
	b := newBench(t, "")
	b.put("a.xml", `<?xml version="1.0" encoding="UTF-8"?>
<list><item>
  <fld_time>17.10.2011 00:00:11</fld_time> <fld_sender>foo@example.com</fld_sender>
  <fld_address>boo@example.net</fld_address> <fld_topic>Reminder</fld_topic> <fld_content>text
.
last &lt;line&gt;</fld_content>
</item>`+item("foo@example.com", "zoo@example.net", "Zażółć gęślą jaźń "+strings.Repeat("długi ", 30), "Książka")+`</list>`)
	if n := b.sweep(time.Now()); n != (Counts{Sent: 2}) {
		t.Errorf("%+v", n)
	}
	got := b.delivers(2)
	date := time.Date(2011, 10, 17, 0, 0, 11, 0, time.Local).Format(rfc5322)
	for i, parts := range [][]string{
		{"Received: by here.org (Gatepost DROP, from folder Reminders)\r\n\twith DROP id ", "\r\nFrom: foo@example.com\r\nTo: boo@example.net\r\nSubject: Reminder\r\nDate: " + date + "\r\n",
			"\r\nMessage-ID: <drop-", "@here.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\ntext\r\n.\r\nlast <line>\r\n"},
		{"\r\nSubject: =?utf-8?q?Za=C5=BC=C3=B3=C5=82=C4=87_g=C4=99=C5=9Bl=C4=85_ja=C5=BA=C5=84_?=\r\n =?utf-8?q?", "Content-Transfer-Encoding: quoted-printable\r\n\r\nKsi=C4=85=C5=BCka\r\n"},
	} {
		for _, part := range parts {
			if !strings.Contains(got[i].text, part) {
				t.Errorf("%q is missing in\n%s", part, got[i].text)
			}
		}
		if got[i].from != "foo@example.com" {
			t.Errorf("from %s", got[i].from)
		}
	}
	if files := b.files(); files != "sent/a.xml" || b.records() != 0 {
		t.Errorf("%s, %d records", files, b.records())
	}
}

// Each item goes where it belongs: what is wrong with one does not concern the others.
func TestFileIsDivided(t *testing.T) {
	b := newBench(t, "")
	b.put("sent/../a.xml", list(item("foo@example.com", "one@example.net", "1", "x"), item("foo@example.com", "no address", "2", "x"),
		item("who@far.org", "three@example.net", "3", "x"), item("foo@example.com", "four@example.net", "4", "x")))
	if n := b.sweep(time.Now()); n != (Counts{2, 1, 1}) {
		t.Errorf("%+v", n)
	}
	b.delivers(2)
	if files := b.files(); files != "defer/a.xml defer/a.xml.reason drop/a.xml drop/a.xml.reason sent/a.xml" {
		t.Errorf("%s", files)
	}
	for name, want := range map[string]string{"sent/a.xml": "one@ four@", "defer/a.xml": "three@", "drop/a.xml": "no address",
		"defer/a.xml.reason": "tries: 1\nitem 1: who@far.org is neither an account of this server nor a sender of one of its gateways\n",
		"drop/a.xml.reason":  "item 1: fld_address: \"no address\" is not a complete address"} {
		text := b.read(name)
		for _, part := range strings.Fields(want) {
			if !strings.Contains(text, part) {
				t.Errorf("%q is missing in %s:\n%s", part, name, text)
			}
		}
		if strings.Count(text, "<item>") > 2 {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	for _, name := range []string{"sent/a.xml", "defer/a.xml", "drop/a.xml"} {
		if _, err := ParseItems([]byte(b.read(name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeferredItemsAreTriedAgainAndGivenUp(t *testing.T) {
	b := newBench(t, "MaxTries=3;")
	b.put("a.xml", list(item("who@far.org", "a@example.net", "1", "x")))
	now := time.Now()
	for i, c := range []struct {
		after time.Duration
		want  Counts
		files string
	}{
		{0, Counts{Deferred: 1}, "defer/a.xml defer/a.xml.reason"},
		{time.Minute, Counts{}, "defer/a.xml defer/a.xml.reason"},
		{2 * time.Hour, Counts{Deferred: 1}, "defer/a.xml defer/a.xml.reason"},
		{2 * time.Hour, Counts{Refused: 1}, "drop/a.xml drop/a.xml.reason"},
		{3 * time.Hour, Counts{}, "drop/a.xml drop/a.xml.reason"},
		{8 * 24 * time.Hour, Counts{}, ""},
	} {
		if n := b.sweep(now.Add(c.after)); n != c.want || b.files() != c.files {
			t.Errorf("%d: %+v, %s", i, n, b.files())
		}
	}
	b.delivers(0)
	if !strings.Contains(b.log.String(), "given up after 3 tries") {
		t.Errorf("%s", b.log)
	}
}

func TestFilesThatAreNoLists(t *testing.T) {
	b := newBench(t, "MaxFileSize=1000;")
	for name, text := range map[string]string{
		"words.xml": "no xml", "other.xml": "<mails/>", "empty.xml": "<list></list>", "large.xml": list(item("foo@example.com", "a@example.net", "1", strings.Repeat("x", 1000))),
		"more.xml": "<list/><list/>", "entity.xml": `<!DOCTYPE list [<!ENTITY a "b">]><list><item><fld_topic>&a;</fld_topic></item></list>`,
		"writing.xml": "<list><item><fld_time>", "begun.tmp": "x", ".hidden": "x",
	} {
		b.put(name, text)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(b.path, "link.xml")); err != nil {
		t.Fatal(err)
	}
	if n := b.sweep(time.Now()); n.Refused != 7 {
		t.Errorf("%+v\n%s", n, b.log)
	}
	for _, name := range []string{"writing.xml", "begun.tmp", ".hidden"} {
		b.read(name)
	}
	for _, name := range []string{"words", "other", "empty", "large", "more", "entity", "link"} {
		if text := b.read("drop/" + name + ".xml.reason"); !strings.HasPrefix(text, "item 1: ") {
			t.Errorf("%s: %s", name, text)
		}
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(b.path, "writing.xml"), long, long); err != nil {
		t.Fatal(err)
	}
	if n := b.sweep(time.Now()); n.Refused != 1 || !strings.Contains(b.read("drop/writing.xml.reason"), "not whole") {
		t.Errorf("%+v", n)
	}
}

func TestFilesWaitWhileTheQueueIsFull(t *testing.T) {
	b := newBench(t, "")
	b.put("a.xml", list(item("foo@example.com", "a@example.net", "1", "x")))
	b.busy = true
	if _, err := b.folder.sweep(context.Background(), time.Now(), "", false); !fault.Is(err, fault.Busy) {
		t.Errorf("%v", err)
	}
	if b.files() != "a.xml" {
		t.Errorf("%s", b.files())
	}
	b.busy = false
	b.sweep(time.Now())
	b.delivers(1)
}

func TestSendersOfAFolder(t *testing.T) {
	b := newBench(t, "Senders=(library@example.com, example.org);")
	b.put("a.xml", list(item("foo@example.com", "a@example.net", "1", "x"), item("Library@example.com", "b@example.net", "1", "x")))
	if n := b.sweep(time.Now()); n != (Counts{Sent: 1, Deferred: 1}) {
		t.Errorf("%+v\n%s", n, b.log)
	}
	b.delivers(1)
}

// A name that was used before does not replace what is kept under it.
func TestUsedNames(t *testing.T) {
	b := newBench(t, "")
	for range 2 {
		b.put("a.xml", list(item("who@far.org", "a@example.net", "1", "x")))
		b.sweep(time.Now())
	}
	b.put("a.xml", list(item("foo@example.com", "a@example.net", "1", "x")))
	b.sweep(time.Now())
	b.delivers(1)
	if files := b.files(); files != "defer/a-1.xml defer/a-1.xml.reason defer/a.xml defer/a.xml.reason sent/a-2.xml" {
		t.Errorf("%s", files)
	}
}

func TestListAndSendOfASender(t *testing.T) {
	b := newBench(t, "")
	b.put("a.xml", list(item("foo@example.com", "boo@example.net", "1", "x"), item("who@far.org", "boo@example.net", "1", "x")))
	b.put("b.xml", list(item("other@example.com", "boo@example.net", "1", "x")))
	ctx := context.Background()
	b.in.sources["reminders"] = &running{source: b.folder}
	for sender, want := range map[string]int{"": 3, "@": 3, "FOO@example.com": 1, "no@example.com": 0} {
		if lines, err := b.in.List(ctx, "Reminders", sender); err != nil || len(lines) != want {
			t.Errorf("%s: %v, %v", sender, lines, err)
		}
	}
	lines, _ := b.in.List(ctx, "", "foo@example.com")
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "17.10.2011000011_") || !strings.HasSuffix(lines[0], ": (foo@example.com => boo@example.net)") || len(lines[0]) != len("17.10.2011000011_BB1C7C8F5EC83BC7: (foo@example.com => boo@example.net)") {
		t.Errorf("%q", lines)
	}
	if n, err := b.in.Send(ctx, "reminders", "foo@example.com"); err != nil || n != (Counts{Sent: 1, Deferred: 1}) || b.files() != "b.xml defer/a.xml defer/a.xml.reason sent/a.xml" {
		t.Errorf("%+v, %v, %s", n, err, b.files())
	}
	if n, err := b.in.Send(ctx, "reminders", "@"); err != nil || n != (Counts{Sent: 1, Deferred: 1}) || !strings.HasPrefix(b.read("defer/a.xml.reason"), "tries: 2\n") {
		t.Errorf("%+v, %v", n, err)
	}
	b.delivers(2)
	if _, err := b.in.List(ctx, "no", ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// Each item is sent once, whenever a crash comes.
func TestOneMessageForEachItemOverACrash(t *testing.T) {
	two := []string{item("foo@example.com", "a@example.net", "1", "x"), item("foo@example.com", "b@example.net", "1", "x")}
	wrong := item("foo@example.com", "no address", "1", "x")
	// what ends a pass early, and what is left then
	held := func(b *bench) *record {
		rec := b.in.newRecord(b.folder.name)
		items, c, err := b.folder.read(mustOpen(b), "a.xml")
		if err != nil {
			b.t.Fatal(err)
		}
		for i := range items {
			p, r, err := b.in.consider(context.Background(), &items[i], nil)
			if err == nil && r.Reason == "" {
				r, err = b.in.hold(context.Background(), "folder Reminders", p)
			}
			if err != nil {
				b.t.Fatal(err)
			}
			rec.results = append(rec.results, r)
		}
		rec.file, rec.as, rec.inode, rec.sum = "a.xml", "a.xml", c.inode(), c.sum()
		return rec
	}
	written := func(b *bench) *record {
		rec := held(b)
		if err := rec.write(); err != nil {
			b.t.Fatal(err)
		}
		return rec
	}
	crashes := map[string]func(b *bench){
		"held":    func(b *bench) { held(b) },
		"written": func(b *bench) { written(b) },
		"one published": func(b *bench) {
			if err := b.queue.Publish(written(b).results[0].ID); err != nil {
				b.t.Fatal(err)
			}
		},
		"published": func(b *bench) {
			if err := b.in.publish(written(b)); err != nil {
				b.t.Fatal(err)
			}
		},
		"moved": func(b *bench) {
			rec := written(b)
			if err := b.in.publish(rec); err != nil {
				b.t.Fatal(err)
			}
			if err := b.folder.putAway(mustOpen(b), rec); err != nil {
				b.t.Fatal(err)
			}
		},
		"partly divided": func(b *bench) {
			rec := written(b)
			text := b.read("a.xml")
			if err := b.folder.putAway(mustOpen(b), rec); err != nil {
				b.t.Fatal(err)
			}
			b.put("a.xml", text)
		},
		"its folder is away at the start": func(b *bench) {
			written(b)
			if err := os.Rename(b.path, b.path+".away"); err != nil {
				b.t.Fatal(err)
			}
			b.reopen()
			if _, err := b.folder.sweep(context.Background(), time.Now(), "", false); err == nil {
				b.t.Error("no error")
			}
			b.in.giveLeft(b.folder.name, b.folder.left)
			if err := os.Rename(b.path+".away", b.path); err != nil {
				b.t.Fatal(err)
			}
		},
	}
	for name, crash := range crashes {
		for kind, text := range map[string]string{"whole": list(two...), "divided": list(append(two, wrong)...)} {
			t.Run(name+" "+kind, func(t *testing.T) {
				b := newBench(t, "")
				b.put("a.xml", text)
				crash(b)
				b.reopen()
				b.sweep(time.Now())
				b.delivers(2)
				b.reopen()
				b.sweep(time.Now())
				b.delivers(0)
				if files := b.files(); !strings.HasSuffix(files, "sent/a.xml") || strings.HasPrefix(files, "a.xml") || kind == "divided" && name != "partly divided" && files != "drop/a.xml drop/a.xml.reason sent/a.xml" || b.records() > 0 {
					t.Errorf("%s, %d records", files, b.records())
				}
			})
		}
	}
}

// A program may write the next file with the name of the one before while that is being sent, also over a crash.
func TestNextFileHasTheSameName(t *testing.T) {
	first, next := list(item("foo@example.com", "a@example.net", "1", "x")), list(item("foo@example.com", "b@example.net", "1", "y"))
	for name, c := range map[string]struct {
		write func(b *bench)
		more  int
		files string
	}{
		"in its place": {func(b *bench) {
			b.put("a.tmp", next)
			if err := os.Rename(filepath.Join(b.path, "a.tmp"), filepath.Join(b.path, "a.xml")); err != nil {
				t.Fatal(err)
			}
		}, 1, "sent/a.xml"},
		// Nobody can tell what of it is new.
		"into it": {func(b *bench) { b.put("a.xml", list(first[6:len(first)-7], next[6:len(next)-7])) }, 0, "drop/a.xml drop/a.xml.reason"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			b.put("a.xml", first)
			root := mustOpen(b)
			items, read, err := b.folder.read(root, "a.xml")
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := b.in.consider(context.Background(), &items[0], nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err := b.in.hold(context.Background(), "folder Reminders", p)
			if err != nil {
				t.Fatal(err)
			}
			rec := b.in.newRecord(b.folder.name)
			rec.results, rec.file, rec.as, rec.inode, rec.sum = []result{r}, "a.xml", "a.xml", read.inode(), read.sum()
			if err := rec.write(); err != nil {
				t.Fatal(err)
			}
			c.write(b)
			b.reopen()
			b.sweep(time.Now())
			b.delivers(1 + c.more)
			if b.files() != c.files || b.records() > 0 {
				t.Errorf("%s, %d records\n%s", b.files(), b.records(), b.log)
			}
		})
	}
}

// Who owns the directory around a drop folder may put a symbolic link into its place. It does not lead into the base directory.
func TestFolderIsNotLedIntoTheBaseDirectory(t *testing.T) {
	b := newBench(t, "")
	for _, to := range []string{b.base, filepath.Join(b.base, "Accounts", "ann")} {
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(to, "account.settings")
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(b.path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, b.path); err != nil {
			t.Fatal(err)
		}
		if _, err := b.folder.sweep(context.Background(), time.Now(), "", true); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%v", err)
		}
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(to, sent)); err == nil {
			t.Error("a sub-folder was made")
		}
	}
}

func mustOpen(b *bench) *os.Root {
	b.t.Helper()
	root, err := b.folder.open()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { root.Close() })
	return root
}

// Run starts and stops folders as the settings say, and the system tells of new files.
func TestRun(t *testing.T) {
	b := newBench(t, "")
	b.put("a.xml", list(item("foo@example.com", "a@example.net", "1", "x")))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- b.queue.Run(ctx) }()
	go func() { ended <- b.in.Run(ctx) }()
	<-b.mail
	b.put("b.tmp", list(item("foo@example.com", "b@example.net", "1", "x")))
	if err := os.Rename(filepath.Join(b.path, "b.tmp"), filepath.Join(b.path, "b.xml")); err != nil {
		t.Fatal(err)
	}
	<-b.mail
	other := *b.set.Folders["Reminders"]
	other.Path = t.TempDir()
	text := list(item("foo@example.com", "c@example.net", "1", "x"))
	if err := os.WriteFile(filepath.Join(other.Path, "c.xml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b.in.o.Settings.Set(&Settings{SweepPeriod: b.set.SweepPeriod, Folders: Folders{"Reminders": &other}})
	b.in.Woken()
	<-b.mail
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if len(b.in.sources) != 0 {
		t.Error("a source is left")
	}
}

func FuzzParseItems(f *testing.F) {
	f.Add(list(item("foo@example.com", "a@example.net", "1", "x")))
	f.Add("<list><item><fld_time>")
	f.Add(`<?xml version="1.0" encoding="iso-8859-2"?><list><x/><item><fld_topic>` + "\xb1" + `</fld_topic></item></list>`)
	f.Fuzz(func(t *testing.T, text string) {
		items, err := ParseItems([]byte(text))
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := ParseItems(AppendItems(nil, items))
		if err != nil || len(again) != len(items) {
			t.Errorf("%d items became %d: %v", len(items), len(again), err)
		}
		for i := range items {
			_ = items[i].line()
			if p, err := items[i].parse(); err == nil {
				if topic := encodeTopic(p.topic); strings.Contains(strings.ReplaceAll(topic, "\r\n ", ""), "\n") {
					t.Errorf("%q", topic)
				}
			}
		}
	})
}

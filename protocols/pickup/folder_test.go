package pickup

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/settings"
)

func TestSubmittedFileIsDelivered(t *testing.T) {
	b := newBench(t)
	b.put("1.sub", "To: Alice <alice@company.com>\nCc: joe@far.org, alice@company.com\nBcc: bob@company.com,\n bob2@company.com\nSubject: hello\n\n.\nlast line")
	got := b.run(4)
	for i, to := range []string{"alice@company.com", "bob2@company.com", "bob@company.com", "joe@far.org"} {
		if got[i].to != to || got[i].notify != envelope.NotifyDefault {
			t.Errorf("%d: %s with %d, not %s", i, got[i].to, got[i].notify, to)
		}
	}
	text := got[0].text
	for _, part := range []string{"Received: by company.com (Gatepost PIPE, from user ", "\r\n\twith PIPE id ", "\r\nTo: Alice <alice@company.com>\r\n",
		"\r\nDate: ", "\r\nMessage-ID: <pipe-", "@company.com>\r\n", "\r\nFrom: ", "\r\n\r\n.\r\nlast line\r\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	if strings.Contains(text, "bob") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") {
		t.Errorf("Bcc or a bare LF in\n%q", text)
	}
	if names := b.names(); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	if !strings.Contains(b.log.String(), "received") || !strings.Contains(b.log.String(), "file=1.sub") {
		t.Errorf("log:\n%s", b.log)
	}
}

func TestEnvelopeOfASubmittedFile(t *testing.T) {
	for _, c := range []struct{ name, text, from, to string }{
		{"Envelope-To alone counts", "Envelope-To: a@b.c\nTo: x@y.z\nReturn-Path: <r@b.c>\n\n", "r@b.c", "a@b.c"},
		{"Envelope-Ignore", "To: a@b.c, x@y.z\nEnvelope-Ignore: x@y.z\nFrom: Me <me@b.c>\n\n", "me@b.c", "a@b.c"},
		{"Sender before From", "To: a@b.c\nFrom: x@b.c\nSender: s@b.c\n\n", "s@b.c", "a@b.c"},
		{"the null return-path", "Return-Path: <>\nTo: a@b.c\n\n", "", "a@b.c"},
		{"Resent fields", "Resent-To: a@b.c\nTo: x@y.z\nReturn-Path: r@b.c\n\n", "r@b.c", "a@b.c"},
		{"a group", "To: all: a@b.c;, undisclosed-recipients:;\nReturn-Path: r\n\n", "r@company.com", "a@b.c"},
		{"From of a mailbox file", "From me Mon Jan 1 00:00:00 2024\nTo: a@b.c\nReturn-Path: r@b.c\n\n", "r@b.c", "a@b.c"},
		{"no domain", "To: root\nReturn-Path: cron\n\n", "cron@company.com", "root"},
	} {
		b := newBench(t)
		b.put("x.sub", c.text)
		got := b.run(1)[0]
		if got.from != c.from || got.to != c.to {
			t.Errorf("%s: from %q to %q", c.name, got.from, got.to)
		}
		for _, field := range EnvelopeFields {
			if strings.Contains(strings.ToLower(got.text), "\n"+field) {
				t.Errorf("%s: %s is left in\n%s", c.name, field, got.text)
			}
		}
	}
}

func TestReportsThatASubmittedFileAsksFor(t *testing.T) {
	b := newBench(t)
	b.put("x.sub", "Envelope-To: a@b.c\nEnvelope-ID: Q+2B1\nEnvelope-Ret: hdrs\nEnvelope-Notify: success,DELAY\nReturn-Path: <>\n\nGr\xfc\xdfe")
	got := b.run(1)[0]
	if got.notify != envelope.NotifySuccess|envelope.NotifyDelay || got.env.ID != "Q+1" || got.env.Return != envelope.ReturnHeaders || got.env.Body != envelope.Body8BitMIME {
		t.Errorf("%+v", got)
	}
}

func TestBadFilesAreSetAside(t *testing.T) {
	b := newBench(t)
	b.set.MaxMessageSize = 1000
	b.put("none.sub", "Subject: nobody\n\n")
	b.put("wrong.sub", "To: some words\n\n")
	b.put("nul.sub", "To: a@b.c\n\na\x00b")
	b.put("large.sub", "To: a@b.c\n\n"+strings.Repeat("x", 1000))
	b.put("twice.sub", "To: a@b.c\n\n")
	b.put("none.bad", "an older one")
	if err := os.Link(b.folder.path("twice.sub"), b.folder.path("second")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("second", b.folder.path("link.sub")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.folder.path("dir.sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.run(0)
	names := b.names()
	bad := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".sub") {
			t.Errorf("%s is still there", name)
		}
		if strings.HasSuffix(name, ".bad") {
			bad++
		}
	}
	if bad != 8 {
		t.Errorf("there is %v", names)
	}
	if n := strings.Count(b.log.String(), "was set aside"); n != 7 {
		t.Errorf("%d records:\n%s", n, b.log)
	}
}

// A recipient that does not exist is reported to the sender: nobody waits for an answer.
func TestUnknownRecipientIsReported(t *testing.T) {
	b := newBench(t)
	b.put("x.sub", "Envelope-To: nobody@company.com\nReturn-Path: <bill@company.com>\n\n")
	got := b.run(2) // the sender, and postmaster's copy
	if got[0].to != "bill@company.com" || !strings.Contains(got[0].text, "unknown user account") {
		t.Errorf("%+v", got)
	}
}

// Each file is one message, whenever a crash comes.
func TestOneMessageForEachFileOverACrash(t *testing.T) {
	const text = "Envelope-To: a@b.c\nReturn-Path: <>\n\n"
	crashes := map[string]func(b *bench){
		"copied": func(b *bench) {
			if _, err := b.folder.take(context.Background(), "x.sub"); err != nil {
				b.t.Fatal(err)
			}
		},
		"taken": func(b *bench) {
			got, err := b.folder.take(context.Background(), "x.sub")
			if err == nil {
				err = os.Rename(b.folder.path("x.sub"), b.folder.path(got.id.String()+extTaken))
			}
			if err != nil {
				b.t.Fatal(err)
			}
		},
		"published": func(b *bench) {
			got, err := b.folder.take(context.Background(), "x.sub")
			if err == nil {
				err = os.Rename(b.folder.path("x.sub"), b.folder.path(got.id.String()+extTaken))
			}
			if err == nil {
				err = b.queue.Publish(got.id)
			}
			if err != nil {
				b.t.Fatal(err)
			}
		},
	}
	for name, crash := range crashes {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.put("x.sub", text)
			crash(b)
			b.close()
			b.open()
			b.run(1)
			b.close()
			b.open()
			b.run(0)
			if names := b.names(); len(names) > 0 {
				t.Errorf("left: %v", names)
			}
		})
	}
}

func TestFilesWaitWhileTheQueueIsFull(t *testing.T) {
	b := newBench(t)
	b.put("x.sub", "To: a@b.c\n\n")
	full := &fullQueue{b.queue}
	b.folder.queue = full
	b.run(0)
	if names := b.names(); !slices.Equal(names, []string{"x.sub"}) || !strings.Contains(b.log.String(), "submitted files wait") {
		t.Errorf("%v\n%s", names, b.log)
	}
	b.folder.queue = b.queue
	b.run(1)
}

func TestGivenUpFilesAreRemoved(t *testing.T) {
	b := newBench(t)
	b.put("old.tmp", "x")
	b.put("new.tmp", "x")
	long := time.Now().Add(-2 * staleAfter)
	if err := os.Chtimes(b.folder.path("old.tmp"), long, long); err != nil {
		t.Fatal(err)
	}
	b.run(0)
	if names := b.names(); !slices.Equal(names, []string{"new.tmp"}) {
		t.Errorf("%v", names)
	}
}

// Who is not in MaySetSender sends as himself, and a Sender field says so.
func TestSenderOfOtherUsers(t *testing.T) {
	b := newBench(t)
	b.set.MaySetSender = "www-data"
	by := author{uid: 4711, name: "joe", full: "Joe Doe"}
	for _, c := range []struct{ text, from, field string }{
		{"Return-Path: <boss@company.com>\nFrom: boss@company.com\nSender: x@y.z\nTo: a@b.c\n\n", "joe@company.com", "Sender: joe@company.com\r\nFrom: boss@company.com\r\n"},
		{"Return-Path: <joe>\nFrom: Joe <joe@company.com>\nTo: a@b.c\n\n", "joe@company.com", ")\r\n\twith PIPE id 0; "},
		{"Return-Path: <>\nTo: a@b.c\n\n", "", "\r\nFrom: Joe Doe <joe@company.com>\r\n"},
	} {
		h, _, _ := ParseHeader([]byte(c.text))
		env, err := b.folder.envelope(h, by)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b.folder.header(nil, 0, h, by, env))
		if env.ReturnPath.String() != c.from || !strings.Contains(text, c.field) || strings.Contains(text, "x@y.z") {
			t.Errorf("from %s\n%s", env.ReturnPath, text)
		}
		if !strings.HasPrefix(text, "Received: by company.com (Gatepost PIPE, from user joe, uid 4711)\r\n") {
			t.Errorf("trace: %s", text)
		}
	}
	if b.folder.authorOf(4711).trusted || !b.folder.authorOf(0).trusted {
		t.Error("root may set the sender, and others may not")
	}
}

func TestWatchWakes(t *testing.T) {
	b := newBench(t)
	b.set.ScanPeriod = settings.Period(time.Hour)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- b.queue.Run(ctx) }()
	go func() { ended <- b.folder.Run(ctx) }()
	f, err := Create(b.folder.dir)
	if err == nil {
		_, err = f.Write([]byte("To: a@b.c\nReturn-Path: <>\n\n"))
	}
	if err == nil {
		err = f.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := <-b.mail; got.to != "a@b.c" {
		t.Errorf("%+v", got)
	}
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A user who makes up the name of a file that was taken does not publish what the queue holds for others.
func TestMadeUpNamePublishesNothing(t *testing.T) {
	b := newBench(t)
	s, err := b.queue.Begin(context.Background(), &envelope.Envelope{Source: envelope.Source{Tag: "RULE"},
		Recipients: []envelope.Recipient{{Address: address.Address{Local: "a", Domain: "b.c"}}}})
	if err == nil {
		_, err = s.Write([]byte("Subject: x\r\n\r\n"))
	}
	if err == nil {
		err = s.Hold(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	b.put(s.ID().String()+".taken", "")
	b.run(0)
	if held := b.queue.Held(); len(held) != 1 || len(b.names()) != 0 {
		t.Errorf("held: %v, files: %v", held, b.names())
	}
}

// A directory with the name of a file that was taken keeps nothing else from being sent, also at a start.
func TestDirectoryWithTheNameOfATakenFile(t *testing.T) {
	b := newBench(t)
	if err := os.MkdirAll(b.folder.path("123.taken/x"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.close()
	b.open()
	b.put("a.sub", "From: joe\nTo: a@b.c\n\nx\n")
	b.run(1)
	if got := b.names(); len(got) != 1 || got[0] != "123.bad" {
		t.Errorf("%v", got)
	}
}

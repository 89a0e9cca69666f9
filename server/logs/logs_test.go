package logs

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/fault"
)

type lines struct{ bytes.Buffer }

func (l *lines) Line(line []byte, _ bool) { l.Write(line) }

func record(t *testing.T, levels Levels, log func(*slog.Logger)) string {
	t.Helper()
	var out lines
	log(New(&out, func() *Levels { return &levels }))
	s := out.String()
	if s == "" {
		return ""
	}
	_, rest, ok := strings.Cut(s, " ")
	if !ok {
		t.Fatalf("no time in %q", s)
	}
	return rest
}

func TestRecordForm(t *testing.T) {
	all := Levels{Default: 5, Precision: 3}
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"session with queue id": {
			func(l *slog.Logger) {
				Session(l, "SMTPI", 123, "[192.0.2.10]").Log(t.Context(), LevelMajor, "received", AttrQueueID, uint64(100234), AttrSize, 2045)
			},
			"2 SMTPI-000123([192.0.2.10]) [100234] received size=2045\n",
		},
		"component": {
			func(l *slog.Logger) {
				Component(l, "DEQUEUER").Log(t.Context(), LevelProblem, "x", "text", "two words", "empty", "")
			},
			"3 DEQUEUER x text=\"two words\" empty=\"\"\n",
		},
		"error without names of functions": {
			func(l *slog.Logger) {
				l.Log(t.Context(), LevelProblem, "refused", AttrError, fault.Wrap("smtp.Rcpt", fault.NotFound, fault.New("router.Route", fault.NotFound, "unknown")))
			},
			"3 SYSTEM refused error=unknown\n",
		},
		"no tag": {func(l *slog.Logger) { l.Error("down") }, "1 SYSTEM down\n"},
		"client data cannot forge a line": {
			func(l *slog.Logger) {
				Session(l, "SMTPI", 1, "[::1]\r\n9 FAKE").Log(t.Context(), LevelProblem, "cmd: A\nB", "rcpt", "a\r\n00:00:00 1 SYSTEM down")
			},
			"3 SMTPI-000001([::1]\\x0d\\x0a9 FAKE) cmd: A\\x0aB rcpt=\"a\\r\\n00:00:00 1 SYSTEM down\"\n",
		},
	} {
		if got := record(t, all, c.log); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// TestTextThatReadsOtherwise: "\u202e" and its like make a terminal show an address backwards.
func TestTextThatReadsOtherwise(t *testing.T) {
	for _, r := range "\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\U000e0041" {
		got := record(t, Levels{Default: 5}, func(l *slog.Logger) {
			Session(l, "SMTPI", 1, "[x]"+string(r)).Log(t.Context(), LevelProblem, "cmd: a"+string(r)+"b", "rcpt", "a"+string(r)+"b@c", "text", slog.StringValue(string(r)+" x"))
		})
		if strings.ContainsRune(got, r) || strings.Count(got, "\\") != 4 {
			t.Errorf("%U: %q", r, got)
		}
	}
	if got := record(t, Levels{Default: 5}, func(l *slog.Logger) { l.Error("грüße 語", "rcpt", "jürgen@пример") }); got != "1 SYSTEM грüße 語 rcpt=jürgen@пример\n" {
		t.Errorf("%q", got)
	}
}

func TestDateAndZone(t *testing.T) {
	var out lines
	at := time.Date(2026, 11, 22, 10, 42, 11, 84_500_000, time.FixedZone("", 3600))
	r := slog.NewRecord(at, LevelMajor, "ready", 0)
	for _, levels := range []Levels{{Default: 5, Precision: 3, Dated: true}, {Default: 5, Dated: true}, {Default: 5, Precision: 1}} {
		if err := New(&out, func() *Levels { return &levels }).Handler().Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	want := "2026-11-22T10:42:11.084+01:00 2 SYSTEM ready\n2026-11-22T10:42:11+01:00 2 SYSTEM ready\n10:42:11.0 2 SYSTEM ready\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestLevelOfComponent(t *testing.T) {
	levels := Levels{Default: 2, ByTag: map[string]int{"IMAP": 4}}
	write := func(l *slog.Logger) {
		Component(l, "IMAP").Log(t.Context(), LevelLowLevel, "imap")
		Component(l, "POP").Log(t.Context(), LevelLowLevel, "pop")
		l.Log(t.Context(), LevelLowLevel, "late tag", AttrTag, "IMAP")
	}
	if got, want := record(t, levels, write), "4 IMAP imap\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for n := range 6 {
		if Number(Level(n)) != n {
			t.Errorf("level %d does not come back", n)
		}
	}
}

func TestFilesByDay(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var stderr bytes.Buffer
		files, err := OpenFiles(dir, func() *FileOptions { return &FileOptions{Keep: 48 * time.Hour} }, &stderr)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			files.Line([]byte("a line\n"), false)
			time.Sleep(24 * time.Hour)
			synctest.Wait()
		}
		files.Line([]byte("urgent\n"), true)
		if err := files.Close(); err != nil {
			t.Fatal(err)
		}
		if stderr.String() != "urgent\n" {
			t.Errorf("standard error got %q", stderr.String())
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if want := "2000-01-04.log 2000-01-05.log 2000-01-06.log"; strings.Join(names, " ") != want {
			t.Errorf("files %v, want %s", names, want)
		}
	})
	text, err := os.ReadFile(filepath.Join(dir, "2000-01-06.log"))
	if err != nil || string(text) != "urgent\n" {
		t.Errorf("last file: %q, %v", text, err)
	}
}

func TestFileGrownTooLargeIsFollowedByAnother(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	files, err := OpenFiles(dir, func() *FileOptions { return &FileOptions{MaxSize: 10} }, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		files.Line([]byte("more than ten bytes\n"), false)
		files.Flush()
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(found) != 2 {
		t.Errorf("files %v, %v", found, err)
	}
}

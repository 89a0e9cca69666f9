package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// stopped makes a base directory with accounts, messages and a queue, that no server runs on.
func stopped(t *testing.T) (base string) {
	t.Helper()
	base = filepath.Join(t.TempDir(), "base")
	s, err := New(Config{Base: base, MainDomain: "corp.test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob"} {
		err := s.accounts.CreateAccount(t.Context(), "", name, dataformat.Dict{"Password": dataformat.String("secret-" + name)})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.accounts.Account(t.Context(), "", name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Mail().Append(t.Context(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader("Subject: x\r\n\r\nx\r\n")}); err != nil {
			t.Fatal(err)
		}
	}
	sub, err := s.queue.Begin(t.Context(), &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Trusted: true},
		Recipients: []envelope.Recipient{{Address: address.Address{Local: "joe", Domain: "far.test"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(sub, "Subject: x\r\n\r\nx\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sub.Commit(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	return base
}

// tree lists all files below a directory with what is in them.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprint(&list, strings.TrimPrefix(path, dir), " ", info.Mode(), " ", info.ModTime())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&list, " %x", sha256.Sum256(text))
		}
		list.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// A snapshot is mounted read-only, as a rule.
func TestCheckOfAStoppedServerWritesNothing(t *testing.T) {
	base := stopped(t)
	for _, sub := range []string{"Pending", "ProcessID"} { // a snapshot may lack what was never written
		if err := os.RemoveAll(filepath.Join(base, sub)); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, base)
	lines, err := Check(t.Context(), base, false)
	if err != nil || len(lines) > 0 {
		t.Errorf("found %q, %v", lines, err)
	}
	if after := tree(t, base); after != before {
		t.Errorf("the base directory was\n%s\nand is\n%s", before, after)
	}
}

func TestCheckTellsWhatABaseDirectoryHasLost(t *testing.T) {
	shard := func(change func(path string) error) func(base string) error {
		return func(base string) error { return change(filepath.Join(base, "Index", "00.db")) }
	}
	queued := func(base string) string {
		files, _ := filepath.Glob(filepath.Join(base, "Queue", "*.msg"))
		return files[0]
	}
	ofAnn := "Accounts/ann.macnt: the index file "
	for name, c := range map[string]struct {
		damage  func(base string) error
		want    string
		refused bool // a start is, in these words
	}{
		"account.settings": {func(base string) error { return os.Remove(filepath.Join(base, "Accounts/ann.macnt/account.settings")) },
			"Accounts/ann.macnt: account.settings is missing", false},
		"a queue file":         {func(base string) error { return os.Truncate(queued(base), 40) }, ".msg: ", false},
		"no queue file":        {func(base string) error { return os.Mkdir(filepath.Join(base, "Queue/70000.msg"), 0o700) }, "Queue/70000.msg: ", false},
		"a shard":              {shard(os.Remove), ofAnn, true},
		"all of a shard":       {shard(func(path string) error { return os.Truncate(path, 0) }), ofAnn, true},
		"a part of a shard":    {shard(func(path string) error { return os.Truncate(path, 3*4096) }), ofAnn, true},
		"the index":            {func(base string) error { return os.RemoveAll(filepath.Join(base, "Index")) }, "Index/format is missing", true},
		"the index and rights": {func(base string) error { return loseIndexAndRights(base) }, "Index/format is missing", true},
	} {
		t.Run(name, func(t *testing.T) {
			base := stopped(t)
			if err := c.damage(base); err != nil {
				t.Fatal(err)
			}
			lines, err := Check(t.Context(), base, false)
			if err != nil || !strings.Contains(strings.Join(lines, "\n"), c.want) || IsNote(lines[0]) {
				t.Errorf("found %q, %v, want %q", lines, err, c.want)
			}
			s, err := New(Config{Base: base})
			if (err != nil) != c.refused {
				t.Fatalf("the start ends with %v", err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), filepath.Join(base, "Index")) || !strings.Contains(err.Error(), "restore") {
					t.Errorf("%v names neither file nor remedy", err)
				}
				return
			}
			defer s.Close()
			// A running server finds the same.
			lines, err = s.Check(t.Context(), false)
			if err != nil || !strings.Contains(strings.Join(lines, "\n"), c.want) {
				t.Errorf("the server found %q, %v", lines, err)
			}
		})
	}
}

func loseIndexAndRights(base string) error {
	return errors.Join(os.RemoveAll(filepath.Join(base, "Index")), os.Remove(filepath.Join(base, "Accounts/Settings/access.settings")))
}

func TestTidyingRemovesWhatCrashesHaveLeft(t *testing.T) {
	base := stopped(t)
	leftovers := filepath.Join(base, "Accounts/ann.macnt/Leftovers")
	leave := func() {
		dir := filepath.Join(leftovers, "2024-05-06_07-08-09")
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "0-77"), []byte("text"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(tidy bool, want string, check func(tidy bool) ([]string, error)) {
		t.Helper()
		lines, err := check(tidy)
		if err != nil || len(lines) != 1 || lines[0] != want || !IsNote(want) {
			t.Errorf("tidy %v: %q, %v, want %q", tidy, lines, err, want)
		}
		if _, err := os.Stat(leftovers); errors.Is(err, fs.ErrNotExist) != tidy {
			t.Errorf("tidy %v: %v", tidy, err)
		}
	}
	const there = "note: Accounts/ann.macnt: 1 files without a record (4 bytes, the oldest of 2024-05-06) are in its directory Leftovers"
	const gone = "note: removed 1 files (4 bytes) that crashes have left"
	leave()
	stoppedCheck := func(tidy bool) ([]string, error) { return Check(t.Context(), base, tidy) }
	check(false, there, stoppedCheck)
	check(true, gone, stoppedCheck)
	leave()
	s, err := New(Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	running := func(tidy bool) ([]string, error) { return s.Check(t.Context(), tidy) }
	check(false, there, running)
	check(true, gone, running)
}

func TestCheckRefusesABaseDirectoryThatIsInUse(t *testing.T) {
	s := open(t) // without a control socket
	if _, err := Check(t.Context(), s.base.dir, false); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("got %v", err)
	}
	if _, err := Check(t.Context(), t.TempDir(), false); err == nil || !strings.Contains(err.Error(), "is not a base directory") {
		t.Errorf("got %v", err)
	}
}

package imap

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

// damage does something to the file of a message in INBOX, whose names are in the
// order of their messages, and undoes it before the test's check of the store.
func (f *fixture) damage(t *testing.T, number int, change func(path string) error) (path string) {
	t.Helper()
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(filepath.Join(acc.Dir(), "Messages"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	path = files[number-1]
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, text, 0o600)); err != nil {
			t.Error(err)
		}
	})
	if err := change(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantLogged looks for a failure in the log that names a text.
func (f *fixture) wantLogged(t *testing.T, message, text string) {
	t.Helper()
	for l := range strings.Lines(f.log.String()) {
		if strings.Contains(l, message) && strings.Contains(l, text) && strings.Contains(l, "level=ERROR") {
			return
		}
	}
	t.Errorf("%q with %s is not in the log", message, text)
}

func TestADamagedMessageDoesNotHideTheOthers(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"short":   func(path string) error { return os.Truncate(path, 10) },
		"long":    func(path string) error { return os.Truncate(path, 10000) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"missing": os.Remove,
		"no file": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			transcript.Bubble(t, func(t *testing.T) {
				f := newFixture(t)
				f.pipes(t, settings.TLSStart)
				f.fill(t, 3, 1000)
				path := f.damage(t, 2, change)
				transcript.Play(t, f.pipe.From("127.0.0.1"), "testdata/damage/messages.txtar")
				f.wantLogged(t, "cannot read a message", path)
			})
		})
	}
}

// The announced octets cannot be sent any more, and others must not stand for them: the
// client would keep them.
func TestAMessageThatIsCutWithinALiteralEndsTheConnection(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		f.fill(t, 1, 1<<20)
		c := f.far(t)
		f.logIn(c)
		c.send("b SELECT INBOX\r\n")
		c.until("b OK")
		c.send("c FETCH 1 BODY.PEEK[]\r\n")
		c.until("* 1 FETCH") // the rest waits for the client
		path := f.damage(t, 1, func(path string) error { return os.Truncate(path, 1<<18) })
		text, err := io.ReadAll(c.in)
		if err != nil || len(text) >= 1<<19 || strings.Contains(string(text), "BYE") {
			t.Errorf("%d bytes were sent: %v", len(text), err)
		}
		f.wantLogged(t, "cannot read a message to its end", path)
	})
}

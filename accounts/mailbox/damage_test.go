package mailbox

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// damages are what can become of a message file.
var damages = map[string]func(path string) error{
	"short":     func(path string) error { return os.Truncate(path, 10) },
	"long":      func(path string) error { return os.Truncate(path, 10000) },
	"empty":     func(path string) error { return os.Truncate(path, 0) },
	"missing":   os.Remove,
	"no file":   func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	"of itself": func(path string) error { return errors.Join(os.Remove(path), os.Symlink(path, path)) },
}

// file returns the path of the file of a message.
func (m *Mailbox) file(uid imap.UID) string {
	s, err := m.summary(bg, uid)
	if err != nil {
		return err.Error()
	}
	return m.box.account.path(s.file())
}

func TestADamagedMessageIsNamedAndNotSpread(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.account(1)
			w.append(a, "INBOX", 1)
			d := w.queued(2)
			d.Summary = nil // it is made from the file
			w.deliver(a, d)
			m := w.view(a, "INBOX")
			for _, uid := range m.UIDs() {
				path := m.file(uid)
				if err := damage(path); err != nil {
					t.Fatal(err)
				}
				_, err := m.OpenBody(uid)
				wantDamage(t, err, path)
				r := m.Reader()
				_, err = r.Open(bg, uid)
				wantDamage(t, err, path)
				if uid == 2 {
					_, err = r.Content(bg, uid)
					wantDamage(t, err, path)
				}
				r.Close()
				// A copy in the account has the file of the original; one in another account gets its own.
				_, err = m.CopyTo(bg, []imap.UID{uid}, w.account(2), "Trash")
				wantDamage(t, err, path)
			}
			if i, err := w.account(2).Status(bg, "Trash"); err != nil || i.Messages != 0 {
				t.Errorf("%d damaged messages were copied: %v", i.Messages, err)
			}
			m.Close()
			w.close()
		})
	}
}

func wantDamage(t *testing.T, err error, path string) {
	t.Helper()
	wantKind(t, err, fault.Corrupt)
	if err != nil && !strings.Contains(err.Error(), path) {
		t.Errorf("%v does not name %s", err, path)
	}
}

func TestAMessageThatIsCutWhileItIsReadIsDamaged(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	m := w.view(a, "INBOX")
	b, err := m.OpenBody(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := os.Truncate(m.file(1), 10); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	wantDamage(t, err, m.file(1))
	m.Close()
	w.close()
}

func TestMessagesOfADeletedMailboxAreNotCalledDamaged(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "Trash", 1)
	m := w.view(a, "Trash")
	if err := a.DeleteMailbox(bg, "Trash"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(m.file(1))); err != nil {
		t.Fatal(err)
	}
	_, err := m.OpenBody(1)
	wantKind(t, err, fault.NoMessage)
}

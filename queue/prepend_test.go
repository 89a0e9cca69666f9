package queue

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// Header fields are put before a message when all of it is there, whatever its size.
func TestFieldsArePutBeforeAMessage(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "just what is moved at a time": moved - 20, "large": 3*moved + 17} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.run()
				defer b.halt()
				body := strings.Repeat("0123456789abcde\r\n", size/17+1)[:size]
				text := "Subject: test\r\n\r\n" + body
				s, err := b.q.Begin(t.Context(), b.env("ann@company.com", "bob@company.com"))
				must(t, err)
				_, err = io.WriteString(s, text)
				must(t, err)
				m, err := s.Message()
				must(t, err)
				if got, err := io.ReadAll(m); err != nil || string(got) != text {
					t.Errorf("the message reads back as %d bytes, %v", len(got), err)
				}
				const first, second = "X-First: 1\r\n", "X-Second: a\r\n folded\r\n"
				must(t, s.Prepend([]byte(first)))
				must(t, s.Prepend(nil))
				must(t, s.Prepend([]byte(second)))
				if _, err := s.Write([]byte("more")); err == nil {
					t.Error("text is written behind a message that is whole")
				}
				must(t, s.Commit(t.Context()))
				synctest.Wait()
				got := b.local.messages("bob@company.com")
				if want := second + first + text; len(got) != 1 || got[0] != want {
					t.Errorf("%d messages, the first of %d bytes, want one of %d", len(got), len(strings.Join(got, "")), len(want))
				}
			})
		})
	}
}

// A header is replaced by a longer or a shorter one, whatever the size of the message.
func TestHeaderIsReplaced(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "just what is moved at a time": moved - 20, "large": 3*moved + 17} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.run()
				defer b.halt()
				rest := "\r\n" + strings.Repeat("0123456789abcde\r\n", size/17+1)[:size]
				s, err := b.q.Begin(t.Context(), b.env("ann@company.com", "bob@company.com"))
				must(t, err)
				const first, second, third = "Subject: test\r\n", "Subject: test\r\nX-Longer: a\r\n folded\r\n", "X: y\r\n"
				_, err = io.WriteString(s, first+rest)
				must(t, err)
				must(t, s.ReplaceHeader(int64(len(first)), []byte(second)))
				must(t, s.ReplaceHeader(int64(len(second)), []byte(third)))
				if err := s.ReplaceHeader(1<<40, []byte(third)); err == nil {
					t.Error("more than the message is replaced")
				}
				if err := s.ReplaceHeader(6, []byte("no field\r\n")); err == nil {
					t.Error("a header gets what is no field")
				}
				must(t, s.Commit(t.Context()))
				synctest.Wait()
				got := b.local.messages("bob@company.com")
				if want := third + rest; len(got) != 1 || got[0] != want {
					t.Errorf("%d messages, the first of %d bytes, want one of %d", len(got), len(strings.Join(got, "")), len(want))
				}
			})
		})
	}
}

// The body and the envelope are changed by longer and shorter ones, and the message is what it should be in the file.
func TestBodyAndEnvelopeAreChanged(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 3*moved + 17} {
		for _, body := range []string{"", "other\r\n", strings.Repeat("much longer\r\n", moved/5)} {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.run()
				defer b.halt()
				const header = "Subject: test\r\n\r\n"
				s, err := b.q.Begin(t.Context(), b.env("ann@company.com", "bob@company.com", "carol@company.com"))
				must(t, err)
				_, err = io.WriteString(s, header+strings.Repeat("0123456789abcde\r\n", size/17+1))
				must(t, err)
				must(t, s.MarkJunk())
				if left, err := s.Readdress(nil, nil, []address.Address{rcptAddr("bob@company.com"), rcptAddr("carol@company.com")}); left || err != nil {
					t.Error("nobody is left:", left, err)
				}
				from := rcptAddr("somebody.with.a.long.name@company.com")
				add := []envelope.Recipient{{Address: rcptAddr("dave@company.com"), Notify: envelope.NotifyNever}, {Address: rcptAddr("bob@company.com")}}
				if left, err := s.Readdress(&from, add, []address.Address{rcptAddr("carol@company.com")}); !left || err != nil {
					t.Error(left, err)
				}
				must(t, s.ReplaceBody(int64(len(header)), []byte(body)))
				if err := s.ReplaceBody(1<<40, nil); err == nil {
					t.Error("a body begins behind the message")
				}
				must(t, s.Prepend([]byte("X: y\r\n")))
				if env := s.Envelope(); env.ReturnPath != from || !env.Junk || len(env.Recipients) != 2 {
					t.Errorf("%+v", env)
				}
				must(t, s.Commit(t.Context()))
				synctest.Wait()
				for _, to := range []string{"bob@company.com", "dave@company.com"} {
					if got := b.local.messages(to); len(got) != 1 || got[0] != "X: y\r\n"+header+body {
						t.Errorf("%s: %s: %d messages", name, to, len(got))
					}
				}
				if got := b.local.messages("carol@company.com"); len(got) > 0 {
					t.Error("a recipient who was removed has the message")
				}
			})
		}
	}
}

func TestFieldsAreRefusedAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir())
		s, err := b.q.Begin(t.Context(), b.env("ann@company.com", "bob@company.com"))
		must(t, err)
		s.Abort()
		if _, err := s.Message(); err == nil {
			t.Error("an aborted message is read")
		}
		if err := s.Prepend([]byte("X: y\r\n")); err == nil {
			t.Error("an aborted message gets fields")
		}
	})
}

func TestOnlyFieldsAreFields(t *testing.T) {
	for text, want := range map[string]bool{
		"X: y\r\n": true, "X:y\r\n\tz\r\nA-B: \r\n": true, "": true,
		"X: y": false, "X: y\n": false, "X: y\r\n\r\n": false, "\r\n": false, " X: y\r\n": false, "no field\r\n": false,
		"X: y\r\nbody\r\n": false, "X: a\rb\r\n": false, "X: \x00\r\n": false, ": y\r\n": false, "X Y: z\r\n": false,
	} {
		if got := areFields([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Edits at several places change the message, whatever its size, and those that overlap or lie outside change nothing.
func TestMessageIsEdited(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 3*moved + 17} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, t.TempDir())
				b.run()
				defer b.halt()
				body := strings.Repeat("0123456789abcde\r\n", size/17+1)
				text := "Subject: test\r\n\r\n" + body
				s, err := b.q.Begin(t.Context(), b.env("ann@company.com", "bob@company.com"))
				must(t, err)
				_, err = io.WriteString(s, text)
				must(t, err)
				end := int64(len(text))
				for _, bad := range [][]Edit{{{At: end + 1}}, {{At: end, Remove: 1}}, {{At: 5, Remove: 5}, {At: 9}}, {{At: -1}}} {
					if err := s.Edit(bad); err == nil {
						t.Errorf("%+v is done", bad)
					}
				}
				must(t, s.Edit([]Edit{{9, 4, []byte("longer text")}, {17, 10, nil}, {end, 0, []byte("below\r\n")}}))
				must(t, s.Commit(t.Context()))
				synctest.Wait()
				got := b.local.messages("bob@company.com")
				if want := "Subject: longer text\r\n\r\n" + body[10:] + "below\r\n"; len(got) != 1 || got[0] != want {
					t.Errorf("%d messages, the first of %d bytes, want one of %d", len(got), len(strings.Join(got, "")), len(want))
				}
			})
		})
	}
}

package smtp

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"gatepost/server/fault"
)

// checkFunc is a Check.
type checkFunc func(ctx context.Context, m *Message) (Verdict, error)

func (f checkFunc) Check(ctx context.Context, m *Message) (Verdict, error) { return f(ctx, m) }

// adds is a Check that puts a field before the message.
func adds(field string) Check {
	return checkFunc(func(context.Context, *Message) (Verdict, error) { return Verdict{Fields: []byte(field + "\r\n")}, nil })
}

func TestCheckSeesTheMessageAndAddsFields(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		var seen Message
		var text string
		s.server.checks = []Check{adds("X-First: 1"), checkFunc(func(_ context.Context, m *Message) (Verdict, error) {
			b, err := io.ReadAll(io.NewSectionReader(m.Text, 0, m.Size))
			seen, text = *m, string(b)
			return Verdict{Fields: []byte("X-Second: a\r\n\tb\r\n")}, err
		})}
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO client.example", "250-")
		for _, body := range []string{"short", strings.Repeat("a line of a longer message\r\n", 50_000)} {
			if got := c.mail("<a@example.net>", "Subject: x\r\n\r\n"+body, "<larry@company.com>", "<moe@company.com>"); !strings.HasPrefix(got, "250 ") {
				t.Fatal(got)
			}
			if seen.HELO != "client.example" || seen.Client.String() != "127.0.0.1" || !seen.Trusted || seen.Account != nil || seen.Name != "company.com" ||
				seen.Envelope.ReturnPath.String() != "a@example.net" || len(seen.Envelope.Recipients) != 2 {
				t.Errorf("seen: %+v", seen)
			}
			all := s.received()
			got := all[len(all)-1]
			if !strings.HasPrefix(text, "X-First: 1\r\nReceived: from ") {
				t.Errorf("the second check sees %.100q", text)
			}
			stored := strings.ReplaceAll(got.text, "\n", "\r\n")
			if stored != "X-Second: a\r\n\tb\r\n"+text || got.id != seen.ID.String()+".msg" {
				t.Errorf("%s is stored with %.200q", got.id, got.text)
			}
			if !strings.HasSuffix(stored, "\r\n\r\n"+body+"\r\n") {
				t.Errorf("the body ends with %.100q", stored[len(stored)-100:])
			}
		}
	})
}

func TestVerdictsOfChecks(t *testing.T) {
	none := func(context.Context, *Message) (Verdict, error) { return Verdict{}, nil }
	for name, c := range map[string]struct {
		check    checkFunc
		reply    string
		accepted int
		log      string
	}{
		"accepted": {none, "250 ", 1, ""},
		"refused for good": {func(context.Context, *Message) (Verdict, error) {
			return Verdict{Refuse: fault.New("test", fault.Rejected, "the sender's policy forbids this message")}, nil
		}, "550 5.7.1 the sender's policy forbids this message", 0, "message refused"},
		"refused for now": {func(context.Context, *Message) (Verdict, error) {
			return Verdict{Refuse: fault.New("test", fault.Unavailable, "greylisted")}, nil
		}, "451 4.3.2 greylisted", 0, "message refused"},
		"dropped": {func(context.Context, *Message) (Verdict, error) { return Verdict{Drop: true}, nil }, "250 ", 0, "message dropped by a check"},
		"failed": {func(context.Context, *Message) (Verdict, error) {
			return Verdict{}, fault.New("test", fault.Internal, "no resolver")
		}, "451 4.3.2 the message could not be checked", 0, "check failed"},
		"crashed": {func(context.Context, *Message) (Verdict, error) { panic("a bug") }, "451 4.3.2 the message could not be checked", 0, "check crashed"},
		"without an end": {func(ctx context.Context, _ *Message) (Verdict, error) {
			<-ctx.Done()
			return Verdict{}, ctx.Err()
		}, "451 4.3.2 the message could not be checked", 0, "check failed"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *site) {
				behind := 0
				s.server.checks = []Check{c.check, checkFunc(func(context.Context, *Message) (Verdict, error) {
					behind++
					return Verdict{}, nil
				})}
				k := s.connect(25, "127.0.0.1")
				k.say("EHLO client.example", "250-")
				began := time.Now()
				if got := k.mail("<a@example.net>", "x", "<larry@company.com>"); !strings.HasPrefix(got, c.reply) {
					t.Errorf("%s, want %s", got, c.reply)
				}
				if took := time.Since(began); took > checkTimeout+time.Second {
					t.Errorf("the reply took %v", took)
				}
				if n := len(s.received()); n != c.accepted || behind != c.accepted || len(s.leftovers()) > 0 {
					t.Errorf("%d messages accepted, %d seen by the check behind, left: %v", n, behind, s.leftovers())
				}
				if !strings.Contains(s.log.String(), c.log) {
					t.Errorf("log: %s", s.log)
				}
				k.say("NOOP", "250 ")
			})
		})
	}
}

// TestStopEndsChecks: the server does not wait for a check.
func TestStopEndsChecks(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.server.checks = []Check{checkFunc(func(ctx context.Context, _ *Message) (Verdict, error) {
			go s.stop()
			<-ctx.Done()
			return Verdict{}, ctx.Err()
		})}
		k := s.connect(25, "127.0.0.1")
		k.say("EHLO client.example", "250-")
		began := time.Now()
		if got := k.mail("<a@example.net>", "x", "<larry@company.com>"); !strings.HasPrefix(got, "451 ") && !strings.HasPrefix(got, "421 ") {
			t.Errorf("%s", got)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the reply took %v", took)
		}
	})
}

// TestCheckHidesFieldsAndFindsJunk: the message stays as it is, but for a name and for where it goes.
func TestCheckHidesFieldsAndFindsJunk(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.server.checks = []Check{checkFunc(func(_ context.Context, m *Message) (Verdict, error) {
			b, err := io.ReadAll(io.NewSectionReader(m.Text, 0, m.Size))
			return Verdict{Hide: []int64{int64(strings.Index(string(b), "Authentication-Results"))}, Junk: true, Fields: []byte("X-First: 1\r\n")}, err
		})}
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO client.example", "250-")
		if got := c.mail("<a@example.net>", "Authentication-Results: company.com; spf=pass\r\nSubject: x\r\n\r\nbody", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
			t.Fatal(got)
		}
		got := s.received()[0]
		if !strings.HasPrefix(got.text, "X-First: 1\nReceived: ") || !strings.HasSuffix(got.text, "\nX-Foreign-Auth-Results: company.com; spf=pass\nSubject: x\n\nbody\n") {
			t.Errorf("stored with %q", got.text)
		}
		if !strings.Contains(got.head, " _J__ ____ <a@example.net>\n") {
			t.Errorf("envelope %q", got.head)
		}
	})
}

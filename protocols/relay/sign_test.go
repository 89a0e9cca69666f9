package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
)

// signFunc is a Signer.
type signFunc func(ctx context.Context, m *Message) ([]byte, error)

func (f signFunc) Sign(ctx context.Context, m *Message) ([]byte, error) { return f(ctx, m) }

// signs names what it has seen.
var signs = signFunc(func(_ context.Context, m *Message) ([]byte, error) {
	text, err := io.ReadAll(io.NewSectionReader(m.Text, 0, m.Size))
	return fmt.Appendf(nil, "X-Signature: %s %d\r\n\t%s\r\n", m.Envelope.Recipients[0].Address.Domain, len(text), m.Host), err
})

func smartHost() dataformat.Dict {
	return dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "ChannelsPerHost": dataformat.String("1")}
}

func TestSignedMessages(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		body envelope.Body
	}{
		"signed":        {mailText, envelope.Body7Bit},
		"signed-binary": {"Subject: b\r\n\r\na\nb\r.\r\n", envelope.BodyBinaryMIME},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, smartHost())
				defer s.stop()
				s.transport.signer = signs
				s.hold(func() { s.send(c.text, func(e *envelope.Envelope) { e.Body = c.body }, "a@far.org") })
				transcript.Play(t, s.accept, filepath.Join("testdata", name+".txtar"))
				s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0")
			})
		})
	}
}

// What a gateway has put into From is signed as it is sent, in the name of the new author.
func TestMessageOfAGatewayIsSigned(t *testing.T) {
	for field, signed := range map[string]bool{"From": true, "Sender": false} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, nil)
			defer s.stop()
			s.zone.Set(t, "smtp.isp.net. A 192.0.2.30")
			s.configure(t, "", `isp={Host=smtp.isp.net;Default=YES;TLS=Never;SenderAddress="shop@company.com";SenderField=`+field+`;};`)
			asked, seen := false, ""
			s.transport.signer = signFunc(func(_ context.Context, m *Message) ([]byte, error) {
				text, err := io.ReadAll(io.NewSectionReader(m.Text, 0, m.Size))
				asked, seen = true, string(text)
				return []byte("X-Signature: " + m.Author.Domain + "\r\n"), err
			})
			server := newServer(s)
			go server.serve()
			s.send("From: joe@far.example\r\nSubject: x\r\n\r\nbody\r\n", nil, "a@far.org")
			synctest.Wait()
			if server.count() != 1 || asked != signed {
				t.Fatalf("%s: %d messages, signed %v: %v", field, server.count(), asked, s.results.lines)
			}
			if signed && server.last() != "X-Signature: company.com\r\n"+seen {
				t.Errorf("signed:\n%s\nsent:\n%s", seen, server.last())
			}
		})
	}
}

// TestRecipientsWithTokens: each has a return-path and header fields of its own, which are signed too.
func TestRecipientsWithTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, smartHost())
		defer s.stop()
		s.transport.signer = signs
		s.hold(func() {
			s.send(mailText, func(e *envelope.Envelope) {
				e.Personal = "List-Unsubscribe: <https://company.com/off/" + envelope.TokenMark + ">\r\n"
				e.Recipients[0].Token, e.Recipients[2].Token = "T1", "T2"
			}, "a@far.org", "b@far.org", "c@far.org")
		})
		transcript.Play(t, s.accept, "testdata/tokens.txtar")
		s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0",
			"SMTP(far.org) relayed: relayed via mx.test c@far.org 2.0.0")
	})
}

// TestMessageThatCannotBeSignedWaits: it is not sent without, and the others go on.
func TestMessageThatCannotBeSignedWaits(t *testing.T) {
	for name, bad := range map[string]signFunc{
		"error":           func(context.Context, *Message) ([]byte, error) { return nil, errors.New("no key") },
		"panic":           func(context.Context, *Message) ([]byte, error) { panic("a bug") },
		"without an end":  func(ctx context.Context, _ *Message) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() },
		"fields are lost": func(context.Context, *Message) ([]byte, error) { return []byte("X: y"), io.ErrUnexpectedEOF },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, smartHost())
				defer s.stop()
				s.transport.signer = signFunc(func(ctx context.Context, m *Message) ([]byte, error) {
					if m.Envelope.ID == "bad" {
						return bad(ctx, m)
					}
					return nil, nil
				})
				s.hold(func() {
					s.send(mailText, func(e *envelope.Envelope) { e.ID = "bad" }, "no@far.org")
					s.send(mailText, nil, "a@far.org")
				})
				transcript.Play(t, s.accept, "testdata/stepwise.txtar", transcript.Timeout(2*signTimeout))
				s.want("SMTP(far.org) delayed: the message could not be signed no@far.org 4.3.0",
					"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0")
			})
		})
	}
}

// TestStopEndsSigning: the server does not wait, and the message counts as not tried.
func TestStopEndsSigning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, smartHost())
		signing := make(chan struct{})
		s.transport.signer = signFunc(func(ctx context.Context, _ *Message) ([]byte, error) {
			close(signing)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		s.send(mailText, nil, "a@far.org")
		c, err := s.accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go io.Copy(io.Discard, c)
		go io.WriteString(c, "220 mx.test ESMTP\r\n250 mx.test\r\n")
		<-signing
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
		s.want()
	})
}

package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// SendTestMessage submits a message of an account to an address and returns its number. An address that the router
// refuses gets no message. Errors: those of the router and of the queue, and Invalid.
func (s *Server) SendTestMessage(ctx context.Context, from, to string) (id string, err error) {
	const op = "server.SendTestMessage"
	sender, err := address.Parse(from)
	if err != nil {
		return "", err
	}
	rcpt, err := address.Parse(strings.TrimSpace(to))
	if err != nil {
		return "", err
	}
	if rcpt.IsNull() {
		return "", fault.New(op, fault.Invalid, "an address is expected")
	}
	if _, err := s.router.Route(ctx, names.Mail, rcpt); err != nil {
		return "", err
	}
	main := s.accounts.MainDomain()
	env := &envelope.Envelope{
		Source: envelope.Source{Tag: "TEST", Account: from, Domain: main, Trusted: true}, ReturnPath: sender, SMTPUTF8: rcpt.NeedsUTF8(),
		Recipients: []envelope.Recipient{{Address: rcpt, Notify: envelope.NotifyDefault}},
	}
	sub, err := s.queue.Begin(ctx, env)
	if err != nil {
		return "", err
	}
	defer sub.Abort()
	if _, err := io.WriteString(sub, testText(sub.ID(), main, sender, rcpt, time.Now())); err != nil {
		return "", err
	}
	if err := sub.Commit(ctx); err != nil {
		return "", err
	}
	return fmt.Sprint(sub.ID()), nil
}

// testText is the test message (RFC 5322).
func testText(id envelope.QueueID, main string, from, to address.Address, now time.Time) string {
	lines := []string{
		"Date: " + now.Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		"From: <" + from.String() + ">",
		"To: <" + to.String() + ">",
		fmt.Sprintf("Message-ID: <%d.test@%s>", id, main),
		"Subject: Test message of " + main,
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"",
		"This is a test message of the mail server " + main + ".",
		"It has arrived: mail flows from there to this address.",
		"",
	}
	return strings.Join(lines, "\r\n")
}

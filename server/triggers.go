package server

import (
	"context"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/triggers"
)

// triggersPart notifies administrators of what statistics say. It is opened after what is counted.
func (s *Server) triggersPart() *module {
	set := live[triggers.Settings]()
	m := newModule("Triggers", set, triggers.Tag)
	m.open = func() error {
		s.triggers = triggers.New(triggers.Options{Settings: set, Elements: s.monitoring.counters.Elements, Mail: s.notify, Log: s.log})
		return nil
	}
	m.run = func(ctx context.Context) error { return s.triggers.Run(ctx) }
	return m
}

// TestTriggerHandler notifies a handler of triggers.
func (s *Server) TestTriggerHandler(ctx context.Context, name string) error {
	return s.triggers.Test(ctx, name)
}

// notify submits a message of the server. Nobody is told when it cannot be delivered: its return-path is empty.
func (s *Server) notify(ctx context.Context, to address.Address, subject, body string) error {
	const op = "server.Notify"
	main := s.accounts.MainDomain()
	env := &envelope.Envelope{
		Source:     envelope.Source{Tag: triggers.Tag, Domain: main, Trusted: true},
		Recipients: []envelope.Recipient{{Address: to, Notify: envelope.NotifyNever}}, SMTPUTF8: to.NeedsUTF8(),
	}
	sub, err := s.queue.Begin(ctx, env)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	defer sub.Abort()
	lines := []string{
		"Date: " + time.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		"From: <postmaster@" + main + ">",
		"To: <" + to.String() + ">",
		fmt.Sprintf("Message-ID: <%d.trigger@%s>", sub.ID(), main),
		"Subject: " + mime.QEncoding.Encode("utf-8", subject),
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: 8bit",
		"",
		strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\r\n"),
		"",
	}
	if _, err := io.WriteString(sub, strings.Join(lines, "\r\n")); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	return fault.Wrap(op, fault.Internal, sub.Commit(ctx))
}

package server

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailrules"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/rules"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file tries rules on a message that is given, or that the server has.

// TryRules says what rules would do with a message.
func (s *Server) TryRules(ctx context.Context, request dataformat.Dict) (*rules.Verdict, error) {
	const op = "server.TryRules"
	t := &mailrules.Trial{Text: []byte(request.String("message")), Envelope: &envelope.Envelope{Source: envelope.Source{Tag: "SMTP"}, Submitted: time.Now()}}
	if n, ok := dataformat.Int(request["size"]); ok {
		t.Size = n
	}
	switch level := strings.ToLower(request.String("level")); level {
	case "server":
		t.Level = rules.Server
	case "domain":
		t.Level = rules.Domain
	case "account", "":
		t.Level = rules.Account
	default:
		return nil, fault.Newf(op, fault.Invalid, "%q is not a level: server, domain or account", level)
	}
	var err error
	target := request.String("target")
	if t.Level != rules.Server {
		if target == "" {
			return nil, fault.New(op, fault.Invalid, "rules of domains and accounts are tried for an account: name it as the target")
		}
		if t.Account, err = s.accountOf(ctx, target); err != nil {
			return nil, err
		}
	}
	switch {
	case request.String("queue") != "":
		err = s.tryQueued(ctx, t, request.String("queue"))
	case request.String("mailbox") != "":
		err = s.tryStored(ctx, t, cmp.Or(request.String("owner"), target), request.String("mailbox"), request.String("uid"))
	}
	if err != nil {
		return nil, err
	}
	if len(t.Text) == 0 {
		return nil, fault.New(op, fault.Invalid, "the message is empty")
	}
	if account := request.String("as"); account != "" {
		t.Envelope.Source.Account, t.Envelope.Source.Trusted = account, true
	}
	if from := strings.Trim(request.String("from"), "<>"); from != "" {
		if t.Envelope.ReturnPath, err = address.Parse(from); err != nil {
			return nil, err
		}
	}
	return s.tryRoutes(ctx, t, request.Strings("to"))
}

// tryRoutes gives a trial its recipients, where they lead, and runs it.
func (s *Server) tryRoutes(ctx context.Context, t *mailrules.Trial, to []string) (*rules.Verdict, error) {
	if len(to) > 0 {
		t.Envelope.Recipients = nil
	}
	for _, text := range to {
		a, err := address.Parse(text)
		if err != nil {
			return nil, err
		}
		t.Envelope.Recipients = append(t.Envelope.Recipients, envelope.Recipient{Address: a})
	}
	if len(t.Envelope.Recipients) == 0 && t.Account != nil {
		a, err := address.Parse(t.Account.Address())
		if err != nil {
			return nil, err
		}
		t.Envelope.Recipients = []envelope.Recipient{{Address: a}}
	}
	if len(t.Envelope.Recipients) == 0 {
		return nil, fault.New("server.TryRules", fault.Invalid, "a recipient is expected")
	}
	for i := range t.Envelope.Recipients {
		route, err := s.router.Route(ctx, names.Mail, t.Envelope.Recipients[i].Address)
		if err != nil && t.Level == rules.Server {
			return nil, err
		}
		t.Routes = append(t.Routes, route)
	}
	return s.rules.Try(ctx, t)
}

// accountOf finds an account that an administrator has named.
func (s *Server) accountOf(ctx context.Context, text string) (*accounts.Account, error) {
	name := admin.ParseName(text)
	domain, ok := s.accounts.DomainName(cmp.Or(name.Domain, s.accounts.MainDomain()))
	switch {
	case !ok:
		return nil, fault.New("server.TryRules", fault.NoDomain, "")
	case name.Local == "":
		return nil, fault.New("server.TryRules", fault.Invalid, "an account is expected")
	}
	return s.accounts.Resolve(ctx, domain, name.Local)
}

// maxTried is how much of a stored message is read for a trial.
const maxTried = 2 << 20

// tryQueued takes envelope and message of the queue.
func (s *Server) tryQueued(ctx context.Context, t *mailrules.Trial, id string) error {
	n, err := queueID(id)
	if err != nil {
		return err
	}
	m, err := s.queue.Show(ctx, n)
	if err != nil {
		return err
	}
	env := *m.Envelope
	if t.Account != nil {
		env.Recipients = nil
	}
	f, err := os.Open(m.File)
	if err != nil {
		return fault.Wrap("server.TryRules", fault.NoMessage, err)
	}
	defer f.Close()
	t.Envelope, t.Size = &env, m.Size
	t.Text, err = io.ReadAll(io.NewSectionReader(f, m.Offset, min(m.Size, maxTried)))
	return fault.Wrap("server.TryRules", fault.Internal, err)
}

// tryStored takes a message of a mailbox, the newest one without a UID, and the return-path that it was delivered with.
func (s *Server) tryStored(ctx context.Context, t *mailrules.Trial, owner, box, uid string) error {
	const op = "server.TryRules"
	a, err := s.accountOf(ctx, owner)
	if err != nil {
		return err
	}
	view, err := a.Mail().Open(ctx, box, true)
	if err != nil {
		return err
	}
	defer view.Close()
	n, err := strconv.ParseUint(cmp.Or(uid, "0"), 10, 32)
	if err != nil {
		return fault.Newf(op, fault.Invalid, "%q is not a UID", uid)
	}
	if n == 0 {
		if view.Len() == 0 {
			return fault.Newf(op, fault.NoMessage, "the mailbox %s is empty", box)
		}
		n = uint64(view.UID(view.Len()))
	}
	if _, ok := view.Seq(imap.UID(n)); !ok {
		return fault.Newf(op, fault.NoMessage, "the mailbox %s has no message %d", box, n)
	}
	body, err := view.OpenBody(imap.UID(n))
	if err != nil {
		return err
	}
	defer body.Close()
	t.Size = body.Size()
	if t.Text, err = io.ReadAll(io.NewSectionReader(body, 0, min(t.Size, maxTried))); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(t.Text))
	if err != nil {
		return nil // the rules see what there is of a header
	}
	if from, err := address.Parse(strings.Trim(m.Header.Get("Return-Path"), " <>")); err == nil {
		t.Envelope.ReturnPath = from
	}
	return nil
}

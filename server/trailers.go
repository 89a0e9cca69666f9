package server

import (
	"context"

	"gatepost/accounts/message/addtext"
	"gatepost/protocols/smtp"
	"gatepost/queue"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// trailers adds the trailer of a domain to what its users submit for other servers (smtp.Check). It comes before the milters, which
// may sign. A message has it for all recipients if one of them is elsewhere.
type trailers struct{ *Server }

// Check implements smtp.Check.
func (t trailers) Check(ctx context.Context, m *smtp.Message) (smtp.Verdict, error) {
	var v smtp.Verdict
	if m.Account == nil {
		return v, nil
	}
	plain, html, err := t.accounts.MailTrailer(m.Account)
	if err != nil || plain+html == "" {
		return v, err
	}
	if out, err := t.leaves(ctx, m); err != nil || !out {
		return v, err
	}
	edits, err := addtext.Below(m.Text, m.Size, addtext.Text{Plain: plain, HTML: html})
	for _, e := range edits {
		v.Edits = append(v.Edits, queue.Edit(e))
	}
	return v, err
}

// leaves reports whether a recipient leads to another server. An error is temporary.
func (t trailers) leaves(ctx context.Context, m *smtp.Message) (bool, error) {
	for i := range m.Envelope.Recipients {
		route, err := t.router.Route(ctx, names.Mail, m.Envelope.Recipients[i].Address)
		switch {
		case err == nil && !route.Local():
			return true, nil
		case err != nil && fault.KindOf(err).Temporary():
			return false, err
		}
	}
	return false, nil
}

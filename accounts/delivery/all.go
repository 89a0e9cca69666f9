package delivery

import (
	"context"
	"io"
	"os"
	"strings"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// tagAll is the submit tag of mail to all@domain on its way to the accounts.
const tagAll = "ALLF"

// distribute submits a message to all@domain again, with every account of the
// domain that wants such mail as a recipient. It makes no reports: the sender
// would get one for every account.
func (t *Transport) distribute(ctx context.Context, it *queue.Item) {
	st := t.submitToAll(ctx, it)
	for _, r := range it.Recipients {
		it.Report(r, st)
	}
}

func (t *Transport) submitToAll(ctx context.Context, it *queue.Item) envelope.Status {
	_, domain, _ := cutLast(it.Routes[0].Queue, '@')
	set, err := t.accounts.DomainEffectiveSettings(domain)
	if err != nil {
		return failed(err)
	}
	if !mayWriteToAll(set.String("MailToAllAction"), &it.Envelope.Source, domain) {
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 7, 2}, Text: "you may not write to all accounts"}
	}
	sum, err := t.messages.get(it)
	if err != nil {
		return failed(err)
	}
	for _, before := range sum.deliveredTo {
		if strings.EqualFold(before, it.Routes[0].Queue) {
			return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 4, 6}, Text: "mail loop: the message was sent to all accounts before"}
		}
	}
	env, err := t.envelopeToAll(ctx, it.Envelope, domain, set)
	if err != nil {
		return failed(err)
	}
	if len(env.Recipients) > 0 {
		if err := t.resubmit(ctx, it, env); err != nil {
			return failed(err)
		}
	}
	return envelope.Status{Action: envelope.ActionExpanded, Code: envelope.Code{2, 0, 0}, Text: "sent to all accounts"}
}

// mayWriteToAll reads the domain's MailToAllAction.
func mayWriteToAll(action string, src *envelope.Source, domain string) bool {
	_, from, authenticated := cutLast(src.Account, '@')
	switch strings.ToLower(action) {
	case "anybody", "everybody":
		return true
	case "nobody", "disabled":
		return false
	case "authenticated users":
		return authenticated
	}
	return authenticated && strings.EqualFold(from, domain) // Authenticated Domain Users
}

func (t *Transport) envelopeToAll(ctx context.Context, orig *envelope.Envelope, domain string, set dataformat.Dict) (*envelope.Envelope, error) {
	env := &envelope.Envelope{
		Source:     envelope.Source{Tag: tagAll, Account: orig.Source.Account, Domain: domain, Trusted: true},
		ReturnPath: orig.ReturnPath, Body: orig.Body, SMTPUTF8: orig.SMTPUTF8,
	}
	list, err := t.accounts.Accounts(ctx, domain)
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		acc, err := t.accounts.Account(ctx, domain, name)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if wantsAll(acc) {
			env.Recipients = append(env.Recipients, envelope.Recipient{Address: address.Address{Local: name, Domain: domain}})
		}
	}
	if strings.EqualFold(set.String("AllWithForwarders"), "YES") {
		forwarders, err := t.accounts.Forwarders(ctx, domain)
		if err != nil {
			return nil, err
		}
		for _, name := range forwarders {
			env.Recipients = append(env.Recipients, envelope.Recipient{Address: address.Address{Local: name, Domain: domain}})
		}
	}
	return env, nil
}

func wantsAll(acc *accounts.Account) bool {
	return bool(acc.Settings().MailToAll) && acc.Enabled("Mail")
}

// resubmit copies the message into a new submission. A forwarder may lead it
// back here: the Delivered-To field tells (RFC 9228).
func (t *Transport) resubmit(ctx context.Context, it *queue.Item, env *envelope.Envelope) error {
	f, err := os.Open(it.File)
	if err != nil {
		return err
	}
	defer f.Close()
	sub, err := t.submitter.Begin(ctx, env)
	if err != nil {
		return err
	}
	defer sub.Abort()
	if _, err := io.WriteString(sub, "Delivered-To: "+it.Routes[0].Queue+"\r\n"); err != nil {
		return err
	}
	if _, err := io.Copy(sub, io.NewSectionReader(f, it.Offset, it.Size)); err != nil {
		return err
	}
	return sub.Commit(ctx)
}

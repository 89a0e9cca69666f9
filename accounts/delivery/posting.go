package delivery

import (
	"context"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// named returns the mailbox that a recipient names and that the message goes to; "" is INBOX, by way of the account's rules. A
// sender who may not post gets the same answer, and the message the same end, as with a mailbox that is not there.
//
// A mailbox alias of the account leads to a mailbox of another one, which is returned too; the account needs the right to insert there.
func (t *Transport) named(ctx context.Context, acc *accounts.Account, it *queue.Item, rcpt int, box string) (string, *access.Mailbox, error) {
	src, to := &it.Envelope.Source, &it.Envelope.Recipients[rcpt]
	switch {
	case box == "" || strings.EqualFold(box, "INBOX"):
		return "", nil, nil
	case src.Tag == envelope.TagList && to.Token == "": // the archive of a list of the account
		return box, nil, nil
	case !bool(t.settings.Get().DirectMailbox):
		return "", nil, nil
	}
	owner, there := acc, box
	alias, err := t.aliased(ctx, acc, box)
	if err != nil {
		return "", nil, err
	}
	if alias != nil {
		owner, there = alias.Account, alias.Name
		if !alias.Rights.Has(access.Insert) {
			return "", nil, nil
		}
	}
	if !namesMailbox(to) || serverNames[src.Tag] {
		return box, alias, nil
	}
	sender, err := t.sender(ctx, src.Account)
	if err != nil {
		return "", nil, err
	}
	may, err := t.posting.MayPost(ctx, sender, owner, there)
	if err != nil || !may {
		return "", nil, err
	}
	return box, alias, nil
}

// aliased returns the mailbox of another account that a mailbox alias of an account stands for; nil if the name is no such alias.
func (t *Transport) aliased(ctx context.Context, acc *accounts.Account, box string) (*access.Mailbox, error) {
	if len(acc.MailboxAliases()) == 0 {
		return nil, nil
	}
	m, err := t.posting.Mailbox(ctx, acc, box)
	switch {
	case fault.Is(err, fault.NoMailbox): // it leads nowhere
		return nil, nil
	case err != nil || !m.Aliased || !m.Foreign():
		return nil, err
	}
	return &m, nil
}

// deliverAliased stores a copy in the mailbox of another account, and reports it. It is told apart there by the recipient, whose number no other copy of the
// message has.
func (t *Transport) deliverAliased(ctx context.Context, acc *accounts.Account, c *messageCopy, sum *message.Summary) {
	d := c.delivery(c.item, acc, sum)
	d.Mailbox = c.alias.Name
	err := c.alias.Mail().Deliver(ctx, []mailbox.Delivery{d})[0]
	switch {
	case err == nil:
		c.report(delivered)
	case fault.Is(err, fault.Canceled) && ctx.Err() != nil: // the server stops; the queue keeps it
	default:
		st := t.refused(ctx, c.alias.Account, &d, err)
		st.Queue = false // it is the other account that is full
		c.report(st)
	}
}

// serverNames are the tags of messages whose recipients neither their sender nor a user has written: the administrator's rules, the
// members of groups, and the mailbox that the owner of an account has polled mail stored in.
var serverNames = map[string]bool{"SRULE": true, "GROUP": true, "RPOP": true}

// namesMailbox reports whether the address that the message was sent to names a mailbox. Otherwise a record of the Router Table, an
// alias or a forwarder does, which administrators make.
func namesMailbox(to *envelope.Recipient) bool {
	return strings.LastIndexByte(to.Address.Local, '#') > 0
}

// sender returns the account that a message was sent from after a login; nil if there is none, or not any more.
func (t *Transport) sender(ctx context.Context, name string) (*accounts.Account, error) {
	at := strings.LastIndexByte(name, '@')
	if at < 0 {
		return nil, nil
	}
	acc, err := t.accounts.Account(ctx, name[at+1:], name[:at])
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return nil, nil
	}
	return acc, err
}

package delivery

import (
	"context"
	"strings"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// named returns the mailbox that a recipient names and that the message goes to; "" is INBOX, by way of the account's rules. A
// sender who may not post gets the same answer, and the message the same end, as with a mailbox that is not there.
func (t *Transport) named(ctx context.Context, acc *accounts.Account, it *queue.Item, rcpt int, box string) (string, error) {
	src, to := &it.Envelope.Source, &it.Envelope.Recipients[rcpt]
	switch {
	case box == "" || strings.EqualFold(box, "INBOX"):
		return "", nil
	case src.Tag == envelope.TagList && to.Token == "": // the archive of a list of the account
		return box, nil
	case !bool(t.settings.Get().DirectMailbox):
		return "", nil
	case !namesMailbox(to), serverNames[src.Tag]:
		return box, nil
	}
	sender, err := t.sender(ctx, src.Account)
	if err != nil {
		return "", err
	}
	may, err := t.posting.MayPost(ctx, sender, acc, box)
	if err != nil || !may {
		return "", err
	}
	return box, nil
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

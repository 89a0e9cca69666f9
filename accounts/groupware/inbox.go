package groupware

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/icalendar"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// Inbox is the kind of the scheduling inbox of an account (RFC 6638 section 2.2). Its items are the messages about events that were taken
// over, as they came; they have a METHOD, and no two are about the same for the store.
const Inbox = Contacts + 1

// InboxName is the mailbox of the scheduling inbox.
const InboxName = "Schedule Inbox"

const inboxClass = "IPF.Schedule.Inbox"

// Inbox returns the scheduling inbox of an account, and makes it if there is none.
func (s *Store) Inbox(ctx context.Context, a *accounts.Account) (*Collection, error) {
	o := s.Between(a, a)
	i, err := a.Mail().Status(ctx, InboxName)
	if fault.Is(err, fault.NoMailbox) {
		if _, err = a.Mail().CreateMailbox(ctx, InboxName, mailbox.CreateOptions{Class: inboxClass}); err == nil || fault.Is(err, fault.Exists) {
			i, err = a.Mail().Status(ctx, InboxName)
		}
	}
	if err != nil {
		return nil, err
	}
	if i.Class != inboxClass {
		return nil, fault.New("groupware.Inbox", fault.NoMailbox, "The mailbox of the scheduling inbox is used for something else.")
	}
	return &Collection{Info: i, Kind: Inbox, Owner: o, Rights: access.Lookup | access.Read | access.Delete, user: a}, nil
}

// parseMessage reads the text of a message about an event.
func parseMessage(text []byte) (*object, error) {
	cal, err := icalendar.Parse(text)
	if err != nil {
		return nil, violates(ValidData, err)
	}
	span, err := cal.Span()
	if err != nil {
		span = icalendar.Always
	}
	return &object{text: text, component: cal.Type(), from: span.Start, to: max(span.End, span.Start+1), summary: cal.Summary()}, nil
}

// messageName is the name of an item of the scheduling inbox.
func messageName(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]) + ".ics"
}

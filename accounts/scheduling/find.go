package scheduling

import (
	"context"

	"gatepost/accounts"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// stored is an object in a calendar.
type stored struct {
	c    *groupware.Collection
	item mailbox.Item
}

// DefaultProperty names the calendar that new events of others go into (RFC 6638 section 9.2): a property of the scheduling inbox with the
// name of a mailbox.
const DefaultProperty = "urn:ietf:params:xml:ns:caldav schedule-default-calendar-URL"

// DefaultCalendar returns the calendar that new events go into, if the account has chosen one that it still has; nil is the main one.
func (s *Service) DefaultCalendar(ctx context.Context, a *accounts.Account) (*groupware.Collection, error) {
	name, err := s.inboxProperty(ctx, a, DefaultProperty)
	if err != nil || name == "" {
		return nil, err
	}
	c, err := s.Groupware.Collection(ctx, a, s.Groupware.Between(a, a), name)
	if fault.Is(err, fault.NoMailbox) || err == nil && c.Kind != groupware.Calendar {
		return nil, nil
	}
	return c, err
}

// find returns the object of a UID in the calendars of an account, nil if there is none.
func (s *Service) find(ctx context.Context, a *accounts.Account, uid string) (*stored, error) {
	all, err := s.Groupware.Collections(ctx, a, s.Groupware.Between(a, a), groupware.Calendar, groupware.Tasks)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		item, err := c.ByUID(ctx, uid)
		if err == nil {
			return &stored{c, item}, nil
		}
		if !fault.Is(err, fault.NoMessage) && !fault.Is(err, fault.NoMailbox) {
			return nil, err
		}
	}
	return nil, nil
}

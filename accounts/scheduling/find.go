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

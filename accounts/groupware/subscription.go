package groupware

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// An account subscribes to a calendar of another server: a calendar of its own gets the content of a file there, again and again. What is known of it is kept
// with the account, by the ID of the mailbox. Package webcal fetches.

const (
	subscriptionPrefix = "subscription "
	maxSubscriptions   = 20
)

// Subscription is a calendar that is fetched from another server.
type Subscription struct {
	Mailbox string `json:"-"`
	URL     string
	// ETag and Modified are what the other server said of the file, for the next request.
	ETag, Modified string `json:",omitempty"`
	// Checked and Changed are Unix times: of the last request, and of the last one that brought something new.
	Checked, Changed int64
	// Error is why the last request has failed, for people.
	Error string `json:",omitempty"`
}

// Subscriptions lists the subscriptions of an account, by mailbox. Those whose mailbox is gone are left out.
func (s *Store) Subscriptions(ctx context.Context, a *accounts.Account) ([]Subscription, error) {
	props, err := a.Mail().Properties(ctx, "", linkKeeper)
	if err != nil || len(props) == 0 {
		return nil, err
	}
	names, err := mailboxNames(ctx, a)
	if err != nil {
		return nil, err
	}
	var list []Subscription
	for key, v := range props {
		text, ok := strings.CutPrefix(key, subscriptionPrefix)
		id, err := strconv.ParseUint(text, 10, 32)
		if !ok {
			continue
		}
		var one Subscription
		if err == nil {
			err = json.Unmarshal([]byte(v), &one)
		}
		if err != nil {
			return nil, fault.Wrap("groupware.Subscriptions", fault.Corrupt, err)
		}
		if one.Mailbox = names[uint32(id)]; one.Mailbox != "" {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b Subscription) int { return strings.Compare(a.Mailbox, b.Mailbox) })
	return list, nil
}

// mailboxNames are the names of an account's mailboxes by their IDs.
func mailboxNames(ctx context.Context, a *accounts.Account) (map[uint32]string, error) {
	boxes, err := a.Mail().List(ctx)
	names := make(map[uint32]string, len(boxes))
	for i := range boxes {
		names[uint32(boxes[i].ID)] = boxes[i].Name
	}
	return names, err
}

// SetSubscription keeps what is known of a subscription. Errors: NoMailbox, TooMany.
func (s *Store) SetSubscription(ctx context.Context, a *accounts.Account, one Subscription) error {
	const op = "groupware.SetSubscription"
	key, err := subscriptionKey(ctx, a, one.Mailbox)
	if err != nil {
		return err
	}
	list, err := s.Subscriptions(ctx, a)
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(list, func(other Subscription) bool { return other.Mailbox == one.Mailbox })
	if !known && len(list) >= maxSubscriptions {
		return fault.Newf(op, fault.TooMany, "an account subscribes to %d calendars at most", maxSubscriptions)
	}
	text, err := json.Marshal(one)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	value := string(text)
	return a.Mail().SetProperties(ctx, "", linkKeeper, map[string]*string{key: &value})
}

// EndSubscription ends a subscription; the calendar stays as it is. Errors: NoMailbox, NotFound.
func (s *Store) EndSubscription(ctx context.Context, a *accounts.Account, box string) error {
	list, err := s.Subscriptions(ctx, a)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(one Subscription) bool { return one.Mailbox == box }) {
		return fault.New("groupware.EndSubscription", fault.NotFound, "the mailbox is no subscribed calendar")
	}
	key, err := subscriptionKey(ctx, a, box)
	if err != nil {
		return err
	}
	return a.Mail().SetProperties(ctx, "", linkKeeper, map[string]*string{key: nil})
}

func subscriptionKey(ctx context.Context, a *accounts.Account, box string) (string, error) {
	i, err := a.Mail().Status(ctx, box)
	return subscriptionPrefix + strconv.FormatUint(uint64(i.ID), 10), err
}

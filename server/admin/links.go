package admin

import (
	"context"
	"net/url"
	"time"

	"gatepost/server/dataformat"
)

// CalendarLinks lists the secret links to calendars of an account: by mailbox, when each was made.
func (a Actor) CalendarLinks(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETCALENDARLINKS", account(n), func(o *operation) (dataformat.Dict, error) {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		list, err := o.admin.items.Links(o, acct)
		out := dataformat.Dict{}
		for _, l := range list {
			out[l.Mailbox] = dataformat.Dict{"Created": dataformat.Time{T: l.Made.UTC().Truncate(time.Second)}}
		}
		return out, err
	})
}

// CreateCalendarLink makes the secret link to a calendar of an account, and ends the one that there was. It returns the path of the link on HTTPU, which
// nobody can be told again. Errors: NoMailbox, Invalid.
func (a Actor) CreateCalendarLink(ctx context.Context, n Name, box string) (path string, err error) {
	err = a.mailbox(ctx, "CREATECALENDARLINK", n, box, func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		secret, err := o.admin.items.MakeLink(o, acct, box)
		path = "/CalendarData/.link/" + url.PathEscape(acct.Address()) + "/" + secret + ".ics"
		return err
	})
	return path, err
}

// DeleteCalendarLink ends the secret link to a calendar of an account. Errors: NoMailbox, NotFound.
func (a Actor) DeleteCalendarLink(ctx context.Context, n Name, box string) error {
	return a.mailbox(ctx, "DELETECALENDARLINK", n, box, func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		return o.admin.items.EndLink(o, acct, box)
	})
}

// CalendarSubscriptions lists the calendars of other servers that an account subscribes to, by mailbox.
func (a Actor) CalendarSubscriptions(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETCALENDARSUBSCRIPTIONS", account(n), func(o *operation) (dataformat.Dict, error) {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		list, err := o.admin.items.Subscriptions(o, acct)
		out := dataformat.Dict{}
		for _, s := range list {
			one := dataformat.Dict{"URL": dataformat.String(s.URL)}
			for key, at := range map[string]int64{"Checked": s.Checked, "Changed": s.Changed} {
				if at > 0 {
					one[key] = dataformat.Time{T: time.Unix(at, 0).UTC()}
				}
			}
			if s.Error != "" {
				one["Error"] = dataformat.String(s.Error)
			}
			out[s.Mailbox] = one
		}
		return out, err
	})
}

// CreateCalendarSubscription makes a calendar in an account that gets the content of one on another server. The address may be a secret: no record has it. Errors:
// Invalid, Exists, Unavailable, TooLarge, TooMany.
func (a Actor) CreateCalendarSubscription(ctx context.Context, n Name, box, address string) error {
	return a.mailbox(ctx, "CREATECALENDARSUBSCRIPTION", n, box, func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		return o.admin.server.SubscribeCalendar(o, acct, box, address)
	})
}

// DeleteCalendarSubscription ends a subscription; the calendar stays as it is. Errors: NoMailbox, NotFound.
func (a Actor) DeleteCalendarSubscription(ctx context.Context, n Name, box string) error {
	return a.mailbox(ctx, "DELETECALENDARSUBSCRIPTION", n, box, func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		return o.admin.items.EndSubscription(o, acct, box)
	})
}

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

package admin

import (
	"context"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// AccountSessions lists the sessions of an account that have logged in, the oldest first. An address and a service, if they are given, select some.
func (a Actor) AccountSessions(ctx context.Context, n Name, address, service string) (list []accounts.SessionInfo, err error) {
	return look(ctx, a, "LISTACCOUNTSESSIONS", account(n), func(o *operation) ([]accounts.SessionInfo, error) {
		return o.sessions(address, service), nil
	})
}

// FindAccountSession is the oldest of the sessions that AccountSessions lists. Errors: NotFound.
func (a Actor) FindAccountSession(ctx context.Context, n Name, address, service string) (s accounts.SessionInfo, err error) {
	return look(ctx, a, "FINDACCOUNTSESSION", account(n), func(o *operation) (accounts.SessionInfo, error) {
		list := o.sessions(address, service)
		if len(list) == 0 {
			return s, fault.New("admin.FindSession", fault.NotFound, "there is no such session")
		}
		return list[0], nil
	})
}

func (o *operation) sessions(address, service string) (list []accounts.SessionInfo) {
	for _, s := range o.admin.acc.Sessions().Of(o.domain, o.object) {
		if (address == "" || s.IP.String() == address) && (service == "" || strings.EqualFold(s.Service, service)) {
			list = append(list, s)
		}
	}
	return list
}

// session finds a session by its number.
func (o *operation) session(number string) (s accounts.SessionInfo, err error) {
	k, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return s, fault.New("admin.Session", fault.Invalid, "the number of a session is expected")
	}
	s, ok := o.admin.acc.Sessions().Find(k)
	if !ok {
		return s, fault.New("admin.Session", fault.NotFound, "there is no such session any more")
	}
	return s, nil
}

// Session is a session that has logged in. Errors: NotFound.
func (a Actor) Session(ctx context.Context, number string) (accounts.SessionInfo, error) {
	return look(ctx, a, "GETSESSION", named(number), func(o *operation) (accounts.SessionInfo, error) { return o.session(number) })
}

// KillSession ends a session that has logged in. Errors: NotFound.
func (a Actor) KillSession(ctx context.Context, number string) error {
	return do(ctx, a, "KILLSESSION", named(number), func(o *operation) error {
		s, err := o.session(number)
		if err != nil {
			return err
		}
		o.old = dataformat.String(s.Account)
		return o.admin.acc.Sessions().End(s.Number)
	})
}

package admin

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls that tell how the server is and what it does now.

// Monitors is what these calls need of the server.
type Monitors interface {
	// Counters has everything that is counted, with its history.
	Counters() *counters.Registry
	// Findings lists what is not as it should be now.
	Findings(ctx context.Context) []counters.Finding
	// Connections lists the open connections, each with module, number, address, kind, since and idle, a number of seconds.
	// EndConnection ends one. Errors: NotFound.
	Connections(ctx context.Context) (dataformat.Array, error)
	EndConnection(ctx context.Context, module string, number uint64) error
	// Polls lists remote accounts that are polled, those that fail first.
	Polls(ctx context.Context) (dataformat.Array, error)
	// Certificates lists those that listeners show to clients, each with file, names, issuer, notBefore, notAfter, key,
	// fingerprint, selfSigned. ImportCertificate puts another chain and key, both in PEM, into the place of the
	// server's, and in force. Errors: Invalid.
	Certificates(ctx context.Context) (dataformat.Array, error)
	ImportCertificate(ctx context.Context, chain, key string) error
	// ACMEStates tells of each host of a domain that gets its certificate by ACME: name, certificate (DescribeCertificate) if
	// there is one, error if the last try has failed. It begins what has not begun.
	ACMEStates(ctx context.Context, domain string) (dataformat.Array, error)
}

// maxListed bounds lists of sessions.
const maxListed = 1000

// Element is an element of statistics, by its number or its name.
func (a Actor) Element(ctx context.Context, oid string) (counters.Element, error) {
	return look(ctx, a, "GETSTATELEMENT", named(oid), func(o *operation) (counters.Element, error) {
		if e, ok := o.admin.server.Counters().Find(oid); ok {
			return e, nil
		}
		return counters.Element{}, fault.New("admin.Element", fault.NotFound, "there is no such element")
	})
}

// NextElement is the element that follows a number, the first one after "". After the last one comes an empty Element.
func (a Actor) NextElement(ctx context.Context, oid string) (counters.Element, error) {
	return look(ctx, a, "GETNEXTSTATNAME", named(oid), func(o *operation) (counters.Element, error) {
		e, _ := o.admin.server.Counters().Next(oid)
		return e, nil
	})
}

// SetElement sets an element of administrators to a value, or adds to it.
func (a Actor) SetElement(ctx context.Context, oid, value string, add bool) error {
	return do(ctx, a, "SETSTATELEMENT", named(oid), func(o *operation) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fault.New("admin.SetElement", fault.Invalid, "a number is expected")
		}
		if !o.admin.server.Counters().Set(oid, n, add) {
			return fault.New("admin.SetElement", fault.Invalid, "only the elements "+counters.OID("1000")+".n can be set, with n from 1 on, and not more than 100 of them")
		}
		o.new = dataformat.Number(n)
		return nil
	})
}

// Statistics has everything that is counted.
func (a Actor) Statistics(ctx context.Context) (*counters.Registry, error) {
	return look(ctx, a, "GETSTATISTICS", server, func(o *operation) (*counters.Registry, error) { return o.admin.server.Counters(), nil })
}

// Findings lists what is not as it should be now.
func (a Actor) Findings(ctx context.Context) ([]counters.Finding, error) {
	return look(ctx, a, "LISTFINDINGS", server, func(o *operation) ([]counters.Finding, error) { return o.admin.server.Findings(o), nil })
}

// Sessions lists the sessions that have logged in, at most a thousand.
func (a Actor) Sessions(ctx context.Context) ([]accounts.SessionInfo, error) {
	return look(ctx, a, "LISTSESSIONS", server, func(o *operation) ([]accounts.SessionInfo, error) {
		return o.admin.acc.Sessions().List(maxListed), nil
	})
}

// Connections lists the open connections.
func (a Actor) Connections(ctx context.Context) (dataformat.Array, error) {
	return look(ctx, a, "LISTCONNECTIONS", server, func(o *operation) (dataformat.Array, error) { return o.admin.server.Connections(o) })
}

// EndConnection ends a connection of a module.
func (a Actor) EndConnection(ctx context.Context, module, number string) error {
	return do(ctx, a, "ENDCONNECTION", named(module), func(o *operation) error {
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return fault.New("admin.EndConnection", fault.Invalid, "the number of a connection is expected")
		}
		return o.admin.server.EndConnection(o, module, n)
	})
}

// Blocks lists what logins are blocked by.
func (a Actor) Blocks(ctx context.Context) ([]accounts.Block, error) {
	return look(ctx, a, "LISTBLOCKS", server, func(o *operation) ([]accounts.Block, error) { return o.admin.acc.Logins().Blocks(o), nil })
}

// LiftBlock ends a block: of an account, of a network, or of an account from a network. Errors: NotFound.
func (a Actor) LiftBlock(ctx context.Context, account, network string) error {
	return do(ctx, a, "LIFTBLOCK", named(strings.Join(strings.Fields(account+" "+network), " ")), func(o *operation) error {
		var n netip.Prefix
		if network != "" {
			var err error
			if n, err = netip.ParsePrefix(network); err != nil {
				return fault.New("admin.LiftBlock", fault.Invalid, "a network is expected")
			}
		}
		if account == "" && network == "" || o.admin.acc.Logins().Unblock(account, n) == 0 {
			return fault.New("admin.LiftBlock", fault.NotFound, "there is no such block any more")
		}
		return nil
	})
}

// Polls lists remote accounts that are polled.
func (a Actor) Polls(ctx context.Context) (dataformat.Array, error) {
	return look(ctx, a, "LISTPOLLS", server, func(o *operation) (dataformat.Array, error) { return o.admin.server.Polls(o) })
}

// Certificates lists those that clients are shown.
func (a Actor) Certificates(ctx context.Context) (dataformat.Array, error) {
	return look(ctx, a, "LISTCERTIFICATES", server, func(o *operation) (dataformat.Array, error) { return o.admin.server.Certificates(o) })
}

// ImportCertificate puts another certificate into the place of the server's. The key is in no record.
func (a Actor) ImportCertificate(ctx context.Context, chain, key string) error {
	return do(ctx, a, "IMPORTCERTIFICATE", server, func(o *operation) error { return o.admin.server.ImportCertificate(o, chain, key) })
}

package admin

import (
	"context"

	"gatepost/server/dataformat"
)

// This file has the calls about the search index.

// SearchIndex tells what the search index has of an account: Messages, those of them that it has in Part, Segments, Size in bytes, and how many messages are Waiting to be indexed.
func (a Actor) SearchIndex(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETSEARCHINDEX", account(n), func(o *operation) (dataformat.Dict, error) {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		return o.admin.server.SearchIndex(acct.Mail())
	})
}

// Reindex has the search index of an account made anew in the background.
func (a Actor) Reindex(ctx context.Context, n Name) error {
	return do(ctx, a, "REINDEX", account(n), func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err == nil {
			o.admin.server.Reindex(acct.Mail())
		}
		return err
	})
}

// ReindexAll makes the search index of all accounts anew, and returns when that is done.
func (a Actor) ReindexAll(ctx context.Context) ([]string, error) {
	return look(ctx, a, "REINDEXALL", server, func(o *operation) ([]string, error) { return o.admin.server.ReindexAll(o) })
}

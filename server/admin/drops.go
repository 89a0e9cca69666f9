package admin

import (
	"context"

	"gatepost/server/dataformat"
)

// DropItems describes what waits in a drop folder or drop table, a line for each item: of a sender, or of all for "".
func (a Actor) DropItems(ctx context.Context, source, sender string) ([]string, error) {
	return look(ctx, a, "LISTDROPITEMS", named(source), func(o *operation) ([]string, error) {
		return o.admin.server.DropItems(o, source, sender)
	})
}

// SendDropItems sends what waits there now, and counts what became of it.
func (a Actor) SendDropItems(ctx context.Context, source, sender string) (counts dataformat.Dict, err error) {
	err = do(ctx, a, "SENDDROPITEMS", named(source), func(o *operation) error {
		counts, err = o.admin.server.SendDropItems(o, source, sender)
		return err
	})
	return counts, err
}

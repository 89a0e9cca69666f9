package admin

import (
	"context"
	"strconv"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Backup makes a backup of the whole server. A request has Directory, and Keep if older backups there are to be removed.
func (a Actor) Backup(ctx context.Context, request dataformat.Dict) (made dataformat.Dict, err error) {
	err = do(ctx, a, "BACKUP", server, func(o *operation) error {
		keep := 0
		if text := request.String("Keep"); text != "" {
			if keep, err = strconv.Atoi(text); err != nil || keep < 0 {
				return fault.New("admin.Backup", fault.Invalid, "Keep: a number of backups is expected")
			}
		}
		made, err = o.admin.server.Backup(o, request.String("Directory"), keep)
		o.new = made
		return err
	})
	return made, err
}

// Restore restores an account, or a mailbox of it, from a backup. A request has Path and Account, and AsAccount, Mailbox and AsMailbox where they are wanted.
func (a Actor) Restore(ctx context.Context, request dataformat.Dict) (done dataformat.Dict, err error) {
	err = do(ctx, a, "RESTORE", server, func(o *operation) error {
		done, err = o.admin.server.RestoreOne(o, request)
		o.old, o.new = request, done
		return err
	})
	return done, err
}

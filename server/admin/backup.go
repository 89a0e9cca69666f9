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

// FindMessages finds messages in the mailboxes of all accounts: see Server.FindMessages for what a request and the answer have.
func (a Actor) FindMessages(ctx context.Context, request dataformat.Dict) (dataformat.Dict, error) {
	return a.messages(ctx, "FINDMESSAGES", request, false)
}

// RemoveMessages is FindMessages that removes what it finds.
func (a Actor) RemoveMessages(ctx context.Context, request dataformat.Dict) (dataformat.Dict, error) {
	return a.messages(ctx, "REMOVEMESSAGES", request, true)
}

func (a Actor) messages(ctx context.Context, call string, request dataformat.Dict, remove bool) (found dataformat.Dict, err error) {
	err = do(ctx, a, call, server, func(o *operation) error {
		found, err = o.admin.server.FindMessages(o, request, remove)
		o.old = request
		if found != nil {
			o.new = dataformat.Dict{"Count": found["Count"]}
		}
		return err
	})
	return found, err
}

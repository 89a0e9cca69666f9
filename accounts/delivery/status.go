package delivery

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
)

// Texts that tools look for in reports.
const (
	textFull     = "account is full (quota exceeded)"
	textDisabled = "mail receiving disabled"
)

// elsewhere is the status when the account that a message was routed to is not
// there any more. The queue routes again what it tries again: to the account under
// its new name, or to the router's refusal.
var elsewhere = envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 2, 0},
	Text: "the account was renamed or removed; to be routed again", Retry: time.Second}

// failed is the status for an error that is about the account or the server.
func failed(err error) envelope.Status {
	st := envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: fault.Text(err)}
	switch fault.KindOf(err) {
	case fault.NotFound, fault.NoDomain:
		return elsewhere
	case fault.TooLarge:
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 2, 3}, Text: fault.Text(err)}
	case fault.Loop:
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 4, 6}, Text: fault.Text(err)}
	case fault.NoSpace:
		st.Code, st.Text, st.Queue = envelope.Code{4, 3, 1}, "the server has no disk space left", true
	case fault.Internal, fault.Corrupt:
		st.Text = "internal error"
	}
	return st
}

// refused is the status for what the store said.
func (t *Transport) refused(ctx context.Context, acc *accounts.Account, d *mailbox.Delivery, err error) envelope.Status {
	if fault.Is(err, fault.OverQuota) {
		s := t.settings.Get()
		return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 2, 2}, Text: textFull,
			Queue: s.Suspend == "Account Queue", Retry: s.FullEvery.Duration(), Expire: s.FullFor.Duration()}
	}
	if missing := fault.Is(err, fault.NotFound) || errors.Is(err, fs.ErrNotExist); missing && t.hasChanged(ctx, acc) {
		return elsewhere
	}
	t.log.Warn("not delivered", "account", acc.Address(), "queue_id", d.QueueID, "error", err)
	return failed(err)
}

// hasChanged reports whether an account is not the one any more that was looked up:
// it was renamed, removed, or has other settings since.
func (t *Transport) hasChanged(ctx context.Context, acc *accounts.Account) bool {
	now, err := t.accounts.Account(ctx, acc.Domain, acc.Name)
	if err != nil {
		return fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain)
	}
	return now != acc
}

// disabled is the status while the Mail service of the account is off.
func (t *Transport) disabled() envelope.Status {
	s := t.settings.Get()
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 2, 1}, Text: textDisabled,
		Queue: true, Retry: s.DisabledEvery.Duration(), Expire: s.DisabledFor.Duration()}
}

// overFlow is the status while the account gets more than its MailInpFlow.
func (t *Transport) overFlow(wait time.Duration) envelope.Status {
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 2, 1}, Text: "too many messages for the account, delivery waits",
		Queue: true, Retry: wait}
}

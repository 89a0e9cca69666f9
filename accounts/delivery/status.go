package delivery

import (
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

// failed is the status for an error that is about the account or the server.
func failed(err error) envelope.Status {
	st := envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: fault.Text(err)}
	switch fault.KindOf(err) {
	case fault.NotFound:
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 1, 1}, Text: "unknown user account"}
	case fault.NoDomain:
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 1, 2}, Text: "unknown domain"}
	case fault.TooLarge:
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 2, 3}, Text: "message is too large for the account"}
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
func (t *Transport) refused(acc *accounts.Account, d *mailbox.Delivery, err error) envelope.Status {
	if fault.Is(err, fault.OverQuota) {
		s := t.settings.Get()
		return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 2, 2}, Text: textFull,
			Queue: s.Suspend == "Account Queue", Retry: s.FullEvery.Duration(), Expire: s.FullFor.Duration()}
	}
	t.log.Warn("not delivered", "account", acc.Address(), "queue_id", d.QueueID, "error", err)
	return failed(err)
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

package admin

import (
	"context"
	"strconv"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about what waits in the queue.

// QueueInfo tells of one logical queue.
func (a Actor) QueueInfo(ctx context.Context, module, queue string) (dataformat.Dict, error) {
	return look(ctx, a, "GETMESSAGEQUEUEINFO", named(queue), func(o *operation) (dataformat.Dict, error) {
		return o.admin.server.QueueInfo(o, module, queue)
	})
}

// ReleaseQueue lets a logical queue try now.
func (a Actor) ReleaseQueue(ctx context.Context, queue string) error {
	return do(ctx, a, "RELEASESMTPQUEUE", named(queue), func(o *operation) error {
		return o.admin.server.ReleaseQueue(o, queue)
	})
}

// SendTestMessage sends a message from postmaster to an address and returns its number.
func (a Actor) SendTestMessage(ctx context.Context, to string) (id string, err error) {
	err = do(ctx, a, "SENDTESTMESSAGE", named(to), func(o *operation) error {
		id, err = o.admin.server.SendTestMessage(o, accounts.Postmaster+"@"+o.admin.acc.MainDomain(), to)
		o.new = dataformat.Dict{"message": dataformat.String(id)}
		return err
	})
	return id, err
}

// TestTriggerHandler notifies a handler of triggers, so that it is seen whether it works.
func (a Actor) TestTriggerHandler(ctx context.Context, name string) error {
	return do(ctx, a, "TESTTRIGGERHANDLER", named(name), func(o *operation) error { return o.admin.server.TestTriggerHandler(o, name) })
}

// KickQueues lets all queues to other servers try now.
func (a Actor) KickQueues(ctx context.Context) error {
	return do(ctx, a, "QUEUEKICK", server, func(o *operation) error { return o.admin.server.KickQueues(o) })
}

// QueueList tells of every recipient that waits and is selected.
func (a Actor) QueueList(ctx context.Context, selected dataformat.Dict) (dataformat.Array, error) {
	return look(ctx, a, "QUEUELIST", server, func(o *operation) (dataformat.Array, error) {
		return o.admin.server.QueueList(o, selected)
	})
}

// QueueMessage tells all about a message: envelope, recipients with their states and last attempts,
// header.
func (a Actor) QueueMessage(ctx context.Context, id string) (dataformat.Dict, error) {
	return look(ctx, a, "QUEUESHOW", named(id), func(o *operation) (dataformat.Dict, error) {
		return o.admin.server.QueueMessage(o, id)
	})
}

// ExportMessage tells where the file of a message is, for whoever may read it.
func (a Actor) ExportMessage(ctx context.Context, id string) (dataformat.Dict, error) {
	return look(ctx, a, "QUEUEEXPORT", named(id), func(o *operation) (dataformat.Dict, error) {
		return o.admin.server.QueueFile(o, id)
	})
}

// chosen carries out a call about selected messages. The record has what selected them and how many there were.
func (a Actor) chosen(ctx context.Context, call string, selected dataformat.Dict, act func(ctx context.Context) (int, error)) (n int, err error) {
	err = do(ctx, a, call, server, func(o *operation) error {
		if len(selected) == 0 {
			return fault.New("admin.Queue", fault.Invalid, "say which messages")
		}
		n, err = act(o)
		o.old, o.new = selected, dataformat.Dict{"messages": dataformat.String(strconv.Itoa(n))}
		return err
	})
	return n, err
}

// HoldMessages has selected messages wait until they are released.
func (a Actor) HoldMessages(ctx context.Context, selected dataformat.Dict) (int, error) {
	return a.chosen(ctx, "QUEUEHOLD", selected, func(ctx context.Context) (int, error) { return a.admin.server.HoldMessages(ctx, selected) })
}

// ReleaseMessages ends the hold of selected messages and has them tried now.
func (a Actor) ReleaseMessages(ctx context.Context, selected dataformat.Dict) (int, error) {
	return a.chosen(ctx, "QUEUERELEASE", selected, func(ctx context.Context) (int, error) { return a.admin.server.ReleaseMessages(ctx, selected) })
}

// RejectMessages ends delivery of selected messages to those who still wait.
func (a Actor) RejectMessages(ctx context.Context, selected dataformat.Dict, text string, report bool) (int, error) {
	return a.chosen(ctx, "QUEUEREJECT", selected, func(ctx context.Context) (int, error) {
		return a.admin.server.RejectMessages(ctx, selected, text, report)
	})
}

// RejectMessage ends delivery of one message to those who still wait.
func (a Actor) RejectMessage(ctx context.Context, id, text string, report bool) error {
	return do(ctx, a, "REJECTQUEUEMESSAGE", named(id), func(o *operation) error {
		return o.admin.server.RejectMessage(o, id, text, report)
	})
}

// RejectFrom ends delivery of all messages that an authenticated sender has submitted. The account need
// not exist any more.
func (a Actor) RejectFrom(ctx context.Context, sender, text string, report bool) error {
	return do(ctx, a, "REJECTQUEUEMESSAGES", named(sender), func(o *operation) error {
		n := ParseName(sender)
		switch {
		case sender == "*":
			n = a.Self()
		case n.Local == "":
			return fault.New("admin.Queue", fault.Invalid, "an account name is expected")
		case n.Domain == "":
			n.Domain = o.Self().Domain
		}
		if real, ours := o.admin.acc.DomainName(n.Domain); ours {
			n.Domain = real
		}
		_, err := o.admin.server.RejectMessages(o, dataformat.Dict{"Account": dataformat.String(n.Local + "@" + n.Domain)}, text, report)
		return err
	})
}

// RerouteMessage sends a message to another address in the place of a recipient that waits. It returns
// the number of the new message.
func (a Actor) RerouteMessage(ctx context.Context, id, from, to string) (again string, err error) {
	err = do(ctx, a, "QUEUEREROUTE", named(id), func(o *operation) error {
		again, err = o.admin.server.RerouteMessage(o, id, from, to)
		o.old, o.new = dataformat.String(from), dataformat.Dict{"to": dataformat.String(to), "message": dataformat.String(again)}
		return err
	})
	return again, err
}

package queue

import (
	"context"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
)

// Transport delivers what waits in the logical queues of one module.
type Transport interface {
	// Deliver works on one batch and calls Item.Report for every recipient of
	// it. What it does not report is tried again later. Several calls run at
	// once, for different queues or, if the policy allows it, for one.
	Deliver(ctx context.Context, b *Batch)
	// Policy says how the module wants its queues to be run. It is asked before
	// every batch, so that changed settings take effect.
	Policy() Policy
}

// Policy is how the queues of one module are run.
type Policy struct {
	// Workers bounds the batches of the module that are delivered at once; 0
	// stops the module and its messages wait.
	Workers int
	// PerQueue bounds the batches of one logical queue that are delivered at
	// once, and Backlog is how many messages have to wait in a queue for each
	// batch after the first. Zero values mean 1.
	PerQueue, Backlog int
	// BatchSize bounds the messages of one batch; 0 means 100.
	BatchSize int
	// Retry says when to try again and when to give up.
	Retry Schedule
	// Warn lists the ages at which the sender is told about a delay, rising.
	Warn []time.Duration
}

// Batch is what one call of Transport.Deliver works on: messages of one logical queue.
type Batch struct {
	Module router.Module
	Queue  string
	Items  []*Item

	report func(it *Item, rcpt int, st envelope.Status)
}

// Item is one message of a batch with those of its recipients that wait in the queue.
type Item struct {
	ID envelope.QueueID
	// Envelope is shared by all items of the message and is not to be changed.
	Envelope *envelope.Envelope
	// File is the absolute path of the queue file; the message is Size bytes
	// from Offset on, with CRLF line ends.
	File         string
	Offset, Size int64
	// Recipients are the waiting recipients as indexes of Envelope.Recipients,
	// and Routes their routes, in the same order.
	Recipients []int
	Routes     []router.Route

	batch *Batch
	entry *entry
}

// Report says what has become of a recipient, given as its index in
// Envelope.Recipients. It may be called from any goroutine until Deliver
// returns; only the first report for a recipient counts.
func (it *Item) Report(rcpt int, st envelope.Status) {
	it.batch.report(it, rcpt, st)
}

// Schedule is when a delivery that failed for now is tried again. The interval
// follows from the age of the message, so that a restart changes nothing.
type Schedule struct {
	// First are the intervals after the first attempts: as long as the age is
	// below the sum of First[:n+1], First[n] applies.
	First []time.Duration
	// Every applies until the age EveryFor, Then after it.
	Every, EveryFor, Then time.Duration
	// Expire is the age at which a failed attempt is final.
	Expire time.Duration
}

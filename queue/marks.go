package queue

import (
	"errors"
	"io/fs"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/server/fault"
)

// The letters of the recipients in a queue file are marked at three times.
//
// Of a transport that is asked once, a final result is durable in the file before
// anything else follows from it: it is not asked again, whenever a crash comes. If its
// policy says MayRepeat, the result is written and not synced: a power cut may take it. One that must not
// act twice at all marks before it begins (Item.Begin).
//
// A Repeatable transport knows what it has by the queue ID. Its results are marked by
// the remover, after it has synced the transport, and only if the file stays: a mark
// that reached the disk before what it tells of would keep the next start from
// delivering again what a power cut has taken.
//
// When the sender has been told, the letter says that too. If a crash comes before it
// is on the disk, he is told twice rather than never.

// lateMark is results of a Repeatable transport that are to be marked in a queue file.
type lateMark struct {
	msg    *message
	layout *envelope.Layout
	outs   []outcome
}

// repeatable reports whether a module may be asked again about what it has a result
// for. What follows from the routing alone, such as a refusal, can be found again.
func (q *Queue) repeatable(m *module) bool { return m == nil || m.repeat != nil }

// markDurably writes the final results of a transport that is asked once, also those
// that the sender is still to hear of: reports may wait for long, and over a stop.
func (q *Queue) markDurably(it *Item, fates []fate) {
	if q.repeatable(it.batch.queue.module) {
		return
	}
	var outs []outcome
	for i := range fates {
		f := &fates[i]
		if f.state != envelope.Delivered && f.state != envelope.Failed {
			continue
		}
		f.marked = true
		o := f.outcome
		if f.report {
			o.state = unreported(f)
		}
		outs = append(outs, o)
	}
	q.write(it.ID, &it.head.layout, outs, !it.batch.policy.MayRepeat)
}

// unreported is the state of a recipient whose result the sender is still to be told.
func unreported(f *fate) envelope.State {
	switch {
	case f.state == envelope.Failed:
		return envelope.FailedUnreported
	case f.status.Action == envelope.ActionRelayed:
		return envelope.RelayedUnreported
	}
	return envelope.DeliveredUnreported
}

// markState makes a state of recipients durable in the queue file.
func (q *Queue) markState(id envelope.QueueID, layout *envelope.Layout, rcpts []int, state envelope.State) error {
	patches := make([]disk.Patch, 0, len(rcpts))
	for _, r := range rcpts {
		patches = append(patches, disk.Patch{At: layout.StateAt(r), Text: string(rune(state))})
	}
	return fault.Wrap("queue.Mark", fault.Internal, q.disk.Patch(fileName(id, extMsg), patches, true))
}

// takeBack makes recipients wait again that were begun with and are to be tried later.
func (q *Queue) takeBack(it *Item, results []result, fates []fate) {
	var rcpts []int
	for i, r := range results {
		if r.begun && fates[i].state == envelope.Waiting {
			rcpts = append(rcpts, r.rcpt)
		}
	}
	if len(rcpts) == 0 {
		return
	}
	if err := q.markState(it.ID, &it.head.layout, rcpts, envelope.Waiting); err != nil {
		q.logQueue(it.ID).Error("recipient state not written", "error", err)
	}
}

// mark overwrites the states of recipients in the queue file, those that came from a
// Repeatable transport later. It is not synced: a crash costs a report or an attempt more.
func (q *Queue) mark(m *message, layout *envelope.Layout, outs []outcome) {
	var now, later []outcome
	for _, o := range outs {
		if o.state != envelope.Waiting && q.repeatable(q.modules[o.module]) {
			later = append(later, o)
		} else {
			now = append(now, o)
		}
	}
	q.markLater(m, layout, later)
	q.write(m.id, layout, now, false)
}

// write puts states and numbers of delay reports into the queue file.
func (q *Queue) write(id envelope.QueueID, layout *envelope.Layout, outs []outcome, sync bool) {
	var patches []disk.Patch
	for _, o := range outs {
		if o.rcpt >= len(layout.Recipients) {
			continue
		}
		if o.state != envelope.Waiting {
			patches = append(patches, disk.Patch{At: layout.StateAt(o.rcpt), Text: string(rune(o.state))})
		}
		if o.warned > 0 {
			patches = append(patches, disk.Patch{At: layout.WarnedAt(o.rcpt), Text: envelope.FormatWarned(o.warned)})
		}
	}
	if len(patches) == 0 {
		return
	}
	if err := q.disk.Patch(fileName(id, extMsg), patches, sync); err != nil && !errors.Is(err, fs.ErrNotExist) {
		q.logQueue(id).Error("recipient state not written", "error", err)
	}
}

// markLater hands results to the remover.
func (q *Queue) markLater(m *message, layout *envelope.Layout, outs []outcome) {
	if len(outs) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.unmarked = append(q.unmarked, lateMark{m, layout, outs}); len(q.unmarked) == 1 {
		q.wakeRemover()
	}
}

// takeMarks returns what is to be marked now. A message that is finished needs
// no marks: its file goes, unless the administrator gets it. q.mu is held.
func (q *Queue) takeMarks() []lateMark {
	marks := q.unmarked[:0]
	for _, l := range q.unmarked {
		if !l.msg.finished || l.msg.untold {
			marks = append(marks, l)
		}
	}
	q.unmarked = nil
	return marks
}

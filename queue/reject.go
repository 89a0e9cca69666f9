package queue

import (
	"context"

	"gatepost/queue/envelope"
	"gatepost/server/logs"
)

// textRejected is what a sender is told without other words.
const textRejected = "rejected by an administrator"

// Reject ends delivery to the recipients that still wait. The text goes into
// the report; with report false there is none. It returns fault.NoMessage for a
// message that is not in the queue. That the message is rejected is durable when it
// returns: after a crash those who still wait fail, with a text of ours.
func (q *Queue) Reject(ctx context.Context, id envelope.QueueID, text string, report bool) error {
	if text == "" {
		text = textRejected
	}
	m, err := q.controlled("queue.Reject", id, func(m *message) { m.rejected = &rejection{text: text, report: report} })
	if err != nil {
		return err
	}
	q.logDequeuer.Log(ctx, logs.LevelMajor, "rejected: "+text, logs.AttrQueueID, uint64(id))
	// The entries that wait go to the enqueuer, which is never delayed and ends
	// them. Those under way end with their attempt.
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range m.waitingEntries() {
		q.moveTo(e, enqueuer, "", "")
	}
	return nil
}

func (r *rejection) status() envelope.Status {
	return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 7, 1}, Text: r.text}
}

// endFresh ends a message that was read from its file and was rejected in an earlier run. Results of
// that time which the sender is still to be told are told as they are.
func (q *Queue) endFresh(ctx context.Context, it *Item, h *head) bool {
	m := it.entry.msg
	q.mu.Lock()
	rejected := m.rejected
	rcpts := m.waitingRcpts()
	q.mu.Unlock()
	if rejected == nil || len(rcpts) == 0 {
		return false
	}
	results := make([]result, len(rcpts))
	for n, i := range rcpts {
		rcpt := &h.env.Recipients[i]
		switch {
		case rcpt.State.Unreported():
			results[n] = q.reportLate(ctx, i, rcpt)
		case rcpt.Expanded:
			results[n] = result{rcpt: i, status: envelope.Status{Action: envelope.ActionExpanded, Code: envelope.Code{2, 0, 0}, Text: textExpanded}}
		default:
			results[n] = result{rcpt: i, status: rejected.status()}
		}
	}
	it.fill(q, h, rcpts, nil)
	_, _, _ = it.close()
	q.settle(settlement{item: it, results: results})
	return true
}

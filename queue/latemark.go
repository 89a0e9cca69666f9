package queue

import "gatepost/queue/envelope"

// lateMark is results of LOCAL that are to be written into a queue file whose
// other recipients still wait.
//
// A delivery to an account is a record and a hard link, and the link is durable
// only after a sync. A mark that reached the disk before the link would keep the
// next start from making it again: the account would have a record without a
// message. So the remover writes these marks, after it has synced.
type lateMark struct {
	msg    *message
	layout *envelope.Layout
	outs   []outcome
}

// splitLocal tells the results of LOCAL from those that are durable as they are.
func splitLocal(outs []outcome) (durable, local []outcome) {
	for _, o := range outs {
		if o.status.Action == envelope.ActionDelivered {
			local = append(local, o)
		} else {
			durable = append(durable, o)
		}
	}
	return durable, local
}

// markLater hands results of LOCAL to the remover.
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

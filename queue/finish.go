package queue

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/logs"
)

// The remover takes the files of finished messages away, many at a time: first
// it has made durable what Repeatable transports made of them (LOCAL: the hard links
// in the accounts' directories), then it unlinks the queue files and makes that
// durable, then it tells that the queue IDs will not come back. A crash between two
// of these steps leaves either the queue file, and the transport skips what it has,
// or records of IDs that nobody asks for. While others of a message wait, it marks
// what such a transport has delivered, after the same sync.
const (
	removeGather = time.Second     // how long finished messages are gathered
	removeBatch  = 5000            // or so many
	removeRetry  = 5 * time.Second // after a failure
)

// finish hands a message without waiting recipients to the remover. q.mu is held.
func (q *Queue) finish(m *message) {
	if m.finished {
		return
	}
	m.finished = true
	q.leaving++
	q.cool(m)
	q.forgetTried(m)
	q.finished = append(q.finished, m)
	if len(q.finished) == 1 || len(q.finished) == removeBatch {
		q.wakeRemover()
	}
}

func (q *Queue) wakeRemover() {
	select {
	case q.removeWake <- struct{}{}:
	default:
	}
}

// removerLoop removes until ctx ends, and then what is left.
func (q *Queue) removerLoop(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-q.removeWake:
		}
		pause.Reset(removeGather)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				waiting = false
			case <-pause.C:
				waiting = false
			case <-q.removeWake: // a full batch
				waiting = q.finishedCount() < removeBatch
			}
		}
		for ctx.Err() == nil && !q.removeFinished(ctx) {
			pause.Reset(removeRetry)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeRetry)
	defer cancel()
	q.removeFinished(last)
}

func (q *Queue) finishedCount() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.finished)
}

// removeFinished removes what is finished now. It reports false when that has
// to be tried again.
func (q *Queue) removeFinished(ctx context.Context) bool {
	q.mu.Lock()
	batch := q.finished
	q.finished = nil
	marks := q.takeMarks()
	q.mu.Unlock()
	if len(batch)+len(marks) == 0 {
		return true
	}
	gone, err := q.removeFiles(ctx, batch, marks)
	q.mu.Lock()
	for _, id := range gone {
		delete(q.messages, id)
	}
	q.leaving -= len(gone)
	left := batch[:0]
	for _, m := range batch {
		if q.messages[m.id] == m {
			left = append(left, m)
		}
	}
	q.finished = append(left, q.finished...)
	q.mu.Unlock()
	if err != nil {
		q.logDequeuer.Log(ctx, logs.LevelFailure, "finished messages could not be removed; trying again", logs.AttrError, err)
	}
	return err == nil
}

// takeAway removes the file of a finished message, or sets it aside if there is a
// failure in it that nobody was told of.
func (q *Queue) takeAway(m *message) error {
	name := fileName(m.id, extMsg)
	if !m.untold {
		return q.disk.Remove(name)
	}
	bad := fileName(m.id, extBad)
	q.logQueue(m.id).Log(context.Background(), logs.LevelFailure, "a failure could not be reported; the queue file is kept", "file", bad)
	return q.disk.Rename(name, bad)
}

func (q *Queue) removeFiles(ctx context.Context, batch []*message, marks []lateMark) (gone []envelope.QueueID, err error) {
	for _, m := range q.modules {
		if m.repeat == nil {
			continue
		}
		if err := m.repeat.Sync(ctx); err != nil {
			return nil, err // marks that are not made cost a delivery that is known to be there
		}
	}
	for _, l := range marks {
		q.write(l.msg.id, l.layout, l.outs, false)
	}
	for _, m := range batch {
		switch e := q.takeAway(m); {
		case e == nil, errors.Is(e, fs.ErrNotExist):
			gone = append(gone, m.id)
		default:
			err = errors.Join(err, e)
		}
	}
	if len(gone) == 0 {
		return nil, err
	}
	if e := q.names.Wait(); e != nil {
		return nil, errors.Join(err, e)
	}
	for _, m := range q.modules {
		if m.repeat != nil {
			m.repeat.Forget(gone)
		}
	}
	return gone, err
}

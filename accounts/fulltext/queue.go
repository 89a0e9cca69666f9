package fulltext

import (
	"sync"
	"time"

	"gatepost/accounts/mailbox"
)

// maxWaiting is how many messages wait to be indexed at most, each with a small record in memory. When there are more, an account is
// noted in their place, and its messages are compared with the index.
const maxWaiting = 100_000

// task is what is to be done for an account.
type task struct {
	id      uint64
	account *mailbox.Account // nil if there is only something to remove
	files   []mailbox.StoredFile
	removed []uint64
	scan    bool // all messages are compared with the index
	emptied bool // the account is gone
	anew    bool // what the index has of the account is removed before
	since   time.Time
}

// waiting is what the worker has to do, by accounts in the order in which they came.
type waiting struct {
	mu      sync.Mutex
	tasks   map[uint64]*task
	order   []uint64
	files   int
	working int           // files that were taken and are not in the index yet
	began   time.Time     // since when the first of them has been waiting
	arrived time.Time     // when a message came last
	wake    chan struct{} // of capacity 1
}

func (w *waiting) init() {
	w.tasks, w.wake = make(map[uint64]*task), make(chan struct{}, 1)
}

func (w *waiting) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// task returns the task of an account. w.mu is held.
func (w *waiting) task(id uint64) *task {
	t := w.tasks[id]
	if t == nil {
		t = &task{id: id, since: time.Now()}
		w.tasks[id] = t
		w.order = append(w.order, id)
	}
	return t
}

// Stored notes message files that are to be indexed (mailbox.TextIndex).
func (x *Index) Stored(a *mailbox.Account, files []mailbox.StoredFile) {
	w := &x.queue
	w.mu.Lock()
	t := w.task(a.ID())
	t.account, t.emptied = a, false
	if w.arrived = time.Now(); !t.scan {
		t.files = append(t.files, files...)
		if w.files += len(files); w.files > maxWaiting {
			w.files -= len(t.files)
			t.files, t.scan = nil, true
		}
	}
	w.mu.Unlock()
	w.signal()
}

// Removed notes message files that are gone (mailbox.TextIndex).
func (x *Index) Removed(account uint64, files []uint64) {
	w := &x.queue
	w.mu.Lock()
	t := w.task(account)
	if len(t.removed) < maxWaiting { // more are found when the account is looked through
		t.removed = append(t.removed, files...)
	}
	w.mu.Unlock()
	w.signal()
}

// Emptied notes that an account is gone (mailbox.TextIndex).
func (x *Index) Emptied(account uint64) {
	w := &x.queue
	w.mu.Lock()
	t := w.task(account)
	w.files -= len(t.files)
	*t = task{id: account, emptied: true, since: t.since}
	w.mu.Unlock()
	w.signal()
}

// LookThrough has the messages of an account compared with the index some time.
func (x *Index) LookThrough(a *mailbox.Account) { x.lookThrough(a, false) }

func (x *Index) lookThrough(a *mailbox.Account, anew bool) {
	w := &x.queue
	w.mu.Lock()
	t := w.task(a.ID())
	w.files -= len(t.files)
	t.account, t.files, t.scan, t.anew = a, nil, true, t.anew || anew
	w.mu.Unlock()
	w.signal()
}

// take returns the next task, or nil.
func (w *waiting) take() *task {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.order) == 0 {
		w.order = nil
		return nil
	}
	t := w.tasks[w.order[0]]
	w.order = w.order[1:]
	delete(w.tasks, t.id)
	w.files -= len(t.files)
	if w.working == 0 {
		w.began = t.since
	}
	w.working += max(len(t.files), 1)
	return t
}

// done notes that what was taken is in the index.
func (w *waiting) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.working = 0
}

// busy reports whether messages are arriving.
func (w *waiting) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.arrived) < quiet
}

// state returns how many messages wait, and since when the first does. An account that is to be looked through counts as one.
func (w *waiting) state() (messages int, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	messages = w.files + w.working
	for _, id := range w.order {
		if t := w.tasks[id]; t.scan || len(t.files) > 0 {
			if since.IsZero() {
				since = t.since
			}
			if t.scan {
				messages++
			}
		}
	}
	if w.working > 0 {
		since = w.began
	}
	return messages, since
}

// of returns how many messages of an account wait.
func (w *waiting) of(account uint64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.tasks[account]; t != nil {
		if t.scan {
			return 1
		}
		return len(t.files)
	}
	return 0
}

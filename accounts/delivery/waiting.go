package delivery

import (
	"sync"

	"gatepost/accounts"
	"gatepost/router"
)

// Waker lets a logical queue try now. The queue implements it.
type Waker interface {
	Wake(m router.Module, queue string) bool
}

// waiting remembers the accounts whose mail waits because of what they are: full,
// or without the Mail service. Freed space and changed settings wake their queues;
// while no account waits, nobody pays for it. An entry goes when it wakes its
// queue, and comes back if the delivery fails again.
type waiting struct {
	waker Waker
	// watch calls freed after each change that frees space in the account.
	watch func(acc *accounts.Account, freed func()) (stop func())

	mu       sync.Mutex
	accounts map[uint64]waitingAccount // by account ID
}

type waitingAccount struct {
	domain, name string
	queue        string
	stop         func() // ends the watch of the mailboxes
}

func watchMailboxes(acc *accounts.Account, freed func()) (stop func()) {
	return acc.Mail().WatchFreed(freed)
}

// add remembers an account, and reports whether it was not known: then what
// happened between the failed delivery and the call was not seen, and the delivery
// has to be tried again.
func (w *waiting) add(acc *accounts.Account, queue string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.accounts[acc.ID]; known {
		return false
	}
	if w.accounts == nil {
		w.accounts = map[uint64]waitingAccount{}
	}
	stop := w.watch(acc, func() { w.wake(acc.ID) })
	w.accounts[acc.ID] = waitingAccount{acc.Domain, acc.Name, queue, stop}
	return true
}

// wake wakes the queue of an account. It only touches memory.
func (w *waiting) wake(id uint64) {
	w.mu.Lock()
	a, known := w.accounts[id]
	delete(w.accounts, id)
	w.mu.Unlock()
	if known {
		a.stop()
		w.waker.Wake(router.LOCAL, a.queue)
	}
}

// wakeThose wakes the queues of the accounts that match.
func (w *waiting) wakeThose(match func(domain, name string) bool) {
	w.mu.Lock()
	var ids []uint64
	for id, a := range w.accounts {
		if match(a.domain, a.name) {
			ids = append(ids, id)
		}
	}
	w.mu.Unlock()
	for _, id := range ids {
		w.wake(id)
	}
}

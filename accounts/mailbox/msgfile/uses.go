package msgfile

import "sync"

// use is what is going on with a message file beside the index. Files of
// messages that are simply there have none.
type use struct {
	making   bool // its record is not committed yet
	holds    int  // views that show it although its message is gone
	unwanted bool // no record names it: it goes with the last hold
	removing bool // it is about to be removed
}

// Uses is what is going on with the files of one account. The lock is the last one
// in the order: nothing is locked and no disk is waited for under it.
type Uses struct {
	mu   sync.Mutex
	uses map[uint64]*use
}

func (f *Uses) of(id uint64) *use {
	u := f.uses[id]
	if u == nil {
		if f.uses == nil {
			f.uses = make(map[uint64]*use)
		}
		u = &use{}
		f.uses[id] = u
	}
	return u
}

func (f *Uses) tidy(id uint64, u *use) {
	if *u == (use{}) {
		delete(f.uses, id)
	}
}

// Begin marks a file that is about to be made. It fails if a file of that
// number is on its way out.
func (f *Uses) Begin(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uses[id] != nil {
		return false
	}
	f.of(id).making = true
	return true
}

// End says that the record of a file is committed, or that the file is gone.
func (f *Uses) End(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.uses[id]; u != nil {
		u.making = false
		f.tidy(id, u)
	}
}

// Hold keeps a file for a view.
func (f *Uses) Hold(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(id).holds++
}

// Release undoes Hold and reports whether the file has to be removed now.
func (f *Uses) Release(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.of(id)
	u.holds--
	return f.settle(id, u)
}

// Unwant says that no record names the file any more, and reports whether it
// has to be removed now.
func (f *Uses) Unwant(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.of(id)
	u.unwanted = true
	return f.settle(id, u)
}

func (f *Uses) settle(id uint64, u *use) bool {
	if u.holds == 0 && u.unwanted && !u.removing {
		u.removing = true
		return true
	}
	f.tidy(id, u)
	return false
}

// Removed says that the file has been removed.
func (f *Uses) Removed(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.uses, id)
}

// Busy reports whether something is going on with the file.
func (f *Uses) Busy(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.uses[id] != nil
}

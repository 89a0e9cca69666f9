package imapmodel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// world is what all clients know together.
type world struct {
	mu       sync.Mutex
	boxes    map[string]*box
	errs     []error
	nextID   int
	commands int
	kills    int
}

// box is a mailbox as far as it is known.
type box struct {
	validity uint32
	highest  uint64              // the greatest HIGHESTMODSEQ of a SELECT that was answered
	ids      map[uint32]string   // what message a UID means
	states   map[stateKey]string // flags
	conflict map[uint32]string   // messages whose flags did not agree
	given    map[uint32]bool     // UIDs that were acknowledged
	gone     map[uint32]bool     // UIDs that were expunged
}

type stateKey struct {
	uid    uint32
	modSeq uint64
}

func newWorld(names []string) *world {
	w := &world{boxes: map[string]*box{}}
	for _, n := range names {
		w.boxes[n] = &box{ids: map[uint32]string{}, states: map[stateKey]string{}, conflict: map[uint32]string{},
			given: map[uint32]bool{}, gone: map[uint32]bool{}}
	}
	return w
}

// maxErrors is how many disagreements are kept.
const maxErrors = 20

func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(format, args...)
}

func (w *world) failLocked(format string, args ...any) {
	if len(w.errs) < maxErrors {
		w.errs = append(w.errs, fmt.Errorf(format, args...))
	}
}

func (w *world) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.errs...)
}

// sees records the flags that a client was told of.
func (w *world) sees(name string, uid uint32, modSeq uint64, flags string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.boxes[name]
	key := stateKey{uid, modSeq}
	if was, ok := b.states[key]; ok && was != flags {
		// A STORE to a message that another client has expunged meanwhile changes one view only, so that this counts if the
		// message is still there at the end.
		b.conflict[uid] = fmt.Sprintf("(%s) and (%s) at ModSeq %d", was, flags, modSeq)
	}
	b.states[key] = flags
}

// means records what message a UID is.
func (w *world) means(name string, uid uint32, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.boxes[name]
	if was, ok := b.ids[uid]; ok && was != id {
		w.failLocked("%s: UID %d is message %s, and was %s", name, uid, id, was)
	}
	b.ids[uid] = id
}

// gives records an acknowledged message.
func (w *world) gives(name string, uid uint32, id string) {
	if id != "" {
		w.means(name, uid, id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.boxes[name]
	if b.given[uid] {
		w.failLocked("%s: UID %d was given twice", name, uid)
	}
	b.given[uid] = true
}

func (w *world) expunges(name string, uid uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boxes[name].gone[uid] = true
}

// selects records what SELECT has answered.
func (w *world) selects(name string, validity uint32, before, highest uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.boxes[name]
	if b.validity != 0 && b.validity != validity {
		w.failLocked("%s: UIDVALIDITY %d, and was %d", name, validity, b.validity)
	}
	if highest < before {
		w.failLocked("%s: HIGHESTMODSEQ %d, and was %d before the SELECT", name, highest, before)
	}
	b.validity, b.highest = validity, max(b.highest, highest)
}

func (w *world) highest(name string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.boxes[name].highest
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextID++
	return fmt.Sprintf("m%d", w.nextID)
}

// end compares what is there at the end with what was acknowledged.
func (w *world) end(name string, there map[uint32]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.boxes[name]
	for uid := range b.given {
		if _, ok := there[uid]; !ok && !b.gone[uid] {
			w.failLocked("%s: UID %d was acknowledged and is lost", name, uid)
		}
	}
	for uid := range there {
		if b.gone[uid] {
			w.failLocked("%s: UID %d was expunged and is there", name, uid)
		}
		if what, ok := b.conflict[uid]; ok {
			w.failLocked("%s: UID %d had the flags %s", name, uid, what)
		}
	}
}

// normal sorts flags and leaves \Recent out, which differs by session.
func normal(flags string) string {
	list := slices.DeleteFunc(strings.Fields(flags), func(f string) bool { return strings.EqualFold(f, `\Recent`) })
	slices.Sort(list)
	return strings.Join(list, " ")
}

package lists

import (
	"context"
	"sync"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/server/fault"
)

// upkeepEvery is how often the schedule is looked at. A digest is late by that much.
const upkeepEvery = time.Minute

// upkeepAll is how often the lists of all domains are named, and each is looked at: what changes beside the manager, such as
// settings or an archive that its owner tidies, is seen then at the latest.
const upkeepAll = 15 * time.Minute

// settling is how long a list is looked at every time after a posting: until it has come to the archive.
const settling = 3 * time.Minute

// schedule says when each list is to be looked at. To read all of them every minute would cost more than all that they do.
type schedule struct {
	mu    sync.Mutex
	lists map[listName]*appointment
	named time.Time // when all lists were named last
}

type listName struct{ domain, name string }

// appointment is when a list is looked at next. Until busy it is looked at each time.
type appointment struct {
	next, busy time.Time
	seen       bool // in the last naming of all lists
}

func (s *schedule) of(k listName) *appointment {
	a := s.lists[k]
	if a == nil {
		if s.lists == nil {
			s.lists = map[listName]*appointment{}
		}
		a = new(appointment)
		s.lists[k] = a
	}
	return a
}

// touch has a list looked at soon, since something has changed.
func (m *Manager) touch(l *accounts.MailingList) {
	s := &m.schedule
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.of(listName{l.Domain, l.Name})
	a.next, a.busy = time.Time{}, time.Now().Add(settling)
}

// due returns the lists that are to be looked at now.
func (s *schedule) due(now time.Time) (all []listName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, a := range s.lists {
		if !now.Before(a.next) {
			all = append(all, k)
			if !now.Before(a.busy) {
				// What touches the list from now on comes before this.
				a.next = now.Add(upkeepAll)
			}
		}
	}
	return all
}

// set makes the next appointment of a list, unless it has an earlier one.
func (s *schedule) set(k listName, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.lists[k]; a != nil && next.Before(a.next) {
		a.next = next
	}
}

func (s *schedule) drop(k listName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lists, k)
}

// refresh takes in lists that are new, and those that are gone leave.
func (s *schedule) refresh(all []listName, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named = now
	for _, k := range all {
		s.of(k).seen = true
	}
	for k, a := range s.lists {
		if !a.seen && !now.Before(a.busy) {
			delete(s.lists, k)
		}
		a.seen = false
	}
}

// upkeepDue looks after the lists whose time has come.
func (m *Manager) upkeepDue(ctx context.Context, now time.Time) error {
	s := &m.schedule
	var failed error
	if now.Sub(s.named) >= upkeepAll { // its only reader is the goroutine that calls this
		all, err := m.names(ctx)
		if failed = err; err == nil {
			s.refresh(all, now)
		}
	}
	for _, k := range s.due(now) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l, err := m.o.Store.Lists().Get(ctx, k.domain, k.name)
		switch {
		case fault.Is(err, fault.NotFound), fault.Is(err, fault.NoDomain):
			s.drop(k)
			continue
		case err != nil: // it cannot be read, and the log says so; when all are named again it is tried
			continue
		}
		next, err := m.nextUpkeep(l, now), m.Upkeep(ctx, l, now)
		if err != nil && ctx.Err() == nil {
			m.failure(ctx, l, "the upkeep of a mailing list has failed; it is tried again", err)
			next = now.Add(upkeepEvery)
		}
		s.set(k, next)
	}
	return failed
}

// nextUpkeep is when something is due for a list by the clock alone.
func (m *Manager) nextUpkeep(l *accounts.MailingList, now time.Time) time.Time {
	set := l.Settings()
	next := now.Add(upkeepAll)
	if set.CleanupPeriod >= 0 {
		next = earlier(next, now.Add(max(set.CleanupPeriod.Duration(), upkeepEvery)))
	}
	counts, err := l.Subscribers().Counts()
	if err != nil || counts[subscribers.Digest]+counts[subscribers.Index] == 0 {
		return next
	}
	// Both the digest that is due after this look and the one after the last count: the earlier one does no harm.
	next = earlier(next, nextDigest(set, now))
	if v, err := l.Subscribers().Value(valueDigest); err == nil && v != nil {
		if d, err := decodeDigests(v); err == nil {
			if at := nextDigest(set, d.at); at.After(now) {
				next = earlier(next, at)
			}
		}
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// names lists the lists of all domains.
func (m *Manager) names(ctx context.Context) (all []listName, err error) {
	domains, err := m.o.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	lists := m.o.Store.Lists()
	for _, domain := range domains {
		names, err := lists.Names(ctx, domain)
		if fault.Is(err, fault.NoDomain) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			all = append(all, listName{domain, name})
		}
	}
	return all, nil
}

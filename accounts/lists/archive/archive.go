package archive

import (
	"context"
	"sync"
	"time"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// maxAll bounds the postings of all indexes in memory together: some 80 MB.
const maxAll = 2_000_000

// maxSearches bounds the searches at a time, each of which reads many messages.
const maxSearches = 2

// Archive has the archives of all lists. Its methods may be called from any goroutine.
type Archive struct {
	store     *accounts.Store
	searching chan struct{}
	mu        sync.Mutex // guards what follows
	lists     map[uint64]*slot
}

// slot is the index of a list. Whoever has put a value into busy may read and set index.
type slot struct {
	busy  chan struct{}
	index *index
	// Guarded by Archive.mu.
	used     time.Time
	postings int
}

// New returns the archives of the lists of a store.
func New(store *accounts.Store) *Archive {
	return &Archive{store: store, searching: make(chan struct{}, maxSearches), lists: map[uint64]*slot{}}
}

// Open returns the archive of a list as it is now. Errors: Unavailable if the owner is not there, Canceled, those of the store.
func (a *Archive) Open(ctx context.Context, l *accounts.MailingList) (*View, error) {
	const op = "archive.Open"
	owner, err := a.store.Account(ctx, l.Domain, l.Settings().Owner)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return nil, fault.New(op, fault.Unavailable, "the owner of the list is not there")
	}
	if err != nil {
		return nil, err
	}
	s := a.slot(l.ID)
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, fault.Wrap(op, fault.Canceled, ctx.Err())
	}
	defer func() { <-s.busy }()
	next, err := refresh(ctx, owner.ID, owner.Mail(), l.Name, s.index)
	if next != nil {
		s.index = next
		a.keep(s, len(next.entries))
	}
	if err != nil {
		return nil, err
	}
	return &View{a: a, l: l, mail: owner.Mail(), ix: next}, nil
}

func (a *Archive) slot(id uint64) *slot {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.lists[id]
	if s == nil {
		s = &slot{busy: make(chan struct{}, 1)}
		a.lists[id] = s
	}
	s.used = time.Now()
	return s
}

// keep notes the size of an index, and forgets those that were not used for longest while there is too much.
func (a *Archive) keep(s *slot, postings int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.postings = postings
	for {
		all := 0
		var oldest uint64
		for id, o := range a.lists {
			if all += o.postings + 100; o != s && (a.lists[oldest] == nil || o.used.Before(a.lists[oldest].used)) {
				oldest = id
			}
		}
		if all <= maxAll || a.lists[oldest] == nil {
			return
		}
		// Who still builds it keeps the slot for himself.
		delete(a.lists, oldest)
	}
}

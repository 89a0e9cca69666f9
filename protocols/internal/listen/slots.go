package listen

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/server/counters"
)

// Count is what the listeners of one module share: its sessions, and the slots that
// they hold (see the package comment). The zero Count is ready.
type Count struct {
	wire    counters.Wire
	crashed atomic.Int64

	mu        sync.Mutex // guards all below, and what it says of a session
	open      int
	clients   group
	users     group
	listeners []*group // the strangers of each listener that accepts
	leaving   int      // sessions whose slot another one has, and that have not ended
	sessions  map[*session]struct{}
	entered   uint64 // sessions since the start
}

// group is sessions for which a part of the slots is kept.
type group struct {
	sessions  int
	strangers []*session // those sessions, in the group of a listener
}

const (
	// keptParts is the part of the slots that is kept for each of Client IPs, users who
	// have logged in, and all listeners together.
	keptParts = 10
	// idleGrace is how long a stranger may be idle before its slot can be taken.
	idleGrace = 5 * time.Second
	// shortGrace is the same for one that has hardly said a word since it was spoken to.
	shortGrace = time.Second
	// maxLeaving bounds the sessions that have lost their slot and still say so.
	maxLeaving = 64
)

// Open is the number of sessions now.
func (c *Count) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open + c.leaving
}

// Refused is the number of connections that got no session since the start.
func (c *Count) Refused() (n int) {
	c.wire.Refused.Each(func(_ string, k uint64) { n += int(k) })
	return n
}

// Wire has what is counted of the connections.
func (c *Count) Wire() *counters.Wire { return &c.wire }

// Connections lists at most so many open connections, the oldest first.
func (c *Count) Connections(most int) []counters.Connection {
	now := time.Now()
	c.mu.Lock()
	list := make([]counters.Connection, 0, min(len(c.sessions), most))
	for s := range c.sessions {
		list = append(list, counters.Connection{Number: s.number, Remote: s.who(), Accepted: s.traffic.accepted, Idle: max(0, s.traffic.idle(now)), Kind: c.kind(s.group)})
	}
	c.mu.Unlock()
	slices.SortFunc(list, func(a, b counters.Connection) int { return cmp.Compare(a.Number, b.Number) })
	return list[:min(len(list), most)]
}

// kind is the group of a session, in a word. c.mu is held.
func (c *Count) kind(g *group) string {
	switch g {
	case &c.clients:
		return "client"
	case &c.users:
		return "user"
	case nil:
		return "ending"
	}
	return "stranger"
}

// End orders the session of a connection to end, as the function End does, and reports whether there is one with the number.
func (c *Count) End(number uint64, reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.sessions {
		if s.number == number {
			s.cancel(ended(reason))
			return true
		}
	}
	return false
}

// Crashed is the number of sessions that ended by a panic since the start.
func (c *Count) Crashed() int { return int(c.crashed.Load()) }

// listen adds a listener, whose strangers are in the group that it returns.
func (c *Count) listen() *group {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := new(group)
	c.listeners = append(c.listeners, g)
	return g
}

// stopped removes a listener that does not accept any more. Its sessions go on.
func (c *Count) stopped(g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = slices.DeleteFunc(c.listeners, func(l *group) bool { return l == g })
}

// enter gives a new session a slot in a group, if need be that of the stranger that has
// been idle for longest, which it returns. False when there is none.
func (c *Count) enter(s *session, g *group, limit int) (displaced *session, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.room(g, limit) {
		if displaced = c.idlest(g, limit, s.known); displaced == nil {
			return nil, false
		}
		c.remove(displaced)
		displaced.group = nil
		c.leaving++
	}
	c.add(s, g)
	if c.sessions == nil {
		c.sessions = map[*session]struct{}{}
	}
	c.entered++
	s.number = c.entered
	c.sessions[s] = struct{}{}
	return displaced, true
}

// leave gives back the slot of a session that has ended.
func (c *Count) leave(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
	if s.group == nil {
		c.leaving--
		return
	}
	c.remove(s)
}

// login moves a stranger to the users. False when their slots are taken, and when the
// session has lost its own.
func (c *Count) login(s *session, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := s.group
	switch {
	case from == nil:
		return false
	case from == &c.clients || from == &c.users:
		return true
	case limit > 0 && c.users.sessions >= c.kept(&c.users, limit) && from.sessions <= c.kept(from, limit) && c.open+c.wanting(limit) >= limit:
		return false
	}
	c.remove(s)
	c.add(s, &c.users)
	return true
}

// regroup moves a session to the group of the client that a proxy has named. One that has lost its slot stays without.
func (c *Count) regroup(s *session, g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.group != nil && s.group != g {
		c.remove(s)
		c.add(s, g)
	}
}

func (c *Count) add(s *session, g *group) {
	c.open++
	g.sessions++
	s.group = g
	if g != &c.clients && g != &c.users {
		s.index = len(g.strangers)
		g.strangers = append(g.strangers, s)
	}
}

func (c *Count) remove(s *session) {
	g := s.group
	c.open--
	g.sessions--
	if n := len(g.strangers); n > 0 {
		last := g.strangers[n-1]
		g.strangers[s.index], last.index = last, s.index
		g.strangers[n-1] = nil
		g.strangers = g.strangers[:n-1]
	}
}

// kept is how many slots are kept for a group.
func (c *Count) kept(g *group, limit int) int {
	switch {
	case g == &c.clients || g == &c.users:
		return limit / keptParts
	case !slices.Contains(c.listeners, g):
		return 0
	}
	return limit / keptParts / len(c.listeners)
}

// wanting is the number of slots that are kept and not taken.
func (c *Count) wanting(limit int) int {
	n := max(0, c.kept(&c.clients, limit)-c.clients.sessions) + max(0, c.kept(&c.users, limit)-c.users.sessions)
	for _, l := range c.listeners {
		n += max(0, c.kept(l, limit)-l.sessions)
	}
	return n
}

// room reports whether a group may have a session more: one of its kept slots, or one
// that is kept for nobody.
func (c *Count) room(g *group, limit int) bool {
	return limit <= 0 || c.open < limit && (g.sessions < c.kept(g, limit) || c.open+c.wanting(limit) < limit)
}

// idlest returns the stranger whose slot a session of a group may take, or nil: of its own
// listener, or of one that has more strangers than are kept for it and than this one has. A
// flood on one listener does not reach the slots of a quiet one. A known session takes that of any stranger
// who is not known and waits, be it for the greeting.
func (c *Count) idlest(g *group, limit int, known bool) (found *session) {
	if c.leaving >= maxLeaving || c.open > limit {
		return nil
	}
	now, longest := time.Now(), time.Duration(0)
	for _, l := range c.listeners {
		if l != g && (l.sessions <= c.kept(l, limit) || l.sessions <= len(g.strangers)) {
			continue
		}
		for _, s := range l.strangers {
			idle, grace := s.traffic.idle(now), idleGrace
			switch {
			case known && !s.known:
				grace = 1 // it waits, however short
			case s.traffic.silent():
				grace = shortGrace
			}
			if idle >= grace && idle > longest {
				found, longest = s, idle
			}
		}
	}
	return found
}

// Crowded reports whether the next stranger on the listener of a session would have to wait for a slot.
func Crowded(ctx context.Context) bool {
	s := sessionOf(ctx)
	if s == nil {
		return false
	}
	limit := s.server.limit()
	c := s.server.Count
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.room(s.server.strangers, limit)
}

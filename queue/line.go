package queue

// line is a list of those whose turn comes: who has waited longest is its first. Its
// elements carry the links, so that joining and leaving cost no memory. Queue.mu guards it.
type line struct {
	first, last *turn
	n           int
}

// turn is the place of a logical queue or of a destination in at most one line.
type turn struct {
	in         *line
	prev, next *turn
	queue      *logical
	dest       *destination
}

// join puts an element at the end.
func (l *line) join(t *turn) {
	t.in, t.prev, t.next = l, l.last, nil
	if l.last != nil {
		l.last.next = t
	} else {
		l.first = t
	}
	l.last = t
	l.n++
}

// leave takes an element out of the line that it is in, if any.
func (t *turn) leave() {
	l := t.in
	if l == nil {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		l.last = t.prev
	}
	t.in, t.prev, t.next = nil, nil, nil
	l.n--
}

package queue

import "sync"

// dirSync lets everybody who waits for the directory share one sync. A caller
// waits for a sync that began after its call; one of those who wait runs it.
type dirSync struct {
	sync func() error

	mu      sync.Mutex
	running bool
	next    *syncRound // for those who came while one runs
}

type syncRound struct {
	lead chan struct{} // tells one who waits to run the round
	done chan struct{}
	err  error // valid once done is closed
}

// Wait returns when the directory is durable as it was at the call.
func (d *dirSync) Wait() error {
	d.mu.Lock()
	if d.next == nil {
		d.next = &syncRound{lead: make(chan struct{}, 1), done: make(chan struct{})}
	}
	r := d.next
	if d.running {
		d.mu.Unlock()
		select {
		case <-r.done:
			return r.err
		case <-r.lead:
		}
		d.mu.Lock()
	}
	d.running = true
	d.next = nil
	d.mu.Unlock()

	r.err = d.sync()

	d.mu.Lock()
	if d.next != nil {
		d.next.lead <- struct{}{} // running stays true: the next round has its leader
	} else {
		d.running = false
	}
	d.mu.Unlock()
	close(r.done)
	return r.err
}

package helper

import (
	"strconv"
	"sync"
	"time"

	"gatepost/server/dataformat"
)

// statistics are what a helper has done since the start of the server. The goroutine of the client counts; it
// publishes a snapshot for others.
type statistics struct {
	requests, answers, timeouts, starts, failures int
	took                                          time.Duration // all answers together
	slowest                                       time.Duration
	lastError                                     string

	mu    sync.Mutex
	shown dataformat.Dict
}

func (s *statistics) answer(took time.Duration) {
	s.answers++
	s.took += took
	s.slowest = max(s.slowest, took)
}

// publish makes the snapshot.
func (c *client) publish() {
	s := &c.stats
	state := "disabled"
	switch {
	case c.on && c.process != nil && c.ready:
		state = "running"
	case c.on && c.process != nil:
		state = "starting"
	case c.on && c.off:
		state = "ended"
	case c.on:
		state = "waiting to be started"
	}
	d := dataformat.Dict{
		"state": dataformat.String(state), "requests": number(s.requests), "answers": number(s.answers),
		"timeouts": number(s.timeouts), "starts": number(s.starts), "failures": number(s.failures),
		"open": number(len(c.open)), "waiting": number(len(c.waiting)),
	}
	if c.process != nil {
		d["pid"] = number(c.process.PID())
	}
	if s.answers > 0 {
		d["averageTime"] = dataformat.String((s.took / time.Duration(s.answers)).Round(time.Millisecond).String())
		d["slowest"] = dataformat.String(s.slowest.Round(time.Millisecond).String())
	}
	if s.lastError != "" {
		d["lastError"] = dataformat.String(s.lastError)
	}
	s.mu.Lock()
	s.shown = d
	s.mu.Unlock()
}

func (s *statistics) snapshot() dataformat.Dict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

func number(n int) dataformat.Value { return dataformat.String(strconv.Itoa(n)) }

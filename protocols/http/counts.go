package http

import (
	"time"

	"gatepost/server/counters"
	"gatepost/server/fault"
)

// Counts are what a module counts of its requests.
type Counts struct {
	// Answers are by the class of their status.
	Answers [6]counters.Counter
	// Took is the time of each request.
	Took *counters.Histogram
	// FailedLogins are names and passwords that were wrong.
	FailedLogins counters.Counter
}

// Counts has what is counted.
func (s *Server) Counts() *Counts { return &s.counts }

// answered counts a request.
func (c *Counts) answered(status int, took time.Duration) {
	if class := status / 100; class > 0 && class < len(c.Answers) {
		c.Answers[class].Inc()
	}
	c.Took.Took(took)
}

// login counts how a login ended.
func (c *Counts) login(err error) {
	if fault.Is(err, fault.BadCredentials) {
		c.FailedLogins.Inc()
	}
}

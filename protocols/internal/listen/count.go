package listen

import "sync/atomic"

// Count holds the numbers of one module: its sessions on all listeners. The
// zero Count is ready.
type Count struct {
	open    atomic.Int64
	refused atomic.Int64
	crashed atomic.Int64
}

// Open is the number of sessions now.
func (c *Count) Open() int { return int(c.open.Load()) }

// Refused is the number of connections that got no session since the start.
func (c *Count) Refused() int { return int(c.refused.Load()) }

// Crashed is the number of sessions that ended by a panic since the start.
func (c *Count) Crashed() int { return int(c.crashed.Load()) }

// take adds one session unless limit, if above 0, is reached.
func (c *Count) take(limit int) bool {
	if n := c.open.Add(1); limit > 0 && n > int64(limit) {
		c.open.Add(-1)
		return false
	}
	return true
}

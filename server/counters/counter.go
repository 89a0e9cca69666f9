package counters

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Counter counts events, or bytes. The zero Counter is ready. Its methods may be called by many goroutines.
type Counter struct{ n atomic.Uint64 }

// Inc counts one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add counts n; nothing if it is below 1.
func (c *Counter) Add(n int64) {
	if n > 0 {
		c.n.Add(uint64(n))
	}
}

// Value is the count since the start of the process.
func (c *Counter) Value() uint64 { return c.n.Load() }

const (
	// MaxValues is how many values the label of a Labelled has at most.
	MaxValues = 48
	// Other is the value under which further ones are counted.
	Other = "other"
	// maxValue is how long a value may be, in bytes.
	maxValue = 64
)

// Labelled is a Counter for each value of a label. The zero Labelled is ready.
type Labelled struct {
	mu     sync.RWMutex
	values map[string]*Counter
}

// Of returns the Counter of a value. It costs a look-up: who counts often keeps what it returns.
func (l *Labelled) Of(value string) *Counter {
	l.mu.RLock()
	c := l.values[value]
	l.mu.RUnlock()
	if c != nil {
		return c
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(value) > maxValue || value == "" || len(l.values) >= MaxValues && l.values[value] == nil {
		value = Other
	}
	if l.values == nil {
		l.values = map[string]*Counter{}
	}
	if c = l.values[value]; c == nil {
		c = new(Counter)
		// The value may be a part of something large.
		l.values[strings.Clone(value)] = c
	}
	return c
}

// Inc counts one under a value.
func (l *Labelled) Inc(value string) { l.Of(value).Inc() }

// Each calls fn for every value, sorted.
func (l *Labelled) Each(fn func(value string, n uint64)) {
	l.mu.RLock()
	values := make([]string, 0, len(l.values))
	for v := range l.values {
		values = append(values, v)
	}
	l.mu.RUnlock()
	slices.Sort(values)
	for _, v := range values {
		fn(v, l.Of(v).Value())
	}
}

// Histogram counts observations by how large they are.
type Histogram struct {
	bounds []float64 // rising
	counts []Counter // of each bound, and of what is beyond the last
	unit   float64   // in which sum is kept
	sum    atomic.Int64
}

// Sizes returns a Histogram of sizes in bytes, from 1 KiB to 64 MiB.
func Sizes() *Histogram {
	return newHistogram(1, 1<<10, 4<<10, 16<<10, 64<<10, 256<<10, 1<<20, 4<<20, 16<<20, 64<<20)
}

// Times returns a Histogram of lengths of time in seconds, from 10 ms to a day.
func Times() *Histogram {
	return newHistogram(1e-6, .01, .05, .2, 1, 5, 30, 120, 600, 3600, 4*3600, 86400)
}

func newHistogram(unit float64, bounds ...float64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]Counter, len(bounds)+1), unit: unit}
}

// Observe counts a value, in the histogram's unit. A nil Histogram counts nothing.
func (h *Histogram) Observe(v float64) {
	if h == nil || math.IsNaN(v) {
		return
	}
	v = max(v, 0)
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Inc()
	h.sum.Add(int64(v / h.unit))
}

// Took counts a length of time.
func (h *Histogram) Took(d time.Duration) { h.Observe(d.Seconds()) }

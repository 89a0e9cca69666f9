package counters

import (
	"context"
	"time"
)

// SaveEvery is how often Run calls its function.
const SaveEvery = 5 * time.Minute

// Run takes a sample each minute until ctx ends, and calls save every SaveEvery.
func (r *Registry) Run(ctx context.Context, save func()) {
	saved := r.now()
	for {
		now := r.now()
		timer := time.NewTimer(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		r.Sample()
		if now = r.now(); now.Sub(saved) >= SaveEvery || now.Before(saved) {
			saved = now
			save()
		}
	}
}

// Sample puts what was counted since the last sample into the minute that ends now, or has not ended yet.
func (r *Registry) Sample() {
	list := r.values()
	r.mu.Lock()
	defer r.mu.Unlock()
	// What is counted at the very beginning of a minute belongs to the one before.
	minute := r.now().Add(-time.Second).Unix() / 60
	r.advance(minute)
	slot := minute % Minutes
	r.ran[slot] = true
	for i := range list {
		v := &list[i]
		s := r.named(v)
		if s == nil {
			continue
		}
		x := v.Now
		if s.count {
			x -= s.seen
			s.seen = v.Now
		}
		if s.ring == nil {
			if x == 0 {
				continue
			}
			s.ring = make([]float32, Minutes)
		}
		if s.count {
			s.ring[slot] += float32(x)
		} else {
			s.ring[slot] = float32(x)
		}
	}
}

// named is the series of a value, nil when there are too many. r.mu is held.
func (r *Registry) named(v *Value) *series {
	s := r.series[v.Key]
	if s == nil {
		if len(r.series) >= MaxSeries {
			return nil
		}
		s = &series{}
		r.series[v.Key] = s
	}
	if s.metric == nil {
		if s.count != v.Metric.isCount() { // a version before had it as something else
			s.ring, s.before = nil, 0
		}
		s.metric, s.count = v.Metric, v.Metric.isCount()
	}
	return s
}

// advance makes a minute the last one. Those between, in which nothing was counted, become empty; so do those that
// the clock takes back. r.mu is held.
func (r *Registry) advance(minute int64) {
	from, to := r.minute+1, minute
	if minute < r.minute {
		from, to = minute+1, r.minute
	}
	for m := max(from, to-Minutes+1); m <= to; m++ {
		slot := m % Minutes
		r.ran[slot] = false
		for _, s := range r.series {
			if s.ring != nil {
				s.ring[slot] = 0
			}
		}
	}
	r.minute = minute
}

// History is a series by the minute.
type History struct {
	// End is when the last minute ends.
	End time.Time
	// Values are those of Minutes minutes, the oldest first: what was counted in each, or the state at its end.
	Values []float64
	// Ran says of each whether the server ran.
	Ran []bool
}

// History is what a series has had; all zero for one that nobody knows.
func (r *Registry) History(key string) History { return r.Sum(func(k string) bool { return k == key }) }

// Sum is the history of the series with matching keys together.
func (r *Registry) Sum(match func(key string) bool) History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := History{End: time.Unix((r.minute+1)*60, 0), Values: make([]float64, Minutes), Ran: make([]bool, Minutes)}
	if r.minute == 0 {
		h.End = r.now().Truncate(time.Minute)
		return h
	}
	oldest := r.minute - Minutes + 1
	for i := range h.Ran {
		h.Ran[i] = r.ran[(oldest+int64(i))%Minutes]
	}
	for k, s := range r.series {
		if s.ring == nil || !match(k) {
			continue
		}
		for i := range h.Values {
			h.Values[i] += float64(s.ring[(oldest+int64(i))%Minutes])
		}
	}
	return h
}

// Series lists the keys of all series that had a value other than zero in the last day.
func (r *Registry) Series() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for k, s := range r.series {
		if s.ring != nil {
			out = append(out, k)
		}
	}
	return out
}

package queue

import (
	"time"

	"gatepost/queue/envelope"
)

// Schedule is when a delivery that failed for now is tried again. The interval
// follows from the age of the message, so that a restart changes nothing.
type Schedule struct {
	// First are the intervals after the first attempts: First[n] applies while
	// the age is below the sum of First[:n+1].
	First []time.Duration
	// Every applies until the age EveryFor, Then after it.
	Every, EveryFor, Then time.Duration
	// Expire is the age at which a failed attempt is final; 0: none is.
	Expire time.Duration
}

// with returns the schedule as a delay changes it that has rules of its own.
func (s Schedule) with(st envelope.Status) Schedule {
	if own := st.Schedule; own != nil {
		if own.Every > 0 {
			s.First, s.Every, s.Then = nil, own.Every, 0
		}
		if len(own.First) > 0 {
			s.First = own.First
		}
		if own.EveryFor > 0 {
			s.EveryFor = own.EveryFor
		}
		if own.Then > 0 {
			s.Then = own.Then
		}
	}
	if st.Retry > 0 {
		s.First, s.Every, s.Then = nil, st.Retry, 0
	}
	if st.Expire > 0 {
		s.Expire = st.Expire
	}
	return s
}

// lifetime is what decides about the end of a message: its age, and for how long
// this process has run.
type lifetime struct{ age, up time.Duration }

// trial is how long a process tries before it gives any message up. A machine
// may start with a clock that is wrong by years; in an hour its clock is set, by
// the network or by somebody, and the messages are as young as they were. The
// interval is then that of a message that has just come.
const trial = time.Hour

// minInterval protects against a schedule without intervals.
const minInterval = time.Second

// interval returns how long to wait after an attempt at an age. The last
// attempt is made at the age Expire, not an interval later.
func (s Schedule) interval(l lifetime) time.Duration {
	age, end := l.age, s.Expire
	if end > 0 && age >= end {
		age, end = l.up, s.trial()
	}
	wait := s.regular(age)
	if end > age {
		wait = min(wait, end-age)
	}
	return max(wait, minInterval)
}

func (s Schedule) trial() time.Duration { return min(s.Expire, trial) }

func (s Schedule) regular(age time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range s.First {
		if sum += d; age < sum {
			return d
		}
	}
	if age < s.EveryFor || s.Then <= 0 {
		return s.Every
	}
	return s.Then
}

// expired reports whether an attempt that failed is the last.
func (s Schedule) expired(l lifetime) bool {
	return s.Expire > 0 && l.age >= s.Expire && l.up >= s.trial()
}

// warnings returns how many of the warning ages have passed.
func warnings(warn []time.Duration, age time.Duration) int {
	n := 0
	for n < len(warn) && age >= warn[n] {
		n++
	}
	return n
}

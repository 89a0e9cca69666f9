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
	// Expire is the age at which a failed attempt is final.
	Expire time.Duration
}

// with returns the schedule as a delay changes it that has rules of its own.
func (s Schedule) with(st envelope.Status) Schedule {
	if st.Retry > 0 {
		s.First, s.Every, s.Then = nil, st.Retry, 0
	}
	if st.Expire > 0 {
		s.Expire = st.Expire
	}
	return s
}

// minInterval protects against a schedule without intervals.
const minInterval = time.Second

// interval returns how long to wait after an attempt at an age. The last
// attempt is made at the age Expire, not an interval later.
func (s Schedule) interval(age time.Duration) time.Duration {
	age = max(0, age) // the clock was set back
	wait := s.regular(age)
	if s.Expire > age {
		wait = min(wait, s.Expire-age)
	}
	return max(wait, minInterval)
}

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

// expired reports whether an attempt that failed at an age is the last.
func (s Schedule) expired(age time.Duration) bool { return s.Expire > 0 && age >= s.Expire }

// warnings returns how many of the warning ages have passed.
func warnings(warn []time.Duration, age time.Duration) int {
	n := 0
	for n < len(warn) && age >= warn[n] {
		n++
	}
	return n
}

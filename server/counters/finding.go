package counters

import "time"

// Finding is something that is not as it should be, or that an administrator wants to know of.
type Finding struct {
	// Kind says what: a word that pages have sentences for.
	Kind string
	// Bad says that mail or users suffer, now or soon; else it is a hint.
	Bad bool
	// Args are what the sentence of the kind takes.
	Args []any
	// Since is when it began, as far as that is known.
	Since time.Time
	// About is the name of what it is about: a domain, a queue, a helper, for the link to the remedy.
	About string
}

package mailrules

import (
	"context"
	"io"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/rules"
)

// Programs runs programs of the operating system for the action Execute.
type Programs interface {
	// Run runs a program and waits for its end, no longer than its limit. An error says that it was not
	// run, or did not come to an end by itself: it is not allowed or not there (fault.Denied,
	// fault.NotFound), has taken too long (fault.TooMany), or the server stops (fault.Canceled). Its text
	// says what an administrator can do about it.
	Run(ctx context.Context, p Program) (Ended, error)
}

// Program is a program that is to be run.
type Program struct {
	// Args are the program and its arguments. No shell sees them.
	Args []string
	// Message opens the message, which has CRLF line ends, for each run anew.
	Message func() (io.ReadCloser, error)
	// File appends the name of a file with the message to the arguments; else it is what the program gets
	// on its standard input.
	File bool
	// Env are variables besides the usual ones, as NAME=value.
	Env []string
	// Limit is how long it may run.
	Limit time.Duration
}

// Ended is how a program came to its end.
type Ended struct {
	Status int    // its exit status; 0 is success
	Stderr string // what it wrote to its standard error, cut to a bound
}

// Filters asks External Filters.
type Filters interface {
	// Ask has the filter with a name look at a message. A filter that is not there or not enabled
	// answers nothing, and the rules go on. One that cannot answer now gives Later, or nothing if its
	// settings let mail pass then. An error ends the rules for now, and the message is judged again. The
	// filter sees the message as it came.
	Ask(ctx context.Context, name string, m *queue.Message) (FilterAnswer, error)
}

// FilterAnswer is what a filter wants; the zero value lets the message pass. Of Later, Reject and Discard the
// first that is set counts.
type FilterAnswer struct {
	Fields  []rules.Field     // for the end of the header (ADDHEADER)
	Mirror  []address.Address // get a copy (MIRRORTO)
	Add     []address.Address // become recipients (ADDROUTE)
	Discard bool
	Reject  string        // the text of a refusal (ERROR)
	Later   time.Duration // (REJECTED)
	Reason  string        // of Later
}

// Queue is what sends.
type Queue interface {
	BeginHeld(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Drop(id envelope.QueueID) error
}

package queue

import (
	"context"
	"log/slog"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// Router is what the queue asks for every recipient.
type Router interface {
	Route(ctx context.Context, op names.Operation, a address.Address) (router.Route, error)
}

// Options are what a queue needs from the parts around it.
type Options struct {
	Router  Router
	Counter *Counter
	// MainDomain names this server in reports.
	MainDomain func() string
	Log        *slog.Logger
}

// Queue holds accepted messages. Its methods may be called from any goroutine.
type Queue struct{}

// Open opens the queue in a directory, which is created if it is missing. Files
// that were left half received are removed. Messages that wait there are taken
// up by Run.
func Open(dir string, o Options) (*Queue, error) {
	return nil, fault.New("queue.Open", fault.Unsupported, "")
}

// Handle names the transport of a module. All calls come before Run.
func (q *Queue) Handle(m router.Module, t Transport) {}

// OnFinish names what is called around the removal of queue files: sync makes
// durable what was made of the messages elsewhere, before their files go;
// forget hears of files that are gone for good. The call comes before Run.
func (q *Queue) OnFinish(sync func(ctx context.Context) error, forget func(ids []envelope.QueueID)) {
}

// Run delivers until ctx ends, and returns when deliveries under way have ended.
func (q *Queue) Run(ctx context.Context) error {
	return fault.New("queue.Run", fault.Unsupported, "")
}

// Begin opens the file of a new message and writes its envelope. The caller
// passes the message to Write and ends with Commit or Abort. The envelope
// belongs to the queue from now on. Errors: fault.Busy when the queue is at
// its limit, fault.NoSpace, fault.Invalid.
func (q *Queue) Begin(ctx context.Context, env *envelope.Envelope) (*Submission, error) {
	return nil, fault.New("queue.Begin", fault.Unsupported, "")
}

// Submission is a message that is being received. It belongs to one goroutine.
type Submission struct{}

// ID is the number of the message, for its Received field.
func (s *Submission) ID() envelope.QueueID { return 0 }

// Write takes bytes of the message, with CRLF line ends.
func (s *Submission) Write(p []byte) (int, error) {
	return 0, fault.New("queue.Write", fault.Unsupported, "")
}

// Size is the number of message bytes written so far.
func (s *Submission) Size() int64 { return 0 }

// Abort drops the message. After Commit it does nothing.
func (s *Submission) Abort() {}

// Commit makes the message durable and puts it into the logical queues of its
// recipients. After nil the server is responsible for it; after an error the
// message is gone. An error may be a refusal: fault.Loop, fault.NotFound when
// no recipient can be routed, fault.Rejected.
func (s *Submission) Commit(ctx context.Context) error {
	return fault.New("queue.Commit", fault.Unsupported, "")
}

// Wake clears the delay of a logical queue and of the messages in it. It
// reports whether there is such a queue.
func (q *Queue) Wake(m router.Module, queue string) bool { return false }

// WakeModule is Wake for all queues of a module.
func (q *Queue) WakeModule(m router.Module) {}

// Reject ends delivery to the recipients that still wait. The text goes into
// the report; with report false there is none. It returns fault.NoMessage for a
// message that is not in the queue.
func (q *Queue) Reject(ctx context.Context, id envelope.QueueID, text string, report bool) error {
	return fault.New("queue.Reject", fault.Unsupported, "")
}

// Info is the state of one logical queue.
type Info struct {
	Messages    int
	Size        int64
	DelayedTill time.Time // zero: not delayed
	LastError   string
}

// Info returns the state of a logical queue, and false if there is none.
func (q *Queue) Info(m router.Module, queue string) (Info, bool) { return Info{}, false }

// Entry is one waiting recipient, for lists.
type Entry struct {
	ID         envelope.QueueID
	Submitted  time.Time
	Size       int64
	ReturnPath address.Address
	Recipient  address.Address
	Module     router.Module
	Queue      string
	NextTry    time.Time // zero: now
	LastError  string
}

// List calls fn for every waiting recipient, in the order of the IDs, until fn
// returns false.
func (q *Queue) List(ctx context.Context, fn func(Entry) bool) error {
	return fault.New("queue.List", fault.Unsupported, "")
}

// Len is the number of messages in the queue.
func (q *Queue) Len() int { return 0 }

type entry struct{}

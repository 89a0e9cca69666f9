package queue

import (
	"bufio"
	"os"
	"sync"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
)

// message is one message of the queue in memory. Queue.mu guards it. It is kept
// small: a queue may hold hundreds of thousands.
type message struct {
	id        envelope.QueueID
	submitted int64         // seconds of the epoch
	born      time.Duration // on the clock of this process, see Queue.lifetime
	offset    int64         // of the message in its file
	size      int64         // of the message
	hot       *head         // the envelope, or nil: it is read from the file when needed

	rcpts   []rcptState // by the index in the envelope; nil until the file was read
	waiting int         // recipients without a final result
	entries *entry      // its places in logical queues, linked by next

	outcomes  []outcome // results that the sender has to hear of
	reportAt  time.Time // when outcomes are due for the reporter; zero: not on its list
	reporting bool      // a reporter works on it
	bugs      uint8     // how often a bug has stopped a report
	untold    bool      // a failure could not be reported: the administrator gets the file
	finished  bool      // handed to the remover

	rejected *rejection // an administrator ends it
	onHold   bool       // an administrator has it wait
	bulk     bool       // other mail comes first
	tried    []Tried    // the last attempts, see remember
}

type rcptState struct {
	state  envelope.State
	warned uint8
}

type rejection struct {
	text   string
	report bool
}

// head is what the queue file says about a message, with the routes of the
// recipients that wait. It is not changed once it is made, but for routes: what
// delivers to a recipient reads his, which is there before he enters a queue.
type head struct {
	env    *envelope.Envelope
	layout envelope.Layout
	size   int64 // of the message
	routes []router.Route
	known  bool   // routes were found just now and need not be asked for, those with a module
	header []byte // of the message, from Commit to the rules; nil if it was not kept
}

// outcome is a result for one recipient.
type outcome struct {
	rcpt   int
	module router.Module
	queue  string
	status envelope.Status
	state  envelope.State // Waiting: the sender is warned of a delay
	warned int            // the new count of delay reports, or 0: unchanged
}

// entry is a message in one logical queue. Queue.mu guards it.
type entry struct {
	msg     *message
	queue   *logical
	next    *entry // the message's next entry, and the one before; there may be thousands
	prev    *entry
	rcpts   []int // the recipients that wait here
	due     time.Time
	lastErr string
	place   place
}

// place is where an entry is. Slices of entries may hold ones that have moved
// on; the place tells.
type place uint8

const (
	gone    place = iota // in no queue
	ready                // waits for its queue's turn
	delayed              // waits for its own time
	active               // a worker has it
)

// lifetime returns how old a message is. Its file tells that by the clock of the
// machine, which may be set while it waits: so the age is never more than it was
// when this process met the message and the time since, which is measured by a
// clock that nobody sets. That alone counts for a message from the future.
func (q *Queue) lifetime(m *message) lifetime {
	up := time.Since(q.opened)
	age := up - m.born
	if byClock := q.ageByClock(m); byClock >= 0 {
		age = min(age, byClock)
	}
	return lifetime{age: age, up: up}
}

func (q *Queue) ageByClock(m *message) time.Duration {
	return q.clock().Sub(time.Unix(m.submitted, 0))
}

func (m *message) unlink(e *entry) {
	switch {
	case e.prev != nil:
		e.prev.next = e.next
	case m.entries == e:
		m.entries = e.next
	default:
		return // it is not in the list
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.next, e.prev = nil, nil
}

// newStates starts the states of the recipients from the envelope and counts who
// waits. Who has a result that was not reported waits for the enqueuer, which makes
// the report.
func (m *message) newStates(env *envelope.Envelope) {
	m.rcpts = make([]rcptState, len(env.Recipients))
	m.waiting = 0
	for i := range env.Recipients {
		r := &env.Recipients[i]
		state := r.State
		if state == 0 || state.Unreported() {
			state = envelope.Waiting
		}
		m.rcpts[i] = rcptState{state: state, warned: uint8(min(r.Warned, 255))}
		if state == envelope.Waiting {
			m.waiting++
		}
	}
}

var headReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// readHead reads the envelope of a queue file. Its errors: fault.Corrupt and
// fault.Unsupported from the codec, fs.ErrNotExist, or what the disk says.
func (q *Queue) readHead(id envelope.QueueID) (*head, error) { return readHead(q.path(id, extMsg)) }

func readHead(path string) (*head, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := headReaders.Get().(*bufio.Reader)
	defer headReaders.Put(r)
	r.Reset(f)
	env, layout, err := envelope.ReadHead(r)
	r.Reset(nil)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &head{env: env, layout: layout, size: info.Size() - layout.Message}, nil
}

// waitingRcpts returns the recipients that have no final result. Queue.mu is held.
func (m *message) waitingRcpts() (rcpts []int) {
	for i := range m.rcpts {
		if m.rcpts[i].state == envelope.Waiting {
			rcpts = append(rcpts, i)
		}
	}
	return rcpts
}

// The extensions of queue files.
const (
	extTmp  = ".tmp"  // being received: nobody was promised anything
	extHeld = ".held" // made by a delivery, see held.go
	// extHeldFor, with a queue ID behind it, is that of what server rules make; with an index
	// behind that, of what is sent on for a recipient.
	extHeldFor = ".for-"
	extMsg     = ".msg" // accepted
	extBad     = ".bad" // does not read back; kept for the administrator
)

func fileName(id envelope.QueueID, ext string) string { return id.String() + ext }

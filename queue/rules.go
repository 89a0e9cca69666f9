package queue

import (
	"context"
	"io"
	"os"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
)

// Rules decide what becomes of a message: the server's own, and external filters.
type Rules interface {
	// Active reports whether there is anything to ask about. It is asked for every
	// message and answers from memory.
	Active() bool
	// Judge is asked about each message once it is durable, before any recipient gets
	// it. At most EnqueuerProcessors calls run at once; deliveries do not wait for them.
	// ctx ends when the server stops: the message is judged after the next start.
	//
	// No Verdict means: nothing is to be done, and nothing was done. It costs no write,
	// and Judge may be asked again after a restart. With any Verdict the message is
	// marked, and Judge is not asked again, unless the Verdict is to try it later. An
	// error is a fault of the server and puts the message off.
	Judge(ctx context.Context, m *Message) (*Verdict, error)
}

// Message is a message that Rules judge.
type Message struct {
	ID envelope.QueueID
	// Envelope is not to be changed.
	Envelope *envelope.Envelope
	// Routes are where the recipients lead, in their order. Those that cannot be told, or
	// were expanded, have the zero Route.
	Routes []router.Route
	// File is the absolute path of the queue file. The message is Size bytes from Offset
	// on, with CRLF line ends; before it stand envelope lines.
	File         string
	Offset, Size int64
	// Header is the header with the empty line that ends it, if it is at hand; else nil, and it is
	// read from the file. It is not to be changed.
	Header []byte
	// Waits says that the source waits for the answer: a refusal reaches it as such.
	Waits bool
}

// Open opens the message.
func (m *Message) Open() (io.ReadSeekCloser, error) {
	f, err := os.Open(m.File)
	if err != nil {
		return nil, err
	}
	return messageFile{io.NewSectionReader(f, m.Offset, m.Size), f}, nil
}

type messageFile struct {
	*io.SectionReader
	io.Closer
}

// Verdict is what is to be done with a message. The zero Verdict changes nothing; it says
// that Judge has acted itself, by a program that it has run for instance. Of Later,
// Reject and Discard the first that is set counts, and the changes do not.
type Verdict struct {
	// Prefix takes the place of the first Replaced bytes of the message: header fields
	// that are put before it, or, if Replaced is the size of its header, a new header.
	Prefix   []byte
	Replaced int64
	// Recipients, if not nil, are those who get the message. Who stays is as he was in
	// Message.Envelope.
	Recipients []envelope.Recipient
	// Bulk, if not nil, says whether the message is bulk mail: it is delivered after
	// other mail that waits for the same host, account or program.
	Bulk *bool
	// Discard drops the message. Nobody is told.
	Discard bool
	// Reject refuses the message with this text. A source that waits is told; else a
	// report is made.
	Reject string
	// Send are messages that the rules have made, see Submission.HoldFor. They are published once
	// the verdict is durable; if the message is put off, they are dropped.
	Send []envelope.QueueID
	// Later puts the message off for that time, for Reason; Judge is asked again. A
	// source that waits is refused for now, unless Hold says that the message stays.
	Later  time.Duration
	Hold   bool
	Reason string
}

// RulesModule is the module of messages that wait for Rules. Its one queue has no name.
const RulesModule router.Module = "ENQUEUERRULES"

// UseRules names the rules. The call comes before Run, and before the first message is
// accepted.
func (q *Queue) UseRules(r Rules) {
	mod := newModule(RulesModule, judging{q})
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rules = r
	q.modules[RulesModule] = mod
}

// judging is the policy of RulesModule; its batches do not reach a transport. It is asked
// once: what rules have done can have left the server.
type judging struct{ q *Queue }

func (judging) Deliver(context.Context, *Batch) {}

func (j judging) Policy() Policy {
	p := routing(j).Policy()
	p.BatchSize = 1 // one that takes long does not keep others from the next worker
	return p
}

// toBeJudged reports whether rules are still to be asked about a message. Once a recipient
// has a result it is behind them. A warning about a delay says nothing: it can be the rules
// that put the message off.
func (q *Queue) toBeJudged(env *envelope.Envelope) bool {
	return q.rules != nil && !judged(env) && q.rules.Active()
}

// judged reports whether a message is behind the rules.
func judged(env *envelope.Envelope) bool {
	if env.RulesDone {
		return true
	}
	for i := range env.Recipients {
		if r := &env.Recipients[i]; r.State != 0 && r.State != envelope.Waiting {
			return true
		}
	}
	return false
}

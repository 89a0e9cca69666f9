package delivery

import (
	"context"
	"io"
	"os"
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
)

// Rules are the rules of domains and accounts. They decide what becomes of a message in an account,
// and do nothing themselves.
type Rules interface {
	// Have reports whether there are rules for an account. It is asked for every delivery and
	// answers from memory.
	Have(acc *accounts.Account) bool
	// Apply returns the actions for a message, in the order in which they are carried out. An error
	// puts the delivery off.
	Apply(ctx context.Context, m *Message) ([]Action, error)
}

// Message is what rules see: a message for an account, before it is stored. It is not to be changed.
type Message struct {
	ID       envelope.QueueID
	Account  *accounts.Account
	Envelope *envelope.Envelope
	// Recipients are those recipients of the envelope that lead to the account's INBOX, as
	// indexes, and Routes their routes, in the same order.
	Recipients []int
	Routes     []router.Route
	Summary    *message.Summary
	Size       int64
	// Before is header fields that stand before the message in the account, as complete lines, for rules to see.
	Before []byte
	// Programs are those that rules run on the message for the account.
	Programs *Programs

	file   string
	offset int64
}

// Open opens the message for reading, from its first header field on.
func (m *Message) Open() (*Text, error) {
	f, err := os.Open(m.file)
	if err != nil {
		return nil, err
	}
	return &Text{io.NewSectionReader(f, m.offset, m.Size), f}, nil
}

// Text is an open message. Its owner closes it.
type Text struct {
	*io.SectionReader
	io.Closer
}

// Calendars take over what messages say about events.
type Calendars interface {
	// Concerns reports whether a message may say something. It is asked for every delivery and answers from memory.
	Concerns(sum *message.Summary) bool
	// Process takes over what the message says, and returns actions that follow from it. wish is what rules have asked for. It may be
	// called again for the same message; taken says that it was taken over, now or before. An error puts the delivery off.
	Process(ctx context.Context, m *Message, wish Schedule) (actions []Action, taken bool, err error)
}

// UseCalendars has messages about events taken over. It is called before the transport is used.
func (t *Transport) UseCalendars(c Calendars) { t.calendars = c }

// schedule has the calendars take over a message, unless the rules end it without having asked for that, and puts what follows into the actions.
func (t *Transport) schedule(ctx context.Context, m *Message, actions []Action) ([]Action, error) {
	var wish Schedule
	asked, ended, end := false, false, len(actions)
	var left []Action
	for _, a := range actions {
		switch a := a.(type) {
		case Schedule:
			asked = true
			wish.Request, wish.Reply = wish.Request || a.Request, wish.Reply || a.Reply
			wish.Options += " " + a.Options
			continue
		case Discard, Reject:
			ended = true
			end = min(end, len(left))
		case Stop:
			end = min(end, len(left))
		}
		left = append(left, a)
	}
	if t.calendars == nil || !t.calendars.Concerns(m.Summary) || ended && !asked {
		return left, nil
	}
	more, taken, err := t.calendars.Process(ctx, m, wish)
	if err != nil {
		return nil, err
	}
	if asked && !taken { // what the rule wanted could not be done: the message is kept
		left = slices.DeleteFunc(left, func(a Action) bool { _, is := a.(Discard); return is })
	}
	return slices.Insert(left, min(end, len(left)), more...), nil
}

// An Action is one of Store, Mark, AddFields, SetHeader, Send, Remember, Schedule, Then, Stop, Discard and Reject. A message whose
// actions end without Discard or Reject goes into INBOX.
type Action interface{ action() }

// Store puts a copy into a mailbox: of the account, or of the one with a Name in a Domain. Who
// decides has made sure that the account may store there. A mailbox that is not there, and
// another account that is full, is skipped; then the message goes into INBOX whatever the actions say.
type Store struct {
	Domain, Name string
	Mailbox      string
}

// Mark says which flags the copies have that are made after it. The last one counts.
type Mark struct{ Flags []imap.Flag }

// AddFields puts header fields before the copies that are made after it, and before what is sent on:
// complete lines with CRLF.
type AddFields struct{ Fields []byte }

// SetHeader gives the message another header, for the copies that are made after it and for what is
// sent on: Text takes the place of its first Replaced bytes. The last one counts. Such a copy has a
// file of its own, where others share the queue file.
type SetHeader struct {
	Text     []byte
	Replaced int64
}

// Send submits a message. To addresses of the account itself nothing is sent. When nobody can get
// the message, the one that is delivered goes into INBOX whatever the actions say.
type Send struct {
	ReturnPath address.Address
	To         []address.Address
	// Fields are put before the delivered message, as complete lines with CRLF.
	Fields []byte
	// Text, if not nil, is sent instead of it: a whole message with CRLF line ends.
	Text []byte
	// Tag, if not empty, is the submit tag of the message, which then is the account's own (envelope.Source.Account).
	Tag string
}

// Remember puts an address into a dataset of the account, with the commit of the delivery.
type Remember struct{ Dataset, Address string }

// Schedule has what the message says about events taken over, as Calendars can: invitations are put into the calendar and answered
// by whether the time is free (Request), answers and cancellations are taken over (Reply).
type Schedule struct {
	Request, Reply bool
	// Options are words of the rule.
	Options string
}

// Then is done after the commit: what is outside of the server, and lost if it crashes just then.
type Then struct{ Do func() }

// Stop ends the actions.
type Stop struct{}

// Discard ends the actions; the message does not go into INBOX.
type Discard struct{}

// Reject ends the actions; the message does not go into INBOX, and its sender gets a report with
// the text.
type Reject struct{ Text string }

func (Store) action()     {}
func (Mark) action()      {}
func (AddFields) action() {}
func (SetHeader) action() {}
func (Send) action()      {}
func (Remember) action()  {}
func (Schedule) action()  {}
func (Then) action()      {}
func (Stop) action()      {}
func (Discard) action()   {}
func (Reject) action()    {}

// maxParts bounds the copies, and the messages to send, of one message in one account.
const maxParts = 100

// plan is what the actions come to.
type plan struct {
	copies []planned
	sends  []sending
	known  []mailbox.Remembered
	then   []func()
	inbox  bool // there is a copy in INBOX, with the flags and fields below
	flags  []imap.Flag
	fields []byte
	header *SetHeader
	reject string
	over   bool // there are more than maxParts: the others are left out, and INBOX has the message
	// nowhere says that no mailbox has the message, so that its sender has to hear if what is sent on fails.
	nowhere bool
}

// planned is one copy.
type planned struct {
	Store
	number uint32 // from 1
	flags  []imap.Flag
	fields []byte
	header *SetHeader
}

// sending is one message to send, with the fields added so far.
type sending struct {
	Send
	header *SetHeader
}

// planOf goes through the actions.
func planOf(actions []Action) plan {
	p := plan{inbox: true}
	for _, a := range actions {
		switch a := a.(type) {
		case Store:
			if len(p.copies) == maxParts {
				p.over = true
				continue
			}
			p.copies = append(p.copies, planned{a, uint32(len(p.copies) + 1), p.flags[:len(p.flags):len(p.flags)], p.fields[:len(p.fields):len(p.fields)], p.header})
		case Mark:
			p.flags = a.Flags
		case AddFields:
			p.fields = append(p.fields, a.Fields...)
		case SetHeader:
			p.header = &a
		case Send:
			if len(p.sends) == maxParts {
				p.over = true
				continue
			}
			if a.Text == nil {
				a.Fields = append(append([]byte(nil), a.Fields...), p.fields...)
			}
			p.sends = append(p.sends, sending{a, p.header})
		case Remember:
			p.known = append(p.known, mailbox.Remembered(a))
		case Then:
			p.then = append(p.then, a.Do)
		case Stop:
			return p
		case Discard:
			p.inbox = p.over
			return p
		case Reject:
			p.inbox, p.reject = p.over, a.Text
			return p
		}
	}
	return p
}

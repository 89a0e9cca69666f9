package smtp

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"time"

	"gatepost/accounts"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A Check looks at each message between its last byte and its commit: SPF, DKIM, DMARC, a filter.
// Checks run one after the other in the session's goroutine, while the client waits for the reply.
type Check interface {
	// Check says what becomes of the message. It returns soon after ctx has ended: that is when the
	// time for all checks of the message is over, or the server stops. An error
	// says that the check could not be made; the client is then asked to try again.
	Check(ctx context.Context, m *Message) (Verdict, error)
}

// Message is what a Check sees. It is valid until Check returns, and not to be changed.
type Message struct {
	// ID is the message's queue ID.
	ID envelope.QueueID
	// Envelope has the return-path and the recipients.
	Envelope *envelope.Envelope
	// Client is the address of the client, HELO the name that it gave, as it came.
	Client netip.Addr
	HELO   string
	// Account is the authenticated sender, or nil. Trusted tells a Client IP.
	Account *accounts.Account
	Trusted bool
	// Name is the domain in whose name the message is received.
	Name string
	// Text is the message as it is stored: our Received field, then what the client sent, with
	// CRLF line ends. Those who checked before may have put fields before it.
	Text io.ReaderAt
	Size int64
}

// Verdict is the result of a Check. The zero Verdict accepts the message as it is.
type Verdict struct {
	// Refuse, if not nil, is why the message is refused; its kind says whether for good
	// (fault.Rejected) or for now, its text is what the client reads.
	Refuse error
	// Drop says that the message is answered as if it were accepted, and that nobody gets it.
	Drop bool
	// Fields are put before the message: complete lines with CRLF.
	Fields []byte
	// Header, if not nil, takes the place of the first HeaderSize bytes of the message, which are its header
	// up to the empty line: complete lines with CRLF.
	Header     []byte
	HeaderSize int64
	// Hide are offsets in Text of Authentication-Results fields that the server did not write although they
	// bear its name. They get another name (RFC 8601 section 5).
	Hide []int64
	// Body, if not nil, takes the place of what follows the header, behind the empty line: text with CRLF line ends.
	// BodyAt is where that begins in Text.
	Body   []byte
	BodyAt int64
	// Edits change the message at some places. A Verdict that has them has no Hide, Header and Body.
	Edits []queue.Edit
	// ReturnPath, if not nil, takes the place of the one in the envelope. Remove are recipients who do not get the message,
	// and Add others who do, and of whom nobody hears. A message without recipients is dropped.
	ReturnPath  *address.Address
	Add, Remove []address.Address
	// Junk says that the message goes into the Junk mailboxes of its recipients.
	Junk bool
}

// errUnchecked is the reply to a message when a check could not be made.
var errUnchecked = fault.New("smtp.check", fault.Unavailable, "the message could not be checked, try again later")

// check has the message looked at. It reports that the message is to be dropped, or why it is refused.
func (s *session) check(b *body, env *envelope.Envelope) (drop bool, err error) {
	if len(s.srv.checks) == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, checkTimeout)
	defer cancel()
	sub, ok := b.sub.(inspected)
	if !ok {
		return false, fault.New("smtp.check", fault.Internal, "")
	}
	for _, c := range s.srv.checks {
		text, err := sub.Message()
		if err != nil {
			return false, err
		}
		m := &Message{
			ID: b.id, Envelope: env, Client: s.remote, HELO: s.helo, Account: s.account, Trusted: s.isClient(), Name: s.name,
			Text: text, Size: text.Size(),
		}
		v, err := s.runCheck(ctx, c, m)
		switch {
		case err != nil:
			s.log.LogAttrs(s.ctx, logs.LevelFailure, "check failed", slog.Any(logs.AttrQueueID, b.id), slog.Any(logs.AttrError, err))
			return false, errUnchecked
		case v.Refuse != nil:
			return false, v.Refuse
		case v.Drop:
			return true, nil
		}
		for _, at := range v.Hide {
			if err := sub.Overwrite(at, []byte(hiddenResults)); err != nil {
				return false, err
			}
		}
		if v.Junk {
			if err := sub.MarkJunk(); err != nil {
				return false, err
			}
		}
		if v.ReturnPath != nil || len(v.Add)+len(v.Remove) > 0 {
			left, err := s.readdress(sub, &v)
			if err != nil || !left {
				return err == nil, err
			}
			env = sub.Envelope()
		}
		if len(v.Edits) > 0 {
			if err := sub.Edit(v.Edits); err != nil {
				return false, err
			}
		}
		if v.Body != nil { // before the header changes its offset
			if err := sub.ReplaceBody(v.BodyAt, v.Body); err != nil {
				return false, err
			}
		}
		if v.Header != nil {
			if err := sub.ReplaceHeader(v.HeaderSize, v.Header); err != nil {
				return false, err
			}
		}
		if err := sub.Prepend(v.Fields); err != nil {
			return false, err
		}
	}
	return false, nil
}

// readdress changes the envelope of a message as a check wants. It reports false if no recipient is left.
func (s *session) readdress(sub inspected, v *Verdict) (left bool, err error) {
	add := make([]envelope.Recipient, len(v.Add))
	for i, a := range v.Add {
		add[i] = envelope.Recipient{Address: a, Notify: envelope.NotifyNever}
	}
	return sub.Readdress(v.ReturnPath, add, v.Remove)
}

// runCheck turns a panic into an error: the message is not accepted unchecked, and its file goes.
func (s *session) runCheck(ctx context.Context, c Check, m *Message) (v Verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.LogAttrs(s.ctx, logs.LevelCrash, "check crashed", slog.Any(logs.AttrQueueID, m.ID), slog.Any(logs.AttrError, p),
				slog.String("stack", string(debug.Stack())))
			err = fault.New("smtp.check", fault.Internal, "")
		}
	}()
	return c.Check(ctx, m)
}

// checkTimeout bounds all checks of a message: clients wait ten minutes for the reply to the final
// dot (RFC 5321 section 4.5.3.2.6).
const checkTimeout = 2 * time.Minute

// hiddenResults is as long as the name Authentication-Results.
const hiddenResults = "X-Foreign-Auth-Results"

// inspected is what checks need of a queue.Submission.
type inspected interface {
	Message() (*io.SectionReader, error)
	Prepend(fields []byte) error
	ReplaceHeader(size int64, fields []byte) error
	Overwrite(at int64, text []byte) error
	MarkJunk() error
	ReplaceBody(at int64, text []byte) error
	Edit(edits []queue.Edit) error
	Readdress(returnPath *address.Address, add []envelope.Recipient, remove []address.Address) (left bool, err error)
	Envelope() *envelope.Envelope
}

// dropMessage answers a message that nobody gets.
func (s *session) dropMessage(b *body, env *envelope.Envelope, why string) {
	b.abort()
	s.srv.counts.Dropped.Inc()
	s.log.LogAttrs(s.ctx, logs.LevelMajor, why, slog.Any(logs.AttrQueueID, b.id), slog.String(logs.AttrReturnPath, shown(env.ReturnPath)))
	s.accepted(b.id)
}

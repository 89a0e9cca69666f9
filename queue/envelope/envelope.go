// Package envelope is the vocabulary of mail in transit: what MAIL and RCPT
// said, where a message came from, and how each recipient fared.
//
// It holds values without state. The queue keeps them on disk (codec.go has the
// lines at the head of a queue file), transports read them, reports are made of
// them.
package envelope

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatepost/router/address"
)

// QueueID numbers a message in this server. IDs grow by one, come from one
// counter for the whole server and never repeat (spec: queue files are named
// by it; replies, Received fields and logs show it in decimal).
type QueueID uint64

func (id QueueID) String() string { return strconv.FormatUint(uint64(id), 10) }

// EnvelopeID is the sender's ENVID, decoded from xtext (RFC 3461 section 4.4).
type EnvelopeID string

// Notify is the set of reports that a recipient's sender asked for (RFC 3461
// section 4.1). The zero value is NOTIFY=NEVER.
type Notify uint8

// The reports.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	// NotifyGiven says that FAILURE,DELAY was asked for: without it, it is what a RCPT without NOTIFY
	// means. The next server is told what was asked for, and no more (RFC 3461 section 5.2.1).
	NotifyGiven

	// NotifyDefault is what a RCPT without NOTIFY means.
	NotifyDefault = NotifyFailure | NotifyDelay
	NotifyNever   = Notify(0)
)

// Return says how much of the message a failure report returns (RFC 3461
// section 4.3).
type Return uint8

// The amounts.
const (
	ReturnDefault Return = iota
	ReturnFull
	ReturnHeaders
)

// Body is the BODY parameter of MAIL (RFC 6152, RFC 3030).
type Body uint8

// The bodies.
const (
	Body7Bit Body = iota
	Body8BitMIME
	BodyBinaryMIME
)

// Source tells where a message came from.
type Source struct {
	// Tag is the submit tag: SMTP, RULE, DSN, PIPE ...
	Tag string
	// IP is the peer, or the zero Addr for the server itself.
	IP netip.Addr
	// Account is the authenticated sender as account@domain, or empty.
	Account string
	// Domain is the domain in whose name the message was received, LocalIP the
	// address that it was received on.
	Domain  string
	LocalIP netip.Addr
	// Trusted sources may relay: authenticated users with the Relay service,
	// Client IPs and the server itself.
	Trusted bool
}

// TagList is the submit tag of what mailing lists send to subscribers and store with their owners. A recipient without a Token
// names the mailbox that the list has there. No message from outside has the tag.
const TagList = "LIST"

// TagCalendar is the submit tag of what calendars send: invitations, answers. Source.Account is the account whose calendar it is. No message
// from outside has the tag.
const TagCalendar = "CALENDAR"

// Envelope is one message's transaction.
type Envelope struct {
	Source     Source
	ReturnPath address.Address // the zero Address is <>
	// ReturnPathLocal is the local part of the return-path as it was written, see
	// Recipient.Local.
	ReturnPathLocal string
	Recipients      []Recipient
	// Personal is header fields, each with its CRLF, that stand before the message for recipients that have a
	// Token: in the place of TokenMark. It is of lists and the like, whose recipients each get links of their own.
	Personal string
	ID       EnvelopeID
	Return   Return
	Body     Body
	SMTPUTF8 bool
	// Submitted is when the server took responsibility, in UTC to the second.
	Submitted time.Time
	// RequireTLS says that the message goes on only over TLS to hosts that prove who they are (REQUIRETLS, RFC 8689).
	RequireTLS bool
	// TLSOptional says that it is sent whatever its recipients' domains ask of TLS (TLS-Required: No, RFC 8689).
	TLSOptional bool
	// Bulk mail is delivered after other mail of the same logical queue.
	Bulk bool
	// Junk mail goes into the Junk mailboxes of its recipients.
	Junk bool
	// RulesDone says that the server rules ran; they don't run again after a restart.
	RulesDone bool
	// OnHold and Rejected are what an administrator has said about the message.
	OnHold   bool
	Rejected Rejected
}

// Rejected says whether an administrator has ended a message: who still waits fails.
type Rejected byte

// The values, by their letter in the queue file.
const (
	NotRejected        Rejected = 0
	RejectedWithReport Rejected = 'R'
	RejectedSilently   Rejected = 'N'
)

// State is what has become of a recipient.
type State byte

// The states, by their letter in the queue file.
const (
	Waiting   State = 'W'
	Delivered State = 'D'
	Failed    State = 'F'
	Expired   State = 'X' // expired, or rejected by an administrator

	// There is a result, and the sender is still to be told.
	RelayedUnreported   State = 'S' // another server has it
	DeliveredUnreported State = 'C'
	FailedUnreported    State = 'B'

	// HandedOver: a transport that must not act twice has begun with the recipient, and its result
	// is not known. After a crash the sender is told so.
	HandedOver State = 'P'
)

// Unreported reports whether the sender is still to be told of a result, or that there is none. Nothing is
// to be delivered to such a recipient.
func (s State) Unreported() bool {
	return s == RelayedUnreported || s == DeliveredUnreported || s == FailedUnreported || s == HandedOver
}

// Recipient is one RCPT.
type Recipient struct {
	// Address is the recipient as it was given.
	Address address.Address
	// Local is the local part as it was written, with its quotes, where Address does
	// not show it so; else empty (address.WrittenLocal). It belongs to its domain
	// alone, and goes to it as it came (RFC 5321 section 2.3.11).
	Local string
	// Original is ORCPT as "type;address", decoded from xtext, or empty (RFC 3461 section 4.2).
	Original string
	Notify   Notify
	State    State
	// Warned counts the delay reports sent so far.
	Warned int
	// Expanded says that the address stands for others, all of which are
	// recipients of the same message: nothing is to be delivered to it.
	Expanded bool
	// Token, if any, stands for the recipient in the return-path that this recipient's message has, behind a +, so that a
	// report of a failure tells whose it is (VERP), and in Envelope.Personal. It consists of letters and digits.
	Token string
}

// TokenMark is what a recipient's token takes the place of in Envelope.Personal.
const TokenMark = "{token}"

// ReturnPathFor returns the return-path of the message for a recipient, and its local part as it was written, see
// Recipient.Local.
func (e *Envelope) ReturnPathFor(rcpt int) (a address.Address, local string) {
	token := e.Recipients[rcpt].Token
	if token == "" || e.ReturnPath.IsNull() {
		return e.ReturnPath, e.ReturnPathLocal
	}
	a = e.ReturnPath
	a.Local += "+" + token
	return a, ""
}

// PersonalFor returns the header fields that stand before the message for a recipient, or nothing.
func (e *Envelope) PersonalFor(rcpt int) []byte {
	token := e.Recipients[rcpt].Token
	if token == "" || e.Personal == "" {
		return nil
	}
	return []byte(strings.ReplaceAll(e.Personal, TokenMark, token))
}

// Action is the Action field of a delivery report (RFC 3464 section 2.3.3).
type Action uint8

// The actions. ActionDelayed means: try again later.
const (
	ActionDelayed Action = iota
	ActionFailed
	ActionDelivered
	ActionRelayed
	ActionExpanded
)

func (a Action) String() string {
	return [...]string{"delayed", "failed", "delivered", "relayed", "expanded"}[a]
}

// Code is an enhanced status code (RFC 3463): class, subject, detail.
type Code [3]int

func (c Code) String() string {
	return strconv.Itoa(c[0]) + "." + strconv.Itoa(c[1]) + "." + strconv.Itoa(c[2])
}

// Status is the outcome of one delivery attempt to one recipient.
type Status struct {
	Action Action
	Code   Code
	// Text is one or more lines for people, as it appears in reports and logs:
	// "Delivered to the user mailbox", "account is full (quota exceeded)".
	Text string
	// Remote is the host that decided, and Reply what it said, when the
	// decision was made by another server.
	Remote string
	Reply  string
	// TLS is the version of the encryption towards Remote, or empty.
	TLS string
	// Queue says that the whole logical queue has to wait, not this recipient
	// alone: the host does not answer, the account is full.
	Queue bool
	// Passed says that the next hop took over the wish for a success report
	// (RFC 3461 section 5.2.1): none is made here.
	Passed bool
	// Retry and Expire, if not 0, replace the interval and the age at which the
	// queue gives up, for a delay that has rules of its own.
	Retry, Expire time.Duration
	// Schedule, if it is not nil, replaces parts of the module's, before Retry and Expire do.
	Schedule *Schedule
}

// Schedule are intervals for one destination in place of those of its module (queue.Schedule). What is
// empty is the module's; Every alone applies at every age.
type Schedule struct {
	First                 []time.Duration
	Every, EveryFor, Then time.Duration
}

// Summary is the status in one line, for logs and lists.
func (s *Status) Summary() string {
	text := s.Text
	if s.Reply != "" {
		text += ": " + s.Reply
	}
	return strings.Join(strings.Fields(text), " ")
}

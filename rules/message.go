package rules

import (
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// Level says whose rules they are.
type Level uint8

// The levels. The rules of a cluster are of the level Server.
const (
	Server  Level = iota // applied by the enqueuer, once to each message
	Domain               // applied by local delivery for each account of a domain
	Account              // applied by local delivery
)

func (l Level) String() string { return [...]string{"server", "domain", "account"}[l] }

// Tag is the submit tag of messages that rules of the level make.
func (l Level) Tag() string {
	if l == Server {
		return tagServerRule
	}
	return tagRule
}

const (
	tagServerRule = "SRULE"
	tagRule       = "RULE"
)

// levels is a set of levels.
type levels uint8

const (
	atServer    levels = 1 << Server
	atDelivery  levels = 1<<Domain | 1<<Account
	atAllLevels levels = atServer | atDelivery
)

func (s levels) has(l Level) bool { return s&(1<<l) != 0 }

// Message is what rules ask about a message. What costs something is asked only when a rule needs
// it, and once in a run.
type Message interface {
	// Envelope is the transaction that brought the message.
	Envelope() *envelope.Envelope
	// Recipients are the recipients that the rules are about, as numbers in the envelope; nil is
	// all of them.
	Recipients() []int
	// Routes are where the recipients lead, as the router prints routes. Server rules ask.
	Routes() []string
	// Size is the number of bytes of the message.
	Size() int64
	// Header is the header, raw, with or without the empty line that ends it.
	Header() ([]byte, error)
	// CalendarMethod is the method of the message's calendar part (RFC 6047), or "".
	CalendarMethod() (string, error)

	// Decode returns the value of a header field as people read it: on one line, encoded words
	// decoded.
	Decode(value []byte) string
	// Addresses returns the addresses in the value of a header field.
	Addresses(value []byte) []Mailbox
}

// Mailbox is an address of a header field.
type Mailbox struct {
	Name    string // decoded
	Address string // user@domain
}

// Recipient is what the rules of a domain and of an account ask about the account that a message is
// delivered to.
type Recipient interface {
	// Owns reports whether an address leads to the account: its name and its aliases.
	Owns(address.Address) bool
	// Remembers reports whether a dataset has an address, in any letter case. A dataset that does
	// not exist has none.
	Remembers(dataset, addr string) (bool, error)
	// Mailboxes are the names of the account's mailboxes.
	Mailboxes() ([]string, error)
	// Preference is a preference of the account, or "".
	Preference(name string) string
	// FreeBusy says whether the account is busy now: Free, Busy, Tentative or Unavailable.
	FreeBusy() (string, error)
}

// Input is what a run is about.
type Input struct {
	Message Message
	// Recipient is the account that the message is delivered to, nil for server rules.
	Recipient Recipient
	// Owner is in whose name rules send: the account, or the server's postmaster. OwnerName is its
	// real name, or empty.
	Owner     address.Address
	OwnerName string
	// MainDomain is the domain of addresses that have none.
	MainDomain string
	// Now is the time, in the zone that times of day are meant in.
	Now time.Time
}

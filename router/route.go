package router

import (
	"context"
	"net/netip"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// Directory is what the router asks about our domains. All domain names that
// it passes are in the form of address.Address.Domain.
type Directory interface {
	// MainDomain returns the name of the Main Domain.
	MainDomain() string
	// DomainName returns the real name of a domain of ours, given its name or
	// one of its aliases. A domain of which nothing more is known at the moment is
	// ours all the same: Object then tells why.
	DomainName(name string) (real string, ok bool)
	// OwnIP reports whether an IP address is one of this server's: of its
	// interfaces or assigned to a Domain; domain is that Domain, or empty.
	OwnIP(ip netip.Addr) (domain string, own bool)
	// Object looks a name up in a domain of ours, regardless of case. A name
	// that nobody has is of kind names.None, without an error.
	Object(ctx context.Context, domain, name string) (names.Object, error)
	// UnknownPolicy returns what a domain wants done with unknown names.
	UnknownPolicy(domain string, op names.Operation) (names.Policy, error)
}

// TelnumDirectory is a Directory that knows the telephone numbers of accounts.
type TelnumDirectory interface {
	// Telnum returns the account that a number is assigned to.
	Telnum(ctx context.Context, number string) (domain, account string, ok bool, err error)
}

// Module is a part of the server that delivers mail.
type Module string

// The modules.
const (
	SMTP   Module = "SMTP"   // to another host
	SIP    Module = "SIP"    // a call to another host
	LOCAL  Module = "LOCAL"  // into an account
	LIST   Module = "LIST"   // to the members of a mailing list or group
	PIPE   Module = "PIPE"   // to a program
	SYSTEM Module = "SYSTEM" // a built-in destination

	REPORTS Module = "REPORTS" // what others report about mail in the name of a domain
)

// The queues of SYSTEM.
const (
	Null     = "NULL"     // accepted and dropped
	Spamtrap = "SPAMTRAP" // accepted, so that the sender learns nothing; no recipient gets the message
)

// Wakeup is the queue of SMTP for addresses that ask for the mail of a domain to be sent:
// client.com%wakeup at this server releases the queue of client.com.
const Wakeup = "wakeup"

// Route is where an address leads.
type Route struct {
	Module Module
	// Queue is the object inside the module. LOCAL: account@domain, or all@domain.
	// LIST: name@domain. SMTP and SIP: the domain, or the host that a record
	// or a literal names, with :port if that is named too. PIPE: the program and
	// its parameters. SYSTEM: Null or Spamtrap. REPORTS: the domain.
	Queue string
	// Name and Domain say which object of ours that is: the account of LOCAL, the list
	// or group of LIST. With All, Name is empty. Other modules have neither.
	Name, Domain string
	// Address is the address inside the queue. SMTP: where to send. LOCAL: the
	// recipient as it was when it reached us (Real-To), always with its domain.
	Address address.Address
	// Mailbox is box of box#account, Detail is detail of account+detail.
	Mailbox string
	Detail  string
	// Host is the host to connect to if a record or a literal names it, else
	// empty. Port is its port; 0 means the module's own port, found through
	// MX records if Host is a name. A port that is named switches MX off.
	Host string
	Port int
	// AsGiven says that no record and no object has changed the address.
	AsGiven bool
	// Relay is the relay mark.
	Relay bool
	// All says that the mail is for all accounts of the domain. Whoever
	// accepts it checks that the sender may write to all.
	All bool
	// Unknown says that nobody has this name, and that the domain wants mail for
	// it accepted and reported as failed.
	Unknown bool
	// Direct says that no record of the table named the program of PIPE, but the
	// sender himself or an object of a domain.
	Direct bool
}

// String returns module(queue)address, the form that logs, monitors and rules use.
func (r Route) String() string {
	return string(r.Module) + "(" + r.Queue + ")" + r.Address.String()
}

// Local reports whether the mail stays here.
func (r Route) Local() bool { return r.Module != SMTP && r.Module != SIP }

// MayRelay says whether a message may take a route; trusted says whether it
// came from a source that may relay. Others may only reach what is local or
// carries the relay mark, no program that the table did not name, and no bounce
// of a name that does not exist (it would hit a forged return-path). Errors:
// fault.RelayDenied, fault.NotFound.
func MayRelay(r Route, trusted bool) error {
	const op = "router.MayRelay"
	switch {
	case trusted:
		return nil
	case r.Unknown:
		return fault.New(op, fault.NotFound, textUnknownUser)
	case r.Direct:
		return fault.New(op, fault.RelayDenied, "this address cannot be used directly")
	case !r.Local() && !r.Relay:
		return fault.New(op, fault.RelayDenied, "we do not relay")
	}
	return nil
}

const textUnknownUser = "unknown user account"

// Package names is the vocabulary that the router shares with the directory
// of objects: what an address is routed for, what kinds of objects a domain
// holds, and what a domain wants done with names that it does not know.
//
// The package holds values without state and imports nothing of the server, so that the
// directory (package accounts) can answer the router without importing it.
package names

// Operation is what an address is routed for. Records of the Router Table may
// be limited to one operation; domains have one unknown-name policy for each.
type Operation uint8

// The operations.
const (
	Mail   Operation = iota // envelope recipients and return-paths
	Access                  // login names and names of opened accounts
	Signal                  // calls and instant messages
)

func (op Operation) String() string {
	switch op {
	case Mail:
		return "Mail"
	case Access:
		return "Access"
	case Signal:
		return "Signal"
	}
	return "Operation(?)"
}

// ObjectKind is the kind of an object that a domain holds. All objects of a
// domain share one name space.
type ObjectKind uint8

// The kinds.
const (
	None      ObjectKind = iota // nobody has the name
	Account                     // a mail account
	Alias                       // another name of an account
	Forwarder                   // an address that stands for another address
	Group                       // one address for many members
	List                        // a mailing list or one of its service addresses
)

func (k ObjectKind) String() string {
	switch k {
	case None:
		return "none"
	case Account:
		return "account"
	case Alias:
		return "alias"
	case Forwarder:
		return "forwarder"
	case Group:
		return "group"
	case List:
		return "list"
	}
	return "ObjectKind(?)"
}

// Object is the answer to one look-up of a name in a domain.
type Object struct {
	Kind ObjectKind
	// Name is the object's name as it is stored. For an alias it is the name
	// of the account that the alias belongs to, for a service address of a
	// list (name-on, name-off ...) the name of the list.
	Name string
	// Target is the address that a forwarder stands for, as its owner wrote it.
	Target string
	// Disabled says that a group or a list takes no mail.
	Disabled bool
}

// Action is what a domain does with a name that it does not know.
type Action uint8

// The actions, with their texts in the settings. The zero Action is the safe one.
const (
	Reject          Action = iota // Rejected
	Discard                       // Discarded: accepted and dropped
	Reroute                       // Rerouted to: routed on to the policy's address
	AcceptAndBounce               // Accepted and Bounced: accepted, then reported as failed
)

func (a Action) String() string {
	switch a {
	case Reject:
		return "Rejected"
	case Discard:
		return "Discarded"
	case Reroute:
		return "Rerouted to"
	case AcceptAndBounce:
		return "Accepted and Bounced"
	}
	return "Action(?)"
}

// ParseAction is the inverse of Action.String.
func ParseAction(s string) (Action, bool) {
	for a := Reject; a <= AcceptAndBounce; a++ {
		if a.String() == s {
			return a, true
		}
	}
	return Reject, false
}

// Policy is a domain's policy for unknown names in one operation.
type Policy struct {
	Action Action
	// Address is where Reroute leads; a * in it stands for the unknown name.
	Address string
}

package names

// Words of the router that end the way of an address. In the Main Domain they are
// looked for before any object, and as a domain part before any domain.
const (
	Null        = "null"        // accepted and dropped
	Error       = "error"       // refused
	Spamtrap    = "spamtrap"    // accepted; no recipient gets the message
	Blacklisted = "blacklisted" // refused, unless a record lets somebody in
)

// Domain parts that the router reads before it looks for a domain of ours.
const (
	Localhost = "localhost" // the Main Domain
	Telnum    = "telnum"    // telephone numbers
	Pipe      = "pipe"      // programs
)

// All is the name that stands for all accounts of a domain.
const All = "all"

// Reserved reports whether a name, in lower case, means something else to the
// router, in the Main Domain or in another: an object of that name would get no mail.
func Reserved(name string, main bool) bool {
	switch name {
	case Null, Error, Spamtrap, Blacklisted:
		return main
	}
	return name == All
}

// ReservedDomain is Reserved for the name of a domain that is not the Main Domain.
func ReservedDomain(name string) bool {
	switch name {
	case Null, Error, Spamtrap, Blacklisted, Localhost, Telnum, Pipe:
		return true
	}
	return false
}

package names

import "strings"

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

// The ends of domain parts with which the router takes an address that no domain
// of ours has.
const (
	LocalSuffix  = ".local"  // name.local: an account of the Main Domain
	DomainSuffix = ".domain" // account@domain.domain: an account of a domain
)

// HostSuffixes are those that make the router connect to a host.
func HostSuffixes() [4]string { return [...]string{"._via", ".via", "._smtp", ".smtp"} }

// ReservedDomain is Reserved for the name of a domain.
func ReservedDomain(name string) bool {
	hosts := HostSuffixes()
	for _, suffix := range append(hosts[:], LocalSuffix, DomainSuffix) {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	switch name {
	case Null, Error, Spamtrap, Blacklisted, Localhost, Telnum, Pipe:
		return true
	}
	return false
}

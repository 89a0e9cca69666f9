package names

import "strings"

// Names at which routing ends. In the Main Domain the router looks for them before any object, and as a
// domain part before any domain.
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
	Wakeup    = "wakeup"    // the queues of domains that fetch their mail
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

// Suffixes of domain parts that the router interprets if no domain of ours has the name.
const (
	LocalSuffix  = ".local"  // name.local: an account of the Main Domain
	DomainSuffix = ".domain" // account@domain.domain: an account of a domain
)

// HostSuffixes are those that make the router connect to a host.
func HostSuffixes() [4]string { return [...]string{"._via", ".via", "._smtp", ".smtp"} }

// ReservedDomain says what a name means to the router, if it means something else than
// a domain. Names such as corp.local are free: a domain of ours comes before the
// account that the suffix stands for.
func ReservedDomain(name string) (meaning string, reserved bool) {
	for _, suffix := range HostSuffixes() {
		if strings.HasSuffix(name, suffix) {
			return "the host before " + suffix, true
		}
	}
	if strings.HasSuffix(name, DomainSuffix) {
		return "an account of the domain before " + DomainSuffix, true
	}
	switch name {
	case Null, Error, Spamtrap, Blacklisted:
		return "mail that nobody gets", true
	case Localhost:
		return "the Main Domain, whatever its name", true
	case Telnum:
		return "telephone numbers", true
	case Pipe:
		return "programs", true
	}
	return "", false
}

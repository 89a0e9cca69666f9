// Package protection knows what an administrator, or the behaviour of a client, says about the IP address of
// that client: whether it is trusted, refused or watched. It decides about addresses only; the wires act.
//
// # Lists
//
// A list is a settings.IPList: addresses, ranges and networks of IPv4 and IPv6, exclusions and comments, kept as the
// administrator wrote them, in one file of Settings/ each.
//
//	Client IPs   ClientIPs.data        machines that are trusted: they relay, and limits of strangers do not hold for them
//	Blacklist    BlacklistedIPs.data   mail from them is refused, unless they log in or the Router lets it in (@blacklisted)
//	White Holes  WhiteHoles.data       are never blocked: not by the other lists, nor by DNS lists, nor temporarily
//	Denied IPs   DeniedIPs.data        every connection is closed without a word, on every listener
//	Debug IPs    DebugIPs.data         sessions with them write all records into the log
//
// White Holes win over everything that refuses. The Blacklist wins over Client IPs: a machine of the own network that
// is infected stands in both. Domains may have Client IPs of their own, see package accounts.
//
// # Temporary blacklist
//
// A client that does what only attackers do is blocked for Settings.DenyAccessFor: wrong passwords, unknown recipients,
// relaying, protocol errors, talking before the greeting, mail to a spamtrap. Each trigger is a limit of events in a
// period, counted for an IPv4 address, or a network of 64 bits of IPv6. Client IPs and White Holes are neither counted nor
// blocked. Every block ends by itself, can be seen and can be lifted. Blocks are in memory: a restart lifts them.
//
// A blocked address gets no session on port 25, and nobody logs in from it but accounts that know it: those
// that lately logged in from there (accounts.Logins). So an attacker behind the same address keeps nobody out who was
// there before, and one who comes from elsewhere keeps out nobody at all.
//
// # DNS
//
// DNS lists (RBL servers, RFC 5782) and patterns of host names are asked about strangers that send mail, while they wait
// for the greeting, see Inspect. What cannot be looked up in time blocks nobody. A DNS list has an action and a
// time-out of its own. Answers outside of 127.0.0.0/8, and those by which a list says that it does not answer
// this server (127.255.255.0/24), are no listing. An address of IPv6 is asked as a whole, as RFC 5782 section 2.4 has it.
//
// Reverse Connect asks the mail server of a return-path whether it knows it. Only a clear no refuses mail. A domain is asked a
// bounded number of times, and no host of a private network is connected to: strangers choose the domain.
//
// # Rates, greylist, banned lines
//
// Connections and messages of strangers are counted by network, and those that come too fast are put off; nobody is blocked for it.
//
// The greylist (RFC 6647) puts off who writes for the first time from a network, with a return-path, to a recipient. It keeps hashes of these
// triples: those that wait and those that have passed in two lists with a bound each, written to Greylist.data now and then. What a crash
// loses has to come again once more.
//
// Banned lines are patterns of header fields and lines of the body; package smtp takes the lines out of the message as it comes.
//
// # State
//
// Lists are immutable snapshots. Tables of events and blocks are bounded; what was there for longest goes first, but
// blocks that an administrator has made stay until they end.
package protection

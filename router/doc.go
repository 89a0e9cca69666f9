// Package router decides where an address leads: which module delivers it, in
// which queue and under which address, or why nobody does. Recipients and
// return-paths, login names, and targets of calls all go through it, so one
// alias serves mail, logins and calls alike.
//
// # Words
//
// The Main Domain is the domain whose name may be left out: its addresses have
// an empty domain part here. Records of the Router Table rewrite addresses. The
// relay mark, set by a Relay: record or by a Forwarder, lets anyone send to a
// remote address through us; without it only trusted sources may. The operation
// says what the address is routed for: Mail, Access or Signal.
//
// # The algorithm
//
// Every rewrite starts again at the top (walk.go), at most maxRewrites times.
//
//  1. The address is parsed (package address).
//  2. The Main Domain's name, its aliases and localhost are cut off; a local
//     part that is an address itself takes the place of the whole.
//  3. NULL, ERROR, SPAMTRAP and BLACKLISTED end routing.
//  4. A number in the domain telnum becomes the account that has the number.
//  5. The first record of the Router Table that applies rewrites the address.
//     A record whose result is its input does not apply, nor does one that
//     sends a number back to telnum.
//  6. A literal of our own becomes the domain it is assigned to; any other is
//     the host to connect to.
//  7. A domain alias becomes the domain.
//  8. host._via names the host to connect to; name.local and domain.domain an
//     account that gets all mail of a domain; pipe a program. A domain of ours that
//     happens to end so comes first.
//  9. A domain without a dot is completed.
//  10. In a domain of ours the objects decide: all, aliases, accounts, lists,
//     groups, forwarders, and at last the policy for unknown names (objects.go).
//     postmaster, abuse, hostmaster and mailer-daemon always lead to somebody (RFC 2142).
//  11. Any other domain with a dot is remote.
//  12. What is left has no route.
//
// # What a sender cannot gain
//
// Source routes, bang paths and percent signs in what a sender wrote are
// followed, but neither the relay mark nor a program of the PIPE module is
// reached by them: text that a wildcard took from the sender never earns the
// mark when it can hold a further address, and a pipe that the sender named
// himself is reported as Direct. MayRelay is the verdict on both.
//
// # State
//
// A Router holds the compiled table as an immutable snapshot. Route allocates
// little, takes no lock, and waits only for the Directory.
package router

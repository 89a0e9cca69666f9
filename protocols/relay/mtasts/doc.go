// Package mtasts knows the policies by which domains say how mail is to reach them (MTA-STS, RFC 8461): encrypted, and at
// which hosts with a certificate of theirs.
//
// A domain that has a policy has a record _mta-sts.DOMAIN, whose ID changes with the policy, and shows the policy itself at
// https://mta-sts.DOMAIN/.well-known/mta-sts.txt. Policies.Of looks the record up for each connection (the resolver keeps it), and
// fetches the policy when it is not known, when the ID is another one, or when it is older than a day. What cannot be looked up
// or fetched now leaves the policy in force that was fetched before, until its max_age has passed (section 5.1): who
// can suppress answers cannot have mail sent in clear.
//
// # Limits
//
// A policy has 64 kB, a fetch 20 s; redirects are not followed, and the certificate is verified. After a fetch that failed
// the next one for the domain comes after five minutes (section 3.3). The 10,000 policies that were used last are kept.
//
// # On disk
//
// One file in the data format, a dictionary of the domains, written a minute after a change at the earliest and at the end. A crash
// loses what was fetched in the last minute; it is fetched again. A file that cannot be read is logged and begun anew.
package mtasts

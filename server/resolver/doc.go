// Package resolver answers the server's questions to the DNS. Every look-up of the server goes
// through it: none asks the system or package net.
//
// # Words
//
// A name server is a recursive resolver that is asked: those of the settings, else those of
// /etc/resolv.conf, which is read again when it changes. A look-up is one question of a caller, for
// a name and a type. An exchange is one question to one name server and its answer.
//
// # What a caller gets
//
//	records                       Answer.Records
//	the name has none of the type no error, and no records ("no data")
//	the name does not exist       fault.NoHost (NXDOMAIN)
//	the name cannot be one        fault.Invalid
//	no usable answer now          fault.Unavailable: time-outs, SERVFAIL, loops of CNAMEs
//	the caller has given up       fault.Canceled
//
// So fault.Kind.Temporary tells whether to try again. The texts can be shown to senders; causes with
// addresses of name servers are for the log. CNAMEs are followed, 16 at most, within an answer and by
// further questions. An answer has 1,000 records at most, more are left out.
//
// Answer.Secure says that the name server has validated the answer (the AD bit, RFC 6840 section
// 5.8). It is believed from name servers on this machine, elsewhere only if the settings or the
// option trust-ad of resolv.conf say so.
//
// # Exchanges
//
// Each exchange has a socket and an ID of its own. What arrives with another ID, question or form is
// not an answer and is passed over; it is waited on until the time-out. Truncated answers are fetched
// over TCP. EDNS announces 1232 bytes; a name server that does not know it is asked without. One that
// is silent, or fails, is followed by the next, and is asked last for a while.
//
// # Cache
//
// Answers are kept as long as their TTL says, a day at most; that there is nothing as long as the SOA
// record says, three hours at most (RFC 2308); failures as long as it took to find out, two seconds at least and 30 at most
// (RFC 9520): while no name server answers, not everybody waits for each name. What was least
// lately asked for goes first when the cache is full. Equal look-ups at the same time are one.
//
// RFC 1034, 1035, 2181, 2308, 6761 (localhost), 6840, 6891 (EDNS), 7766 (TCP), 9520.
package resolver

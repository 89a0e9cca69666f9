// Package relay passes mail on to other servers: it is the transport of the
// SMTP queues, and the SMTP client.
//
// # Where to
//
// A route that names its host (an address literal, a Router record with ._via) goes
// there; other mail as the settings of its destination say, by the gateway of its return-path or
// the default one, to the smart host, or, if there is none of these, to the servers of its
// domain (way.go). A gateway is a server with a name that takes mail after a login (auth.go); it may
// put its own sender into messages (rewrite.go).
//
// The servers of a domain, and of a named host without a port, are those of its MX records,
// or itself if it has none (mx.go, RFC 5321 section 5.1): by preference, at random where that
// is the same, without ourselves and what is no better than we are. A smart host and a named
// host with a port are found by their address records. What the DNS says for good about a domain
// fails the mail; about a host that somebody here has named, it makes it wait.
//
// Every address is tried, ten at most for a connection, before the queue is delayed. What stands
// for the failures of all is what a server said rather than that one could not be reached.
//
// # Words
//
// A way is whose hosts take the mail, a hop one of these hosts with its port. A connection is one SMTP session with a
// hop; it carries many transactions, one for each message of a batch, and is kept
// for two seconds after a batch for the next one. A stage is a step of the
// dialogue with a time limit of its own (RFC 5321 section 4.5.3.2).
//
// # What follows from a reply
//
//	no connection, greeting or EHLO 4xx, 421      the next host; after all, the queue waits
//	greeting or EHLO 5xx                          the next host; if all say so, the recipients fail
//	MAIL 4xx / 5xx                                the message waits / fails
//	RCPT 4xx / 5xx                                the recipient waits / fails
//	DATA or final dot 4xx / 5xx                   the message waits / fails
//	4xx / 5xx and a hang-up in the text           the message waits / fails
//	connection lost after the final dot           the message waits, and may arrive twice
//	connection lost or 421 otherwise              the queue waits, unless the connection is worn
//	our own file cannot be read                   the message waits
//
// A worn connection has served before; many servers take some messages in each and
// then end it. A new one takes its place at once. The reply to the final dot counts
// by the code of its first line even if it breaks a rule (RFC 5321 section 4.2). A text
// that we cannot read to its end is not ended: the connection is closed, so that the server
// does not take a part of it for the message.
//
// With PIPELINING, MAIL, all RCPT and DATA are sent at once (RFC 2920). A message
// with at least one accepted recipient is sent; after a DATA that was accepted
// without one, an empty message is ended and its reply ignored.
//
// # Signing
//
// A Signer, if there is one, makes header fields that are put before the message, once for
// each attempt. A message that it fails to sign waits and is tried again; it never goes out
// without.
//
// # Limits
//
// A reply has at most 100 lines of 2,000 bytes; more ends the connection. The body is
// read from the queue file and never held in memory. Bytes after the reply to
// STARTTLS end the connection: they were not protected (RFC 3207 section 6).
//
// RFC 5321, 7505 (null MX), 1870 (SIZE), 2920 (PIPELINING), 3207 (STARTTLS), 3461 (DSN), 6152
// (8BITMIME), 6531 (SMTPUTF8), 2033 (LMTP), 3030 (CHUNKING). 8-bit text goes as it is to a server without 8BITMIME,
// see docs/standards.md.
package relay

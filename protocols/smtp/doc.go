// Package smtp receives mail: on port 25 from other servers, on 587 and 465
// from our users.
//
// # Words
//
// A session is one client's connection, a transaction one MAIL to the end of
// its data. Submission is mail from our users: what comes in on 587 or 465, and
// what an authenticated user sends on any port. A stranger is a client that is
// neither authenticated nor one of the Client IPs. Trusted clients may relay.
//
// # A message's way through here
//
//	MAIL   policy for the return-path, envelope begun
//	RCPT   router, relay verdict, envelope grows
//	DATA   queue.Begin with the whole envelope, before 354
//	       trace field, header (fixed up in submissions), body: streamed to the queue
//	.      checks, which may put fields before the message (check.go)
//	       queue.Commit; 250 with the queue ID only after it
//
// BDAT does the same from its first chunk on. A message is never held in memory;
// only the header of a submission is, up to maxHeader. A header ends at the first
// line that is no field, also where its empty line is missing. A byte order mark before it
// is taken off, and the "From " line of an mbox file becomes a field (headerend.go).
//
// # Input
//
// The only end of DATA is CR LF . CR LF. A bare CR or LF never ends a line
// (RFC 5321 2.3.8, 4.1.1.4): in a command it is a syntax error, in a message it
// makes the whole message refused (550 5.6.0) once its real end was read, or, by
// a setting, it is stored as CR LF; CR CR LF is one line end then. What is stored never holds a bare CR or LF.
// A message with NUL is refused the same way, whatever the setting (RFC 5322
// 4.1, RFC 3501 4.3.1: no reader could be given it).
// BDAT obeys the same rule, with BODY=BINARYMIME too: binary parts are turned
// into base64 on the way (message.BinaryEncoder), so that neither the store nor any
// reader or next hop has to know them.
//
// The reader owns one buffer, from which commands, DATA and BDAT read in turn, so
// pipelined input of any shape keeps its order. Replies are kept until the next
// read would block: a pipelined group is answered by one write (RFC 2920).
//
// # Replies
//
// Texts of 2xx replies are matched by tools that read logs of servers of this
// kind, and must not change. They carry no enhanced code; 4xx and 5xx do (a
// deviation from RFC 2034, see docs/standards.md). reply.go has the one table
// from failures to replies.
//
// # Limits
//
// Lines, recipients, message size, header size, errors, unknown recipients,
// refused relaying and waiting are all bounded; see Settings and the constants
// beside their use. A message beyond its size limit is read to its end, so that the
// client learns why it is refused; but only for DataTimeout and up to maxExcess
// octets beyond the limit: then the connection is closed. A message that all of its
// recipients' accounts would refuse for its size is refused here.
// All bytes of a command must arrive within CommandTimeout, and a message at a minimum
// rate. A session in which no message has come to its end for six CommandTimeouts is
// closed, whatever else the client sends.
//
// # State
//
// The session's goroutine owns everything in session and below. The Server has
// only counters, of sessions and of the messages that each account submits.
//
// RFC 5321, 1870 (SIZE), 2034 and 3463 (enhanced codes), 2920 (PIPELINING), 3030
// (CHUNKING, BINARYMIME), 3207 (STARTTLS), 3461 (DSN), 3848 (with ESMTPSA), 4954
// (AUTH), 6152 (8BITMIME), 6409 (submission), 6531 (SMTPUTF8), 8314 (465), 9422
// (LIMITS).
package smtp

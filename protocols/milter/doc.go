// Package milter asks mail filters that listen on a socket (milters, of Sendmail and Postfix): OpenDKIM, rspamd,
// clamav-milter. It is an smtp.Check: it asks between the last byte of a message and the answer to it, so that a
// refusal reaches the client and no report is needed.
//
// # What a milter sees
//
// All stages at once, when the message is complete: connection, HELO, MAIL, all RCPT, the header fields, the body.
// Of the header it sees what the client sent, without the Received field of this server and the fields that its own
// checks have put before that. The macros are j, v, {daemon_name}, {client_addr} and {client_name} of
// the connection, i, {mail_addr} and {auth_authen} of MAIL, {rcpt_addr} of RCPT; Postfix and Sendmail have them.
//
// # What it can do
//
//	accept, continue          the message goes on, continue to the next milter
//	reject, tempfail, reply   the client gets 5xx or 4xx; one recipient that is refused refuses the message
//	discard                   the message is answered as if it were accepted, and dropped
//	add, insert, change a header field, remove one
//	another body              stored with CRLF line ends
//	add, remove a recipient   those that are added get no reports; without recipients the message is dropped
//	another return-path       by milters of protocol version 6
//	quarantine                Quarantine says: into the Junk mailboxes, refused, or nothing
//
// What the two have not agreed on at the start is not done, and the log has it. Parameters of recipients and of the
// return-path, and macros that a milter asks for, are not offered. A milter says at most maxAnswers bytes about a
// message, a new body included.
//
// A milter that does not answer, or breaks the protocol, makes OnFailure decide: the message goes on, or the client is
// asked to try again. Timeout is for each answer; all checks of a message together have two minutes.
//
// Milters are asked in the order of the setting; each sees what those before it have changed.
package milter

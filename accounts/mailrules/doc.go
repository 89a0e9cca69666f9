// Package mailrules carries out what rules want.
//
// Package rules decides, and does nothing; here is what stores, sends, runs and asks. It serves two doors:
//
//	queue.Rules       the rules of the server: asked by the enqueuer about each message, once (server.go)
//	delivery.Rules    the rules of a domain and of an account: asked before a message is stored (account.go)
//
// # What a rule does, and when
//
//	                     server rule                           domain or account rule
//	Store in             at once; a repetition finds it        with the commit of the delivery
//	Redirect, Mirror,    held by the queue, sent when the      held by the queue, sent after the commit
//	Forward, replies     message is marked as judged           of the delivery
//	Remember             -                                     with the commit
//	Add Header, Tag      a new queue file                      fields before the message, or a new header
//	Mark                 for Store in                          for all copies
//	Execute              at once, once                         at once, once
//	ExternalFilter       at once; asked again after a crash    -
//	SendURL              when the message was judged           after the commit
//	Write To Log         at once                               at once
//	Discard, Reject      what the queue is told                what the delivery is told
//
// So a crash at any time neither loses a message nor makes a second copy of one, and sends nothing twice.
// A program gets a message once, or not at all (delivery.Programs, decision 0012): if the server was killed while a
// program had it, the program counts as one that has failed. A URL may be asked for once more, or not at all.
//
// What rules of the server send on is written when they are at their end. Only then is it known whether the
// message is discarded and nobody else has it; if so, its sender hears of failures.
//
// # Failures
//
// A rule that fails never loses a message. An action that cannot be done (a mailbox that is missing, a
// program that fails, an account that has sent too much) ends the rules for the message, which then goes on
// as if they had ended there: into INBOX, or to its recipients. What was done before stays done. A failure
// that will pass (the disk, the index) puts the message off, and the rules are asked again. Each is a
// record in the log, with the name of the rule.
//
// # Limits
//
// What an account's rules send counts against its MailOutFlow, together with what its owner sends. One address
// gets RepliesToAddress replies of an account at most, whatever the rules say. What is sent by one message
// is bounded by rules.MaxAddresses and the parts of a delivery. Requests of SendURL wait in a queue of
// fixed length, and those above are left out.
//
// # On disk
//
// Settings/Rules.settings has the rules of the server, in the array form. Those of domains and accounts
// are settings (package accounts).
package mailrules

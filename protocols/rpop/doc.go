// Package rpop polls accounts on other servers, over POP3 or IMAP, and has their mail delivered to
// accounts of this one.
//
// # Words
//
// A remote account is a record of an account here: accounts/rpop.go declares its settings. To poll
// it is to log in there, list what is there, fetch what has not been fetched before, and remove it
// there or mark it as the record says. A source is one maildrop there, opened. The UID of a message
// is what tells it from all others of the remote account: its UIDL (RFC 1939 section 7), its
// UIDVALIDITY and UID (RFC 9051 section 2.3.1.1), or a digest of its text at a POP3 server without
// UIDL, where messages cannot be left, and of messages that share a UIDL.
//
// # Exactly once
//
// A message that is fetched goes through the queue, as one from SMTP does: rules and quotas are
// the account's. What has been fetched is remembered in the account's directory (seen.go). The
// steps, for some messages at a time:
//
//	fetch, Submission.Hold   the message is durable in the queue, and nobody's yet
//	seen.add                 UID and queue ID are durable in the memory
//	Queue.Publish            the message waits in the queue
//	remove or mark           there, by its UID
//
// After a crash before seen.add the message is dropped at the start, and fetched again. After one
// behind it Settle publishes the message at the start; nobody fetches it again; and the next poll
// removes or marks it there. So a message is in the mailbox once, whenever the crash comes. What
// fails without a crash is settled in the same way by the next poll.
//
// # When
//
// Every remote account has a time at which it is due; the poller's goroutine starts polls as long
// as there are Processors. A host that does not answer delays all remote accounts on it, a refused
// login the one; the delay doubles from one failure to the next, up to a day. What fails here (the
// queue is full, the account is full) is nobody's fault there, and tried again after the period.
//
// # What another server can cost
//
// It may be hostile. A line has 64 KB at most, a list 100,000 messages, a header 256 KB; a message
// is streamed into the queue, to its limit and no further. A step without a byte ends after
// Timeout, a poll after an hour. So a poll costs some MB and one of the Processors. POP3 replies and IMAP
// responses are read by code of this package and not by imapclient, which has no such bounds.
//
// # Recipients
//
// The recipient is the account, or a mailbox of it. A record with the setting special is a unified
// account: the recipients are the addresses of that header field that lead to accounts here, else
// those of To and Cc, else the account that has the record. They never lead to another server.
//
// # Who owns what
//
//	entries, due times, failed hosts    Poller.mu
//	a poll and its source               its goroutine
//	the memory of a remote account      its poll; there is one at a time
package rpop

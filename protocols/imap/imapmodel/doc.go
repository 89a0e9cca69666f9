// Package imapmodel tries an IMAP server with many clients that do random commands in shared mailboxes, and compares what each of them is
// told with a model of the protocol's state (RFC 3501, 9051, 7162).
//
// There is no model of the server: which of two commands comes first is the server's choice. Instead, the model knows what must hold
// in any order:
//
//   - A client's view changes by EXPUNGE, VANISHED and EXISTS alone. EXISTS never falls, sequence numbers are those that the view
//     has, and no message leaves the view while FETCH, STORE or SEARCH by sequence number is answered.
//   - A UID means one message for ever, in whichever session. UIDs rise and are not used again.
//   - ModSeqs of a message never fall, and a message that two clients see with the same ModSeq has the same flags for both.
//   - UIDVALIDITY stays, HIGHESTMODSEQ never falls.
//   - What was acknowledged (APPEND, COPY, MOVE, REPLACE) is there until somebody was told that it is expunged.
//   - A client that is killed at any moment and comes back by QRESYNC has what a client that reads everything has.
//   - The result of a search that is followed (RFC 5267) is what the search finds, and what NOTIFY (RFC 5465) has told last of a
//     mailbox is how it is.
//   - When all is quiet, all views are equal, and STATUS counts what they have.
package imapmodel

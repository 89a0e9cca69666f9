// Package mailbox keeps the mailboxes and messages of accounts.
//
// # Words
//
// An account has names. A name stands for a container of messages (a mailbox
// that can be selected), for a directory of nested names, or for both. A
// mailbox has a number that never changes (MAILBOXID) and data, the number
// under which its messages lie in the index; only renaming INBOX gives data to
// another mailbox, which moves all messages at once.
//
// A message is a file (package msgfile) and two records: its state (flags, keywords, ModSeq) and
// its summary (size, dates, file, what never changes). The file has a third, its content: the
// prefix, which is header lines that readers see before the message, and what
// package message found out about it. Copies in one account share file and content. A view is what
// one session sees of a mailbox.
//
// # Promises
//
//   - What returned nil is on the disk: Append, SetFlags, Expunge, Copy, Move, and
//     the mailbox calls. Deliver's records are; its links are after SyncLinks,
//     and until then a repeated delivery repairs them.
//   - UIDs rise and never come back, UIDVALIDITY is unique in its account, ModSeqs
//     come from one sequence per account and never fall (RFC 9051 2.3.1, RFC 7162).
//   - Counters and quota change in the commit that changes what they count.
//   - A delivery is made once, however often it is repeated (Delivery.QueueID, Copy).
//   - Sequence numbers change in Mailbox.Sync alone (RFC 9051 7.4.1); a message that
//     is gone can be read by the views that still show it.
//   - A change is committed, then announced to views and watchers, then answered.
//   - A COPY shows at once or not at all: it is one commit, of 45 bytes a message.
//
// # Message files
//
// <account>.macnt/Messages/<directory>/<number>, decimal. A file is written
// once and never changed. Deliver links
// the queue file and names the link by the queue ID, Append writes a file of
// its own, Copy and Move leave the file where it is, and a copy to another account links it. Numbers come from the
// server-wide counter. Directories are filled one after the other, see file.go. How many records
// name a file is in the index (refs.go).
//
// A file comes before its record and goes after it:
//
//	step                  after a crash here
//	file made             a leftover: moved to <account>.macnt/Leftovers before the account
//	                      gets its next file (leftovers.go); a repeated delivery makes
//	                      another link
//	record committed      there for good
//	links synced          (before: a lost link is made again by the repeated delivery)
//	queue file removed    the record of the delivery is forgotten some time
//	last record removed   a leftover, as above
//	file unlinked         its content is removed with the leftovers
//	content removed       -
//
// The directory of an account may move under all this, see dirmove.go.
//
// # Who owns what
//
// The records of an account belong to the writer of its index shard: all
// changes run there, as an edit, one after the other (package index). An open
// mailbox is one box, shared by its sessions and changed only by what the
// writer announces; a Mailbox belongs to its session's goroutine. The goroutine that loads a box
// for Select ends with that, and Close waits for it. One upkeep
// goroutine per store unlinks files and removes their content, removes the records of deleted mailboxes
// in small steps, and forgets deliveries.
//
// Locks, in the order in which they may be taken: account.movingLeftovers or links.syncing,
// account.moving (of several accounts by their numbers; then Move's lookups), account.making, account.mu or
// box.mu (never one under the other), then msgfile.Uses.mu, viewCache.mu, upkeep.mu or Store.mu. Under
// the first four the disk is waited for, under no other: they are held while files are
// listed, synced, made or removed. Snapshots of the index are short and are not kept
// across file operations.
//
// # Items
//
// An item of a calendar, a task list or an address book is a message that also has a name and a key, each
// unique in its mailbox, and times between which it lies (item.go). It is replaced as a whole: the new message has another UID
// and the same original UID. Whatever expunges the message removes the item and leaves its name for those who ask
// for changes, for 90 days at least. Messages that came by other ways become items by NameItems.
//
// # On disk
//
// index.Mail has per account: its record, mailbox records, names,
// subscriptions, keyword lists, blocks of states, blocks of summaries, ranges of
// expunged UIDs, and reference counts of files (key.go, record.go, block.go, history.go, refs.go). A name's record has its ACL (acl.go). index.Content has
// prefix and summary of the message in each file, index.Delivered where queued messages
// went, index.Dropped the data of deleted mailboxes. A field that is added to
// a record stands at its end and reads as 0 where it is missing; a new kind of
// record is one that older servers may leave alone; any other change is a new
// format of package index.
//
// RFC 9051 and 3501 (mailboxes, flags, \Recent), 4315 (UIDPLUS), 6851 (MOVE),
// 7162 (CONDSTORE, QRESYNC), 8474 (OBJECTID), 8514 (SAVEDATE), 3502 (MULTIAPPEND).
package mailbox

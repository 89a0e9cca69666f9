// Package archive reads the archive of a mailing list: its months, its threads, its postings as text that is safe to show, and
// what a search finds.
//
// # Where postings are
//
// The archive is the mailbox NAME of the list's owner, and the mailboxes NAME/YYYY-MM-DD that earlier archives were moved to
// (package accounts/lists). They are the volumes of the archive, the oldest first. Only names and numbers are kept here: an index has
// some 40 bytes for each posting, in the order in which they came. It is made from what the store has of each message beside its
// file, when somebody looks for the first time; what came later is added, and what was removed is dropped. Archive keeps the
// indexes of the lists that were looked at last, of maxAll postings together.
//
// # Names of postings
//
// Key is a hash of the Message-ID, which the list has given to the posting. So the address of a page is known when the posting is
// sent (RFC 5064), and stays when the mailbox gets another name.
//
// # Threads
//
// A posting belongs to the one that its In-Reply-To names, or the last of its References that is in the archive (RFC 5322
// section 3.6.4). An answer that names none of them belongs to the thread that had its subject last, in the sixty days before it.
// A parent is always older than its child, so threads have no loops.
//
// # Who does not want to be archived
//
// A posting with X-No-Archive: yes has a Message-ID that says so (MessageID). The mailbox has it until it was in a digest; here it does not
// appear.
//
// # What is shown
//
// Text is what a posting says as plain text: of alternatives the plain one, else HTML as text, without scripts, styles and images. All
// else are attachments. Nothing of it is markup; whoever shows it escapes it like any text. Characters that control the terminal or the
// direction of text are left out.
package archive
